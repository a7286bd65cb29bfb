//! Seats at a price per period, on the statement; calls, of which the first 100 of a period are free.

use farebox_plan::*;

vocabulary! {
    assets { USD: "usd", "US dollars"; }
    events { CALL: "team.call"; }
    measures { CALLS: "calls"; }
    attributes { }
    charges {
        SEATS: "seats", "Seats", "seats";
        CALLS: "calls", "Calls", "calls";
    }
}

/// What a seat costs for a period, in whole US dollars.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    seat: u32,
}

/// The plan.
pub struct Team;

/// Calls of a period that cost nothing; each one beyond costs a dollar.
const FREE: Nanos = Nanos::units(100);

impl Plan for Team {
    type Parameters = PriceList;
    type Prepared = u32;
    /// Calls so far, in nanos.
    type State = i64;
    type Subject = ();

    const PARAMETERS_SCHEMA: &str = r#"{"type": "object", "properties": {"seat": {"type": "integer"}}}"#;

    fn describe() -> Description {
        Description {
            order: Order::Cumulative,
            ..Description::new("team", "0.1.0", "Seats and calls.", VOCABULARY)
        }
    }

    fn prepare(list: PriceList) -> Result<u32, Vec<ParameterError>> {
        Ok(list.seat)
    }

    fn evaluate(_: &u32, usage: &Usage, memory: &mut Memory<Self>, outcome: &mut Outcome) -> Result<(), Rejection> {
        let calls = usage.needed(measure::CALLS)?;
        let beyond = |count: i128| (count - FREE.get()).max(0);
        let before = i128::from(memory.state);
        let after = before + calls.get();
        let amount = Nanos::new(beyond(after) - beyond(before));
        memory.state = i64::try_from(after).map_err(|_| Overflow)?;
        outcome
            .charge(charge::CALLS, asset::USD)
            .amount(amount, calls, || "beyond 100".to_string())?;
        Ok(())
    }

    fn transition(
        seat: &u32,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let price = |seats: u32| Nanos::new(Nanos::units(i64::from(*seat)).get() * i128::from(seats));
        let (seats, amount) = match &transition.change {
            Change::Started | Change::Renewed { .. } => {
                memory.state = 0;
                (transition.seats(), price(transition.seats()))
            }
            Change::SeatsChanged {
                before,
                after,
                proration: Proration::Now,
            } if after > before => {
                let whole = price(after - before);
                (after - before, transition.period().prorate(whole, transition.time)?)
            }
            _ => return Ok(()),
        };
        outcome
            .charge(charge::SEATS, asset::USD)
            .invoice()
            .amount(amount, Nanos::units(i64::from(seats)), || "a seat".to_string())?;
        Ok(())
    }
}

farebox_plan::export!(Team);
