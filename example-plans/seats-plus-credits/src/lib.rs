//! A fee for each seat, with credits that all seats share, or of which each user has those of one: the plan [`hybrid`], once
//! for every seat.
//!
//! Seats come and go in the middle of a period: who comes pays the rest of it and brings the credits of the rest; for who
//! goes the rest of what was paid comes back as money to use, and the credits stay.

mod state;

use farebox_plan::{Description, Memory, Outcome, ParameterError, Plan, Rejection, Transition, Usage};
use hybrid::{Parameters, Prepared, Terms, charge_usage};

pub use hybrid::VOCABULARY;
pub use state::State;

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
        let terms = Terms::new(deal, transition.period(), transition.seats(), outcome);
        memory.state.carry_out(transition, terms)
    }
}

farebox_plan::export!(SeatsPlusCredits);
