//! What happens between outcomes: seats, and the minimum of a period.

use farebox_plan::{
    Change, Grant, Nanos, Outcome, PaidSeats, Period, Proration, Rejection, Share, Transition, shortfall,
};

use crate::parameters::Prepared;
use crate::{State, charge};

/// The deal in a period.
pub(crate) struct Terms<'a> {
    deal: &'a Prepared,
    period: Period,
    outcome: &'a mut Outcome,
}

impl<'a> Terms<'a> {
    /// What it comes to is put into `outcome`.
    pub fn new(deal: &'a Prepared, period: Period, outcome: &'a mut Outcome) -> Terms<'a> {
        Terms {
            deal,
            period,
            outcome,
        }
    }

    /// What follows from a change of the subscription.
    pub fn carry_out(&mut self, transition: &Transition<'_>, state: &mut State) -> Result<(), Rejection> {
        let (time, index) = (transition.time, self.period.index);
        let paid = state.period == index;
        match &transition.change {
            Change::Started => self.begin(transition, self.period.rest(time), state)?,
            // Told late, behind a return from a pause that paid for it.
            Change::Renewed { .. } if paid => return Ok(()),
            // The period before ends. Where that one was not paid, its own renewal is told late, and ends the one before it.
            Change::Renewed { .. } => {
                self.settle(state.charged_in(index.saturating_sub(1)))?;
                self.begin(transition, Share::WHOLE, state)?;
            }
            Change::Paused => {
                state.pause(index, time <= self.period.start);
                return Ok(());
            }
            Change::Resumed => match state.resume() {
                // A pause went on into a later period, whose rest is paid now; the one in which it began is over.
                began if began < index => {
                    self.settle(state.charged_in(began))?;
                    self.go_on(transition, state)?;
                }
                _ => return Ok(()),
            },
            Change::PlanChanged { proration, .. } => {
                state.take_over(time);
                match proration {
                    Proration::Now => self.begin(transition, self.period.rest(time), state)?,
                    // A period that begins is paid whole; one that goes on was paid to the plan before.
                    Proration::AtPeriodEnd if time <= self.period.start => {
                        self.begin(transition, Share::WHOLE, state)?;
                    }
                    Proration::AtPeriodEnd => state.keep_seats(PaidSeats::free(index, transition.seats())),
                }
            }
            // The return pays for all seats of a period that nobody paid, because of a pause. Where the plan had no answer when a
            // period began, that is told late, with the seats of then.
            Change::SeatsChanged { .. } if state.paused().is_some_and(|began| began < index) => return Ok(()),
            Change::SeatsChanged {
                before,
                after,
                proration,
            } => {
                let seat = self.deal.seat;
                let mut seats = state.take_seats(index).unwrap_or(match paid {
                    true => PaidSeats::paid(index, *before, seat),
                    false => PaidSeats::expected(index, *before, seat),
                });
                let due = seats.change(*before, *after, *proration, seat, self.period.rest(time))?;
                state.keep_seats(seats);
                self.seats(due.seats, due.charged)?;
                return self.give_back(due.back);
            }
            // The present period ends, or the one in which a pause began; a beginning that is told late ends the one before it.
            Change::Cancelled { .. } => {
                return self.settle(state.charged_in(state.paused().unwrap_or(index)));
            }
            _ => return Ok(()),
        }
        state.enter(index);
        Ok(())
    }

    /// All seats are paid for a share of the period.
    fn begin(
        &mut self,
        transition: &Transition<'_>,
        share: Share,
        state: &mut State,
    ) -> Result<(), Rejection> {
        let (all, seat, index) = (transition.seats(), self.deal.seat, self.period.index);
        let fee = share.of_each(seat, all)?;
        self.seats(all, fee)?;
        let Some(mut seats) = state.take_seats(index) else {
            state.keep_seats(PaidSeats::paid(index, all, seat));
            return Ok(());
        };
        // Told late: seats have changed since then.
        let back = seats.answered(seat, fee);
        state.keep_seats(seats);
        self.give_back(back)
    }

    /// A pause is over: all seats are paid for the rest of the period. Some paid when they came, where the plan was not told of
    /// the pause.
    fn go_on(&mut self, transition: &Transition<'_>, state: &mut State) -> Result<(), Rejection> {
        let index = self.period.index;
        let mut seats = state.take_seats(index).unwrap_or(PaidSeats::free(index, 0));
        let rest = self.period.rest(transition.time);
        let due = seats.pay_all(transition.seats(), self.deal.seat, rest)?;
        state.keep_seats(seats);
        self.seats(due.seats, due.charged)
    }

    /// A period is over in which outcomes cost `charged`: what is missing to its minimum.
    fn settle(&mut self, charged: Nanos) -> Result<(), Rejection> {
        let minimum = self.deal.minimum;
        // More may have come back in a period than counted in it; without a minimum nothing of that is owed again.
        if minimum.is_zero() {
            return Ok(());
        }
        let missing = shortfall(minimum, charged)?;
        if missing.is_positive() {
            self.outcome
                .charge(charge::MINIMUM, self.deal.currency())
                .invoice()
                .amount(missing, Nanos::units(1), || {
                    format!("at least {minimum} for the period, {charged} were charged for outcomes")
                })?;
        }
        Ok(())
    }

    fn seats(&mut self, seats: u32, fee: Nanos) -> Result<(), Rejection> {
        if fee.is_positive() {
            self.outcome
                .charge(charge::SEATS, self.deal.currency())
                .invoice()
                .amount(fee, Nanos::units(seats.into()), || {
                    "for each seat, for the part of the period that it covers".to_string()
                })?;
        }
        Ok(())
    }

    /// The unused part of a fee comes back as money to use.
    fn give_back(&mut self, unused: Nanos) -> Result<(), Rejection> {
        match unused.is_positive() {
            true => {
                let label = "Unused part of a fee";
                self.outcome
                    .grant(Grant::promotional(self.deal.currency(), unused, label))
            }
            false => Ok(()),
        }
    }
}
