//! The commands that the README names exist, with the flags that it gives them.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;

use super::{Finding, Tree};
use crate::cli::Cli;

const PAGE: &str = "README.md";

/// `cargo xtask ...`: asked of our own command line.
pub(super) fn check_tasks(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::at(PAGE, "is not there")];
    };
    let mut findings = Vec::new();
    for (line, command) in commands(&page.text, &["cargo", "xtask"]) {
        let asked = std::iter::once("cargo xtask".to_string())
            .chain(command.clone())
            .chain(["--help".into()]);
        let error = Cli::command().try_get_matches_from(asked).err();
        let is_help = |e: &clap::Error| e.kind() == clap::error::ErrorKind::DisplayHelp;
        if !error.as_ref().is_some_and(is_help) {
            let message = format!("`cargo xtask {}` is not understood", command.join(" "));
            findings.push(Finding::line(page, line, message));
        }
    }
    findings
}

/// `farebox ...`: asked of the program.
pub(super) fn check_commands(tree: &Tree, farebox: &Path) -> anyhow::Result<Vec<Finding>> {
    let Some(page) = tree.file(PAGE) else {
        return Ok(Vec::new()); // said by the other check
    };
    let mut findings = Vec::new();
    for (line, command) in commands(&page.text, &["farebox"]) {
        let output = Command::new(farebox).args(&command).arg("--help").output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or_default();
            let message = format!("`farebox {}` is not understood: {said}", command.join(" "));
            findings.push(Finding::line(page, line, message));
        }
    }
    Ok(findings)
}

/// Arguments of every command that starts with `program`, from code blocks and from `inline code`, with its line.
fn commands(text: &str, program: &[&str]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut block = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = match block {
                None => Some(language.trim().to_string()),
                Some(_) => None,
            };
            continue;
        }
        let pieces: Vec<&str> = match &block {
            Some(language) if ["", "sh", "shell", "console", "bash"].contains(&language.as_str()) => {
                vec![line]
            }
            Some(_) => Vec::new(),
            None => line.split('`').skip(1).step_by(2).collect(),
        };
        for piece in pieces {
            if let Some(arguments) = arguments(piece, program) {
                found.push((index + 1, arguments));
            }
        }
    }
    found
}

/// The words behind `program`, up to a comment, a pipe or another command. None when it is another program's.
fn arguments(command: &str, program: &[&str]) -> Option<Vec<String>> {
    let command = command.trim_start().trim_start_matches("$ ");
    let mut words = command.split_whitespace().peekable();
    while words.peek().is_some_and(|word| is_variable(word)) {
        words.next();
    }
    for expected in program {
        let word = words.next()?;
        let name = word.rsplit('/').next().unwrap_or(word);
        if name != *expected {
            return None;
        }
    }
    let ends = |word: &&str| ["#", "|", "&&", "&", ";", ">", "<", "\\", "|...", "..."].contains(word);
    let arguments: Vec<String> = words
        .take_while(|word| !ends(word))
        .map(|word| word.trim_matches(['"', '\'']).to_string())
        .collect();
    (!arguments.is_empty()).then_some(arguments)
}

/// `NAME=value` before a command.
fn is_variable(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_blocks_and_from_inline_code() {
        let page = "Run `cargo xtask test`.\n```sh\n$ farebox serve --data x # starts\nls\n\
                    A=1 farebox keys create\n```\n```rust\nfarebox::run();\n```\nThe `farebox` program.";
        let all: Vec<String> = commands(page, &["farebox"])
            .into_iter()
            .map(|(_, c)| c.join(" "))
            .collect();
        assert_eq!(all, ["serve --data x", "keys create"]);
        assert_eq!(
            commands(page, &["cargo", "xtask"]),
            [(1, vec!["test".to_string()])]
        );
    }

    #[test]
    fn tasks_that_do_not_exist_are_found() {
        let tree = Tree::of(&[(
            "README.md",
            "`cargo xtask test --long`, `cargo xtask fly`, `cargo xtask demo --wings`",
        )]);
        assert_eq!(check_tasks(&tree).len(), 2);
    }
}
