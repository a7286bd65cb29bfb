//! What the pricing team edits.

use farebox_plan::Entries;
use farebox_plan::tokens::Provider;
use schemars::JsonSchema;
use serde::Deserialize;

/// A price list. Every number is a decimal in quotes, every price is per million tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// What prices are in: `usd` (unless said), `eur` or `credits`.
    #[serde(default = "usd")]
    pub asset: String,
    /// Assumed by a quote that states no `input_tokens`. Without it such a quote is refused.
    #[serde(default)]
    pub max_input_tokens: Option<u32>,
    /// Assumed by a quote that states no `output_tokens`. Without it such a quote is refused.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Groups of models with the same terms, by name. The names of models are unique across all of them.
    pub providers: Entries<Provider>,
}

fn usd() -> String {
    "usd".to_string()
}
