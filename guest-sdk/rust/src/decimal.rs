//! The numbers of a price list, exactly as they were written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use farebox_money::Nanos;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most digits, before and behind the point together, that a decimal in parameters may have.
pub const DECIMAL_DIGITS_MAX: usize = 18;

/// A decimal number in parameters: `"0.30"`, `"1.8"`, `"-2"`.
///
/// It is text in JSON (two integers in prepared parameters), in quotes, because a JSON number passes through a
/// float in most programs that write it, and
/// 0.1 is none. There is no arithmetic here that could round: it becomes a [`Rate`](crate::Rate) or an amount.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// The digits, without trailing zeros behind the point.
    mantissa: i64,
    /// How many of the digits stand behind the point.
    scale: u8,
}

/// Why a text is no [`Decimal`]. The message reads on from the text: "`abc` is not ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecimalError(String);

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecimalError {}

impl Decimal {
    /// Nothing.
    pub const ZERO: Decimal = Decimal {
        mantissa: 0,
        scale: 0,
    };

    /// Multiplies without changing anything.
    pub const ONE: Decimal = Decimal {
        mantissa: 1,
        scale: 0,
    };

    /// The value is `mantissa * 10^-scale`; the pair is the smallest one.
    pub const fn parts(self) -> (i64, u32) {
        (self.mantissa, self.scale as u32)
    }

    /// As an amount of 10^-9 units: a fee, a number of credits. More than nine decimals are an error, not a rounding.
    ///
    /// ```
    /// use farebox_plan::Decimal;
    /// let fee: Decimal = "19.90".parse().unwrap();
    /// assert_eq!(fee.amount().unwrap().to_string(), "19.9");
    /// assert!("0.0000000001".parse::<Decimal>().unwrap().amount().is_err());
    /// ```
    pub fn amount(self) -> Result<Nanos, DecimalError> {
        let up = 9u32.checked_sub(self.scale.into());
        let up = up.ok_or_else(|| DecimalError(format!("{self} has more than 9 decimals")))?;
        // At most 10^18 * 10^9: fits.
        Ok(Nanos::new(i128::from(self.mantissa) * 10i128.pow(up)))
    }

    /// Less than nothing.
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Decimal, DecimalError> {
        let wrong = || DecimalError(format!("{text:?} is not a decimal number such as \"0.30\""));
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        let fraction = fraction.trim_end_matches('0');
        if whole.len() + fraction.len() > DECIMAL_DIGITS_MAX {
            return Err(DecimalError(format!(
                "{text:?} has more than {DECIMAL_DIGITS_MAX} digits"
            )));
        }
        let value = |part: &str| {
            part.bytes()
                .fold(0i64, |value, byte| value * 10 + i64::from(byte - b'0'))
        };
        let scale = fraction.bytes().fold(0u8, |scale, _| scale + 1);
        let mantissa = value(whole) * 10i64.pow(scale.into()) + value(fraction);
        Ok(Decimal {
            mantissa: if unsigned.len() < text.len() {
                -mantissa
            } else {
                mantissa
            },
            scale,
        })
    }
}

impl fmt::Display for Decimal {
    /// The shortest text that parses back to the same number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        let power = 10u64.pow(self.scale.into());
        let magnitude = self.mantissa.unsigned_abs();
        write!(f, "{}", magnitude / power)?;
        match self.scale {
            0 => Ok(()),
            scale => write!(f, ".{:0width$}", magnitude % power, width = usize::from(scale)),
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => (self.mantissa, self.scale).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number in quotes, such as \"0.30\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(Text);
        }
        let (mantissa, scale) = Deserialize::deserialize(deserializer)?;
        Ok(Decimal { mantissa, scale })
    }
}

impl schemars::JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Decimal")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "description": "A decimal number in quotes, exact: \"0.30\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_exactly_and_printed_short() {
        for (text, parts, printed) in [
            ("0", (0, 0), "0"),
            ("0.30", (3, 1), "0.3"),
            ("-2", (-2, 0), "-2"),
            ("-0.005", (-5, 3), "-0.005"),
            ("100", (100, 0), "100"),
            ("22.50", (225, 1), "22.5"),
            ("1.000000000001", (1_000_000_000_001, 12), "1.000000000001"),
            (
                "999999999999999999",
                (999_999_999_999_999_999, 0),
                "999999999999999999",
            ),
        ] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(
                (decimal.parts(), decimal.to_string().as_str()),
                (parts, printed),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1e3",
            "1,5",
            " 1",
            "+1",
            "١",
            &"9".repeat(19),
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_json_number_is_refused_with_advice() {
        let error = serde_json::from_str::<Decimal>("0.30").unwrap_err().to_string();
        assert!(error.contains("in quotes"), "{error}");
    }
}
