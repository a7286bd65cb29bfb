//! Reading what `strace` saw: which system calls a process made, in the order in which they returned.

use std::collections::HashMap;

use anyhow::{Result, ensure};

/// A system call that returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `pwrite64`, `fdatasync`, `sendto` ...
    pub name: String,
    /// Its arguments as strace prints them, with paths behind file descriptors.
    pub arguments: String,
    /// What it returned.
    pub result: String,
    /// Line on which it began.
    pub begun: usize,
    /// Line on which it had returned; the lines of all threads are in one order.
    pub returned: usize,
}

/// All calls of a process and its threads (`strace -f -y`).
#[derive(Debug, Default)]
pub struct Trace {
    /// In the order in which they returned.
    pub calls: Vec<Call>,
}

impl Trace {
    /// Reads strace's output.
    pub fn parse(text: &str) -> Result<Trace> {
        let mut trace = Trace::default();
        let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let rest = rest.trim_start();
            if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
                unfinished.insert(thread, (number, begun.to_string()));
            } else if let Some(resumed) = rest.strip_prefix("<... ") {
                let Some((begun, start)) = unfinished.remove(thread) else {
                    continue;
                };
                let end = resumed.split_once(" resumed>").map_or("", |(_, end)| end);
                trace.calls.extend(call(&format!("{start}{end}"), begun, number));
            } else {
                trace.calls.extend(call(rest, number, number));
            }
        }
        ensure!(!trace.calls.is_empty(), "no system call in the trace");
        Ok(trace)
    }
}

impl Call {
    /// The bytes that it was given, as strace prints them: in quotes, with what is not printed escaped as in C.
    pub fn bytes(&self) -> Vec<u8> {
        let Some((_, quoted)) = self.arguments.split_once('"') else {
            return Vec::new();
        };
        let (mut bytes, mut rest) = (Vec::new(), quoted.bytes().peekable());
        while let Some(byte) = rest.next() {
            match byte {
                b'"' => break,
                b'\\' => match rest.next() {
                    Some(first @ b'0'..=b'7') => {
                        let mut number = u32::from(first - b'0');
                        for _ in 0..2 {
                            let Some(digit) = rest.next_if(|next| (b'0'..=b'7').contains(next)) else {
                                break;
                            };
                            number = number * 8 + u32::from(digit - b'0');
                        }
                        bytes.push(u8::try_from(number).unwrap_or(u8::MAX));
                    }
                    Some(b'n') => bytes.push(b'\n'),
                    Some(b't') => bytes.push(b'\t'),
                    Some(b'r') => bytes.push(b'\r'),
                    Some(b'v') => bytes.push(11),
                    Some(b'f') => bytes.push(12),
                    other => bytes.extend(other),
                },
                byte => bytes.push(byte),
            }
        }
        bytes
    }
}

fn call(text: &str, begun: usize, returned: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().trim_end_matches(')').trim_end().to_string();
    Some(Call {
        name: name.to_string(),
        arguments,
        result: result.trim().to_string(),
        begun,
        returned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_strace_prints_them() {
        let call = call(
            "pwrite64(7</j>, \"a\\0\\12\\0017\\377\\n\\\"\\\\b\", 9, 0) = 9",
            0,
            0,
        )
        .unwrap();
        assert_eq!(call.bytes(), b"a\x00\x0a\x017\xff\n\"\\b");
    }

    #[test]
    fn calls_that_were_interrupted_in_print_are_put_together() {
        let text = "10 pwrite64(7</data/journal/0>, \"abc\", 3, 0 <unfinished ...>\n\
                    11 sendto(9<socket:[1]>, \"HTTP/1.1 200\", 12, 0, NULL, 0) = 12\n\
                    10 <... pwrite64 resumed>) = 3\n\
                    10 fdatasync(7</data/journal/0>) = 0\n";
        let trace = Trace::parse(text).unwrap();
        let names: Vec<(&str, usize, usize)> = trace
            .calls
            .iter()
            .map(|c| (c.name.as_str(), c.begun, c.returned))
            .collect();
        assert_eq!(names, [("sendto", 1, 1), ("pwrite64", 0, 2), ("fdatasync", 3, 3)]);
        assert_eq!(trace.calls[1].arguments, "7</data/journal/0>, \"abc\", 3, 0");
        assert_eq!(trace.calls[2].result, "0");
    }
}
