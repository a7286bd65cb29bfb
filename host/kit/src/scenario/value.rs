//! Amounts, counts and instants as people write them.

use std::fmt;
use std::str::FromStr;

use farebox_money::{Asset, Nanos};
use farebox_record::time::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use toml::value::Datetime;

/// An amount with its asset: `"0.0366 usd"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// How much.
    pub amount: Nanos,
    /// Of what.
    pub asset: Asset,
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Money, String> {
        let (amount, asset) = text.split_once(' ').ok_or_else(|| {
            format!("expected an amount and its asset, such as \"0.0366 usd\", found {text:?}")
        })?;
        Ok(Money {
            amount: amount.parse().map_err(|error| format!("{amount:?}: {error}"))?,
            asset: asset
                .trim_start()
                .parse()
                .map_err(|error: farebox_money::AssetError| error.to_string())?,
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.asset)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// A number without an asset: `20_000`, or `"0.5"` in quotes where it has decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub Nanos);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a decimal number in quotes such as \"0.5\"")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Count, E> {
                Ok(Count(Nanos::units(value)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
                text.parse()
                    .map(Count)
                    .map_err(|error| E::custom(format_args!("{text:?}: {error}")))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// An instant: `2026-03-01T09:00:00Z`, or `2026-03-01` for 00:00 UTC of that day. Without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub Timestamp);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<At, D::Error> {
        let written = Datetime::deserialize(deserializer)?;
        let text = match (written.date, written.time, written.offset) {
            (Some(date), None, None) => format!("{date}T00:00:00Z"),
            (Some(_), Some(_), Some(_)) => written.to_string(),
            _ => {
                let message =
                    "expected a date, or a date and time with its offset, such as 2026-03-01T09:00:00Z";
                return Err(D::Error::custom(message));
            }
        };
        text.parse()
            .map(At)
            .map_err(|error| D::Error::custom(format_args!("{error}")))
    }
}
