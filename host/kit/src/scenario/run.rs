//! Carrying a scenario out: the very engine that a server runs, over a store in memory and a clock that the steps move. It
//! runs without threads, so that a step is over when all that follows from it is done, and every run is the same.
//!
//! **Rejected**: a small engine of its own for scenarios. It would agree with the real one until it matters.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farebox_engine::{
    Ask, Config, ControlError, Engine, EngineError, ManualClock, Rejected, Reply, Request, Work,
};
use farebox_ledger::Wallet;
use farebox_record::control::OpenHolds;
use farebox_record::ids::{CustomerId, Hash, PlanName, RevisionHash, TenantId};
use farebox_record::record::Record;
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;
use farebox_store::MemoryStore;

use crate::build::{BuildError, BuildOptions, build_plan};

use super::action::ChangePlan;
use super::command::{self, Said, Unsupported};
use super::coverage::Coverage;
use super::format::{Action, Scenario, Step};
use super::observe::{Observed, compare};

/// What became of a scenario.
#[derive(Debug, Clone)]
pub struct Report {
    /// One per step, in order.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// Whether every expectation was met.
    pub fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.problems.is_empty())
    }

    /// What its steps asked the plan.
    pub fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for step in &self.steps {
            coverage.extend(&step.coverage);
        }
        coverage
    }
}

/// What became of a step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Line of the file on which the step begins.
    pub line: usize,
    /// What it does: `use`, `settle` ...
    pub action: &'static str,
    /// When it happens.
    pub at: Timestamp,
    /// What the plan used for it, about one per instruction.
    pub fuel: u64,
    /// How long it took, ledger and all.
    pub took: Duration,
    /// What the plan was asked.
    pub coverage: Coverage,
    /// What was expected and did not come, each with what came instead.
    pub problems: Vec<String>,
}

/// Why a scenario cannot be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The component or its parameters are refused.
    #[error("{0}")]
    Plan(#[from] ControlError),
    /// The engine did not start, or stopped.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The engine took nothing in.
    #[error("{0}")]
    Rejected(#[from] Rejected),
    /// A step asks for something that this version does not do.
    #[error("line {line}: {why}")]
    Unsupported {
        /// Line of the step.
        line: usize,
        /// What it asks for.
        why: Unsupported,
    },
    /// A file that the scenario names.
    #[error("line {line}: {path}: {error}")]
    File {
        /// Line of the step.
        line: usize,
        /// Which file.
        path: String,
        /// The refusal.
        error: std::io::Error,
    },
    /// Another plan, that the scenario changes to, was not built.
    #[error("line {line}: {error}")]
    Build {
        /// Line of the step.
        line: usize,
        /// Why.
        error: BuildError,
    },
    /// No executor for the calls.
    #[error("no executor: {0}")]
    Executor(std::io::Error),
}

/// A plan under test.
#[derive(Clone)]
pub struct Subject<'a> {
    /// Runs it.
    pub runtime: &'a Runtime,
    /// Its bytes.
    pub component: &'a [u8],
    /// Parameters, as JSON text.
    pub parameters: &'a str,
    /// Folder of the scenario file, for the files that it names.
    pub folder: &'a Path,
}

/// Carries out a scenario. `text` is the file's, for the numbers of lines.
pub fn run(subject: &Subject<'_>, scenario: &Scenario, text: &str) -> Result<Report, RunError> {
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(RunError::Executor)?;
    let mut stage = Stage::open(subject, scenario)?;
    let mut steps = Vec::with_capacity(scenario.steps.len());
    let outcome = executor.block_on(async {
        stage.create_customer(scenario).await?;
        for spanned in &scenario.steps {
            let line = text
                .get(..spanned.span().start)
                .map_or(0, |before| before.matches('\n').count())
                + 1;
            steps.push(stage.step(subject, spanned.get_ref(), line).await?);
        }
        Ok(())
    });
    stage.engine.stop()?;
    outcome.map(|()| Report { steps })
}

/// One customer on one plan, and the time.
struct Stage {
    engine: Engine,
    clock: Arc<ManualClock>,
    tenant: TenantId,
    customer: CustomerId,
    plan: PlanName,
    component: Hash,
    revisions: Vec<RevisionHash>,
    /// Sequence of the newest record that was looked at.
    seen: u64,
    steps: usize,
    /// What the steps so far said.
    said: Said,
}

impl Stage {
    fn open(subject: &Subject<'_>, scenario: &Scenario) -> Result<Stage, RunError> {
        let start = scenario
            .steps
            .first()
            .and_then(|step| step.get_ref().at)
            .map_or(Timestamp::EPOCH, |at| at.0);
        let clock = Arc::new(ManualClock::at(start));
        let config = Config {
            lanes: 1,
            on_failure: Box::new(|_| {}),
        };
        let store = Arc::new(MemoryStore::new());
        let engine = Engine::by_hand(config, store, subject.runtime.clone(), Arc::clone(&clock) as _)?;
        #[expect(
            clippy::expect_used,
            reason = "constants, and a name that was checked when it was read"
        )]
        let (tenant, customer, plan) = (
            TenantId::new("default").expect("a name"),
            CustomerId::new("customer").expect("a name"),
            PlanName::new(scenario.name.as_deref().unwrap_or("plan")).expect("a name"),
        );
        let component = engine.push_component(&tenant, &plan, subject.component)?.hash;
        let mut stage = Stage {
            engine,
            clock,
            tenant,
            customer,
            plan,
            component,
            revisions: Vec::new(),
            seen: 0,
            steps: 0,
            said: Said::default(),
        };
        stage.activate_own(subject.parameters)?;
        Ok(stage)
    }

    /// Puts the plan under test in force with these parameters.
    fn activate_own(&mut self, parameters: &str) -> Result<(), RunError> {
        let (plan, component) = (self.plan.clone(), self.component);
        self.activate(&plan, component, parameters)
    }

    fn activate(&mut self, plan: &PlanName, component: Hash, parameters: &str) -> Result<(), RunError> {
        let put = self
            .engine
            .activate(&self.tenant, plan, component, parameters, None, OpenHolds::Quoted)?;
        self.revisions.push(put.activation.revision);
        Ok(())
    }

    /// Puts the plan in force that a step changes to, under a name of its own.
    async fn other_plan(
        &mut self,
        subject: &Subject<'_>,
        change: &ChangePlan,
        line: usize,
    ) -> Result<PlanName, RunError> {
        let unsupported = |why: String| RunError::Unsupported {
            line,
            why: Unsupported(why),
        };
        let parameters = match (&change.parameters, &change.plan) {
            (Some(parameters), _) => subject.folder.join(parameters),
            (None, Some(folder)) => {
                let folder = subject.folder.join(folder);
                let described: toml::Table = toml::from_str(&read(&folder.join("plan.toml"), line)?)
                    .map_err(|error| unsupported(format!("{}/plan.toml: {error}", folder.display())))?;
                let named = described.get("parameters").and_then(toml::Value::as_str);
                folder.join(named.ok_or_else(|| {
                    unsupported(format!("{}/plan.toml names no `parameters`", folder.display()))
                })?)
            }
            (None, None) if change.cadence.is_some() => return self.serving(line).await,
            (None, None) => {
                let why =
                    "`change_plan` names what changes: `plan`, `parameters`, `cadence`, or several of them";
                return Err(unsupported(why.to_string()));
            }
        };
        let made_up = format!("plan-{}", self.steps);
        let name = PlanName::new(change.name.as_deref().unwrap_or(&made_up))
            .map_err(|error| unsupported(error.to_string()))?;
        let component = match &change.plan {
            None => self
                .engine
                .push_component(&self.tenant, &name, subject.component)?,
            Some(folder) => {
                let built = build_plan(&subject.folder.join(folder), &BuildOptions::default())
                    .map_err(|error| RunError::Build { line, error })?;
                self.engine
                    .push_component(&self.tenant, &name, &built.component)?
            }
        };
        self.activate(&name, component.hash, &read(&parameters, line)?)?;
        Ok(name)
    }

    /// The plan that serves the subscription.
    async fn serving(&self, line: usize) -> Result<PlanName, RunError> {
        let id = self
            .said
            .subscription()
            .map_err(|why| RunError::Unsupported { line, why })?;
        let wallet = self.wallet().await?;
        Ok(wallet
            .subscription(&id)
            .map_or_else(|| self.plan.clone(), |subscription| subscription.plan.clone()))
    }

    async fn wallet(&self) -> Result<Arc<Wallet>, RunError> {
        match self.ask(Ask::Read).await? {
            Reply::Wallet(wallet) => Ok(wallet),
            _ => Err(RunError::Rejected(Rejected::Stopped)),
        }
    }

    async fn create_customer(&mut self, scenario: &Scenario) -> Result<(), RunError> {
        let command = command::put_customer(&scenario.shortfall).map_err(|why| RunError::Unsupported {
            line: 1,
            why: Unsupported(why),
        })?;
        self.ask(Ask::Command(Box::new(command))).await?;
        self.seen = 1;
        Ok(())
    }

    async fn ask(&self, ask: Ask) -> Result<Reply, RunError> {
        let request = Request {
            customer: self.customer.clone(),
            ask,
        };
        let call = self.engine.call_one(&self.tenant, request);
        let work = async { self.settle() };
        let (reply, ()) = tokio::join!(biased; call, work); // the call is taken in first
        Ok(reply?)
    }

    /// Does everything that waits, until nothing does: also what nobody is told of, such as a price for what had none.
    fn settle(&self) {
        while let Some(work) = self.engine.waiting().first() {
            self.engine.step(*work);
        }
    }

    async fn step(
        &mut self,
        subject: &Subject<'_>,
        step: &Step,
        line: usize,
    ) -> Result<StepReport, RunError> {
        self.steps += 1;
        if let Some(at) = step.at {
            self.clock.advance_to(at.0);
        }
        let (before, begun) = (self.fuel(), Instant::now());
        let unsupported = |why: &str| RunError::Unsupported {
            line,
            why: Unsupported(why.to_string()),
        };
        let action = step.action().map_err(unsupported)?;
        let reply = match action {
            Action::Advance | Action::Reopen => None,
            Action::Revise(revise) => {
                let parameters = read(&subject.folder.join(&revise.parameters), line)?;
                self.activate_own(&parameters)?;
                None
            }
            other => {
                let plan = match other {
                    Action::ChangePlan(change) => self.other_plan(subject, change, line).await?,
                    _ => self.plan.clone(),
                };
                let command = command::of(other, self.steps, &plan, &self.said)
                    .map_err(|why| RunError::Unsupported { line, why })?;
                self.said.note(&command);
                Some(self.ask(Ask::Command(Box::new(command))).await?)
            }
        };
        self.settle();
        self.engine.step(Work::Quarantine);
        let wallet = self.wallet().await?;
        let took = begun.elapsed();
        let records = self.new_records()?;
        let subscription = self.said.subscription().ok();
        let subscription = subscription.and_then(|id| wallet.subscription(&id));
        let observed = Observed::of(reply.as_ref(), &records, &wallet, subscription);
        let mut problems = compare(&step.expect, &observed);
        if matches!(action, Action::Reopen) {
            problems.extend(self.replay(&wallet)?);
        }
        Ok(StepReport {
            line,
            action: command::name(action),
            at: self.engine.now(&self.tenant),
            fuel: used(&before, &self.fuel()),
            took,
            coverage: Coverage::of(&records),
            problems,
        })
    }

    /// What opening a store again does: folds the wallet's whole history. Nothing may be different.
    fn replay(&self, wallet: &Wallet) -> Result<Option<String>, RunError> {
        let mut records = self
            .engine
            .history(&self.tenant, &self.customer, None, usize::MAX)?;
        records.reverse();
        let mut folded = Wallet::default();
        for record in &records {
            if let Err(violation) = folded.replay(record, &record.encode()) {
                return Ok(Some(format!("reopen: {violation}")));
            }
        }
        let differs = !folded.same_state(wallet);
        Ok(differs.then(|| "reopen: the wallet is not the fold of its history".to_string()))
    }

    /// Records that were made since the last step, oldest first: what was due on the way, and the step's own.
    fn new_records(&mut self) -> Result<Vec<Record>, RunError> {
        let newest = self.engine.history(&self.tenant, &self.customer, None, 1)?;
        let count = newest.first().map_or(0, |record| record.sequence - self.seen);
        let mut records = self.engine.history(
            &self.tenant,
            &self.customer,
            None,
            usize::try_from(count).unwrap_or(usize::MAX),
        )?;
        records.reverse();
        self.seen += count;
        Ok(records)
    }

    /// What each revision has used since it was prepared.
    fn fuel(&self) -> BTreeMap<RevisionHash, u64> {
        let controls = self.engine.controls();
        let fuel = |revision: &RevisionHash| controls.revision(revision).map_or(0, |r| r.health().fuel);
        let revisions = self.revisions.iter();
        revisions.map(|revision| (*revision, fuel(revision))).collect()
    }
}

/// What was used between two readings. A revision that came back was prepared anew and counts from nothing.
fn used(before: &BTreeMap<RevisionHash, u64>, after: &BTreeMap<RevisionHash, u64>) -> u64 {
    let counted = after.iter().map(|(revision, fuel)| {
        let before = before.get(revision).copied().unwrap_or(0);
        fuel.checked_sub(before).unwrap_or(*fuel)
    });
    counted.sum()
}

/// A file that a scenario names.
fn read(path: &Path, line: usize) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|error| RunError::File {
        line,
        path: path.display().to_string(),
        error,
    })
}
