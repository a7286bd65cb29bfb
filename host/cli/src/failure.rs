//! How the program ends: its exit codes, and what it says when it does not succeed.
//!
//! The codes are part of the interface: scripts and supervisors decide by them. They follow `sysexits.h` above 2.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use farebox_engine::{ControlError, EngineError};
use farebox_store::StoreError;
use serde_json::{Value, json};

/// What the exit codes mean, for `--help`.
pub const EXIT_CODES: &str = "Exit codes:
  0   done
  1   refused, or a check that failed
  2   wrong usage or configuration
  69  the server cannot be reached, or is busy
  70  internal failure, or the store has stopped
  74  a file, a folder or a port cannot be used";

/// Why the program did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The request was understood and refused, or a check failed.
    Refused = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is no server, or it is busy. Try again.
    Unavailable = 69,
    /// A defect, or a store that has stopped.
    Internal = 70,
    /// The operating system refused a file, a folder or a port.
    Io = 74,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A failure as a person and a program read it: what happened, where, and what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// Stable name of the case, for programs. The server's own where the failure is the server's.
    pub code: String,
    /// What happened, in a sentence.
    pub message: String,
    /// Where exactly; one line each.
    pub details: Vec<String>,
    /// What can be done.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without details.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            code: code.to_string(),
            message: message.into(),
            details: Vec::new(),
            hint: None,
        }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, "usage", message)
    }

    /// The operating system refused a file or a folder.
    pub fn io(doing: &str, path: &Path, source: &io::Error) -> Failure {
        Failure::new(Exit::Io, "io", format!("{doing} {}: {source}", path.display()))
    }

    /// With one more place.
    pub fn detail(mut self, detail: impl Into<String>) -> Failure {
        self.details.push(detail.into());
        self
    }

    /// With what can be done.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        for line in self.details.iter().flat_map(|detail| detail.lines()) {
            let _ = writeln!(text, "  {line}"); // writing to a String cannot fail
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "hint": self.hint,
                "exit": self.exit as u8,
            }
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let message = error.to_string();
        match error {
            StoreError::Locked { .. } => Failure::new(Exit::Io, "locked", message)
                .hint("stop the Farebox that uses this folder, or name another folder with --data"),
            StoreError::Damaged { .. } => Failure::new(Exit::Io, "damaged", message)
                .hint("`farebox journal verify` reads all of the journal and says what is left of it"),
            StoreError::State { .. } => Failure::new(Exit::Io, "state_unusable", message),
            StoreError::Backup { .. } => Failure::new(Exit::Io, "backup", message),
            StoreError::Archived { .. } => Failure::new(Exit::Io, "archived", message)
                .hint("name the archive's folder with --archive-dir"),
            StoreError::DiskNearlyFull { .. } => Failure::new(Exit::Io, "disk_nearly_full", message),
            StoreError::Io { .. } => Failure::new(Exit::Io, "io", message),
            StoreError::Stopped { .. } => Failure::new(Exit::Internal, "stopped", message),
            StoreError::Limit { .. } => Failure::new(Exit::Usage, "limit", message),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::State(_) => Failure::new(Exit::Io, "state_unusable", error.to_string()),
            EngineError::Runtime(_) => Failure::new(Exit::Internal, "runtime", error.to_string()),
            EngineError::Thread(_) => Failure::new(Exit::Internal, "thread", error.to_string()),
            EngineError::TooMuchUsage { .. } => {
                Failure::new(Exit::Refused, "too_much_usage", error.to_string())
            }
        }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Failure {
        match error {
            ControlError::Engine(error) => error.into(),
            ControlError::Stopped => Failure::new(Exit::Internal, "stopped", error.to_string()),
            ControlError::Contended => Failure::new(Exit::Unavailable, "contended", error.to_string()),
            other => Failure::new(Exit::Refused, other.code(), other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_places_and_what_to_do() {
        let failure = Failure::new(Exit::Refused, "parameters", "the parameters are refused")
            .detail("/models/gpt-5/output: expected a decimal such as \"0.30\", found 3")
            .detail("/models: \"gpt5\" is not a model")
            .hint("correct the parameters at the places named");
        insta::assert_snapshot!(failure.text());
        insta::assert_snapshot!(format!("{:#}", failure.json()));
    }

    #[test]
    fn a_held_lock_is_told_from_damage() {
        let locked: Failure = StoreError::Locked { path: "data".into() }.into();
        let damaged: Failure = StoreError::Damaged {
            file: "journal/0".into(),
            offset: 7,
            what: "checksum".into(),
        }
        .into();
        assert_eq!((locked.exit, &*locked.code), (Exit::Io, "locked"));
        assert_eq!((damaged.exit, &*damaged.code), (Exit::Io, "damaged"));
    }
}
