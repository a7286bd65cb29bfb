//! Tokens at list price: one price list for every model, as providers publish them.
//!
//! Price per million by kind of token, dearer brackets for long prompts, multipliers for service tiers (batch,
//! priority) and for where inference runs. Nothing depends on the events before, so any order gives the same charges.

mod kind;
mod price_list;
mod prices;
mod worst_case;

use farebox_plan::{Description, Memory, Outcome, ParameterError, Plan, Rejection, Usage};

pub use price_list::{Above, Bracket, Model, PriceList, Provider, ServiceTier};
pub use prices::Prices;

farebox_plan::vocabulary! {
    assets {
        USD: "usd", "US dollars";
        EUR: "eur", "Euros";
        CREDITS: "credits", "Credits";
    }
    events {
        CALL: "llm.call";
    }
    measures {
        INPUT: "input_tokens";
        CACHE_READ: "cache_read_tokens";
        CACHE_WRITE_5M: "cache_write_5m_tokens";
        CACHE_WRITE_1H: "cache_write_1h_tokens";
        OUTPUT: "output_tokens";
        REASONING: "reasoning_tokens";
    }
    attributes {
        MODEL: "model";
        SERVICE_TIER: "service_tier";
        INFERENCE_REGION: "inference_region";
    }
    charges {
        INPUT: "input-tokens", "Input tokens", "tokens";
        CACHE_READ: "cache-read-tokens", "Input tokens read from the cache", "tokens";
        CACHE_WRITE_5M: "cache-write-5m-tokens", "Input tokens written to the cache for 5 minutes", "tokens";
        CACHE_WRITE_1H: "cache-write-1h-tokens", "Input tokens written to the cache for 1 hour", "tokens";
        OUTPUT: "output-tokens", "Output tokens", "tokens";
        REASONING: "reasoning-tokens", "Reasoning tokens", "tokens";
    }
}

/// The plan.
#[derive(Debug)]
pub struct PerToken;

impl Plan for PerToken {
    type Parameters = PriceList;
    type Prepared = Prices;
    type State = ();
    type Subject = ();
    const PARAMETERS_SCHEMA: &'static str = include_str!("../parameters.schema.json");

    fn describe() -> Description {
        Description::new(
            "per-token",
            env!("CARGO_PKG_VERSION"),
            "Each call to a language model at its list price per million tokens.",
            VOCABULARY,
        )
    }

    fn prepare(list: PriceList) -> Result<Prices, Vec<ParameterError>> {
        Prices::prepare(&list)
    }

    fn evaluate(
        prices: &Prices,
        usage: &Usage<'_>,
        _: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let model = prices.model(usage, outcome)?;
        let tokens = kind::tokens(usage)?;
        if tokens.iter().all(Option::is_none) {
            let message = "the call carries no count of tokens at all; 0 says that there were none";
            return Err(Rejection::missing(measure::INPUT.name(), message));
        }
        let rates = model.rates(kind::prompt(&tokens)?, usage, outcome)?;
        for kind in kind::ALL {
            let Some(quantity) = tokens[kind as usize].filter(|quantity| quantity.is_positive()) else {
                continue;
            };
            let rate = rates.of(kind)?;
            outcome
                .charge(kind.code(), prices.asset())
                .at(rate, quantity, || rates.why(kind))?;
        }
        Ok(())
    }

    fn worst_case(
        prices: &Prices,
        usage: &Usage<'_>,
        _: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        worst_case::quote(prices, usage, outcome)
    }
}

farebox_plan::export!(PerToken);
