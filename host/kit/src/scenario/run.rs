//! Carrying a scenario out: the very engine that a server runs, over a store in memory and a clock that the steps move.
//!
//! **Rejected**: a small engine of its own for scenarios. It would agree with the real one until it matters.

use std::path::Path;
use std::sync::Arc;

use farebox_engine::{Ask, Config, ControlError, Engine, EngineError, ManualClock, Rejected, Reply, Request};
use farebox_ledger::Wallet;
use farebox_record::control::OpenHolds;
use farebox_record::ids::{CustomerId, Hash, PlanName, RevisionHash, TenantId};
use farebox_record::record::Record;
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;
use farebox_store::MemoryStore;

use super::command::{self, Unsupported};
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
        let engine = Engine::start(config, store, subject.runtime.clone(), Arc::clone(&clock) as _)?;
        #[expect(clippy::expect_used, reason = "constants that are valid names")]
        let (tenant, customer, plan) = (
            TenantId::new("default").expect("a name"),
            CustomerId::new("customer").expect("a name"),
            PlanName::new("plan").expect("a name"),
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
        };
        stage.activate(subject.parameters)?;
        Ok(stage)
    }

    fn activate(&mut self, parameters: &str) -> Result<(), RunError> {
        let put = self.engine.activate(
            &self.tenant,
            &self.plan,
            self.component,
            parameters,
            None,
            OpenHolds::Quoted,
        )?;
        self.revisions.push(put.activation.revision);
        Ok(())
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
        Ok(self.engine.call_one(&self.tenant, request).await?)
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
        let before = self.fuel();
        let unsupported = |why: &str| RunError::Unsupported {
            line,
            why: Unsupported(why.to_string()),
        };
        let action = step.action().map_err(unsupported)?;
        let reply = match action {
            Action::Advance | Action::Reopen => None,
            Action::Revise(revise) => {
                let path = subject.folder.join(&revise.parameters);
                let file = |error| RunError::File {
                    line,
                    path: path.display().to_string(),
                    error,
                };
                let parameters = std::fs::read_to_string(&path).map_err(file)?;
                self.activate(&parameters)?;
                None
            }
            other => {
                let command = command::of(other, self.steps, &self.plan)
                    .map_err(|why| RunError::Unsupported { line, why })?;
                Some(self.ask(Ask::Command(Box::new(command))).await?)
            }
        };
        let wallet = match self.ask(Ask::Read).await? {
            Reply::Wallet(wallet) => wallet,
            _ => return Err(RunError::Rejected(Rejected::Stopped)),
        };
        let records = self.new_records()?;
        let observed = Observed::of(reply.as_ref(), &records, &wallet);
        let mut problems = compare(&step.expect, &observed);
        if matches!(action, Action::Reopen) {
            problems.extend(self.replay(&wallet)?);
        }
        Ok(StepReport {
            line,
            action: command::name(action),
            at: self.engine.now(&self.tenant),
            fuel: self.fuel() - before,
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

    /// What all revisions have used so far.
    fn fuel(&self) -> u64 {
        let controls = self.engine.controls();
        let used = |revision: &RevisionHash| controls.revision(revision).map_or(0, |r| r.health().fuel);
        let mut revisions = self.revisions.clone();
        revisions.sort_unstable();
        revisions.dedup();
        revisions.iter().map(used).sum()
    }
}
