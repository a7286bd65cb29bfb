//! Pricing a batch: together where that works, one trigger at a time where it does not.
//!
//! The meaning of a batch is the meaning of its triggers one at a time. Evaluating them together is an optimisation,
//! and this module is what keeps it one: a batch that fails is evaluated again trigger by trigger, so that only the
//! offender fails; and now and then one trigger of a batch that worked is evaluated again alone and compared.

use farebox_record::plan::SubjectChange;

use crate::answer::{Asked, Verdict, read};
use crate::batch::Batch;
use crate::bindings::Outcomes;
use crate::columns::Columns;
use crate::fault::Fault;
use crate::health::{Counters, Quarantine};
use crate::limits::Limits;
use crate::pace::Pace;
use crate::plan::Plan;
use crate::runtime::Runtime;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// One per trigger, in the order in which they were pushed.
    pub verdicts: Vec<Verdict>,
    /// Fuel of all calls that it took, about one per instruction.
    pub fuel: u64,
    /// Whether its triggers were evaluated one at a time in the end.
    pub alone: bool,
}

impl Runtime {
    /// Prices a batch.
    ///
    /// Never fails as a whole: each trigger has its verdict.
    pub fn evaluate(&self, batch: &Batch) -> Evaluation {
        let mut run = Run::of(batch);
        let verdicts = run.at_once().unwrap_or_else(|| run.one_at_a_time());
        run.evaluation(verdicts)
    }

    /// Prices a batch as [`Runtime::evaluate`] does, where that takes one call, or two. None where its triggers have to be
    /// evaluated one at a time, each in a call that may run to its limit: that is for whoever has the time.
    pub fn evaluate_at_once(&self, batch: &Batch) -> Option<Evaluation> {
        let mut run = Run::of(batch);
        let verdicts = run.at_once()?;
        Some(run.evaluation(verdicts))
    }

    /// Prices a batch in one call, or not at all: what [`Runtime::evaluate`] falls back from is told.
    ///
    /// # Errors
    ///
    /// What kept the call from an answer that can be used.
    pub fn evaluate_together(&self, batch: &Batch) -> Result<Evaluation, Fault> {
        let mut run = Run::of(batch);
        let verdicts = run.together()?;
        Ok(Evaluation {
            verdicts: with_refused(verdicts, batch),
            fuel: run.fuel,
            alone: false,
        })
    }

    /// Prices a batch in one call, in an instance that priced another batch just before. A server never does this: each of its
    /// calls has an instance of its own. It shows whether a plan remembers anything beside its states.
    ///
    /// # Errors
    ///
    /// What kept either call from an answer that can be used.
    pub fn evaluate_reused(&self, before: &Batch, batch: &Batch) -> Result<Evaluation, Fault> {
        let run = Run::of(batch);
        let columns = &batch.columns;
        let called = run.plan.callable.evaluate_second(
            before.columns.lower().batch(),
            columns.lower().batch(),
            run.limits.fuel_per_call,
            run.limits,
        );
        let verdicts = run.read(called.answer?, columns)?;
        Ok(Evaluation {
            verdicts: with_refused(verdicts, batch),
            fuel: called.fuel,
            alone: false,
        })
    }
}

/// Puts the triggers that never reached the plan back in their places.
fn with_refused(verdicts: Vec<Verdict>, batch: &Batch) -> Vec<Verdict> {
    if batch.refused.is_empty() {
        return verdicts;
    }
    let mut all = Vec::with_capacity(batch.len());
    let mut priced = verdicts.into_iter();
    for (position, verdict) in &batch.refused {
        all.extend(priced.by_ref().take(position - all.len()));
        all.push(verdict.clone());
    }
    all.extend(priced);
    all
}

/// One evaluation on its way.
struct Run<'a> {
    batch: &'a Batch,
    plan: &'a Plan,
    counters: &'a Counters,
    pace: &'a Pace,
    limits: &'a Limits,
    fuel: u64,
    alone: bool,
}

impl<'a> Run<'a> {
    fn of(batch: &'a Batch) -> Run<'a> {
        let revision = batch.revision();
        let plan = &*revision.plan;
        Run {
            batch,
            plan,
            counters: &revision.counters,
            pace: &revision.pace,
            limits: &plan.limits,
            fuel: 0,
            alone: false,
        }
    }

    fn evaluation(&self, verdicts: Vec<Verdict>) -> Evaluation {
        Evaluation {
            verdicts: with_refused(verdicts, self.batch),
            fuel: self.fuel,
            alone: self.alone,
        }
    }

    /// All triggers, where they need not be evaluated one at a time.
    fn at_once(&mut self) -> Option<Vec<Verdict>> {
        match self.batch.columns.triggers.len() {
            0 => Some(Vec::new()),
            1 => Some(vec![self.single(&self.batch.columns)]),
            _ if self.batch.revision().is_quarantined() => None,
            _ => match self.together() {
                Ok(verdicts) if self.sample_agrees(&verdicts) => Some(self.answered(verdicts)),
                Err(fault @ Fault::NoRoom { .. }) => Some(self.all_failed(&fault)),
                _ => None,
            },
        }
    }

    /// All triggers in one call.
    fn together(&mut self) -> Result<Vec<Verdict>, Fault> {
        let columns = &self.batch.columns;
        self.call(columns, self.limits.batch_fuel(columns.triggers.len()))
    }

    /// One call.
    fn call(&mut self, columns: &Columns, fuel: u64) -> Result<Vec<Verdict>, Fault> {
        let called = self
            .plan
            .callable
            .evaluate(columns.lower().batch(), fuel, self.limits);
        self.fuel = self.fuel.saturating_add(called.fuel);
        self.counters.called(called.fuel);
        self.pace.took(called.fuel, self.plan);
        self.read(called.answer?, columns)
    }

    fn read(&self, outcomes: Outcomes, columns: &Columns) -> Result<Vec<Verdict>, Fault> {
        let asked = |i: usize| match columns.triggers.get(i) {
            Some(trigger) => Asked {
                time: trigger.time,
                has_subject: trigger.subject.is_some(),
            },
            None => Asked {
                time: 0,
                has_subject: false,
            },
        };
        let triggers = columns.triggers.len();
        read(outcomes, triggers, &asked, &self.plan.description, self.limits)
    }

    /// A call of one trigger, tried once more where the machine kept it from an answer.
    fn single(&mut self, columns: &Columns) -> Verdict {
        let mut answer = self.call(columns, self.limits.fuel_per_call);
        if matches!(answer, Err(Fault::TimedOut { .. })) {
            self.counters.interrupted();
            answer = self.call(columns, self.limits.fuel_per_call);
        }
        match answer.map(|mut verdicts| verdicts.pop()) {
            Ok(Some(verdict)) => {
                self.has_answered(1);
                verdict
            }
            Ok(None) => Verdict::Failed(Fault::rule("one-result-per-trigger", "there is none")),
            Err(fault) => {
                match fault.is_of_the_plan() {
                    true => self.counters.failed(&fault, self.limits),
                    false => self.counters.interrupted(),
                }
                Verdict::Failed(fault)
            }
        }
    }

    /// Each trigger in a call of its own, in order, each with the states that those before it left behind.
    fn one_at_a_time(&mut self) -> Vec<Verdict> {
        self.alone = true;
        self.counters.went_alone();
        let columns = &self.batch.columns;
        let mut states = States::of(columns);
        let mut scratch = Columns::default();
        let mut verdicts = Vec::with_capacity(columns.triggers.len());
        let (mut faults, mut timeouts) = (0, 0);
        for index in 0..columns.triggers.len() {
            let verdict = match self.give_up(faults, timeouts) {
                Some(fault) => Verdict::Failed(fault),
                None => {
                    states.alone(columns, index, self.batch, &mut scratch);
                    self.single(&scratch)
                }
            };
            match &verdict {
                Verdict::Failed(Fault::TimedOut { .. }) => timeouts += 1,
                Verdict::Failed(fault) if fault.is_of_the_plan() => faults += 1,
                _ => states.fold(columns, index, &verdict),
            }
            verdicts.push(verdict);
        }
        verdicts
    }

    /// Whether the rest of a batch is not worth trying: a lane has other plans to serve.
    fn give_up(&self, faults: usize, timeouts: usize) -> Option<Fault> {
        let Limits {
            faults_per_batch_max,
            timeouts_per_batch_max,
            ..
        } = *self.limits;
        if faults >= faults_per_batch_max {
            return Some(Fault::GivenUp {
                limit: "faults_per_batch_max",
                max: faults_per_batch_max as u64,
            });
        }
        if timeouts >= timeouts_per_batch_max {
            return Some(Fault::GivenUp {
                limit: "timeouts_per_batch_max",
                max: timeouts_per_batch_max as u64,
            });
        }
        None
    }

    /// Evaluates one trigger of a batch that worked again alone, when it is its turn. A difference takes the revision
    /// out of service: whatever it is, it is not a function of its inputs.
    fn sample_agrees(&mut self, verdicts: &[Verdict]) -> bool {
        let Some(index) = self
            .counters
            .sample(verdicts.len(), self.limits.sample_every_triggers)
        else {
            return true;
        };
        let columns = &self.batch.columns;
        let mut states = States::of(columns);
        for (before, verdict) in verdicts[..index].iter().enumerate() {
            states.fold(columns, before, verdict);
        }
        let mut scratch = Columns::default();
        states.alone(columns, index, self.batch, &mut scratch);
        let alone = match self.call(&scratch, self.limits.fuel_per_call) {
            Ok(mut verdicts) => verdicts.pop(),
            // The machine kept it from an answer, which says nothing about the plan.
            Err(fault) if !fault.is_of_the_plan() => return true,
            Err(fault) => Some(Verdict::Failed(fault)),
        };
        if alone.as_ref() == verdicts.get(index) {
            return true;
        }
        let detail = format!(
            "trigger {index} of {}: {} alone, {} in the batch",
            verdicts.len(),
            brief(alone.as_ref()),
            brief(verdicts.get(index))
        );
        self.counters.take_out(Quarantine::Differs { detail });
        false
    }

    fn answered(&self, verdicts: Vec<Verdict>) -> Vec<Verdict> {
        self.has_answered(verdicts.len());
        verdicts
    }

    fn has_answered(&self, triggers: usize) {
        self.counters.answered(triggers);
        self.pace.answered(triggers, self.limits);
    }

    fn all_failed(&self, fault: &Fault) -> Vec<Verdict> {
        self.counters.interrupted();
        vec![Verdict::Failed(fault.clone()); self.batch.columns.triggers.len()]
    }
}

/// A verdict in a few words, for a message.
fn brief(verdict: Option<&Verdict>) -> String {
    format!("{verdict:?}").chars().take(300).collect()
}

/// What the triggers so far left behind, where they changed it.
struct States {
    contexts: Vec<Option<Vec<u8>>>,
    subjects: Vec<Option<Vec<u8>>>,
}

impl States {
    fn of(columns: &Columns) -> States {
        States {
            contexts: vec![None; columns.contexts.len()],
            subjects: vec![None; columns.subjects.len()],
        }
    }

    /// Takes over what one trigger left behind.
    fn fold(&mut self, columns: &Columns, index: usize, verdict: &Verdict) {
        let Verdict::Priced(priced) = verdict else { return };
        let trigger = columns.triggers[index];
        if let Some(state) = &priced.state {
            self.contexts[trigger.context as usize] = Some(state.clone());
        }
        if let (Some(SubjectChange { state, .. }), Some(subject)) = (&priced.subject, trigger.subject) {
            self.subjects[subject as usize] = Some(state.clone());
        }
    }

    /// One trigger as if it came alone after those that were folded.
    fn alone(&self, columns: &Columns, index: usize, batch: &Batch, into: &mut Columns) {
        let trigger = columns.triggers[index];
        let state = self.contexts[trigger.context as usize].as_deref();
        let subject = trigger
            .subject
            .and_then(|subject| self.subjects[subject as usize].as_deref());
        columns.alone(index, state, subject, batch.shape(), into);
    }
}
