//! The rare calls: a change of a subscription, an explanation, a migration of state.

use std::borrow::Cow;
use std::sync::Arc;

use farebox_record::plan::{Rejection, Step};
use farebox_record::time::Timestamp;

use crate::answer::{Asked, Verdict, read};
use crate::batch::{Batch, Context, Subject};
use crate::call::Called;
use crate::change::Change;
use crate::columns::Columns;
use crate::fault::Fault;
use crate::limits::Limits;
use crate::plan::Revision;
use crate::runtime::Runtime;

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its charges, grants, timers and states, or why there are none.
    pub verdict: Verdict,
    /// Fuel that it took.
    pub fuel: u64,
}

/// Why an event costs what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// Step by step. A step's charge is an index into the charges of the outcome, `otherwise` links counted.
    Steps(Vec<Step>),
    /// It has no price.
    Rejected(Rejection),
    /// The plan gave no answer that can be used.
    Failed(Fault),
}

/// What became of a state of an earlier version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Migration {
    /// The state in the described version.
    Migrated(Vec<u8>),
    /// The plan refuses, and says why. The revision must not be activated for this subscription.
    Refused(String),
    /// The plan gave no answer that can be used.
    Failed(Fault),
}

impl Runtime {
    /// Tells the plan what happened to a subscription.
    pub fn transition(
        &self,
        revision: &Arc<Revision>,
        context: &Context<'_>,
        subject: Option<&Subject<'_>>,
        time: Timestamp,
        change: &Change,
    ) -> Transition {
        self.transition_from(
            revision,
            (None, context),
            subject.map(|subject| (None, subject)),
            time,
            change,
        )
    }

    /// The same with states that are kept in these versions (none: the described one). Where the plan does not take one over, it
    /// is told nothing, and the verdict says so.
    pub fn transition_from(
        &self,
        revision: &Arc<Revision>,
        context: (Option<u32>, &Context<'_>),
        subject: Option<(Option<u32>, &Subject<'_>)>,
        time: Timestamp,
        change: &Change,
    ) -> Transition {
        let (plan, limits) = (&revision.plan, &*revision.plan.limits);
        let mut batch = Batch::new(revision);
        batch.context_from(context.0, context.1);
        if let Some((kept, subject)) = subject {
            batch.subject_from(kept, subject);
        }
        if let Some(fault) = batch.first_stale() {
            return Transition {
                verdict: Verdict::Failed(fault.clone()),
                fuel: 0,
            };
        }
        let lowered = batch.columns.lower();
        let at = time.as_micros();
        let asked = |_| Asked {
            time: at,
            has_subject: subject.is_some(),
        };
        let mut fuel = 0;
        let answer = twice_if_interrupted(revision, &mut fuel, || {
            let Called { answer, fuel } = change.lower(&plan.description, |change| {
                plan.callable.transition(lowered.batch(), at, change, limits)
            });
            let verdicts = answer.and_then(|outcomes| read(outcomes, 1, &asked, &plan.description, limits));
            Called {
                answer: verdicts,
                fuel,
            }
        });
        let verdict = match answer.map(|mut verdicts| verdicts.pop()) {
            Ok(Some(verdict)) => verdict,
            Ok(None) => Verdict::Failed(Fault::rule("one-result-per-trigger", "there is none")),
            Err(fault) => Verdict::Failed(fault),
        };
        Transition { verdict, fuel }
    }

    /// Explains the first trigger of a batch. The others do not matter; an empty batch has nothing to explain.
    pub fn explain(&self, batch: &Batch) -> Explanation {
        match batch.refused.first() {
            Some((0, Verdict::Rejected(rejection))) => return Explanation::Rejected(rejection.clone()),
            Some((0, Verdict::Failed(fault))) => return Explanation::Failed(fault.clone()),
            _ => {}
        }
        if batch.columns.triggers.is_empty() {
            return Explanation::Steps(Vec::new());
        }
        let revision = batch.revision();
        let limits = &*revision.plan.limits;
        let mut columns = Columns::default();
        batch.columns.alone(0, None, None, batch.shape(), &mut columns);
        let lowered = columns.lower();
        let answer = twice_if_interrupted(revision, &mut 0, || {
            revision.plan.callable.explain(lowered.batch(), limits)
        });
        match answer.and_then(|said| read_steps(said, limits)) {
            Ok(explanation) => explanation,
            Err(fault) => Explanation::Failed(fault),
        }
    }

    /// Brings a state of an earlier version up to the described one.
    pub fn migrate(&self, revision: &Revision, from: u32, state: &[u8]) -> Migration {
        revision.migrate(from, state)
    }
}

impl Revision {
    /// A state in the described version, from the version that it is kept in (none: the described one). An empty one has none.
    ///
    /// # Errors
    /// It is kept in a later version, the plan does not take it over, or it gives no answer that can be used.
    pub fn up_to_date<'s>(&self, kept: Option<u32>, state: &'s [u8]) -> Result<Cow<'s, [u8]>, Fault> {
        let to = self.description().state_version;
        let Some(from) = kept.filter(|kept| *kept != to && !state.is_empty()) else {
            return Ok(Cow::Borrowed(state));
        };
        let refused = |reason| Fault::StateVersion { from, to, reason };
        // A plan knows what came before it, and must not be led to take a later state for an earlier one.
        if from > to {
            return Err(refused("it is of a later version".to_string()));
        }
        match self.migrate(from, state) {
            Migration::Migrated(state) => Ok(Cow::Owned(state)),
            Migration::Failed(fault) => Err(fault),
            Migration::Refused(reason) => Err(refused(reason)),
        }
    }

    fn migrate(&self, from: u32, state: &[u8]) -> Migration {
        let limits = &*self.plan.limits;
        let answer = twice_if_interrupted(self, &mut 0, || {
            let Called { answer, fuel } = self.plan.callable.migrate(from, state, limits);
            Called {
                answer: answer.and_then(|said| read_migration(said, limits)),
                fuel,
            }
        });
        answer.unwrap_or_else(Migration::Failed)
    }
}

/// Makes a call; once more where the machine kept it from an answer. Keeps the revision's counters.
fn twice_if_interrupted<R>(
    revision: &Revision,
    fuel: &mut u64,
    mut call: impl FnMut() -> Called<R>,
) -> Result<R, Fault> {
    let (counters, limits) = (&revision.counters, &*revision.plan.limits);
    let mut once = || {
        let called = call();
        counters.called(called.fuel);
        revision.pace.took(called.fuel, &revision.plan);
        *fuel = fuel.saturating_add(called.fuel);
        called.answer
    };
    let mut answer = once();
    if matches!(answer, Err(Fault::TimedOut { .. })) {
        counters.interrupted();
        answer = once();
    }
    match &answer {
        Ok(_) => {
            counters.answered(1);
            revision.pace.answered(1, limits);
        }
        Err(fault) if fault.is_of_the_plan() => counters.failed(fault, limits),
        Err(_) => counters.interrupted(),
    }
    answer
}

fn read_migration(said: Result<Vec<u8>, String>, limits: &Limits) -> Result<Migration, Fault> {
    match said {
        Ok(state) => {
            Fault::check("state_bytes_max", state.len(), limits.state_bytes_max)?;
            Ok(Migration::Migrated(state))
        }
        Err(reason) => {
            Fault::check("message_bytes_max", reason.len(), limits.message_bytes_max)?;
            Ok(Migration::Refused(reason))
        }
    }
}

fn read_steps(
    said: Result<Vec<crate::bindings::Step>, crate::bindings::Rejection>,
    limits: &Limits,
) -> Result<Explanation, Fault> {
    let steps = match said {
        Ok(steps) => steps,
        Err(rejection) => return crate::answer::rejection(rejection, limits).map(Explanation::Rejected),
    };
    Fault::check("steps_max", steps.len(), limits.steps_max)?;
    let read = steps.into_iter().map(|step| {
        for text in [&step.what, &step.value, &step.why] {
            Fault::check("message_bytes_max", text.len(), limits.message_bytes_max)?;
        }
        Ok(Step {
            charge: step.charge,
            what: step.what,
            value: step.value,
            why: step.why,
        })
    });
    read.collect::<Result<_, Fault>>().map(Explanation::Steps)
}
