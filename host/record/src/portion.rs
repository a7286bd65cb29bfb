//! Grants that are taken in portions.

use std::collections::BTreeSet;

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::ids::{GrantId, Hash};

/// That a grant is taken in portions: an event may burn the portion of its value of an attribute, and nothing else of the grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Each {
    /// The attribute.
    pub attribute: String,
    /// How much each of its values gets, as long as there is so much; more than zero.
    pub amount: Nanos,
}

/// A grant of which each value of an attribute has one portion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portions {
    /// Of which attribute, and how much.
    pub each: Each,
    /// Those that were opened.
    pub opened: BTreeSet<PortionKey>,
}

/// Names one portion of one grant: the first half of the hash of the grant's id and the attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortionKey([u8; 16]);

impl PortionKey {
    /// The portion of `grant` for a value of its attribute.
    pub fn new(grant: &GrantId, value: &str) -> PortionKey {
        // Ids hold no zero byte.
        let Hash(hash) = Hash::of(format!("{grant}\0{value}").as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        PortionKey(key)
    }

    /// Under which id it is in the wallet: `portion:` and the key in hexadecimal.
    #[expect(clippy::expect_used, reason = "hexadecimal digits are a name")]
    pub fn id(&self) -> GrantId {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        GrantId::new(&format!("portion:{digits}")).expect("a name")
    }

    /// The key of a portion by its id.
    pub fn of(id: &GrantId) -> Option<PortionKey> {
        let digits = id.as_str().strip_prefix("portion:")?;
        let mut key = [0; 16];
        if digits.len() != 2 * key.len() || !digits.is_ascii() {
            return None;
        }
        for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        Some(PortionKey(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_known_by_its_id() {
        let grant = GrantId::new("seats").unwrap();
        let (ada, ben) = (PortionKey::new(&grant, "ada"), PortionKey::new(&grant, "ben"));
        assert_ne!(ada, ben);
        assert_ne!(ada, PortionKey::new(&GrantId::new("seatsada").unwrap(), ""));
        assert_eq!(PortionKey::of(&ada.id()), Some(ada));
        for other in [
            "seats",
            "portion:",
            "portion:00",
            &format!("portion:{}", "x".repeat(32)),
        ] {
            assert_eq!(PortionKey::of(&GrantId::new(other).unwrap()), None, "{other}");
        }
    }
}
