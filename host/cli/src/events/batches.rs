//! Cutting a file of events into calls, without holding it in memory.

use std::io::{self, BufRead};

/// Events of one call; the server's EVENTS_PER_CALL_MAX.
const EVENTS_MAX: usize = 10_000;
/// Bytes after which a call is full; half of the server's EVENTS_BODY_BYTES_MAX, so that one more event fits.
const BYTES_SOFT_MAX: usize = 8 << 20;

/// One call's worth of events, as NDJSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// The body.
    pub body: Vec<u8>,
}

/// The calls that a file makes. A JSON array is read as a whole; anything else line by line.
pub struct Batches {
    lines: Lines,
}

enum Lines {
    /// Not looked at yet.
    Unread(Box<dyn BufRead>),
    /// One event per line.
    Text(Box<dyn BufRead>),
    /// The elements of an array, last first.
    Array(Vec<String>),
}

impl Batches {
    /// Reads nothing yet.
    pub fn new(reader: Box<dyn BufRead>) -> Batches {
        Batches {
            lines: Lines::Unread(reader),
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        if let Lines::Unread(reader) = &mut self.lines {
            let first = first_byte(reader)?;
            let mut reader = std::mem::replace(reader, Box::new(io::empty()));
            self.lines = match first {
                Some(b'[') => {
                    let mut text = String::new();
                    reader.read_to_string(&mut text)?;
                    let events: Vec<serde_json::Value> = serde_json::from_str(&text)?;
                    Lines::Array(events.iter().rev().map(ToString::to_string).collect())
                }
                _ => Lines::Text(reader),
            };
        }
        match &mut self.lines {
            Lines::Unread(_) => Ok(None),
            Lines::Array(events) => Ok(events.pop()),
            Lines::Text(reader) => loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(None);
                }
                if !line.trim().is_empty() {
                    return Ok(Some(line.trim().to_string()));
                }
            },
        }
    }
}

/// The first byte that is no white space; it stays unread.
fn first_byte(reader: &mut Box<dyn BufRead>) -> io::Result<Option<u8>> {
    loop {
        let buffer = reader.fill_buf()?;
        let Some(byte) = buffer.first().copied() else {
            return Ok(None);
        };
        if !byte.is_ascii_whitespace() {
            return Ok(Some(byte));
        }
        reader.consume(1);
    }
}

impl Iterator for Batches {
    type Item = io::Result<Batch>;

    fn next(&mut self) -> Option<io::Result<Batch>> {
        let mut body = Vec::new();
        for _ in 0..EVENTS_MAX {
            match self.line() {
                Err(error) => return Some(Err(error)),
                Ok(None) => break,
                Ok(Some(line)) => {
                    body.extend_from_slice(line.as_bytes());
                    body.push(b'\n');
                }
            }
            if body.len() >= BYTES_SOFT_MAX {
                break;
            }
        }
        (!body.is_empty()).then_some(Ok(Batch { body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let batches = Batches::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
        let bodies: Vec<String> = batches
            .map(|batch| String::from_utf8(batch.unwrap().body).unwrap())
            .collect();
        assert_eq!(bodies, expected, "{text:?}");
    }

    #[test]
    fn lines_and_arrays_become_the_same_calls() {
        check("", &[]);
        check("\n  \n", &[]);
        check(
            "{\"id\":\"a\"}\n\n{\"id\":\"b\"}",
            &["{\"id\":\"a\"}\n{\"id\":\"b\"}\n"],
        );
        check(
            " [{\"id\":\"a\"},\n {\"id\":\"b\"}]",
            &["{\"id\":\"a\"}\n{\"id\":\"b\"}\n"],
        );
        check("[]", &[]);
    }

    #[test]
    fn a_call_takes_no_more_than_the_server_does() {
        let batches = Batches::new(Box::new(io::Cursor::new(
            "{}\n".repeat(EVENTS_MAX + 1).into_bytes(),
        )));
        let counts: Vec<usize> = batches
            .map(|b| b.unwrap().body.iter().filter(|c| **c == b'\n').count())
            .collect();
        assert_eq!(counts, [EVENTS_MAX, 1]);
    }

    #[test]
    fn a_broken_array_is_an_error() {
        let mut batches = Batches::new(Box::new(io::Cursor::new(b"[{\"id\": ".to_vec())));
        assert!(batches.next().unwrap().is_err());
    }
}
