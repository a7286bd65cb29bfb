//! The `farebox` program: the server, and everything that people do to it from a terminal.
//!
//! Data goes to standard output, talk to standard error; with `--json` both are JSON. Exit codes are in [`failure`].

mod archive;
mod authorize;
mod backfills;
mod backup;
mod books;
mod changes;
mod cli;
mod client;
mod customers;
mod data;
mod events;
mod failure;
mod holds;
mod journal;
mod keys;
mod ledger;
mod limits;
mod measured;
mod output;
mod plan;
mod progress;
mod serve;
mod settings;
mod snapshot;
mod statement;
mod subscriptions;
mod tenants;
mod usage;
mod verify;
mod wallet;

use std::process::ExitCode;

use clap::Parser as _;
use farebox_runtime::compile_in_child;

use cli::{Cli, Command};
use failure::Failure;
use output::{Form, finish};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        // Programs get every failure in one form; people get clap's own.
        Err(error) if error.use_stderr() && asks_for_json() => {
            return finish(Form::Json, Err(misread(&error)));
        }
        Err(error) => error.exit(),
    };
    let result = match &command {
        Command::CompilePlan { tier } => return compile_in_child(*tier, &tier.limits()),
        Command::Serve(serve) => serve.run(&global),
        Command::Plan(plan) => plan.run(&global),
        Command::Keys(keys) => keys.run(&global),
        Command::Tenants(tenants) => tenants.run(&global),
        Command::Backfills(backfills) => backfills.run(&global),
        Command::Customers(customers) => customers.run(&global),
        Command::Wallet(wallet) => wallet.run(&global),
        Command::Subscriptions(subscriptions) => subscriptions.run(&global),
        Command::Authorize(authorize) => authorize.run(&global),
        Command::Holds(holds) => holds.run(&global),
        Command::Limits(limits) => limits.run(&global),
        Command::Events(events) => events.run(&global),
        Command::Usage(usage) => usage.run(&global),
        Command::Statement(statement) => statement.run(&global),
        Command::Books(books) => books.run(&global),
        Command::Changes(changes) => changes.run(&global),
        Command::Journal(journal) => journal.run(&global),
        Command::Ledger(ledger) => ledger.run(&global),
    };
    finish(Form::of(global.json), result)
}

fn asks_for_json() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

/// A command line that clap cannot read.
fn misread(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.next().unwrap_or_default().trim_start_matches("error: ");
    lines.fold(Failure::usage(message), |failure, line| failure.detail(line))
}
