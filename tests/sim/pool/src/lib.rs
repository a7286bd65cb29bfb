//! A plan that remembers, for the simulator: a pool of credits with each period, a price that rises with use, dollars where
//! the pool is empty, a fee on the statement, rollover, a timer that gives to each task, and tasks whose third call costs half.
//!
//! It is no example of pricing. It is there so that every way in which a plan can change a wallet happens at random. The
//! package `sim-later-pool` is the same plan a version later.

use farebox_plan::{
    Change, Decimal, Description, Grant, Memory, Nanos, Order, Outcome, ParameterError, Per, Plan, Pointer,
    Rate, Rejection, Transition, Usage,
};
use serde::{Deserialize, Serialize};

farebox_plan::vocabulary! {
    assets {
        CREDITS: "credits", "Credits";
        USD: "usd", "US dollars";
    }
    events {
        CALL: "tool.call";
    }
    measures {
        STEPS: "steps";
    }
    attributes {
        TASK: "task";
    }
    charges {
        STEPS: "steps", "Steps", "steps";
        FEE: "fee", "Base fee", "periods";
    }
}

/// What a revision changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Credits for a step, as long as few were made in the period.
    low: Decimal,
    /// Credits for a step beyond [`LOW_STEPS`] in a period.
    high: Decimal,
    /// Dollars for a step where the pool is empty.
    dollars: Decimal,
    /// Whether it has no answer to anything that happens to a subscription.
    #[serde(default)]
    deaf: bool,
}

/// [`Parameters`], multiplied out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    low: Rate,
    high: Rate,
    dollars: Rate,
    deaf: bool,
}

/// Steps of a period at the low price.
const LOW_STEPS: i64 = 100;
/// Credits that come with a period.
const POOL: i64 = 60;
/// Dollars of the fee for a period.
const FEE: i64 = 5;
/// Days between two gifts.
const GIFT_DAYS: i64 = 3;
/// Calls of a task after which one costs half.
pub const TASK_CALLS: u32 = 3;
/// Days for which a task is remembered.
pub const TASK_DAYS: i64 = 10;

/// What is remembered of a subscription: how many steps were made in which period.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct State {
    period: u32,
    steps: i64,
}

/// The plan.
#[derive(Debug)]
pub struct Pool;

impl Plan for Pool {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = State;
    type Subject = u32;
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Sequential,
            subject: Some(attribute::TASK),
            ..Description::new(
                "sim-pool",
                "1",
                "Steps from a pool, then for dollars.",
                VOCABULARY,
            )
        }
    }

    fn prepare(parameters: Parameters) -> Result<Prepared, Vec<ParameterError>> {
        Prepared::new(&parameters)
    }

    fn evaluate(
        prepared: &Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let calls = memory.subject.get().copied().unwrap_or(0) + 1;
        let half = memory.subject.name().is_some() && calls.is_multiple_of(TASK_CALLS);
        memory.subject.keep(calls, usage.time().plus_days(TASK_DAYS));
        prepared.price(usage, &mut memory.state, half, outcome)
    }

    /// Never at half price: which call of its task it will be is not known yet.
    fn worst_case(
        prepared: &Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        prepared.price(usage, &mut memory.state, false, outcome)
    }

    fn transition(
        prepared: &Prepared,
        transition: &Transition<'_>,
        _: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        prepared.change(transition, outcome)
    }
}

impl Prepared {
    /// Multiplies parameters out.
    pub fn new(parameters: &Parameters) -> Result<Prepared, Vec<ParameterError>> {
        let rate = |name: &str, price| {
            Rate::new(price, Per::Unit)
                .map_err(|error| vec![Pointer::root().key(name).error(error.to_string())])
        };
        Ok(Prepared {
            low: rate("low", parameters.low)?,
            high: rate("high", parameters.high)?,
            dollars: rate("dollars", parameters.dollars)?,
            deaf: parameters.deaf,
        })
    }

    /// What happens to a subscription.
    pub fn change(&self, transition: &Transition<'_>, outcome: &mut Outcome) -> Result<(), Rejection> {
        if self.deaf {
            return Err(Rejection::NotAllowed("deaf".into()));
        }
        let (period, now) = (transition.period(), transition.time);
        let pool = Grant::included(asset::CREDITS, Nanos::units(POOL), "pool").expires(period.end);
        let fee = Nanos::units(FEE);
        match &transition.change {
            Change::Started => {
                outcome.grant(pool)?;
                outcome
                    .charge(charge::FEE, asset::USD)
                    .invoice()
                    .amount(fee, Nanos::units(1), || "started".into())?;
                outcome.timer("gift", now.plus_days(GIFT_DAYS));
            }
            Change::Renewed { remaining } => {
                outcome.grant(pool)?;
                outcome
                    .charge(charge::FEE, asset::USD)
                    .invoice()
                    .amount(fee, Nanos::units(1), || "renewed".into())?;
                let left: i128 = remaining.iter().map(|grant| grant.remaining.get()).sum();
                let rolled = Nanos::new(left / 2);
                if rolled.is_positive() {
                    outcome.grant(
                        Grant::included(asset::CREDITS, rolled, "rollover")
                            .expires(period.end)
                            .priority(-1),
                    )?;
                }
            }
            Change::Due { .. } => {
                let gift = Grant::promotional(asset::CREDITS, Nanos::units(2), "gift");
                let gift = gift.each(attribute::TASK.name(), Nanos::units(1));
                outcome.grant(gift.expires(now.plus_days(2)))?;
                outcome.timer("gift", now.plus_days(GIFT_DAYS));
            }
            _ => {}
        }
        Ok(())
    }

    /// A call's price. At `half` of it where its task has it so.
    pub fn price(
        &self,
        usage: &Usage<'_>,
        state: &mut State,
        half: bool,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let quantity = usage.needed(measure::STEPS)?;
        let steps = i64::try_from(quantity.get() / Nanos::units(1).get())
            .ok()
            .filter(|steps| *steps <= 1_000_000)
            .ok_or_else(|| {
                Rejection::out_of_range(measure::STEPS.name(), "expected at most a million".to_string())
            })?;
        if state.period != usage.period().index {
            *state = State {
                period: usage.period().index,
                steps: 0,
            };
        }
        let low = (LOW_STEPS - state.steps).clamp(0, steps);
        state.steps += steps;
        let whole =
            self.low.price(Nanos::units(low))?.get() + self.high.price(Nanos::units(steps - low))?.get();
        let share = if half { 2 } else { 1 };
        let dollars = self.dollars.price(Nanos::units(steps))?.get();
        outcome
            .charge(charge::STEPS, asset::CREDITS)
            .amount(Nanos::new(whole / share), Nanos::units(steps), || {
                "by steps of the period".into()
            })?
            .otherwise(asset::USD, Nanos::new(dollars / share))?;
        Ok(())
    }
}

#[cfg(feature = "component")]
farebox_plan::export!(Pool);
