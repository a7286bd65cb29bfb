//! What happens between outcomes: seats, and the minimum of a period.

use farebox_plan::{
    Change, Grant, Nanos, Outcome, Period, Proration, Rejection, Share, Transition, shortfall,
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
        let rest = self.period.rest(transition.time);
        let seats = transition.seats();
        let index = self.period.index;
        let paid = state.period == index;
        match &transition.change {
            Change::Started => self.seats(seats, rest)?,
            // Told late, behind a return from a pause that paid for it.
            Change::Renewed { .. } if paid => return Ok(()),
            // The period before ends. Where that one was not paid, its own renewal is told late, and ends the one before it.
            Change::Renewed { .. } => {
                self.settle(state.charged_in(index.saturating_sub(1)))?;
                self.seats(seats, Share::WHOLE)?;
            }
            Change::Paused => {
                state.pause(index);
                return Ok(());
            }
            Change::Resumed => match state.resume() {
                // A pause went on into a later period, whose rest is paid now; the one in which it began is over.
                began if began < index => {
                    self.settle(state.charged_in(began))?;
                    self.seats(seats, rest)?;
                }
                _ => return Ok(()),
            },
            Change::PlanChanged { proration, .. } => {
                let share = match proration {
                    Proration::Now => rest,
                    // A period that begins is paid whole; one that goes on was paid to the plan before.
                    Proration::AtPeriodEnd if transition.time <= self.period.start => Share::WHOLE,
                    Proration::AtPeriodEnd => Share::NONE,
                };
                self.seats(seats, share)?;
                state.take_over(transition.time);
            }
            // The return pays for all seats of a period that nobody paid, because of a pause. Where the plan had no answer when a
            // period began, that is told late, with the seats of then.
            Change::SeatsChanged { .. } if state.paused().is_some_and(|began| began < index) => return Ok(()),
            Change::SeatsChanged {
                before,
                after,
                proration: Proration::Now,
            } => {
                return match after.checked_sub(*before) {
                    Some(more) => self.seats(more, rest),
                    None => self.give_back(before.abs_diff(*after), rest),
                };
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

    fn seats(&mut self, seats: u32, share: Share) -> Result<(), Rejection> {
        let fee = share.of_each(self.deal.seat, seats)?;
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
    fn give_back(&mut self, seats: u32, share: Share) -> Result<(), Rejection> {
        let unused = share.of_each(self.deal.seat, seats)?;
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
