//! `cargo xtask sim`: builds the simulator and runs it with the flags that it was given.
//!
//! With the checks of a development build: what a release leaves out may be just what a simulation would have met.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::workspace::{self, Build};

/// Flags of `cargo xtask sim`: the simulator's own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Flags of the simulator:
  --seed NUMBER     where all chance comes from; drawn, and printed first, if it is not given
  --ops NUMBER      operations, in episodes of 400
  --minutes NUMBER  no new episode is begun after so many minutes
  --json            print what came of it as JSON")]
pub struct Options {
    /// Handed on as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// Runs it. The exit code is its own.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let program = workspace::build_program(Build::Sim, "farebox-sim")?;
    let status = Command::new(&program)
        .args(&options.flags)
        .current_dir(workspace::root())
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
