//! What an amount is an amount of.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name of an asset.
pub const ASSET_BYTES_MAX: usize = 32;

/// What a wallet holds: money (`usd`) or units (`credits`, `build-credits`).
///
/// A name of lower-case letters, digits and hyphens that starts with a letter. A clone is a copy: each entry of each record
/// names an asset, and a counter that all threads share would cost more than the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asset {
    /// Zeros behind the name, which holds none: so this is ordered as the name is.
    bytes: [u8; ASSET_BYTES_MAX],
    length: u8,
}

/// Why a text is no asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not an asset: expected 1 to 32 of a-z, 0-9 and '-', starting with a letter, such as \"usd\""
)]
pub struct AssetError {
    name: String,
}

impl Asset {
    /// Checks the name.
    pub fn new(name: &str) -> Result<Asset, AssetError> {
        let letters = name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let mut bytes = [0; ASSET_BYTES_MAX];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(own), Ok(length)) if letters && begins => {
                own.copy_from_slice(name.as_bytes());
                Ok(Asset { bytes, length })
            }
            _ => Err(AssetError {
                name: name.chars().take(64).collect(),
            }),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // Letters, digits and hyphens: always text.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl FromStr for Asset {
    type Err = AssetError;
    fn from_str(name: &str) -> Result<Asset, AssetError> {
        Asset::new(name)
    }
}

impl Borrow<str> for Asset {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// As the name, so that a map by asset is asked by name.
impl Hash for Asset {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Asset, D::Error> {
        deserializer.deserialize_str(ReadAsset)
    }
}

/// Reads a name from text as it lies there.
struct ReadAsset;

impl Visitor<'_> for ReadAsset {
    type Value = Asset;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Asset, E> {
        Asset::new(name).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["usd", "credits", "build-credits", "a", "x1"] {
            assert_eq!(Asset::new(good).map(|a| a.to_string()), Ok(good.to_string()));
        }
        let asset = Asset::new("build-credits").unwrap();
        assert_eq!(
            (asset.as_str(), &format!("{asset:?}")[..]),
            ("build-credits", "build-credits")
        );
        // A map by asset is asked by name.
        let map = std::collections::BTreeMap::from([(asset.clone(), 1), (Asset::new("usd").unwrap(), 2)]);
        assert_eq!(
            [map.get("usd"), map.get("build-credits"), map.get("eur")],
            [Some(&2), Some(&1), None]
        );
        let set = std::collections::HashSet::from([asset]);
        assert!(set.contains("build-credits") && !set.contains("build"));
        let longest = "a".repeat(ASSET_BYTES_MAX);
        assert_eq!(Asset::new(&longest).unwrap().as_str(), longest);
        let mut ordered = ["ab-", "b", "a", "ab", "a0", "a-"].map(|name| Asset::new(name).unwrap());
        ordered.sort();
        assert_eq!(
            ordered.each_ref().map(Asset::as_str),
            ["a", "a-", "a0", "ab", "ab-", "b"]
        );
        for bad in ["", "USD", "1x", "-a", "a b", "ü", &"a".repeat(33)] {
            assert!(Asset::new(bad).is_err(), "{bad}");
        }
    }
}
