//! Exact numbers: decimal strings where it is money, numbers or decimal strings where it is usage.

use std::fmt;

use farebox_money::{Asset, Nanos, NanosText};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

const DECIMAL: &str = r"^-?[0-9]+(\.[0-9]{1,9})?$";

/// An amount as a decimal string, exact to nine decimals. A JSON number is refused: on its way through a program's
/// floating point it could have lost a digit already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub Nanos);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(NanosText::default().write(self.0))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount as a decimal string such as \"12.50\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                text.parse()
                    .map(Amount)
                    .map_err(|e| E::custom(format!("the amount {}: {e}", shown(text))))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(DECIMAL))
            .description(Some(
                "A decimal string, exact to nine decimals. More decimals are an error, not a rounding.",
            ))
            .examples(["0.0366"])
            .into()
    }
}

impl ToSchema for Amount {}

/// An amount of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct AssetAmount {
    /// Which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
}

impl AssetAmount {
    /// Each asset with its amount.
    pub fn list(amounts: &[(Asset, Nanos)]) -> Vec<AssetAmount> {
        let one = |(asset, amount): &(Asset, Nanos)| AssetAmount {
            asset: asset.clone(),
            amount: Amount(*amount),
        };
        amounts.iter().map(one).collect()
    }
}

/// A measure: a JSON number or a decimal string, read from its text, so that `0.1` is a tenth and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact(pub Nanos);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Exact, D::Error> {
        // The text of a number survives in `serde_json::Value` alone: everything else would go through floating point.
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text,
            other => {
                let found = kind_of(&other);
                return Err(D::Error::custom(format!(
                    "expected a number or a decimal string, found {found}"
                )));
            }
        };
        text.parse()
            .map(Exact)
            .map_err(|e| D::Error::custom(format!("the number {}: {e}", shown(&text))))
    }
}

impl PartialSchema for Exact {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(DECIMAL));
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Number))
            .item(text)
            .description(Some(
                "A number or a decimal string, read from its text: exact to nine decimals.",
            ))
            .into()
    }
}

impl ToSchema for Exact {}

/// What kind of JSON a value is.
pub(crate) fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "an object",
    }
}

/// Enough of a text to recognise it, quoted.
pub(crate) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(json: &str) -> Result<i128, String> {
        serde_json::from_str::<Exact>(json)
            .map(|e| e.0.get())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn measures_are_read_from_their_text() {
        for (json, nanos) in [
            ("0.1", 100_000_000),
            ("\"0.1\"", 100_000_000),
            ("1e-9", 1),
            ("0.000000001", 1),
            ("0.100000001", 100_000_001),
            ("1200", 1_200_000_000_000),
            ("1.2E3", 1_200_000_000_000),
            ("9007199254740993", 9_007_199_254_740_993_000_000_000), // 2^53 + 1 has no double
            (
                "123456789012345678.123456789",
                123_456_789_012_345_678_123_456_789,
            ),
            ("-3", -3_000_000_000),
        ] {
            assert_eq!(exact(json), Ok(nanos), "{json}");
        }
    }

    #[test]
    fn what_is_no_exact_number_is_refused() {
        for (json, said) in [
            ("0.0000000001", "more than nine decimals"),
            ("1e-10", "more than nine decimals"),
            ("1e99", "too large"),
            ("\"1,5\"", "found ','"),
            ("\"\"", "found nothing"),
            ("null", "found null"),
            ("true", "found a boolean"),
            ("[1]", "found an array"),
            ("{}", "found an object"),
        ] {
            let error = exact(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }

    #[test]
    fn money_is_a_string_both_ways() {
        let sum = ["0.1", "0.000000001", "1e-9"]
            .map(|text| serde_json::from_str::<Amount>(&format!("\"{text}\"")).unwrap().0);
        let sum = Nanos::checked_sum(sum).unwrap();
        assert_eq!(serde_json::to_string(&Amount(sum)).unwrap(), "\"0.100000002\"");
        let error = serde_json::from_str::<Amount>("0.1").unwrap_err().to_string();
        assert!(error.contains("decimal string"), "{error}");
    }
}
