//! What must come of a step.

use serde::Deserialize;

use super::action::Category;
use super::value::{At, Count, Money};

/// What must come of a step. What is not there is not checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Every charge, in order.
    pub charges: Option<Vec<ExpectedCharge>>,
    /// Sum of the charges per asset: what the wallet owes for this step.
    pub total: Option<Vec<Money>>,
    /// What this step's correction gives back, per asset, before it charges anything instead.
    pub reversed: Option<Vec<Money>>,
    /// Every grant that the plan gives, in order.
    pub grants: Option<Vec<ExpectedGrant>>,
    /// What this step's hold sets aside.
    pub hold: Option<Vec<Money>>,
    /// What is free afterwards, for each asset named.
    pub balance: Vec<Money>,
    /// What holds have set aside afterwards, for each asset named.
    pub held: Vec<Money>,
    /// What is owed for usage afterwards, for each asset named.
    pub debt: Vec<Money>,
    /// What is owed for fees afterwards, for each asset named.
    pub receivable: Vec<Money>,
    /// The subscription's period afterwards.
    pub period: Option<ExpectedPeriod>,
    /// The subscription's seats afterwards.
    pub seats: Option<u32>,
    /// Whether the subscription goes on afterwards.
    pub status: Option<Status>,
    /// How many events and renewals wait for a price afterwards.
    pub unpriced: Option<u64>,
    /// That it is refused, or kept without a price, and why. Without it, a step must succeed.
    pub refused: Option<Refusal>,
    /// Whether the answer is that of an earlier request with the same id.
    pub replayed: Option<bool>,
}

/// A charge that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCharge {
    /// Its code.
    pub code: String,
    /// Its amount; negative for a give-back.
    pub amount: Money,
    /// Its quantity; none: not checked.
    #[serde(default)]
    pub quantity: Option<Count>,
    /// What the whole of it would cost in other assets, in order.
    #[serde(default)]
    pub otherwise: Vec<Money>,
    /// Whether it goes on the statement instead of the wallet.
    #[serde(default)]
    pub invoice: bool,
    /// When what is charged happened: the instant of the renewal or of the event, however late it is charged; none: not
    /// checked.
    #[serde(default)]
    pub at: Option<At>,
}

/// A period that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedPeriod {
    /// The first instant of it.
    pub start: At,
    /// The first instant of the one behind it.
    pub end: At,
}

/// Whether a subscription goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// `"active"`
    Active,
    /// `"paused"`
    Paused,
    /// `"cancelled"`
    Cancelled,
}

/// A grant that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedGrant {
    /// How much of what.
    pub amount: Money,
    /// Its label; none: not checked.
    #[serde(default)]
    pub label: Option<String>,
    /// What kind of value it is; none: not checked.
    #[serde(default)]
    pub category: Option<Category>,
    /// From when it is good; none: not checked.
    #[serde(default)]
    pub effective: Option<At>,
    /// Until when it is good; none: not checked.
    #[serde(default)]
    pub expires: Option<At>,
}

/// That a step is refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The stable code: `insufficient_funds`, `invalid_event`, `unpriceable`, `conflict` ...
    pub code: String,
    /// The measure or attribute that it names.
    #[serde(default)]
    pub field: Option<String>,
    /// Words that the message contains.
    #[serde(default)]
    pub says: Option<String>,
    /// What would have been needed.
    #[serde(default)]
    pub required: Option<Money>,
}
