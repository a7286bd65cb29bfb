//! `farebox holds`: what becomes of value that was set aside for a call.

use clap::{Args, Subcommand};
use farebox_money::Nanos;
use serde_json::{Value, json};

use crate::authorize::amounts;
use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::measured::{attribute, attributes, measure, measures};
use crate::output::{Output, field, list};
use crate::subscriptions::AboveHold;
use crate::wallet::correct::{before, charged};
use crate::wallet::{balances, made_up_id};

/// What can be done with holds.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  HOLD=$(farebox authorize acme --type action --measure count=9 --attribute action=image --json \\
    | jq -r .hold.id)
  farebox holds settle $HOLD --measure count=7

`farebox wallet show` tells how many holds a customer has open, and what they hold of each grant.")]
pub enum HoldsCommand {
    /// Show a hold: whose it is, how it stands, what it holds and until when
    #[command(after_help = "Example:\n  farebox holds show $HOLD")]
    Show(One),
    /// Charge what a call used so far, and give the rest back
    ///
    /// Usage is cumulative: each settlement says all of it, and the difference is charged. With --partial the rest stays
    /// held.
    #[command(after_help = "Examples:
  farebox holds settle $HOLD --measure input_tokens=1200 --measure output_tokens=350 --id settle-1
  farebox holds settle $HOLD --measure output_tokens=100 --partial
  farebox holds settle $HOLD --measure output_tokens=9000 --above-hold deny
  farebox holds settle $HOLD --nothing --attribute outcome=solved")]
    Settle(Settle),
    /// Give a call more time, or more room
    ///
    /// What is held never shrinks. Where the wallet cannot cover more, or a limit does not allow it, the hold stays as it was.
    #[command(after_help = "Examples:
  farebox holds extend $HOLD --ttl-seconds 600
  farebox holds extend $HOLD --ttl-seconds 600 --measure input_tokens=1200 --measure output_tokens=8192")]
    Extend(Extend),
    /// Give back all that a call did not use
    ///
    /// Can be repeated: a hold is released once.
    #[command(after_help = "Example:\n  farebox holds release $HOLD")]
    Release(Release),
}

/// See [`HoldsCommand::Show`].
#[derive(Debug, Args)]
pub struct One {
    /// The hold's id, as `farebox authorize` showed it
    hold: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`HoldsCommand::Settle`].
#[derive(Debug, Args)]
#[group(id = "used", required = true, multiple = false, args = ["measures", "nothing"])]
pub struct Settle {
    /// The hold's id, as `farebox authorize` showed it
    hold: String,
    /// What was used so far, all of it; may be given several times
    #[arg(long = "measure", value_name = "NAME=NUMBER", value_parser = measure)]
    measures: Vec<(String, Nanos)>,
    /// Say no measure at all, to plans that price a call without any; to others say 0 of each, or release it
    #[arg(long)]
    nothing: bool,
    /// What was not known before; takes the place of what authorize said; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// More will come: the rest stays held
    #[arg(long)]
    partial: bool,
    /// What happens to a price above the hold [default: as the subscription says]
    #[arg(long, value_enum)]
    above_hold: Option<AboveHold>,
    /// The settlement's id; a retry under the same id charges nothing twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// See [`HoldsCommand::Extend`].
#[derive(Debug, Args)]
pub struct Extend {
    /// The hold's id, as `farebox authorize` showed it
    hold: String,
    /// How long from now, 1 to 86400; an expiry that is later already stays
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    ttl_seconds: u32,
    /// The most that it may use, all of it, where that changes; may be given several times
    #[arg(long = "measure", value_name = "NAME=NUMBER", value_parser = measure)]
    measures: Vec<(String, Nanos)>,
    /// The extension's id; a retry under the same id extends nothing twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// See [`HoldsCommand::Release`].
#[derive(Debug, Args)]
pub struct Release {
    /// The hold's id, as `farebox authorize` showed it
    hold: String,
    /// The release's id [default: release]
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl HoldsCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            HoldsCommand::Show(one) => {
                let client = Client::new(&global.remote(&one.remote)?)?;
                let hold = client.get(&["holds", &one.hold], &[])?;
                Ok(Output::new(shown(&hold), hold))
            }
            HoldsCommand::Settle(settle) => settle.run(global),
            HoldsCommand::Extend(extend) => extend.run(global),
            HoldsCommand::Release(release) => release.run(global),
        }
    }
}

impl Settle {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let mut body = json!({"id": id, "measures": measures(&self.measures)?, "final": !self.partial});
        if !self.attributes.is_empty() {
            body["attributes"] = attributes(&self.attributes)?;
        }
        if let Some(above) = self.above_hold {
            body["above_hold"] = json!(above.as_str());
        }
        let settled = client
            .post(&["holds", &self.hold, "settle"], &Body::Json(&body))
            .map_err(|failure| {
                failure.detail(format!(
                    "settlement {id}; repeating with --id {id} charges nothing twice"
                ))
            })?;
        Ok(Output::new(settlement(&settled), settled))
    }
}

impl Extend {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let mut body = json!({"id": id, "ttl_seconds": self.ttl_seconds});
        if !self.measures.is_empty() {
            body["measures"] = measures(&self.measures)?;
        }
        let extended = client
            .post(&["holds", &self.hold, "extend"], &Body::Json(&body))
            .map_err(|failure| {
                failure.detail(format!(
                    "extension {id}; repeating with --id {id} extends nothing twice"
                ))
            })?;
        let first = format!(
            "Held until {}{}",
            field(&extended, "/expires_at"),
            before(&extended)
        );
        let parts = [("held", "/held")];
        Ok(Output::new(told(first, &parts, &extended), extended))
    }
}

impl Release {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let body = match &self.id {
            Some(id) => json!({ "id": id }),
            None => json!({}),
        };
        let released = client.post(&["holds", &self.hold, "release"], &Body::Json(&body))?;
        let first = format!("The hold is {}{}", field(&released, "/state"), before(&released));
        let parts = [("given back", "/returned")];
        Ok(Output::new(told(first, &parts, &released), released))
    }
}

/// What a settlement did, and what the call costs by now.
fn settlement(settled: &Value) -> String {
    let late = match settled.get("late") {
        Some(Value::Bool(true)) => ", after its expiry",
        _ => "",
    };
    let mut first = format!(
        "The hold is {}{late}{}",
        field(settled, "/state"),
        before(settled)
    );
    let charges = list(settled, "/charges");
    if !charges.is_empty() {
        first = format!("{first}\n\n{}", charged(charges));
    }
    let parts = [
        ("charged now", "/posted"),
        ("given back", "/returned"),
        ("held", "/held"),
        ("became debt", "/debt"),
        ("let go", "/waived"),
    ];
    told(first, &parts, settled)
}

/// A sentence, what moved, and what the customer has after it.
fn told(first: String, parts: &[(&str, &str)], answer: &Value) -> String {
    let mut text = first;
    for (what, path) in parts {
        let moved = list(answer, path);
        if !moved.is_empty() {
            text = format!("{text}\n\n{}", amounts(what, moved));
        }
    }
    format!("{text}\n\n{}", balances(list(answer, "/balance")))
}

/// A hold as people read it; one that is over keeps no amounts.
fn shown(hold: &Value) -> String {
    let mut text = format!(
        "{} of {}, from {}: {}",
        field(hold, "/event"),
        field(hold, "/customer"),
        field(hold, "/source"),
        field(hold, "/state")
    );
    if hold.get("expires_at").is_some() {
        text = format!(
            "{text}, by {}\nopened {}, expires {}",
            field(hold, "/subscription"),
            field(hold, "/opened_at"),
            field(hold, "/expires_at")
        );
    }
    for (what, path) in [("quoted", "/quoted"), ("held", "/held"), ("taken", "/taken")] {
        let part = list(hold, path);
        if !part.is_empty() {
            text = format!("{text}\n\n{}", amounts(what, part));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(amount: &str) -> Value {
        json!([{"asset": "usd", "amount": amount}])
    }

    #[test]
    fn a_settlement_tells_where_everything_went() {
        let settled = json!({
            "hold": "hold_YWNtZQ", "state": "settled", "late": false,
            "charges": [{"code": "output-tokens", "asset": "usd", "amount": "2.5", "quantity": "250000"}],
            "posted": usd("2.5"), "returned": [], "held": [], "debt": usd("0.5"), "waived": [],
            "balance": [{"asset": "usd", "available": "0", "held": "0", "debt": "0.5", "receivable": "0"}],
        });
        insta::assert_snapshot!(settlement(&settled));
    }

    #[test]
    fn a_hold_is_shown_while_the_wallet_keeps_it_and_after() {
        let mut hold = json!({
            "id": "hold_YWNtZQ", "customer": "acme", "source": "api", "event": "call-1", "state": "settled",
        });
        assert_eq!(shown(&hold), "call-1 of acme, from api: settled");
        let kept = json!({
            "state": "pending", "opened_at": "2026-11-23T09:30:00Z", "expires_at": "2026-11-23T09:45:00Z",
            "quoted": usd("0.0366"), "held": usd("0.0266"), "taken": usd("0.01"), "subscription": "acme-tokens",
        });
        for (name, value) in kept.as_object().unwrap() {
            hold[name] = value.clone();
        }
        insta::assert_snapshot!(shown(&hold));
    }
}
