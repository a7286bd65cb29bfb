//! What a plan was asked, so that whoever tests it sees what no scenario has tried yet.

use std::collections::BTreeSet;
use std::fmt;

use farebox_record::command::{AuthorizeMode, Command, DueItem};
use farebox_record::correction::Consequence;
use farebox_record::event::Event;
use farebox_record::ids::EventType;
use farebox_record::lifecycle::{SubscriptionChange, SubscriptionStatus, When};
use farebox_record::outcome::{Effect, Verdict};
use farebox_record::plan::Description;
use farebox_record::record::Record;

/// A question that a plan answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// What usage of this type costs.
    Usage(EventType),
    /// What a call of this type costs at most.
    WorstCase(EventType),
    /// A subscription starts.
    Started,
    /// A period begins.
    Renewed,
    /// Seats change within a period.
    SeatsChanged,
    /// It takes a subscription over.
    PlanChanged,
    /// A pause begins.
    Paused,
    /// A pause ends.
    Resumed,
    /// A subscription ends.
    Cancelled,
    /// A timer that it set goes off.
    Due,
    /// An event of a subject is taken back.
    Reversed,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Usage(event_type) => write!(f, "usage of {event_type}"),
            Trigger::WorstCase(event_type) => write!(f, "worst case of {event_type}"),
            Trigger::Started => f.write_str("started"),
            Trigger::Renewed => f.write_str("renewed"),
            Trigger::SeatsChanged => f.write_str("seats-changed"),
            Trigger::PlanChanged => f.write_str("plan-changed"),
            Trigger::Paused => f.write_str("paused"),
            Trigger::Resumed => f.write_str("resumed"),
            Trigger::Cancelled => f.write_str("cancelled"),
            Trigger::Due => f.write_str("due"),
            Trigger::Reversed => f.write_str("reversed"),
        }
    }
}

/// What scenarios asked a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// What was asked, at least once.
    pub asked: BTreeSet<Trigger>,
    /// Whether it set a timer, so that it has something to do when one goes off.
    pub sets_timers: bool,
}

impl Coverage {
    /// What the records of one step say.
    pub(super) fn of(records: &[Record]) -> Coverage {
        let mut coverage = Coverage::default();
        for record in records {
            let verdict = record.seen.pricing.as_ref().map(|pricing| &pricing.verdict);
            if let Some(Verdict::Priced(priced)) = verdict {
                coverage.sets_timers |= priced.timers.iter().any(|timer| timer.at.is_some());
            }
            let is_reversal = |consequence: &Consequence| matches!(consequence, Consequence::Reversed(_));
            if record.seen.consequence.as_deref().is_some_and(is_reversal) {
                coverage.asked.insert(Trigger::Reversed);
            }
            if verdict.is_some() {
                coverage.asked.extend(trigger(record));
            }
        }
        coverage
    }

    /// Adds what others asked.
    pub fn extend(&mut self, others: &Coverage) {
        self.asked.extend(others.asked.iter().cloned());
        self.sets_timers |= others.sets_timers;
    }

    /// What nobody asked of a plan that describes itself so, in the order of [`Trigger`].
    pub fn missing(&self, description: &Description) -> Vec<Trigger> {
        let types = || description.event_types.iter().cloned();
        let all = types()
            .map(Trigger::Usage)
            .chain(types().map(Trigger::WorstCase))
            .chain([
                Trigger::Started,
                Trigger::Renewed,
                Trigger::SeatsChanged,
                Trigger::PlanChanged,
                Trigger::Paused,
                Trigger::Resumed,
                Trigger::Cancelled,
            ])
            .chain(self.sets_timers.then_some(Trigger::Due))
            .chain(description.subject_attribute.as_ref().map(|_| Trigger::Reversed));
        all.filter(|trigger| !self.asked.contains(trigger)).collect()
    }
}

/// What the plan was asked for a record that it answered.
fn trigger(record: &Record) -> Option<Trigger> {
    let usage = |event: &Event| Some(Trigger::Usage(event.event_type.clone()));
    match &record.command {
        Command::Usage(event) => usage(event),
        Command::Backfill(backfill) => usage(&backfill.event),
        Command::RateUnpriced(rate) => usage(&rate.event),
        Command::Amend(amend) => usage(&amend.event),
        Command::Authorize(authorize) => match authorize.mode {
            AuthorizeMode::Settle => usage(&authorize.event),
            AuthorizeMode::Hold => Some(Trigger::WorstCase(authorize.event.event_type.clone())),
        },
        Command::Settle(_) => usage(held(record)?),
        Command::Extend(_) => Some(Trigger::WorstCase(held(record)?.event_type.clone())),
        // Only a plan that follows subjects is asked about it.
        Command::Void(_) => Some(Trigger::Reversed),
        Command::Subscribe(_) => Some(Trigger::Started),
        Command::Due(due) => match &due.item {
            DueItem::Renewal(_) => Some(boundary(record)),
            DueItem::Timer { .. } => Some(Trigger::Due),
            DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => None,
        },
        Command::ChangeSubscription(asked) => match (&asked.change, asked.when) {
            (_, When::PeriodEnd) => None,
            (SubscriptionChange::Seats(_), When::Now) => Some(Trigger::SeatsChanged),
            (SubscriptionChange::Plan { .. }, When::Now) => Some(Trigger::PlanChanged),
            (SubscriptionChange::Pause, When::Now) => Some(Trigger::Paused),
            (SubscriptionChange::Resume, When::Now) => Some(Trigger::Resumed),
            (SubscriptionChange::Cancel, When::Now) => Some(Trigger::Cancelled),
            (SubscriptionChange::Unschedule | SubscriptionChange::AboveHold(_), When::Now) => None,
        },
        _ => None,
    }
}

/// The call that a record changes the hold of.
fn held(record: &Record) -> Option<&Event> {
    record.outcome.effects.iter().find_map(|effect| match effect {
        Effect::HoldPut(_, hold) => Some(&hold.event),
        _ => None,
    })
}

/// What the end of a period was to the plan.
fn boundary(record: &Record) -> Trigger {
    let effects = || record.outcome.effects.iter();
    if effects().any(|effect| matches!(effect, Effect::PlanTaken(..))) {
        return Trigger::PlanChanged;
    }
    let status = effects().find_map(|effect| match effect {
        Effect::SubscriptionPut(_, subscription) => Some(subscription.status),
        _ => None,
    });
    match status {
        Some(SubscriptionStatus::Cancelled(_)) => Trigger::Cancelled,
        Some(SubscriptionStatus::Paused(_)) => Trigger::Paused,
        Some(SubscriptionStatus::Active) | None => Trigger::Renewed,
    }
}
