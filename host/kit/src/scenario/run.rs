//! Carrying a scenario out: the very engine that a server runs, over a store in memory and a clock that the steps move. It
//! runs without threads, so that a step is over when all that follows from it is done, and every run is the same.
//!
//! **Rejected**: a small engine of its own for scenarios. It would agree with the real one until it matters.

use std::path::Path;
use std::time::Duration;

use farebox_engine::{ControlError, EngineError, Rejected};
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;

use crate::build::BuildError;

use super::command::Unsupported;
use super::coverage::Coverage;
use super::format::Scenario;
use super::shown::ShownError;
use super::stage::Stage;

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
    /// What can be read afterwards cannot.
    #[error("line {line}: {error}")]
    Shown {
        /// Line of the step.
        line: usize,
        /// Why.
        error: ShownError,
    },
    /// A backfill is refused.
    #[error("line {line}: {error}")]
    Backfill {
        /// Line of the step.
        line: usize,
        /// Why.
        error: ControlError,
    },
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
    let mut stage = Stage::open(subject, scenario)?;
    let mut steps = Vec::with_capacity(scenario.steps.len());
    let mut carry_out = || {
        stage.create_customer(scenario)?;
        for spanned in &scenario.steps {
            let line = text
                .get(..spanned.span().start)
                .map_or(0, |before| before.matches('\n').count())
                + 1;
            steps.push(stage.step(subject, spanned.get_ref(), line)?);
        }
        Ok(())
    };
    let outcome = carry_out();
    stage.engine.stop()?;
    outcome.map(|()| Report { steps })
}
