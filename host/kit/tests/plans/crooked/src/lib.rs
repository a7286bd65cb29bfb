//! A plan that breaks one rule, the one that its parameters name: for the tests of what finds that.
//!
//! A token costs a billionth of a dollar; what else it charges is the fault.

use std::cell::Cell;

use farebox_plan::{
    Change, Description, EventRef, Memory, Nanos, Order, Outcome, ParameterError, Plan, Purpose, Rejection,
    Transition, Usage,
};
use serde::{Deserialize, Serialize};

farebox_plan::vocabulary! {
    assets {
        USD: "usd", "US dollars";
    }
    events {
        CALL: "llm.call";
    }
    measures {
        TOKENS: "tokens";
    }
    attributes {
        EVENT: "event.id";
    }
    charges {
        TOKENS: "tokens", "Tokens", "tokens";
    }
}

/// What is wrong with the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing.
    None,
    /// More than a million tokens are more than it can count.
    Traps,
    /// It cannot count a second time.
    TrapsTogether,
    /// Each call in one instance costs a little more.
    Remembers,
    /// A quote is half of what it costs.
    QuotesTooLittle,
    /// It gives back twice what the event before was charged.
    GivesBackTwice,
    /// It says that prices depend on nothing but the event, and counts events.
    Counts,
    /// It cannot rest.
    CannotRest,
}

/// What is wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    fault: Fault,
}

/// What it remembers of a subscription.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    events: i64,
    /// The event before, and what it was charged.
    before: Option<(String, i64)>,
}

thread_local! {
    /// What a plan must not have.
    static CALLS: Cell<i64> = const { Cell::new(0) };
}

/// The plan.
#[derive(Debug)]
pub struct Crooked;

impl Plan for Crooked {
    type Parameters = Parameters;
    type Prepared = Fault;
    type State = State;
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Independent,
            ..Description::new("crooked", "1", "Breaks one rule of your choice.", VOCABULARY)
        }
    }

    fn prepare(parameters: Parameters) -> Result<Fault, Vec<ParameterError>> {
        Ok(parameters.fault)
    }

    fn evaluate(
        fault: &Fault,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let tokens = usage.quantity(measure::TOKENS)?.unwrap_or(Nanos::ZERO);
        let million = Nanos::units(1_000_000);
        assert!(*fault != Fault::Traps || tokens <= million, "too many to count");
        let tokens_whole = tokens.get() / Nanos::units(1).get();
        let more = match fault {
            Fault::Remembers => calls(),
            Fault::TrapsTogether => {
                assert!(calls() < 2, "it has counted already");
                0
            }
            Fault::Counts => i128::from(memory.state.events),
            Fault::QuotesTooLittle if usage.purpose() == Purpose::WorstCase => -(tokens_whole / 2),
            _ => 0,
        };
        let amount = tokens_whole + more;
        outcome
            .charge(charge::TOKENS, asset::USD)
            .amount(Nanos::new(amount), tokens, || "a token".into())?;
        if *fault == Fault::Counts {
            memory.state.events += 1;
        }
        if *fault == Fault::GivesBackTwice {
            give_back_twice(usage, memory, outcome, amount)?;
        }
        Ok(())
    }

    fn transition(
        fault: &Fault,
        transition: &Transition<'_>,
        _: &mut Memory<Self>,
        _: &mut Outcome,
    ) -> Result<(), Rejection> {
        let rests = matches!(transition.change, Change::Paused);
        assert!(*fault != Fault::CannotRest || !rests, "it cannot rest");
        Ok(())
    }
}

/// How often this was asked in this instance.
fn calls() -> i128 {
    CALLS.with(|calls| {
        calls.set(calls.get() + 1);
        i128::from(calls.get())
    })
}

fn give_back_twice(
    usage: &Usage<'_>,
    memory: &mut Memory<Crooked>,
    outcome: &mut Outcome,
    amount: i128,
) -> Result<(), Rejection> {
    if let Some((id, charged)) = memory.state.before.take() {
        let event = EventRef {
            source: "api".into(),
            id,
        };
        let twice = Nanos::new(2 * i128::from(charged));
        outcome
            .give_back(charge::TOKENS, asset::USD, event)
            .amount(twice, Nanos::units(1), || "twice".into())?;
    }
    let id = usage.attribute(attribute::EVENT).unwrap_or_default();
    if amount > 0 {
        memory.state.before = Some((id.into(), i64::try_from(amount).map_err(|_| Rejection::Overflow)?));
    }
    Ok(())
}

farebox_plan::export!(Crooked);
