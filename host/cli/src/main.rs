//! The `farebox` program: the server, and everything that people do to it from a terminal.
//!
//! Data goes to standard output, talk to standard error; with `--json` both are JSON. Exit codes are in [`failure`].

mod cli;
mod client;
mod customers;
mod data;
mod events;
mod failure;
mod journal;
mod keys;
mod ledger;
mod output;
mod plan;
mod progress;
mod serve;
mod settings;
mod verify;
mod wallet;

use std::process::ExitCode;

use clap::Parser as _;
use farebox_runtime::{Limits, compile_in_child};

use cli::{Cli, Command};
use output::{Form, finish};

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let result = match &command {
        Command::CompilePlan => return compile_in_child(&Limits::default()),
        Command::Serve(serve) => serve.run(&global),
        Command::Plan(plan) => plan.run(&global),
        Command::Keys(keys) => keys.run(&global),
        Command::Customers(customers) => customers.run(&global),
        Command::Wallet(wallet) => wallet.run(&global),
        Command::Events(events) => events.run(&global),
        Command::Journal(journal) => journal.run(&global),
        Command::Ledger(ledger) => ledger.run(&global),
    };
    finish(Form::of(global.json), result)
}
