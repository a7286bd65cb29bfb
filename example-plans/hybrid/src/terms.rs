//! What happens between usage: fee, pool, rollover.

use farebox_plan::{
    Category, Change, Grant, Nanos, Outcome, Overflow, Period, Proration, Rejection, RemainingGrant,
    SeatsDue, Share, Transition, unused,
};

use crate::daily::{DAILY, Day};
use crate::parameters::Prepared;
use crate::reserved::is_reserved;
use crate::{State, asset, charge};

/// The pool's credits, as statements name them.
const POOL: &str = "Included credits";
/// What is left of them in a later period.
const ROLLED_OVER: &str = "Rolled-over credits";
/// Why a fee is what it is, in words.
const FOR_A_PART: &str = "the fee, for the part of the period that it covers";

/// The deal in a period, so many times over: for one customer once, for a team once for each seat.
#[derive(Debug)]
pub struct Terms<'a> {
    deal: &'a Prepared,
    period: Period,
    times: u32,
    /// What a period costs that goes on, where some are paid for already.
    owing: Option<SeatsDue>,
    outcome: &'a mut Outcome,
}

impl<'a> Terms<'a> {
    /// What it comes to is put into `outcome`.
    pub fn new(deal: &'a Prepared, period: Period, times: u32, outcome: &'a mut Outcome) -> Terms<'a> {
        Terms {
            deal,
            period,
            times,
            owing: None,
            outcome,
        }
    }

    /// Who resumes pays so much: the others are paid for already.
    pub fn owing(mut self, due: SeatsDue) -> Terms<'a> {
        self.owing = Some(due);
        self
    }

    /// What follows from a change of the subscription. What changes about seats follows from nothing here.
    pub fn carry_out(&mut self, transition: &Transition<'_>, state: &mut State) -> Result<(), Rejection> {
        let rest = self.period.rest(transition.time);
        let paid = state.period == self.period.index;
        match &transition.change {
            Change::Started => self.begin(rest, None)?,
            Change::Renewed { remaining } => {
                // Told late, behind a return from a pause that paid for it, only what is left rolls over.
                if !paid {
                    self.begin(Share::WHOLE, None)?;
                }
                self.roll_over(remaining, None)?;
            }
            // A pause went on into a later period, whose rest is paid now.
            Change::Resumed if !paid => match self.owing {
                Some(due) => self.more(due, rest)?,
                None => self.begin(rest, None)?,
            },
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

    /// The fee of one of them, for a whole period.
    pub fn fee(&self) -> Nanos {
        self.deal.fee
    }

    /// Fee and pool for a share of the period. From a plan whose fee is known, the same share of that is taken off: the period
    /// was paid to it.
    pub fn begin(&mut self, share: Share, previous: Option<&String>) -> Result<(), Rejection> {
        let times = self.times;
        let fee = share.of_each(self.deal.fee, times)?;
        let paid = previous.and_then(|name| self.deal.replaces.get(name));
        let paid = share.of_each(paid.map_or(Nanos::ZERO, |fee| *fee), times)?;
        let due = fee.checked_sub(paid).ok_or(Overflow)?;
        self.charge(due, times, || match paid.is_positive() {
            true => format!("{fee} for this part of the period, less {paid} that was paid for it"),
            false => FOR_A_PART.to_string(),
        })?;
        self.give_money(paid.checked_sub(fee).ok_or(Overflow)?)?;
        self.include(share, times)
    }

    /// More come in the middle of a period: what that is, and the pool of those that bring one.
    pub fn more(&mut self, due: SeatsDue, rest: Share) -> Result<(), Rejection> {
        self.charge(due.charged, due.seats, || FOR_A_PART.to_string())?;
        self.include(rest, due.new)
    }

    /// On the statement; of nothing there is no line.
    fn charge(&mut self, due: Nanos, times: u32, why: impl FnOnce() -> String) -> Result<(), Rejection> {
        if due.is_positive() {
            self.outcome
                .charge(charge::FEE, self.deal.currency())
                .invoice()
                .amount(due, Nanos::units(times.into()), why)?;
        }
        Ok(())
    }

    /// What a share of the fee includes, so many times over.
    fn include(&mut self, share: Share, times: u32) -> Result<(), Rejection> {
        let credits = share.of_each(self.deal.pool, times)?;
        let pool = Grant::included(asset::CREDITS, credits, POOL);
        self.give(self.own(pool, share.of(self.deal.pool)?), credits)?;
        for kind in &self.deal.reserved {
            if let Some(grant) = kind.grant(share, times)? {
                self.outcome.grant(grant.expires(self.period.end))?;
            }
        }
        Ok(())
    }

    /// A part of a fee comes back, as money to use. The credits that came with it stay.
    pub fn give_money(&mut self, amount: Nanos) -> Result<(), Rejection> {
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
        self.give(self.own(grant, rollover.max).priority(-1), credits)
    }

    /// Whoever the pool's credits belong to has what one seat brings of a grant.
    fn own(&self, grant: Grant, one: Nanos) -> Grant {
        match &self.deal.each {
            Some(attribute) if one.is_positive() => grant.each(attribute, one),
            _ => grant,
        }
    }

    /// Credits until the end of the period; of nothing there is no grant.
    fn give(&mut self, grant: Grant, credits: Nanos) -> Result<(), Rejection> {
        match credits.is_positive() {
            true => self.outcome.grant(grant.expires(self.period.end)),
            false => Ok(()),
        }
    }
}
