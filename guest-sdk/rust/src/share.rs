//! Parts of a period, exactly.

use std::fmt;

use farebox_money::{Nanos, Rounding, multiply_divide};

use crate::Overflow;

/// A part of a whole, as an exact fraction from nothing to all of it. Nothing is rounded until it meets an amount, and
/// there once, half to even, at 10^-9.
///
/// ```
/// use farebox_plan::{Instant, Nanos, Period};
/// let start = Instant::from_micros(0);
/// let month = Period { start, end: start.plus_days(30), index: 0 };
///
/// // 20 days before the end a subscription goes from 2 seats to 5, at 9.99 a seat: 3 x 9.99 x 20/30.
/// let rest = month.rest(start.plus_days(10));
/// assert_eq!(rest.of_each("9.99".parse().unwrap(), 3).unwrap().to_string(), "19.98");
/// // Rounded once, in the end: 7 seats at a dollar for a third of the month are not 7 times 0.333333333.
/// let third = month.rest(start.plus_days(20));
/// assert_eq!(third.of_each(Nanos::units(1), 7).unwrap().to_string(), "2.333333333");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// At least 0, at most `whole`.
    part: i128,
    /// More than 0.
    whole: i128,
}

impl Share {
    /// All of it.
    pub const WHOLE: Share = Share { part: 1, whole: 1 };

    /// None of it.
    pub const NONE: Share = Share { part: 0, whole: 1 };

    /// `part` of `whole`, held between nothing and all of it; of nothing there is no part.
    pub(crate) fn new(part: i128, whole: i128) -> Share {
        match whole > 0 {
            true => Share {
                part: part.clamp(0, whole),
                whole,
            },
            false => Share::NONE,
        }
    }

    /// Whether nothing is left of it.
    pub const fn is_none(self) -> bool {
        self.part == 0
    }

    /// This part of an amount.
    pub fn of(self, amount: Nanos) -> Result<Nanos, Overflow> {
        multiply_divide(amount.get(), self.part, self.whole, Rounding::HalfEven)
            .map(Nanos::new)
            .ok_or(Overflow)
    }

    /// This part of `count` times an amount (of a fee for each seat, say), rounded once.
    pub fn of_each(self, amount: Nanos, count: u32) -> Result<Nanos, Overflow> {
        self.of(amount.checked_times(count).ok_or(Overflow)?)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Instant, Period};
    use proptest::prelude::*;

    const START: Instant = Instant::from_micros(0);

    fn days(count: i64) -> Period {
        Period {
            start: START,
            end: START.plus_days(count),
            index: 0,
        }
    }

    #[test]
    fn shares_by_hand() {
        let month = days(31);
        let of_31 = |share: Share| share.of(Nanos::units(31)).unwrap().to_string();
        let day = |day| START.plus_days(day);
        assert_eq!(of_31(month.between(day(3), day(10))), "7");
        assert_eq!(
            of_31(month.between(day(-5), day(1))),
            "1",
            "what is outside does not count"
        );
        assert_eq!(of_31(month.between(day(30), day(40))), "1");
        assert_eq!(of_31(month.between(day(10), day(3))), "0");
        assert_eq!(
            (month.rest(day(31)).is_none(), month.rest(day(0))),
            (true, month.rest(day(-1)))
        );
        assert_eq!(
            Share::WHOLE
                .of_each("0.1".parse().unwrap(), 3)
                .unwrap()
                .to_string(),
            "0.3"
        );
        assert_eq!(Share::NONE.of(Nanos::units(3)).unwrap(), Nanos::ZERO);
        assert_eq!(days(0).rest(START).of(Nanos::units(1)).unwrap(), Nanos::ZERO);
    }

    #[test]
    fn a_tie_goes_to_the_even_side() {
        let half = days(2).rest(START.plus_days(1));
        for (nanos, half_of_it) in [(1, 0), (3, 2), (5, 2), (7, 4)] {
            assert_eq!(
                half.of(Nanos::new(nanos)).unwrap(),
                Nanos::new(half_of_it),
                "{nanos}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_an_overflow() {
        assert_eq!(Share::WHOLE.of_each(Nanos::new(i128::MAX), 2), Err(Overflow));
    }

    proptest! {
        #[test]
        fn two_parts_of_a_period_are_the_whole_but_for_one_rounding(
            amount in 0i64..1_000_000_000_000_000, at in 0i64..86_400_000_000 * 31, seats in 0u32..1000,
        ) {
            let (month, at) = (days(31), Instant::from_micros(at));
            let part = |from, until| month.between(from, until).of_each(Nanos::from(amount), seats).unwrap().get();
            let both = part(START, at) + part(at, month.end);
            let whole = i128::from(amount) * i128::from(seats);
            prop_assert!((both - whole).abs() <= 1, "{both} of {whole}");
        }
    }
}
