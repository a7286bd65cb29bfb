//! What is remembered of a subscription: which period was paid, and what outcomes came to.
//!
//! A period is paid where the plan is asked to carry out what it costs, and only there. Outcomes count whenever they do: in a
//! pause the deadlines of claims go on, and a period may pass, or go on for a while, without anybody paying for it.

use farebox_plan::{Added, Instant, Nanos, Overflow, PaidSeats, Rejection};
use serde::{Deserialize, Serialize};

/// What is remembered of a subscription.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which period was paid last: a pause may have left some out.
    pub period: u32,
    /// What outcomes cost in that period, less what was given back in it.
    charged: Nanos,
    /// The same for a later period that is not paid.
    ahead: Added<Counted>,
    /// When this deal took the subscription over, which knows nothing of what counted before.
    since: Added<Instant>,
    /// In which period a pause began that goes on.
    paused: Added<u32>,
    /// Which seats were paid. None: from before that was kept.
    #[serde(skip_serializing_if = "Added::is_none")]
    seats: Added<PaidSeats>,
}

/// What outcomes cost in a period, less what was given back in it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    period: u32,
    charged: Nanos,
}

impl State {
    /// The deal takes a subscription over. One that is told so again has counted since, and keeps that.
    pub(crate) fn take_over(&mut self, at: Instant) {
        let seats = self.seats.0.take();
        if *self == State::default() {
            self.since = Added(Some(at));
        }
        self.seats = Added(seats);
    }

    /// The seats of a period, as far as they are remembered, to be [kept](State::keep_seats).
    pub(crate) fn take_seats(&mut self, period: u32) -> Option<PaidSeats> {
        self.seats.0.take().filter(|seats| seats.is_of(period))
    }

    pub(crate) fn keep_seats(&mut self, seats: PaidSeats) {
        self.seats = Added(Some(seats));
    }

    /// A period is paid. What counted in it already goes on counting.
    pub(crate) fn enter(&mut self, period: u32) {
        *self = State {
            period,
            charged: self.charged_in(period),
            ahead: Added(None),
            since: self.since,
            paused: self.paused,
            seats: Added(self.seats.0.take()),
        };
    }

    /// A pause begins in a period, or `with` it, for which nobody pays then: that is when the period before ends.
    pub(crate) fn pause(&mut self, period: u32, with: bool) {
        let before = with && self.period < period;
        self.paused = Added(Some(period - u32::from(before)));
    }

    /// The period in which the pause began that goes on.
    pub(crate) fn paused(&self) -> Option<u32> {
        self.paused.0
    }

    /// A pause ends: in which period it began. One that began before that was kept began in the period that was paid last.
    pub(crate) fn resume(&mut self) -> u32 {
        let began = self.paused.0.unwrap_or(self.period);
        self.paused = Added(None);
        began
    }

    /// What outcomes cost in a period, as far as that is remembered.
    pub(crate) fn charged_in(&self, period: u32) -> Nanos {
        if period == self.period {
            return self.charged;
        }
        let ahead = self.ahead.0.as_ref().filter(|ahead| ahead.period == period);
        ahead.map_or(Nanos::ZERO, |ahead| ahead.charged)
    }

    /// An outcome counts.
    pub(crate) fn more(&mut self, period: u32, amount: Nanos) -> Result<(), Rejection> {
        let charged = self.charged_in(period).checked_add(amount).ok_or(Overflow)?;
        self.count(period, charged);
        Ok(())
    }

    /// An outcome comes back.
    pub(crate) fn less(&mut self, period: u32, amount: Nanos) -> Result<(), Rejection> {
        let charged = self.charged_in(period).checked_sub(amount).ok_or(Overflow)?;
        self.count(period, charged);
        Ok(())
    }

    /// An outcome that counted in a period, from `at`, should not have. A period that is billed stays as it is.
    pub(crate) fn never(&mut self, period: u32, at: Instant, amount: Nanos) -> Result<(), Rejection> {
        match self.counts(period, at) {
            true => self.less(period, amount),
            false => Ok(()),
        }
    }

    /// An outcome that came back in a period, at `at`, should not have. A period that is billed stays as it is.
    pub(crate) fn again(&mut self, period: u32, at: Instant, amount: Nanos) -> Result<(), Rejection> {
        match self.counts(period, at) {
            true => self.more(period, amount),
            false => Ok(()),
        }
    }

    /// Whether what counted in a period, from `at`, is among what is remembered.
    fn counts(&self, period: u32, at: Instant) -> bool {
        let ahead = self.ahead.0.as_ref().map(|ahead| ahead.period);
        let is_open = period == self.period || Some(period) == ahead;
        is_open && self.since.0.is_none_or(|since| since <= at)
    }

    fn count(&mut self, period: u32, charged: Nanos) {
        let ahead = self.ahead.0.as_ref().map(|ahead| ahead.period);
        if period == self.period {
            self.charged = charged;
        } else if period > self.period && ahead <= Some(period) {
            // Of those that are not paid only the present one matters: one that passed will not be paid any more.
            self.ahead = Added(Some(Counted { period, charged }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(period: u32, charged: i64, ahead: Option<(u32, i64)>) -> State {
        State {
            period,
            charged: Nanos::units(charged),
            ahead: Added(ahead.map(|(period, charged)| Counted {
                period,
                charged: Nanos::units(charged),
            })),
            since: Added(None),
            paused: Added(None),
            seats: Added(None),
        }
    }

    #[test]
    fn only_what_is_carried_out_moves_the_period() {
        let mut state = state(3, 5, None);
        state.more(4, Nanos::units(2)).unwrap();
        state.less(4, Nanos::units(3)).unwrap();
        state.more(3, Nanos::units(1)).unwrap();
        assert_eq!(state, self::state(3, 6, Some((4, -1))));
        state.more(5, Nanos::units(7)).unwrap();
        assert_eq!(state, self::state(3, 6, Some((5, 7))));
        state.enter(5);
        assert_eq!(state, self::state(5, 7, None));
        state.enter(5);
        assert_eq!(state, self::state(5, 7, None));
        state.enter(6);
        assert_eq!(state, self::state(6, 0, None));
    }

    #[test]
    fn what_is_told_late_of_a_period_that_passed_counts_for_no_other() {
        let mut state = state(3, 5, Some((5, 7)));
        for passed in [2, 4] {
            state.more(passed, Nanos::units(1)).unwrap();
            assert_eq!(state, self::state(3, 5, Some((5, 7))), "{passed}");
        }
    }

    #[test]
    fn what_never_was_comes_off_the_period_in_which_it_counted() {
        let at = |day| Instant::from_micros(0).plus_days(day);
        let mut state = state(3, 5, Some((5, 7)));
        for (period, charged, ahead) in [(2, 5, 7), (3, 4, 7), (4, 4, 7), (5, 4, 6), (6, 4, 6)] {
            state.never(period, at(1), Nanos::units(1)).unwrap();
            assert_eq!(state, self::state(3, charged, Some((5, ahead))), "{period}");
        }
        for (period, charged, ahead) in [(2, 4, 6), (3, 5, 6), (4, 5, 6), (5, 5, 7), (6, 5, 7)] {
            state.again(period, at(1), Nanos::units(1)).unwrap();
            assert_eq!(state, self::state(3, charged, Some((5, ahead))), "{period}");
        }
    }

    #[test]
    fn a_deal_that_takes_over_counts_from_then_on() {
        let at = |day| Instant::from_micros(0).plus_days(day);
        let mut state = State::default();
        state.take_over(at(2));
        state.enter(3);
        state.more(3, Nanos::units(5)).unwrap();
        state.never(3, at(1), Nanos::units(1)).unwrap();
        assert_eq!(state.charged_in(3), Nanos::units(5));
        state.never(3, at(2), Nanos::units(1)).unwrap();
        assert_eq!(state.charged_in(3), Nanos::units(4));
        // Told again, because nobody answered, it has counted since.
        state.take_over(at(7));
        assert_eq!(state.since, Added(Some(at(2))));
    }

    #[test]
    fn a_state_from_before_seats_were_kept_is_written_as_it_was() {
        let before =
            postcard::to_allocvec(&(3_u32, Nanos::units(5), None::<()>, None::<()>, Some(2_u32))).unwrap();
        let mut kept: State = postcard::from_bytes(&before).unwrap();
        assert_eq!(kept.paused(), Some(2));
        assert_eq!(postcard::to_allocvec(&kept).as_ref(), Ok(&before));
        kept.keep_seats(PaidSeats::paid(3, 2, Nanos::units(1)));
        let bytes = postcard::to_allocvec(&kept).unwrap();
        assert_eq!(bytes[..before.len()], before);
        assert_eq!(postcard::from_bytes(&bytes), Ok(kept));
    }

    #[test]
    fn a_state_from_before_a_period_was_counted_ahead_goes_on() {
        // Period 3 and 5 units, as they were written then.
        let before = postcard::to_allocvec(&(3_u32, Nanos::units(5))).unwrap();
        assert_eq!(postcard::from_bytes(&before), Ok(state(3, 5, None)));
        let now = state(3, 5, Some((4, -1)));
        let bytes = postcard::to_allocvec(&now).unwrap();
        assert_eq!(bytes[..before.len()], before);
        assert_eq!(postcard::from_bytes::<State>(&bytes).as_ref(), Ok(&now));
        // The last bytes say that no pause goes on and no deal took over, and may be missing.
        for missing in [1, 2] {
            assert_eq!(
                postcard::from_bytes::<State>(&bytes[..bytes.len() - missing]).as_ref(),
                Ok(&now)
            );
        }
        assert_eq!(
            postcard::from_bytes::<State>(&bytes[..bytes.len() - 3]).ok(),
            None,
            "it ends within"
        );
    }
}
