//! Reading parameters: JSON without floats, and errors that know their place.
//!
//! A reader of our own, because the usual one brings the tables for parsing and printing floats into every plan: half of
//! its size, copied into memory whenever the host makes a fresh instance, for numbers that no price list may contain.

mod access;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use access::{Fields, Items, Variant};

use crate::{ParameterError, Pointer};

/// How deep values may nest: the stack of a plan is 16 KiB.
const DEPTH_MAX: usize = 32;

/// Reads a whole text.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ParameterError> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let value = T::deserialize(&mut reader).and_then(|value| match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("the end")),
    });
    value.map_err(|error| {
        let read = text.get(..error.at.unwrap_or(reader.at)).unwrap_or(text);
        let (line, column) = (
            read.matches('\n').count() + 1,
            read.chars().rev().take_while(|c| *c != '\n').count() + 1,
        );
        let place = error
            .path
            .iter()
            .rev()
            .fold(Pointer::root(), |place, segment| match segment {
                Segment::Key(key) => place.key(key),
                Segment::Index(index) => place.index(*index),
            });
        place.error(format!("{} (line {line}, column {column})", error.message))
    })
}

/// An error on its way out: each level that it leaves adds where it was.
#[derive(Debug)]
struct Error {
    message: String,
    at: Option<usize>,
    /// Innermost first.
    path: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

impl serde::de::Error for Error {
    fn custom<M: fmt::Display>(message: M) -> Error {
        Error {
            message: message.to_string(),
            at: None,
            path: Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn within(mut self, segment: Segment, at: usize) -> Error {
        self.at.get_or_insert(at);
        self.path.push(segment);
        self
    }
}

struct Reader<'de> {
    text: &'de str,
    /// The next byte.
    at: usize,
    depth: usize,
}

impl<'de> Reader<'de> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        Error::custom(match found {
            Some(found) => format!("expected {expected}, found {found:?}"),
            None => format!("expected {expected}, found the end"),
        })
    }

    /// Takes a byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, name: &str) -> Result<(), Error> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.unexpected(name)),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        match self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => Err(self.unexpected("a value")),
        }
    }

    /// The text of a number. Whether it is one that a plan can use is for the caller to say.
    fn number(&mut self) -> &'de str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .bytes()
            .take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        self.at += end;
        &rest[..end]
    }

    /// A string, whose opening quote was taken.
    fn string(&mut self) -> Result<Cow<'de, str>, Error> {
        let mut text = Cow::Borrowed("");
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest
                .bytes()
                .take_while(|byte| *byte != b'"' && *byte != b'\\' && *byte >= b' ')
                .count();
            match text.is_empty() {
                true => text = Cow::Borrowed(&rest[..plain]),
                false => text.to_mut().push_str(&rest[..plain]),
            }
            self.at += plain;
            match rest.as_bytes().get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escape()?;
                    text.to_mut().push(character);
                }
                Some(_) => {
                    return Err(Error::custom(
                        "a line or a control character inside quotes; write \\n for it",
                    ));
                }
                None => return Err(self.unexpected("closing quotes")),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, Error> {
        let kind = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        Ok(match kind {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut code = self.four_digits()?;
                if (0xd800..0xdc00).contains(&code) && self.word("\\u").is_ok() {
                    let low = self.four_digits()?;
                    code = 0x10000 + ((code - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                }
                char::from_u32(code).ok_or_else(|| Error::custom("\\u is followed by no character"))?
            }
            _ => {
                return Err(Error::custom(
                    "a backslash is followed by one of \" \\ / b f n r t u",
                ));
            }
        })
    }

    fn four_digits(&mut self) -> Result<u32, Error> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        self.at += 4;
        digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| Error::custom("\\u is followed by four digits"))
    }

    /// Reads what is between two brackets, not too deep.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Reader<'de>) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            return Err(Error::custom(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        self.at += 1;
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'n') => self.word("null").and_then(|()| visitor.visit_unit()),
            Some(b't') => self.word("true").and_then(|()| visitor.visit_bool(true)),
            Some(b'f') => self.word("false").and_then(|()| visitor.visit_bool(false)),
            Some(b'"') => {
                self.at += 1;
                match self.string()? {
                    Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                    Cow::Owned(text) => visitor.visit_string(text),
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number();
                match (number.parse::<u64>(), number.parse::<i64>()) {
                    (Ok(number), _) => visitor.visit_u64(number),
                    (_, Ok(number)) => visitor.visit_i64(number),
                    _ => Err(Error::invalid_type(
                        Unexpected::Other(&format!("number `{number}`")),
                        &visitor,
                    )),
                }
            }
            Some(b'[') => self.nested(|reader| {
                let value = visitor.visit_seq(Items { reader, index: 0 })?;
                reader.expect(b']', "`,` or `]`").map(|()| value)
            }),
            Some(b'{') => self.nested(|reader| {
                let value = visitor.visit_map(Fields {
                    reader,
                    key: None,
                    first: true,
                })?;
                reader.expect(b'}', "`,` or `}`").map(|()| value)
            }),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'n') => self.word("null").and_then(|()| visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Only `{}`: prices that are told apart by their order in a list are asking for a mistake.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'[') => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    /// `"variant"`, or `{"variant": value}`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'{') => self.nested(|reader| {
                let value = visitor.visit_enum(Variant { reader: &mut *reader })?;
                reader.expect(b'}', "`}`").map(|()| value)
            }),
            Some(b'"') => {
                self.at += 1;
                visitor.visit_enum(self.string()?.into_deserializer())
            }
            _ => Err(self.unexpected("a name in quotes")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
