//! A plan's timeline: which revision prices from when on.

use serde::{Deserialize, Serialize};

use crate::ids::{Hash, RevisionHash};
use crate::time::Timestamp;

/// Which revision settles a hold that an earlier one quoted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenHolds {
    /// The one that quoted it.
    #[default]
    Quoted,
    /// The new one.
    New,
}

/// A change of a plan's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimelineChange {
    /// A revision is put on it.
    Activate {
        /// Which code with which parameters. The parameters' text is kept beside the journal, by its hash.
        revision: RevisionHash,
        /// From which event time on; none: now.
        effective: Option<Timestamp>,
        /// Which revision settles holds that were quoted before.
        open_holds: OpenHolds,
    },
    /// The revision that was in force before the present one is put back in force, from now on.
    Rollback {
        /// What must be in force; where it is not (any more), nothing changes.
        from: Option<RevisionHash>,
    },
}

/// A plan: its components, and its revisions by effective time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanState {
    /// In order of addition.
    pub components: Vec<Hash>,
    /// In order of activation.
    pub timeline: Vec<Activation>,
}

/// A revision on a plan's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Which code with which parameters.
    pub revision: RevisionHash,
    /// From which event time on.
    pub effective: Timestamp,
    /// When it was put there.
    pub activated: Timestamp,
    /// Which revision settles holds that were quoted before.
    pub open_holds: OpenHolds,
}

impl PlanState {
    /// The activation in force at `time`: the latest effective one; of those effective at one instant, the last activated.
    pub fn in_force(&self, time: Timestamp) -> Option<&Activation> {
        self.timeline
            .iter()
            .filter(|a| a.effective <= time)
            .max_by_key(|a| a.effective)
    }

    /// The revision that prices an event of `time`: the one in force then, or the first one ever for an event from before
    /// the plan (which can only be here because it waited for a plan).
    pub fn pricing(&self, time: Timestamp) -> Option<RevisionHash> {
        let first = || self.timeline.iter().min_by_key(|a| a.effective);
        self.in_force(time).or_else(first).map(|a| a.revision)
    }

    /// The revision that a rollback at `time` puts back: the one in force before the present one came.
    pub fn previous(&self, time: Timestamp) -> Option<RevisionHash> {
        let present = self.in_force(time)?;
        let mut past: Vec<&Activation> = self.timeline.iter().filter(|a| a.effective <= time).collect();
        past.sort_by_key(|a| a.effective);
        past.iter()
            .rev()
            .map(|a| a.revision)
            .find(|revision| *revision != present.revision)
    }
}
