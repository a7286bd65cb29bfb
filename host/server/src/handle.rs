//! A hold's handle: opaque to callers, and all that is needed to find the hold again.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_record::ids::{CustomerId, EventId, Source};
use farebox_record::plan::EventRef;

const PREFIX: &str = "hold_";

/// Names a hold: the customer whose wallet it is in, and the event that it was opened for. Names hold no zero byte, so a
/// zero separates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldHandle {
    /// Whose.
    pub customer: CustomerId,
    /// For which event.
    pub event: EventRef,
}

/// A text that no authorize ever answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a hold")]
pub struct HandleError;

impl fmt::Display for HoldHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = format!("{}\0{}\0{}", self.customer, self.event.source, self.event.id);
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(named))
    }
}

impl FromStr for HoldHandle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<HoldHandle, HandleError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(HandleError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| HandleError)?;
        let named = String::from_utf8(bytes).map_err(|_| HandleError)?;
        let mut names = named.split('\0');
        let mut next = || names.next().ok_or(HandleError);
        let handle = HoldHandle {
            customer: CustomerId::new(next()?).map_err(|_| HandleError)?,
            event: EventRef {
                source: Source::new(next()?).map_err(|_| HandleError)?,
                id: EventId::new(next()?).map_err(|_| HandleError)?,
            },
        };
        match names.next() {
            None => Ok(handle),
            Some(_) => Err(HandleError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(customer: &str, source: &str, id: &str) -> HoldHandle {
        HoldHandle {
            customer: CustomerId::new(customer).unwrap(),
            event: EventRef {
                source: Source::new(source).unwrap(),
                id: EventId::new(id).unwrap(),
            },
        }
    }

    #[test]
    fn a_handle_is_read_back() {
        for handle in [
            handle("acme", "api", "call-1"),
            handle("a/b", "urn:x", &"i".repeat(128)),
        ] {
            assert_eq!(handle.to_string().parse(), Ok(handle.clone()));
            assert!(
                handle
                    .to_string()
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            );
        }
    }

    #[test]
    fn anything_else_is_no_handle() {
        let encode = |text: &str| format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(text));
        for text in [
            "",
            "hold_",
            "hold_!!",
            "call-1",
            &encode("a"),
            &encode("a\0b"),
            &encode("a\0b\0c\0d"),
            &encode("a\0\0c"),
        ] {
            assert_eq!(text.parse::<HoldHandle>(), Err(HandleError), "{text}");
        }
    }
}
