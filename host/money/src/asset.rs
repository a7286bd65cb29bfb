//! What an amount is an amount of.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest name of an asset.
pub const ASSET_BYTES_MAX: usize = 32;

/// What a wallet holds: money (`usd`) or units (`credits`, `build-credits`).
///
/// A name of lower-case letters, digits and hyphens that starts with a letter. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Asset(Arc<str>);

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
        if letters && begins && name.len() <= ASSET_BYTES_MAX {
            Ok(Asset(Arc::from(name)))
        } else {
            Err(AssetError {
                name: name.chars().take(64).collect(),
            })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
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
        &self.0
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Asset, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Asset::new(&name).map_err(serde::de::Error::custom)
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
        let map = std::collections::BTreeMap::from([(asset, 1), (Asset::new("usd").unwrap(), 2)]);
        assert_eq!(
            [map.get("usd"), map.get("build-credits"), map.get("eur")],
            [Some(&2), Some(&1), None]
        );
        for bad in ["", "USD", "1x", "-a", "a b", "ü", &"a".repeat(33)] {
            assert!(Asset::new(bad).is_err(), "{bad}");
        }
    }
}
