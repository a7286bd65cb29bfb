//! From a step to the command that it stands for.

use std::collections::BTreeMap;
use std::fmt;

use farebox_money::Asset;
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Command, DeleteLimit, Extend, Finality, Grant, PutCustomer,
    PutLimit, Release, Settle, Subscribe, default_source,
};
use farebox_record::correction::{Adjust, AdjustTarget, Amend, Pay, Refund, RefundTarget, Void};
use farebox_record::event::{Event, Measures};
use farebox_record::ids::{CallId, EventId, EventType, GrantId, LimitName, PlanName, Source, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::plan::{AppliesTo, Category, EventRef};
use farebox_record::portion::Each;
use farebox_record::spending::{CalendarUnit, LimitTerms, OnExceed, Scope, Threshold, Window};
use farebox_record::state::{Cadence, Shortfall};
use farebox_record::time::Span;

use super::action;
use super::format::{Action, ShortfallPolicy};
use super::value::Count;

/// Life of a hold where the step says nothing: what a server does.
const TTL_SECONDS: u32 = 900;

/// Why something is put right: a scenario says that in `why`, for people.
const REASON: &str = "scenario";

/// A step that cannot be carried out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(pub String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the step is called in the file.
pub(super) fn name(action: Action<'_>) -> &'static str {
    match action {
        Action::Subscribe(_) => "subscribe",
        Action::TopUp(_) => "top_up",
        Action::Use(_) => "use",
        Action::Authorize(_) => "authorize",
        Action::Settle(_) => "settle",
        Action::Extend(_) => "extend",
        Action::Release(_) => "release",
        Action::ChangeSeats(_) => "change_seats",
        Action::ChangePlan(_) => "change_plan",
        Action::Revise(_) => "revise",
        Action::Pause(_) => "pause",
        Action::Resume => "resume",
        Action::Cancel(_) => "cancel",
        Action::Unschedule => "unschedule",
        Action::Advance => "advance",
        Action::Reopen => "reopen",
        Action::Void(_) => "void",
        Action::Amend(_) => "amend",
        Action::Refund(_) => "refund",
        Action::Adjust(_) => "adjust",
        Action::Pay(_) => "pay",
        Action::Limit(_) => "limit",
        Action::RemoveLimit(_) => "remove_limit",
        Action::Backfill(_) => "backfill",
        Action::Revert(_) => "revert",
    }
}

/// The customer, with its shortfall policies.
pub(super) fn put_customer(policies: &BTreeMap<String, ShortfallPolicy>) -> Result<Command, String> {
    let mut shortfall = BTreeMap::new();
    for (asset, policy) in policies {
        let asset = Asset::new(asset).map_err(|error| error.to_string())?;
        let policy = match policy {
            ShortfallPolicy::Deny => Shortfall::Deny,
            ShortfallPolicy::Floor(Count(floor)) => Shortfall::Floor(*floor),
            ShortfallPolicy::Unlimited => Shortfall::Unlimited,
        };
        shortfall.insert(asset, policy);
    }
    let id = CallId::new("scenario").map_err(|error| error.to_string())?;
    Ok(Command::PutCustomer(PutCustomer {
        id,
        name: None,
        shortfall,
    }))
}

/// What the steps before said that a later one refers to.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The subscription that the newest `subscribe` started.
    subscription: Option<SubscriptionId>,
    /// Events, by their id.
    events: BTreeMap<EventId, Event>,
}

impl Said {
    /// Remembers what a step says.
    pub fn note(&mut self, command: &Command) {
        match command {
            Command::Subscribe(subscribe) => self.subscription = Some(subscribe.id.clone()),
            Command::Usage(event) => self.note_event(event),
            Command::Authorize(authorize) => self.note_event(&authorize.event),
            _ => {}
        }
    }

    /// Remembers an event that a later step may name.
    pub fn note_event(&mut self, event: &Event) {
        self.events.insert(event.id.clone(), event.clone());
    }

    /// The subscription that changes and expectations are about.
    pub fn subscription(&self) -> Result<SubscriptionId, Unsupported> {
        let none = || Unsupported("there is no subscription yet; begin with `subscribe = {}`".to_string());
        self.subscription.clone().ok_or_else(none)
    }

    fn event(&self, id: &str) -> Result<Event, Unsupported> {
        let known = EventId::new(id).ok().and_then(|id| self.events.get(&id));
        let none = || {
            Unsupported(format!(
                "no step before uses or authorizes an event with the id {id:?}"
            ))
        };
        known.cloned().ok_or_else(none)
    }
}

fn above_hold(said: Option<action::AboveHold>) -> AboveHold {
    match said {
        None => AboveHold::AsSubscribed,
        Some(action::AboveHold::Deny) => AboveHold::Deny,
        Some(action::AboveHold::ChargeAvailable) => AboveHold::ChargeAvailable,
        Some(action::AboveHold::AllowDebt) => AboveHold::AllowDebt,
    }
}

/// The command of a step; `number` makes ids where the step names none, `plan` is the one that it changes to.
pub(super) fn of(
    action: Action<'_>,
    number: usize,
    plan: &PlanName,
    said: &Said,
) -> Result<Command, Unsupported> {
    let named = |error: farebox_record::ids::NameError| Unsupported(error.to_string());
    let call = || CallId::new(&format!("step-{number}")).map_err(named);
    Ok(match action {
        Action::Subscribe(subscribe) => Command::Subscribe(Subscribe {
            id: SubscriptionId::new(&format!("step-{number}")).map_err(named)?,
            plan: plan.clone(),
            seats: subscribe.seats,
            anchor: subscribe.anchor.map(|at| at.0),
            cadence: cadence(subscribe.cadence),
            above_hold: above_hold(subscribe.above_hold),
        }),
        Action::TopUp(top_up) => Command::Grant(grant(top_up, number)?),
        Action::Use(usage) => Command::Usage(used(usage, number)?),
        Action::Authorize(authorize) => Command::Authorize(Authorize {
            event: Event {
                source: default_source(),
                id: EventId::new(&authorize.id).map_err(named)?,
                event_type: EventType::new(&authorize.event_type).map_err(named)?,
                time: None,
                measures: measures(&authorize.measures),
                attributes: authorize.attributes.clone().into(),
            },
            ttl: Span::seconds(authorize.ttl_seconds.unwrap_or(TTL_SECONDS)),
            mode: if authorize.settle {
                AuthorizeMode::Settle
            } else {
                AuthorizeMode::Hold
            },
        }),
        Action::Settle(settle) => Command::Settle(Settle {
            hold: hold(&settle.hold)?,
            id: call()?,
            measures: measures(&settle.measures),
            attributes: settle.attributes.clone().into(),
            finality: if settle.is_final {
                Finality::Final
            } else {
                Finality::Partial
            },
            above: above_hold(settle.above_hold),
        }),
        Action::Extend(extend) => Command::Extend(Extend {
            hold: hold(&extend.hold)?,
            id: call()?,
            ttl: Span::seconds(extend.ttl_seconds),
            measures: measures(&extend.measures),
        }),
        Action::Release(release) => Command::Release(Release {
            hold: hold(&release.hold)?,
            id: call()?,
        }),
        Action::ChangeSeats(change) => {
            let seats = SubscriptionChange::Seats(change.to);
            changed(said, call()?, seats, change.from, change.prorate)?
        }
        Action::ChangePlan(change) => {
            let another = SubscriptionChange::Plan {
                plan: plan.clone(),
                cadence: change.cadence.map(cadence),
            };
            changed(said, call()?, another, change.from, change.prorate)?
        }
        Action::Pause(pause) => changed(said, call()?, SubscriptionChange::Pause, pause.from, true)?,
        Action::Resume => changed(
            said,
            call()?,
            SubscriptionChange::Resume,
            action::Starting::Now,
            true,
        )?,
        Action::Cancel(cancel) => changed(said, call()?, SubscriptionChange::Cancel, cancel.from, true)?,
        Action::Unschedule => changed(
            said,
            call()?,
            SubscriptionChange::Unschedule,
            action::Starting::Now,
            true,
        )?,
        Action::Void(void) => Command::Void(Void {
            event: said.event(&void.event)?.reference(),
            id: call()?,
            reason: None,
        }),
        Action::Amend(amend) => Command::Amend(Amend {
            event: Event {
                time: None,
                measures: measures(&amend.measures),
                attributes: amend.attributes.clone().into(),
                ..said.event(&amend.event)?
            },
            id: call()?,
        }),
        Action::Refund(refund) => Command::Refund(Refund {
            id: call()?,
            target: refunded(refund, said)?,
            reason: REASON.to_string(),
        }),
        Action::Adjust(adjust) => Command::Adjust(Adjust {
            id: call()?,
            asset: adjust.amount.asset.clone(),
            amount: adjust.amount.amount,
            target: match adjust.target {
                action::Target::Balance => AdjustTarget::Balance,
                action::Target::Debt => AdjustTarget::Debt,
                action::Target::Receivable => AdjustTarget::Receivable,
            },
            reason: REASON.to_string(),
        }),
        Action::Pay(pay) => Command::Pay(Pay {
            id: call()?,
            asset: pay.amount.asset.clone(),
            amount: pay.amount.amount,
            label: None,
        }),
        Action::Limit(limit) => Command::PutLimit(PutLimit {
            id: call()?,
            name: LimitName::new(&limit.name).map_err(named)?,
            terms: terms(limit)?,
        }),
        Action::RemoveLimit(limit) => Command::DeleteLimit(DeleteLimit {
            id: call()?,
            name: LimitName::new(&limit.name).map_err(named)?,
        }),
        Action::Revise(_) | Action::Advance | Action::Reopen | Action::Backfill(_) | Action::Revert(_) => {
            let what = name(action);
            return Err(Unsupported(format!("`{what}` asks nothing of the wallet")));
        }
    })
}

fn changed(
    said: &Said,
    id: CallId,
    change: SubscriptionChange,
    from: action::Starting,
    prorate: bool,
) -> Result<Command, Unsupported> {
    Ok(Command::ChangeSubscription(ChangeSubscription {
        subscription: said.subscription()?,
        id,
        change,
        when: match from {
            action::Starting::Now => When::Now,
            action::Starting::PeriodEnd => When::PeriodEnd,
        },
        proration: if prorate {
            Proration::Prorate
        } else {
            Proration::None
        },
    }))
}

fn refunded(refund: &action::Refund, said: &Said) -> Result<RefundTarget, Unsupported> {
    match (&refund.event, &refund.grant) {
        (Some(event), None) => Ok(RefundTarget::Event {
            event: said.event(event)?.reference(),
            amount: refund
                .amount
                .as_ref()
                .map(|money| (money.asset.clone(), money.amount)),
        }),
        (None, Some(grant)) => Ok(RefundTarget::Grant {
            grant: GrantId::new(grant).map_err(|error| Unsupported(error.to_string()))?,
            amount: refund.amount.as_ref().map(|money| money.amount),
        }),
        _ => Err(Unsupported(
            "`refund` names what is given back: `event` or `grant`".to_string(),
        )),
    }
}

pub(super) fn used(usage: &action::Use, number: usize) -> Result<Event, Unsupported> {
    let named = |error: farebox_record::ids::NameError| Unsupported(error.to_string());
    let made = format!("step-{number}");
    let mut measures = measures(&usage.measures);
    if let Some(Count(cost)) = usage.cost {
        measures.insert("cost_usd".into(), cost);
    }
    Ok(Event {
        source: match &usage.source {
            Some(source) => Source::new(source).map_err(named)?,
            None => default_source(),
        },
        id: EventId::new(usage.id.as_deref().unwrap_or(&made)).map_err(named)?,
        event_type: EventType::new(&usage.event_type).map_err(named)?,
        time: usage.time.map(|at| at.0),
        measures,
        attributes: usage.attributes.clone().into(),
    })
}

/// An event of a backfill, which says itself what its id is and when it was.
pub(super) fn backfilled(usage: &action::Use) -> Result<Event, Unsupported> {
    if usage.id.is_none() || usage.time.is_none() {
        let why = "each event of a `backfill` says its `id` and its `time`";
        return Err(Unsupported(why.to_string()));
    }
    used(usage, 0)
}

pub(super) fn backfill_id(id: &str) -> Result<CallId, Unsupported> {
    CallId::new(id).map_err(|error| Unsupported(error.to_string()))
}

fn grant(top_up: &action::TopUp, number: usize) -> Result<Grant, Unsupported> {
    let made = format!("step-{number}");
    Ok(Grant {
        id: GrantId::new(top_up.id.as_deref().unwrap_or(&made)).map_err(|e| Unsupported(e.to_string()))?,
        asset: top_up.amount.asset.clone(),
        amount: top_up.amount.amount,
        category: category(top_up.category),
        priority: top_up.priority,
        effective: top_up.effective.map(|at| at.0),
        expires: top_up.expires.map(|at| at.0),
        applies_to: AppliesTo {
            codes: top_up.codes.clone(),
            attributes: top_up.attributes.clone(),
        },
        label: top_up.label.clone(),
        each: top_up.each.as_ref().map(|each| Each {
            attribute: each.attribute.clone(),
            amount: each.amount.0,
        }),
    })
}

pub(super) fn category(category: action::Category) -> Category {
    match category {
        action::Category::Paid => Category::Paid,
        action::Category::Promotional => Category::Promotional,
        action::Category::Included => Category::Included,
    }
}

fn cadence(cadence: action::Cadence) -> Cadence {
    match cadence {
        action::Cadence::Monthly => Cadence::Monthly,
        action::Cadence::Yearly => Cadence::Yearly,
        action::Cadence::Weekly => Cadence::Weekly,
        action::Cadence::Daily => Cadence::Daily,
        action::Cadence::Days(days) => Cadence::Days(days),
    }
}

fn terms(limit: &action::Limit) -> Result<LimitTerms, Unsupported> {
    let window = match limit.window {
        action::Window::Hour => Window::Calendar(CalendarUnit::Hour),
        action::Window::Day => Window::Calendar(CalendarUnit::Day),
        action::Window::Week => Window::Calendar(CalendarUnit::Week),
        action::Window::Month => Window::Calendar(CalendarUnit::Month),
        action::Window::Year => Window::Calendar(CalendarUnit::Year),
        action::Window::Rolling(rolling) => steps(rolling)?,
    };
    let path = limit.scope.iter().map(|level| {
        let pair = level.split_once('=').ok_or_else(|| {
            Unsupported(format!(
                "`scope` has {level:?}; expected an attribute and its value, such as \"team=search\""
            ))
        })?;
        Ok((pair.0.to_string(), pair.1.to_string()))
    });
    let thresholds = limit.thresholds.iter().map(|threshold| match threshold {
        action::Threshold::Percent(percent) => Ok(Threshold::Percent(*percent)),
        action::Threshold::Amount(money) if money.asset == limit.amount.asset => {
            Ok(Threshold::Amount(money.amount))
        }
        action::Threshold::Amount(money) => Err(Unsupported(format!(
            "the threshold {money} is not in {}, which the limit is in",
            limit.amount.asset
        ))),
    });
    Ok(LimitTerms {
        asset: limit.amount.asset.clone(),
        amount: limit.amount.amount,
        scope: Scope(path.collect::<Result<_, Unsupported>>()?),
        window,
        thresholds: thresholds.collect::<Result<_, _>>()?,
        on_exceed: if limit.notify {
            OnExceed::Notify
        } else {
            OnExceed::Deny
        },
    })
}

fn steps(rolling: action::Rolling) -> Result<Window, Unsupported> {
    let action::Rolling {
        seconds,
        step_seconds,
    } = rolling;
    let steps = seconds.checked_div(step_seconds).unwrap_or(0);
    match u16::try_from(steps) {
        Ok(steps) if steps > 0 && u32::from(steps) * step_seconds == seconds => Ok(Window::Rolling {
            step: Span::seconds(step_seconds),
            steps,
        }),
        _ => Err(Unsupported(format!(
            "{seconds} s are not 1 to 60 steps of {step_seconds} s; take steps that divide the length"
        ))),
    }
}

fn hold(id: &str) -> Result<EventRef, Unsupported> {
    let id = EventId::new(id).map_err(|error| Unsupported(error.to_string()))?;
    Ok(EventRef {
        source: default_source(),
        id,
    })
}

fn measures(counts: &BTreeMap<String, Count>) -> Measures {
    counts
        .iter()
        .map(|(name, Count(count))| (name.clone(), *count))
        .collect()
}
