//! Names of things. Each is a type of its own, so that no customer can be passed where a hold is meant.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// Longest name, in bytes, of anything that a caller names.
pub const NAME_BYTES_MAX: usize = 128;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("{what} must not be empty")]
    Empty {
        /// What was named.
        what: &'static str,
    },
    /// It is longer than [`NAME_BYTES_MAX`] bytes.
    #[error("{what} has {length} bytes; the limit is 128")]
    TooLong {
        /// What was named.
        what: &'static str,
        /// How long it is.
        length: usize,
    },
    /// It holds a character that does not belong in a name.
    #[error("{what} holds {found:?}; letters, digits and . _ - : / @ + = | ~ are allowed")]
    Unexpected {
        /// What was named.
        what: &'static str,
        /// The first character that does not belong.
        found: char,
    },
}

fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong {
            what,
            length: text.len(),
        });
    }
    // Names are read with each event, and nearly all are right: byte by byte first, then what is wrong.
    if text.bytes().all(|byte| IN_NAMES[usize::from(byte)]) {
        return Ok(());
    }
    match text
        .chars()
        .find(|c| !u8::try_from(*c).is_ok_and(|byte| IN_NAMES[usize::from(byte)]))
    {
        Some(found) => Err(NameError::Unexpected { what, found }),
        None => Ok(()),
    }
}

/// The bytes that names are made of.
const IN_NAMES: [bool; 256] = {
    let mut allowed = [false; 256];
    let (mut byte, others) = (0_u8, b"._-:/@+=|~");
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut other = 0;
    while other < others.len() {
        allowed[others[other] as usize] = true;
        other += 1;
    }
    allowed
};

/// Reads a name from text as it lies there: it is copied once, into the name.
struct ReadName<T>(PhantomData<T>);

impl<T: FromStr<Err = NameError>> Visitor<'_> for ReadName<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the name: 1 to 128 bytes of letters, digits and `. _ - : / @ + = | ~`.
            pub fn new(text: &str) -> Result<$name, NameError> {
                check($what, text)?;
                Ok($name(Arc::from(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<$name, NameError> {
                $name::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                deserializer.deserialize_str(ReadName(PhantomData))
            }
        }
    };
}

name!(
    /// An organisation that runs on this Farebox. Nothing crosses from one to another.
    TenantId, "tenant"
);
name!(
    /// Who pays. A customer has exactly one wallet.
    CustomerId, "customer"
);
name!(
    /// The caller's id of an event; unique with its [`Source`] within a customer.
    EventId, "event id"
);
name!(
    /// Where an event comes from (the CloudEvents `source`); `api` when the caller names none.
    Source, "source"
);
name!(
    /// The type of an event: `llm.call`.
    EventType, "event type"
);
name!(
    /// A subscription of a customer to a plan.
    SubscriptionId, "subscription"
);
name!(
    /// A grant's id, made by the caller or derived from what gave it.
    GrantId, "grant"
);
name!(
    /// A plan's name on its timeline.
    PlanName, "plan"
);
name!(
    /// A spending limit of a customer.
    LimitName, "limit"
);
name!(
    /// The caller's id of anything that has no better name: a settlement, an extension, an idempotency key.
    CallId, "id"
);

/// BLAKE3 of some content.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Hash> {
        blake3::Hash::from_hex(text).ok().map(|h| Hash(*h.as_bytes()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex()[..12])
    }
}

/// One version of a plan's behaviour: which code, with which parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RevisionHash {
    /// Of the component's bytes.
    pub component: Hash,
    /// Of the parameters' text.
    pub parameters: Hash,
}

impl fmt::Display for RevisionHash {
    /// Twelve digits of each, for people: `3f2a...-90bc...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-{:?}", self.component, self.parameters)
    }
}
