//! What a command gives: text for people or JSON for programs. Data goes to standard output, talk to standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::failure::{Exit, Failure};

/// In which form the program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON document, for programs.
    Json,
}

impl Form {
    /// What `--json` says.
    pub fn of(json: bool) -> Form {
        if json { Form::Json } else { Form::Text }
    }
}

/// What a command found or did.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// For people; may have many lines.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Set where the command ran, and what it checked is not as it should be.
    pub failed: Option<Exit>,
}

impl Output {
    /// A result.
    pub fn new(text: impl Into<String>, json: Value) -> Output {
        Output {
            text: text.into(),
            json,
            failed: None,
        }
    }

    /// A result that fails the check that it is the result of.
    pub fn failed(mut self) -> Output {
        self.failed = Some(Exit::Refused);
        self
    }
}

/// Prints what became of a command, and gives the exit code.
pub fn finish(form: Form, result: Result<Output, Failure>) -> ExitCode {
    match (result, form) {
        (Ok(output), form) => {
            say(match form {
                Form::Text => output.text.trim_end(),
                Form::Json => "",
            });
            if form == Form::Json {
                say(&output.json.to_string());
            }
            output.failed.map_or(ExitCode::SUCCESS, ExitCode::from)
        }
        (Err(failure), form) => {
            let text = match form {
                Form::Text => failure.text(),
                Form::Json => format!("{}\n", failure.json()),
            };
            let _ = io::stderr().write_all(text.as_bytes()); // nobody is left to tell
            failure.exit.into()
        }
    }
}

/// Prints a line of data. A reader that went away (`| head`) is no failure.
pub fn say(line: &str) {
    if !line.is_empty() {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// A table with these heads; columns named in `right` hold numbers.
pub fn table(heads: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_string()).collect();
    lines.join("\n")
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// So many of a thing whose plural takes an `s`: `1 step`, `2 steps`.
pub fn count(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// The text at `path` of an answer, or a dash.
pub fn field(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        None | Some(Value::Null) => "-".to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The list at `path` of an answer; empty where there is none.
pub fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    value
        .pointer(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_numbers_and_leave_no_trailing_blanks() {
        let rows = [["usd", "12.5"], ["build-credits", "1000"]].map(|row| row.map(str::to_string).to_vec());
        insta::assert_snapshot!(table(&["asset", "available"], &[1], rows));
    }
}
