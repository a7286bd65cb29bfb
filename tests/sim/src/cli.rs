//! The command line of the simulator.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::report::Tally;
use crate::run::{Failure, drawn_seed, run};

/// Operations of a run whose caller names neither a number nor a time.
const OPERATIONS: u64 = 4_000;

/// Drive engine, journal and store on a simulated disk that tears, reorders and fails.
#[derive(Debug, Parser)]
#[command(name = "farebox-sim", bin_name = "cargo xtask sim")]
pub struct Sim {
    /// Where all chance comes from; drawn, and printed first, if it is not given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Operations; a run goes through them in episodes of 400, each from an empty disk [default: 4000, or no end with --minutes]
    #[arg(long, value_name = "NUMBER")]
    ops: Option<u64>,
    /// No new episode is begun after so many minutes
    #[arg(long, value_name = "NUMBER")]
    minutes: Option<u64>,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

impl Sim {
    /// Runs. The exit code is 1 if anything was not as it must be.
    pub fn run(&self) -> ExitCode {
        let seed = self.seed.unwrap_or_else(drawn_seed);
        // Before anything can go wrong.
        match self.json {
            true => println!("{}", json!({ "event": "started", "seed": seed })),
            false => println!("seed {seed}"),
        }
        let endless = if self.minutes.is_some() {
            u64::MAX
        } else {
            OPERATIONS
        };
        let operations = self.ops.unwrap_or(endless);
        let (begun, most) = (
            Instant::now(),
            self.minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        );
        let bar = progress(operations);
        let ended = run(seed, operations, &mut |episodes, tally| {
            bar.set_position(tally.operations);
            bar.set_message(format!(
                "{episodes} episodes, {} answers, {} crashes",
                tally.answers, tally.crashes
            ));
            most.is_none_or(|most| begun.elapsed() < most)
        });
        bar.finish_and_clear();
        match ended {
            Ok((tally, hash)) => self.fine(seed, &tally, &hash),
            Err(failure) => self.failed(seed, &failure),
        }
    }

    fn fine(&self, seed: u64, tally: &Tally, hash: &[u8; 32]) -> ExitCode {
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        match self.json {
            true => println!(
                "{}",
                json!({ "event": "ended", "seed": seed, "hash": hash, "done": tally.json() })
            ),
            false => println!(
                "{}\nhash {hash}: the same seed and operations give it again",
                tally.text()
            ),
        }
        ExitCode::SUCCESS
    }

    fn failed(&self, seed: u64, failure: &Failure) -> ExitCode {
        let command = failure.command();
        match self.json {
            true => println!(
                "{}",
                json!({ "event": "failed", "seed": seed, "episode_seed": failure.seed, "operations": failure.operations,
                    "what": failure.what, "again": command })
            ),
            false => println!(
                "FAILED at operation {} of the episode with seed {}\n{}\n\nsee it again: {command}",
                failure.operations, failure.seed, failure.what
            ),
        }
        ExitCode::FAILURE
    }
}

/// On a terminal alone; elsewhere it shows nothing.
fn progress(operations: u64) -> ProgressBar {
    let bar = match operations {
        u64::MAX => ProgressBar::new_spinner(),
        operations => ProgressBar::new(operations),
    };
    let style = match operations {
        u64::MAX => ProgressStyle::with_template("{elapsed} {pos} operations, {msg}"),
        _ => ProgressStyle::with_template("{elapsed} {wide_bar} {pos}/{len} operations, {msg}"),
    };
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
