//! Customers on plans, and what changes about that.

use farebox_ledger::Wallet;
use farebox_record::command::{AboveHold, Subscribe};
use farebox_record::ids::{CallId, CustomerId, EventType, PlanName, SubscriptionId};
use farebox_record::lifecycle::{
    ChangeSubscription, Proration, Scheduled, SubscriptionChange, SubscriptionStatus, When,
};
use farebox_record::state::{Cadence, SubscriptionState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::problem::Problem;
use crate::wire::account::choice;
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::event::RevisionView;
use crate::wire::hold::{AboveHoldBody, above_hold_schema};
use crate::wire::time::{PeriodView, Time};

/// A customer on a plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostSubscription, example = json!({"id": "sub-1", "customer": "acme", "plan": "per-token"}))]
pub struct SubscriptionBody {
    /// Made by the caller.
    #[schema(value_type = String, example = "sub-1")]
    id: SubscriptionId,
    /// Which customer.
    #[schema(value_type = String, example = "acme")]
    pub customer: CustomerId,
    /// To which plan.
    #[schema(value_type = String, example = "per-token")]
    pub plan: PlanName,
    /// Seats, for plans that count them; 1 unless told.
    #[serde(default = "one")]
    seats: u32,
    /// Periods are counted from here; not there: from now.
    anchor: Option<Time>,
    /// How long a period is, in UTC; `monthly` unless told.
    #[serde(default)]
    #[schema(value_type = Option<CadenceBody>)]
    cadence: Cadence,
    /// What happens to a price above a hold, where a settlement does not say it: `deny`, `charge_available` or `allow_debt`.
    /// `allow_debt` unless told.
    #[schema(schema_with = above_hold_schema)]
    above_hold: Option<AboveHoldBody>,
}

fn one() -> u32 {
    1
}

/// How long a period is, in UTC. An anchor on the 31st means the last day of a shorter month.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Cadence)]
#[expect(
    dead_code,
    reason = "a schema; what it describes is read and written as `Cadence`"
)]
pub enum CadenceBody {
    /// A calendar month.
    Monthly,
    /// A calendar year.
    Yearly,
    /// Seven days.
    Weekly,
    /// One day.
    Daily,
    /// So many days; at least 1.
    Days(u16),
}

impl SubscriptionBody {
    /// As the ledger knows it.
    pub fn command(self) -> Result<Subscribe, Problem> {
        if self.cadence == Cadence::Days(0) {
            return Err(Problem::field("/cadence/days", "a period has at least 1 day"));
        }
        Ok(Subscribe {
            id: self.id,
            plan: self.plan,
            seats: self.seats,
            anchor: self.anchor.map(|time| time.0),
            cadence: self.cadence,
            above_hold: self.above_hold.map_or(AboveHold::AsSubscribed, Into::into),
        })
    }
}

/// A subscription that started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscribed)]
pub struct SubscribedView {
    /// The subscription's id.
    #[schema(value_type = String)]
    pub id: SubscriptionId,
    /// When it started.
    pub started_at: Time,
    /// Its first period.
    pub period: PeriodView,
    /// The revision that started it.
    pub revision: RevisionView,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// A subscription as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SubscriptionId,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// To which plan.
    #[schema(value_type = String)]
    pub plan: PlanName,
    /// Seats.
    pub seats: u32,
    /// When it started.
    pub started_at: Time,
    /// Periods are counted from here.
    pub anchor: Time,
    /// How long a period is.
    #[schema(value_type = CadenceBody)]
    pub cadence: Cadence,
    /// The present one; of a cancelled one, the last.
    pub period: PeriodView,
    /// When its present term began: a period, or the part of one under the present plan.
    pub since: Time,
    /// `active`; `paused`: no fee and no authorize, and what happens is charged all the same; `cancelled`: it ended.
    #[schema(schema_with = status_schema)]
    pub status: &'static str,
    /// Since when it is paused or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_since: Option<Time>,
    /// What happens to a price above a hold, where a settlement does not say it.
    #[schema(schema_with = above_hold_schema)]
    pub above_hold: AboveHold,
    /// Changes that wait for the end of the period, in the order in which they are carried out.
    pub scheduled: Vec<ScheduledView>,
    /// Types of events that it prices.
    #[schema(value_type = Vec<String>)]
    pub event_types: Vec<EventType>,
}

impl SubscriptionView {
    /// As it is kept.
    pub fn new(
        customer: &CustomerId,
        id: &SubscriptionId,
        state: &SubscriptionState,
        wallet: &Wallet,
    ) -> SubscriptionView {
        SubscriptionView {
            id: id.clone(),
            customer: customer.clone(),
            plan: state.plan.clone(),
            seats: state.seats,
            started_at: Time(state.started),
            anchor: Time(state.anchor),
            cadence: state.cadence,
            period: state.period.into(),
            since: Time(state.since),
            status: status(state.status),
            status_since: status_since(state.status),
            above_hold: wallet.above_hold(id, AboveHold::AsSubscribed),
            scheduled: state.scheduled.iter().map(ScheduledView::new).collect(),
            event_types: state.event_types.clone(),
        }
    }
}

/// A customer's subscriptions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionList)]
pub struct SubscriptionList {
    /// In order of id; a wallet has 64 at most.
    pub subscriptions: Vec<SubscriptionView>,
}

/// A change of a subscription: exactly one of `seats`, `plan`, `pause`, `resume`, `above_hold` and `unschedule`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PatchSubscription, example = json!({"seats": 12, "when": "now"}))]
pub struct ChangeBody {
    /// So many seats.
    seats: Option<u32>,
    /// Another plan; the same one with another `cadence`.
    #[schema(value_type = Option<String>)]
    plan: Option<PlanName>,
    /// With `plan`: how long its periods are; not there: as they were. Another length begins a first period at the change.
    #[schema(value_type = Option<CadenceBody>)]
    cadence: Option<Cadence>,
    /// `true`: no fee and no authorize until it is resumed. Usage that happens is charged all the same.
    pause: Option<bool>,
    /// `true`: it goes on, at once.
    resume: Option<bool>,
    /// What happens to a price above a hold, where a settlement does not say it: `deny`, `charge_available` or `allow_debt`.
    /// At once; open holds follow it too.
    #[schema(schema_with = above_hold_schema)]
    above_hold: Option<AboveHoldBody>,
    /// `true`: all changes that wait for the end of the period are taken back.
    unschedule: Option<bool>,
    /// `now`, or `period_end`: from the end of the present period on. `now` unless told.
    #[schema(schema_with = when_schema)]
    when: Option<When>,
    /// Whether the plan is asked to charge or credit the part of the period that is left; `true` unless told.
    prorate: Option<bool>,
}

pub(crate) fn when_schema() -> Object {
    choice(&["now", "period_end"])
}

impl ChangeBody {
    /// What changes.
    pub fn change(&self) -> Result<SubscriptionChange, Problem> {
        let mut said = Vec::new();
        if let Some(seats) = self.seats {
            said.push(SubscriptionChange::Seats(seats));
        }
        if let Some(plan) = &self.plan {
            said.push(SubscriptionChange::Plan {
                plan: plan.clone(),
                cadence: self.cadence,
            });
        } else if self.cadence.is_some() {
            let detail = "a cadence changes with the plan: say `plan` too, the present one if it stays";
            return Err(Problem::field("/cadence", detail));
        }
        if let Some(above) = self.above_hold {
            said.push(SubscriptionChange::AboveHold(above.into()));
        }
        for (name, flag, change) in [
            ("pause", self.pause, SubscriptionChange::Pause),
            ("resume", self.resume, SubscriptionChange::Resume),
            ("unschedule", self.unschedule, SubscriptionChange::Unschedule),
        ] {
            match flag {
                Some(true) => said.push(change),
                Some(false) => {
                    let detail = format!("`{name}` is true or not there");
                    return Err(Problem::field(format!("/{name}"), detail));
                }
                None => {}
            }
        }
        if self.cadence == Some(Cadence::Days(0)) {
            return Err(Problem::field("/cadence/days", "a period has at least 1 day"));
        }
        let choices = "seats, plan, pause, resume, above_hold, unschedule";
        match (said.pop(), said.is_empty()) {
            (Some(change), true) => Ok(change),
            (Some(_), false) => Err(Problem::field(
                "",
                format!("say one change a call: one of {choices}"),
            )),
            (None, _) => Err(Problem::field("", format!("say what changes: one of {choices}"))),
        }
    }

    /// As the ledger knows it.
    pub fn command(&self, subscription: SubscriptionId, id: CallId) -> Result<ChangeSubscription, Problem> {
        let change = self.change()?;
        let at_once = match change {
            SubscriptionChange::Unschedule => {
                Some("what is scheduled is taken back at once, and costs nothing")
            }
            SubscriptionChange::AboveHold(_) => {
                Some("what happens above a hold changes at once, and costs nothing")
            }
            _ => None,
        };
        if let (Some(detail), true) = (at_once, self.when.is_some() || self.prorate.is_some()) {
            let pointer = if self.when.is_some() { "/when" } else { "/prorate" };
            return Err(Problem::field(pointer, detail));
        }
        Ok(ChangeSubscription {
            subscription,
            id,
            change,
            when: self.when.unwrap_or_default(),
            proration: match self.prorate {
                Some(false) => Proration::None,
                Some(true) | None => Proration::Prorate,
            },
        })
    }
}

/// A change that waits for the end of the period: one of `seats`, `plan`, `pause` and `cancel`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scheduled)]
pub struct ScheduledView {
    /// So many seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// Another plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub plan: Option<PlanName>,
    /// With `plan`: another length of periods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CadenceBody>)]
    pub cadence: Option<Cadence>,
    /// `true`: it is paused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pause: bool,
    /// `true`: it ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
    /// When it was asked for.
    pub asked_at: Time,
}

impl ScheduledView {
    fn new(scheduled: &Scheduled) -> ScheduledView {
        let mut view = ScheduledView {
            seats: None,
            plan: None,
            cadence: None,
            pause: false,
            cancel: false,
            asked_at: Time(scheduled.asked),
        };
        match &scheduled.change {
            SubscriptionChange::Seats(seats) => view.seats = Some(*seats),
            SubscriptionChange::Plan { plan, cadence } => {
                view.plan = Some(plan.clone());
                view.cadence = *cadence;
            }
            SubscriptionChange::Pause => view.pause = true,
            SubscriptionChange::Cancel => view.cancel = true,
            // At once, always.
            SubscriptionChange::Resume
            | SubscriptionChange::Unschedule
            | SubscriptionChange::AboveHold(_) => {}
        }
        view
    }
}

/// A subscription that was changed, or will be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionChanged)]
pub struct ChangedView {
    /// The subscription's id.
    #[schema(value_type = String)]
    pub id: SubscriptionId,
    /// When the change was asked for.
    pub changed_at: Time,
    /// From when on it is in force.
    pub effective_at: Time,
    /// `active`, `paused`, `cancelled`: right after the call.
    #[schema(schema_with = status_schema)]
    pub status: &'static str,
    /// Seats, right after the call.
    pub seats: u32,
    /// The period, right after the call.
    pub period: PeriodView,
    /// What the plan charged for the change; negative: what it gave back.
    pub charges: Vec<LineView>,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this key got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

fn status_schema() -> Object {
    choice(&["active", "paused", "cancelled"])
}

/// A status, as programs see it.
pub(crate) fn status(status: SubscriptionStatus) -> &'static str {
    match status {
        SubscriptionStatus::Active => "active",
        SubscriptionStatus::Paused(_) => "paused",
        SubscriptionStatus::Cancelled(_) => "cancelled",
    }
}

fn status_since(status: SubscriptionStatus) -> Option<Time> {
    match status {
        SubscriptionStatus::Active => None,
        SubscriptionStatus::Paused(at) | SubscriptionStatus::Cancelled(at) => Some(Time(at)),
    }
}
