//! What happens to a subscription between its start and its end.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::command::AboveHold;
use crate::ids::{CallId, Hash, PlanName, RevisionHash, SubscriptionId};
use crate::state::Cadence;
use crate::time::{Period, Timestamp};

/// See [`crate::command::Command::ChangeSubscription`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSubscription {
    /// Which one.
    pub subscription: SubscriptionId,
    /// The caller's key for this change.
    pub id: CallId,
    /// What changes.
    pub change: SubscriptionChange,
    /// From when on.
    pub when: When,
    /// Whether the plan is asked to charge or credit the part of the period that is left.
    pub proration: Proration,
}

/// What changes about a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubscriptionChange {
    /// The number of seats.
    Seats(u32),
    /// The plan that prices.
    Plan {
        /// The new one.
        plan: PlanName,
        /// How long its periods are; none: as they were. A new length starts a new first period at the change.
        cadence: Option<Cadence>,
    },
    /// No fee and no authorize until it is resumed. Usage that happens is charged all the same.
    Pause,
    /// It goes on.
    Resume,
    /// It ends, for good.
    Cancel,
    /// What was scheduled for the end of the period is taken back.
    Unschedule,
    /// What happens to a price above a hold, where a settlement does not say it; always at once.
    AboveHold(AboveHold),
}

/// From when on a change is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At once.
    #[default]
    Now,
    /// From the end of the present period on.
    PeriodEnd,
}

/// Whether a plan is asked to settle the part of a period that is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// It is.
    #[default]
    Prorate,
    /// The change costs and credits nothing before the next period.
    None,
}

/// A change that waits for the end of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// What changes.
    pub change: SubscriptionChange,
    /// When it was asked for.
    pub asked: Timestamp,
}

/// Whether a subscription runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubscriptionStatus {
    /// It does.
    #[default]
    Active,
    /// Not now; since then.
    Paused(Timestamp),
    /// Never again; since then. It is kept for late events, and owns nothing.
    Cancelled(Timestamp),
}

/// A stretch of time under one plan within one period: what late events are priced with. A period is one term, unless
/// the plan changes within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermState {
    /// 0 for a subscription's first, then without a gap.
    pub number: u32,
    /// Which plan served.
    pub plan: PlanName,
    /// Within which period.
    pub period: Period,
    /// From when on.
    pub since: Timestamp,
    /// Until when, exclusive.
    pub until: Timestamp,
    /// Seats at its end.
    pub seats: u32,
    /// The plan's state when it began, once the plan had been told.
    pub opening: Vec<u8>,
    /// The plan's state at its end; late events change it.
    pub state: Vec<u8>,
    /// Version of `state`.
    pub state_version: u32,
    /// The revision that last changed the state.
    pub revision: RevisionHash,
    /// Sequence of the record that began it.
    pub opened: u64,
    /// Version of `opening`, where that is not the version of `state`. Since format 5.
    #[serde(deserialize_with = "codec::since::<5, _, _>")]
    pub opening_version: Option<u32>,
}

impl TermState {
    /// The same with the state that a plan left behind, in the version in which it keeps it.
    #[must_use]
    pub fn with_state(&self, state: &[u8], version: u32, revision: RevisionHash) -> TermState {
        let opening = self.opening_version.unwrap_or(self.state_version);
        TermState {
            state: state.to_vec(),
            state_version: version,
            revision,
            opening_version: (opening != version && !self.opening.is_empty()).then_some(opening),
            ..self.clone()
        }
    }
}

/// A term that is over, as its subscription remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastTerm {
    /// Its number.
    pub number: u32,
    /// From when on.
    pub since: Timestamp,
    /// Until when, exclusive.
    pub until: Timestamp,
}

/// Names a revision that is no plan's: where nothing has changed a state yet.
pub const NO_REVISION: RevisionHash = RevisionHash {
    component: Hash([0; 32]),
    parameters: Hash([0; 32]),
};
