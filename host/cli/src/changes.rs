//! `farebox changes`: what happened.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field, list, say, table};

/// Time between two looks of `--follow`.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
/// Changes of one page.
const PAGE: usize = 200;

/// See [`crate::cli::Command::Changes`].
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  farebox changes                                  everything that is kept
  farebox changes --kind denied --customer acme    why a customer was told no
  farebox changes --follow --json                  one line for each change, as they happen
  farebox changes --after CURSOR                   what happened since; --json shows cursors")]
pub struct Changes {
    /// Go on, and print what happens from now on too, until interrupted
    #[arg(long)]
    follow: bool,
    /// Only what is behind this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Only what happened to this customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only changes of this kind: denied, debt_incurred, grant_expired, ...
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Changes {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        match self.follow {
            true => self.follow(&client, global.json),
            false => self.all(&client),
        }
    }

    fn all(&self, client: &Client) -> Result<Output, Failure> {
        let (mut changes, mut after) = (Vec::new(), self.after.clone());
        loop {
            let page = self.page(client, after.as_deref())?;
            changes.extend(list(&page, "/changes").iter().cloned());
            let next = field(&page, "/next");
            if page.get("more") != Some(&Value::Bool(true)) {
                return Ok(Output::new(
                    listed(&changes),
                    json!({"changes": changes, "next": next}),
                ));
            }
            after = Some(next);
        }
    }

    /// Prints each change when it is there. Ends with a failure, or when it is interrupted.
    fn follow(&self, client: &Client, as_json: bool) -> Result<Output, Failure> {
        let mut after = self.after.clone();
        loop {
            let page = self.page(client, after.as_deref())?;
            for change in list(&page, "/changes") {
                say(&match as_json {
                    true => change.to_string(),
                    false => row(change).join("  "),
                });
            }
            after = Some(field(&page, "/next"));
            if page.get("more") != Some(&Value::Bool(true)) {
                std::thread::sleep(FOLLOW_INTERVAL);
            }
        }
    }

    fn page(&self, client: &Client, after: Option<&str>) -> Result<Value, Failure> {
        let mut query = vec![("limit", PAGE.to_string())];
        query.extend(after.map(|after| ("after", after.to_string())));
        query.extend(self.customer.clone().map(|customer| ("customer", customer)));
        query.extend(self.kind.clone().map(|kind| ("kind", kind)));
        client.get(&["changes"], &query)
    }
}

fn listed(changes: &[Value]) -> String {
    if changes.is_empty() {
        return "Nothing happened.".to_string();
    }
    table(&["at", "kind", "customer", "what"], &[], changes.iter().map(row))
}

fn row(change: &Value) -> Vec<String> {
    vec![
        field(change, "/at"),
        field(change, "/kind"),
        field(change, "/customer"),
        told(change.get("data").unwrap_or(&Value::Null)),
    ]
}

/// The members of a change's data in one line: `event=call-1 reason=debt required=3`.
fn told(data: &Value) -> String {
    let members = data.as_object().into_iter().flatten();
    let texts = members.filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(","),
            Value::Null => return None,
            other => short(other),
        };
        (!text.is_empty()).then(|| format!("{name}={text}"))
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// The one thing that names an object.
fn short(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match (text("id").or(text("code")), text("amount"), text("asset")) {
        (Some(name), None, _) => name.to_string(),
        (Some(name), Some(amount), Some(asset)) => format!("{name}:{amount} {asset}"),
        (None, Some(amount), Some(asset)) => format!("{amount} {asset}"),
        _ => match (text("start"), text("end")) {
            (Some(start), Some(end)) => format!("{start}/{end}"),
            _ => text("component").map_or_else(|| value.to_string(), |hash| hash.chars().take(12).collect()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line() {
        let at = "2026-11-23T09:30:00Z";
        let change =
            |kind: &str, data: Value| json!({"at": at, "kind": kind, "customer": "acme", "data": data});
        let denied = change(
            "denied",
            json!({"event": {"source": "api", "id": "call-1"}, "reason": "insufficient_funds", "asset": "usd",
                "required": "6", "available": "1"}),
        );
        let expired = change(
            "hold_expired",
            json!({"event": {"source": "api", "id": "call-2"}, "returned": [{"asset": "usd", "amount": "0.5"}]}),
        );
        let rated = change(
            "usage_rated",
            json!({"event": {"source": "api", "id": "e"}, "charges": [
                {"code": "input", "asset": "usd", "amount": "0.1", "quantity": "100"}]}),
        );
        insta::assert_snapshot!(listed(&[denied, expired, rated]));
    }
}
