//! `cargo xtask`: see the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match xtask::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
