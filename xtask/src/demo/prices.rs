//! What a call costs, computed a second time.
//!
//! Reads the same price list as the per-token plan and shares no line of code with it: decimals of another library,
//! no fixed point, no WebAssembly. Where the two disagree, one of them is wrong, and the demo says so.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;

/// Decimals of an amount.
const AMOUNT_DECIMALS: u32 = 9;

/// A price list: prices per million tokens by model.
#[derive(Debug, Clone)]
pub struct PriceList {
    models: BTreeMap<String, Model>,
}

/// A count of each kind of token. The kinds are disjoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the prompt, in no cache.
    pub input: u64,
    /// Of the prompt, read from the cache.
    pub cache_read: u64,
    /// Of the prompt, written to the cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Of the prompt, written to the cache for 1 hour.
    pub cache_write_1h: u64,
    /// Of the answer.
    pub output: u64,
}

impl Tokens {
    /// A call without any cache.
    pub fn plain(input: u64, output: u64) -> Tokens {
        Tokens {
            input,
            output,
            ..Tokens::default()
        }
    }
}

#[derive(Debug, Deserialize)]
struct ListFile {
    asset: Option<String>,
    providers: BTreeMap<String, ProviderFile>,
}

#[derive(Debug, Deserialize)]
struct ProviderFile {
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Clone, Deserialize)]
struct Model {
    prices: Bracket,
    #[serde(default)]
    above: Vec<Above>,
    max_output_tokens: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
struct Above {
    prompt_tokens: u64,
    prices: Bracket,
}

#[derive(Debug, Clone, Deserialize)]
struct Bracket {
    input: Decimal,
    cache_read: Option<Decimal>,
    cache_write_5m: Option<Decimal>,
    cache_write_1h: Option<Decimal>,
    output: Option<Decimal>,
}

impl PriceList {
    /// Reads the parameters of the per-token plan.
    pub fn parse(text: &str) -> anyhow::Result<PriceList> {
        let file: ListFile = serde_json::from_str(text).context("the price list")?;
        let mut models = BTreeMap::new();
        for provider in file.providers.into_values() {
            models.extend(provider.models);
        }
        let asset = file.asset.as_deref().unwrap_or("usd");
        ensure!(asset == "usd", "the demo reads prices in usd, not in {asset}");
        Ok(PriceList { models })
    }

    /// Models that write text, by name.
    pub fn writers(&self) -> Vec<&str> {
        let writes = |model: &&Model| model.prices.output.is_some();
        self.models
            .iter()
            .filter(|(_, m)| writes(m))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The longest answer that the list knows of for a model.
    pub fn max_output(&self, model: &str) -> Option<u32> {
        self.models.get(model)?.max_output_tokens
    }

    /// What a call costs: each kind of token rounded once, half to even, at nine decimals, then added up.
    pub fn price(&self, model: &str, tokens: Tokens) -> anyhow::Result<Decimal> {
        let known = self
            .models
            .get(model)
            .with_context(|| format!("the price list does not know {model}"))?;
        let prompt = tokens.input + tokens.cache_read + tokens.cache_write_5m + tokens.cache_write_1h;
        known
            .bracket(prompt)
            .price(tokens)
            .with_context(|| format!("pricing {model}"))
    }

    /// The most that a call without cache can cost whose prompt has at most `input` and whose answer at most `output`
    /// tokens: the dearest bracket that a prompt of at most that size meets, with the longest prompt that meets it.
    pub fn worst_case(&self, model: &str, input: u64, output: u64) -> anyhow::Result<Decimal> {
        let known = self
            .models
            .get(model)
            .with_context(|| format!("the price list does not know {model}"))?;
        let ends = known
            .above
            .iter()
            .map(|above| above.prompt_tokens)
            .filter(|end| *end < input);
        let mut most = Decimal::ZERO;
        for prompt in ends.chain([input]) {
            most = most.max(known.bracket(prompt).price(Tokens::plain(prompt, output))?);
        }
        Ok(most)
    }
}

impl Model {
    /// The prices of a prompt of that size: they hold for the whole request.
    fn bracket(&self, prompt: u64) -> &Bracket {
        let reached = self.above.iter().rev().find(|above| prompt > above.prompt_tokens);
        reached.map_or(&self.prices, |above| &above.prices)
    }
}

impl Bracket {
    fn price(&self, tokens: Tokens) -> anyhow::Result<Decimal> {
        let kinds = [
            ("input", tokens.input, Some(self.input)),
            ("cache_read", tokens.cache_read, self.cache_read),
            ("cache_write_5m", tokens.cache_write_5m, self.cache_write_5m),
            ("cache_write_1h", tokens.cache_write_1h, self.cache_write_1h),
            ("output", tokens.output, self.output),
        ];
        let mut total = Decimal::ZERO;
        for (kind, count, price) in kinds {
            if count == 0 {
                continue;
            }
            let Some(price) = price else {
                bail!("there is no price for {kind} tokens");
            };
            let exact = Decimal::from(count) * price / Decimal::from(1_000_000);
            total += exact.round_dp_with_strategy(AMOUNT_DECIMALS, RoundingStrategy::MidpointNearestEven);
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from the public price lists of 2026.
    const LIST: &str = r#"{ "asset": "usd", "providers": {
        "anthropic": { "models": {
            "claude-sonnet-4.6": { "prices": { "input": "3", "cache_write_5m": "3.75", "cache_write_1h": "6",
                "cache_read": "0.30", "output": "15" } },
            "claude-opus-5.5": { "prices": { "input": "4", "cache_write_5m": "5", "cache_write_1h": "8",
                "cache_read": "0.20", "output": "20" } } } },
        "openai": { "models": {
            "gpt-5": { "prices": { "input": "1.25", "cache_read": "0.125", "output": "10" } },
            "gpt-5.5": { "prices": { "input": "5", "cache_read": "0.50", "output": "30" },
                "above": [{ "prompt_tokens": 272000,
                    "prices": { "input": "10", "cache_read": "1.00", "output": "45" } }] },
            "odd": { "prices": { "input": "0.0025", "output": "0.0025" } },
            "embed": { "prices": { "input": "0.02" } } } } } }"#;

    #[track_caller]
    fn check(model: &str, tokens: Tokens, expected: &str) {
        let price = PriceList::parse(LIST).unwrap().price(model, tokens).unwrap();
        assert_eq!(price.normalize().to_string(), expected, "{model} {tokens:?}");
    }

    #[test]
    fn published_cases() {
        let cached = |input, cache_write_5m, cache_read, output| Tokens {
            input,
            cache_write_5m,
            cache_read,
            output,
            ..Tokens::default()
        };
        check("claude-sonnet-4.6", cached(1_200, 4_000, 20_000, 800), "0.0366");
        check("claude-opus-5.5", cached(2_000, 10_000, 50_000, 1_500), "0.098");
        check("gpt-5", cached(700, 0, 300, 500), "0.0059125");
        check("gpt-5.5", Tokens::plain(272_000, 1_000), "1.39");
        check("gpt-5.5", Tokens::plain(272_001, 1_000), "2.76501");
    }

    #[test]
    fn each_kind_is_rounded_once_half_to_even() {
        check("odd", Tokens::plain(1, 0), "0.000000002");
        check("odd", Tokens::plain(3, 0), "0.000000008");
        check("odd", Tokens::plain(1, 1), "0.000000004");
    }

    #[test]
    fn the_worst_case_looks_at_every_bracket() {
        let list = PriceList::parse(LIST).unwrap();
        let worst = |input, output| {
            list.worst_case("gpt-5.5", input, output)
                .unwrap()
                .normalize()
                .to_string()
        };
        assert_eq!(worst(272_000, 1_000), "1.39");
        assert_eq!(worst(272_001, 1_000), "2.76501");
    }

    #[test]
    fn what_has_no_price_is_an_error() {
        let list = PriceList::parse(LIST).unwrap();
        assert!(list.price("gpt-7", Tokens::plain(1, 1)).is_err());
        assert!(list.price("embed", Tokens::plain(1, 1)).is_err());
        assert_eq!(
            list.writers(),
            ["claude-opus-5.5", "claude-sonnet-4.6", "gpt-5", "gpt-5.5", "odd"]
        );
    }
}
