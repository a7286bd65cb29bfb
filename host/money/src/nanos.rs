//! The one number type of the ledger.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many [`Nanos`] make one unit (one dollar, one credit, one token).
pub const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// Decimals that an amount can carry. A tenth one is an error, never a rounding.
const DECIMALS_MAX: i32 = 9;

/// An exact amount: a whole number of 10^-9 units, up to about +-1.7 * 10^29 units.
///
/// Plans see amounts as `s64` (+-9.2 * 10^9 units); the host sums in 128 bits, so no realistic sum overflows, and every
/// operation is checked all the same. On the wire an amount is a decimal string:
///
/// ```
/// use farebox_money::Nanos;
/// let price: Nanos = "0.0366".parse().unwrap();
/// assert_eq!(price, Nanos::new(36_600_000));
/// assert_eq!(price.to_string(), "0.0366");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(i128);

impl Nanos {
    /// Nothing.
    pub const ZERO: Nanos = Nanos(0);

    /// `nanos` times 10^-9 units.
    pub const fn new(nanos: i128) -> Nanos {
        Nanos(nanos)
    }

    /// Whole units: `Nanos::units(20)` is twenty dollars.
    pub const fn units(units: i64) -> Nanos {
        Nanos(units as i128 * NANOS_PER_UNIT)
    }

    /// The number of 10^-9 units.
    pub const fn get(self) -> i128 {
        self.0
    }

    /// As a plan sees it, or none when it is outside the 64 bits of the plan contract.
    pub fn to_plan(self) -> Option<i64> {
        i64::try_from(self.0).ok()
    }

    /// Sum, or none on overflow.
    pub const fn checked_add(self, other: Nanos) -> Option<Nanos> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Nanos(sum)),
            None => None,
        }
    }

    /// Difference, or none on overflow.
    pub const fn checked_sub(self, other: Nanos) -> Option<Nanos> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Nanos(difference)),
            None => None,
        }
    }

    /// So many times the amount, or none on overflow.
    pub const fn checked_times(self, count: u32) -> Option<Nanos> {
        match self.0.checked_mul(count as i128) {
            Some(product) => Some(Nanos(product)),
            None => None,
        }
    }

    /// The same amount on the other side of an entry, or none for the one value that has no opposite.
    pub const fn checked_neg(self) -> Option<Nanos> {
        match self.0.checked_neg() {
            Some(opposite) => Some(Nanos(opposite)),
            None => None,
        }
    }

    /// Sum of many, or none on overflow.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Nanos>) -> Option<Nanos> {
        amounts.into_iter().try_fold(Nanos::ZERO, Nanos::checked_add)
    }

    /// More than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Exactly nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<i64> for Nanos {
    /// From the `s64` of the plan contract, which counts 10^-9 units too.
    fn from(nanos: i64) -> Nanos {
        Nanos(i128::from(nanos))
    }
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// There is no digit.
    #[error("expected a decimal number such as \"12.50\", found nothing")]
    Empty,
    /// Something that is not part of a decimal number.
    #[error("expected a decimal number such as \"12.50\", found {found:?} at character {at}")]
    Unexpected {
        /// What was found.
        found: char,
        /// Where, counted from 1.
        at: usize,
    },
    /// More than nine decimals that are not zero.
    #[error("has more than nine decimals; amounts are exact, so round it before sending")]
    TooPrecise,
    /// It does not fit.
    #[error("is too large")]
    TooLarge,
}

impl FromStr for Nanos {
    type Err = AmountError;

    /// Exact: `12`, `-0.5`, `0.000000001`, and `1.5e3` as JSON numbers write it. Never rounds.
    fn from_str(text: &str) -> Result<Nanos, AmountError> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let offset = text.len() - unsigned.len();
        let mut digits: i128 = 0;
        let mut decimals: i32 = 0;
        let mut seen_point = false;
        let mut seen_digit = false;
        let mut exponent: i32 = 0;
        for (at, character) in unsigned.char_indices() {
            match character {
                '0'..='9' => {
                    seen_digit = true;
                    digits = digits
                        .checked_mul(10)
                        .and_then(|d| d.checked_add(i128::from(character as u32 - '0' as u32)))
                        .ok_or(AmountError::TooLarge)?;
                    decimals += i32::from(seen_point);
                }
                '.' if !seen_point && seen_digit => seen_point = true,
                'e' | 'E' if seen_digit => {
                    exponent = parse_exponent(&unsigned[at + 1..], offset + at + 1)?;
                    break;
                }
                found => {
                    return Err(AmountError::Unexpected {
                        found,
                        at: offset + at + 1,
                    });
                }
            }
        }
        if !seen_digit {
            return Err(AmountError::Empty);
        }
        if seen_point && decimals == 0 {
            return Err(AmountError::Unexpected {
                found: '.',
                at: text.len(),
            });
        }
        let nanos = shift(digits, DECIMALS_MAX - decimals + exponent)?;
        Ok(Nanos(if negative { -nanos } else { nanos }))
    }
}

/// The power of ten behind the `e` of a JSON number, which is character number `at` of the whole.
fn parse_exponent(text: &str, at: usize) -> Result<i32, AmountError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let at = at + text.len() - digits.len();
    match digits.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((index, found)) => {
            return Err(AmountError::Unexpected {
                found,
                at: at + index + 1,
            });
        }
        None if digits.is_empty() => return Err(AmountError::Empty),
        None => {}
    }
    text.parse()
        .ok()
        .filter(|e: &i32| e.abs() <= 64)
        .ok_or(AmountError::TooLarge)
}

/// `digits * 10^places`, exactly or not at all.
fn shift(mut digits: i128, places: i32) -> Result<i128, AmountError> {
    if digits == 0 {
        return Ok(0);
    }
    for _ in 0..places {
        digits = digits.checked_mul(10).ok_or(AmountError::TooLarge)?;
    }
    for _ in places..0 {
        if digits % 10 != 0 {
            return Err(AmountError::TooPrecise);
        }
        digits /= 10;
    }
    Ok(digits)
}

impl fmt::Display for Nanos {
    /// The shortest decimal that parses back to the same amount.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = NanosText::default();
        let text = text.write(*self);
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        f.pad_integral(self.0 >= 0, "", unsigned)
    }
}

/// Room for an amount as text: for whoever writes many, and needs nothing of what a formatter can do.
pub struct NanosText([u8; DIGITS_MAX + 2]);

impl Default for NanosText {
    fn default() -> NanosText {
        NanosText([0; DIGITS_MAX + 2])
    }
}

impl NanosText {
    /// The shortest decimal that parses back to the amount, as its `Display` says it.
    pub fn write(&mut self, amount: Nanos) -> &str {
        let digits = digits(amount.0.unsigned_abs());
        let (units, decimals) = digits.split_at(DIGITS_MAX - DECIMALS);
        let first = units.iter().position(|digit| *digit != b'0');
        let units = &units[first.unwrap_or(units.len() - 1)..];
        let last = decimals.iter().rposition(|digit| *digit != b'0');
        let decimals = &decimals[..last.map_or(0, |last| last + 1)];
        let (sign, point): (&[u8], &[u8]) = (
            if amount.0 < 0 { b"-" } else { b"" },
            if decimals.is_empty() { b"" } else { b"." },
        );
        let mut length = 0;
        for part in [sign, units, point, decimals] {
            self.0[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        // Digits, a sign and a point: always text.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

/// Decimals of an amount.
const DECIMALS: usize = 9;
/// Digits of the largest number of 128 bits, and room for a unit before the decimals of any.
const DIGITS_MAX: usize = 40;

/// All digits, with zeros before them. A division of 128 bits takes many times as long as one of 64, so there is one for
/// eighteen digits.
fn digits(mut number: u128) -> [u8; DIGITS_MAX] {
    const AT_ONCE: u128 = 1_000_000_000_000_000_000;
    let mut digits = [b'0'; DIGITS_MAX];
    for some in digits.rchunks_mut(18) {
        // Most amounts have no more than eighteen, and are not divided at all.
        let (rest, more) = match number < AT_ONCE {
            true => (number, 0),
            false => (number % AT_ONCE, number / AT_ONCE),
        };
        let Ok(mut rest) = u64::try_from(rest) else {
            break;
        };
        for digit in some.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        number = more;
        if number == 0 {
            break;
        }
        if number == 0 {
            break;
        }
    }
    digits
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, nanos: i128) {
        assert_eq!(text.parse::<Nanos>(), Ok(Nanos::new(nanos)), "{text}");
    }

    fn refuse(text: &str, error: AmountError) {
        assert_eq!(text.parse::<Nanos>(), Err(error), "{text}");
    }

    #[test]
    fn the_longest_amounts_are_shown_whole() {
        // 2^127 - 1 and -2^127.
        for (nanos, shown) in [
            (i128::MAX, "170141183460469231731687303715.884105727"),
            (i128::MIN, "-170141183460469231731687303715.884105728"),
            (10i128.pow(18), "1000000000"),
            (10i128.pow(18) - 1, "999999999.999999999"),
            (10i128.pow(36) + 1, "1000000000000000000000000000.000000001"),
            (-10, "-0.00000001"),
        ] {
            assert_eq!(Nanos::new(nanos).to_string(), shown);
        }
        assert_eq!(
            format!("{:>8}|{:+}", Nanos::units(-2), Nanos::units(3)),
            "      -2|+3"
        );
    }

    #[test]
    fn decimal_texts_are_read_exactly() {
        check("0", 0);
        check("-0", 0);
        check("1", 1_000_000_000);
        check("0.000000001", 1);
        check("-12.50", -12_500_000_000);
        check("007.1", 7_100_000_000);
        check("1e3", 1_000_000_000_000);
        check("1.5E-3", 1_500_000);
        check("1200e-2", 12_000_000_000);
        check("0.1000000000", 100_000_000); // a tenth decimal that is zero loses nothing
        check("0e9", 0);
        check("0e64", 0);
    }

    #[test]
    fn many_times_an_amount_fits_or_is_none() {
        assert_eq!(Nanos::new(-3).checked_times(4), Some(Nanos::new(-12)));
        assert_eq!(Nanos::units(7).checked_times(0), Some(Nanos::ZERO));
        assert_eq!(Nanos::new(i128::MAX / 2).checked_times(3), None);
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        refuse("", AmountError::Empty);
        refuse("-", AmountError::Empty);
        refuse("1,5", AmountError::Unexpected { found: ',', at: 2 });
        refuse("-1 ", AmountError::Unexpected { found: ' ', at: 3 });
        refuse(".5", AmountError::Unexpected { found: '.', at: 1 });
        refuse("5.", AmountError::Unexpected { found: '.', at: 2 });
        refuse("NaN", AmountError::Unexpected { found: 'N', at: 1 });
        refuse("+1", AmountError::Unexpected { found: '+', at: 1 });
        refuse("0.0000000001", AmountError::TooPrecise);
        refuse("1e-10", AmountError::TooPrecise);
        refuse("1e65", AmountError::TooLarge);
        refuse("0e65", AmountError::TooLarge);
        refuse("1e", AmountError::Empty);
        refuse("1e-", AmountError::Empty);
        refuse("e5", AmountError::Unexpected { found: 'e', at: 1 });
        refuse("1ex", AmountError::Unexpected { found: 'x', at: 3 });
        refuse("1.5e12x", AmountError::Unexpected { found: 'x', at: 7 });
        refuse("-1e+7,", AmountError::Unexpected { found: ',', at: 6 });
        refuse("999999999999999999999999999999999999999", AmountError::TooLarge);
    }

    #[test]
    fn whole_units_and_nanos() {
        assert_eq!(Nanos::units(20).get(), 20_000_000_000);
        assert_eq!(Nanos::units(-3), Nanos::new(-3_000_000_000));
        assert_eq!(Nanos::from(-7_i64), Nanos::new(-7));
        assert_eq!(format!("{:?}", Nanos::new(-1_500_000_000)), "-1.5");
    }

    #[test]
    fn a_plan_sees_64_bits() {
        let most = i128::from(i64::MAX);
        assert_eq!(Nanos::new(most).to_plan(), Some(i64::MAX));
        assert_eq!(Nanos::new(-42).to_plan(), Some(-42));
        assert_eq!(Nanos::new(most + 1).to_plan(), None);
        assert_eq!(Nanos::new(-most - 2).to_plan(), None);
    }

    #[test]
    fn sums_are_checked() {
        let (two, five) = (Nanos::new(2), Nanos::new(5));
        let (least, most) = (Nanos::new(i128::MIN), Nanos::new(i128::MAX));
        assert_eq!(two.checked_add(five), Some(Nanos::new(7)));
        assert_eq!(most.checked_add(two), None);
        assert_eq!(two.checked_sub(five), Some(Nanos::new(-3)));
        assert_eq!(least.checked_sub(two), None);
        assert_eq!(five.checked_neg(), Some(Nanos::new(-5)));
        assert_eq!(least.checked_neg(), None);
        assert_eq!(Nanos::checked_sum([two, five, two]), Some(Nanos::new(9)));
        assert_eq!(Nanos::checked_sum([]), Some(Nanos::ZERO));
        assert_eq!(Nanos::checked_sum([most, two]), None);
    }

    #[test]
    fn an_amount_is_more_less_or_nothing() {
        for (nanos, positive, negative, zero) in [
            (-1, false, true, false),
            (0, false, false, true),
            (1, true, false, false),
        ] {
            let amount = Nanos::new(nanos);
            let said = (amount.is_positive(), amount.is_negative(), amount.is_zero());
            assert_eq!(said, (positive, negative, zero), "{nanos}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(nanos in -(i128::MAX / 2)..(i128::MAX / 2)) {
            let amount = Nanos::new(nanos);
            prop_assert_eq!(amount.to_string().parse::<Nanos>(), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Nanos>();
        }
    }
}
