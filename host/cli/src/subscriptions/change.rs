//! Changes of a subscription: seats, plan, pause, resume, cancel.

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::cadence;
use crate::cli::{Global, Remote};
use crate::client::{Body, Call, Client};
use crate::failure::Failure;
use crate::output::{Output, field, list};
use crate::wallet::correct::{before, charged};
use crate::wallet::{balances, made_up_id};

/// See [`super::SubscriptionsCommand::Change`].
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["seats", "plan", "above_hold", "unschedule"])]
pub struct Change {
    #[command(flatten)]
    whose: Whose,
    /// So many seats
    #[arg(long)]
    seats: Option<u32>,
    /// Another plan; the present one with another --cadence
    #[arg(long)]
    plan: Option<String>,
    /// With --plan: monthly, yearly, weekly, daily, or a number of days such as 30d [default: as it was]
    #[arg(long, requires = "plan", value_parser = cadence)]
    cadence: Option<Value>,
    /// What happens to a price above a hold, where a settlement does not say it; at once
    #[arg(long, value_enum, conflicts_with_all = ["at", "no_proration"])]
    above_hold: Option<AboveHold>,
    /// Take back what waits for the end of the period
    #[arg(long, conflicts_with_all = ["at", "no_proration"])]
    unschedule: bool,
    /// From when on
    #[arg(long, value_enum, default_value = "now")]
    at: At,
    /// Ask the plan for no charge and no credit for the part of the period that is left
    #[arg(long)]
    no_proration: bool,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::SubscriptionsCommand::Pause`].
#[derive(Debug, Args)]
pub struct Switch {
    #[command(flatten)]
    whose: Whose,
    /// From when on
    #[arg(long, value_enum, default_value = "now")]
    at: At,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::SubscriptionsCommand::Resume`].
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::SubscriptionsCommand::Cancel`].
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    whose: Whose,
    /// From when on
    #[arg(long, value_enum, default_value = "now")]
    at: At,
    /// Ask the plan for no credit for the part of the period that is left
    #[arg(long)]
    no_proration: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Which subscription, and under which key it is changed.
#[derive(Debug, Args)]
struct Whose {
    /// The customer's id
    customer: String,
    /// The subscription's id
    subscription: String,
    /// The change's key; a retry under the same one changes nothing twice
    #[arg(long)]
    id: Option<String>,
}

/// What happens to a price above a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AboveHold {
    /// The settlement is refused
    Deny,
    /// What the wallet has is charged, the rest let go
    ChargeAvailable,
    /// It is charged, and what the wallet cannot cover becomes debt
    AllowDebt,
}

impl AboveHold {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            AboveHold::Deny => "deny",
            AboveHold::ChargeAvailable => "charge_available",
            AboveHold::AllowDebt => "allow_debt",
        }
    }
}

/// From when on a change is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum At {
    /// At once
    Now,
    /// From the end of the present period on
    PeriodEnd,
}

impl At {
    fn as_str(self) -> &'static str {
        match self {
            At::Now => "now",
            At::PeriodEnd => "period_end",
        }
    }
}

impl Change {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        patch(&self.whose, &self.remote, global, &self.body())
    }

    fn body(&self) -> Value {
        if self.unschedule {
            return json!({ "unschedule": true });
        }
        if let Some(above) = self.above_hold {
            return json!({ "above_hold": above.as_str() });
        }
        let mut body = json!({"when": self.at.as_str(), "prorate": !self.no_proration});
        if let Some(seats) = self.seats {
            body["seats"] = json!(seats);
        }
        if let Some(plan) = &self.plan {
            body["plan"] = json!(plan);
        }
        if let Some(cadence) = &self.cadence {
            body["cadence"] = cadence.clone();
        }
        body
    }
}

impl Switch {
    pub(super) fn pause(&self, global: &Global) -> Result<Output, Failure> {
        let body = json!({"pause": true, "when": self.at.as_str()});
        patch(&self.whose, &self.remote, global, &body)
    }
}

impl Cancel {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let query = [
            ("customer", self.whose.customer.clone()),
            ("when", self.at.as_str().to_string()),
            ("prorate", (!self.no_proration).to_string()),
        ];
        send(
            &self.whose,
            &self.remote,
            global,
            Method::DELETE,
            &query,
            Body::None,
        )
    }
}

impl Resume {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        patch(&self.whose, &self.remote, global, &json!({ "resume": true }))
    }
}

fn patch(whose: &Whose, remote: &Remote, global: &Global, body: &Value) -> Result<Output, Failure> {
    let query = [("customer", whose.customer.clone())];
    send(whose, remote, global, Method::PATCH, &query, Body::Json(body))
}

fn send(
    whose: &Whose,
    remote: &Remote,
    global: &Global,
    method: Method,
    query: &[(&str, String)],
    body: Body<'_>,
) -> Result<Output, Failure> {
    let client = Client::new(&global.remote(remote)?)?;
    let id = whose.id.clone().unwrap_or_else(made_up_id);
    let changed = client
        .call(&Call {
            method,
            path: &["subscriptions", &whose.subscription],
            query,
            key: Some(&id),
            body,
        })
        .map_err(|failure| {
            failure.detail(format!(
                "change {id}; repeating under the same --id changes nothing twice"
            ))
        })?;
    Ok(Output::new(shown(&changed), changed))
}

fn shown(changed: &Value) -> String {
    let mut text = format!(
        "{}: {}, seats {}, until {}; the change is in force from {}{}",
        field(changed, "/id"),
        field(changed, "/status"),
        field(changed, "/seats"),
        field(changed, "/period/end"),
        field(changed, "/effective_at"),
        before(changed)
    );
    let charges = list(changed, "/charges");
    if !charges.is_empty() {
        text = format!("{text}\n\n{}", charged(charges));
    }
    format!("{text}\n\n{}", balances(list(changed, "/balance")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_tells_what_is_and_from_when_on() {
        let changed = json!({
            "id": "acme-team", "changed_at": "2026-11-23T09:30:00Z", "effective_at": "2026-11-23T09:30:00Z",
            "status": "active", "seats": 12,
            "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z", "index": 3},
            "charges": [{"code": "seats", "asset": "usd", "amount": "25", "quantity": "10"}],
            "balance": [{"asset": "usd", "available": "20", "held": "0", "debt": "0", "receivable": "25"}],
        });
        insta::assert_snapshot!(shown(&changed));
    }
}
