//! The log: to standard error, so that standard output stays data.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Starts it. A filter is a level, or levels by module: `info,farebox_engine=debug`.
pub fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Failure::usage(format!("`log` is not a filter: {error}"))
            .hint("use error, warn, info, debug or trace, or levels by module: info,farebox_engine=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| Failure::usage(error.to_string()))
}
