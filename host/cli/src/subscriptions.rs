//! `farebox subscriptions`: which customer is on which plan, and what changes about that.

mod change;

use clap::{Args, Subcommand};
use farebox_record::time::Timestamp;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, list, table};
use crate::wallet::balances;
use crate::wallet::correct::before;
pub(crate) use change::AboveHold;
use change::{Cancel, Change, Resume, Switch};

/// What can be done with subscriptions.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox subscriptions start acme acme-tokens per-token")]
pub enum SubscriptionsCommand {
    /// List a customer's subscriptions
    #[command(after_help = "Examples:
  farebox subscriptions list acme
  farebox subscriptions list acme --json | jq -r '.subscriptions[].id'")]
    List(Of),
    /// Show one subscription
    #[command(after_help = "Example:\n  farebox subscriptions show acme acme-tokens")]
    Show(One),
    /// Put a customer on a plan
    ///
    /// The plan is asked at once, and may charge and grant. The same start again, under the same id, starts nothing twice.
    #[command(after_help = "Examples:
  farebox subscriptions start acme acme-tokens per-token
  farebox subscriptions start acme acme-team team --seats 12 --cadence yearly")]
    Start(Start),
    /// Change seats, plan or what happens above a hold, at once or at the end of the period
    ///
    /// A change at once is told to the plan, which may charge or credit the part of the period that is left. One for the
    /// end of the period waits until then, and can be taken back with --unschedule.
    #[command(after_help = "Examples:
  farebox subscriptions change acme acme-team --seats 12
  farebox subscriptions change acme acme-team --plan team-pro --cadence yearly --at period-end
  farebox subscriptions change acme acme-team --seats 3 --no-proration
  farebox subscriptions change acme acme-team --above-hold deny
  farebox subscriptions change acme acme-team --unschedule")]
    Change(Change),
    /// Pause a subscription: no fee and no authorize until it is resumed
    ///
    /// Usage that happens all the same is charged.
    #[command(after_help = "Examples:
  farebox subscriptions pause acme acme-team
  farebox subscriptions pause acme acme-team --at period-end")]
    Pause(Switch),
    /// Let a paused subscription go on, at once
    #[command(after_help = "Example:\n  farebox subscriptions resume acme acme-team")]
    Resume(Resume),
    /// End a subscription, for good
    ///
    /// What it granted as included ends with it. At the end of the period it can be taken back until then.
    #[command(after_help = "Examples:
  farebox subscriptions cancel acme acme-team
  farebox subscriptions cancel acme acme-team --at period-end")]
    Cancel(Cancel),
}

/// See [`SubscriptionsCommand::List`].
#[derive(Debug, Args)]
pub struct Of {
    /// The customer's id
    customer: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`SubscriptionsCommand::Show`].
#[derive(Debug, Args)]
pub struct One {
    /// The customer's id
    customer: String,
    /// The subscription's id
    subscription: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`SubscriptionsCommand::Start`].
#[derive(Debug, Args)]
pub struct Start {
    /// The customer's id
    customer: String,
    /// The subscription's id, made by you
    subscription: String,
    /// The plan's name
    plan: String,
    /// Seats, for plans that count them
    #[arg(long, default_value_t = 1)]
    seats: u32,
    /// Periods are counted from here [default: now]
    #[arg(long, value_name = "TIME")]
    anchor: Option<Timestamp>,
    /// How long a period is: monthly, yearly, weekly, daily, or a number of days such as 30d
    #[arg(long, default_value = "monthly", value_parser = cadence)]
    cadence: Value,
    /// What happens to a price above a hold, where a settlement does not say it [default: allow-debt]
    #[arg(long, value_enum)]
    above_hold: Option<AboveHold>,
    #[command(flatten)]
    remote: Remote,
}

impl SubscriptionsCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            SubscriptionsCommand::List(of) => {
                let client = Client::new(&global.remote(&of.remote)?)?;
                let answer = client.get(&["subscriptions"], &[("customer", of.customer.clone())])?;
                Ok(Output::new(listed(list(&answer, "/subscriptions")), answer))
            }
            SubscriptionsCommand::Show(one) => {
                let client = Client::new(&global.remote(&one.remote)?)?;
                let path = ["subscriptions", &one.subscription];
                let subscription = client.get(&path, &[("customer", one.customer.clone())])?;
                Ok(Output::new(
                    listed(std::slice::from_ref(&subscription)),
                    subscription,
                ))
            }
            SubscriptionsCommand::Start(start) => start.run(global),
            SubscriptionsCommand::Change(change) => change.run(global),
            SubscriptionsCommand::Pause(switch) => switch.pause(global),
            SubscriptionsCommand::Resume(resume) => resume.run(global),
            SubscriptionsCommand::Cancel(cancel) => cancel.run(global),
        }
    }
}

impl Start {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let mut body = json!({
            "id": self.subscription, "customer": self.customer, "plan": self.plan, "seats": self.seats,
            "cadence": self.cadence,
        });
        if let Some(anchor) = self.anchor {
            body["anchor"] = json!(anchor.to_string());
        }
        if let Some(above) = self.above_hold {
            body["above_hold"] = json!(above.as_str());
        }
        let started = client.post(&["subscriptions"], &Body::Json(&body))?;
        let text = format!(
            "{} is on {} under {}, until {} at first{}\n\n{}",
            self.customer,
            self.plan,
            self.subscription,
            field(&started, "/period/end"),
            before(&started),
            balances(list(&started, "/balance"))
        );
        Ok(Output::new(text, started))
    }
}

fn listed(subscriptions: &[Value]) -> String {
    if subscriptions.is_empty() {
        return "There are no subscriptions; `farebox subscriptions start` makes one.".to_string();
    }
    let rows = subscriptions.iter().map(|subscription| {
        let scheduled: Vec<String> = list(subscription, "/scheduled").iter().map(scheduled).collect();
        vec![
            field(subscription, "/id"),
            field(subscription, "/plan"),
            field(subscription, "/seats"),
            field(subscription, "/status"),
            field(subscription, "/period/start"),
            field(subscription, "/period/end"),
            match scheduled.is_empty() {
                true => "-".to_string(),
                false => scheduled.join(", "),
            },
        ]
    });
    let heads = ["subscription", "plan", "seats", "status", "from", "until", "then"];
    table(&heads, &[2], rows)
}

/// What waits for the end of the period, in a few words.
fn scheduled(change: &Value) -> String {
    if let Some(seats) = change.get("seats") {
        return format!("{seats} seats");
    }
    if change.get("plan").is_some() {
        return format!("plan {}", field(change, "/plan"));
    }
    match change.get("cancel") {
        Some(_) => "cancelled".to_string(),
        None => "paused".to_string(),
    }
}

/// `monthly`, or `30d`, as the server takes it.
fn cadence(text: &str) -> Result<Value, String> {
    if ["monthly", "yearly", "weekly", "daily"].contains(&text) {
        return Ok(json!(text));
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
    match days.filter(|days| *days > 0) {
        Some(days) => Ok(json!({ "days": days })),
        None => Err("expected monthly, yearly, weekly, daily, or a number of days such as 30d".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadences_are_read_as_people_write_them() {
        assert_eq!(cadence("weekly"), Ok(json!("weekly")));
        assert_eq!(cadence("30d"), Ok(json!({"days": 30})));
        for bad in ["30", "0d", "d", "-1d", "hourly", "70000d"] {
            assert!(cadence(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subscriptions_are_shown_one_per_line() {
        let subscriptions = json!([
            {"id": "acme-team", "plan": "team", "seats": 12, "status": "active",
                "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z", "index": 3},
                "scheduled": [{"seats": 3, "asked_at": "2026-11-23T09:30:00Z"},
                    {"plan": "team-pro", "asked_at": "2026-11-23T09:30:00Z"}]},
            {"id": "acme-tokens", "plan": "per-token", "seats": 1, "status": "paused",
                "period": {"start": "2026-11-23T09:30:00Z", "end": "2026-12-23T09:30:00Z", "index": 0},
                "scheduled": [{"cancel": true, "asked_at": "2026-11-23T09:30:00Z"}]},
            {"id": "old", "plan": "per-token", "seats": 1, "status": "cancelled",
                "period": {"start": "2026-10-23T09:30:00Z", "end": "2026-11-23T09:30:00Z", "index": 0},
                "scheduled": []},
        ]);
        insta::assert_snapshot!(listed(list(&json!({ "s": subscriptions }), "/s")));
    }
}
