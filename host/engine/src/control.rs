//! Changes of a tenant's control plane: through the same committer as everything else, one at a time.

use std::sync::Arc;

use farebox_record::codec;
use farebox_record::control::{
    BackfillStage, BackfillState, BackfillTally, ComponentState, ControlCommand, ControlEffect,
    ControlIdentity, ControlRecord, ControlState, KeyState, QuarantineState,
};
use farebox_record::ids::{CallId, Hash, PlanName, TenantId};
use farebox_record::plan::Description;
use farebox_record::time::Timestamp;
use farebox_runtime::{Plan, Revision};
use farebox_store::{Commit, Fate, IdHash, NewRecord, WalletKey};

use crate::backfill;
use crate::committer::Shipment;
use crate::controls::{component_blob, parameters_blob};
use crate::engine::Engine;
use crate::error::{ControlError, EngineError};
use crate::limits::COMPONENTS_PER_PLAN_MAX;
use crate::tenants;
use crate::timeline;

/// How often a change is decided again when other processes change the same control plane.
const ATTEMPTS_MAX: usize = 16;

/// What became of a change of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlDone {
    /// It is durable.
    Changed,
    /// It was so already.
    Unchanged,
}

/// A component that is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentPushed {
    /// Hash of its bytes.
    pub hash: Hash,
    /// Whether it is new to this plan.
    pub done: ControlDone,
    /// What it says of itself.
    pub description: Description,
}

impl Engine {
    /// Lets an API key in. Blocks until it is durable.
    pub fn create_key(
        &self,
        tenant: &TenantId,
        id: CallId,
        secret: Hash,
        role: farebox_record::control::Role,
    ) -> Result<(), ControlError> {
        self.change(
            tenant,
            &ControlCommand::CreateKey { id, secret, role },
            None,
            None,
        )
        .map(drop)
    }

    /// Lets an API key in no longer. Blocks until it is durable.
    pub fn revoke_key(&self, tenant: &TenantId, id: CallId) -> Result<ControlDone, ControlError> {
        self.change(tenant, &ControlCommand::RevokeKey { id }, None, None)
    }

    /// Admits a component, keeps its bytes, and makes it known under a plan. The same bytes again change nothing. Blocks
    /// until it is durable.
    pub fn push_component(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        bytes: &[u8],
    ) -> Result<ComponentPushed, ControlError> {
        // What is under this plan already is known to it for good. Everything else comes from outside, whoever has it besides.
        let (hash, controls) = (Hash::of(bytes), self.shared().controls.load_full());
        let is_its_own = (controls.plan(tenant, plan)).is_some_and(|state| state.components.contains(&hash));
        let known = controls.component(&hash).filter(|_| is_its_own).cloned();
        let admitted = match known {
            Some(known) => known,
            None => self
                .shared()
                .runtime
                .take_in(bytes)
                .map_err(|e| ControlError::Refused(Box::new(e)))?,
        };
        let (hash, description) = (admitted.hash(), admitted.description().clone());
        self.shared().store.put_blob(&component_blob(hash), bytes)?;
        let command = ControlCommand::AddComponent {
            plan: plan.clone(),
            component: hash,
            bytes: bytes.len() as u64,
            description: Box::new(description.clone()),
        };
        let done = self.change(tenant, &command, Some(&admitted), None)?;
        Ok(ComponentPushed {
            hash,
            done,
            description,
        })
    }

    /// Notes that the runtime took a revision out of service. Blocks until it is durable.
    pub(crate) fn quarantine(&self, tenant: &TenantId, command: &ControlCommand) -> Result<(), ControlError> {
        self.change(tenant, command, None, None).map(drop)
    }

    /// Parameters of a revision, as they were given.
    pub fn parameters(&self, hash: Hash) -> Result<Option<String>, EngineError> {
        let Some(bytes) = self.shared().store.blob(&parameters_blob(hash))? else {
            return Ok(None);
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|e| EngineError::State(e.to_string()))
    }

    /// Decides a change, makes it durable, and puts it in force.
    pub(crate) fn change(
        &self,
        tenant: &TenantId,
        command: &ControlCommand,
        plan: Option<&Arc<Plan>>,
        revision: Option<&Arc<Revision>>,
    ) -> Result<ControlDone, ControlError> {
        let _one_at_a_time = self.control_lock();
        self.check_room().map_err(ControlError::DiskNearlyFull)?;
        Ok(match self.change_locked(tenant, command, plan, revision)? {
            Some(_) => ControlDone::Changed,
            None => ControlDone::Unchanged,
        })
    }

    /// The same, for whoever holds the lock of the control planes: the record that was made; none where it was so already.
    pub(crate) fn change_locked(
        &self,
        tenant: &TenantId,
        command: &ControlCommand,
        plan: Option<&Arc<Plan>>,
        revision: Option<&Arc<Revision>>,
    ) -> Result<Option<ControlRecord>, ControlError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(tenant, command, plan, revision)? {
                Attempt::Made(record) => return Ok(Some(*record)),
                Attempt::Nothing => return Ok(None),
                Attempt::Lost => self.refresh(tenant)?,
            }
        }
        Err(ControlError::Contended)
    }

    /// The same for what is done once under a key: the record that did it, and whether an earlier call made that.
    pub(crate) fn change_once_locked(
        &self,
        tenant: &TenantId,
        command: &ControlCommand,
        identity: &ControlIdentity,
        revision: Option<&Arc<Revision>>,
    ) -> Result<(ControlRecord, bool), ControlError> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(earlier) = self.find_control(tenant, identity)? {
                return Ok((earlier, true));
            }
            match self.attempt(tenant, command, None, revision)? {
                Attempt::Made(record) => return Ok((*record, false)),
                // Another process was faster; perhaps with the same.
                Attempt::Nothing | Attempt::Lost => self.refresh(tenant)?,
            }
        }
        Err(ControlError::Contended)
    }

    /// Decides a change on what is known of the control plane, and makes it durable where that is the newest.
    fn attempt(
        &self,
        tenant: &TenantId,
        command: &ControlCommand,
        plan: Option<&Arc<Plan>>,
        revision: Option<&Arc<Revision>>,
    ) -> Result<Attempt, ControlError> {
        let mut state = self
            .shared()
            .controls
            .load()
            .tenant(tenant)
            .cloned()
            .unwrap_or_default();
        let wall = || self.shared().clock.now(tenant);
        let now = tenants::birth(command)
            .or(state.sandbox_clock())
            .unwrap_or_else(wall);
        let at = now.max(state.header.at);
        let effects = decide(tenant, &state, command, at)?;
        if effects.is_empty() {
            return Ok(Attempt::Nothing);
        }
        let expected = state.header.sequence;
        let record = ControlRecord {
            tenant: tenant.clone(),
            sequence: expected + 1,
            previous: state.header.chain,
            at,
            command: command.clone(),
            effects,
        };
        let body = codec::encode(&record);
        let parts = state.fold(&record, &body);
        let ids = record
            .identity()
            .into_iter()
            .map(|identity| IdHash(identity.hash(tenant)));
        let commit = Commit {
            wallet: WalletKey::control(tenant.as_str()),
            expected,
            control: None,
            records: vec![NewRecord {
                body,
                // Ids of a sandbox age by the machine's time, wherever its own clock stands.
                at: wall().as_micros(),
                ids: ids.collect(),
                origin: Default::default(),
            }],
            parts,
            due: None,
        };
        match self.commit_control(tenant, commit, state, plan.cloned(), revision.cloned())? {
            Fate::Committed => {
                self.rate_unpriced(command);
                Ok(Attempt::Made(Box::new(record)))
            }
            Fate::Lost => Ok(Attempt::Lost),
        }
    }

    /// The record of a control plane that answers for an identity.
    pub(crate) fn find_control(
        &self,
        tenant: &TenantId,
        identity: &ControlIdentity,
    ) -> Result<Option<ControlRecord>, ControlError> {
        let id = IdHash(identity.hash(tenant));
        if !self.shared().store.may_have_seen(id) {
            return Ok(None);
        }
        for stored in self
            .shared()
            .store
            .find(&WalletKey::control(tenant.as_str()), id)?
        {
            let record = decode(&stored.body)?;
            if record.identity().as_ref() == Some(identity) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn commit_control(
        &self,
        tenant: &TenantId,
        commit: Commit,
        state: ControlState,
        plan: Option<Arc<Plan>>,
        revision: Option<Arc<Revision>>,
    ) -> Result<Fate, ControlError> {
        let (done, told) = crossbeam_channel::bounded(1);
        let (shared, tenant) = (Arc::clone(self.shared()), tenant.clone());
        // Run by the committer, so that everything behind this change in the journal is decided under it.
        let then = Box::new(move || {
            let next = shared.controls.load().with(&tenant, state, plan, revision);
            shared.controls.store(Arc::new(next));
        });
        self.ship(Shipment::Control { commit, then, done })?;
        self.commit_by_hand();
        told.recv().map_err(|_| ControlError::Stopped)
    }
}

/// What became of one attempt at a change.
enum Attempt {
    /// It is durable.
    Made(Box<ControlRecord>),
    /// It was so already.
    Nothing,
    /// The control plane had moved on.
    Lost,
}

pub(crate) fn decode(body: &[u8]) -> Result<ControlRecord, EngineError> {
    codec::decode(body).map_err(|e| EngineError::State(e.to_string()))
}

/// What a command changes; nothing where it is so already.
fn decide(
    tenant: &TenantId,
    state: &ControlState,
    command: &ControlCommand,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
    Ok(match command {
        ControlCommand::CreateKey { id, secret, role } => {
            if state.keys.contains_key(id) {
                return Err(ControlError::KeyExists(id.to_string()));
            }
            let key = KeyState {
                secret: *secret,
                role: *role,
                created: at,
                revoked: None,
            };
            vec![ControlEffect::KeyPut(id.clone(), key)]
        }
        ControlCommand::RevokeKey { id } => {
            let key = state
                .keys
                .get(id)
                .ok_or_else(|| ControlError::UnknownKey(id.to_string()))?;
            match key.revoked {
                Some(_) => Vec::new(),
                None => vec![ControlEffect::KeyPut(
                    id.clone(),
                    KeyState {
                        revoked: Some(at),
                        ..key.clone()
                    },
                )],
            }
        }
        ControlCommand::AddComponent {
            plan,
            component,
            bytes,
            description,
        } => {
            let mut known = state.plans.get(plan).cloned().unwrap_or_default();
            if known.components.contains(component) {
                return Ok(Vec::new());
            }
            if known.components.len() >= COMPONENTS_PER_PLAN_MAX {
                let limit = "COMPONENTS_PER_PLAN_MAX";
                return Err(too_many(plan, "components", limit, COMPONENTS_PER_PLAN_MAX));
            }
            known.components.push(*component);
            let state = ComponentState {
                description: (**description).clone(),
                bytes: *bytes,
                added: at,
            };
            vec![
                ControlEffect::ComponentPut(*component, Box::new(state)),
                ControlEffect::PlanPut(plan.clone(), known),
            ]
        }
        ControlCommand::ChangeTimeline { plan, change, id } => {
            timeline::decide(state, plan, *change, id.is_some(), at)?
        }
        // Older releases wrote these; nobody asks for them any more.
        ControlCommand::Activate { .. } | ControlCommand::Rollback { .. } => Vec::new(),
        ControlCommand::MakeBackfill {
            id,
            events,
            count,
            customers,
            reason,
        } => {
            let new = BackfillState {
                events: *events,
                count: *count,
                customers: *customers,
                reason: reason.clone(),
                stage: BackfillStage::Draft,
                created: at,
                moved: at,
                tally: BackfillTally::default(),
            };
            backfill::make(state, id, new)?
        }
        ControlCommand::MoveBackfill { id, to, tally } => backfill::advance(state, id, *to, *tally, at)?,
        ControlCommand::CreateTenant {
            tenant: new,
            key,
            secret,
        } => tenants::create(tenant, state, *new, key, *secret, at)?,
        ControlCommand::AdvanceClock { id, step } => tenants::advance(tenant, state, id.as_ref(), *step)?,
        ControlCommand::FinishAdvance { .. } => {
            state.tenant.map(ControlEffect::TenantPut).into_iter().collect()
        }
        ControlCommand::Quarantine {
            plan,
            revision,
            reason,
        } => match state.quarantines.contains_key(&(plan.clone(), *revision)) {
            true => Vec::new(),
            false => {
                let quarantine = QuarantineState {
                    since: at,
                    reason: reason.clone(),
                };
                vec![ControlEffect::QuarantinePut(plan.clone(), *revision, quarantine)]
            }
        },
    })
}

pub(crate) fn too_many(plan: &PlanName, what: &'static str, limit: &'static str, max: usize) -> ControlError {
    ControlError::Limit {
        plan: plan.to_string(),
        what,
        limit,
        max,
    }
}
