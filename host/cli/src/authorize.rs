//! `farebox authorize`: may this call happen?

use clap::Args;
use farebox_money::Nanos;
use farebox_record::time::Timestamp;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::measured::{attribute, attributes, measure, measures};
use crate::output::{Output, field, list, table};
use crate::wallet::correct::{before, charged};
use crate::wallet::{balances, made_up_id};

/// See [`crate::cli::Command::Authorize`].
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  farebox authorize acme --type llm.call --measure input_tokens=1200 --measure output_tokens=4096 \\
    --attribute model=gpt-5 --id call-1
  farebox authorize acme --type action --measure count=1 --attribute action=image --ttl-seconds 60
  farebox authorize acme --type action --measure count=3 --attribute action=image --settle --json")]
pub struct Authorize {
    /// The customer's id
    customer: String,
    /// What kind of usage it is
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,
    /// The most that it may use; with --settle, what it used; may be given several times
    #[arg(long = "measure", value_name = "NAME=NUMBER", value_parser = measure)]
    measures: Vec<(String, Nanos)>,
    /// What it is used for; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// The event's id; a retry under the same id gets the first decision again [default: made up and shown]
    #[arg(long)]
    id: Option<String>,
    /// Where the event comes from [default: api]
    #[arg(long)]
    source: Option<String>,
    /// When it happens [default: now]
    #[arg(long)]
    time: Option<Timestamp>,
    /// How long the value stays set aside, 1 to 86400 [default: 900]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    ttl_seconds: Option<u32>,
    /// Charge at once, without a hold: what was used is known
    #[arg(long, conflicts_with = "ttl_seconds")]
    settle: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Authorize {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let body = self.body(&id)?;
        let decision = client.decide(&["authorize"], &body).map_err(|failure| {
            failure.detail(format!(
                "call {id}; repeating with --id {id} decides nothing twice"
            ))
        })?;
        if decision.get("allowed") == Some(&Value::Bool(true)) {
            return Ok(Output::new(allowed(&id, &decision), decision));
        }
        Ok(Output::new(denied(&id, &decision), decision).failed())
    }

    fn body(&self, id: &str) -> Result<Value, Failure> {
        let mut event = json!({
            "type": self.event_type, "measures": measures(&self.measures)?,
            "attributes": attributes(&self.attributes)?,
        });
        if let Some(time) = self.time {
            event["time"] = json!(time.to_string());
        }
        let mut body = json!({"id": id, "customer": self.customer, "event": event});
        if let Some(source) = &self.source {
            body["source"] = json!(source);
        }
        if let Some(seconds) = self.ttl_seconds {
            body["ttl_seconds"] = json!(seconds);
        }
        if self.settle {
            body["settle"] = json!(true);
        }
        Ok(body)
    }
}

/// A call that may go ahead: what is set aside until when, or what was charged.
fn allowed(id: &str, decision: &Value) -> String {
    let mut text = format!("{id} is allowed{}", before(decision));
    match decision.get("hold") {
        Some(hold) => {
            text = format!(
                "{text}: held until {}, as\n{}",
                field(hold, "/expires_at"),
                field(hold, "/id")
            );
            let held = list(hold, "/amounts");
            if !held.is_empty() {
                text = format!("{text}\n\n{}", amounts("held", held));
            }
        }
        None => text = format!("{text}, and charged"),
    }
    let quote = list(decision, "/quote");
    if !quote.is_empty() {
        text = format!("{text}\n\n{}", charged(quote));
    }
    format!("{text}\n\n{}", balances(list(decision, "/balance")))
}

/// A call that may not: why, and what can be done.
fn denied(id: &str, decision: &Value) -> String {
    let mut text = format!(
        "{id} is denied{}: {} ({})",
        before(decision),
        field(decision, "/detail"),
        field(decision, "/code")
    );
    if decision.get("resets_at").is_some() {
        text = format!(
            "{text}\nThe limit begins anew at {}",
            field(decision, "/resets_at")
        );
    }
    match decision.get("hint") {
        Some(_) => format!("{text}\nhint: {}", field(decision, "/hint")),
        None => text,
    }
}

/// An amount per line, under what became of it.
pub(crate) fn amounts(what: &str, amounts: &[Value]) -> String {
    let columns = ["/amount", "/asset"];
    let rows = amounts
        .iter()
        .map(|amount| columns.iter().map(|column| field(amount, column)).collect());
    table(&[what, "asset"], &[0], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_call_tells_what_is_held_and_until_when() {
        let usd = |amount: &str| json!([{"asset": "usd", "amount": amount}]);
        let decision = json!({
            "allowed": true,
            "hold": {"id": "hold_YWNtZQ", "amounts": usd("0.0366"), "expires_at": "2026-11-23T09:45:00Z"},
            "quote": [{"code": "output-tokens", "asset": "usd", "amount": "0.0366", "quantity": "3660"}],
            "balance": [{"asset": "usd", "available": "19.9634", "held": "0.0366", "debt": "0", "receivable": "0"}],
        });
        insta::assert_snapshot!(allowed("call-1", &decision));
    }

    #[test]
    fn a_denied_call_tells_why_and_what_to_do() {
        let decision = json!({
            "allowed": false, "code": "limit_exceeded", "replayed": true, "limit": "all", "level": "customer",
            "detail": "limit all at customer: 2 usd needed, 0.5 usd left", "resets_at": "2026-12-01T00:00:00Z",
            "hint": "Wait for the window to begin anew.",
        });
        insta::assert_snapshot!(denied("call-1", &decision));
    }
}
