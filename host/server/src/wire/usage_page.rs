//! What a customer used, summed up, in JSON.

use std::collections::BTreeMap;

use farebox_engine::projection::UsageGroup;
use farebox_money::Asset;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::amount::Amount;
use crate::wire::time::Time;

/// The measure that says what the provider bills.
const COST: &str = "cost_usd";

/// Usage of one minute, hour or day, and of one value of each attribute that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageRow)]
pub struct UsageRowView {
    /// When the minute, hour or day begins; events count where they happened, however late they were reported.
    pub time: Time,
    /// The attributes that were asked for; `null` where the events had no such attribute.
    pub attributes: BTreeMap<String, Option<String>>,
    /// Set where this sums up usage of which no attributes are kept: more combinations than a minute, hour or day tells apart
    /// (limit `USAGE_COMBINATIONS_MAX`), or longer ones than are kept (limit `USAGE_COMBINATION_BYTES_MAX`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub other: bool,
    /// How many events. A call that was held, settled in parts or priced late is one event.
    pub events: i64,
    /// How many of them have no price yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub unpriced: i64,
    /// Measures by name, summed up.
    pub measures: BTreeMap<String, Amount>,
    /// What was charged, by code and asset: what was posted, so that all rows sum to the ledger.
    pub charges: Vec<UsageCharge>,
    /// What the provider bills for it: the sum of the measure `cost_usd`, where any event carried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Amount>,
}

/// What was charged under one code in one asset.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageCharge {
    /// The plan's code.
    #[schema(example = "output")]
    pub code: String,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// How much was posted.
    pub amount: Amount,
    /// In the unit of the code. Where another asset paid part of a charge, its quantity stands with the asset in which the
    /// plan states it.
    pub quantity: Amount,
}

/// Up to where an answer is complete.
#[derive(Debug, Serialize, ToSchema)]
pub struct AsOf {
    /// By the store's clock.
    pub time: Time,
    /// As a place in the change feed.
    pub cursor: String,
}

/// A piece of the answer, in order of time, then of attributes. Rows in which nothing happened are left away.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsagePage)]
pub struct UsagePageView {
    /// The rows.
    pub rows: Vec<UsageRowView>,
    /// What to give as `cursor` for the next page; none: that was all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Up to where it is complete.
    pub as_of: AsOf,
}

impl UsageRowView {
    /// `by` names the attributes in the order of the group's values.
    pub fn new(by: &[String], group: UsageGroup) -> UsageRowView {
        let mut measures: BTreeMap<String, Amount> = (group.totals.measures.iter())
            .map(|(name, sum)| (name.to_string(), Amount(*sum)))
            .collect();
        let cost_usd = measures.remove(COST);
        let charges = group.totals.charges.into_iter();
        UsageRowView {
            time: Time(group.time),
            attributes: by.iter().cloned().zip(group.values).collect(),
            other: group.other,
            events: group.totals.events,
            unpriced: group.totals.unpriced,
            measures,
            charges: charges
                .map(|((code, asset), charged)| UsageCharge {
                    code: code.to_string(),
                    asset,
                    amount: Amount(charged.amount),
                    quantity: Amount(charged.quantity),
                })
                .collect(),
            cost_usd,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}
