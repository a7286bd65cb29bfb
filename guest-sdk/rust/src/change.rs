//! What happens to a subscription besides usage.

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::bindings::exports::farebox::plan::pricing as wit;
use crate::usage::period;
use crate::{Asset, ChargeCode, Instant, Period, Vocabulary};

/// Where granted value comes from. Paid and promotional value never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Bought.
    Paid,
    /// Given away. Burns before included and paid value of the same priority.
    Promotional,
    /// Part of a subscription.
    Included,
}

/// An earlier event of the same customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// Where it came from.
    pub source: String,
    /// Its id there.
    pub id: String,
}

/// What is left of a grant of this subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemainingGrant {
    /// In which asset.
    pub asset: Asset,
    /// What kind of value it is.
    pub category: Category,
    /// What a person reads.
    pub label: String,
    /// What it was.
    pub granted: Nanos,
    /// What is left of it, without what open holds keep: that stays good for their calls.
    pub remaining: Nanos,
    /// Until when it is good; none: for good.
    pub expires: Option<Instant>,
}

/// A charge that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversedCharge {
    /// What it was for.
    pub code: ChargeCode,
    /// In which asset.
    pub asset: Asset,
    /// What it was.
    pub amount: Nanos,
    /// In the unit of its code.
    pub quantity: Nanos,
}

/// Whether a change in the middle of a period is charged or given back in proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proration {
    /// The change counts from now on; the plan decides what the rest of the period is worth.
    Now,
    /// The change counts from the next period on.
    AtPeriodEnd,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The subscription begins.
    Started,
    /// A period ended and the next began; the period at hand is the new one. What rolls over is the plan's decision.
    Renewed {
        /// What is left of the grants of the old period.
        remaining: Vec<RemainingGrant>,
    },
    /// There are more or fewer seats.
    SeatsChanged {
        /// How many there were.
        before: u32,
        /// How many there are.
        after: u32,
        /// From when it counts.
        proration: Proration,
    },
    /// This plan, or these parameters, serve from now on.
    PlanChanged {
        /// The plan before, by name; the same name for a change of parameters.
        previous_plan: String,
        /// When the present period began under it.
        previous_since: Instant,
        /// What is left of its grants.
        remaining: Vec<RemainingGrant>,
        /// From when it counts.
        proration: Proration,
    },
    /// Nothing is used until it is resumed.
    Paused,
    /// It goes on.
    Resumed,
    /// It ends: what is left can be settled.
    Cancelled {
        /// What is left of its grants.
        remaining: Vec<RemainingGrant>,
    },
    /// A timer that the plan asked for.
    Due {
        /// Its key.
        key: String,
    },
    /// An event of the subject was voided or amended. The host reverses its charges; this is for the subject's state.
    Reversed {
        /// Which.
        event: EventRef,
        /// When it happened.
        time: Instant,
        /// What it was charged.
        charges: Vec<ReversedCharge>,
        /// Whether an amended event follows.
        amended: bool,
    },
}

/// A change of one subscription, with everything around it.
#[derive(Debug)]
pub struct Transition<'a> {
    /// What happened.
    pub change: Change,
    /// When.
    pub time: Instant,
    pub(crate) batch: &'a wit::Batch,
    pub(crate) context: &'a wit::Context,
}

impl Transition<'_> {
    /// The period that it falls into.
    pub fn period(&self) -> Period {
        period(&self.context.period)
    }

    /// How many seats the subscription has, after the change.
    pub fn seats(&self) -> u32 {
        self.context.seats
    }

    /// What the wallet can still spend of an asset, for plans that want balances.
    pub fn balance(&self, asset: Asset) -> Option<Nanos> {
        let index = self.context.balances as usize + asset.index() as usize;
        self.batch
            .balances
            .get(index)
            .map(|balance| Nanos::from(*balance))
    }
}

impl Change {
    /// Grants and charges in assets that the plan does not describe are none of its business and are left out.
    pub(crate) fn from_wit(change: wit::Change, vocabulary: &Vocabulary) -> Change {
        let remaining = |grants: Vec<wit::RemainingGrant>| {
            grants
                .into_iter()
                .filter_map(|grant| RemainingGrant::from_wit(grant, vocabulary))
                .collect()
        };
        match change {
            wit::Change::Started => Change::Started,
            wit::Change::Renewed(grants) => Change::Renewed {
                remaining: remaining(grants),
            },
            wit::Change::SeatsChanged(seats) => Change::SeatsChanged {
                before: seats.before,
                after: seats.after,
                proration: proration(seats.prorate),
            },
            wit::Change::PlanChanged(plan) => Change::PlanChanged {
                previous_plan: plan.previous_plan,
                previous_since: Instant::from_micros(plan.previous_since),
                remaining: remaining(plan.remaining),
                proration: proration(plan.prorate),
            },
            wit::Change::Paused => Change::Paused,
            wit::Change::Resumed => Change::Resumed,
            wit::Change::Cancelled(grants) => Change::Cancelled {
                remaining: remaining(grants),
            },
            wit::Change::Due(key) => Change::Due { key },
            wit::Change::Reversed(reversed) => Change::Reversed {
                event: EventRef {
                    source: reversed.event.source,
                    id: reversed.event.id,
                },
                time: Instant::from_micros(reversed.time),
                charges: reversed
                    .charges
                    .into_iter()
                    .filter_map(|charge| ReversedCharge::from_wit(&charge, vocabulary))
                    .collect(),
                amended: reversed.amended,
            },
        }
    }
}

fn proration(prorate: bool) -> Proration {
    match prorate {
        true => Proration::Now,
        false => Proration::AtPeriodEnd,
    }
}

impl RemainingGrant {
    fn from_wit(grant: wit::RemainingGrant, vocabulary: &Vocabulary) -> Option<RemainingGrant> {
        Some(RemainingGrant {
            asset: vocabulary.asset_at(grant.asset)?,
            category: match grant.category {
                wit::Category::Paid => Category::Paid,
                wit::Category::Promotional => Category::Promotional,
                wit::Category::Included => Category::Included,
            },
            label: grant.label,
            granted: Nanos::from(grant.granted),
            remaining: Nanos::from(grant.remaining),
            expires: grant.expires.map(Instant::from_micros),
        })
    }
}

impl ReversedCharge {
    fn from_wit(charge: &wit::ReversedCharge, vocabulary: &Vocabulary) -> Option<ReversedCharge> {
        Some(ReversedCharge {
            code: vocabulary.charge_at(charge.code)?,
            asset: vocabulary.asset_at(charge.asset)?,
            amount: Nanos::from(charge.amount),
            quantity: Nanos::from(charge.quantity),
        })
    }
}
