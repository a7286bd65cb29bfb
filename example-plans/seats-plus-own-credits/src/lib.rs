//! A fee for each seat, and credits that are each seat's own.
//!
//! A grant that only one seat's usage may burn is what keeps seats apart; so the ledger does it, in holds too, and what a seat
//! has is in its balance. A seat gets its credits when it is given to somebody (`seat.assigned`), and from then on when a period
//! begins, by a timer of its own: nobody has to name all seats at once. In a period no more seats have credits than are paid.

mod parameters;
mod seat;

use farebox_plan::{
    Attribute, Change, Description, EventType, Memory, Order, Outcome, ParameterError, Plan, Proration,
    Rejection, Transition, Usage, Vocabulary,
};
use hybrid::{Terms, charge_usage};

pub use parameters::{Parameters, Prepared};
use seat::{CREDITS, Seats};
pub use seat::{Seat, State};

/// What this plan reads besides what [`hybrid`] does, behind that.
const ASSIGNED: EventType = EventType::new(2, "seat.assigned");
const REMOVED: EventType = EventType::new(3, "seat.removed");
const SEAT: Attribute = Attribute::new(4, "seat");
const EVENT_SOURCE: Attribute = Attribute::new(5, "event.source");
const EVENT_ID: Attribute = Attribute::new(6, "event.id");

/// Everything that this plan names.
pub const VOCABULARY: Vocabulary = Vocabulary {
    events: &[hybrid::event::CALL, hybrid::event::ACTION, ASSIGNED, REMOVED],
    attributes: &[
        hybrid::attribute::MODEL,
        hybrid::attribute::SERVICE_TIER,
        hybrid::attribute::INFERENCE_REGION,
        hybrid::attribute::ACTION,
        SEAT,
        EVENT_SOURCE,
        EVENT_ID,
    ],
    ..hybrid::VOCABULARY
};

/// The plan. All amounts of its [`Parameters`] are for one seat.
#[derive(Debug)]
pub struct SeatsPlusOwnCredits;

impl Plan for SeatsPlusOwnCredits {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = State;
    type Subject = Seat;
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    fn describe() -> Description {
        Description {
            wants_cost: true,
            order: Order::Sequential,
            subject: Some(SEAT),
            ..Description::new(
                "seats-plus-own-credits",
                env!("CARGO_PKG_VERSION"),
                "A fee for each seat, and credits that are each seat's own.",
                VOCABULARY,
            )
        }
    }

    fn prepare(parameters: Parameters) -> Result<Prepared, Vec<ParameterError>> {
        parameters.prepare()
    }

    fn evaluate(
        prepared: &Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        if !usage.is(ASSIGNED) && !usage.is(REMOVED) {
            return charge_usage(&prepared.deal, usage, outcome);
        }
        usage.needed_attribute(SEAT)?;
        let this = usage
            .reference()
            .ok_or_else(|| Rejection::missing(EVENT_ID.name(), "the host says which event it is"))?;
        let mut seats = Seats {
            each: prepared.credits,
            period: usage.period(),
            seats: usage.seats(),
            now: usage.time(),
            memory,
            outcome,
        };
        match usage.is(ASSIGNED) {
            true => seats.assign(this),
            false => {
                seats.remove(this);
                Ok(())
            }
        }
    }

    fn transition(
        prepared: &Prepared,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let (period, now) = (transition.period(), transition.time);
        let mut seats = Seats {
            each: prepared.credits,
            period,
            seats: transition.seats(),
            now,
            memory,
            outcome,
        };
        match &transition.change {
            Change::Due { key } if key == CREDITS => seats.due(),
            Change::Reversed { event, .. } => seats.take_back(event),
            Change::SeatsChanged {
                before,
                after,
                proration,
            } => {
                // At the end of a period the renewal counts them; in one that nobody paid, because of a pause, the return does.
                if *proration == Proration::AtPeriodEnd || memory.state.terms.period != period.index {
                    return Ok(());
                }
                let rest = period.rest(now);
                let mut terms = Terms::new(&prepared.deal, period, before.abs_diff(*after), outcome);
                match after > before {
                    true => {
                        memory.state.add(after - before);
                        terms.begin(rest, None)
                    }
                    false => {
                        memory.state.take(before - after);
                        terms.give_back(rest)
                    }
                }
            }
            _ => {
                let terms = Terms::new(&prepared.deal, period, transition.seats(), outcome);
                carry_out(terms, transition, &mut memory.state)
            }
        }
    }
}

/// What follows for the fee, and how many seats are paid by it.
fn carry_out(mut terms: Terms<'_>, transition: &Transition<'_>, state: &mut State) -> Result<(), Rejection> {
    let (period, seats, now) = (transition.period(), transition.seats(), transition.time);
    let was_paid = state.terms.period == period.index;
    terms.carry_out(transition, &mut state.terms)?;
    match &transition.change {
        Change::Started => state.serve(now),
        Change::PlanChanged { proration, .. } => {
            state.serve(now);
            if *proration == Proration::AtPeriodEnd && now > period.start {
                // It goes on, and was paid to the plan before.
                state.begin(0, now);
                return Ok(());
            }
        }
        Change::Renewed { .. } => {}
        Change::Resumed if !was_paid => {}
        _ => return Ok(()),
    }
    state.begin(seats, now.max(period.start));
    Ok(())
}

farebox_plan::export!(SeatsPlusOwnCredits);
