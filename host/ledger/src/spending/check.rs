//! Whether a call fits: all limits that it counts towards must have room, or nothing is set aside.

use farebox_record::event::Attributes;
use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::outcome::{DenialReason, Denied};
use farebox_record::spending::{ExceededLimit, OnExceed};
use farebox_record::time::Timestamp;

use crate::cover::{Covered, Origin};
use crate::hold::denied;
use crate::spending::window::{resets, used_at};
use crate::wallet::Wallet;

/// What a call would take of each asset, and what its hold has of that already.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    wanted: BTreeMap<Asset, i128>,
    had: BTreeMap<Asset, i128>,
}

impl Demand {
    /// Of a new call: everything that covers it, receivables and what nothing covers included.
    pub fn of(covered: &Covered) -> Demand {
        let mut demand = Demand::default();
        for draw in &covered.draws {
            demand.want(&draw.slice.asset, draw.slice.amount);
        }
        for short in &covered.uncovered {
            demand.want(&short.asset, short.missing);
        }
        demand
    }

    /// Of a hold that grows: what it would hold instead of what it holds.
    pub fn growing(before: &[(Asset, Nanos)], after: &[(Asset, Nanos)], covered: &Covered) -> Demand {
        use farebox_record::state::SliceSource;
        let mut demand = Demand::default();
        for (asset, amount) in before {
            *demand.had.entry(asset.clone()).or_default() += amount.get();
        }
        for (asset, amount) in after {
            demand.want(asset, *amount);
        }
        // A statement sets nothing aside, and yet takes it in the end.
        let live = covered.draws.iter().filter(|draw| draw.origin == Origin::Live);
        for draw in live.filter(|draw| draw.slice.from == SliceSource::Receivable) {
            demand.want(&draw.slice.asset, draw.slice.amount);
        }
        demand
    }

    fn want(&mut self, asset: &Asset, amount: Nanos) {
        *self.wanted.entry(asset.clone()).or_default() += amount.get();
    }
}

/// The limit that says no to a call with these attributes: the one with the least left, then the first by name.
pub(crate) fn exceeded(
    wallet: &Wallet,
    attributes: &Attributes,
    demand: &Demand,
    at: Timestamp,
) -> Option<Denied> {
    let mut tightest: Option<(i128, Denied)> = None;
    for (name, limit) in &wallet.limits {
        let terms = &limit.terms;
        if terms.on_exceed == OnExceed::Notify || !terms.scope.holds(attributes) {
            continue;
        }
        let wanted = demand.wanted.get(&terms.asset).copied().unwrap_or(0);
        let had = demand.had.get(&terms.asset).copied().unwrap_or(0);
        let left = terms.amount.get() - used_at(limit, at).get() - limit.held.get();
        let more = wanted - had;
        if more <= 0 || more <= left || tightest.as_ref().is_some_and(|(least, _)| *least <= left) {
            continue;
        }
        let reason = DenialReason::Limit(Box::new(ExceededLimit {
            limit: name.clone(),
            level: terms.scope.to_string(),
            resets: resets(limit, at, Nanos::new(more - left)),
        }));
        let why = Denied {
            asset: Some(terms.asset.clone()),
            required: Nanos::new(wanted),
            available: Nanos::new((had + left).max(0)),
            ..denied(reason)
        };
        tightest = Some((left, why));
    }
    tightest.map(|(_, why)| why)
}
