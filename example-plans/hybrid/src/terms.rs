//! What happens between usage: fee, pool, rollover.

use farebox_plan::{
    Category, Change, Grant, Nanos, Outcome, Overflow, Period, Proration, Rejection, RemainingGrant, Share,
    Transition, unused,
};

use crate::daily::{DAILY, Day};
use crate::parameters::Prepared;
use crate::reserved::is_reserved;
use crate::{State, asset, charge};

/// The pool's credits, as statements name them.
const POOL: &str = "Included credits";
/// What is left of them in a later period.
const ROLLED_OVER: &str = "Rolled-over credits";

/// The deal in a period, so many times over: for one customer once, for a team once for each seat.
#[derive(Debug)]
pub struct Terms<'a> {
    deal: &'a Prepared,
    period: Period,
    times: u32,
    outcome: &'a mut Outcome,
}

impl<'a> Terms<'a> {
    /// What it comes to is put into `outcome`.
    pub fn new(deal: &'a Prepared, period: Period, times: u32, outcome: &'a mut Outcome) -> Terms<'a> {
        Terms {
            deal,
            period,
            times,
            outcome,
        }
    }

    /// What follows from a change of the subscription. What changes about seats follows from nothing here.
    pub fn carry_out(&mut self, transition: &Transition<'_>, state: &mut State) -> Result<(), Rejection> {
        let rest = self.period.rest(transition.time);
        let paid = state.period == self.period.index;
        match &transition.change {
            Change::Started => self.begin(rest, None)?,
            Change::Renewed { remaining } => {
                self.begin(Share::WHOLE, None)?;
                self.roll_over(remaining, None)?;
            }
            // A pause went on into a later period, whose rest is paid now.
            Change::Resumed if !paid => self.begin(rest, None)?,
            Change::Resumed => {}
            Change::PlanChanged {
                previous_plan,
                remaining,
                proration,
                ..
            } => {
                match proration {
                    Proration::Now => self.begin(rest, Some(previous_plan))?,
                    // A period that begins is paid whole; one that goes on was paid to the plan before.
                    Proration::AtPeriodEnd if transition.time <= self.period.start => {
                        self.begin(Share::WHOLE, None)?
                    }
                    Proration::AtPeriodEnd => {}
                }
                self.roll_over(remaining, Some(previous_plan))?;
            }
            _ => return self.day(Day::of(transition), state),
        }
        state.enter(self.period.index);
        self.day(Day::of(transition), state)
    }

    /// The credits of a day.
    fn day(&mut self, day: Day<'_>, state: &mut State) -> Result<(), Rejection> {
        match &self.deal.daily {
            Some(daily) => daily.carry_out(day, self.period, self.times, state, self.outcome),
            None => Ok(()),
        }
    }

    /// Fee and pool for a share of the period. From a plan whose fee is known, the same share of that is taken off: the period
    /// was paid to it.
    pub fn begin(&mut self, share: Share, previous: Option<&String>) -> Result<(), Rejection> {
        let fee = share.of_each(self.deal.fee, self.times)?;
        let paid = previous.and_then(|name| self.deal.replaces.get(name));
        let paid = share.of_each(paid.map_or(Nanos::ZERO, |fee| *fee), self.times)?;
        let due = fee.checked_sub(paid).ok_or(Overflow)?;
        if due.is_positive() {
            let why = || match paid.is_positive() {
                true => format!("{fee} for this part of the period, less {paid} that was paid for it"),
                false => "the fee, for the part of the period that it covers".to_string(),
            };
            self.outcome
                .charge(charge::FEE, self.deal.currency())
                .invoice()
                .amount(due, Nanos::units(self.times.into()), why)?;
        }
        self.give_money(paid.checked_sub(fee).ok_or(Overflow)?)?;
        let credits = share.of_each(self.deal.pool, self.times)?;
        self.give(Grant::included(asset::CREDITS, credits, POOL), credits)?;
        for kind in &self.deal.reserved {
            if let Some(grant) = kind.grant(share, self.times)? {
                self.outcome.grant(grant.expires(self.period.end))?;
            }
        }
        Ok(())
    }

    /// A share of the fee comes back, as money to use. The credits that came with it stay.
    pub fn give_back(&mut self, share: Share) -> Result<(), Rejection> {
        let unused = share.of_each(self.deal.fee, self.times)?;
        self.give_money(unused)
    }

    fn give_money(&mut self, amount: Nanos) -> Result<(), Rejection> {
        match amount.is_positive() {
            true => {
                let label = "Unused part of a fee";
                self.outcome
                    .grant(Grant::promotional(self.deal.currency(), amount, label))
            }
            false => Ok(()),
        }
    }

    /// What was not used of the pool goes on for another period, up to a limit. It burns first.
    /// `previous` is the plan that gave it, where that is another one.
    pub fn roll_over(
        &mut self,
        remaining: &[RemainingGrant],
        previous: Option<&String>,
    ) -> Result<(), Rejection> {
        let Some(rollover) = &self.deal.rollover else {
            return Ok(());
        };
        if previous.is_some_and(|plan| !rollover.is_from(plan)) {
            return Ok(());
        }
        let once: Vec<RemainingGrant> = remaining
            .iter()
            .filter(|grant| rollover.again || grant.label != ROLLED_OVER)
            .filter(|grant| grant.label != DAILY && !is_reserved(&grant.label))
            .filter(|grant| grant.category == Category::Included)
            .cloned()
            .collect();
        let max = rollover.max.checked_times(self.times).ok_or(Overflow)?;
        let credits = unused(&once, asset::CREDITS)?.min(max);
        let grant = Grant::included(asset::CREDITS, credits, ROLLED_OVER);
        self.give(grant.priority(-1), credits)
    }

    /// Credits until the end of the period; of nothing there is no grant.
    fn give(&mut self, grant: Grant, credits: Nanos) -> Result<(), Rejection> {
        match credits.is_positive() {
            true => self.outcome.grant(grant.expires(self.period.end)),
            false => Ok(()),
        }
    }
}
