//! `cargo xtask test`: from a fresh checkout to the last test, in one command.
//!
//! Needs rustup and a C compiler, nothing else. The last thing that it does is `cargo test`, so that cargo's own
//! summary closes the output; everything else is said on stderr before.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use crate::terminal::{Part, seconds};
use crate::tidy;
use crate::workspace::{self, Build};

/// Flags of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Run only tests whose name contains this (tidy is skipped).
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run the long tests too: those marked `#[ignore]`, and more cases wherever FAREBOX_TEST_LONG is read.
    #[arg(long)]
    long: bool,
}

/// Sets up, builds, checks and tests.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let part = Part::announced("tools");
    workspace::ensure_plan_target()?;
    part.done();

    let farebox = workspace::build(Build::Tests)?;
    for plan in workspace::plans()? {
        workspace::build_plan(&farebox, &plan)?;
    }

    // What is untidy fails the run, but not before the tests have said what they have to say.
    let untidy = match options.filter {
        None => tidy::report(&tidy::everything(&farebox)?),
        Some(_) => 0,
    };

    test(options, &farebox, untidy)
}

/// Runs `cargo test` and passes its output on. The newest `test result` line is held back until more follows, so that
/// the time can be said before it and cargo has the last word.
fn test(options: &Options, farebox: &std::path::Path, untidy: usize) -> anyhow::Result<ExitCode> {
    eprintln!("==> tests");
    let started = Instant::now();
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    // Built above: the end-to-end tests need not ask cargo for it again.
    command.env("FAREBOX_BIN", farebox);
    if options.long {
        command.env("FAREBOX_TEST_LONG", "1");
    }
    command.arg("--").args(&options.filter);
    if options.long {
        command.arg("--include-ignored");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut stdout = std::io::stdout().lock();
    let mut held: Option<String> = None;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(result) = held.take() {
            writeln!(stdout, "{result}")?;
        }
        if line.starts_with("test result:") {
            counts.add(&line);
            held = Some(line);
        } else if !(line.is_empty() && held.is_some()) {
            writeln!(stdout, "{line}")?;
        }
        stdout.flush()?;
    }
    let status = child.wait()?;
    eprintln!("    tests: {} ({counts})", seconds(started.elapsed()));
    if untidy > 0 {
        eprintln!("    failed: tidy has {untidy} to put right, see above");
    }
    if let Some(result) = held {
        writeln!(stdout, "{result}")?;
    }
    Ok(if status.success() && untidy == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Sums over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds a line such as `test result: ok. 5 passed; 0 failed; 1 ignored; ...`.
    fn add(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else {
                continue;
            };
            match pair[1].trim_end_matches(';') {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut counts = Counts::default();
        counts.add(
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        counts.add("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.00s");
        let expected = Counts {
            passed: 7,
            failed: 3,
            ignored: 1,
        };
        assert_eq!(counts, expected);
    }
}
