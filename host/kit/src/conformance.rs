//! What every plan must keep, whoever wrote it: tried on events made up from examples, each rule with what broke it.
//!
//! The host relies on these rules without asking. A plan that breaks one of them costs somebody money: a batch that is not its
//! events one by one prices by traffic, a quote that is too low lets a customer spend what is not there. The events come from
//! one seed, so that whatever is found is found again.

mod generate;
mod report;
mod rules;

use std::sync::Arc;

use farebox_record::event::Event;
use farebox_record::time::Timestamp;
use farebox_runtime::{Plan, Refused, Runtime};

use crate::probe::ProbeError;
pub use report::{Checked, Most, Problem, Report, Rule};

/// A plan with its parameters, and what it is usually asked.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Runs it.
    pub runtime: &'a Runtime,
    /// The plan.
    pub plan: &'a Arc<Plan>,
    /// Its parameters, as JSON.
    pub parameters: &'a str,
    /// Events that it prices. Without any, nearly all that is made up is nothing that it knows.
    pub examples: &'a [Event],
    /// When its first customer begins.
    pub began: Timestamp,
    /// Seats of that customer.
    pub seats: u32,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What all events follow from.
    pub seed: u64,
    /// How many of them.
    pub events: usize,
}

/// Why a plan cannot be tried at all.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// It does not take the parameters.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It takes no customer.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

/// Tries everything.
///
/// # Errors
///
/// Where it cannot begin. What a plan breaks stands in the report.
pub fn examine(subject: &Subject<'_>, options: Options) -> Result<Report, ConformanceError> {
    rules::Examiner::begin(subject, options)?.run()
}
