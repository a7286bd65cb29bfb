//! `farebox events unpriced`: what waits for a price.

use clap::Args;
use serde_json::{Value, json};

use super::show::content;
use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field, table};

/// See [`super::EventsCommand::Unpriced`].
#[derive(Debug, Args)]
pub struct Unpriced {
    /// The customer's id
    customer: String,
    #[command(flatten)]
    remote: Remote,
}

impl Unpriced {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let path = ["customers", &self.customer, "unpriced"];
        let waiting = client.all(&path, "unpriced", &[("limit", "200".to_string())])?;
        Ok(Output::new(listed(&waiting), json!({ "unpriced": waiting })))
    }
}

fn listed(waiting: &[Value]) -> String {
    if waiting.is_empty() {
        return "Nothing waits for a price.".to_string();
    }
    let rows = waiting.iter().map(|item| {
        let (what, content) = match item.get("event") {
            Some(event) => (field(event, "/id"), content(event)),
            None => {
                let due = format!("due {}", field(item, "/due_at"));
                (field(item, "/subscription"), due)
            }
        };
        vec![
            field(item, "/received_at"),
            field(item, "/kind"),
            what,
            content,
            field(item, "/code"),
            field(item, "/detail"),
        ]
    });
    table(&["received", "kind", "of", "what", "code", "why"], &[], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_shown_one_per_line() {
        let usage = json!({"sequence": 4, "kind": "usage", "received_at": "2026-11-23T09:30:00Z",
            "code": "no_subscription", "detail": "no plan of the customer prices events of this type",
            "event": {"id": "call-1", "source": "api", "type": "llm.call", "measures": {"input_tokens": "1200"},
                "attributes": {"model": "gpt-5"}}});
        let renewal = json!({"sequence": 9, "kind": "renewal", "received_at": "2026-12-01T00:00:00Z",
            "code": "plan_failed", "detail": "the plan ran out of fuel", "subscription": "tokens",
            "due_at": "2026-12-01T00:00:00Z"});
        insta::assert_snapshot!(listed(&[usage, renewal]));
        assert_eq!(listed(&[]), "Nothing waits for a price.");
    }
}
