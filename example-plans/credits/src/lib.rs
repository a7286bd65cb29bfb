//! Prepaid credits: packs are bought, everything costs credits, and what is not used in time expires.
//!
//! A purchase is an event like any other: it puts the price of the pack on the statement and its credits into the wallet, in one
//! step, once per id; taking the event back takes back what is left of the credits. Nothing depends on the events before.

mod parameters;

use farebox_plan::rate_card::{RateNames, What};
use farebox_plan::{
    Category, Change, ChargeCode, Description, Grant, Memory, Nanos, Outcome, ParameterError, Plan, Quoted,
    Rejection, Transition, Usage,
};

pub use parameters::{Pack, Parameters, Prepared, Welcome};

farebox_plan::vocabulary! {
    assets {
        CREDITS: "credits", "Credits";
        USD: "usd", "US dollars";
        EUR: "eur", "Euros";
    }
    events {
        CALL: "llm.call";
        ACTION: "action";
        PURCHASE: "credits.purchase";
    }
    measures {
        INPUT: "input_tokens";
        CACHE_READ: "cache_read_tokens";
        CACHE_WRITE_5M: "cache_write_5m_tokens";
        CACHE_WRITE_1H: "cache_write_1h_tokens";
        OUTPUT: "output_tokens";
        REASONING: "reasoning_tokens";
        COUNT: "count";
    }
    attributes {
        MODEL: "model";
        SERVICE_TIER: "service_tier";
        INFERENCE_REGION: "inference_region";
        ACTION: "action";
        PACK: "pack";
    }
    charges {
        INPUT: "input-tokens", "Input tokens", "tokens";
        CACHE_READ: "cache-read-tokens", "Input tokens read from the cache", "tokens";
        CACHE_WRITE_5M: "cache-write-5m-tokens", "Input tokens written to the cache for 5 minutes", "tokens";
        CACHE_WRITE_1H: "cache-write-1h-tokens", "Input tokens written to the cache for 1 hour", "tokens";
        OUTPUT: "output-tokens", "Output tokens", "tokens";
        REASONING: "reasoning-tokens", "Reasoning tokens", "tokens";
        ACTIONS: "actions", "Actions", "actions";
        PACKS: "packs", "Packs of credits", "packs";
    }
}

const NAMES: RateNames = farebox_plan::rate_names!();

/// The line of the statement.
fn code(what: What) -> ChargeCode {
    match what {
        What::Tokens(kind) => farebox_plan::token_code!(kind),
        What::Action => charge::ACTIONS,
    }
}

/// Most packs in one purchase: one with more is a mistake of who reports it.
const PACKS_MAX: i64 = 10_000;

/// The plan.
#[derive(Debug)]
pub struct Credits;

impl Plan for Credits {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = ();
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    fn describe() -> Description {
        Description {
            wants_cost: true,
            ..Description::new(
                "credits",
                env!("CARGO_PKG_VERSION"),
                "Packs of prepaid credits; models and actions cost credits.",
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
        match usage.is(event::PURCHASE) {
            true => purchase(deal, usage, outcome),
            false => deal.rates.items(&NAMES, usage, outcome, |outcome, item| {
                item.post(outcome.charge(code(item.what()), asset::CREDITS))?;
                Ok(())
            }),
        }
    }

    fn transition(
        deal: &Prepared,
        transition: &Transition<'_>,
        _: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        // Only who starts is welcomed: a customer that changes its plan has been here before.
        let (Change::Started, Some(welcome)) = (&transition.change, &deal.welcome) else {
            return Ok(());
        };
        let grant = Grant::promotional(asset::CREDITS, welcome.credits, "Welcome credits");
        outcome.grant(welcome.life.limit(grant, transition.time))
    }
}

/// The price goes on the statement, and the credits into the wallet.
fn purchase(deal: &Prepared, usage: &Usage<'_>, outcome: &mut Outcome) -> Result<(), Rejection> {
    let name = usage.needed_attribute(attribute::PACK)?;
    let pack = deal.packs.get(name).ok_or_else(|| {
        Rejection::Unpriceable(format!("there is no pack {} on the price list", Quoted(name)))
    })?;
    let count = usage.whole(measure::COUNT)?.unwrap_or(Nanos::units(1));
    if !count.is_positive() || count > Nanos::units(PACKS_MAX) {
        let message = format!("expected 1 to {PACKS_MAX} packs, found {count}");
        return Err(Rejection::out_of_range(measure::COUNT.name(), message));
    }
    let price = pack.price.price(count)?;
    outcome
        .charge(charge::PACKS, deal.currency())
        .invoice()
        .amount(price, count, || format!("{count} x the price of {name}"))?;
    let credits = pack.credits.price(count)?;
    let bought = Grant::new(Category::Paid, asset::CREDITS, credits, "Bought credits");
    outcome.grant(pack.life.limit(bought, usage.time()))?;
    let bonus = pack.bonus.price(count)?;
    if bonus.is_positive() {
        let given = Grant::promotional(asset::CREDITS, bonus, "Bonus credits");
        outcome.grant(pack.life.limit(given, usage.time()))?;
    }
    Ok(())
}

farebox_plan::export!(Credits);
