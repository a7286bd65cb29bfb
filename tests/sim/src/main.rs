//! `cargo xtask sim`: see the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    farebox_sim::cli::Sim::parse().run()
}
