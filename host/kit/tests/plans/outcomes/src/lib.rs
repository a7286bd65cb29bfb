//! A price per outcome, for tests: the plan in which an event takes back what an earlier one was charged.
//!
//! A ticket that was resolved costs 0.99. Where it is opened again, the event names the resolution, and its 0.99 comes back;
//! work on it costs 0.10 for each minute. It is no example of pricing: every amount is easy to work out by hand.

use farebox_plan::{Description, EventRef, Memory, Nanos, Outcome, ParameterError, Plan, Rejection, Usage};
use serde::Deserialize;

farebox_plan::vocabulary! {
    assets {
        USD: "usd", "US dollars";
    }
    events {
        RESOLVED: "ticket.resolved";
        REOPENED: "ticket.reopened";
    }
    measures {
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

/// What a resolution costs, in billionths of a dollar.
const RESOLUTION: i128 = 990_000_000;
/// What a minute of work costs.
const MINUTE: i128 = 100_000_000;

/// There are none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {}

/// The plan.
#[derive(Debug)]
pub struct Outcomes;

impl Plan for Outcomes {
    type Parameters = Parameters;
    type Prepared = ();
    type State = ();
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description::new(
            "outcomes",
            "1",
            "0.99 for a resolution, given back when its ticket is opened again.",
            VOCABULARY,
        )
    }

    fn prepare(_: Parameters) -> Result<(), Vec<ParameterError>> {
        Ok(())
    }

    fn evaluate(
        (): &(),
        usage: &Usage<'_>,
        _: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        if usage.is(event::RESOLVED) {
            outcome.charge(charge::RESOLUTION, asset::USD).amount(
                Nanos::new(RESOLUTION),
                Nanos::units(1),
                || "a ticket".into(),
            )?;
            return Ok(());
        }
        let resolution = EventRef {
            source: "api".into(),
            id: usage.needed_attribute(attribute::RESOLUTION)?.to_string(),
        };
        outcome
            .give_back(charge::RESOLUTION, asset::USD, resolution)
            .amount(Nanos::new(RESOLUTION), Nanos::units(1), || {
                "it was opened again".into()
            })?;
        if let Some(minutes) = usage.measure(measure::MINUTES) {
            let amount = Nanos::new(MINUTE * (minutes.get() / Nanos::units(1).get()));
            outcome
                .charge(charge::WORK, asset::USD)
                .amount(amount, minutes, || "by the minute".into())?;
        }
        Ok(())
    }
}

farebox_plan::export!(Outcomes);
