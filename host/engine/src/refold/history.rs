//! Reads a wallet's history backwards, to the state that stood before the corrected event.

use std::collections::{BTreeMap, BTreeSet};

use farebox_record::correction::{Consequence, TakenSlice};
use farebox_record::event::Event;
use farebox_record::ids::{RevisionHash, SubscriptionId};
use farebox_record::outcome::{Effect, Verdict};
use farebox_record::plan::{Charge, EventRef};
use farebox_record::record::Record;
use farebox_record::time::{Period, Timestamp};
use farebox_store::{Store, StoreError, WalletKey};

use super::state;
use super::step::{Correction, Orders, Past, Step, ended_unanswered, refolded, step_of};
use crate::limits::REFOLD_RECORDS_MAX;

/// Records that are read at once.
const HISTORY_PAGE: usize = 1_000;

/// Which part of whose history is read.
pub(super) struct Place<'p> {
    pub store: &'p dyn Store,
    pub wallet: &'p WalletKey,
    pub subscription: &'p SubscriptionId,
    /// Number of the subscription's term behind the newest record that is read.
    pub open_term: u32,
    /// Records from this sequence on are not read.
    pub before: u64,
}

/// What happened in the corrected event's term, from that event on.
pub(super) struct Term {
    pub number: u32,
    /// Sequence of the record whose state stands before all steps.
    pub checkpoint: u64,
    /// The plan's state before them.
    pub state: PlanState,
    /// In the order in which they happened.
    pub steps: Vec<Step>,
}

/// A plan's state at some place in the history.
#[derive(Clone)]
pub(super) struct PlanState {
    pub bytes: Vec<u8>,
    pub version: u32,
    pub revision: RevisionHash,
}

/// What happened in a term behind some record; or a correction did, so that it must be read from the start.
pub(super) enum Since {
    Steps(Vec<Step>),
    Corrected,
}

impl Place<'_> {
    /// The term of an event, from the event on; an error says why it cannot be had.
    pub fn term_of(&self, event: &EventRef) -> Result<Result<Term, String>, StoreError> {
        let mut reading = Reading::new(self.subscription, self.open_term, event.clone());
        let mut found = None;
        let whole = self.each(self.before, |record| {
            found = reading.take(record);
            found.is_none()
        })?;
        Ok(match (found, whole) {
            (Some((checkpoint, state)), _) => Ok(reading.term(checkpoint, state)),
            (None, Whole::Yes) if reading.apart => Err(
                "its plan had no answer when the call ended, so the event has no place among the others; refund it instead"
                    .to_string(),
            ),
            (None, Whole::Yes) => {
                Err("the wallet's history does not tell how the event was priced".to_string())
            }
            (None, Whole::No) => Err(format!(
                "more than {REFOLD_RECORDS_MAX} records came since (limit REFOLD_RECORDS_MAX); put the balance right with an \
                 adjustment"
            )),
        })
    }

    /// What happened in `term` behind the record `after`.
    pub fn since(&self, term: u32, after: u64) -> Result<Since, StoreError> {
        if self.open_term < term {
            return Ok(Since::Corrected);
        }
        let (mut steps, mut is_plain) = (Vec::new(), true);
        let here = self.open_term;
        let whole = self.each(self.before, |record| {
            if record.sequence <= after {
                return false;
            }
            is_plain &= Correction::of(record, self.subscription).is_none();
            is_plain &= begun_term(record, self.subscription).is_none();
            match step_of(record, self.subscription) {
                Some((Step::Event(past), closed)) if closed.unwrap_or(here) == term => {
                    steps.push(Step::Event(past))
                }
                // What a change was told depends on what was before; it is rare enough to begin again.
                Some((Step::Told(_), _)) => is_plain = false,
                _ => {}
            }
            is_plain
        })?;
        steps.reverse();
        Ok(match is_plain && whole == Whole::Yes {
            true => Since::Steps(steps),
            false => Since::Corrected,
        })
    }

    /// Visits records, the newest first, until told to stop.
    fn each(&self, before: u64, mut visit: impl FnMut(&Record) -> bool) -> Result<Whole, StoreError> {
        let mut before = Some(before);
        let mut read = 0;
        loop {
            let page = self.store.history(self.wallet, before, HISTORY_PAGE)?;
            let Some(oldest) = page.last() else {
                return Ok(Whole::Yes);
            };
            before = Some(oldest.sequence);
            for stored in &page {
                let record = Record::decode(&stored.body).map_err(|e| state(self.wallet, &e.to_string()))?;
                read += 1;
                if !visit(&record) {
                    return Ok(Whole::Yes);
                }
                if read == REFOLD_RECORDS_MAX {
                    return Ok(Whole::No);
                }
            }
        }
    }
}

/// Whether everything was read that had to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// What was said last of an event, while reading backwards.
#[derive(Default)]
struct Latest {
    /// How it is priced now, where that is not what its own record says.
    priced: Option<Anew>,
    /// What refunds gave back of it since it was last replaced.
    refunded: Vec<TakenSlice>,
    voided: bool,
    /// It was replaced: what older records say of its money is over.
    replaced: bool,
}

/// How an event was priced anew.
struct Anew {
    charges: Vec<Charge>,
    /// Where it was replaced: by what.
    replacement: Option<Replaced>,
}

struct Replaced {
    event: Event,
    time: Timestamp,
    revision: RevisionHash,
    period: Period,
    seats: u32,
    orders: Orders,
}

/// A history on its way backwards.
struct Reading<'r> {
    subscription: &'r SubscriptionId,
    event: EventRef,
    /// The term that was open behind the record that is read next.
    here: u32,
    /// The corrected event's term, once its record was met.
    number: Option<u32>,
    /// Events that must be met before the state of any record counts: the corrected one, and all that were corrected after
    /// that record was made.
    pending: BTreeSet<EventRef>,
    latest: BTreeMap<EventRef, Latest>,
    /// Whether the corrected event is a call that was settled in part and that ended without an answer of its plan: it is
    /// charged, and no state knows of it.
    apart: bool,
    /// Newest first, each with its term.
    steps: Vec<(u32, Step)>,
}

impl<'r> Reading<'r> {
    fn new(subscription: &'r SubscriptionId, here: u32, event: EventRef) -> Reading<'r> {
        Reading {
            subscription,
            pending: BTreeSet::from([event.clone()]),
            event,
            here,
            number: None,
            latest: BTreeMap::new(),
            apart: false,
            steps: Vec::new(),
        }
    }

    /// Takes a record in. With the state behind it, once that is the state before all that is to be folded.
    fn take(&mut self, record: &Record) -> Option<(u64, PlanState)> {
        self.fill_seats(record);
        if let (Some(number), true) = (self.number, self.pending.is_empty())
            && let Some(state) = state_behind(record, self.subscription, number)
        {
            return Some((record.sequence, state));
        }
        if let Some((_, event)) = refolded(record, self.subscription).filter(|(term, _)| self.may_be(*term)) {
            self.pending.insert(event);
        }
        self.note_correction(record);
        self.apart |= ended_unanswered(record).is_some_and(|event| *event == self.event);
        let begun = begun_term(record, self.subscription);
        if let Some((step, closed)) = step_of(record, self.subscription)
            && begun.is_none()
        {
            let term = closed.unwrap_or(self.here);
            if let Step::Event(past) = &step {
                let event = past.event.reference();
                if event == self.event {
                    self.number = Some(term);
                    self.pending.retain(|other| *other != event);
                } else {
                    self.pending.remove(&event);
                }
            }
            self.steps.push((term, step));
        }
        if let Some(term) = begun {
            self.here = term.saturating_sub(1);
        }
        None
    }

    /// Whether a term that was folded may be the corrected event's.
    fn may_be(&self, term: u32) -> bool {
        self.number.is_none_or(|number| number == term)
    }

    fn note_correction(&mut self, record: &Record) {
        match Correction::of(record, self.subscription) {
            Some(Correction::Voided(event)) => self.latest.entry(event.clone()).or_default().voided = true,
            Some(Correction::Amended(event, pricing)) => {
                let Verdict::Priced(priced) = &pricing.verdict else {
                    return;
                };
                let latest = self.latest.entry(event.reference()).or_default();
                let replacement = Replaced {
                    event: event.clone(),
                    time: record.seen.time,
                    revision: pricing.revision,
                    period: pricing.period,
                    seats: pricing.seats,
                    orders: Orders::of(priced),
                };
                if !latest.replaced {
                    let charges = latest
                        .priced
                        .take()
                        .map_or(priced.charges.clone(), |anew| anew.charges);
                    latest.priced = Some(Anew {
                        charges,
                        replacement: Some(replacement),
                    });
                    latest.replaced = true;
                }
            }
            Some(Correction::Refunded(event, back)) => {
                let latest = self.latest.entry(event).or_default();
                if !latest.replaced {
                    latest.refunded.extend(back);
                }
            }
            None => {}
        }
        if let Some(Consequence::Refolded(refold)) = record.seen.consequence.as_deref()
            && refold.subscription == *self.subscription
        {
            for repriced in &refold.repriced {
                let latest = self
                    .latest
                    .entry(repriced.standing.event.reference())
                    .or_default();
                if latest.priced.is_none() {
                    latest.priced = Some(Anew {
                        charges: repriced.charges.clone(),
                        replacement: None,
                    });
                }
            }
        }
    }

    /// The newest older record that tells a subscription's seats tells how many there were before a change of them.
    fn fill_seats(&mut self, record: &Record) {
        let Some(seats) = seats_behind(record, self.subscription) else {
            return;
        };
        for (_, step) in self.steps.iter_mut().rev() {
            if let Step::Told(told) = step {
                told.seats_before(seats);
            }
        }
    }

    fn term(self, checkpoint: u64, state: PlanState) -> Term {
        let number = self.number.unwrap_or_default();
        let mut latest = self.latest;
        let steps = self.steps.into_iter().rev().filter(|(term, _)| *term == number);
        let steps = steps.map(|(_, step)| match step {
            Step::Event(past) => {
                let said = latest.remove(&past.event.reference());
                Step::Event(Box::new(as_it_counts(*past, said)))
            }
            told => told,
        });
        Term {
            number,
            checkpoint,
            state,
            steps: steps.collect(),
        }
    }
}

/// An event with what was said of it later.
fn as_it_counts(mut past: Past, said: Option<Latest>) -> Past {
    let Some(said) = said else { return past };
    past.counts = !said.voided;
    past.refunded = said.refunded;
    if let Some(anew) = said.priced {
        past.charges = anew.charges;
        if let Some(replaced) = anew.replacement {
            past.event = replaced.event;
            past.time = replaced.time;
            past.revision = replaced.revision;
            past.period = replaced.period;
            past.seats = replaced.seats;
            past.orders = replaced.orders;
        }
    }
    past
}

/// The plan's state of a term behind a record, where the record says it.
fn state_behind(record: &Record, subscription: &SubscriptionId, term: u32) -> Option<PlanState> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::SubscriptionPut(id, state) if id == subscription && state.term == term => Some(PlanState {
            bytes: state.state.clone(),
            version: state.state_version,
            revision: state.revision,
        }),
        Effect::TermPut(id, state) if id == subscription && state.number == term => Some(PlanState {
            bytes: state.state.clone(),
            version: state.state_version,
            revision: state.revision,
        }),
        _ => None,
    })
}

/// The term that a record began.
fn begun_term(record: &Record, subscription: &SubscriptionId) -> Option<u32> {
    let mut effects = record.outcome.effects.iter();
    effects.find_map(|effect| match effect {
        Effect::SubscriptionPut(id, state) if id == subscription && state.opened == record.sequence => {
            Some(state.term)
        }
        _ => None,
    })
}

fn seats_behind(record: &Record, subscription: &SubscriptionId) -> Option<u32> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::SubscriptionPut(id, state) if id == subscription => Some(state.seats),
        _ => None,
    })
}
