//! What one unit costs.

use std::cmp::Ordering;
use std::fmt;

use farebox_money::{Nanos, Rounding, multiply_divide};
use serde::{Deserialize, Serialize};

use crate::{Decimal, Overflow};

/// Most decimals of the price of **one** unit: twelve for a price per million.
pub const RATE_DECIMALS_MAX: u32 = 18;

/// 10^0 to 10^[`RATE_DECIMALS_MAX`].
const POWERS: [u64; RATE_DECIMALS_MAX as usize + 1] = {
    let mut powers = [1; RATE_DECIMALS_MAX as usize + 1];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// How many units a price of the price list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u32)]
pub enum Per {
    /// "0.99 per outcome".
    Unit = 0,
    /// "0.30 per 1,000 credits".
    Thousand = 3,
    /// "3.00 per million tokens".
    Million = 6,
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Per::Unit => "each",
            Per::Thousand => "per thousand",
            Per::Million => "per million",
        })
    }
}

/// The exact price of one unit, as it stands in prepared parameters: a handful of bytes, no text.
///
/// Multiplying a rate loses nothing; an amount is rounded once, half to even, at 10^-9.
///
/// ```
/// use farebox_plan::{Nanos, Per, Rate};
/// let rate = Rate::new("3.00".parse().unwrap(), Per::Million).unwrap();
/// assert_eq!(rate.times("0.5".parse().unwrap()).unwrap().price(Nanos::units(1200)).unwrap().to_string(), "0.0018");
/// ```
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Rate {
    /// The price of one unit is `mantissa * 10^-scale`.
    mantissa: i64,
    /// At most [`RATE_DECIMALS_MAX`].
    scale: u8,
}

/// A price that is too precise or too large to be exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateError;

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the price of one unit must have at most {RATE_DECIMALS_MAX} decimals and 18 digits"
        )
    }
}

impl std::error::Error for RateError {}

impl Rate {
    /// Costs nothing.
    pub const FREE: Rate = Rate {
        mantissa: 0,
        scale: 0,
    };

    /// `price` for so many units.
    pub fn new(price: Decimal, per: Per) -> Result<Rate, RateError> {
        let (mantissa, scale) = price.parts();
        Rate::exact(mantissa.into(), scale + per as u32)
    }

    /// The rate with a multiplier on it ("half in a batch": `0.5`), exactly.
    pub fn times(self, multiplier: Decimal) -> Result<Rate, RateError> {
        let (mantissa, scale) = multiplier.parts();
        let product = i128::from(self.mantissa) * i128::from(mantissa); // 64 bits times 64: fits
        Rate::exact(product, u32::from(self.scale) + scale)
    }

    /// Gives up trailing zeros only where they are in the way: this runs while an event is priced.
    fn exact(mut mantissa: i128, mut scale: u32) -> Result<Rate, RateError> {
        loop {
            if scale <= RATE_DECIMALS_MAX
                && let (Ok(mantissa), Ok(scale)) = (i64::try_from(mantissa), u8::try_from(scale))
            {
                return Ok(Rate { mantissa, scale });
            }
            if scale == 0 || mantissa % 10 != 0 {
                return Err(RateError);
            }
            mantissa /= 10;
            scale -= 1;
        }
    }

    /// What `quantity` costs, rounded half to even at 10^-9.
    pub fn price(self, quantity: Nanos) -> Result<Nanos, Overflow> {
        self.rounded(quantity, Rounding::HalfEven)
    }

    /// What `quantity` costs at most, rounded up: for worst cases.
    pub fn price_at_most(self, quantity: Nanos) -> Result<Nanos, Overflow> {
        self.rounded(quantity, Rounding::Ceiling)
    }

    fn rounded(self, quantity: Nanos, rounding: Rounding) -> Result<Nanos, Overflow> {
        let power = POWERS[usize::from(self.scale)];
        // Nearly every price fits 64 bits, where a division costs a tenth of one in 128.
        if let (Ok(quantity), Ok(mantissa)) = (u64::try_from(quantity.get()), u64::try_from(self.mantissa))
            && let Some(product) = quantity.checked_mul(mantissa)
        {
            let floor = product / power;
            let rest = product - floor * power;
            let up = match rounding {
                Rounding::Floor => false,
                Rounding::Ceiling => rest > 0,
                Rounding::HalfEven => match rest.cmp(&(power - rest)) {
                    Ordering::Less => false,
                    Ordering::Equal => floor % 2 == 1,
                    Ordering::Greater => true,
                },
            };
            return Ok(Nanos::new(i128::from(floor) + i128::from(up)));
        }
        multiply_divide(
            quantity.get(),
            i128::from(self.mantissa),
            i128::from(power),
            rounding,
        )
        .map(Nanos::new)
        .ok_or(Overflow)
    }

    /// Whether whole units always come to a whole number of 10^-9, so that no amount of them is ever rounded.
    pub const fn is_exact_for_whole_units(self) -> bool {
        self.scale <= 9
    }

    /// Costs nothing.
    pub const fn is_free(self) -> bool {
        self.mantissa == 0
    }

    /// Less than nothing: no price list means that.
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The price as a person reads it, for so many units: `3.75` of "3.75 per million".
    pub fn text(self, per: Per) -> String {
        let (mut mantissa, mut scale) = (i128::from(self.mantissa), u32::from(self.scale));
        let places = per as u32;
        mantissa *= 10i128.pow(places.saturating_sub(scale));
        scale = scale.saturating_sub(places);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        let power = 10u128.pow(scale);
        let (sign, magnitude) = (if mantissa < 0 { "-" } else { "" }, mantissa.unsigned_abs());
        match scale {
            0 => format!("{sign}{magnitude}"),
            _ => format!(
                "{sign}{}.{:0width$}",
                magnitude / power,
                magnitude % power,
                width = scale as usize
            ),
        }
    }

    /// For how many units a person would say the price: nobody says "0.000003 a token".
    pub fn natural(self) -> Per {
        let (whole, decimals) = (self.text(Per::Unit), 4);
        match whole
            .split_once('.')
            .is_some_and(|(_, fraction)| fraction.len() > decimals)
        {
            true => Per::Million,
            false => Per::Unit,
        }
    }

    /// Mantissa and scale, for sums of several rates.
    pub(crate) const fn parts(self) -> (i64, u32) {
        (self.mantissa, self.scale as u32)
    }
}

impl Ord for Rate {
    fn cmp(&self, other: &Rate) -> Ordering {
        // At most 2^63 * 10^18: fits.
        let scaled = |rate: &Rate, by: u8| i128::from(rate.mantissa) * 10i128.pow(u32::from(by));
        scaled(self, other.scale).cmp(&scaled(other, self.scale))
    }
}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Rate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rate {
    fn eq(&self, other: &Rate) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rate {}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Per::Unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(price: &str, per: Per) -> Rate {
        Rate::new(price.parse().unwrap(), per).unwrap()
    }

    fn price(price: &str, per: Per, quantity: &str) -> String {
        rate(price, per)
            .price(quantity.parse().unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn prices_by_hand() {
        assert_eq!(price("3.00", Per::Million, "1200"), "0.0036");
        assert_eq!(price("0.30", Per::Thousand, "1500"), "0.45");
        assert_eq!(price("0.99", Per::Unit, "2"), "1.98");
        // 0.0025 per million is 2.5 nanos a token: a tie goes to the even side
        assert_eq!(price("0.0025", Per::Million, "1"), "0.000000002");
        assert_eq!(price("0.0025", Per::Million, "3"), "0.000000008");
        assert_eq!(price("0.0025", Per::Million, "1000"), "0.0000025");
    }

    #[test]
    fn multipliers_are_exact_or_refused() {
        let rate = rate("1.25", Per::Million);
        assert_eq!(
            rate.times("1.8".parse().unwrap()).unwrap().text(Per::Million),
            "2.25"
        );
        assert_eq!(
            rate.times("0.0000000001".parse().unwrap()),
            Ok(Rate {
                mantissa: 125,
                scale: 18
            })
        );
        assert_eq!(rate.times("0.00000000011".parse().unwrap()), Err(RateError));
        assert_eq!(
            Rate::new("0.1000000000001".parse().unwrap(), Per::Million),
            Err(RateError)
        );
    }

    #[test]
    fn text_is_what_the_price_list_says() {
        for (text, per) in [
            ("3.75", Per::Million),
            ("0.005", Per::Million),
            ("500", Per::Thousand),
            ("0.99", Per::Unit),
        ] {
            assert_eq!(rate(text, per).text(per), text);
        }
        assert_eq!(rate("3", Per::Million).text(Per::Unit), "0.000003");
    }

    #[test]
    fn what_does_not_fit_is_an_overflow() {
        assert_eq!(
            rate("999999999999999999", Per::Unit).price(Nanos::new(i128::MAX / 2)),
            Err(Overflow)
        );
    }

    proptest! {
        #[test]
        fn the_short_way_equals_the_long_way(quantity in 0i64.., mantissa in 0i64.., scale in 0u8..=18, up in any::<bool>()) {
            let rounding = if up { Rounding::Ceiling } else { Rounding::HalfEven };
            let rate = Rate { mantissa, scale };
            let long = multiply_divide(quantity.into(), mantissa.into(), 10i128.pow(scale.into()), rounding);
            prop_assert_eq!(rate.rounded(Nanos::from(quantity), rounding).ok(), long.map(Nanos::new));
            let small = Rate { mantissa: mantissa % 100_000, scale };
            let quantity = quantity % 10_000_000_000_000;
            let long = multiply_divide(quantity.into(), small.mantissa.into(), 10i128.pow(scale.into()), rounding);
            prop_assert_eq!(small.rounded(Nanos::from(quantity), rounding).ok(), long.map(Nanos::new));
        }

        #[test]
        fn order_is_that_of_prices(a in any::<i32>(), b in any::<i32>(), s in 0u8..=9, t in 0u8..=9) {
            let (left, right) = (Rate { mantissa: a.into(), scale: s }, Rate { mantissa: b.into(), scale: t });
            let exact = |rate: Rate| i128::from(rate.mantissa) * 10i128.pow(18 - u32::from(rate.scale));
            prop_assert_eq!(left.cmp(&right), exact(left).cmp(&exact(right)));
        }
    }
}
