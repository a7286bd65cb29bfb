//! What happens to a subscription besides usage, as plain data.

use farebox_money::{Asset, Nanos};
use farebox_record::plan::{Category, Description, EventRef, RemainingGrant};
use farebox_record::time::Timestamp;

use crate::batch::saturate;
use crate::bindings;
use crate::columns::offset;

/// What happens to a subscription; see `change` in `wit/plan.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It starts.
    Started,
    /// A period ended and the next began.
    Renewed {
        /// What is left of its grants.
        remaining: Vec<RemainingGrant>,
    },
    /// It has another number of seats.
    SeatsChanged {
        /// Before.
        before: u32,
        /// From now on.
        after: u32,
        /// Whether the plan is asked for it.
        proration: Proration,
    },
    /// Another plan serves it, or the same with other parameters.
    PlanChanged {
        /// The plan that served before.
        previous_plan: String,
        /// When the present period began under it.
        previous_since: Timestamp,
        /// What is left of its grants.
        remaining: Vec<RemainingGrant>,
        /// Whether the plan is asked for it.
        proration: Proration,
    },
    /// It rests.
    Paused,
    /// It goes on.
    Resumed,
    /// It ends.
    Cancelled {
        /// What is left of its grants.
        remaining: Vec<RemainingGrant>,
    },
    /// A timer that the plan asked for.
    Due {
        /// The plan's own name for it.
        key: String,
    },
    /// An event of the subject was voided or amended.
    Reversed {
        /// Which event.
        event: EventRef,
        /// When it happened.
        time: Timestamp,
        /// What was charged for it.
        charges: Vec<ReversedCharge>,
        /// Whether another event takes its place.
        replacement: Replacement,
    },
}

/// Whether a plan is asked to charge or give back for the part of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proration {
    /// It is.
    Wanted,
    /// It is not: the change comes with the end of a period.
    Unwanted,
}

/// Whether a reversed event is followed by an amended one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It was voided.
    None,
    /// It was amended.
    Follows,
}

/// A charge of a reversed event. Charges with codes or in assets that the plan does not describe (they come from
/// another revision) are not shown to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversedCharge {
    /// Its code.
    pub code: String,
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Nanos,
    /// In the unit of its code.
    pub quantity: Nanos,
}

impl Change {
    /// Calls `with` with the change in the form of the contract.
    pub(crate) fn lower<R>(
        &self,
        description: &Description,
        with: impl FnOnce(bindings::Change<'_>) -> R,
    ) -> R {
        match self {
            Change::Started => with(bindings::Change::Started),
            Change::Renewed { remaining } => with(bindings::Change::Renewed(&grants(remaining, description))),
            Change::SeatsChanged {
                before,
                after,
                proration,
            } => with(bindings::Change::SeatsChanged(bindings::SeatsChanged {
                before: *before,
                after: *after,
                prorate: proration.is_wanted(),
            })),
            Change::PlanChanged {
                previous_plan,
                previous_since,
                remaining,
                proration,
            } => with(bindings::Change::PlanChanged(bindings::PlanChanged {
                previous_plan,
                previous_since: previous_since.as_micros(),
                remaining: &grants(remaining, description),
                prorate: proration.is_wanted(),
            })),
            Change::Paused => with(bindings::Change::Paused),
            Change::Resumed => with(bindings::Change::Resumed),
            Change::Cancelled { remaining } => {
                with(bindings::Change::Cancelled(&grants(remaining, description)))
            }
            Change::Due { key } => with(bindings::Change::Due(key)),
            Change::Reversed {
                event,
                time,
                charges,
                replacement,
            } => with(bindings::Change::Reversed(bindings::Reversed {
                event: bindings::EventRefParam {
                    source: event.source.as_str(),
                    id: event.id.as_str(),
                },
                time: time.as_micros(),
                charges: &reversed(charges, description),
                amended: matches!(replacement, Replacement::Follows),
            })),
        }
    }
}

impl Proration {
    fn is_wanted(self) -> bool {
        matches!(self, Proration::Wanted)
    }
}

fn asset(asset: &Asset, description: &Description) -> Option<u32> {
    description
        .assets
        .iter()
        .position(|described| described.asset == *asset)
        .map(offset)
}

fn grants<'a>(
    remaining: &'a [RemainingGrant],
    description: &Description,
) -> Vec<bindings::RemainingGrant<'a>> {
    let lowered = remaining.iter().filter_map(|grant| {
        Some(bindings::RemainingGrant {
            asset: asset(&grant.asset, description)?,
            category: match grant.category {
                Category::Paid => bindings::Category::Paid,
                Category::Promotional => bindings::Category::Promotional,
                Category::Included => bindings::Category::Included,
            },
            label: &grant.label,
            granted: saturate(grant.granted),
            remaining: saturate(grant.remaining),
            expires: grant.expires.map(Timestamp::as_micros),
        })
    });
    lowered.collect()
}

fn reversed(charges: &[ReversedCharge], description: &Description) -> Vec<bindings::ReversedCharge> {
    let lowered = charges.iter().filter_map(|charge| {
        Some(bindings::ReversedCharge {
            code: description
                .charges
                .iter()
                .position(|described| described.code == charge.code)
                .map(offset)?,
            asset: asset(&charge.asset, description)?,
            amount: saturate(charge.amount),
            quantity: saturate(charge.quantity),
        })
    });
    lowered.collect()
}
