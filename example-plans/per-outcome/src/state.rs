//! What is remembered of a subscription: which period was paid, and what outcomes came to.
//!
//! A period is paid where the plan is asked to carry out what it costs, and only there. Outcomes count whenever they do: in a
//! pause the deadlines of claims go on, and a period may pass, or go on for a while, without anybody paying for it.

use farebox_plan::{Added, Nanos, Overflow, Rejection};
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
}

/// What outcomes cost in a period, less what was given back in it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    period: u32,
    charged: Nanos,
}

impl State {
    /// A period is paid. What counted in it already goes on counting.
    pub(crate) fn enter(&mut self, period: u32) {
        *self = State {
            period,
            charged: self.charged_in(period),
            ahead: Added(None),
        };
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

    fn count(&mut self, period: u32, charged: Nanos) {
        match period == self.period {
            true => self.charged = charged,
            // Of those that are not paid only the present one matters: one that passed will not be paid any more.
            false => self.ahead = Added(Some(Counted { period, charged })),
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
    fn a_state_from_before_a_period_was_counted_ahead_goes_on() {
        // Period 3 and 5 units, as they were written then.
        let before = postcard::to_allocvec(&(3_u32, Nanos::units(5))).unwrap();
        assert_eq!(postcard::from_bytes(&before), Ok(state(3, 5, None)));
        let now = state(3, 5, Some((4, -1)));
        let bytes = postcard::to_allocvec(&now).unwrap();
        assert_eq!(bytes[..before.len()], before);
        assert_eq!(postcard::from_bytes(&bytes), Ok(now));
        assert_eq!(
            postcard::from_bytes::<State>(&bytes[..bytes.len() - 1]).ok(),
            None,
            "it ends within"
        );
    }
}
