//! Saying where a price list is wrong.

use std::fmt;

use farebox_money::Nanos;

use crate::{Asset, Decimal, Per, Rate};

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

    /// The amount that stands here, which must be 0 or more; where it is not, that is noted, and the amount is nothing.
    ///
    /// ```
    /// use farebox_plan::{Nanos, Pointer};
    /// let (place, mut wrong) = (Pointer::root().key("fee"), Vec::new());
    /// assert_eq!(place.amount("20".parse().unwrap(), &mut wrong), Nanos::units(20));
    /// assert_eq!(place.amount("-1".parse().unwrap(), &mut wrong), Nanos::ZERO);
    /// assert_eq!(wrong[0].to_string(), "/fee: expected 0 or more, found -1");
    /// ```
    pub fn amount(&self, value: Decimal, wrong: &mut Vec<ParameterError>) -> Nanos {
        match value.amount() {
            Ok(amount) if !amount.is_negative() => return amount,
            Ok(_) => wrong.push(self.error(format!("expected 0 or more, found {value}"))),
            Err(error) => wrong.push(self.error(error.to_string())),
        }
        Nanos::ZERO
    }

    /// The price that stands here, for so many units, which must be 0 or more; where it is not, that is noted, and the price is
    /// nothing.
    pub fn rate(&self, price: Decimal, per: Per, wrong: &mut Vec<ParameterError>) -> Rate {
        match Rate::new(price, per) {
            Ok(rate) if !rate.is_negative() => return rate,
            Ok(_) => wrong.push(self.error(format!("expected 0 or more, found {price}"))),
            Err(error) => wrong.push(self.error(error.to_string())),
        }
        Rate::FREE
    }

    /// The asset whose name stands here, which must be one of these; where it is not, that is noted.
    pub fn asset(&self, name: &str, among: &[Asset], wrong: &mut Vec<ParameterError>) -> Option<Asset> {
        let found = among.iter().find(|asset| asset.name() == name).copied();
        if found.is_none() {
            let known: Vec<&str> = among.iter().map(|asset| asset.name()).collect();
            wrong.push(self.error(format!("expected one of {}, found {name:?}", known.join(", "))));
        }
        found
    }

    /// Something wrong here.
    pub fn error(&self, message: impl Into<String>) -> ParameterError {
        ParameterError {
            pointer: self.0.clone(),
            message: message.into(),
        }
    }
}
