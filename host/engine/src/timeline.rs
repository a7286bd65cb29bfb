//! A plan's timeline: which revision prices from when on.
//!
//! What was priced stays priced, so a change here is never undone: it is followed by another one. That makes a retry of a change
//! that arrives behind a later one dangerous (it would bring the older prices back), so changes are made under the caller's key:
//! once, however late they are asked for again.

use farebox_record::control::{
    Activation, ControlCommand, ControlEffect, ControlRecord, ControlState, OpenHolds, PlanState,
};
use farebox_record::ids::{CallId, Hash, PlanName, RevisionHash, TenantId};
use farebox_record::time::Timestamp;
use farebox_runtime::Revision;

use crate::control::{ControlDone, too_many};
use crate::controls::parameters_blob;
use crate::engine::Engine;
use crate::error::ControlError;
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
    /// Gives parameters to a known component, and puts the revision on the plan's timeline. The revision that is in force
    /// anyway changes nothing. Blocks until it is durable.
    pub fn activate(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        component: Hash,
        parameters: &str,
        effective: Option<Timestamp>,
        open_holds: OpenHolds,
    ) -> Result<Activated, ControlError> {
        let new = NewRevision {
            component,
            parameters,
            effective,
            open_holds,
        };
        self.put_on_timeline(tenant, plan, None, &new)
    }

    /// The same, once under the caller's key.
    pub fn activate_once(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        id: &CallId,
        new: &NewRevision<'_>,
    ) -> Result<Activated, ControlError> {
        self.put_on_timeline(tenant, plan, Some(id), new)
    }

    /// Puts the revision before the present one back in force. What was priced stays priced. Where `from` is said and is not
    /// in force (any more), nothing changes. Blocks until it is durable.
    pub fn rollback(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        from: Option<RevisionHash>,
    ) -> Result<Activated, ControlError> {
        self.change_timeline(tenant, plan, None, &rollback(plan, from), None)
    }

    /// The same, once under the caller's key.
    pub fn rollback_once(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        id: &CallId,
        from: Option<RevisionHash>,
    ) -> Result<Activated, ControlError> {
        let change = rollback(plan, from);
        match self.answered(tenant, id, &change)? {
            Some(answer) => Ok(answer),
            None => self.change_timeline(tenant, plan, Some(id), &change, None),
        }
    }

    fn put_on_timeline(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        id: Option<&CallId>,
        new: &NewRevision<'_>,
    ) -> Result<Activated, ControlError> {
        let change = ControlCommand::Activate {
            plan: plan.clone(),
            revision: RevisionHash {
                component: new.component,
                parameters: Hash::of(new.parameters.as_bytes()),
            },
            effective: new.effective,
            open_holds: new.open_holds,
        };
        // Before anything that depends on what is there by now.
        if let Some(id) = id
            && let Some(answer) = self.answered(tenant, id, &change)?
        {
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
        self.check_state_version(tenant, plan, &prepared)?;
        let blob = parameters_blob(prepared.hash().parameters);
        self.shared().store.put_blob(&blob, new.parameters.as_bytes())?;
        self.change_timeline(tenant, plan, id, &change, Some(&prepared))
    }

    /// Makes a change of a timeline: once, where there is a key.
    fn change_timeline(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        id: Option<&CallId>,
        change: &ControlCommand,
        revision: Option<&std::sync::Arc<Revision>>,
    ) -> Result<Activated, ControlError> {
        let _one_at_a_time = self.control_lock();
        self.check_room().map_err(ControlError::DiskNearlyFull)?;
        if let Some(id) = id {
            let once = ControlCommand::Once {
                id: id.clone(),
                change: Box::new(change.clone()),
            };
            let (record, replayed) = self.change_once_locked(tenant, &once, revision)?;
            return answer(&record, change, replayed);
        }
        if let Some(record) = self.change_locked(tenant, change, None, revision)? {
            return answer(&record, change, false);
        }
        let (controls, now) = (self.shared().controls.load(), self.now(tenant));
        let present = controls
            .plan(tenant, plan)
            .and_then(|known| in_force(known, change, now));
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
        id: &CallId,
        change: &ControlCommand,
    ) -> Result<Option<Activated>, ControlError> {
        let once = ControlCommand::Once {
            id: id.clone(),
            change: Box::new(change.clone()),
        };
        let Some(identity) = once.identity() else {
            return Ok(None);
        };
        let earlier = self.find_control(tenant, &identity)?;
        earlier.map(|record| answer(&record, change, true)).transpose()
    }

    /// State that a plan cannot read would stop its subscriptions.
    fn check_state_version(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        new: &Revision,
    ) -> Result<(), ControlError> {
        let controls = self.shared().controls.load();
        let now = self.now(tenant);
        let Some(present) = controls.pricing(tenant, plan, now) else {
            return Ok(());
        };
        let (old, new) = (
            present.description().state_version,
            new.description().state_version,
        );
        match old == new {
            true => Ok(()),
            false => Err(ControlError::StateVersion { new, old }),
        }
    }
}

fn rollback(plan: &PlanName, from: Option<RevisionHash>) -> ControlCommand {
    let plan = plan.clone();
    match from {
        None => ControlCommand::Rollback { plan },
        Some(from) => ControlCommand::RollbackFrom { plan, from },
    }
}

/// What a record answers to whoever asks for this change.
fn answer(
    record: &ControlRecord,
    change: &ControlCommand,
    replayed: bool,
) -> Result<Activated, ControlError> {
    if let Some(field) = differs(record.command.change(), change) {
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
    let (activation, done) = found.ok_or_else(|| crate::error::EngineError::State(what()))?;
    Ok(Activated {
        activation,
        done,
        replayed,
    })
}

/// The first field in which two changes differ that came under one key, as a caller names it.
fn differs(first: &ControlCommand, now: &ControlCommand) -> Option<&'static str> {
    match (first, now) {
        (
            ControlCommand::Activate {
                revision: a,
                effective,
                open_holds,
                ..
            },
            ControlCommand::Activate {
                revision: b,
                effective: later,
                open_holds: holds,
                ..
            },
        ) => [
            ("component", a.component == b.component),
            ("parameters", a.parameters == b.parameters),
            ("effective_at", effective == later),
            ("open_holds", open_holds == holds),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field)),
        (a, b) if a == b => None,
        _ => Some("from"),
    }
}

/// What is in force already where a change changes nothing.
fn in_force(known: &PlanState, change: &ControlCommand, at: Timestamp) -> Option<Activation> {
    let from = match change {
        ControlCommand::Activate {
            effective: Some(effective),
            ..
        } => *effective,
        _ => at,
    };
    known.in_force(from).copied()
}

/// What a change of a timeline changes; nothing where it is so already.
pub(crate) fn decide(
    state: &ControlState,
    change: &ControlCommand,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
    let known = |plan: &PlanName| {
        let known = state.plans.get(plan);
        known.ok_or_else(|| ControlError::UnknownPlan(plan.to_string()))
    };
    match change {
        ControlCommand::Activate {
            plan,
            revision,
            effective,
            open_holds,
        } => {
            let known = known(plan)?;
            if effective.is_some_and(|effective| effective < at) {
                return Err(ControlError::EffectiveInThePast);
            }
            let effective = effective.unwrap_or(at);
            match known.in_force(effective) {
                Some(present) if present.revision == *revision => Ok(Vec::new()),
                _ => activated(plan, known, *revision, effective, *open_holds, at),
            }
        }
        ControlCommand::RollbackFrom { plan, from } => {
            let known = known(plan)?;
            match known.in_force(at) {
                Some(present) if present.revision != *from => Ok(Vec::new()),
                _ => back(plan, known, at),
            }
        }
        ControlCommand::Rollback { plan } => back(plan, known(plan)?, at),
        _ => Ok(Vec::new()),
    }
}

/// The same under a key, for which it is noted what was in force where nothing changes.
pub(crate) fn decide_once(
    state: &ControlState,
    change: &ControlCommand,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
    let effects = decide(state, change, at)?;
    let (ControlCommand::Activate { plan, .. }
    | ControlCommand::Rollback { plan }
    | ControlCommand::RollbackFrom { plan, .. }) = change
    else {
        return Ok(effects);
    };
    if !effects.is_empty() {
        return Ok(effects);
    }
    let present = state
        .plans
        .get(plan)
        .and_then(|known| in_force(known, change, at));
    let note = |present| ControlEffect::InForce(plan.clone(), present);
    Ok(present.map(note).into_iter().collect())
}

fn back(plan: &PlanName, known: &PlanState, at: Timestamp) -> Result<Vec<ControlEffect>, ControlError> {
    let previous = known.previous(at).ok_or(ControlError::NothingToRollBack)?;
    activated(plan, known, previous, at, OpenHolds::Quoted, at)
}

fn activated(
    plan: &PlanName,
    known: &PlanState,
    revision: RevisionHash,
    effective: Timestamp,
    open_holds: OpenHolds,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
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
