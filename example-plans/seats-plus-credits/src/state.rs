//! What is remembered of a subscription: what the plan for one remembers, and for how many seats the fee was paid.
//!
//! The seats that there are say nothing of those that were paid: they change without proration, under a plan that was paid for
//! the period, in a pause, and before the plan is told that a period began.

use farebox_plan::{Added, Change, Nanos, PaidSeats, Proration, Rejection, SeatsDue, Share, Transition};
use hybrid::Terms;
use serde::{Deserialize, Serialize};

/// What is remembered of a subscription.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What [`hybrid`] remembers.
    terms: hybrid::State,
    /// None: from before that was kept.
    #[serde(skip_serializing_if = "Added::is_none")]
    team: Added<Team>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Team {
    /// Which seats were paid. None: from before that was kept.
    seats: Option<PaidSeats>,
    /// Whether a pause goes on, as far as the plan was told.
    paused: bool,
}

impl State {
    /// What follows from a change of the subscription.
    pub(crate) fn carry_out(
        &mut self,
        transition: &Transition<'_>,
        mut terms: Terms<'_>,
    ) -> Result<(), Rejection> {
        let is_paid = self.terms.period == transition.period().index;
        match transition.change {
            Change::SeatsChanged {
                before,
                after,
                proration,
            } => return self.seats_changed(transition, terms, before, after, proration),
            Change::Paused => self.team().paused = true,
            Change::Resumed => {
                self.team().paused = false;
                if !is_paid {
                    let due = self.pay_all(transition, terms.fee())?;
                    terms = terms.owing(due);
                }
            }
            // Told late, behind a return from a pause that paid for it.
            Change::Renewed { .. } if is_paid => {}
            Change::Started | Change::Renewed { .. } | Change::PlanChanged { .. } => {
                return self.begin(transition, terms);
            }
            _ => {}
        }
        terms.carry_out(transition, &mut self.terms)
    }

    /// All seats are paid, or another plan was paid for the period.
    fn begin(&mut self, transition: &Transition<'_>, mut terms: Terms<'_>) -> Result<(), Rejection> {
        let (period, all, fee) = (transition.period(), transition.seats(), terms.fee());
        let meanwhile = self.of(period.index);
        terms.carry_out(transition, &mut self.terms)?;
        let was_paid = matches!(
            transition.change,
            Change::PlanChanged {
                proration: Proration::AtPeriodEnd,
                ..
            } if transition.time > period.start
        );
        let mut back = Nanos::ZERO;
        let seats = match meanwhile {
            _ if was_paid => PaidSeats::free(period.index, all),
            None => PaidSeats::paid(period.index, all, fee),
            // Told late: seats have changed since then.
            Some(mut seats) => {
                back = seats.answered(fee, Share::WHOLE.of_each(fee, all)?);
                seats
            }
        };
        self.team().seats = Some(seats);
        terms.give_money(back)
    }

    /// A pause went on into a period that nobody paid: what is paid now. Some paid when they came, where the plan was not told
    /// of the pause.
    fn pay_all(&mut self, transition: &Transition<'_>, fee: Nanos) -> Result<SeatsDue, Rejection> {
        let period = transition.period();
        let mut seats = self.of(period.index).unwrap_or(PaidSeats::free(period.index, 0));
        let due = seats.pay_all(transition.seats(), fee, period.rest(transition.time))?;
        self.team().seats = Some(seats);
        Ok(due)
    }

    fn seats_changed(
        &mut self,
        transition: &Transition<'_>,
        mut terms: Terms<'_>,
        before: u32,
        after: u32,
        proration: Proration,
    ) -> Result<(), Rejection> {
        let (period, fee) = (transition.period(), terms.fee());
        let is_paid = self.terms.period == period.index;
        // The return pays for all seats of a period that nobody paid, because of a pause.
        if !is_paid && self.team().paused {
            return Ok(());
        }
        let rest = period.rest(transition.time);
        let mut seats = self.of(period.index).unwrap_or(match is_paid {
            true => PaidSeats::paid(period.index, before, fee),
            // The plan had no answer when the period began. It is told late, with the seats of then.
            false => PaidSeats::expected(period.index, before, fee),
        });
        let due = seats.change(before, after, proration, fee, rest)?;
        self.team().seats = Some(seats);
        terms.more(due, rest)?;
        terms.give_money(due.back)
    }

    fn of(&mut self, period: u32) -> Option<PaidSeats> {
        self.team().seats.take().filter(|seats| seats.is_of(period))
    }

    fn team(&mut self) -> &mut Team {
        self.team.0.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_from_before_paid_seats_were_kept_goes_on() {
        // Period 3, as it was written first; then with no credits of the day, then with those of a day: 172,800 s after 1970
        // began, in microseconds, and 25 units.
        let day = postcard::to_allocvec(&(172_800_000_000_i64, Nanos::units(25))).unwrap();
        for bytes in [vec![3], vec![3, 0], [&[3, 1][..], &day].concat()] {
            let state: State = postcard::from_bytes(&bytes).unwrap();
            assert_eq!((state.terms.period, &state.team.0), (3, &None));
            // It is written as it was, too, as long as nothing happens to the subscription.
            let terms: hybrid::State = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(postcard::to_allocvec(&state), postcard::to_allocvec(&terms));
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let state = State {
            terms: postcard::from_bytes(&[3]).unwrap(),
            team: Added(Some(Team {
                seats: Some(PaidSeats::paid(3, 2, Nanos::units(1))),
                paused: true,
            })),
        };
        let bytes = postcard::to_allocvec(&state).unwrap();
        // Period 3, no day; a team with seats of period 3: one layer of 2 at a fee of 10^9 (five bytes, of twice that); none is
        // vacant, none is spare, none waits, nothing is owed; a pause.
        let fee = [128, 168, 214, 185, 7];
        assert_eq!(
            bytes,
            [&[3, 0, 1, 1, 3, 1, 2, 1][..], &fee, &[0, 0, 0, 0, 1]].concat()
        );
        assert_eq!(postcard::from_bytes::<State>(&bytes).as_ref(), Ok(&state));
        for end in 3..bytes.len() {
            assert_eq!(postcard::from_bytes::<State>(&bytes[..end]).ok(), None, "{end}");
        }
    }
}
