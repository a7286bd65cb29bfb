//! A subscription with a pool: a fee for each period, credits that come with it, and a price, or an end, for what goes beyond.
//!
//! The fee goes on the statement and never touches the pool. Usage costs credits; what the pool cannot cover is charged in
//! money in exact proportion, which the ledger carries out, so usage costs the same in any order and at any moment.

mod allowance;
mod daily;
mod parameters;
mod reserved;
mod terms;

use farebox_plan::rate_card::{RateNames, What};
use farebox_plan::{
    ChargeCode, Description, Memory, Outcome, ParameterError, Plan, Pointer, Rejection, Transition, Usage,
};

pub use allowance::Daily;
pub use daily::State;
pub use parameters::{Beyond, Collect, Parameters, Pool, Prepared, Rollover};
pub use reserved::Reserved;
pub use terms::Terms;

farebox_plan::vocabulary! {
    assets {
        CREDITS: "credits", "Credits";
        USD: "usd", "US dollars";
        EUR: "eur", "Euros";
    }
    events {
        CALL: "llm.call";
        ACTION: "action";
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
    }
    charges {
        INPUT: "input-tokens", "Input tokens", "tokens";
        CACHE_READ: "cache-read-tokens", "Input tokens read from the cache", "tokens";
        CACHE_WRITE_5M: "cache-write-5m-tokens", "Input tokens written to the cache for 5 minutes", "tokens";
        CACHE_WRITE_1H: "cache-write-1h-tokens", "Input tokens written to the cache for 1 hour", "tokens";
        OUTPUT: "output-tokens", "Output tokens", "tokens";
        REASONING: "reasoning-tokens", "Reasoning tokens", "tokens";
        ACTIONS: "actions", "Actions", "actions";
        FEE: "fee", "Subscription fee", "periods";
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

/// The plan.
#[derive(Debug)]
pub struct Hybrid;

impl Plan for Hybrid {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = State;
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    fn describe() -> Description {
        Description {
            wants_cost: true,
            ..Description::new(
                "hybrid",
                env!("CARGO_PKG_VERSION"),
                "A fee with a pool of credits, and a price or an end for what goes beyond.",
                VOCABULARY,
            )
        }
    }

    fn prepare(parameters: Parameters) -> Result<Prepared, Vec<ParameterError>> {
        if parameters.pool.each.is_some() {
            let place = Pointer::root().key("pool").key("each");
            let message =
                "expected none: there are no seats here whose credits they could be; use seats-plus-credits";
            return Err(vec![place.error(message)]);
        }
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
        let mut terms = Terms::new(deal, transition.period(), 1, outcome);
        terms.carry_out(transition, &mut memory.state)
    }
}

/// Charges an event in credits, and says what each line would cost beyond the pool.
pub fn charge_usage(deal: &Prepared, usage: &Usage<'_>, outcome: &mut Outcome) -> Result<(), Rejection> {
    deal.rates.items(&NAMES, usage, outcome, |outcome, item| {
        let posted = item.post(outcome.charge(code(item.what()), asset::CREDITS))?;
        if let Some(beyond) = &deal.beyond {
            let amount = beyond.price(item.amount(), usage.purpose())?;
            match beyond.collect {
                Collect::Statement => posted.otherwise_invoice(deal.currency(), amount)?,
                Collect::Wallet => posted.otherwise(deal.currency(), amount)?,
            };
        }
        Ok(())
    })
}

#[cfg(feature = "component")]
farebox_plan::export!(Hybrid);
