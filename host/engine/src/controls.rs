//! The control planes as last committed, and the plans that they put in force. Read by everyone, swapped as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use farebox_record::control::{ControlState, KeyState, PlanState};
use farebox_record::ids::{CallId, Hash, PlanName, RevisionHash, TenantId};
use farebox_record::time::Timestamp;
use farebox_runtime::{Plan, Revision, Runtime};
use farebox_store::{Store, WalletKey};

use crate::clock::Clock;
use crate::error::EngineError;
use crate::fold::control_of;

/// A snapshot of all control planes.
#[derive(Clone, Default)]
pub struct Controls {
    tenants: BTreeMap<TenantId, Arc<ControlState>>,
    keys: HashMap<Hash, (TenantId, CallId)>,
    plans: HashMap<Hash, Arc<Plan>>,
    revisions: HashMap<RevisionHash, Arc<Revision>>,
}

impl Controls {
    /// A tenant's control plane.
    pub fn tenant(&self, tenant: &TenantId) -> Option<&ControlState> {
        self.tenants.get(tenant).map(|state| &**state)
    }

    /// Version of a tenant's control plane; 0 where it has none.
    pub fn version(&self, tenant: &TenantId) -> u64 {
        self.tenant(tenant).map_or(0, |state| state.header.sequence)
    }

    /// Where a sandbox's clock stands; none for a live tenant, whose time is the machine's.
    pub fn sandbox_clock(&self, tenant: &TenantId) -> Option<Timestamp> {
        self.tenant(tenant)?.sandbox_clock()
    }

    /// Now, for a tenant: where its clock stands, or what `clock` says. Never before the newest change of its control plane: a
    /// machine may start again with a clock that was set back, and what is in force stays so.
    pub(crate) fn now(&self, clock: &dyn Clock, tenant: &TenantId) -> Timestamp {
        let state = self.tenant(tenant);
        let stands = state.and_then(ControlState::sandbox_clock);
        stands.unwrap_or_else(|| {
            let changed = state.map_or(Timestamp::from_micros(i64::MIN), |state| state.header.at);
            clock.now(tenant).max(changed)
        })
    }

    /// The good API key with this secret.
    pub fn key(&self, secret: &Hash) -> Option<(&TenantId, &CallId, &KeyState)> {
        let (tenant, id) = self.keys.get(secret)?;
        let key = self.tenant(tenant)?.keys.get(id)?;
        key.revoked.is_none().then_some((tenant, id, key))
    }

    /// A plan's timeline.
    pub fn plan(&self, tenant: &TenantId, plan: &PlanName) -> Option<&PlanState> {
        self.tenant(tenant)?.plans.get(plan)
    }

    /// Whether a plan of the tenant follows this attribute as its subject, or did.
    pub(crate) fn follows(&self, tenant: &TenantId, attribute: &str) -> bool {
        let plans = self
            .tenant(tenant)
            .into_iter()
            .flat_map(|state| state.plans.values());
        let mut revisions = plans
            .flat_map(|plan| &plan.timeline)
            .filter_map(|activation| self.revision(&activation.revision));
        revisions.any(|revision| revision.description().subject_attribute.as_deref() == Some(attribute))
    }

    /// A revision, ready to price.
    pub fn revision(&self, hash: &RevisionHash) -> Option<&Arc<Revision>> {
        self.revisions.get(hash)
    }

    /// A component that is known to some tenant, ready to prepare.
    pub(crate) fn component(&self, hash: &Hash) -> Option<&Arc<Plan>> {
        self.plans.get(hash)
    }

    /// The revisions that the runtime took out of service in this process, and why.
    pub(crate) fn out_of_service(&self) -> impl Iterator<Item = (RevisionHash, String)> {
        let quarantined = |(hash, revision): (&RevisionHash, &Arc<Revision>)| {
            revision.quarantine().map(|why| (*hash, why.to_string()))
        };
        self.revisions.iter().filter_map(quarantined)
    }

    /// The revision that prices an event of `time`. One that is quarantined, now or before a restart, does not: the one
    /// before it serves.
    pub(crate) fn pricing(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        time: Timestamp,
    ) -> Option<&Arc<Revision>> {
        let timeline = self.plan(tenant, plan)?;
        let revision = self.revision(&timeline.pricing(time)?)?;
        let noted = self.tenant(tenant).map(|state| &state.quarantines);
        let is_out = |revision: &Revision| {
            let key = (plan.clone(), revision.hash());
            revision.is_quarantined()
                || noted.is_some_and(|noted| !noted.is_empty() && noted.contains_key(&key))
        };
        if !is_out(revision) {
            return Some(revision);
        }
        // One that keeps its states in another version could read none of those that this one has written.
        let version = revision.description().state_version;
        let healthy = |hash: RevisionHash| {
            let previous = self.revision(&hash)?;
            (!is_out(previous) && previous.description().state_version == version).then_some(previous)
        };
        timeline.previous(time).and_then(healthy).or(Some(revision))
    }

    /// The revision that prices, `now`, what belongs to `time`: that of its time, if it is [not ahead](Controls::not_ahead).
    pub(crate) fn pricing_now(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        time: Timestamp,
        now: Timestamp,
    ) -> Option<&Arc<Revision>> {
        let revision = self.pricing(tenant, plan, time)?;
        Some(self.not_ahead(tenant, plan, revision, now))
    }

    /// A revision, but the one in force `now` instead of one that keeps its states in a later version: of a time that is still
    /// to come, or one that was taken back. What that one wrote could not be read by those that are in force.
    pub(crate) fn not_ahead<'c>(
        &'c self,
        tenant: &TenantId,
        plan: &PlanName,
        revision: &'c Arc<Revision>,
        now: Timestamp,
    ) -> &'c Arc<Revision> {
        let version = revision.description().state_version;
        if version == 0 {
            return revision;
        }
        let present = self.pricing(tenant, plan, now);
        present
            .filter(|present| present.description().state_version < version)
            .unwrap_or(revision)
    }

    /// Whoever reads states that are kept in version `kept`, where `revision` cannot, because that is later than its own: the
    /// revision in force `now`. Where that cannot either (it was put in force while one that it replaced took a state over), the
    /// newest of those before it that can.
    pub(crate) fn reading(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        kept: Option<u32>,
        revision: &Revision,
        now: Timestamp,
    ) -> Option<&Arc<Revision>> {
        let kept = kept.filter(|kept| *kept > revision.description().state_version)?;
        let reads = |revision: &&Arc<Revision>| kept <= revision.description().state_version;
        if let Some(present) = self.pricing(tenant, plan, now).filter(reads) {
            return Some(present);
        }
        let timeline = &self.plan(tenant, plan)?.timeline;
        let able = timeline.iter().filter_map(|activation| {
            let revision = self.revision(&activation.revision).filter(reads)?;
            Some((activation.effective, revision))
        });
        // The newest of those that were in force; one that is to come only where no other can.
        able.max_by_key(|(effective, _)| (*effective <= now, *effective))
            .map(|(_, revision)| revision)
    }

    /// Names every tenant.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.keys()
    }

    /// With a tenant's control plane replaced. `plan` and `revision` are what became ready with it.
    pub(crate) fn with(
        &self,
        tenant: &TenantId,
        state: ControlState,
        plan: Option<Arc<Plan>>,
        revision: Option<Arc<Revision>>,
    ) -> Controls {
        let mut next = self.clone();
        next.keys.retain(|_, (owner, _)| owner != tenant);
        for (id, key) in &state.keys {
            next.keys.insert(key.secret, (tenant.clone(), id.clone()));
        }
        next.tenants.insert(tenant.clone(), Arc::new(state));
        next.plans.extend(plan.map(|plan| (plan.hash(), plan)));
        next.revisions
            .extend(revision.map(|revision| (revision.hash(), revision)));
        next
    }

    /// Everything that the store knows, with every component admitted and every revision prepared.
    pub(crate) fn load(store: &dyn Store, runtime: &Runtime) -> Result<Controls, EngineError> {
        let mut controls = Controls::default();
        let mut after: Option<String> = None;
        loop {
            let names = store.tenants(after.as_deref(), 1_000)?;
            let Some(last) = names.last() else {
                return Ok(controls);
            };
            for name in &names {
                let tenant = TenantId::new(name).map_err(|e| EngineError::State(e.to_string()))?;
                controls = controls.reload(&tenant, store, runtime)?;
            }
            after = Some(last.clone());
        }
    }

    /// With one tenant as the store has it now.
    pub(crate) fn reload(
        &self,
        tenant: &TenantId,
        store: &dyn Store,
        runtime: &Runtime,
    ) -> Result<Controls, EngineError> {
        let image = store.load(&WalletKey::control(tenant.as_str()))?;
        let state = control_of(&image).map_err(EngineError::State)?;
        let mut next = self.clone();
        for hash in state.components.keys() {
            if !next.plans.contains_key(hash) {
                let bytes = blob(store, &component_blob(*hash))?;
                let plan = runtime
                    .admit(&bytes)
                    .map_err(|e| EngineError::State(e.to_string()))?;
                next.plans.insert(*hash, plan);
            }
        }
        for activation in state.plans.values().flat_map(|plan| &plan.timeline) {
            let hash = activation.revision;
            if next.revisions.contains_key(&hash) {
                continue;
            }
            let parameters = String::from_utf8(blob(store, &parameters_blob(hash.parameters))?)
                .map_err(|e| EngineError::State(e.to_string()))?;
            let plan = next.plans.get(&hash.component).cloned().ok_or_else(|| {
                EngineError::State(format!("component {:?} of a timeline is unknown", hash.component))
            })?;
            let revision = runtime
                .prepare(&plan, &parameters)
                .map_err(|e| EngineError::State(e.to_string()))?;
            next.revisions.insert(hash, revision);
        }
        Ok(next.with(tenant, state, None, None))
    }
}

fn blob(store: &dyn Store, name: &str) -> Result<Vec<u8>, EngineError> {
    store.blob(name)?.ok_or_else(|| {
        EngineError::State(format!(
            "{name} is missing beside the journal; restore it from a backup"
        ))
    })
}

/// Under which name a component's bytes are kept.
pub(crate) fn component_blob(hash: Hash) -> String {
    format!("component-{hash}")
}

/// Under which name a parameters' text is kept.
pub(crate) fn parameters_blob(hash: Hash) -> String {
    format!("parameters-{hash}")
}
