//! Prices of tokens, for every plan that sells calls to language models: a price per million by model and kind of token,
//! dearer brackets for long prompts, multipliers for service tiers (batch, priority) and for where inference runs.
//!
//! [`TokenList`] is what the pricing team edits, a part of a plan's parameters; [`TokenPrices`] is what a plan keeps of it
//! and reads, for usage and for quotes alike:
//!
//! ```
//! use farebox_plan::tokens::{TokenList, TokenNames, TokenPrices};
//! use farebox_plan::*;
//!
//! vocabulary! {
//!     assets { CREDITS: "credits", "Credits"; }
//!     events { CALL: "llm.call"; }
//!     measures {
//!         INPUT: "input_tokens"; CACHE_READ: "cache_read_tokens"; CACHE_WRITE_5M: "cache_write_5m_tokens";
//!         CACHE_WRITE_1H: "cache_write_1h_tokens"; OUTPUT: "output_tokens"; REASONING: "reasoning_tokens";
//!     }
//!     attributes { MODEL: "model"; SERVICE_TIER: "service_tier"; INFERENCE_REGION: "inference_region"; }
//!     charges { TOKENS: "tokens", "Tokens", "tokens"; }
//! }
//!
//! const NAMES: TokenNames = token_names!();
//!
//! struct Credits;
//!
//! impl Plan for Credits {
//!     type Parameters = TokenList;
//!     type Prepared = TokenPrices;
//!     type State = ();
//!     type Subject = ();
//!     const PARAMETERS_SCHEMA: &str = "{}";
//!
//!     fn describe() -> Description {
//!         Description::new("credits", "1.0.0", "Credits per million tokens.", VOCABULARY)
//!     }
//!
//!     fn prepare(list: TokenList) -> Result<TokenPrices, Vec<ParameterError>> {
//!         list.prepare(&Pointer::root())
//!     }
//!
//!     // Quotes are answered by the same lines.
//!     fn evaluate(prices: &TokenPrices, usage: &Usage, _: &mut Memory<Self>, outcome: &mut Outcome) -> Result<(), Rejection> {
//!         prices.lines(&NAMES, usage, outcome, |outcome, line| {
//!             line.post(outcome.charge(charge::TOKENS, asset::CREDITS))?;
//!             Ok(())
//!         })
//!     }
//! }
//!
//! use farebox_plan::testing::{Event, Harness};
//! let list = r#"{"providers": {"ours": {"models": {"small": {"prices": {"input": "300", "output": "1500"}}}}}}"#;
//! let mut plan = Harness::<Credits>::new(list).unwrap();
//! let call = Event::new("llm.call").attribute("model", "small").measure("input_tokens", 2000).measure("output_tokens", 100);
//! assert_eq!(plan.use_(&call).unwrap().total("credits").to_string(), "0.75"); // 0.6 and 0.15
//! ```

mod call;
mod kind;
mod price_list;
mod prices;
mod worst_case;

pub use call::Line;
pub use kind::{KINDS, Kind, TokenNames};
pub use price_list::{Above, Bracket, Model, Multipliers, Provider, ServiceTier, TokenList};
pub use prices::{Assumed, TokenPrices};
