//! The credits of each day: given at 00:00 UTC without anybody asking, so that a balance shows them, and lost at the next one.
//!
//! A timer gives them. Its key is always the same, so there is never more than one; and a subscription remembers for which day
//! it got them, so that whatever happens on a day gives them once.

use farebox_plan::{
    Added, Change, Instant, Nanos, Outcome, Overflow, Period, Proration, Rejection, Transition,
};
use serde::{Deserialize, Serialize};

use crate::allowance::DailyCredits;

/// The credits of a day, as statements name them.
pub(crate) const DAILY: &str = "Daily credits";
/// The timer that gives them.
const MIDNIGHT: &str = "midnight";

/// What is remembered of a subscription.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which period was paid last: a pause may have left some out.
    pub period: u32,
    /// What is remembered of daily credits; none where none were given, also before there were any.
    days: Added<Days>,
}

/// For which day credits were given last, and how many in the period.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Days {
    /// 00:00 UTC of it.
    last: Instant,
    given: Nanos,
}

impl State {
    /// A period is paid; none of its credits were given yet.
    pub(crate) fn enter(&mut self, period: u32) {
        if self.period != period {
            self.period = period;
            if let Some(days) = &mut self.days.0 {
                days.given = Nanos::ZERO;
            }
        }
    }

    fn last(&self) -> Option<Instant> {
        self.days.0.as_ref().map(|days| days.last)
    }

    fn given(&self) -> Nanos {
        self.days.0.as_ref().map_or(Nanos::ZERO, |days| days.given)
    }

    /// A day is done with.
    fn pass(&mut self, last: Instant, given: Nanos) {
        self.days = Added(Some(Days { last, given }));
    }
}

/// A moment at which the credits of a day are looked at.
#[derive(Clone, Copy)]
pub(crate) struct Day<'a> {
    now: Instant,
    change: &'a Change,
}

impl<'a> Day<'a> {
    pub fn of(transition: &'a Transition<'_>) -> Day<'a> {
        Day {
            now: transition.time,
            change: &transition.change,
        }
    }

    fn midnight(self) -> Instant {
        self.now.start_of_day()
    }

    fn ends(self) -> Instant {
        self.midnight().plus_days(1)
    }
}

impl DailyCredits {
    /// What follows for the credits of the day, `times` over, once the period itself is settled.
    pub fn carry_out(
        &self,
        day: Day<'_>,
        period: Period,
        times: u32,
        state: &mut State,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        match day.change {
            // A period that begins with the plan is all the plan's, and so is its first day.
            Change::PlanChanged {
                proration: Proration::AtPeriodEnd,
                ..
            } if day.now <= period.start => self.give(day, times, state, outcome)?,
            // Any other day was the former plan's; otherwise changing plans to and fro would bring a day's credits each time.
            Change::PlanChanged { .. } => state.pass(day.midnight(), state.given()),
            Change::Started | Change::Renewed { .. } | Change::Resumed => {
                self.give(day, times, state, outcome)?;
            }
            // At the end of a period the next one decides; in one that nobody paid, because of a pause, the return does.
            Change::Due { key } if key == MIDNIGHT => {
                match day.now < period.end && state.period == period.index {
                    true => self.give(day, times, state, outcome)?,
                    false => return Ok(()),
                }
            }
            Change::Paused => {
                outcome.cancel_timer(MIDNIGHT);
                return Ok(());
            }
            _ => return Ok(()),
        }
        outcome.timer(MIDNIGHT, day.ends());
        Ok(())
    }

    /// The credits of the day, if it has not had them, as far as the period allows.
    fn give(
        &self,
        day: Day<'_>,
        times: u32,
        state: &mut State,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        if state.last() >= Some(day.midnight()) {
            return Ok(());
        }
        let mut credits = self.credits.checked_times(times).ok_or(Overflow)?;
        if let Some(max) = self.max {
            let max = max.checked_times(times).ok_or(Overflow)?;
            let left = max.checked_sub(state.given()).ok_or(Overflow)?;
            credits = credits.min(left);
        }
        if !credits.is_positive() {
            return Ok(());
        }
        state.pass(
            day.midnight(),
            state.given().checked_add(credits).ok_or(Overflow)?,
        );
        outcome.grant(self.grant(credits).expires(day.ends()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(period: u32, days: Option<Days>) -> State {
        State {
            period,
            days: Added(days),
        }
    }

    fn days() -> Days {
        Days {
            last: Instant::from_micros(86_400_000_000),
            given: Nanos::units(25),
        }
    }

    #[test]
    fn a_state_from_before_daily_credits_goes_on() {
        // The period alone, as it was written then: 3, and 300 in two bytes.
        for (bytes, period) in [(&[3][..], 3), (&[172, 2], 300)] {
            assert_eq!(postcard::from_bytes(bytes), Ok(state(period, None)));
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let bytes = postcard::to_allocvec(&state(2, Some(days()))).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(state(2, Some(days()))));
        // Before, the day alone could be missing, and there was a number of credits behind it, even of none.
        let before =
            |last: Option<Instant>, given: Nanos| postcard::to_allocvec(&(2_u32, last, given)).unwrap();
        assert_eq!(before(Some(days().last), days().given), bytes);
        assert_eq!(
            postcard::from_bytes(&before(None, Nanos::ZERO)),
            Ok(state(2, None))
        );
    }

    #[test]
    fn a_state_that_ends_within_a_day_is_none() {
        let bytes = postcard::to_allocvec(&state(2, Some(days()))).unwrap();
        // The period is one byte; behind it there may be nothing at all.
        for end in (0..bytes.len()).filter(|end| *end != 1) {
            assert_eq!(postcard::from_bytes::<State>(&bytes[..end]).ok(), None, "{end}");
        }
    }
}
