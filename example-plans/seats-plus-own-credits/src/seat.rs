//! What is known of a seat, and when it gets its credits.

use farebox_plan::{Asset, EventRef, Grant, Instant, Memory, Nanos, Outcome, Period, Rejection};
use serde::{Deserialize, Serialize};

use crate::SeatsPlusOwnCredits;

/// The timer by which a seat gets the credits of the next period.
pub(crate) const CREDITS: &str = "credits";
/// The attribute of an event that says whose it is.
const ATTRIBUTE: &str = "seat";
/// How statements name the credits.
const LABEL: &str = "Credits of a seat";
/// After so many days a seat is looked at, however long its period is: the host forgets it after 400.
const LOOK_AFTER_DAYS: i64 = 300;
/// So much longer than to its next look a seat is remembered, should that be late.
const SPARE_DAYS: i64 = 60;

/// What is remembered of a subscription.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Which period was paid last.
    pub(crate) terms: hybrid::State,
    /// How many seats have had credits in it.
    given: u32,
    /// Since when it is paid, in microseconds since 1970: the plan may have begun, or a pause have ended, in its middle.
    since: i64,
}

impl State {
    /// A period is paid from this instant on.
    pub(crate) fn begin(&mut self, since: Instant) {
        self.given = 0;
        self.since = since.micros();
    }
}

/// What is remembered of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The event that gave it to somebody; none where it was taken away since.
    by: Option<EventRef>,
    /// Since when the last period is paid of which it has had credits.
    had: Option<i64>,
}

/// The seats of a subscription, at one of them.
pub(crate) struct Seats<'a> {
    /// Credits of a seat, for a period.
    pub each: Nanos,
    pub period: Period,
    /// How many are paid.
    pub paid: u32,
    pub now: Instant,
    pub memory: &'a mut Memory<SeatsPlusOwnCredits>,
    pub outcome: &'a mut Outcome,
}

impl Seats<'_> {
    /// It is given to somebody: it has credits from now on. One that is somebody's already gets what it lacks, if a seat was
    /// added.
    pub fn assign(&mut self, by: Option<EventRef>) -> Result<(), Rejection> {
        let before = self.memory.subject.get();
        let had = before.and_then(|seat| seat.had);
        let by = before.and_then(|seat| seat.by.clone()).or(by);
        self.give(Seat { by, had }, self.now)
    }

    /// It is nobody's: what it has is good until the end of the period, and no more comes.
    pub fn remove(&mut self) {
        self.outcome.cancel_timer(CREDITS);
        if let Some(seat) = self.memory.subject.get() {
            let left = Seat {
                by: None,
                ..seat.clone()
            };
            self.memory.subject.keep(left, self.look().plus_days(SPARE_DAYS));
        }
    }

    /// The event that gave it to somebody is taken back, and with it what is left of the credits: another one may have them.
    pub fn take_back(&mut self, event: &EventRef) {
        let is_by = |seat: &&Seat| seat.by.as_ref() == Some(event);
        let Some(seat) = self.memory.subject.get().filter(is_by) else {
            return;
        };
        if seat.had == Some(self.memory.state.since) {
            let given = &mut self.memory.state.given;
            *given = given.saturating_sub(1);
        }
        self.memory.subject.forget();
    }

    /// A period has begun, or it is to be looked whether one has.
    pub fn due(&mut self) -> Result<(), Rejection> {
        let Some(seat) = self.memory.subject.get().filter(|seat| seat.by.is_some()) else {
            return Ok(());
        };
        self.give(seat.clone(), Instant::from_micros(self.memory.state.since))
    }

    /// Gives the credits of the period from an instant on, unless it has had them, or as many seats as are paid have.
    fn give(&mut self, mut seat: Seat, from: Instant) -> Result<(), Rejection> {
        let state = &mut self.memory.state;
        let is_paid = state.terms.period == self.period.index;
        if is_paid && seat.had != Some(state.since) && state.given < self.paid {
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
