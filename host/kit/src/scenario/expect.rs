//! What must come of a step.

use serde::Deserialize;

use super::action::{Category, EachValue};
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
    /// What a backfill did, or would do.
    pub backfill: Option<ExpectedBackfill>,
    /// Everything that the change feed tells of this step, in order, by its kinds.
    pub changes: Option<Vec<String>>,
    /// What usage of a range of time comes to afterwards.
    pub usage: Option<ExpectedUsage>,
    /// What the statement of a range of time says afterwards.
    pub statement: Option<ExpectedStatement>,
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
    /// How it is divided; none: not checked.
    #[serde(default)]
    pub each: Option<EachValue>,
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

/// What a backfill did, or would do: how many of its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedBackfill {
    /// Were priced and charged.
    pub charged: u64,
    /// Wait for a price.
    pub unpriced: u64,
    /// Were there already.
    pub known: u64,
    /// Were refused.
    pub refused: u64,
    /// Were taken back by the revert.
    pub reverted: u64,
    /// Of a preview: what would be charged, per asset; none: not checked.
    pub total: Option<Vec<Money>>,
}

/// What was used in a range of time, by the values of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedUsage {
    /// From this day on.
    pub from: At,
    /// Until before this day.
    pub to: At,
    /// The attribute; none: all of it in one row.
    #[serde(default)]
    pub by: Option<String>,
    /// Every row, in order of the values; events without the attribute come first.
    pub rows: Vec<ExpectedRow>,
}

/// A row of usage that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRow {
    /// The attribute's value; none: events that have none.
    #[serde(default)]
    pub is: Option<String>,
    /// How many events; none: not checked.
    #[serde(default)]
    pub events: Option<i64>,
    /// What was charged, per asset.
    pub total: Vec<Money>,
}

/// A statement that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedStatement {
    /// Inclusive.
    pub from: At,
    /// Exclusive.
    pub to: At,
    /// What was there before, per asset: free and held value less what is owed.
    pub opening: Vec<Money>,
    /// Every line, in order.
    pub lines: Vec<ExpectedLine>,
    /// What is there at the end, per asset.
    pub closing: Vec<Money>,
}

/// A line of a statement that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLine {
    /// What it is about: `grant`, `usage`, `late_usage`, `fee`, `refund`, `expiry` ...
    pub kind: String,
    /// By how much the customer is better off, or worse.
    pub amount: Money,
    /// The code of the charge; none: not checked.
    #[serde(default)]
    pub code: Option<String>,
    /// What a person reads; none: not checked.
    #[serde(default)]
    pub label: Option<String>,
    /// When the period begins that it belongs to; none: not checked.
    #[serde(default)]
    pub period: Option<At>,
}
