//! The part of a price list that is about tokens. Every number is a decimal in quotes, every price is per million tokens.

use schemars::JsonSchema;
use serde::Deserialize;

use super::kind::Kind;
use crate::{Decimal, Entries};

/// What calls to language models cost: a part of a plan's parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenList {
    /// Assumed by a quote that states no `input_tokens`. Without it such a quote is refused.
    #[serde(default)]
    pub max_input_tokens: Option<u32>,
    /// Assumed by a quote that states no `output_tokens`. Without it such a quote is refused.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Groups of models with the same terms, by name. The names of models are unique across all of them.
    pub providers: Entries<Provider>,
}

/// Models with the same terms.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Where the prices were read.
    #[serde(default)]
    pub source: Option<String>,
    /// When.
    #[serde(default)]
    pub as_of: Option<String>,
    /// For the next person who edits this.
    #[serde(default)]
    pub note: Option<String>,
    /// By the value of `service_tier`. `standard`, or none, is the price list itself.
    #[serde(default)]
    pub service_tiers: Entries<ServiceTier>,
    /// Multipliers by the value of `inference_region`. None: wherever the provider likes, at the list price.
    #[serde(default)]
    pub inference_regions: Entries<Decimal>,
    /// By name, as events say it.
    pub models: Entries<Model>,
}

/// Other terms for the same tokens.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTier {
    /// On every price: `0.5` is half.
    pub multiplier: Decimal,
    /// Kinds of tokens with a multiplier of their own: `{"cache_read": "1"}` leaves that price alone.
    #[serde(default)]
    pub except: Multipliers,
}

/// Multipliers by kind of token.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Multipliers {
    /// For `input_tokens`.
    pub input: Option<Decimal>,
    /// For `cache_read_tokens`.
    pub cache_read: Option<Decimal>,
    /// For `cache_write_5m_tokens`.
    pub cache_write_5m: Option<Decimal>,
    /// For `cache_write_1h_tokens`.
    pub cache_write_1h: Option<Decimal>,
    /// For `output_tokens`.
    pub output: Option<Decimal>,
    /// For `reasoning_tokens`; as for output unless said.
    pub reasoning: Option<Decimal>,
}

/// One model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Other names of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// For the next person who edits this.
    #[serde(default)]
    pub note: Option<String>,
    /// Prices per million tokens.
    pub prices: Bracket,
    /// Prices for the **whole** request where its prompt (input, cache reads and cache writes together) is longer.
    #[serde(default)]
    pub above: Vec<Above>,
    /// Besides, or instead of, those of the provider; `null`: not offered for this model.
    #[serde(default)]
    pub service_tiers: Entries<Option<ServiceTier>>,
    /// Besides, or instead of, those of the provider; `null`: not offered for this model.
    #[serde(default)]
    pub inference_regions: Entries<Option<Decimal>>,
    /// Instead of that of the price list.
    #[serde(default)]
    pub max_input_tokens: Option<u32>,
    /// Instead of that of the price list.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
}

/// Prices of long prompts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Above {
    /// The longest prompt that is still cheaper.
    pub prompt_tokens: u32,
    /// For the same kinds of tokens as the prices of short prompts.
    pub prices: Bracket,
}

/// Prices per million tokens. A kind that has none cannot be billed: a call that reports it is kept as unpriced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bracket {
    /// Of `input_tokens`, those that no cache knows.
    pub input: Decimal,
    /// Of `cache_read_tokens`.
    #[serde(default)]
    pub cache_read: Option<Decimal>,
    /// Of `cache_write_5m_tokens`.
    #[serde(default)]
    pub cache_write_5m: Option<Decimal>,
    /// Of `cache_write_1h_tokens`.
    #[serde(default)]
    pub cache_write_1h: Option<Decimal>,
    /// Of `output_tokens`. None: the model writes no text (embeddings).
    #[serde(default)]
    pub output: Option<Decimal>,
    /// Of `reasoning_tokens`; as output unless said.
    #[serde(default)]
    pub reasoning: Option<Decimal>,
}

impl Bracket {
    /// The price of a kind.
    pub(crate) fn of(&self, kind: Kind) -> Option<Decimal> {
        match kind {
            Kind::Input => Some(self.input),
            Kind::CacheRead => self.cache_read,
            Kind::CacheWrite5m => self.cache_write_5m,
            Kind::CacheWrite1h => self.cache_write_1h,
            Kind::Output => self.output,
            Kind::Reasoning => self.reasoning.or(self.output),
        }
    }
}

impl ServiceTier {
    /// The multiplier of a kind.
    pub(crate) fn of(&self, kind: Kind) -> Decimal {
        let except = &self.except;
        let own = match kind {
            Kind::Input => except.input,
            Kind::CacheRead => except.cache_read,
            Kind::CacheWrite5m => except.cache_write_5m,
            Kind::CacheWrite1h => except.cache_write_1h,
            Kind::Output => except.output,
            Kind::Reasoning => except.reasoning.or(except.output),
        };
        own.unwrap_or(self.multiplier)
    }
}
