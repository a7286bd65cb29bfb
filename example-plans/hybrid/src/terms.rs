//! What happens between usage: fee, pool, rollover.

use farebox_plan::{
    Category, Grant, Nanos, Outcome, Overflow, Period, Rejection, RemainingGrant, Share, unused,
};

use crate::parameters::Prepared;
use crate::{asset, charge};

/// The pool's credits, as statements name them.
const POOL: &str = "Included credits";
/// What is left of them in a later period.
const ROLLED_OVER: &str = "Rolled-over credits";

/// The deal in a period.
pub(crate) struct Terms<'a> {
    deal: &'a Prepared,
    period: Period,
    outcome: &'a mut Outcome,
}

impl<'a> Terms<'a> {
    pub(crate) fn new(deal: &'a Prepared, period: Period, outcome: &'a mut Outcome) -> Terms<'a> {
        Terms {
            deal,
            period,
            outcome,
        }
    }

    /// Fee and pool for a share of the period. From a plan whose fee is known, the same share of that is taken off: the period was
    /// paid to it.
    pub(crate) fn begin(&mut self, share: Share, previous: Option<&String>) -> Result<(), Rejection> {
        let fee = share.of(self.deal.fee)?;
        let paid = previous.and_then(|name| self.deal.replaces.get(name));
        let paid = share.of(paid.map_or(Nanos::ZERO, |fee| *fee))?;
        let due = fee.checked_sub(paid).ok_or(Overflow)?;
        if due.is_positive() {
            let why = || match paid.is_positive() {
                true => format!("{fee} for this part of the period, less {paid} that was paid for it"),
                false => "the fee, for the part of the period that it covers".to_string(),
            };
            self.outcome
                .charge(charge::FEE, self.deal.currency())
                .invoice()
                .amount(due, Nanos::units(1), why)?;
        }
        let back = paid.checked_sub(fee).ok_or(Overflow)?;
        if back.is_positive() {
            let label = "Unused part of the fee before";
            self.outcome
                .grant(Grant::promotional(self.deal.currency(), back, label))?;
        }
        let credits = share.of(self.deal.pool)?;
        self.give(Grant::included(asset::CREDITS, credits, POOL), credits)
    }

    /// What was not used of the pool goes on for another period, up to a limit. It burns first.
    /// `previous` is the plan that gave it, where that is another one.
    pub(crate) fn roll_over(
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
            .filter(|grant| grant.category == Category::Included)
            .cloned()
            .collect();
        let credits = unused(&once, asset::CREDITS)?.min(rollover.max);
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
