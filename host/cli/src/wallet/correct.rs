//! `farebox wallet adjust`, `pay` and `refund`: what is put right by hand.

use clap::{Args, ValueEnum};
use farebox_money::{Asset, Nanos};
use serde_json::{Value, json};

use super::{balances, made_up_id};
use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, list, table};

/// See [`super::WalletCommand::Adjust`].
#[derive(Debug, Args)]
pub struct Adjust {
    /// The customer's id
    customer: String,
    /// In which asset: usd, credits
    asset: Asset,
    /// How much, as a decimal number: 20, 0.50
    amount: Nanos,
    /// What is put right
    #[arg(long, value_enum)]
    target: Target,
    /// Why, for the people who read the statement
    #[arg(long)]
    reason: String,
    /// The adjustment's id; a retry under the same id adjusts nothing twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// What an adjustment puts right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Value is taken away, in the order in which grants burn
    Balance,
    /// Debt is written off
    Debt,
    /// Fees that stand on the statement are written off
    Receivable,
}

/// See [`super::WalletCommand::Pay`].
#[derive(Debug, Args)]
pub struct Pay {
    /// The customer's id
    customer: String,
    /// In which asset: usd
    asset: Asset,
    /// How much, as a decimal number; no more than the receivable
    amount: Nanos,
    /// What a person reads: the number of an invoice
    #[arg(long)]
    label: Option<String>,
    /// The payment's id; a retry under the same id pays nothing twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::WalletCommand::Refund`].
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["event", "grant"])]
pub struct Refund {
    /// The customer's id
    customer: String,
    /// What this event took comes back to where it came from
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Where the event came from [default: api]
    #[arg(long, requires = "event")]
    source: Option<String>,
    /// Unused value of this bought grant leaves the wallet: pay it to the customer
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
    /// How much [default: all that is left]
    #[arg(long)]
    amount: Option<Nanos>,
    /// In which asset; goes with the amount of an event
    #[arg(long, requires = "amount", conflicts_with = "grant")]
    asset: Option<Asset>,
    /// Why, for the people who read the statement
    #[arg(long)]
    reason: String,
    /// The refund's id; a retry under the same id gives nothing back twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Adjust {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let target = match self.target {
            Target::Balance => "balance",
            Target::Debt => "debt",
            Target::Receivable => "receivable",
        };
        let body = json!({
            "id": id, "asset": self.asset.as_str(), "amount": self.amount.to_string(), "target": target,
            "reason": self.reason,
        });
        let done = client
            .post(&["customers", &self.customer, "adjustments"], &Body::Json(&body))
            .map_err(|failure| repeatable(failure, "adjustment", &id))?;
        let said = match self.target {
            Target::Balance => "taken from",
            Target::Debt => "of debt written off for",
            Target::Receivable => "of fees written off for",
        };
        Ok(Output::new(
            posted(
                &format!("{} {} {said}", self.amount, self.asset),
                &self.customer,
                &id,
                &done,
            ),
            done,
        ))
    }
}

impl Pay {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let mut body = json!({"id": id, "asset": self.asset.as_str(), "amount": self.amount.to_string()});
        if let Some(label) = &self.label {
            body["label"] = json!(label);
        }
        let done = client
            .post(&["customers", &self.customer, "payments"], &Body::Json(&body))
            .map_err(|failure| repeatable(failure, "payment", &id))?;
        Ok(Output::new(
            posted(
                &format!("{} {} paid by", self.amount, self.asset),
                &self.customer,
                &id,
                &done,
            ),
            done,
        ))
    }
}

impl Refund {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let body = self.body(&id)?;
        let done = client
            .post(&["customers", &self.customer, "refunds"], &Body::Json(&body))
            .map_err(|failure| repeatable(failure, "refund", &id))?;
        let text = format!("Refund {id}{}\n\n{}", before(&done), corrected(&done));
        Ok(Output::new(text, done))
    }

    fn body(&self, id: &str) -> Result<Value, Failure> {
        let mut body = json!({"id": id, "reason": self.reason});
        if let Some(grant) = &self.grant {
            body["grant"] = json!(grant);
            if let Some(amount) = self.amount {
                body["amount"] = json!(amount.to_string());
            }
        }
        if let Some(event) = &self.event {
            body["event"] = json!({ "id": event });
            if let Some(source) = &self.source {
                body["event"]["source"] = json!(source);
            }
            match (self.amount, &self.asset) {
                (None, _) => {}
                (Some(amount), Some(asset)) => {
                    body["amount"] = json!({"asset": asset.as_str(), "amount": amount.to_string()});
                }
                (Some(_), None) => {
                    return Err(Failure::usage(
                        "an event may take several assets: say --asset too, such as usd",
                    ));
                }
            }
        }
        Ok(body)
    }
}

fn repeatable(failure: Failure, what: &str, id: &str) -> Failure {
    failure.detail(format!(
        "{what} {id}; repeating with --id {id} does nothing twice"
    ))
}

fn posted(what: &str, customer: &str, id: &str, done: &Value) -> String {
    format!(
        "{what} {customer} under {id}{}\n\n{}",
        before(done),
        balances(list(done, "/balance"))
    )
}

/// What is said of an answer that an earlier request got first.
pub(crate) fn before(answer: &Value) -> &'static str {
    match answer.get("replayed") {
        Some(Value::Bool(true)) => " (was done already)",
        _ => "",
    }
}

/// What a correction gave back and charged instead, and what the customer has after it.
pub(crate) fn corrected(answer: &Value) -> String {
    let mut rows = Vec::new();
    for (path, what) in [
        ("/reversed", "in all"),
        ("/paid", "of it, for what was owed"),
        ("/expired", "of it, expired meanwhile"),
    ] {
        let amounts = list(answer, path).iter();
        let moved = amounts.filter(|amount| field(amount, "/amount") != "0");
        rows.extend(moved.map(|amount| {
            vec![
                what.to_string(),
                field(amount, "/amount"),
                field(amount, "/asset"),
            ]
        }));
    }
    let mut text = match rows.is_empty() {
        true => "Nothing is given back.".to_string(),
        false => table(&["given back", "amount", "asset"], &[1], rows),
    };
    let charges = list(answer, "/charges");
    if !charges.is_empty() {
        text = format!("{text}\n\n{}", charged(charges));
    }
    let repriced = list(answer, "/repriced");
    if !repriced.is_empty() {
        text = format!("{text}\n\n{}", repriced_table(repriced));
    }
    format!("{text}\n\n{}", balances(list(answer, "/balance")))
}

/// A line for everything that moved for an event behind the corrected one.
fn repriced_table(repriced: &[Value]) -> String {
    let mut rows = Vec::new();
    for event in repriced {
        for (path, sign) in [("/reversed", "-"), ("/charged", "")] {
            rows.extend(list(event, path).iter().map(|moved| {
                vec![
                    field(event, "/id"),
                    format!("{sign}{}", field(moved, "/amount")),
                    field(moved, "/asset"),
                ]
            }));
        }
    }
    table(&["event behind it", "amount", "asset"], &[1], rows)
}

/// A charge per line.
pub(crate) fn charged(charges: &[Value]) -> String {
    let columns = ["/code", "/quantity", "/amount", "/asset"];
    let rows = charges
        .iter()
        .map(|charge| columns.iter().map(|column| field(charge, column)).collect());
    table(&["charge", "quantity", "amount", "asset"], &[1, 2], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_tells_what_came_back_and_what_is_charged_instead() {
        let usd = |amount: &str| json!([{"asset": "usd", "amount": amount}]);
        let answer = json!({
            "reversed": usd("1"), "paid": usd("0.7"), "expired": [],
            "charges": [{"code": "input-tokens", "asset": "usd", "amount": "0.2", "quantity": "200000"}],
            "balance": [{"asset": "usd", "available": "9.6", "held": "0", "debt": "0", "receivable": "0"}],
        });
        insta::assert_snapshot!(corrected(&answer));
    }

    #[test]
    fn a_correction_tells_which_events_cost_something_else_behind_it() {
        let answer = json!({
            "reversed": [{"asset": "usd", "amount": "8"}], "paid": [], "expired": [], "charges": [],
            "repriced": [
                {"id": "b", "source": "api", "reversed": [], "charged": [{"asset": "usd", "amount": "1"}], "charges": []},
                {"id": "c", "source": "api", "reversed": [{"asset": "usd", "amount": "0.5"}], "charged": [], "charges": []},
            ],
            "balance": [{"asset": "usd", "available": "12", "held": "0", "debt": "0", "receivable": "0"}],
        });
        let text = corrected(&answer);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert!(lines.contains(&"EVENT BEHIND IT  AMOUNT  ASSET"), "{text}");
        assert!(lines.contains(&"b                     1  usd"), "{text}");
        assert!(lines.contains(&"c                  -0.5  usd"), "{text}");
    }
}
