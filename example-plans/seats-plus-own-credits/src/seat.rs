//! What is known of a seat, and when it gets its credits.

use farebox_plan::{Asset, EventRef, Grant, Instant, Memory, Nanos, Outcome, Period, Rejection};
use serde::{Deserialize, Serialize};

use crate::SeatsPlusOwnCredits;

/// The timer by which a seat gets the credits of the next period.
pub(crate) const CREDITS: &str = "credits";
/// The attribute of an event that says whose it is.
const ATTRIBUTE: &str = "seat";
/// How statements name the credits. What is named so is reserved, and never becomes part of a pool ([`hybrid`]).
const LABEL: &str = "Reserved credits: own seat";
/// After so many days a seat is looked at, however long its period is: the host forgets it after 400.
const LOOK_AFTER_DAYS: i64 = 300;
/// So much longer than to its next look a seat is remembered, should that be late.
const SPARE_DAYS: i64 = 60;

/// What is remembered of a subscription.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Which period was paid last.
    pub(crate) terms: hybrid::State,
    /// Since when it is paid, in microseconds since 1970: the plan may have begun, or a pause have ended, in its middle.
    since: i64,
    /// How many shares of a seat were paid in it, and how many of those were given to seats.
    paid: u32,
    given: u32,
    /// Since when the plan serves the subscription: seats are named anew to each.
    serves: i64,
    /// How many seats are somebody's.
    assigned: u32,
}

impl State {
    /// The plan begins to serve the subscription.
    pub(crate) fn serve(&mut self, now: Instant) {
        self.serves = now.micros();
        self.assigned = 0;
    }

    /// So many seats are paid for what is left of a period.
    pub(crate) fn begin(&mut self, seats: u32, since: Instant) {
        self.since = since.micros();
        self.paid = seats;
        self.given = 0;
    }

    /// More seats are paid for what is left of the period.
    pub(crate) fn add(&mut self, seats: u32) {
        self.paid = self.paid.saturating_add(seats);
    }

    /// The rest of the fee of so many seats comes back. What seats have had stays theirs.
    pub(crate) fn take(&mut self, seats: u32) {
        let unused = self.paid.saturating_sub(self.given);
        self.paid -= seats.min(unused);
    }
}

/// What is remembered of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Whether it is somebody's.
    assigned: bool,
    /// The newest event that said so, or otherwise, and when that happened.
    by: EventRef,
    at: i64,
    /// Since when the plan has served, when that was.
    serves: i64,
    /// Since when the last period is paid of which it has had credits.
    had: Option<i64>,
}

/// The seats of a subscription, at one of them.
pub(crate) struct Seats<'a> {
    /// Credits of a seat, for a period.
    pub each: Nanos,
    pub period: Period,
    /// How many seats the subscription has.
    pub seats: u32,
    pub now: Instant,
    pub memory: &'a mut Memory<SeatsPlusOwnCredits>,
    pub outcome: &'a mut Outcome,
}

impl Seats<'_> {
    /// What is known of the seat, by this plan as it serves now.
    fn known(&self) -> Option<Seat> {
        let serves = self.memory.state.serves;
        let known = self.memory.subject.get().filter(|seat| seat.serves == serves);
        known.cloned()
    }

    /// It is given to somebody, if there is one: it has credits from now on. What is older than the newest that is known of the
    /// seat says nothing. One that is somebody's already gets what it lacks, if a seat was added.
    pub fn assign(&mut self, by: EventRef) -> Result<(), Rejection> {
        let known = self.known();
        let is_old = known.as_ref().is_some_and(|seat| self.now.micros() < seat.at);
        let was_assigned = known.as_ref().is_some_and(|seat| seat.assigned);
        let state = &mut self.memory.state;
        if is_old || !was_assigned && state.assigned >= self.seats {
            return Ok(());
        }
        state.assigned += u32::from(!was_assigned);
        let seat = Seat {
            assigned: true,
            by,
            at: self.now.micros(),
            serves: state.serves,
            had: known.and_then(|seat| seat.had),
        };
        self.give(seat, self.now)
    }

    /// It is nobody's: what it has is good until the end of the period, and no more comes.
    pub fn remove(&mut self, by: EventRef) {
        let Some(known) = self.known() else { return };
        if self.now.micros() < known.at {
            return;
        }
        self.outcome.cancel_timer(CREDITS);
        self.let_go(Seat {
            by,
            at: self.now.micros(),
            ..known
        });
    }

    /// An event is taken back. One that gave the seat to somebody takes along what is left of the credits, which the host does;
    /// one that took it away is as if it had not been. Others say nothing.
    pub fn take_back(&mut self, event: &EventRef) -> Result<(), Rejection> {
        let Some(known) = self.known().filter(|seat| seat.by == *event) else {
            return Ok(());
        };
        if known.assigned {
            self.let_go(known);
            return Ok(());
        }
        if self.memory.state.assigned >= self.seats {
            return Ok(());
        }
        self.memory.state.assigned += 1;
        let seat = Seat {
            assigned: true,
            ..known
        };
        self.give(seat, self.now)
    }

    fn let_go(&mut self, seat: Seat) {
        let assigned = &mut self.memory.state.assigned;
        *assigned = assigned.saturating_sub(u32::from(seat.assigned));
        let left = Seat {
            assigned: false,
            ..seat
        };
        self.memory.subject.keep(left, self.look().plus_days(SPARE_DAYS));
    }

    /// A period has begun, or it is to be looked whether one has.
    pub fn due(&mut self) -> Result<(), Rejection> {
        match self.known().filter(|seat| seat.assigned) {
            Some(seat) => self.give(seat, Instant::from_micros(self.memory.state.since)),
            None => Ok(()),
        }
    }

    /// Gives the credits of the period from an instant on, once, as long as shares are left of those that are paid.
    fn give(&mut self, mut seat: Seat, from: Instant) -> Result<(), Rejection> {
        let state = &mut self.memory.state;
        let is_paid = state.terms.period == self.period.index;
        // What is late is of a period before one of which the seat has had credits already.
        if is_paid && seat.had < Some(state.since) && state.given < state.paid {
            state.given += 1;
            seat.had = Some(state.since);
            let credits = self.period.rest(from).of(self.each)?;
            if credits.is_positive() {
                let name = self.memory.subject.name().unwrap_or_default().to_string();
                let grant = Grant::included(ASSET, credits, LABEL).only_with(ATTRIBUTE, &name);
                self.outcome.grant(grant.expires(self.period.end))?;
            }
        }
        // In a period that nobody paid, because of a pause, somebody may pay for the rest of it any day.
        let next = match is_paid {
            true => self.look(),
            false => self.now.plus_days(1).min(self.look()),
        };
        self.outcome.timer(CREDITS, next);
        self.memory.subject.keep(seat, next.plus_days(SPARE_DAYS));
        Ok(())
    }

    /// Just behind the end of the period, when the next one has begun.
    fn look(&self) -> Instant {
        let behind = Instant::from_micros(self.period.end.micros().saturating_add(1));
        behind.min(self.now.plus_days(LOOK_AFTER_DAYS))
    }
}

const ASSET: Asset = hybrid::asset::CREDITS;
