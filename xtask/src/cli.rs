//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{bench, demo, plans, sim, suite, tidy};

/// Automation of the Farebox repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set everything up, build plans and host, and run every test.
    Test(suite::Options),
    /// Check what a reviewer should not have to: format, lints, lengths, links, words.
    Tidy(tidy::Options),
    /// Work on all example plans at once.
    #[command(subcommand)]
    Plans(plans::PlansTask),
    /// Replay a trace of AI calls against a real server, change prices midway, and prove every cent.
    Demo(demo::Options),
    /// Measure this machine's disk and Farebox on it, side by side.
    Bench(bench::Options),
    /// Drive engine, journal and store on a simulated disk that tears, reorders and fails.
    Sim(sim::Options),
}

impl Cli {
    /// Does what was asked. An error or a failure code ends the process with 1.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.task {
            Task::Test(options) => suite::run(&options),
            Task::Tidy(options) => tidy::run(&options),
            Task::Plans(task) => plans::run(&task),
            Task::Demo(options) => demo::run(&options),
            Task::Bench(options) => bench::run(&options),
            Task::Sim(options) => sim::run(&options),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn flags_do_not_contradict_each_other() {
        super::Cli::command().debug_assert();
    }
}
