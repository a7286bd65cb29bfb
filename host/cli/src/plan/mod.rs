//! `farebox plan`: from an idea to a price in force.

mod asked;
mod beginning;
mod bench;
mod check;
mod conform;
mod contract;
mod diff;
mod explain;
mod new;
mod remote;
mod source;
mod standard;
mod test;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use farebox_runtime::{Config, Limits, Plan, Runtime};
use serde_json::json;

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::progress;
use source::{Component, Source};

/// What can be done with plans.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:
  farebox plan standard                   plans that need parameters only
  farebox plan new my-plan                make one
  farebox plan test my-plan               build it, and run its scenarios
  farebox plan push my-plan --activate    build it, send it, put it in force")]
pub enum PlanCommand {
    /// Show the standard plans, which need parameters and no code
    #[command(after_help = "Examples:
  farebox plan standard
  farebox plan standard hybrid
  farebox plan standard hybrid --example > prices.json
  farebox plan push standard:hybrid --plan pro --activate prices.json")]
    Standard(standard::Standard),
    /// Make a folder with a plan, its price list and a scenario
    ///
    /// With --standard, the plan is one that this program carries: no code, and no compiler is needed.
    #[command(after_help = "Examples:
  farebox plan new my-plan --standard credits
  farebox plan new my-plan
  farebox plan new my-plan --sdk ../farebox/guest-sdk/rust")]
    New(new::New),
    /// Build a plan's component
    ///
    /// Needs Rust; the target that plans are compiled for is added by itself where rustup is there.
    #[command(after_help = "Examples:
  farebox plan build
  farebox plan build example-plans/per-token --json | jq -r .path")]
    Build(Build),
    /// See whether a server would take a plan and its parameters
    #[command(after_help = "Examples:
  farebox plan check
  farebox plan check target/plans/per-token.wasm --parameters new-prices.json")]
    Check(check::Check),
    /// Run a plan's scenarios, without a server
    ///
    /// A scenario is a file of dated steps and what must come of each: charges, holds, balances. Exits with 1 and names
    /// the line of every expectation that is not met.
    #[command(after_help = "Examples:
  farebox plan test
  farebox plan test example-plans/per-token --steps
  farebox plan test my-plan --watch
  farebox plan test --scenario scenarios/holds.toml --parameters new-prices.json")]
    Test(test::Test),
    /// Say why events cost what they cost, without a server
    ///
    /// Events are asked about one after the other, as if a customer had just begun with the plan: what it remembers is kept from
    /// one to the next. They come in the form of the API, from a file or, with -, from standard input; without --events, the
    /// plan's scenarios give them.
    #[command(after_help = "Examples:
  farebox plan explain example-plans/per-token
  farebox plan explain standard:hybrid --parameters prices.json --events event.json
  echo '{\"type\": \"llm.call\", \"attributes\": {\"model\": \"gpt-5\"}, \"measures\": {\"input_tokens\": 1000}}' |
    farebox plan explain example-plans/per-token --events -
  farebox plan explain example-plans/per-token --events event.json --worst-case")]
    Explain(explain::Explain),
    /// Measure how fast a plan prices events, and what fuel they take
    ///
    /// On this machine, without a server or a disk: the plan alone, in the sandbox in which a server runs it.
    #[command(after_help = "Examples:
  farebox plan bench example-plans/per-token
  farebox plan bench example-plans/per-token --events events.jsonl --seconds 10")]
    Bench(bench::Bench),
    /// Show the contract between plans and their host: functions, records, and what each field means
    ///
    /// Made from the interface that this program was built with, as Markdown.
    #[command(after_help = "Examples:
  farebox plan contract
  farebox plan contract evaluate
  farebox plan contract --wit > plan.wit")]
    Contract(contract::Contract),
    /// Try a plan on events made up from examples: whether it keeps what every plan must keep
    ///
    /// That a question has one answer, that a batch is its events one by one, that no usage costs more than its quote, that
    /// customers do not change each other's prices, and more; each rule with the events that broke it. Exits with 1 if one is
    /// broken. The events follow from a seed: the same number finds the same again.
    #[command(after_help = "Examples:
  farebox plan conform example-plans/per-token
  farebox plan conform my-plan.wasm --parameters prices.json --events events.jsonl
  farebox plan conform standard:hybrid --parameters prices.json --events events.jsonl --cases 100000")]
    Conform(conform::Conform),
    /// Say who would pay more under other prices, who less, and by how much
    ///
    /// The same events are billed twice, in the engine that a server runs: customers with credit without end and nothing but what
    /// the plan gives. What each owes at the end is what it pays: usage that no included credit covered, and fees. Each month
    /// is billed whole. Needs no server.
    #[command(after_help = "Examples:
  farebox plan diff my-plan --to-parameters new-prices.json
  farebox plan diff my-plan --to-parameters new-prices.json --events march.jsonl --html march.html
  farebox plan diff my-plan --to standard:credits --to-parameters credits.json --events march.jsonl
  farebox plan diff my-plan --to-parameters new-prices.json --generate 10000 --customers 200")]
    Diff(diff::Diff),
    /// Send a component to a server; with --activate, put it in force too
    #[command(after_help = "Examples:
  farebox plan push example-plans/per-token
  farebox plan push example-plans/per-token --activate
  farebox plan push per-token.wasm --plan per-token --activate new-prices.json")]
    Push(remote::Push),
    /// Put parameters in force, with a component that was pushed before
    ///
    /// From now on, or from a later instant. What was priced stays priced.
    #[command(after_help = "Examples:
  farebox plan activate per-token --parameters new-prices.json
  farebox plan activate per-token --parameters new-prices.json --effective-at 2027-01-01T00:00:00Z")]
    Activate(remote::Activate),
    /// Put the revision before the present one back in force
    #[command(after_help = "Example:\n  farebox plan rollback per-token")]
    Rollback(remote::Rollback),
    /// List plans, or one plan's revisions
    #[command(after_help = "Examples:\n  farebox plan list\n  farebox plan list per-token")]
    List(remote::List),
}

/// See [`PlanCommand::Build`].
#[derive(Debug, Args)]
pub struct Build {
    /// Folder of the plan
    #[arg(default_value = ".")]
    path: PathBuf,
}

impl PlanCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            PlanCommand::Standard(standard) => standard.run(),
            PlanCommand::New(new) => new.run(),
            PlanCommand::Build(build) => build.run(),
            PlanCommand::Check(check) => check.run(),
            PlanCommand::Test(test) => test.run(global),
            PlanCommand::Explain(explain) => explain.run(),
            PlanCommand::Bench(bench) => bench.run(),
            PlanCommand::Contract(contract) => contract.run(),
            PlanCommand::Conform(conform) => conform.run(),
            PlanCommand::Diff(diff) => diff.run(),
            PlanCommand::Push(push) => push.run(global),
            PlanCommand::Activate(activate) => activate.run(global),
            PlanCommand::Rollback(rollback) => rollback.run(global),
            PlanCommand::List(list) => list.run(global),
        }
    }
}

impl Build {
    fn run(&self) -> Result<Output, Failure> {
        let component = Source::find(&self.path)?.component()?;
        let (path, bytes) = (&component.path, component.bytes.len());
        let hash = farebox_record::ids::Hash::of(&component.bytes).to_string();
        let text = format!(
            "{} ({bytes} bytes)\nNext: `farebox plan check` and `farebox plan push`.",
            path.display()
        );
        Ok(Output::new(
            text,
            json!({ "name": component.name, "path": path, "bytes": bytes, "component": hash }),
        ))
    }
}

/// A runtime for plans that were built here; a server compiles in a process of its own instead.
fn runtime() -> Result<Runtime, Failure> {
    let config = Config {
        interpreted: Some(Limits::interpreted()),
        takes_interpreted: true,
        ..Config::default()
    };
    Runtime::new(config).map_err(|error| Failure::new(Exit::Internal, "runtime", error.to_string()))
}

/// Takes a component as a server would. One that carries the runtime of its language takes the compiler many seconds.
fn admit(runtime: &Runtime, component: &Component) -> Result<Arc<Plan>, Failure> {
    let bar = progress::spinner("compiling");
    let admitted = runtime.admit(&component.bytes);
    bar.finish_and_clear();
    admitted.map_err(|refused| check::of_refused(&component.path, &refused))
}

/// A file of text.
fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::io("cannot read", path, &error))
}
