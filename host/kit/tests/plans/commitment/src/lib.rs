//! A subscription with a minimum commitment, for tests: the plan in which everything that a period can do to a price happens.
//!
//! - A **fee** for each seat goes on the statement when a period begins.
//! - **Credits** are included with each seat and end with the period. What is left of them rolls over, up to a cap. Where the
//!   deal says so, no user has more than so many of those that are included; what rolled over is shared.
//! - **Usage** has graduated prices in dollars over the running total of the period. Credits pay first, at a fixed number
//!   of them for a dollar; what they do not cover is charged in dollars.
//! - The **minimum**: when a period ends, what its usage cost less than the minimum is charged on the statement. Usage
//!   counts with its price in dollars, whether credits or dollars paid for it. The minimum is never prorated.
//!
//! A change in the middle of a period is settled in proportion where that is asked for: more seats pay the rest of the
//! period and get the credits of it; for fewer seats the rest of the fee comes back as dollars to use, and the credits stay.
//! Only seats that were paid in the period give something back, and of several seats those go first that were not.
//! While it is paused nothing ends and nothing begins: the totals run on. In a later period the pause is over like a
//! period: the minimum is settled, and the rest of the present period begins.

mod parameters;

use farebox_plan::{
    Change, Description, Grant, Memory, Nanos, Order, Outcome, Overflow, ParameterError, Period, Plan,
    Proration, Rejection, RemainingGrant, Share, Transition, Usage, shortfall, unused,
};
use serde::{Deserialize, Serialize};

pub use parameters::{Parameters, Prepared, Step};

farebox_plan::vocabulary! {
    assets {
        CREDITS: "credits", "Credits";
        USD: "usd", "US dollars";
    }
    events {
        CALL: "api.call";
    }
    measures {
        UNITS: "units";
    }
    attributes { }
    charges {
        SEATS: "seats", "Seats", "seats";
        UNITS: "units", "Units", "units";
        MINIMUM: "minimum-commitment", "Minimum commitment", "periods";
    }
}

/// Running totals since the last period began that paid a fee.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Index of that period.
    pub period: u32,
    /// Units used.
    pub quantity: Nanos,
    /// What they cost, in dollars.
    pub charged: Nanos,
    /// Seats that were paid to the end of that period.
    pub seats: u32,
}

impl State {
    fn beginning(period: Period, seats: u32) -> State {
        State {
            period: period.index,
            seats,
            ..State::default()
        }
    }

    /// How many seats are paid now, where more come. Of those that were left without proration some are paid already.
    fn more_seats(&mut self, before: u32, after: u32) -> u32 {
        let more = after.saturating_sub(self.seats.max(before));
        self.seats = self.seats.saturating_add(more);
        more
    }

    /// For how many seats the fee comes back, where some go.
    fn fewer_seats(&mut self, before: u32, after: u32) -> u32 {
        let unpaid = before.saturating_sub(self.seats);
        let gone = before.saturating_sub(after).saturating_sub(unpaid);
        self.seats = self.seats.saturating_sub(gone);
        gone
    }
}

/// The plan.
#[derive(Debug)]
pub struct Commitment;

impl Plan for Commitment {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = State;
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Cumulative,
            ..Description::new(
                "commitment",
                "1",
                "Seats with credits, graduated prices and a minimum commitment.",
                VOCABULARY,
            )
        }
    }

    fn prepare(parameters: Parameters) -> Result<Prepared, Vec<ParameterError>> {
        parameters.prepare()
    }

    fn evaluate(
        deal: &Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let units = usage.needed(measure::UNITS)?;
        if units > deal.call_max {
            let expected = format!("expected at most {}, found {units}", deal.call_max);
            return Err(Rejection::out_of_range(measure::UNITS.name(), expected));
        }
        let before = memory.state.quantity;
        let after = before.checked_add(units).ok_or(Overflow)?;
        let dollars = deal.prices.between(before, after)?;
        memory.state.quantity = after;
        memory.state.charged = memory.state.charged.checked_add(dollars).ok_or(Overflow)?;
        let credits = dollars.checked_times(deal.credits_per_dollar).ok_or(Overflow)?;
        let why = || format!("from {before} to {after} units of the period");
        let charge = outcome
            .charge(charge::UNITS, asset::CREDITS)
            .amount(credits, units, why)?;
        charge.otherwise(asset::USD, dollars)?;
        Ok(())
    }

    fn transition(
        deal: &Prepared,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let period = transition.period();
        let rest = period.rest(transition.time);
        let mut terms = Terms {
            deal,
            period,
            outcome,
        };
        match &transition.change {
            Change::Started => {
                memory.state = State::beginning(period, transition.seats());
                terms.seats(transition.seats(), rest)
            }
            Change::Renewed { remaining } => {
                terms.settle(&memory.state)?;
                memory.state = State::beginning(period, transition.seats());
                terms.seats(transition.seats(), Share::WHOLE)?;
                terms.roll_over(remaining)
            }
            Change::Resumed if memory.state.period != period.index => {
                terms.settle(&memory.state)?;
                memory.state = State::beginning(period, transition.seats());
                terms.seats(transition.seats(), rest)
            }
            Change::SeatsChanged {
                before,
                after,
                proration: Proration::Now,
            } if memory.state.period == period.index => match after >= before {
                true => terms.seats(memory.state.more_seats(*before, *after), rest),
                false => terms.give_back(memory.state.fewer_seats(*before, *after), rest),
            },
            Change::PlanChanged {
                remaining, proration, ..
            } => {
                let seats = transition.seats();
                let (paid, share) = match proration {
                    Proration::Now => (seats, rest),
                    // A period that begins is paid whole; one that goes on is paid to the plan before.
                    Proration::AtPeriodEnd if transition.time <= period.start => (seats, Share::WHOLE),
                    Proration::AtPeriodEnd => (0, Share::NONE),
                };
                memory.state = State::beginning(period, paid);
                terms.seats(seats, share)?;
                terms.roll_over(remaining)
            }
            Change::Cancelled { .. } => terms.settle(&memory.state),
            _ => Ok(()),
        }
    }
}

/// What the deal says about a period.
struct Terms<'a> {
    deal: &'a Prepared,
    period: Period,
    outcome: &'a mut Outcome,
}

impl Terms<'_> {
    /// Fee and credits of so many seats for a share of the period.
    fn seats(&mut self, seats: u32, share: Share) -> Result<(), Rejection> {
        let fee = share.of_each(self.deal.fee, seats)?;
        if fee.is_positive() {
            self.outcome.charge(charge::SEATS, asset::USD).invoice().amount(
                fee,
                Nanos::units(seats.into()),
                || "the fee of a seat, for the part of the period that it covers".to_string(),
            )?;
        }
        let credits = share.of_each(self.deal.credits, seats)?;
        let grant = Grant::included(asset::CREDITS, credits, "Included credits");
        let grant = match self.deal.user_max {
            Some(most) => grant.each("user", most),
            None => grant,
        };
        self.give(grant, credits)
    }

    /// The fee of so many seats for a share of the period comes back, to be used.
    fn give_back(&mut self, seats: u32, share: Share) -> Result<(), Rejection> {
        let fee = share.of_each(self.deal.fee, seats)?;
        if fee.is_positive() {
            self.outcome
                .grant(Grant::promotional(asset::USD, fee, "Unused part of the fee"))?;
        }
        Ok(())
    }

    /// What is left of the credits goes on for another period, up to the cap. It burns first.
    fn roll_over(&mut self, remaining: &[RemainingGrant]) -> Result<(), Rejection> {
        let credits = unused(remaining, asset::CREDITS)?.min(self.deal.rollover_max);
        let grant = Grant::included(asset::CREDITS, credits, "Rolled-over credits");
        self.give(grant.priority(-1), credits)
    }

    /// Credits until the end of the period; of nothing there is no grant.
    fn give(&mut self, grant: Grant, credits: Nanos) -> Result<(), Rejection> {
        if credits.is_positive() {
            self.outcome.grant(grant.expires(self.period.end))?;
        }
        Ok(())
    }

    /// What the usage behind these totals cost less than the minimum.
    fn settle(&mut self, totals: &State) -> Result<(), Rejection> {
        let missing = shortfall(self.deal.minimum, totals.charged)?;
        if missing.is_positive() {
            let (minimum, charged) = (self.deal.minimum, totals.charged);
            self.outcome
                .charge(charge::MINIMUM, asset::USD)
                .invoice()
                .amount(missing, Nanos::units(1), || {
                    format!("{minimum} less {charged} for usage")
                })?;
        }
        Ok(())
    }
}

farebox_plan::export!(Commitment);
