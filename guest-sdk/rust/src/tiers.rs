//! Prices that depend on how much.

use farebox_money::{Nanos, Rounding, multiply_divide};
use serde::{Deserialize, Serialize};

use crate::{Overflow, Rate};

/// One of several values by the size of the **whole** request: "prompt above 200,000 tokens: every token at the
/// higher price".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brackets<T> {
    /// Up to and including the first threshold.
    base: T,
    /// Each above its threshold, ascending.
    above: Vec<(Nanos, T)>,
}

/// Thresholds that do not rise: the index of the first one that is not above the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAscending {
    /// Counted from 0.
    pub index: usize,
}

impl<T> Brackets<T> {
    /// One value for every size.
    pub fn flat(base: T) -> Brackets<T> {
        Brackets {
            base,
            above: Vec::new(),
        }
    }

    /// `base`, and other values **above** their thresholds. A threshold itself still belongs to the value below it.
    pub fn new(base: T, above: Vec<(Nanos, T)>) -> Result<Brackets<T>, NotAscending> {
        let mut last = None;
        for (index, (threshold, _)) in above.iter().enumerate() {
            if last.is_some_and(|last| *threshold <= last) {
                return Err(NotAscending { index });
            }
            last = Some(*threshold);
        }
        Ok(Brackets { base, above })
    }

    /// The value for a request of `size`, with the threshold that it lies above, if any.
    pub fn at(&self, size: Nanos) -> (Option<Nanos>, &T) {
        self.above
            .iter()
            .rev()
            .find(|(threshold, _)| size > *threshold)
            .map_or((None, &self.base), |(threshold, value)| (Some(*threshold), value))
    }

    /// Every value that a request of at most `size` can meet, each with the largest size at which it does.
    ///
    /// A worst case looks at all of them: nothing says that the higher bracket is the dearer one.
    pub fn up_to(&self, size: Nanos) -> impl Iterator<Item = (Nanos, &T)> {
        let ends = self.above.iter().map(|(threshold, _)| *threshold).chain([size]);
        let values = std::iter::once((Nanos::ZERO, &self.base))
            .chain(self.above.iter().map(|(threshold, value)| (*threshold, value)));
        values
            .zip(ends)
            .take_while(move |((above, _), _)| *above == Nanos::ZERO || size > *above)
            .map(move |((_, value), end)| (end.min(size), value))
    }
}

/// A price that changes for what comes **beyond** each threshold: "the first 1,000 at 0.10, the rest at 0.08".
///
/// An event is charged `price(after) - price(before)` of the running total, so that many small events come to exactly
/// what one large one costs: rounding never drifts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graduated {
    /// Where each step begins and the price of a unit in it, in `10^-scale`; the first begins at 0.
    steps: Vec<(Nanos, i128)>,
    scale: u32,
}

impl Graduated {
    /// `base` from the first unit on, and other rates beyond their thresholds.
    pub fn new(base: Rate, beyond: &[(Nanos, Rate)]) -> Result<Graduated, NotAscending> {
        let rates = || std::iter::once((Nanos::ZERO, base)).chain(beyond.iter().copied());
        let scale = rates().map(|(_, rate)| rate.parts().1).max().unwrap_or(0);
        let mut steps: Vec<(Nanos, i128)> = Vec::with_capacity(beyond.len() + 1);
        for (from, rate) in rates() {
            if steps.last().is_some_and(|(last, _)| from <= *last) {
                return Err(NotAscending {
                    index: steps.len() - 1,
                });
            }
            let (mantissa, own) = rate.parts();
            // At most 2^63 * 10^18: fits.
            steps.push((from, i128::from(mantissa) * 10i128.pow(scale - own)));
        }
        Ok(Graduated { steps, scale })
    }

    /// What a total of `total` units costs, rounded once.
    pub fn price(&self, total: Nanos) -> Result<Nanos, Overflow> {
        let mut exact = 0i128;
        for (index, (from, price)) in self.steps.iter().enumerate() {
            let until = self
                .steps
                .get(index + 1)
                .map_or(total, |(next, _)| total.min(*next));
            if until <= *from {
                break;
            }
            let part = until
                .get()
                .checked_sub(from.get())
                .and_then(|units| units.checked_mul(*price));
            exact = part.and_then(|part| exact.checked_add(part)).ok_or(Overflow)?;
        }
        multiply_divide(exact, 1, 10i128.pow(self.scale), Rounding::HalfEven)
            .map(Nanos::new)
            .ok_or(Overflow)
    }

    /// What the units from `before` to `after` of a running total cost.
    pub fn between(&self, before: Nanos, after: Nanos) -> Result<Nanos, Overflow> {
        self.price(after)?
            .checked_sub(self.price(before)?)
            .ok_or(Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Per;
    use proptest::prelude::*;

    #[test]
    fn a_threshold_belongs_to_the_bracket_below() {
        let brackets = Brackets::new(
            "low",
            vec![(Nanos::units(200), "high"), (Nanos::units(300), "top")],
        )
        .unwrap();
        for (size, value) in [
            (0, "low"),
            (200, "low"),
            (201, "high"),
            (300, "high"),
            (301, "top"),
        ] {
            assert_eq!(*brackets.at(Nanos::units(size)).1, value, "{size}");
        }
        assert_eq!(
            Brackets::new(0, vec![(Nanos::units(2), 1), (Nanos::units(2), 2)]),
            Err(NotAscending { index: 1 })
        );
    }

    #[test]
    fn what_can_be_met_on_the_way() {
        let brackets = Brackets::new('a', vec![(Nanos::units(10), 'b'), (Nanos::units(20), 'c')]).unwrap();
        let met = |size| -> Vec<(i128, char)> {
            brackets
                .up_to(Nanos::units(size))
                .map(|(end, value)| (end.get() / 1_000_000_000, *value))
                .collect()
        };
        assert_eq!(met(0), [(0, 'a')]);
        assert_eq!(met(10), [(10, 'a')]);
        assert_eq!(met(15), [(10, 'a'), (15, 'b')]);
        assert_eq!(met(21), [(10, 'a'), (20, 'b'), (21, 'c')]);
        assert_eq!(Brackets::flat('a').up_to(Nanos::units(7)).count(), 1);
    }

    fn graduated() -> Graduated {
        let rate = |text: &str| Rate::new(text.parse().unwrap(), Per::Unit).unwrap();
        Graduated::new(
            rate("0.1"),
            &[
                (Nanos::units(1000), rate("0.08")),
                (Nanos::units(5000), rate("0.0333333333")),
            ],
        )
        .unwrap()
    }

    #[test]
    fn graduated_prices_by_hand() {
        let price = |units| graduated().price(Nanos::units(units)).unwrap().to_string();
        assert_eq!(price(0), "0");
        assert_eq!(price(1000), "100");
        assert_eq!(price(1500), "140"); // 100 + 500 * 0.08
        assert_eq!(price(5001), "420.033333333"); // 100 + 4000 * 0.08 + 0.0333333333, rounded
        let last = graduated()
            .between(Nanos::units(900), Nanos::units(1100))
            .unwrap();
        assert_eq!(last.to_string(), "18"); // 100 * 0.1 + 100 * 0.08
    }

    proptest! {
        #[test]
        fn many_small_parts_come_to_the_whole(parts in prop::collection::vec(0i64..4_000_000_000_000, 0..20)) {
            let (mut total, mut charged) = (Nanos::ZERO, Nanos::ZERO);
            for part in parts {
                let after = total.checked_add(Nanos::from(part)).unwrap();
                charged = charged.checked_add(graduated().between(total, after).unwrap()).unwrap();
                total = after;
            }
            prop_assert_eq!(charged, graduated().price(total).unwrap());
        }
    }
}
