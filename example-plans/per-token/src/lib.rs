//! Tokens at list price: one price list for every model, as providers publish them.
//!
//! Price per million by kind of token, dearer brackets for long prompts, multipliers for service tiers (batch,
//! priority) and for where inference runs. Nothing depends on the events before, so any order gives the same charges.

mod price_list;

use farebox_plan::tokens::{Assumed, TokenNames, TokenPrices};
use farebox_plan::{Asset, Description, Memory, Outcome, ParameterError, Plan, Pointer, Rejection, Usage};
use serde::{Deserialize, Serialize};

pub use price_list::PriceList;

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

const NAMES: TokenNames = farebox_plan::token_names!();

/// A [`PriceList`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prices {
    /// Index into the assets of the vocabulary.
    asset: u32,
    tokens: TokenPrices,
}

impl Prices {
    fn prepare(list: &PriceList) -> Result<Prices, Vec<ParameterError>> {
        let root = Pointer::root();
        let mut errors = Vec::new();
        let assets = [asset::USD, asset::EUR, asset::CREDITS];
        let asset = root.key("asset").asset(&list.asset, &assets, &mut errors);
        let assumed = Assumed {
            input_tokens: list.max_input_tokens,
            output_tokens: list.max_output_tokens,
        };
        match (asset, TokenPrices::prepare(&list.providers, assumed, &root)) {
            (Some(asset), Ok(tokens)) => Ok(Prices {
                asset: asset.index(),
                tokens,
            }),
            (_, Ok(_)) => Err(errors),
            (_, Err(wrong)) => Err(errors.into_iter().chain(wrong).collect()),
        }
    }

    fn asset(&self) -> Asset {
        VOCABULARY.assets[self.asset as usize].asset
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
        prices.tokens.lines(&NAMES, usage, outcome, |outcome, line| {
            line.post(outcome.charge(farebox_plan::token_code!(line.kind), prices.asset()))?;
            Ok(())
        })
    }
}

farebox_plan::export!(PerToken);
