//! Why there is no price. Refusing is an answer like any other, never a trap.

use std::fmt;

use crate::bindings::exports::farebox::plan::pricing as wit;

/// An amount left the range of 64 bits of 10^-9 units (9.2 * 10^9 units either way).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount is too large")
    }
}

impl std::error::Error for Overflow {}

/// What is wrong with a measure or an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is needed, and the event does not carry it.
    Missing,
    /// It is there, and the plan has no meaning for the value.
    Unknown,
    /// It is there, and outside the range that makes sense.
    OutOfRange,
}

/// Why an event has no price. The host refuses an authorize with it and keeps usage that happened as `unpriced`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// A measure or an attribute is missing or makes no sense.
    InvalidEvent {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: Problem,
        /// What would have been right, for the person who sent it.
        message: String,
    },
    /// Nothing in the parameters prices it: an unknown model, say. Other parameters may. Why, for people.
    Unpriceable(String),
    /// The amounts are too large.
    Overflow,
    /// The subscription's state does not allow it. Why, for people.
    NotAllowed(String),
}

impl Rejection {
    /// A field is needed and absent.
    pub fn missing(name: &str, message: impl Into<String>) -> Rejection {
        Rejection::InvalidEvent {
            name: name.to_string(),
            problem: Problem::Missing,
            message: message.into(),
        }
    }

    /// A field has a value that this plan does not know.
    pub fn unknown(name: &str, message: impl Into<String>) -> Rejection {
        Rejection::InvalidEvent {
            name: name.to_string(),
            problem: Problem::Unknown,
            message: message.into(),
        }
    }

    /// A field is outside the range that makes sense.
    pub fn out_of_range(name: &str, message: impl Into<String>) -> Rejection {
        Rejection::InvalidEvent {
            name: name.to_string(),
            problem: Problem::OutOfRange,
            message: message.into(),
        }
    }
}

impl From<Overflow> for Rejection {
    fn from(_: Overflow) -> Rejection {
        Rejection::Overflow
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::InvalidEvent {
                name,
                problem,
                message,
            } => {
                let problem = match problem {
                    Problem::Missing => "is missing",
                    Problem::Unknown => "has an unknown value",
                    Problem::OutOfRange => "is out of range",
                };
                write!(f, "{name} {problem}: {message}")
            }
            Rejection::Unpriceable(message) => write!(f, "no price: {message}"),
            Rejection::Overflow => fmt::Display::fmt(&Overflow, f),
            Rejection::NotAllowed(message) => write!(f, "not allowed: {message}"),
        }
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for wit::Rejection {
    fn from(rejection: Rejection) -> wit::Rejection {
        match rejection {
            Rejection::InvalidEvent {
                name,
                problem,
                message,
            } => {
                let problem = match problem {
                    Problem::Missing => wit::Invalid::Missing,
                    Problem::Unknown => wit::Invalid::Unknown,
                    Problem::OutOfRange => wit::Invalid::OutOfRange,
                };
                wit::Rejection::InvalidEvent(wit::InvalidField {
                    name,
                    problem,
                    message,
                })
            }
            Rejection::Unpriceable(message) => wit::Rejection::Unpriceable(message),
            Rejection::Overflow => wit::Rejection::Overflow,
            Rejection::NotAllowed(message) => wit::Rejection::NotAllowed(message),
        }
    }
}

impl From<wit::Rejection> for Rejection {
    fn from(rejection: wit::Rejection) -> Rejection {
        match rejection {
            wit::Rejection::InvalidEvent(wit::InvalidField {
                name,
                problem,
                message,
            }) => {
                let problem = match problem {
                    wit::Invalid::Missing => Problem::Missing,
                    wit::Invalid::Unknown => Problem::Unknown,
                    wit::Invalid::OutOfRange => Problem::OutOfRange,
                };
                Rejection::InvalidEvent {
                    name,
                    problem,
                    message,
                }
            }
            wit::Rejection::Unpriceable(message) => Rejection::Unpriceable(message),
            wit::Rejection::Overflow => Rejection::Overflow,
            wit::Rejection::NotAllowed(message) => Rejection::NotAllowed(message),
        }
    }
}
