//! What a record means to a fold: an event that was priced, a change that the plan was told of, or a correction.

use farebox_ledger::{refunded_of, standing_of};
use farebox_record::command::{Command, DueItem};
use farebox_record::correction::{Consequence, Standing, StandingStatus, TakenSlice};
use farebox_record::event::Event;
use farebox_record::ids::{RevisionHash, SubscriptionId};
use farebox_record::lifecycle::SubscriptionChange;
use farebox_record::outcome::{Effect, Pricing, Verdict};
use farebox_record::plan::{Charge, EventRef, GrantOrder, Priced, TimerOrder};
use farebox_record::record::Record;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Change, Proration};

use crate::lane::{told_then, wanted};

/// Something that moved a plan's state, in the order in which it did.
pub(super) enum Step {
    /// An event that was priced.
    Event(Box<Past>),
    /// The plan was told of a change of its subscription.
    Told(Box<Told>),
}

/// An event as it counts now.
pub(super) struct Past {
    pub event: Event,
    /// When it happened, as far as pricing goes.
    pub time: Timestamp,
    pub revision: RevisionHash,
    pub period: Period,
    pub seats: u32,
    /// What its plan said last that it costs.
    pub charges: Vec<Charge>,
    /// What its plan ordered with it.
    pub orders: Orders,
    /// What refunds gave back of it.
    pub refunded: Vec<TakenSlice>,
    /// Whether it counts: false once it was voided.
    pub counts: bool,
}

/// What a plan orders besides charges.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Orders {
    pub grants: Vec<GrantOrder>,
    pub timers: Vec<TimerOrder>,
}

impl Orders {
    pub fn of(priced: &Priced) -> Orders {
        Orders {
            grants: priced.grants.clone(),
            timers: priced.timers.clone(),
        }
    }
}

/// A change of a subscription within a term.
pub(super) struct Told {
    /// What the plan was told.
    pub said: Said,
    pub at: Timestamp,
    pub revision: RevisionHash,
    pub period: Period,
    pub seats: u32,
    /// The state that it left behind; none where it changed nothing.
    pub state: Option<Vec<u8>>,
    pub state_version: u32,
}

/// What a plan was told.
pub(super) enum Said {
    /// This, and it can be told again.
    Change(Change),
    /// A change of seats, once it is known how many there were before.
    Seats { after: u32, proration: Proration },
    /// Something that depends on what the wallet held then. The state that it left behind stands, as behind a renewal.
    Wallet,
}

impl Told {
    /// Says how many seats there were before; told while the history is read backwards.
    pub fn seats_before(&mut self, before: u32) {
        if let Said::Seats { after, proration } = self.said {
            self.said = Said::Change(Change::SeatsChanged {
                before,
                after,
                proration,
            });
        }
    }
}

/// A correction that a record made.
pub(super) enum Correction<'r> {
    /// An event was taken back.
    Voided(&'r EventRef),
    /// An event was replaced, by what was priced so.
    Amended(&'r Event, &'r Pricing),
    /// An event's money was given back in part.
    Refunded(EventRef, Vec<TakenSlice>),
}

impl<'r> Correction<'r> {
    /// The correction of an event of this subscription; none where the record makes none.
    pub fn of(record: &'r Record, subscription: &SubscriptionId) -> Option<Correction<'r>> {
        let standing = &record.seen.original.as_deref()?.standing;
        let ours = standing
            .priced
            .as_ref()
            .is_some_and(|by| by.subscription == *subscription);
        match &record.command {
            Command::Void(void) if ours => Some(Correction::Voided(&void.event)),
            Command::Amend(amend) if ours => {
                let pricing = record.seen.pricing.as_ref()?;
                Some(Correction::Amended(&amend.event, pricing))
            }
            Command::Refund(_) if ours => {
                let (event, back) = refunded_of(record)?;
                Some(Correction::Refunded(event, back))
            }
            _ => None,
        }
    }
}

/// Number of the term that a record folded again, with the event that it corrected.
pub(super) fn refolded(record: &Record, subscription: &SubscriptionId) -> Option<(u32, EventRef)> {
    let Some(Consequence::Refolded(refold)) = record.seen.consequence.as_deref() else {
        return None;
    };
    let standing = &record.seen.original.as_deref()?.standing;
    (refold.subscription == *subscription).then(|| (refold.term, standing.event.reference()))
}

/// The step of a subscription that a record is, and its term where that is a closed one.
pub(super) fn step_of(record: &Record, subscription: &SubscriptionId) -> Option<(Step, Option<u32>)> {
    let pricing = record.seen.pricing.as_ref()?;
    let Verdict::Priced(priced) = &pricing.verdict else {
        return None;
    };
    if pricing.subscription != *subscription {
        return None;
    }
    let closed = pricing.term.as_ref().map(|term| term.number);
    if let Some(standing) = charged(record) {
        let past = Past {
            event: standing.event,
            time: standing.time,
            revision: pricing.revision,
            period: pricing.period,
            seats: pricing.seats,
            charges: priced.charges.clone(),
            orders: Orders::of(priced),
            refunded: Vec::new(),
            counts: true,
        };
        return Some((Step::Event(Box::new(past)), closed));
    }
    let (said, at) = told(&record.command, record.seen.time)?;
    if record.command.retried().is_some() && !is_carried_out(record, subscription, priced) {
        return None;
    }
    let told = Told {
        said,
        at,
        revision: pricing.revision,
        period: pricing.period,
        seats: pricing.seats,
        state: priced.state.clone(),
        state_version: pricing.state_version,
    };
    Some((Step::Told(Box::new(told)), closed))
}

/// The call that ended with a record, settled in part, without an answer of its plan about the whole of it.
pub(super) fn ended_unanswered(record: &Record) -> Option<&EventRef> {
    let answered = record.seen.pricing.as_ref().map(|pricing| &pricing.verdict);
    let ends = matches!(record.command, Command::Release(_) | Command::Due(_));
    if !ends || matches!(answered, Some(Verdict::Priced(_))) {
        return None;
    }
    let mut effects = record.outcome.effects.iter();
    effects.find_map(|effect| match effect {
        Effect::StandingPut(event, _) => Some(event),
        _ => None,
    })
}

/// Whether the ledger took over the state that a late answer left behind: it does not where a later term had begun, or where
/// the subscription had ended or changed its plan.
fn is_carried_out(record: &Record, subscription: &SubscriptionId, priced: &Priced) -> bool {
    let mut effects = record.outcome.effects.iter().rev();
    let left = effects.find_map(|effect| match effect {
        Effect::SubscriptionPut(id, left) if id == subscription => Some(&left.state),
        _ => None,
    });
    priced.state.is_some() && left == priced.state.as_ref()
}

/// The event that a record charges for the first time, as it stood behind it.
fn charged(record: &Record) -> Option<Standing> {
    if let Command::Amend(amend) = &record.command {
        // One that waited for a price got it with its correction.
        let before = &record.seen.original.as_deref()?.standing;
        let StandingStatus::Unpriced(_) = before.status else {
            return None;
        };
        return standing_put(record, &amend.event.reference()).cloned();
    }
    standing_of(record).filter(|standing| standing.status == StandingStatus::Charged)
}

fn standing_put<'r>(record: &'r Record, event: &EventRef) -> Option<&'r Standing> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::StandingPut(name, standing) if name == event => Some(&**standing),
        _ => None,
    })
}

/// What the plan was told by a command that is about no event, and when; `at` is its own time.
fn told(command: &Command, at: Timestamp) -> Option<(Said, Timestamp)> {
    let timer = |key: &String| Said::Change(Change::Due { key: key.clone() });
    match command {
        Command::RetryChange(retry) => Some((Said::Change(told_then(&retry.missed.change)), at)),
        // It does not say what was left then.
        Command::RetryTransition(retry) => Some(match &retry.missed.due.item {
            DueItem::Timer { key, .. } => (timer(key), at),
            _ => (Said::Wallet, at),
        }),
        Command::Due(due) => match &due.item {
            DueItem::Timer { key, .. } => Some((timer(key), due.instant)),
            DueItem::Renewal(_) => Some((Said::Wallet, due.instant)),
            DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => None,
        },
        Command::ChangeSubscription(asked) => {
            let said = match &asked.change {
                SubscriptionChange::Pause => Said::Change(Change::Paused),
                SubscriptionChange::Resume => Said::Change(Change::Resumed),
                SubscriptionChange::Seats(after) => Said::Seats {
                    after: *after,
                    proration: wanted(asked.proration),
                },
                _ => Said::Wallet,
            };
            Some((said, at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use farebox_record::command::{Due, RetryChange, RetryTransition};
    use farebox_record::state::{DueChange, MissedChange, MissedTransition};

    use super::*;

    fn missed(subscription: &SubscriptionId) -> MissedTransition {
        MissedTransition {
            due: Due {
                instant: Timestamp::from_micros(1),
                item: DueItem::Renewal(subscription.clone()),
            },
            period: Period {
                start: Timestamp::from_micros(1),
                end: Timestamp::from_micros(9),
                index: 2,
            },
            seats: 3,
        }
    }

    /// Events of the new period may stand before it, so its state must be what they leave now.
    #[test]
    fn a_renewal_that_was_answered_late_is_told_again() {
        let subscription = SubscriptionId::new("s").unwrap();
        let at = Timestamp::from_micros(5);
        let again = Command::RetryChange(RetryChange {
            sequence: 7,
            missed: Box::new(MissedChange {
                transition: missed(&subscription),
                plan: "pool".parse().unwrap(),
                change: DueChange::Renewed(Vec::new()),
            }),
        });
        let Some((Said::Change(change), told_at)) = told(&again, at) else {
            panic!("it stands as it was");
        };
        let renewed = Change::Renewed {
            remaining: Vec::new(),
        };
        assert_eq!((change, told_at), (renewed, at));
        // One that was kept before what it was told was kept too.
        let old = Command::RetryTransition(RetryTransition {
            sequence: 7,
            missed: missed(&subscription),
        });
        assert!(matches!(told(&old, at), Some((Said::Wallet, _))));
    }
}
