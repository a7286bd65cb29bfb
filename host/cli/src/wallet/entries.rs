//! `farebox wallet entries`: what was posted to a wallet, newest first.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field, list, table};
use crate::progress;

/// Entries that are asked for at once; the most that the server gives.
const PAGE: usize = 200;

/// See [`super::WalletCommand::Entries`].
#[derive(Debug, Args)]
pub struct Entries {
    /// The customer's id
    customer: String,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = number)]
    limit: usize,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Go on behind what was listed: the `next` of an earlier answer
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Entries {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let path = ["customers", &self.customer, "entries"];
        let bar = progress::spinner("reading");
        let most = if self.all { usize::MAX } else { self.limit };
        let (mut entries, mut next, mut archived) = (Vec::new(), self.cursor.clone(), false);
        loop {
            let wanted = (most - entries.len()).min(PAGE);
            let mut query = vec![("limit", wanted.to_string())];
            query.extend(next.take().map(|cursor| ("cursor", cursor)));
            let page = client.get(&path, &query)?;
            entries.extend(list(&page, "/entries").iter().cloned());
            archived = archived || page.get("archived") == Some(&Value::Bool(true));
            next = page.get("next").and_then(Value::as_str).map(str::to_string);
            if next.is_none() || entries.len() >= most {
                break;
            }
            bar.set_message(format!("{} entries", entries.len()));
        }
        bar.finish_and_clear();
        let text = shown(&entries, next.as_deref(), archived);
        let mut json = json!({ "entries": entries });
        if let Some(next) = next {
            json["next"] = json!(next);
        }
        if archived {
            json["archived"] = json!(true);
        }
        Ok(Output::new(text, json))
    }
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a number of entries, 1 or more".to_string())
}

/// A line per entry, and what is left out.
fn shown(entries: &[Value], next: Option<&str>, archived: bool) -> String {
    let mut text = match entries.is_empty() {
        true => "Nothing is posted.".to_string(),
        false => listed(entries),
    };
    if let Some(next) = next {
        text = format!("{text}\n\nThere are older ones: --all shows them, --cursor {next} goes on here.");
    }
    if archived {
        text = format!("{text}\n\nOlder entries are in an archive that the server does not read.");
    }
    text
}

fn listed(entries: &[Value]) -> String {
    let rows = entries.iter().map(|entry| {
        let account = match entry.get("grant") {
            Some(_) => format!("{} of {}", field(entry, "/account"), field(entry, "/grant")),
            None => field(entry, "/account"),
        };
        let mut row = vec![field(entry, "/at"), field(entry, "/kind"), account];
        row.extend(["/amount", "/asset", "/code", "/event/id", "/reason"].map(|column| field(entry, column)));
        row
    });
    let heads = [
        "at", "done", "account", "amount", "asset", "charge", "event", "why",
    ];
    table(&heads, &[3], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_shown_one_per_line_with_what_is_left_out() {
        let at = "2026-11-23T09:30:00Z";
        let entries = [
            json!({"sequence": 4, "at": at, "kind": "usage", "account": "available", "grant": "topup-1",
                "asset": "usd", "amount": "-0.3", "code": "input-tokens", "event": {"source": "api", "id": "call-1"}}),
            json!({"sequence": 4, "at": at, "kind": "usage", "account": "revenue", "asset": "usd", "amount": "0.3",
                "code": "input-tokens", "event": {"source": "api", "id": "call-1"}}),
            json!({"sequence": 3, "at": at, "kind": "adjustment", "account": "adjustments", "asset": "usd",
                "amount": "5", "reason": "granted twice"}),
        ];
        insta::assert_snapshot!(shown(&entries, Some("Mjow"), false));
        assert_eq!(
            shown(&[], None, true),
            "Nothing is posted.\n\nOlder entries are in an archive that the server does not read."
        );
    }
}
