//! `cargo xtask tidy`: the style guide as a program.
//!
//! The cheap checks read files and nothing else; they are an ordinary test too (`tests/tidy.rs`). The others need a
//! compiler: format, lints, and the commands that the README names.

mod architecture;
mod floats;
mod lengths;
mod limits;
mod links;
mod lints;
mod readme;
mod source;
mod words;

use std::path::Path;
use std::process::ExitCode;

pub use source::{File, Tree};

use crate::terminal::Part;
use crate::workspace::{self, Build};

/// Flags of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only what needs no compiler.
    #[arg(long)]
    cheap: bool,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `path:line`, `path`, or the name of a tool.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Finding {
    /// About a line of a file, counted from 1.
    pub fn line(file: &File, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            place: format!("{}:{line}", file.path),
            message: message.into(),
        }
    }

    /// About anything else.
    pub fn at(place: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            place: place.into(),
            message: message.into(),
        }
    }
}

/// Checks, prints what was found, and fails if that is anything.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let findings = if options.cheap {
        cheap(&workspace::root())?
    } else {
        let farebox = workspace::build(Build::Tests)?;
        everything(&farebox)?
    };
    Ok(if report(&findings) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints what was found; gives how much that is.
pub fn report(findings: &[Finding]) -> usize {
    for finding in findings {
        eprintln!("{}: {}", finding.place, finding.message);
    }
    match findings.len() {
        0 => eprintln!("    tidy: nothing to say"),
        count => eprintln!("    tidy: {count} to put right"),
    }
    findings.len()
}

/// What needs no compiler.
pub fn cheap(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings = Vec::new();
    findings.extend(tree.unwanted().to_vec());
    findings.extend(lengths::check(&tree));
    findings.extend(floats::check(&tree));
    findings.extend(limits::check(&tree));
    findings.extend(links::check(&tree));
    findings.extend(words::check(&tree));
    findings.extend(lints::check(&tree)?);
    findings.extend(architecture::check(&tree)?);
    findings.extend(readme::check_tasks(&tree));
    Ok(findings)
}

/// Everything. Shows each part with its time.
pub fn everything(farebox: &Path) -> anyhow::Result<Vec<Finding>> {
    let part = Part::silent("tidy: files");
    let mut findings = cheap(&workspace::root())?;
    part.done();

    let part = Part::silent("tidy: commands of the README");
    findings.extend(readme::check_commands(&Tree::read(&workspace::root())?, farebox)?);
    part.done();

    let part = Part::announced("tidy: format");
    findings.extend(tool(
        "rustfmt",
        &["fmt", "--all", "--check"],
        "run `cargo fmt --all`",
    ));
    part.done();

    let part = Part::announced("tidy: lints");
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    findings.extend(tool("clippy", &clippy, "put right what is said above"));
    part.done();
    Ok(findings)
}

/// A cargo command that must succeed.
fn tool(name: &str, arguments: &[&str], hint: &str) -> Option<Finding> {
    let error = workspace::run(workspace::cargo().args(arguments)).err()?;
    Some(Finding::at(name, format!("{error:#}; {hint}")))
}
