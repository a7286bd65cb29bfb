//! A price for each outcome: a conversation that was resolved, a task that was done. Nothing is charged for trying.
//!
//! An outcome is claimed by an event, and counts when somebody confirms it or nobody objects in time. What counts is charged
//! once, however often it is claimed; where somebody comes back within the reversal window, what was charged is given back, in
//! whatever period that is.

mod parameters;
mod state;
mod terms;

use farebox_plan::{
    Change, Charged, Claim, Description, EventRef, Instant, Memory, Nanos, Order, Outcome, ParameterError,
    Plan, Progress, Rejection, Transition, Usage,
};

pub use parameters::{Parameters, Prepared};
pub use state::State;

use crate::terms::Terms;

farebox_plan::vocabulary! {
    assets {
        USD: "usd", "US dollars";
        EUR: "eur", "Euros";
    }
    events {
        CLAIMED: "outcome.claimed";
        CONFIRMED: "outcome.confirmed";
        OBJECTED: "outcome.objected";
    }
    measures {}
    attributes {
        SUBJECT: "conversation";
        KIND: "outcome";
        EVENT_SOURCE: "event.source";
        EVENT_ID: "event.id";
    }
    charges {
        OUTCOME: "outcomes", "Outcomes", "outcomes";
        SEATS: "seats", "Seats", "seats";
        MINIMUM: "minimum", "Minimum commitment", "periods";
    }
}

/// The timer that ends the wait for an objection.
const DEADLINE: &str = "deadline";

/// The plan.
#[derive(Debug)]
pub struct PerOutcome;

impl Plan for PerOutcome {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = State;
    type Subject = Progress;
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    fn describe() -> Description {
        Description {
            order: Order::Sequential,
            subject: Some(attribute::SUBJECT),
            ..Description::new(
                "per-outcome",
                env!("CARGO_PKG_VERSION"),
                "A price for each outcome that counts, given back where somebody objects later.",
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
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        if memory.subject.name().is_none() {
            return Err(Rejection::missing(
                attribute::SUBJECT.name(),
                "this plan prices what came of it",
            ));
        }
        let period = usage.period().index;
        if usage.is(event::CLAIMED) {
            claim(deal, usage, memory, outcome)
        } else if usage.is(event::CONFIRMED) {
            confirm(deal, usage, memory, outcome, period)
        } else {
            object(deal, usage, memory, outcome, period)
        }
    }

    fn transition(
        deal: &Prepared,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        match &transition.change {
            Change::Due { .. } => keep(deal, transition, memory, outcome),
            Change::Reversed { event, .. } => take_back(event, transition, memory),
            _ => Terms::new(deal, transition.period(), outcome).carry_out(transition, &mut memory.state),
        }
    }
}

/// The work is done, and nobody has said yet whether it is good.
fn claim(
    deal: &Prepared,
    usage: &Usage<'_>,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
) -> Result<(), Rejection> {
    let kind = usage.needed_attribute(attribute::KIND)?;
    if deal.ignores(kind) {
        return Ok(());
    }
    deal.price(kind)?;
    let Some(pending) = Progress::claimed(memory.subject.get(), kind, reference(usage)?) else {
        return Ok(());
    };
    let (until, forgotten) = deal.wait(usage.time());
    memory.subject.keep(pending, forgotten);
    match until {
        Some(until) => outcome.timer(DEADLINE, until),
        None => outcome.cancel_timer(DEADLINE),
    }
    Ok(())
}

/// Somebody says that it is good, or it is of a kind that needs no more.
fn confirm(
    deal: &Prepared,
    usage: &Usage<'_>,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
    period: u32,
) -> Result<(), Rejection> {
    let kind = usage.attribute(attribute::KIND);
    if kind.is_some_and(|kind| deal.ignores(kind)) {
        return Ok(());
    }
    let Some(claim) = Progress::confirmed(memory.subject.get(), kind, reference(usage)?) else {
        return Ok(());
    };
    earn(deal, claim, usage.time(), memory, outcome, period)?;
    outcome.cancel_timer(DEADLINE);
    Ok(())
}

/// Nobody objected in time.
fn keep(
    deal: &Prepared,
    transition: &Transition<'_>,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
) -> Result<(), Rejection> {
    match memory.subject.get().and_then(Progress::kept) {
        Some(claim) => {
            let period = transition.period().index;
            earn(deal, claim, transition.time, memory, outcome, period)
        }
        None => Ok(()),
    }
}

/// Somebody comes back: what was pending is nothing, what was charged is given back.
fn object(
    deal: &Prepared,
    usage: &Usage<'_>,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
    period: u32,
) -> Result<(), Rejection> {
    outcome.cancel_timer(DEADLINE);
    let charged = memory.subject.get().and_then(Progress::charged).cloned();
    memory.subject.forget();
    let Some(Charged {
        event, amount, at, ..
    }) = charged
    else {
        return Ok(());
    };
    if deal.remembered(at) <= usage.time() || !amount.is_positive() {
        return Ok(());
    }
    outcome
        .give_back(charge::OUTCOME, deal.currency(), event)
        .amount(amount, Nanos::units(1), || "somebody came back".into())?;
    memory.state.less(period, amount)
}

/// An event is taken back. The host gives back what was charged for it; another claim may come.
fn take_back(
    event: &EventRef,
    transition: &Transition<'_>,
    memory: &mut Memory<PerOutcome>,
) -> Result<(), Rejection> {
    let Some(progress) = memory.subject.get() else {
        return Ok(());
    };
    let waits = progress.kept().is_some_and(|claim| claim.event == *event);
    let charged = progress.charged().filter(|charged| charged.event == *event);
    if let Some(charged) = charged {
        let present = transition.period();
        // Before the period was kept, nothing told a deadline at its end from what counts behind it.
        let known = || (present.start <= charged.at).then_some(present.index);
        if let Some(period) = charged.period.0.or_else(known) {
            memory.state.never(period, charged.at, charged.amount)?;
        }
    } else if !waits {
        return Ok(());
    }
    memory.subject.forget();
    Ok(())
}

/// An outcome counts: it is charged, and remembered for as long as it can be given back.
fn earn(
    deal: &Prepared,
    claim: Claim,
    at: Instant,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
    period: u32,
) -> Result<(), Rejection> {
    let amount = deal.price(&claim.kind)?;
    outcome
        .charge(charge::OUTCOME, deal.currency())
        .amount(amount, Nanos::units(1), || {
            format!("the price of a {}", claim.kind)
        })?;
    memory.state.more(period, amount)?;
    memory
        .subject
        .keep(claim.earned(amount, at, period), deal.remembered(at));
    Ok(())
}

fn reference(usage: &Usage<'_>) -> Result<EventRef, Rejection> {
    usage
        .reference()
        .ok_or_else(|| Rejection::missing(attribute::EVENT_ID.name(), "the host says which event it is"))
}

farebox_plan::export!(PerOutcome);
