//! From a record to what the feed says of it: a pure function, so that the feed can be made again from the journal and is
//! the same.
//!
//! A command's own news comes first (with the events that it prices anew), then those of its effects in their
//! order, then what it did to the customer's debt.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::control::{ControlCommand, ControlEffect, ControlRecord, TimelineChange};
use farebox_record::correction::RefundTarget;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Account, Answer, Corrected, Denied, Effect, Entry, HoldEnd};
use farebox_record::plan::EventRef;
use farebox_record::state::{MissedTransition, SubscriptionState, UnpricedState, Waiting};
use farebox_record::time::Timestamp;

use super::change::{Change, Changed, Revised, Subscribed, What};

/// What a wallet's record is news of, in order.
pub fn changes_of(record: &Record) -> Vec<Change> {
    let mut news: Vec<What> = of_command(record).into_iter().collect();
    news.extend(repriced(record));
    let effects = &record.outcome.effects;
    for (at, effect) in effects.iter().enumerate() {
        news.extend(of_effect(record, effect, &effects[at + 1..]));
    }
    news.extend(breakage(record));
    news.extend(debt(record));
    let change = |what| Change {
        customer: Some(record.customer.clone()),
        sequence: record.sequence,
        at: record.at,
        what,
    };
    news.into_iter().map(change).collect()
}

/// What a control plane's record is news of, in order.
pub fn control_changes_of(record: &ControlRecord) -> Vec<Change> {
    let news = match (record.command.timeline(), &record.command) {
        (Some((plan, change)), _) => put_on_timeline(record).map(|(revision, effective)| {
            let revised = Revised {
                plan: plan.clone(),
                revision,
                effective,
            };
            match change {
                TimelineChange::Activate { .. } => What::RevisionActivated(revised),
                TimelineChange::Rollback { .. } => What::RevisionRolledBack(revised),
            }
        }),
        (
            None,
            ControlCommand::Quarantine {
                plan,
                revision,
                reason,
            },
        ) => Some(What::RevisionQuarantined {
            plan: plan.clone(),
            revision: *revision,
            reason: reason.clone(),
        }),
        (None, _) => None,
    };
    let change = |what| Change {
        customer: None,
        sequence: record.sequence,
        at: record.at,
        what,
    };
    news.into_iter().map(change).collect()
}

/// The newest activation of the timeline that the record changed.
fn put_on_timeline(
    record: &ControlRecord,
) -> Option<(farebox_record::ids::RevisionHash, farebox_record::time::Timestamp)> {
    record.effects.iter().find_map(|effect| match effect {
        ControlEffect::PlanPut(_, plan) => plan.timeline.last().map(|a| (a.revision, a.effective)),
        _ => None,
    })
}

fn of_command(record: &Record) -> Option<What> {
    match (&record.command, &record.outcome.answer) {
        (Command::Authorize(authorize), Answer::Denied(why)) => Some(denied(
            authorize.event.reference(),
            Some(authorize.event.event_type.clone()),
            why,
        )),
        (Command::Extend(extend), Answer::Denied(why)) => Some(denied(extend.hold.clone(), None, why)),
        (Command::RateUnpriced(rate), Answer::Charged { charges, .. }) => Some(What::UsageRated {
            event: rate.event.reference(),
            event_type: rate.event.event_type.clone(),
            charges: charges.clone(),
        }),
        (command @ (Command::RetryTransition(_) | Command::RetryChange(_)), answer) => {
            let (_, missed) = command.retried()?;
            Some(What::TransitionAnswered {
                subscription: subscription_of(&missed.due)?.clone(),
                due: missed.due.instant,
                charges: match answer {
                    Answer::Charged { charges, .. } => charges.clone(),
                    _ => Vec::new(),
                },
            })
        }
        (Command::Subscribe(subscribe), Answer::Subscribed { .. }) => {
            let state = last_put(record, &subscribe.id)?;
            Some(What::SubscriptionStarted(subscribed(&subscribe.id, state)))
        }
        (Command::ChangeSubscription(asked), Answer::SubscriptionChanged(changed)) => {
            // What happens above a hold is neither seats, plan nor status, and puts no subscription.
            let now = subscribed(&asked.subscription, last_put(record, &asked.subscription)?);
            Some(What::SubscriptionChanged(Changed {
                now,
                status: changed.status,
                effective: changed.effective,
            }))
        }
        (command, Answer::Corrected(corrected)) => Some(went_back(command, corrected)),
        (command, Answer::Refolded(refolded)) => Some(went_back(command, &refolded.corrected)),
        (
            Command::Due(Due {
                item: DueItem::Renewal(id),
                instant,
            }),
            _,
        ) => Some(period_ended(id, last_put(record, id)?, *instant)),
        _ => None,
    }
}

/// A subscription goes on, or its end or its pause begins, or it is paused still: nothing is renewed then.
fn period_ended(id: &SubscriptionId, state: &SubscriptionState, instant: Timestamp) -> What {
    let now = subscribed(id, state);
    match state.status {
        SubscriptionStatus::Active => What::SubscriptionRenewed(now),
        status @ (SubscriptionStatus::Paused(_) | SubscriptionStatus::Cancelled(_)) => {
            What::SubscriptionChanged(Changed {
                now,
                status,
                effective: instant,
            })
        }
    }
}

fn went_back(command: &Command, corrected: &Corrected) -> What {
    What::Corrected {
        event: corrected_event(command),
        reversed: corrected.reversed.clone(),
        charges: corrected.charges.clone(),
    }
}

/// Events that cost something else behind a corrected one.
fn repriced(record: &Record) -> impl Iterator<Item = What> {
    let (events, behind) = match &record.outcome.answer {
        Answer::Refolded(refolded) => (&refolded.repriced[..], corrected_event(&record.command)),
        _ => (&[][..], None),
    };
    events.iter().filter_map(move |repriced| {
        Some(What::Repriced {
            behind: behind.clone()?,
            repriced: repriced.clone(),
        })
    })
}

/// One arm for each effect that is news by itself. `behind` are the effects of the record that follow on it.
fn of_effect(record: &Record, effect: &Effect, behind: &[Effect]) -> Option<What> {
    match effect {
        // A portion is of a grant that was received before.
        Effect::GrantOpened(_, state) if state.portion_of.is_some() => None,
        Effect::GrantOpened(grant, state) => Some(What::GrantReceived {
            grant: grant.clone(),
            asset: state.asset.clone(),
            amount: state.amount,
            category: state.category,
            effective: state.effective,
            expires: state.expires,
            subscription: state.subscription.clone(),
        }),
        Effect::GrantExpired(grant) => {
            let posted = expired_with(grant, behind);
            Some(What::GrantExpired {
                grant: grant.clone(),
                asset: posted.map(|entry| entry.asset.clone()),
                breakage: posted.map_or(Nanos::ZERO, |entry| entry.amount),
            })
        }
        Effect::HoldEnded(event, HoldEnd::Expired) => Some(What::HoldExpired {
            event: event.clone(),
            returned: match &record.outcome.answer {
                Answer::HoldEnded { returned, .. } => returned.clone(),
                _ => Vec::new(),
            },
        }),
        Effect::UnpricedKept(kept) => Some(match &kept.what {
            Waiting::Event(event) => What::UsageUnpriced {
                event: event.reference(),
                event_type: event.event_type.clone(),
                reason: kept.reason.clone(),
            },
            Waiting::Transition(missed) => unanswered(missed, kept)?,
            Waiting::Change(missed) => unanswered(&missed.transition, kept)?,
        }),
        Effect::ThresholdCrossed(crossed) => Some(What::ThresholdCrossed((**crossed).clone())),
        _ => None,
    }
}

fn unanswered(missed: &MissedTransition, kept: &UnpricedState) -> Option<What> {
    Some(What::TransitionUnanswered {
        subscription: subscription_of(&missed.due)?.clone(),
        due: missed.due.instant,
        reason: kept.reason.clone(),
    })
}

fn corrected_event(command: &Command) -> Option<EventRef> {
    match command {
        Command::Void(void) => Some(void.event.clone()),
        Command::Amend(amend) => Some(amend.event.reference()),
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Event { event, .. } => Some(event.clone()),
            RefundTarget::Grant { .. } => None,
        },
        _ => None,
    }
}

fn subscription_of(due: &Due) -> Option<&SubscriptionId> {
    match &due.item {
        DueItem::Renewal(id) | DueItem::Timer { subscription: id, .. } => Some(id),
        DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => None,
    }
}

fn denied(event: EventRef, event_type: Option<farebox_record::ids::EventType>, why: &Denied) -> What {
    What::Denied {
        event,
        event_type,
        reason: why.reason.clone(),
        asset: why.asset.clone(),
        required: why.required,
        available: why.available,
    }
}

fn subscribed(id: &SubscriptionId, state: &SubscriptionState) -> Subscribed {
    Subscribed {
        subscription: id.clone(),
        plan: state.plan.clone(),
        period: state.period,
        seats: state.seats,
    }
}

fn last_put<'r>(record: &'r Record, id: &SubscriptionId) -> Option<&'r SubscriptionState> {
    record
        .outcome
        .effects
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::SubscriptionPut(put, state) if put == id => Some(&**state),
            _ => None,
        })
}

/// The breakage that goes with a grant's expiry: the ledger posts both sides right behind it.
fn expired_with<'e>(grant: &GrantId, behind: &'e [Effect]) -> Option<&'e Entry> {
    match behind {
        [Effect::Entry(from), Effect::Entry(to), ..] => {
            let pair = from.account == Account::Available(grant.clone()) && to.account == Account::Breakage;
            pair.then_some(to)
        }
        _ => None,
    }
}

/// Value of expired grants that came back from a hold.
fn breakage(record: &Record) -> Vec<What> {
    let pairs = record.outcome.effects.windows(2);
    pairs
        .filter_map(|pair| match pair {
            [Effect::Entry(from), Effect::Entry(to)] if to.account == Account::Breakage => {
                let Account::Held(grant) = &from.account else {
                    return None;
                };
                Some(What::BreakagePosted {
                    grant: grant.clone(),
                    asset: to.asset.clone(),
                    amount: to.amount,
                })
            }
            _ => None,
        })
        .collect()
}

/// What the record did to the customer's debt, asset by asset: what usage made of it or took back, then what was paid.
fn debt(record: &Record) -> Vec<What> {
    // What usage makes, or shows not to be owed, belongs to a charge; what is written off was not owed either.
    let is_written_off = matches!(record.command, Command::Adjust(_));
    let mut moved: BTreeMap<&Asset, (i128, i128)> = BTreeMap::new();
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect
            && entry.account == Account::Debt
        {
            let (owed, paid) = moved.entry(&entry.asset).or_default();
            match entry.charge.is_some() || is_written_off {
                true => *owed += entry.amount.get(),
                false => *paid += entry.amount.get(),
            }
        }
    }
    let mut told = Vec::new();
    for (asset, (owed, paid)) in moved {
        let (asset, amount) = (asset.clone(), Nanos::new(owed.abs()));
        match owed {
            0 => {}
            ..0 => told.push(What::DebtIncurred {
                asset: asset.clone(),
                amount,
            }),
            1.. => told.push(What::DebtCancelled {
                asset: asset.clone(),
                amount,
            }),
        }
        if paid != 0 {
            let amount = Nanos::new(paid);
            told.push(What::DebtPaid { asset, amount });
        }
    }
    told
}

#[cfg(test)]
#[path = "changes_of_tests.rs"]
mod tests;
