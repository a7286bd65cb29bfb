//! A price for each outcome: a conversation that was resolved, a task that was done. Nothing is charged for trying.
//!
//! An outcome is claimed by an event, and counts when somebody confirms it or nobody objects in time. What counts is charged
//! once, however often it is claimed; where somebody comes back within the reversal window, what was charged is given back, in
//! whatever period that is.

mod parameters;
mod state;
mod terms;

use farebox_plan::{
    Change, Charged, Claim, Description, EventRef, Instant, Memory, Nanos, Objection, Order, Outcome,
    ParameterError, Period, Plan, Progress, Rejection, TakenBack, Transition, Usage,
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
        if usage.is(event::CLAIMED) {
            claim(deal, usage, memory, outcome)
        } else if usage.is(event::CONFIRMED) {
            confirm(deal, usage, memory, outcome)
        } else {
            object(deal, usage, memory, outcome)
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
            Change::Reversed { event, .. } => take_back(deal, event, transition, memory),
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
    let now = Now::of(usage);
    let Some(pending) = Progress::claimed(now.known(deal, memory).as_ref(), kind, reference(usage)?) else {
        return Ok(());
    };
    now.keep(deal, memory, Some(pending));
    match deal.wait(now.time).0 {
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
) -> Result<(), Rejection> {
    let kind = usage.attribute(attribute::KIND);
    if kind.is_some_and(|kind| deal.ignores(kind)) {
        return Ok(());
    }
    let now = Now::of(usage);
    let Some(claim) = Progress::confirmed(now.known(deal, memory).as_ref(), kind, reference(usage)?) else {
        return Ok(());
    };
    earn(deal, claim, now, memory, outcome)?;
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
        Some(claim) => earn(deal, claim, Now::at(transition), memory, outcome),
        None => Ok(()),
    }
}

/// Somebody comes back: what was pending is nothing, what was charged is given back.
fn object(
    deal: &Prepared,
    usage: &Usage<'_>,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
) -> Result<(), Rejection> {
    outcome.cancel_timer(DEADLINE);
    let now = Now::of(usage);
    let Some(known) = now.known(deal, memory) else {
        return Ok(());
    };
    if deal.gives_nothing_back() && known.charged().next().is_some() {
        return Ok(());
    }
    for Charged { event, amount, .. } in known.charged().filter(|charged| charged.amount.is_positive()) {
        outcome
            .give_back(charge::OUTCOME, deal.currency(), event.clone())
            .amount(*amount, Nanos::units(1), || "somebody came back".into())?;
        memory.state.less(now.period.index, *amount)?;
    }
    let open = known.objected(&Objection {
        event: reference(usage)?,
        at: now.time,
        period: now.period.index,
    });
    now.keep(deal, memory, Some(open));
    Ok(())
}

/// An event is taken back. The host gives back what was charged for it, and charges again what it had given back of others; each
/// is put right in the period in which it counted.
fn take_back(
    deal: &Prepared,
    event: &EventRef,
    transition: &Transition<'_>,
    memory: &mut Memory<PerOutcome>,
) -> Result<(), Rejection> {
    let Some((left, taken)) = memory.subject.get().and_then(|known| known.without(event)) else {
        return Ok(());
    };
    let now = Now::at(transition);
    let (never, again) = match taken {
        TakenBack::Claim => (None, None),
        TakenBack::Charged(charged) => (Some(charged), None),
        TakenBack::GivenBack(charged, objection) => (Some(charged.clone()), Some((objection, vec![charged]))),
        TakenBack::Objection(objection, charged) => (None, Some((objection, charged))),
    };
    if let Some(charged) = never
        && let Some(period) = now.counted(&charged)
    {
        memory.state.never(period, charged.at, charged.amount)?;
    }
    if let Some((objection, charged)) = again {
        for charged in charged {
            memory
                .state
                .again(objection.period, objection.at, charged.amount)?;
        }
    }
    now.keep(deal, memory, left);
    Ok(())
}

/// An outcome counts: it is charged, and remembered for as long as it can be given back.
fn earn(
    deal: &Prepared,
    claim: Claim,
    now: Now,
    memory: &mut Memory<PerOutcome>,
    outcome: &mut Outcome,
) -> Result<(), Rejection> {
    let amount = deal.price(&claim.kind)?;
    outcome
        .charge(charge::OUTCOME, deal.currency())
        .amount(amount, Nanos::units(1), || {
            format!("the price of a {}", claim.kind)
        })?;
    memory.state.more(now.period.index, amount)?;
    let charged = claim.charged(amount, now.time, now.period.index);
    let earned = Progress::earned(now.known(deal, memory).as_ref(), charged);
    now.keep(deal, memory, Some(earned));
    Ok(())
}

/// When something happens to the outcome of a subject.
#[derive(Clone, Copy)]
struct Now {
    time: Instant,
    period: Period,
}

impl Now {
    fn of(usage: &Usage<'_>) -> Now {
        Now {
            time: usage.time(),
            period: usage.period(),
        }
    }

    fn at(transition: &Transition<'_>) -> Now {
        Now {
            time: transition.time,
            period: transition.period(),
        }
    }

    /// What is known of the outcome, without what can be given back no more: that does not keep another from counting.
    fn known(self, deal: &Prepared, memory: &Memory<PerOutcome>) -> Option<Progress> {
        memory
            .subject
            .get()
            .and_then(|known| known.remembered(|changed| self.time < deal.remembered(changed)))
    }

    /// In which period an outcome counted. Where that was not kept, it is the present one or not known: nothing told a deadline
    /// at its end from what counts behind it.
    fn counted(self, charged: &Charged) -> Option<u32> {
        let present = || (self.period.start <= charged.at).then_some(self.period.index);
        charged.period.0.or_else(present)
    }

    /// Remembers it for as long as something waits, or what was charged matters; forgets it where nothing is left.
    fn keep(self, deal: &Prepared, memory: &mut Memory<PerOutcome>, left: Option<Progress>) {
        let Some(known) = left else {
            memory.subject.forget();
            return;
        };
        let (_, waited) = deal.wait(self.time);
        let waits = known.kept().map(|_| waited);
        let matters = known
            .changed()
            .map(|changed| deal.kept(changed, self.time, self.period));
        match waits.max(matters) {
            Some(until) => memory.subject.keep(known, until),
            None => memory.subject.forget(),
        }
    }
}

fn reference(usage: &Usage<'_>) -> Result<EventRef, Rejection> {
    usage
        .reference()
        .ok_or_else(|| Rejection::missing(attribute::EVENT_ID.name(), "the host says which event it is"))
}

farebox_plan::export!(PerOutcome);
