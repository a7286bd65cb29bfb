//! Changes of the control planes: plans pushed, put in force and taken back; keys made and revoked.

use anyhow::ensure;
use farebox_engine::{Activated, ControlError, Engine, EngineError, NewRevision};
use farebox_record::control::{Activation, OpenHolds, Role};
use farebox_record::ids::{CallId, Hash, PlanName, TenantId};
use farebox_record::time::Span;
use farebox_store::StoreError;
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::plans::{
    self, OUTCOMES, OUTCOMES_PARAMETERS, POOL, POOL_PARAMETERS, TOKENS, TOKENS_PARAMETERS, TOTALS,
    TOTALS_PARAMETERS, plan_name,
};

/// What one tenant was told of its control plane.
#[derive(Debug)]
pub struct Plane {
    tenant: TenantId,
    /// Plan and place on its timeline.
    activated: Vec<(PlanName, Activation)>,
    /// Key, and whether it was revoked.
    keys: Vec<(CallId, bool)>,
    /// Keys that may be there or not: the store stopped before it answered.
    open: Vec<CallId>,
    made: u64,
    /// Changes of timelines, each under its key.
    keyed: Vec<Keyed>,
}

/// A change of a timeline that is made once.
#[derive(Debug, Clone)]
struct Keyed {
    id: CallId,
    plan: PlanName,
    change: Timeline,
    /// As it was answered; none: the store stopped before.
    answer: Option<Activated>,
}

#[derive(Debug, Clone, Copy)]
enum Timeline {
    Activate(NewRevision<'static>),
    Rollback,
}

impl Plane {
    /// Of a tenant that has nothing yet.
    pub fn new(tenant: TenantId) -> Plane {
        Plane {
            tenant,
            activated: Vec::new(),
            keys: Vec::new(),
            open: Vec::new(),
            made: 0,
            keyed: Vec::new(),
        }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Makes all components known, and puts a first price list of each in force. May be repeated.
    ///
    /// # Errors
    /// What the engine refuses; that it has stopped is none.
    pub fn set_up(&mut self, engine: &Engine) -> anyhow::Result<()> {
        let components = plans::components()?;
        let all = [
            (TOKENS, &components.tokens, TOKENS_PARAMETERS[0]),
            (POOL, &components.pool, POOL_PARAMETERS[0]),
            (POOL, &components.later_pool, POOL_PARAMETERS[0]),
            (OUTCOMES, &components.outcomes, OUTCOMES_PARAMETERS),
            (TOTALS, &components.totals, TOTALS_PARAMETERS),
        ];
        for (name, component, parameters) in all {
            let plan = plan_name(name);
            let pushed = engine.push_component(&self.tenant, &plan, component);
            let Some(pushed) = unless_stopped(pushed)? else {
                return Ok(());
            };
            if !self.activated.iter().any(|(known, _)| *known == plan) {
                let done = engine.activate(
                    &self.tenant,
                    &plan,
                    &NewRevision::at_once(pushed.hash, parameters),
                    None,
                );
                self.note(&plan, unless_stopped(done)?.map(|done| done.activation));
            }
        }
        Ok(())
    }

    fn note(&mut self, plan: &PlanName, activation: Option<Activation>) {
        if let Some(activation) = activation {
            let known = (plan.clone(), activation);
            if !self.activated.contains(&known) {
                self.activated.push(known);
            }
        }
    }

    /// Changes something.
    ///
    /// # Errors
    /// What the engine should not have refused.
    pub fn change(&mut self, engine: &Engine, random: &mut SmallRng) -> anyhow::Result<()> {
        let components = plans::components()?;
        let (name, component, lists): (_, _, &[&'static str]) = match random.random_range(0..9) {
            0..=2 => (POOL, &components.later_pool, &POOL_PARAMETERS),
            3..=5 => (POOL, &components.pool, &POOL_PARAMETERS),
            _ => (TOKENS, &components.tokens, &TOKENS_PARAMETERS),
        };
        let plan = plan_name(name);
        match random.random_range(0..10) {
            0 => {
                unless_stopped(engine.push_component(&self.tenant, &plan, component))?;
            }
            1..=3 => {
                let later = engine.now(&self.tenant).saturating_add(Span::seconds(3_600));
                let new = NewRevision {
                    component: Hash::of(component),
                    parameters: lists[random.random_range(0..lists.len())],
                    effective: (random.random_range(0..3) == 0).then_some(later),
                    open_holds: [OpenHolds::Quoted, OpenHolds::New][random.random_range(0..2)],
                };
                self.change_timeline(engine, plan, Timeline::Activate(new))?;
            }
            4..=5 => self.change_timeline(engine, plan, Timeline::Rollback)?,
            8..=9 => self.repeat(engine, random)?,
            6 => {
                self.made += 1;
                let id = CallId::new(&format!("key-{}", self.made))?;
                let secret = Hash::of(id.as_str().as_bytes());
                match unless_stopped(engine.create_key(&self.tenant, id.clone(), secret, Role::Read))? {
                    Some(()) => self.keys.push((id, false)),
                    None => self.open.push(id),
                }
            }
            _ => {
                if let Some((id, is_revoked)) = self.keys.last_mut() {
                    // Revoked without an answer is as good as revoked: nothing may come of the key either way.
                    if unless_stopped(engine.revoke_key(&self.tenant, id.clone()))?.is_some() {
                        *is_revoked = true;
                    }
                }
            }
        }
        Ok(())
    }

    fn change_timeline(&mut self, engine: &Engine, plan: PlanName, change: Timeline) -> anyhow::Result<()> {
        self.made += 1;
        let mut keyed = Keyed {
            id: CallId::new(&format!("change-{}", self.made))?,
            plan,
            change,
            answer: None,
        };
        keyed.answer = self.once(engine, &keyed)?;
        self.keyed.push(keyed);
        Ok(())
    }

    /// Asks for an earlier change again: what was answered is answered again, and what was not is made at most once.
    fn repeat(&mut self, engine: &Engine, random: &mut SmallRng) -> anyhow::Result<()> {
        if self.keyed.is_empty() {
            return Ok(());
        }
        let place = random.random_range(0..self.keyed.len());
        let keyed = self.keyed[place].clone();
        let Some(again) = self.once(engine, &keyed)? else {
            return Ok(());
        };
        match keyed.answer {
            Some(first) => {
                let expected = Activated {
                    replayed: true,
                    ..first
                };
                ensure!(
                    again == expected,
                    "{}: {} of {} is answered {again:?}, and was {expected:?}",
                    self.tenant,
                    keyed.id,
                    keyed.plan
                );
            }
            None => self.keyed[place].answer = Some(again),
        }
        Ok(())
    }

    /// Asks for a change under its key; none: it did not get that far, or cannot be.
    fn once(&mut self, engine: &Engine, keyed: &Keyed) -> anyhow::Result<Option<Activated>> {
        let Keyed { id, plan, change, .. } = keyed;
        let done = match change {
            Timeline::Activate(new) => engine.activate(&self.tenant, plan, new, Some(id)),
            Timeline::Rollback => engine.rollback(&self.tenant, plan, None, Some(id)),
        };
        let is_refused = match &done {
            // The plan is not there yet: what would have made it known got no answer.
            Err(ControlError::UnknownPlan(_) | ControlError::UnknownComponent(_)) => true,
            Err(ControlError::NothingToRollBack | ControlError::EffectiveInThePast) => true,
            // The version before, where the later one is in force or to come.
            Err(ControlError::StateVersion(_) | ControlError::VersionOrder { .. }) => true,
            _ => false,
        };
        if is_refused && keyed.answer.is_none() {
            return Ok(None);
        }
        let done = unless_stopped(done)?;
        self.note(plan, done.as_ref().map(|done| done.activation));
        Ok(done)
    }

    /// Everything that was answered is in force.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self, engine: &Engine) -> anyhow::Result<()> {
        let controls = engine.controls();
        for (plan, activation) in &self.activated {
            let timeline = controls.plan(&self.tenant, plan).map(|state| &state.timeline);
            let is_there = timeline.is_some_and(|timeline| timeline.contains(activation));
            ensure!(
                is_there,
                "{}: {activation:?} of {plan} was answered and is gone",
                self.tenant
            );
        }
        let state = controls.tenant(&self.tenant);
        for (id, is_revoked) in &self.keys {
            let key = state.and_then(|state| state.keys.get(id));
            ensure!(key.is_some(), "{}: key {id} was made and is gone", self.tenant);
            let holds = !is_revoked || key.is_some_and(|key| key.revoked.is_some());
            ensure!(
                holds,
                "{}: key {id} was revoked and lets somebody in",
                self.tenant
            );
        }
        // The first key of a sandbox came with it.
        let made = |id: &&CallId| id.as_str().starts_with("key-");
        let known = state.map_or(0, |state| state.keys.keys().filter(made).count());
        let most = self.keys.len() + self.open.len();
        ensure!(
            (self.keys.len()..=most).contains(&known),
            "{}: {known} keys, at most {most} were made",
            self.tenant
        );
        Ok(())
    }
}

/// That the engine has stopped is no mistake: whoever asked learns after a restart what became of it. Nor is that the disk
/// is nearly full, or refused a component: nothing came of it.
fn unless_stopped<T>(done: Result<T, ControlError>) -> anyhow::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(ControlError::Stopped | ControlError::DiskNearlyFull(_)) => Ok(None),
        Err(ControlError::Engine(EngineError::Store(StoreError::Io { .. }))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
