//! The plan of `tests/tasks` a version later: it remembers the same in another form, and a step beyond the pool costs a dollar
//! instead of half of one. What it does not take over it refuses, and more than a million steps it does not survive.

use engine_tasks::{LONG_STEPS, POOL_STEPS, SHORT_CALLS, VOCABULARY, asset, attribute, charge, measure};
use farebox_plan::{Description, Memory, Nanos, Order, Outcome, ParameterError, Plan, Rejection, Usage};
use serde::{Deserialize, Serialize};

/// What a subscription may have used to be taken over.
const STEPS_TAKEN_OVER_MAX: i64 = 1_000;
/// Steps of one call that it survives.
const STEPS_SURVIVED_MAX: i64 = 1_000_000;
/// Calls that a task may have had.
const CALLS_TAKEN_OVER_MAX: u32 = 9;

/// Nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {}

/// What is remembered of a subscription.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Steps, counted twice, so that it cannot be taken for what the version before wrote.
    half_steps: i64,
}

/// What is remembered of a task.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    name: String,
    calls: u32,
}

/// The plan.
#[derive(Debug)]
pub struct LaterTasks;

impl Plan for LaterTasks {
    type Parameters = Parameters;
    type Prepared = ();
    type State = State;
    type Subject = Task;
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Sequential,
            // The package `plain-later-tasks` is the same plan without tasks.
            subject: (env!("CARGO_PKG_NAME") == "engine-later-tasks").then_some(attribute::TASK),
            state_version: 1,
            ..Description::new(
                // What is remembered of a task belongs to the plan of that name.
                "engine-tasks",
                "2",
                "Steps from a pool, then for dollars; long tasks take more.",
                VOCABULARY,
            )
        }
    }

    fn prepare(_: Parameters) -> Result<(), Vec<ParameterError>> {
        Ok(())
    }

    fn evaluate(
        (): &(),
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let quantity = usage.needed(measure::STEPS)?;
        let stated = i64::try_from(quantity.get() / Nanos::units(1).get()).unwrap_or(0);
        assert!(stated <= STEPS_SURVIVED_MAX, "{stated} steps");
        let before = memory.subject.get().map_or(0, |task| task.calls);
        let calls = before.saturating_add(1);
        let name = memory.subject.name().unwrap_or_default().to_string();
        let is_long = !name.is_empty() && calls > SHORT_CALLS;
        let steps = stated + if is_long { LONG_STEPS } else { 0 };
        memory
            .subject
            .keep(Task { name, calls }, usage.time().plus_days(10));
        let used = memory.state.half_steps / 2;
        let pool = (POOL_STEPS - used).clamp(0, steps);
        memory.state.half_steps += 2 * steps;
        for (steps, of, asset) in [
            (pool, charge::POOL, asset::CREDITS),
            (steps - pool, charge::BEYOND, asset::USD),
        ] {
            let amount = Nanos::units(steps);
            if steps > 0 {
                outcome
                    .charge(of, asset)
                    .amount(amount, amount, || "one each".into())?;
            }
        }
        Ok(())
    }

    fn migrate_state(from: u32, state: &[u8]) -> Result<State, String> {
        let steps: i64 = earlier(from, state)?;
        if steps > STEPS_TAKEN_OVER_MAX {
            return Err(format!("{steps} steps are more than are taken over"));
        }
        Ok(State {
            half_steps: 2 * steps,
        })
    }

    fn migrate_subject(from: u32, state: &[u8]) -> Result<Task, String> {
        let calls: u32 = earlier(from, state)?;
        if calls > CALLS_TAKEN_OVER_MAX {
            return Err(format!("{calls} calls are more than are taken over"));
        }
        Ok(Task {
            name: "taken over".into(),
            calls,
        })
    }
}

/// What version 0 remembered: a number.
fn earlier<'s, T: Deserialize<'s>>(from: u32, state: &'s [u8]) -> Result<T, String> {
    match from {
        0 => postcard::from_bytes(state).map_err(|error| error.to_string()),
        from => Err(format!("there is no version {from} before this one")),
    }
}

#[cfg(feature = "component")]
farebox_plan::export!(LaterTasks);
