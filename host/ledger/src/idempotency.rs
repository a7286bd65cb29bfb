//! What a repeated request gets.

use farebox_record::command::Command;
use farebox_record::outcome::Answer;
use farebox_record::record::Record;

/// What a request is to the record that already answers for its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// The same request: it gets the same answer.
    Same(Answer),
    /// Another request under the same id: a conflict, without effect.
    Conflict {
        /// The first field that differs.
        field: String,
    },
}

/// Compares a request with the record that answers for its id. Looked up before anything that depends on state.
pub fn compare(command: &Command, first: &Record) -> Retry {
    match command.difference(&first.command) {
        None => Retry::Same(first.outcome.answer.clone()),
        Some(field) => Retry::Conflict { field },
    }
}
