//! A plan for the engine's tests: two assets, and prices that depend on other calls and on those of the same task.
//!
//! The first hundred steps are taken from a pool, for a credit each; further ones cost half a dollar. From the third call of a
//! task on, each takes ten steps more. It is no example of pricing: every amount is easy to work out by hand.

use farebox_plan::{
    Change, Description, Grant, Memory, Nanos, Order, Outcome, ParameterError, Plan, Rejection, Transition,
    Usage,
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
        POOL: "pool", "Steps from the pool", "steps";
        BEYOND: "beyond", "Steps beyond the pool", "steps";
    }
}

/// Steps in the pool.
pub const POOL_STEPS: i64 = 100;
/// Calls of a task that take no more steps than they say.
pub const SHORT_CALLS: u32 = 2;
/// Steps that each further one takes on top.
pub const LONG_STEPS: i64 = 10;

/// What a subscription begins with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// So many grants of a credit each.
    #[serde(default)]
    gifts: u32,
    /// Each period has a pool of its own.
    #[serde(default)]
    monthly: bool,
}

/// What is remembered of a subscription.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    steps: i64,
}

/// The plan.
#[derive(Debug)]
pub struct Tasks;

impl Plan for Tasks {
    type Parameters = Parameters;
    type Prepared = Parameters;
    type State = State;
    type Subject = u32;
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Sequential,
            // The package `plain-tasks` is the same plan without tasks.
            subject: (env!("CARGO_PKG_NAME") == "engine-tasks").then_some(attribute::TASK),
            ..Description::new(
                "engine-tasks",
                "1",
                "Steps from a pool, then for dollars; long tasks take more.",
                VOCABULARY,
            )
        }
    }

    fn prepare(parameters: Parameters) -> Result<Parameters, Vec<ParameterError>> {
        Ok(parameters)
    }

    fn transition(
        parameters: &Parameters,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        match transition.change {
            Change::Started => {
                for _ in 0..parameters.gifts {
                    outcome.grant(Grant::promotional(asset::CREDITS, Nanos::units(1), "gift"))?;
                }
            }
            Change::Renewed { .. } if parameters.monthly => memory.state.steps = 0,
            _ => {}
        }
        Ok(())
    }

    fn evaluate(
        _: &Parameters,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let quantity = usage.needed(measure::STEPS)?;
        let stated = i64::try_from(quantity.get() / Nanos::units(1).get())
            .ok()
            .filter(|steps| (0..=1_000_000).contains(steps))
            .ok_or_else(|| {
                Rejection::out_of_range(measure::STEPS.name(), "expected at most a million".to_string())
            })?;
        let calls = memory.subject.get().copied().unwrap_or(0) + 1;
        let is_long = memory.subject.name().is_some() && calls > SHORT_CALLS;
        memory.subject.keep(calls, usage.time().plus_days(10));
        let steps = stated + if is_long { LONG_STEPS } else { 0 };
        let pool = (POOL_STEPS - memory.state.steps).clamp(0, steps);
        let beyond = steps - pool;
        memory.state.steps += steps;
        if pool > 0 {
            let amount = Nanos::units(pool);
            outcome
                .charge(charge::POOL, asset::CREDITS)
                .amount(amount, amount, || "a credit each".into())?;
        }
        if beyond > 0 {
            let half = Nanos::new(Nanos::units(beyond).get() / 2);
            outcome
                .charge(charge::BEYOND, asset::USD)
                .amount(half, Nanos::units(beyond), || "half a dollar each".into())?;
        }
        Ok(())
    }
}

#[cfg(feature = "component")]
farebox_plan::export!(Tasks);
