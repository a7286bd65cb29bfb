//! What falls due, by hand: that a wallet handles everything that is overdue before anything else, in order of instant, and
//! that no record is from before the one before it or from a time that has not come.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use farebox_record::command::{Command, DueItem};
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, Effect, HoldEnd};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::state::{GrantPhase, SubjectTimer, SubscriptionState};
use farebox_record::time::{Span, Timestamp};

use crate::history::History;

/// When something falls due, and its place among others of that instant.
type Place = (Timestamp, u8);

/// For how long a call can be settled behind the end of its hold.
const GRACE: Span = Span::seconds(3_600);

/// What will fall due.
#[derive(Debug, Default)]
struct Agenda {
    holds: BTreeMap<EventRef, Timestamp>,
    /// Open calls of which parts were settled.
    parts: BTreeSet<EventRef>,
    grants: BTreeMap<GrantId, Life>,
    renewals: BTreeMap<SubscriptionId, Timestamp>,
    timers: BTreeMap<(SubscriptionId, String), Timestamp>,
    /// Those of subjects.
    subject_timers: BTreeMap<SubjectTimer, Timestamp>,
}

/// What is next in the life of a grant.
#[derive(Debug)]
struct Life {
    begins: Option<Timestamp>,
    ends: Option<Timestamp>,
}

/// Checks all of a history, and that nothing is overdue `now`.
///
/// # Errors
/// What was handled too early, too late, or never.
pub fn check(history: &History, now: Timestamp) -> anyhow::Result<()> {
    let mut agenda = Agenda::default();
    let mut before = Timestamp::from_micros(i64::MIN);
    for record in &history.records {
        let at = record.at;
        ensure!(
            before <= at && at <= now,
            "record {} is from {at}, behind one from {before}, and it is {now}",
            record.sequence
        );
        before = at;
        agenda
            .meet(record)
            .with_context(|| format!("record {}", record.sequence))?;
        for effect in &record.outcome.effects {
            agenda.fold(effect);
        }
        if let (Command::Settle(settle), Answer::Settled(settled)) = (&record.command, &record.outcome.answer)
            && !settled.ended
        {
            agenda.parts.insert(settle.hold.clone());
        }
    }
    match agenda.next() {
        Some((due, _)) if due <= now => anyhow::bail!("something fell due at {due}, and it is {now}"),
        _ => Ok(()),
    }
}

impl Agenda {
    /// A record comes: something due, which is the first that is, or something else, and then nothing is overdue.
    fn meet(&self, record: &Record) -> anyhow::Result<()> {
        let next = self.next();
        let Command::Due(due) = &record.command else {
            let overdue = next.filter(|(instant, _)| *instant <= record.at);
            ensure!(
                overdue.is_none(),
                "{overdue:?} is overdue at {}, and it is about {:?}",
                record.at,
                record.command
            );
            return Ok(());
        };
        let place = self
            .place(&due.item)
            .with_context(|| format!("{due:?} is on no agenda"))?;
        ensure!(place.0 == due.instant, "{due:?} falls due at {}", place.0);
        ensure!(
            due.instant <= record.at,
            "{due:?} was handled at {}, before its time",
            record.at
        );
        ensure!(
            next.is_none_or(|next| place <= next),
            "{due:?} was handled before {next:?}"
        );
        Ok(())
    }

    /// At one instant: holds end, timers, renewals, then grants end, then grants begin.
    fn place(&self, item: &DueItem) -> Option<Place> {
        Some(match item {
            DueItem::HoldExpiry(event) => (*self.holds.get(event)?, 0),
            DueItem::Timer {
                subscription,
                key,
                about: None,
            } => (*self.timers.get(&(subscription.clone(), key.clone()))?, 1),
            DueItem::Timer {
                subscription,
                key,
                about: Some(about),
            } => {
                let timer = SubjectTimer {
                    subscription: subscription.clone(),
                    key: key.clone(),
                    subject: about.subject.clone(),
                };
                (*self.subject_timers.get(&timer)?, 1)
            }
            DueItem::Renewal(subscription) => (*self.renewals.get(subscription)?, 2),
            DueItem::GrantExpiry(grant) => self.grants.get(grant)?.ends()?,
            DueItem::GrantEffective(grant) => self.grants.get(grant)?.begins()?,
        })
    }

    fn next(&self) -> Option<Place> {
        let holds = self.holds.values().map(|at| (*at, 0));
        let timers = self.timers.values().chain(self.subject_timers.values());
        let timers = timers.map(|at| (*at, 1));
        let renewals = self.renewals.values().map(|at| (*at, 2));
        let ends = self.grants.values().filter_map(Life::ends);
        let begins = self.grants.values().filter_map(Life::begins);
        holds
            .chain(timers)
            .chain(renewals)
            .chain(ends)
            .chain(begins)
            .min()
    }

    fn fold(&mut self, effect: &Effect) {
        match effect {
            Effect::HoldPut(event, hold) if hold.expired.is_none() => {
                self.holds.insert(event.clone(), hold.expires);
            }
            // Parts were settled and nobody said the last word: that falls due once more, when nobody can.
            Effect::HoldEnded(event, HoldEnd::Expired) if self.parts.contains(event) => {
                if let Some(expires) = self.holds.get_mut(event) {
                    *expires = expires.saturating_add(GRACE);
                }
            }
            Effect::HoldEnded(event, _) | Effect::HoldForgotten(event) => {
                self.holds.remove(event);
                self.parts.remove(event);
            }
            Effect::GrantOpened(id, state) | Effect::GrantReopened(id, state) => {
                let life = Life {
                    begins: (state.phase == GrantPhase::Waiting).then_some(state.effective),
                    ends: state.expires,
                };
                self.grants.insert(id.clone(), life);
            }
            Effect::GrantActivated(id) => {
                if let Some(life) = self.grants.get_mut(id) {
                    life.begins = None;
                }
            }
            Effect::GrantExpired(id) | Effect::GrantEnded(id) => drop(self.grants.remove(id)),
            Effect::SubscriptionPut(id, state) => self.subscription(id, state),
            Effect::SubjectTimerPut(timer, Some(state)) => {
                self.subject_timers.insert((**timer).clone(), state.at);
            }
            Effect::SubjectTimerPut(timer, None) => drop(self.subject_timers.remove(timer)),
            _ => {}
        }
    }

    fn subscription(&mut self, id: &SubscriptionId, state: &SubscriptionState) {
        self.renewals.remove(id);
        self.timers.retain(|(whose, _), _| whose != id);
        if matches!(state.status, SubscriptionStatus::Cancelled(_)) {
            return;
        }
        self.renewals.insert(id.clone(), state.period.end);
        for (key, at) in &state.timers {
            self.timers.insert((id.clone(), key.clone()), *at);
        }
    }
}

impl Life {
    fn begins(&self) -> Option<Place> {
        self.begins.map(|at| (at, 4))
    }

    /// One that has not begun ends when it has.
    fn ends(&self) -> Option<Place> {
        match self.begins {
            None => self.ends.map(|at| (at, 3)),
            Some(_) => None,
        }
    }
}
