//! `farebox events`: reporting usage from a file, looking at one event, taking it back or replacing it.

mod batches;
mod correct;
mod show;
mod unpriced;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, list, table};
use crate::progress;
use batches::Batches;
use correct::{Amend, Void};
use unpriced::Unpriced;

/// Refused events that are listed; all of them are counted.
const LISTED_MAX: usize = 100;

/// What can be done with events.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox events send usage.ndjson")]
pub enum EventsCommand {
    /// Report usage from a file, or from standard input
    ///
    /// One JSON event per line (NDJSON), or one JSON array. Sent in parts; a busy server is waited for. Ids make it
    /// safe to send the same file again: what was seen is answered as the first time. Exits with 1 if any event was
    /// refused.
    #[command(after_help = "Examples:
  farebox events send usage.ndjson
  zcat usage.ndjson.gz | farebox events send -

An event:
  {\"id\": \"call-1\", \"customer\": \"acme\", \"type\": \"llm.call\", \"time\": \"2026-11-23T09:30:00Z\",
   \"measures\": {\"input_tokens\": 1200, \"output_tokens\": 350}, \"attributes\": {\"model\": \"gpt-5\"}}")]
    Send(Send),
    /// Show an event, what became of it, and how it stands
    #[command(after_help = "Examples:
  farebox events show acme call-1
  farebox events show acme call-1 --source billing-worker --json")]
    Show(Show),
    /// List what waits for a price, oldest first
    ///
    /// Usage that no plan could price, and renewals that a plan had no answer to. Each is looked at again when a
    /// subscription or a revision comes that may have a price for it.
    #[command(after_help = "Example:\n  farebox events unpriced acme")]
    Unpriced(Unpriced),
    /// Take an event back: all that it took comes back
    ///
    /// Can be repeated: an event is taken back once. Where the price of a plan's events depends on earlier ones, those behind
    /// it in its period are priced again, and the differences are posted with it.
    #[command(after_help = "Examples:
  farebox events void acme call-1 --reason \"sent twice\"
  farebox events void acme call-1 --source billing-worker")]
    Void(Void),
    /// Replace an event: all that it took comes back, and what it should have been is charged
    ///
    /// Says the whole event: what is left away is as if it had never been said. Can be repeated: what stands so already is
    /// left alone. Where the price of a plan's events depends on earlier ones, those behind it in its period are priced again,
    /// and the differences are posted with it.
    #[command(after_help = "Example:
  farebox events amend acme call-1 --type llm.call --measure input_tokens=1200 \\
    --measure output_tokens=350 --attribute model=gpt-5")]
    Amend(Amend),
}

/// See [`EventsCommand::Send`].
#[derive(Debug, Args)]
pub struct Send {
    /// File with events; - for standard input
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

/// See [`EventsCommand::Show`].
#[derive(Debug, Args)]
pub struct Show {
    /// The customer's id
    customer: String,
    /// The event's id
    id: String,
    /// Where the event came from [default: api]
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl EventsCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            EventsCommand::Send(send) => send.run(global),
            EventsCommand::Show(show) => show.run(global),
            EventsCommand::Unpriced(unpriced) => unpriced.run(global),
            EventsCommand::Void(void) => void.run(global),
            EventsCommand::Amend(amend) => amend.run(global),
        }
    }
}

/// What became of all events so far.
#[derive(Debug, Default)]
struct Totals {
    sent: u64,
    accepted: u64,
    replayed: u64,
    unpriced: u64,
    conflict: u64,
    rejected: u64,
    /// The first that were not taken, with their place in the file.
    refused: Vec<(u64, Value)>,
}

impl Send {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let bar = progress::spinner("sending");
        let mut totals = Totals::default();
        for batch in Batches::new(self.open()?) {
            let batch = batch.map_err(|error| Failure::io("cannot read", &self.file, &error))?;
            let body = Body::Bytes("application/x-ndjson", batch.body);
            let answer = client.post_until_taken(&["events"], &body).map_err(|failure| {
                let place = format!("in the part that begins with event {}", totals.sent + 1);
                failure
                    .detail(place)
                    .hint("sending the file again is safe: what was seen is not charged twice")
            })?;
            totals.add(&answer);
            bar.set_message(format!("{} events", totals.sent));
        }
        bar.finish_and_clear();
        let output = Output::new(totals.text(), totals.json());
        Ok(if totals.conflict + totals.rejected == 0 {
            output
        } else {
            output.failed()
        })
    }

    fn open(&self) -> Result<Box<dyn BufRead>, Failure> {
        if self.file.as_os_str() == "-" {
            return Ok(Box::new(BufReader::new(io::stdin())));
        }
        let file = File::open(&self.file).map_err(|error| Failure::io("cannot open", &self.file, &error))?;
        Ok(Box::new(BufReader::new(file)))
    }
}

impl Show {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let path = ["customers", &self.customer, "events", &self.id];
        let event = client.get(&path, &correct::from(self.source.as_ref()))?;
        Ok(Output::new(show::shown(&event), event))
    }
}

impl Totals {
    fn add(&mut self, answer: &Value) {
        for result in list(answer, "/results") {
            self.sent += 1;
            let count = match result.get("status").and_then(Value::as_str) {
                Some("accepted") => &mut self.accepted,
                Some("unpriced") => &mut self.unpriced,
                Some("conflict") => &mut self.conflict,
                _ => &mut self.rejected,
            };
            *count += 1;
            self.replayed += u64::from(result.get("replayed") == Some(&Value::Bool(true)));
            let refused = !matches!(
                result.get("status").and_then(Value::as_str),
                Some("accepted" | "unpriced")
            );
            if refused && self.refused.len() < LISTED_MAX {
                self.refused.push((self.sent, result.clone()));
            }
        }
    }

    fn text(&self) -> String {
        let rows = [
            ("accepted", self.accepted),
            ("  seen before", self.replayed),
            ("unpriced", self.unpriced),
            ("conflict", self.conflict),
            ("rejected", self.rejected),
        ];
        let mut text = table(
            &["events", "number"],
            &[1],
            rows.map(|(name, n)| vec![name.into(), n.to_string()]),
        );
        if self.unpriced > 0 {
            text.push_str("\n\nUnpriced events are kept, and charged as soon as a plan prices them.");
        }
        if !self.refused.is_empty() {
            let rows = self.refused.iter().map(|(place, result)| {
                vec![
                    place.to_string(),
                    field(result, "/id"),
                    field(result, "/code"),
                    field(result, "/detail"),
                ]
            });
            text = format!("{text}\n\n{}", table(&["event", "id", "code", "why"], &[0], rows));
        }
        text
    }

    fn json(&self) -> Value {
        let refused: Vec<Value> = self
            .refused
            .iter()
            .map(|(place, result)| {
                let mut result = result.clone();
                if let Some(members) = result.as_object_mut() {
                    members.insert("index".into(), json!(place - 1));
                }
                result
            })
            .collect();
        json!({
            "sent": self.sent, "accepted": self.accepted, "replayed": self.replayed, "unpriced": self.unpriced,
            "conflict": self.conflict, "rejected": self.rejected, "refused": refused,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_events_are_listed_by_their_place_in_the_file() {
        let mut totals = Totals::default();
        let accepted = json!({"index": 0, "status": "accepted", "id": "a"});
        totals.add(&json!({ "results": [accepted, {"index": 1, "status": "unpriced", "id": "b"}] }));
        totals.add(&json!({ "results": [{"index": 0, "status": "rejected", "id": "c", "code": "invalid_request",
            "detail": "the number \"x\" is not one"}, {"index": 1, "status": "accepted", "replayed": true}] }));
        insta::assert_snapshot!(totals.text());
        assert_eq!(totals.json()["refused"][0]["index"], 2);
    }
}
