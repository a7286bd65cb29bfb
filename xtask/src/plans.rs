//! `cargo xtask plans`: every example plan as whoever writes plans sees it, with the `farebox` binary alone.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;
use clap::Subcommand;

use crate::terminal::Part;
use crate::workspace::{self, Build};

/// What can be done with all of them.
#[derive(Debug, Subcommand)]
pub enum PlansTask {
    /// Build each, run all of its scenarios against the component, and try it on events made up from them.
    Test(Options),
}

/// Flags of `cargo xtask plans test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only plans whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Events to make up for each.
    #[arg(long, default_value_t = 2_000)]
    cases: u32,
    /// What the events follow from: the same number, the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Does what was asked.
pub fn run(task: &PlansTask) -> anyhow::Result<ExitCode> {
    match task {
        PlansTask::Test(options) => test(options),
    }
}

/// One plan that fails keeps no other from being tried.
fn test(options: &Options) -> anyhow::Result<ExitCode> {
    workspace::ensure_plan_target()?;
    let farebox = workspace::build(Build::Tests)?;
    let filter = options.filter.as_deref().unwrap_or("");
    let (mut tried, mut failed) = (0, Vec::new());
    for folder in workspace::plan_folders()? {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if !name.contains(filter) {
            continue;
        }
        tried += 1;
        let part = Part::announced(&name);
        let holds = plan(&farebox, &folder, &["test"])?;
        let (cases, seed) = (options.cases.to_string(), options.seed.to_string());
        let keeps = plan(
            &farebox,
            &folder,
            &["conform", "--cases", &cases, "--seed", &seed],
        )?;
        part.done();
        if !(holds && keeps) {
            failed.push(name);
        }
    }
    anyhow::ensure!(
        tried > 0,
        "there is no example plan whose name contains {filter:?}"
    );
    if failed.is_empty() {
        println!("{tried} plans hold: every scenario, and every rule that plans must keep.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} of {tried} plans fail: {}", failed.len(), failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// `farebox plan ...` on a folder; what it says is shown where it fails.
fn plan(farebox: &Path, folder: &Path, words: &[&str]) -> anyhow::Result<bool> {
    let mut command = Command::new(farebox);
    command
        .current_dir(workspace::root())
        .arg("plan")
        .args(words)
        .arg(folder);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", farebox.display()))?;
    if !output.status.success() {
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        eprintln!("{}", String::from_utf8_lossy(&said).trim_end());
    }
    Ok(output.status.success())
}
