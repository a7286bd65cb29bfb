//! `farebox backfills`: usage from before the late window, as a whole.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Call, Client};
use crate::failure::Failure;
use crate::output::{Output, field, list, table};
use crate::wallet::correct::charged;

/// What can be done with backfills.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  farebox backfills create lost-january events.ndjson --reason 'the log of 10 January was found'
  farebox backfills preview lost-january
  farebox backfills commit lost-january
  farebox backfills revert lost-january

Usage of the last 35 days is sent with `farebox events send`.")]
pub enum BackfillsCommand {
    /// Keep events for a backfill; nothing is posted
    ///
    /// The file holds the events as `farebox events send` takes them: a JSON array, or one event per line. Each says when it
    /// happened. The same command again changes nothing.
    #[command(
        after_help = "Example:\n  farebox backfills create lost-january events.ndjson --reason 'found in a log'"
    )]
    Create(Create),
    /// List all backfills
    #[command(after_help = "Example:\n  farebox backfills list")]
    List(Remote),
    /// Show how a backfill stands
    #[command(after_help = "Example:\n  farebox backfills show lost-january")]
    Show(Named),
    /// Tell what committing a backfill would do, and change nothing
    #[command(after_help = "Example:\n  farebox backfills preview lost-january")]
    Preview(Named),
    /// Post the events of a backfill
    ///
    /// Each is priced by the revision of when it happened, and posted in the open period. Can be repeated: nothing is charged
    /// twice.
    #[command(after_help = "Example:\n  farebox backfills commit lost-january")]
    Commit(Named),
    /// Take all events of a backfill back
    #[command(after_help = "Example:\n  farebox backfills revert lost-january")]
    Revert(Named),
}

/// See [`BackfillsCommand::Create`].
#[derive(Debug, Args)]
pub struct Create {
    /// Its id; kept for good
    backfill: String,
    /// The events: a JSON array, or one event per line
    file: PathBuf,
    /// Why, for the people who look at it later
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// One backfill.
#[derive(Debug, Args)]
pub struct Named {
    /// Its id
    backfill: String,
    #[command(flatten)]
    remote: Remote,
}

impl BackfillsCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            BackfillsCommand::Create(create) => create.run(global),
            BackfillsCommand::List(remote) => {
                let client = Client::new(&global.remote(remote)?)?;
                let backfills = client.all(&["backfills"], "backfills", &[])?;
                Ok(Output::new(listed(&backfills), json!({ "backfills": backfills })))
            }
            BackfillsCommand::Show(named) => {
                let client = Client::new(&global.remote(&named.remote)?)?;
                let backfill = client.get(&["backfills", &named.backfill], &[])?;
                Ok(Output::new(listed(std::slice::from_ref(&backfill)), backfill))
            }
            BackfillsCommand::Preview(named) => {
                let preview = named.post(global, "preview")?;
                Ok(Output::new(previewed(&preview), preview))
            }
            BackfillsCommand::Commit(named) => named.moved(global, "commit"),
            BackfillsCommand::Revert(named) => named.moved(global, "revert"),
        }
    }
}

impl Named {
    fn post(&self, global: &Global, what: &str) -> Result<Value, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        client.call(&Call {
            body: Body::Json(&json!({})),
            ..Call::post(&["backfills", &self.backfill, what])
        })
    }

    fn moved(&self, global: &Global, what: &str) -> Result<Output, Failure> {
        let backfill = self.post(global, what)?;
        Ok(Output::new(listed(std::slice::from_ref(&backfill)), backfill))
    }
}

impl Create {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let mut body = json!({ "id": self.backfill, "events": events(&self.file)? });
        if let Some(reason) = &self.reason {
            body["reason"] = json!(reason);
        }
        let client = Client::new(&global.remote(&self.remote)?)?;
        let backfill = client.call(&Call {
            body: Body::Json(&body),
            ..Call::post(&["backfills"])
        })?;
        let text = format!(
            "{}\n\nLook at what it would do with `farebox backfills preview {}`.",
            listed(std::slice::from_ref(&backfill)),
            self.backfill
        );
        Ok(Output::new(text, backfill))
    }
}

/// The events of a file.
fn events(file: &Path) -> Result<Vec<Value>, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{shown}: expected a JSON array of events: {error}")));
    }
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| {
                let line = number + 1;
                Failure::usage(format!("{shown}:{line}: expected an event in JSON: {error}"))
            })
        })
        .collect()
}

/// A line for each backfill.
fn listed(backfills: &[Value]) -> String {
    if backfills.is_empty() {
        return "No backfills.".to_string();
    }
    let columns = [
        "/id",
        "/status",
        "/events",
        "/customers",
        "/outcome/charged",
        "/outcome/unpriced",
        "/outcome/known",
        "/outcome/refused",
        "/outcome/reverted",
        "/moved_at",
    ];
    let rows = backfills.iter();
    let rows = rows
        .map(|backfill| -> Vec<String> { columns.iter().map(|column| field(backfill, column)).collect() });
    let names = [
        "backfill",
        "status",
        "events",
        "customers",
        "charged",
        "unpriced",
        "known",
        "refused",
        "reverted",
        "since",
    ];
    table(&names, &[2, 3, 4, 5, 6, 7, 8], rows)
}

/// What committing would do.
fn previewed(preview: &Value) -> String {
    let count = |name: &str| field(preview, &format!("/outcome/{name}"));
    let mut text = format!(
        "{} would be charged, {} would wait for a price, {} are known already, {} would be refused.",
        count("charged"),
        count("unpriced"),
        count("known"),
        count("refused")
    );
    let charges = list(preview, "/charges");
    if !charges.is_empty() {
        text = format!("{text}\n\n{}", charged(charges));
    }
    let problems = list(preview, "/problems");
    if !problems.is_empty() {
        let rows = problems.iter().map(|problem| -> Vec<String> {
            let columns = ["/index", "/customer", "/id", "/code", "/detail"];
            columns.iter().map(|column| field(problem, column)).collect()
        });
        let names = ["left out", "customer", "event", "code", "why"];
        text = format!("{text}\n\n{}", table(&names, &[0], rows));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_an_array_or_lines_and_an_error_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let file = dir.path().join("events");
            std::fs::write(&file, text).unwrap();
            events(&file).map(|events| events.len())
        };
        assert_eq!(read("[{\"id\": \"a\"}, {\"id\": \"b\"}]").unwrap(), 2);
        assert_eq!(read("{\"id\": \"a\"}\n\n{\"id\": \"b\"}\n").unwrap(), 2);
        let wrong = format!("{:?}", read("{\"id\": \"a\"}\n{\n").unwrap_err());
        assert!(wrong.contains("events:2:"), "{wrong}");
    }

    #[test]
    fn a_preview_says_what_would_be_left_out_and_why() {
        let text = previewed(&json!({
            "outcome": {"charged": 2, "unpriced": 0, "known": 1, "refused": 0, "reverted": 0},
            "charges": [{"code": "input-tokens", "asset": "usd", "amount": "3", "quantity": "3000000"}],
            "customers": [],
            "problems": [{"index": 4, "customer": "acme", "id": "call-1", "source": "api", "code": "known",
                "detail": "the customer has an event of this id already"}],
        }));
        assert!(
            text.starts_with("2 would be charged, 0 would wait for a price, 1 are known already"),
            "{text}"
        );
        assert!(text.contains("input-tokens") && text.contains("call-1"), "{text}");
    }
}
