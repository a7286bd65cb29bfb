//! What the plan of outcomes must charge, worked out by hand: a claim counts when its deadline passes, or when somebody confirms
//! it; an objection ends the wait, and brings back what was charged less than three days before. What a deadline charges is
//! charged for the event that set it, and comes back with it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::event::Event;
use farebox_record::outcome::Answer;
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::time::{Span, Timestamp};

use crate::history::{History, revenue, standings};

/// For how long an objection to a claim is waited for.
const WAIT: Span = Span::seconds(3_600);
/// For how long what was charged comes back.
const REVERSAL: Span = Span::days(3);

/// What is known of a conversation.
#[derive(Debug, Clone, Default)]
struct Talk {
    /// What waits: the event that claimed it, and the kind of the outcome.
    claim: Option<(EventRef, String)>,
    counted: Vec<Counted>,
}

/// An outcome that counted.
#[derive(Debug, Clone)]
struct Counted {
    event: EventRef,
    amount: i128,
    at: Timestamp,
    /// The objection that brought it back, and when.
    reopened: Option<(EventRef, Timestamp)>,
}

impl Talk {
    /// What can be brought back no more does not matter.
    fn forget(&mut self, now: Timestamp) {
        let changed = |counted: &Counted| counted.reopened.as_ref().map_or(counted.at, |(_, at)| *at);
        self.counted
            .retain(|counted| now < changed(counted).saturating_add(REVERSAL));
    }

    fn stands(&self) -> bool {
        self.counted.iter().any(|counted| counted.reopened.is_none())
    }
}

#[derive(Debug, Default)]
struct Ledger {
    talks: BTreeMap<String, Talk>,
    /// When each conversation's deadline passes, and the event that set it.
    deadlines: BTreeMap<String, (Timestamp, EventRef)>,
    /// What each event that was priced stands with, and its conversation.
    events: BTreeMap<EventRef, (i128, String)>,
    /// Objections, and what each brought back of which event.
    back: BTreeMap<EventRef, Vec<(EventRef, i128)>>,
    voided: BTreeSet<EventRef>,
    /// Times that something was charged or given back.
    moves: u64,
}

/// Works all of a history out, and compares each record with it. Tells how often something was charged or given back.
///
/// # Errors
/// The first record that charges something else, or for another event.
pub fn check(history: &History) -> anyhow::Result<u64> {
    let mut ledger = Ledger::default();
    for record in &history.records {
        let named = || format!("record {}: {:?}", record.sequence, record.command);
        ledger.enter(record).with_context(named)?;
    }
    Ok(ledger.moves)
}

impl Ledger {
    fn enter(&mut self, record: &Record) -> anyhow::Result<()> {
        let before = self.total();
        match (&record.command, &record.outcome.answer) {
            (Command::Usage(event), Answer::Charged { .. }) => self.price(event, record.seen.time)?,
            (Command::RateUnpriced(rate), Answer::Charged { .. }) => {
                self.price(&rate.event, record.seen.time)?;
            }
            (Command::Void(void), Answer::Corrected(_)) => self.void(&void.event),
            (Command::Due(due), _) => self.due(due)?,
            _ => {}
        }
        let moved = self.total() - before;
        let posted: i128 = record.outcome.effects.iter().map(revenue).sum();
        ensure!(posted == moved, "it posts {posted} nanos, and should {moved}");
        for (event, standing) in standings(record) {
            let stands: i128 = standing.slices.iter().map(|slice| slice.amount.get()).sum();
            let expected = self.events.get(event).map_or(0, |(amount, _)| *amount);
            ensure!(
                stands == expected,
                "{event:?} stands with {stands} nanos, and should with {expected}"
            );
        }
        self.moves += u64::from(moved != 0);
        Ok(())
    }

    /// What all events stand with.
    fn total(&self) -> i128 {
        self.events.values().map(|(amount, _)| amount).sum()
    }

    fn price(&mut self, event: &Event, at: Timestamp) -> anyhow::Result<()> {
        let name = event.reference();
        let talk = event.attributes.get("conversation").context("about nothing")?;
        let talk = &talk.to_string();
        let kind = event.attributes.get("outcome").map(|kind| kind.to_string());
        self.events.insert(name.clone(), (0, talk.clone()));
        let known = self.talks.entry(talk.clone()).or_default();
        match event.event_type.as_str() {
            "outcome.claimed" => {
                let kind = kind.context("a claim of nothing")?;
                let mut left = known.clone();
                left.forget(at);
                if !left.stands() {
                    left.claim = Some((name.clone(), kind));
                    *known = left;
                    self.deadlines
                        .insert(talk.clone(), (at.saturating_add(WAIT), name));
                }
            }
            "outcome.confirmed" => {
                let mut left = known.clone();
                left.forget(at);
                let claimed = left.claim.take().map(|(_, claimed)| claimed);
                if let (Some(kind), false) = (kind.or(claimed), left.stands()) {
                    *known = left;
                    self.deadlines.remove(talk);
                    self.charge(talk, name, &kind, at);
                }
            }
            "outcome.objected" => {
                self.deadlines.remove(talk);
                known.forget(at);
                known.claim = None;
                let mut back = Vec::new();
                for counted in known
                    .counted
                    .iter_mut()
                    .filter(|counted| counted.reopened.is_none())
                {
                    counted.reopened = Some((name.clone(), at));
                    back.push((counted.event.clone(), counted.amount));
                }
                for (charged, amount) in &back {
                    self.add(charged, -amount);
                }
                self.back.insert(name, back);
            }
            other => anyhow::bail!("{other} has a price"),
        }
        Ok(())
    }

    fn due(&mut self, due: &Due) -> anyhow::Result<()> {
        let DueItem::Timer {
            about: Some(about), ..
        } = &due.item
        else {
            return Ok(());
        };
        let talk = &about.subject;
        let (until, event) = self.deadlines.remove(talk).context("nobody waits")?;
        ensure!(
            (until, Some(&event)) == (due.instant, about.event.as_ref()),
            "the deadline is {until}, set by {event:?}"
        );
        let Some(known) = self.talks.get_mut(talk) else {
            return Ok(());
        };
        if let Some((claimed, kind)) = known.claim.take() {
            ensure!(claimed == event, "it was claimed by {claimed:?}");
            known.forget(until);
            self.charge(talk, event, &kind, until);
        }
        Ok(())
    }

    fn charge(&mut self, talk: &str, event: EventRef, kind: &str, at: Timestamp) {
        let amount = match kind {
            "resolution" => 1_000_000_000,
            _ => 500_000_000,
        };
        self.add(&event, amount);
        let known = self.talks.entry(talk.to_string()).or_default();
        known.counted.push(Counted {
            event,
            amount,
            at,
            reopened: None,
        });
    }

    /// It never happened: what it was charged comes back, and what it brought back of others is theirs again.
    fn void(&mut self, event: &EventRef) {
        self.voided.insert(event.clone());
        let Some((amount, talk)) = self.events.get_mut(event) else {
            return; // it waited for a price
        };
        *amount = 0;
        if let Some(known) = self.talks.get_mut(talk) {
            let claims = |claim: &(EventRef, String)| claim.0 == *event;
            known.claim.take_if(|claim| claims(claim));
            known.counted.retain(|counted| counted.event != *event);
            for counted in &mut known.counted {
                if counted
                    .reopened
                    .take_if(|(objection, _)| objection == event)
                    .is_some()
                {
                    // What waits would count a second time.
                    known.claim = None;
                }
            }
        }
        for (charged, amount) in self.back.remove(event).unwrap_or_default() {
            if !self.voided.contains(&charged) {
                self.add(&charged, amount);
            }
        }
    }

    fn add(&mut self, event: &EventRef, amount: i128) {
        if let Some((stands, _)) = self.events.get_mut(event) {
            *stands += amount;
        }
    }
}
