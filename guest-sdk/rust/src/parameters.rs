//! Saying where a price list is wrong.

use std::fmt;

/// What is wrong with the parameters, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterError {
    /// A JSON pointer: `/models/gpt-5/output`. Empty: the parameters as a whole.
    pub pointer: String,
    /// What was expected and what was found, for the person who edits them.
    pub message: String,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

impl std::error::Error for ParameterError {}

/// A place in the parameters.
///
/// ```
/// use farebox_plan::Pointer;
/// let place = Pointer::root().key("models").key("a/b").index(0);
/// assert_eq!(place.error("is too large").to_string(), "/models/a~1b/0: is too large");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The parameters as a whole.
    pub fn root() -> Pointer {
        Pointer::default()
    }

    /// A field, or an entry by its key.
    pub fn key(&self, key: &str) -> Pointer {
        Pointer(format!(
            "{}/{}",
            self.0,
            key.replace('~', "~0").replace('/', "~1")
        ))
    }

    /// An entry of a list, counted from 0.
    pub fn index(&self, index: usize) -> Pointer {
        Pointer(format!("{}/{index}", self.0))
    }

    /// Something wrong here.
    pub fn error(&self, message: impl Into<String>) -> ParameterError {
        ParameterError {
            pointer: self.0.clone(),
            message: message.into(),
        }
    }
}
