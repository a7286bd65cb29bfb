//! A plan's timeline: which revision prices from when on.
//!
//! What was priced stays priced, so a change here is never undone: it is followed by another one. That makes a retry of a change
//! that arrives behind a later one dangerous (it would bring the older prices back), so changes are made under the caller's key:
//! once, however late they are asked for again.

use std::sync::Arc;

use farebox_record::control::{
    Activation, ControlCommand, ControlEffect, ControlRecord, ControlState, OpenHolds, PlanState,
    TimelineChange,
};
use farebox_record::ids::{CallId, Hash, PlanName, RevisionHash, TenantId};
use farebox_record::time::Timestamp;
use farebox_runtime::Revision;

use crate::control::{ControlDone, too_many};
use crate::controls::parameters_blob;
use crate::engine::Engine;
use crate::error::{ControlError, EngineError};
use crate::limits::ACTIVATIONS_PER_PLAN_MAX;

/// What is to be put on a plan's timeline.
#[derive(Debug, Clone, Copy)]
pub struct NewRevision<'p> {
    /// A component that the plan has.
    pub component: Hash,
    /// Its parameters, as JSON.
    pub parameters: &'p str,
    /// From which event time on; none: now.
    pub effective: Option<Timestamp>,
    /// Which revision settles holds that were quoted before.
    pub open_holds: OpenHolds,
}

impl<'p> NewRevision<'p> {
    /// In force from now on; holds are settled by the revision that quoted them.
    pub fn at_once(component: Hash, parameters: &'p str) -> NewRevision<'p> {
        NewRevision {
            component,
            parameters,
            effective: None,
            open_holds: OpenHolds::Quoted,
        }
    }
}

/// A revision that is on its plan's timeline now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// Its place there.
    pub activation: Activation,
    /// Whether it was put there by this change.
    pub done: ControlDone,
    /// Whether an earlier call under the same key made the change, and this is its answer.
    pub replayed: bool,
}

impl Engine {
    /// Gives parameters to a known component, and puts the revision on the plan's timeline; once, under the caller's key, where
    /// there is one. The revision that is in force anyway changes nothing. Blocks until it is durable.
    pub fn activate(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        new: &NewRevision<'_>,
        id: Option<&CallId>,
    ) -> Result<Activated, ControlError> {
        let change = TimelineChange::Activate {
            revision: RevisionHash {
                component: new.component,
                parameters: Hash::of(new.parameters.as_bytes()),
            },
            effective: new.effective,
            open_holds: new.open_holds,
        };
        let command = command(plan, change, id);
        // Before anything that depends on what is there by now.
        if let Some(answer) = self.answered(tenant, &command, change)? {
            return Ok(answer);
        }
        let controls = self.shared().controls.load_full();
        let state = controls
            .plan(tenant, plan)
            .ok_or_else(|| ControlError::UnknownPlan(plan.to_string()))?;
        let known = controls
            .component(&new.component)
            .filter(|_| state.components.contains(&new.component));
        let code = known.ok_or_else(|| ControlError::UnknownComponent(new.component.to_string()))?;
        let prepared = self
            .shared()
            .runtime
            .prepare(code, new.parameters)
            .map_err(|e| ControlError::Refused(Box::new(e)))?;
        self.check_states(tenant, plan, &prepared, new.effective)?;
        let blob = parameters_blob(prepared.hash().parameters);
        self.shared().store.put_blob(&blob, new.parameters.as_bytes())?;
        self.change_timeline(tenant, plan, &command, change, Some(&prepared))
    }

    /// Puts the revision before the present one back in force; once, under the caller's key, where there is one. What was priced
    /// stays priced. Where `from` is said and is not in force (any more), nothing changes. Blocks until it is durable.
    pub fn rollback(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        from: Option<RevisionHash>,
        id: Option<&CallId>,
    ) -> Result<Activated, ControlError> {
        let change = TimelineChange::Rollback { from };
        let command = command(plan, change, id);
        if let Some(answer) = self.answered(tenant, &command, change)? {
            return Ok(answer);
        }
        let (controls, now) = (self.shared().controls.load_full(), self.now(tenant));
        let previous = controls.plan(tenant, plan).and_then(|known| known.previous(now));
        if let Some(previous) = previous.and_then(|hash| controls.revision(&hash)) {
            self.check_states(tenant, plan, previous, None)?;
        }
        self.change_timeline(tenant, plan, &command, change, None)
    }

    fn change_timeline(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        command: &ControlCommand,
        change: TimelineChange,
        revision: Option<&Arc<Revision>>,
    ) -> Result<Activated, ControlError> {
        let _one_at_a_time = self.control_lock();
        self.check_room().map_err(ControlError::DiskNearlyFull)?;
        if let Some(identity) = command.identity() {
            let (record, replayed) = self.change_once_locked(tenant, command, &identity, revision)?;
            return answer(&record, change, replayed);
        }
        if let Some(record) = self.change_locked(tenant, command, None, revision)? {
            return answer(&record, change, false);
        }
        let (controls, now) = (self.shared().controls.load(), self.now(tenant));
        let known = controls.plan(tenant, plan);
        let present = known.and_then(|known| in_force(known, change, now));
        Ok(Activated {
            activation: present.ok_or_else(|| ControlError::UnknownPlan(plan.to_string()))?,
            done: ControlDone::Unchanged,
            replayed: false,
        })
    }

    /// What an earlier call under this key was answered.
    fn answered(
        &self,
        tenant: &TenantId,
        command: &ControlCommand,
        change: TimelineChange,
    ) -> Result<Option<Activated>, ControlError> {
        let Some(identity) = command.identity() else {
            return Ok(None);
        };
        let earlier = self.find_control(tenant, &identity)?;
        earlier.map(|record| answer(&record, change, true)).transpose()
    }
}

fn command(plan: &PlanName, change: TimelineChange, id: Option<&CallId>) -> ControlCommand {
    ControlCommand::ChangeTimeline {
        plan: plan.clone(),
        change,
        id: id.cloned(),
    }
}

/// What a record answers to whoever asks for this change.
fn answer(record: &ControlRecord, change: TimelineChange, replayed: bool) -> Result<Activated, ControlError> {
    let first = record.command.timeline().map(|(_, first)| first);
    if let Some(field) = first.and_then(|first| differs(first, change)) {
        return Err(ControlError::Conflict { field });
    }
    let found = record.effects.iter().find_map(|effect| match effect {
        ControlEffect::PlanPut(_, plan) => Some((*plan.timeline.last()?, ControlDone::Changed)),
        ControlEffect::InForce(_, activation) => Some((*activation, ControlDone::Unchanged)),
        _ => None,
    });
    let what = || {
        format!(
            "record {} of the control plane changes no timeline",
            record.sequence
        )
    };
    let (activation, done) = found.ok_or_else(|| EngineError::State(what()))?;
    Ok(Activated {
        activation,
        done,
        replayed,
    })
}

/// The first field in which two changes differ that came under one key, as a caller names it.
fn differs(first: TimelineChange, now: TimelineChange) -> Option<&'static str> {
    use TimelineChange::{Activate, Rollback};
    match (first, now) {
        (
            Activate {
                revision,
                effective,
                open_holds,
            },
            Activate {
                revision: asked,
                effective: from,
                open_holds: holds,
            },
        ) => [
            ("component", revision.component == asked.component),
            ("parameters", revision.parameters == asked.parameters),
            ("effective_at", effective == from),
            ("open_holds", open_holds == holds),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field)),
        (Rollback { from }, Rollback { from: asked }) => (from != asked).then_some("from"),
        // A key's scope is the kind of change.
        (Activate { .. }, Rollback { .. }) | (Rollback { .. }, Activate { .. }) => None,
    }
}

/// What is in force already where a change changes nothing.
fn in_force(known: &PlanState, change: TimelineChange, at: Timestamp) -> Option<Activation> {
    let from = match change {
        TimelineChange::Activate { effective, .. } => effective.unwrap_or(at),
        TimelineChange::Rollback { .. } => at,
    };
    known.in_force(from).copied()
}

/// What a change of a timeline changes. Where it is so already, nothing; or, under a key, the note of what was in force.
pub(crate) fn decide(
    state: &ControlState,
    plan: &PlanName,
    change: TimelineChange,
    is_keyed: bool,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
    let known = state.plans.get(plan);
    let known = known.ok_or_else(|| ControlError::UnknownPlan(plan.to_string()))?;
    let is_so = match change {
        TimelineChange::Activate {
            revision, effective, ..
        } => {
            if effective.is_some_and(|effective| effective < at) {
                return Err(ControlError::EffectiveInThePast);
            }
            in_force(known, change, at).is_some_and(|present| present.revision == revision)
        }
        TimelineChange::Rollback { from } => from
            .is_some_and(|from| in_force(known, change, at).is_some_and(|present| present.revision != from)),
    };
    if is_so {
        let note = |present| ControlEffect::InForce(plan.clone(), present);
        let present = in_force(known, change, at).filter(|_| is_keyed);
        return Ok(present.map(note).into_iter().collect());
    }
    let (revision, effective, open_holds) = match change {
        TimelineChange::Activate {
            revision,
            effective,
            open_holds,
        } => (revision, effective.unwrap_or(at), open_holds),
        TimelineChange::Rollback { .. } => {
            let previous = known.previous(at).ok_or(ControlError::NothingToRollBack)?;
            (previous, at, OpenHolds::Quoted)
        }
    };
    if known.timeline.len() >= ACTIVATIONS_PER_PLAN_MAX {
        let (what, limit) = ("activations", "ACTIVATIONS_PER_PLAN_MAX");
        return Err(too_many(plan, what, limit, ACTIVATIONS_PER_PLAN_MAX));
    }
    let mut changed = known.clone();
    changed.timeline.push(Activation {
        revision,
        effective,
        activated: at,
        open_holds,
    });
    Ok(vec![ControlEffect::PlanPut(plan.clone(), changed)])
}
