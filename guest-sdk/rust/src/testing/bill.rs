//! What a plan answered, with names instead of indices.

use farebox_money::Nanos;

use crate::{Category, Instant};

/// A charge as a test wants to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledCharge {
    /// Its code.
    pub code: String,
    /// In which asset.
    pub asset: String,
    /// How much; negative for a give-back.
    pub amount: Nanos,
    /// In the unit of its code.
    pub quantity: Nanos,
    /// Whether it goes on the statement instead of the wallet.
    pub invoice: bool,
    /// Whether it says what the charge before would cost in another asset.
    pub otherwise: bool,
}

/// A grant as a test wants to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledGrant {
    /// In which asset.
    pub asset: String,
    /// How much.
    pub amount: Nanos,
    /// What kind of value it is.
    pub category: Category,
    /// Low burns first.
    pub priority: i32,
    /// From when.
    pub effective: Option<Instant>,
    /// Until when.
    pub expires: Option<Instant>,
    /// Codes of charges that may burn it.
    pub codes: Vec<String>,
    /// Attributes that an event must have to burn it.
    pub attributes: Vec<(String, String)>,
    /// The attribute of which each value has a portion, and how much that is.
    pub each: Option<(String, Nanos)>,
    /// What a person reads.
    pub label: String,
}

/// What the plan answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// In order.
    pub charges: Vec<BilledCharge>,
    /// In order.
    pub grants: Vec<BilledGrant>,
    /// Timers by key; none: taken away.
    pub timers: Vec<(String, Option<Instant>)>,
}

impl Bill {
    /// Sum of the charges in one asset, leaving out what would only be charged otherwise.
    pub fn total(&self, asset: &str) -> Nanos {
        let own = self
            .charges
            .iter()
            .filter(|charge| charge.asset == asset && !charge.otherwise);
        Nanos::checked_sum(own.map(|charge| charge.amount)).unwrap_or_default()
    }

    /// What one code came to, in whichever asset.
    pub fn amount(&self, code: &str) -> Nanos {
        let own = self
            .charges
            .iter()
            .filter(|charge| charge.code == code && !charge.otherwise);
        Nanos::checked_sum(own.map(|charge| charge.amount)).unwrap_or_default()
    }

    /// The codes that were charged, in order.
    pub fn codes(&self) -> Vec<&str> {
        self.charges.iter().map(|charge| charge.code.as_str()).collect()
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Index of the charge that it is about; none: about the event.
    pub charge: Option<u32>,
    /// "rate"
    pub what: String,
    /// "3 usd per million"
    pub value: String,
    /// "input of claude-sonnet-4.6, price list"
    pub why: String,
}
