//! Changes of the subscription, as they cross.

use crate::bindings::exports::farebox::plan::pricing as wit;
use crate::{Category, Change, Instant, Proration, RemainingGrant, ReversedCharge};

/// The change as the host would say it; an amount outside of the contract's 64 bits is the nearest one inside.
pub(super) fn to_wit(change: Change) -> wit::Change {
    match change {
        Change::Started => wit::Change::Started,
        Change::Renewed { remaining } => wit::Change::Renewed(grants(&remaining)),
        Change::SeatsChanged {
            before,
            after,
            proration,
        } => wit::Change::SeatsChanged(wit::SeatsChanged {
            before,
            after,
            prorate: proration == Proration::Now,
        }),
        Change::PlanChanged {
            previous_plan,
            previous_since,
            remaining,
            proration,
        } => wit::Change::PlanChanged(wit::PlanChanged {
            previous_plan,
            previous_since: previous_since.micros(),
            remaining: grants(&remaining),
            prorate: proration == Proration::Now,
        }),
        Change::Paused => wit::Change::Paused,
        Change::Resumed => wit::Change::Resumed,
        Change::Cancelled { remaining } => wit::Change::Cancelled(grants(&remaining)),
        Change::Due { key } => wit::Change::Due(key),
        Change::Reversed {
            event,
            time,
            charges,
            amended,
        } => wit::Change::Reversed(wit::Reversed {
            event: wit::EventRef {
                source: event.source,
                id: event.id,
            },
            time: time.micros(),
            charges: charges.iter().map(reversed).collect(),
            amended,
        }),
    }
}

fn grants(remaining: &[RemainingGrant]) -> Vec<wit::RemainingGrant> {
    let grant = |grant: &RemainingGrant| wit::RemainingGrant {
        asset: grant.asset.index(),
        category: match grant.category {
            Category::Paid => wit::Category::Paid,
            Category::Promotional => wit::Category::Promotional,
            Category::Included => wit::Category::Included,
        },
        label: grant.label.clone(),
        granted: grant.granted.to_plan().unwrap_or(i64::MAX),
        remaining: grant.remaining.to_plan().unwrap_or(i64::MAX),
        expires: grant.expires.map(Instant::micros),
    };
    remaining.iter().map(grant).collect()
}

fn reversed(charge: &ReversedCharge) -> wit::ReversedCharge {
    wit::ReversedCharge {
        code: charge.code.index(),
        asset: charge.asset.index(),
        amount: charge.amount.to_plan().unwrap_or(i64::MAX),
        quantity: charge.quantity.to_plan().unwrap_or(i64::MAX),
    }
}
