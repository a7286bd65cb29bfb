//! Sums of what was used, for comparison.

use std::collections::BTreeMap;

use farebox_engine::projection::Totals;

use super::{Code, Counted};

/// Sums without zeros.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    events: i64,
    unpriced: i64,
    measures: BTreeMap<String, i128>,
    /// Amounts and quantities.
    charges: BTreeMap<Code, (i128, i128)>,
}

impl Sums {
    /// Adds something.
    pub fn count(&mut self, counted: &Counted) {
        self.events += i64::from(counted.measures.is_some());
        self.unpriced += i64::from(counted.unpriced);
        for (name, amount) in counted.measures.iter().flatten() {
            *self.measures.entry(name.to_string()).or_default() += amount.get();
        }
        for (code, amount) in &counted.amounts {
            self.charges.entry(code.clone()).or_default().0 += amount;
        }
        for (code, quantity) in &counted.quantities {
            self.charges.entry(code.clone()).or_default().1 += quantity;
        }
    }

    /// What sums to nothing is nothing.
    pub fn forget_zeros(&mut self) {
        self.measures.retain(|_, sum| *sum != 0);
        self.charges.retain(|_, sums| *sums != (0, 0));
    }

    /// As the engine says them.
    pub fn of(totals: &Totals) -> Sums {
        let measures = totals.measures.iter();
        let charges = totals.charges.iter();
        let mut sums = Sums {
            events: totals.events,
            unpriced: totals.unpriced,
            measures: measures
                .map(|(name, sum)| (name.to_string(), sum.get()))
                .collect(),
            charges: charges
                .map(|(code, sum)| (code.clone(), (sum.amount.get(), sum.quantity.get())))
                .collect(),
        };
        sums.forget_zeros();
        sums
    }
}
