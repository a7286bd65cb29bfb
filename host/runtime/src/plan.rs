//! A plan that was admitted, and a revision: a plan with its parameters.

use std::sync::Arc;

use farebox_record::ids::{EventType, Hash, RevisionHash};
use farebox_record::plan::Description;

use crate::call::Callable;
use crate::health::{Counters, Health, Quarantine};
use crate::limits::Limits;
use crate::pace::Pace;
use crate::tier::Tier;

/// A component that was admitted: inspected, compiled, described. Immutable and shared.
pub struct Plan {
    pub(crate) hash: Hash,
    pub(crate) tier: Tier,
    pub(crate) description: Description,
    pub(crate) callable: Callable,
    pub(crate) limits: Arc<Limits>,
}

impl Plan {
    /// BLAKE3 of the component's bytes.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Which class of plans it belongs to.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The limits that it is held to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it says about itself, checked.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The index of a type of events that it rates.
    pub fn event_type(&self, event_type: &EventType) -> Option<u32> {
        let at = self
            .description
            .event_types
            .iter()
            .position(|rated| rated == event_type)?;
        u32::try_from(at).ok()
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("hash", &self.hash)
            .field("name", &self.description.name)
            .finish_non_exhaustive()
    }
}

/// A plan with parameters: what a timeline points to. Immutable but for its health, and shared.
pub struct Revision {
    pub(crate) hash: RevisionHash,
    pub(crate) plan: Arc<Plan>,
    pub(crate) prepared: Arc<[u8]>,
    pub(crate) counters: Counters,
    pub(crate) pace: Pace,
}

impl Revision {
    /// Hash of the component and of the text of the parameters.
    pub fn hash(&self) -> RevisionHash {
        self.hash
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What the plan says about itself.
    pub fn description(&self) -> &Description {
        &self.plan.description
    }

    /// The compact form of the parameters that the plan made, the same on each machine.
    pub fn prepared(&self) -> &Arc<[u8]> {
        &self.prepared
    }

    /// Whether it should no longer serve. It still answers (one trigger at a time), so that what it did can be
    /// computed again; taking it off the timeline is up to the caller.
    pub fn is_quarantined(&self) -> bool {
        self.counters.quarantine().is_some()
    }

    /// Why it should no longer serve.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.counters.quarantine()
    }

    /// Whether its calls have taken so long of late that whoever waits for others should not wait for them. So is one that
    /// has not answered anything yet: nobody knows.
    pub fn is_slow(&self) -> bool {
        self.pace.is_slow(&self.plan.limits)
    }

    /// What it did since it was prepared in this process.
    pub fn health(&self) -> Health {
        self.counters.health()
    }
}

impl std::fmt::Debug for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revision")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}
