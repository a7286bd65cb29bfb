//! A fee for each seat, with credits that all seats share: the plan [`hybrid`], once for every seat.
//!
//! Seats come and go in the middle of a period: who comes pays the rest of it and brings the credits of the rest; for who
//! goes the rest of the fee comes back as money to use, and the credits stay.

use farebox_plan::{
    Change, Description, Memory, Outcome, ParameterError, Plan, Proration, Rejection, Transition, Usage,
};
use hybrid::{Parameters, Prepared, State, Terms, charge_usage};

pub use hybrid::VOCABULARY;

/// The plan. All amounts of its [`Parameters`] are for one seat.
#[derive(Debug)]
pub struct SeatsPlusCredits;

impl Plan for SeatsPlusCredits {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = State;
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    fn describe() -> Description {
        Description {
            wants_cost: true,
            ..Description::new(
                "seats-plus-credits",
                env!("CARGO_PKG_VERSION"),
                "A fee for each seat, with credits that all seats share.",
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
        _: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        charge_usage(deal, usage, outcome)
    }

    fn transition(
        deal: &Prepared,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let period = transition.period();
        let Change::SeatsChanged {
            before,
            after,
            proration,
        } = transition.change
        else {
            let mut terms = Terms::new(deal, period, transition.seats(), outcome);
            return terms.carry_out(transition, &mut memory.state);
        };
        // At the end of a period the renewal counts them; in one that nobody paid, because of a pause, the return does.
        if proration == Proration::AtPeriodEnd || memory.state.period != period.index {
            return Ok(());
        }
        let rest = period.rest(transition.time);
        let mut terms = Terms::new(deal, period, before.abs_diff(after), outcome);
        match after > before {
            true => terms.begin(rest, None),
            false => terms.give_back(rest),
        }
    }
}

farebox_plan::export!(SeatsPlusCredits);
