//! A price per outcome that depends on the outcomes before, for tests: the plan in which a correction moves events that gave
//! back, or were given back of.
//!
//! The first two tickets that are resolved in a period cost 1.00 each, those behind them 0.50. Where one is opened again, the
//! event names the resolution and says how much of it comes back; work on it costs 0.10 for each of the period's first ten
//! minutes, then 0.05. It is no example of pricing: every amount is easy to work out by hand.

use farebox_plan::{
    Change, Description, EventRef, Memory, Nanos, Order, Outcome, ParameterError, Plan, Rejection,
    Transition, Usage,
};
use serde::{Deserialize, Serialize};

farebox_plan::vocabulary! {
    assets {
        USD: "usd", "US dollars";
    }
    events {
        RESOLVED: "ticket.resolved";
        REOPENED: "ticket.reopened";
    }
    measures {
        BACK: "back";
        MINUTES: "minutes";
    }
    attributes {
        RESOLUTION: "resolution";
    }
    charges {
        RESOLUTION: "resolution", "Resolutions", "tickets";
        WORK: "work", "Work on tickets that were opened again", "minutes";
    }
}

/// Resolutions of a period at the first price.
const FIRST_RESOLUTIONS: i128 = 2;
/// What one of them costs, in billionths of a dollar; the others cost half.
const RESOLUTION: i128 = 1_000_000_000;
/// Minutes of a period at the first price.
const FIRST_MINUTES: i128 = 10;
/// What one of them costs; the others cost half.
const MINUTE: i128 = 100_000_000;

/// There are none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {}

/// What a period has seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Tickets that were resolved.
    pub resolutions: u32,
    /// Whole minutes of work.
    pub minutes: u32,
}

/// The plan.
#[derive(Debug)]
pub struct GraduatedOutcomes;

/// What `count` units behind `before` others cost: the first ones the whole price, the others half of it.
fn graduated(before: u32, count: u32, first: i128, price: i128) -> Nanos {
    let total = |units: i128| units.min(first) * price + (units - first).max(0) * (price / 2);
    Nanos::new(total(i128::from(before) + i128::from(count)) - total(i128::from(before)))
}

impl Plan for GraduatedOutcomes {
    type Parameters = Parameters;
    type Prepared = ();
    type State = State;
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Cumulative,
            ..Description::new(
                "graduated-outcomes",
                "1",
                "1.00 for each of the first two resolutions of a period, then 0.50; given back as the event says.",
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
        if usage.is(event::RESOLVED) {
            let amount = graduated(memory.state.resolutions, 1, FIRST_RESOLUTIONS, RESOLUTION);
            memory.state.resolutions += 1;
            outcome
                .charge(charge::RESOLUTION, asset::USD)
                .amount(amount, Nanos::units(1), || "a ticket".into())?;
            return Ok(());
        }
        let resolution = EventRef {
            source: "api".into(),
            id: usage.needed_attribute(attribute::RESOLUTION)?.to_string(),
        };
        outcome
            .give_back(charge::RESOLUTION, asset::USD, resolution)
            .amount(usage.needed(measure::BACK)?, Nanos::units(1), || {
                "it was opened again".into()
            })?;
        if let Some(minutes) = usage.measure(measure::MINUTES) {
            let whole = u32::try_from(minutes.get() / Nanos::units(1).get()).unwrap_or(0);
            let amount = graduated(memory.state.minutes, whole, FIRST_MINUTES, MINUTE);
            memory.state.minutes += whole;
            outcome
                .charge(charge::WORK, asset::USD)
                .amount(amount, minutes, || "by the minute".into())?;
        }
        Ok(())
    }

    fn transition(
        (): &(),
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        _: &mut Outcome,
    ) -> Result<(), Rejection> {
        if matches!(transition.change, Change::Started | Change::Renewed { .. }) {
            memory.state = State::default();
        }
        Ok(())
    }
}

farebox_plan::export!(GraduatedOutcomes);
