//! No usage within stated maximums costs more than the worst case said: this is what a hold relies on.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;

use farebox_plan::testing::{Event, Harness};
use per_token::PerToken;
use proptest::prelude::*;

const LIST: &str = include_str!("../parameters/list-prices.json");

/// Prices on which shortcuts fail: a long prompt that is cheaper, reads dearer than writes, prices with more digits
/// than amounts have.
const ODD: &str = r#"{"providers": {"odd": {
    "service_tiers": {"batch": {"multiplier": "0.33333"}, "priority": {"multiplier": "1.7", "except": {"cache_read": "3"}}},
    "inference_regions": {"us": "1.1"},
    "models": {
        "cheaper-when-long": {
            "prices": {"input": "9", "cache_read": "11.0005", "cache_write_5m": "0.0003", "output": "3"},
            "above": [{"prompt_tokens": 40, 
                "prices": {"input": "1", "cache_read": "0.7", "cache_write_5m": "0.0001", "output": "5.5"}},
                      {"prompt_tokens": 90, 
                "prices": {"input": "2", "cache_read": "2", "cache_write_5m": "2.0001", "output": "1"}}]},
        "many-digits": {"prices": {"input": "0.0005", "cache_read": "0.0005", "cache_write_5m": "0.0005",
                                   "cache_write_1h": "0.0005", "output": "0.0005", "reasoning": "0.00049"}},
        "reasoning-dearer": {"prices": {"input": "1", "output": "2", "reasoning": "7"}}
    }}}}"#;

const PROMPT: [&str; 4] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
];
const WRITTEN: [&str; 2] = ["output_tokens", "reasoning_tokens"];

/// Stated maximums, and shares by which a usage within them is made.
#[derive(Debug, Clone)]
struct Sample {
    model: &'static str,
    tier: &'static str,
    region: &'static str,
    maximums: [Option<u32>; 6],
    shares: [u32; 6],
}

fn sample(models: &'static [&'static str], tokens_max: u32) -> impl Strategy<Value = Sample> {
    let maximum =
        move || prop_oneof![2 => Just(None), 1 => Just(Some(0)), 4 => (0..tokens_max).prop_map(Some)];
    (
        prop::sample::select(models),
        prop::sample::select(&["", "", "batch", "priority"][..]),
        prop::sample::select(&["", "us"][..]),
        (
            0..tokens_max,
            maximum(),
            maximum(),
            maximum(),
            0..tokens_max,
            maximum(),
        ),
        // Whole budgets are as likely as parts of them: the dearest usage lies on an edge.
        prop::array::uniform6(prop_oneof![Just(0u32), Just(1000), 0..=1000u32]),
    )
        .prop_map(
            |(model, tier, region, (input, read, five, hour, output, reasoning), shares)| Sample {
                model,
                tier,
                region,
                maximums: [Some(input), read, five, hour, Some(output), reasoning],
                shares,
            },
        )
}

/// Turns shares into tokens: a stated kind takes a part of its own maximum, the others share the budget of the first.
fn usage(sample: &Sample) -> BTreeMap<&'static str, i64> {
    let mut usage = BTreeMap::new();
    for (first, kinds) in [(0, &PROMPT[..]), (4, &WRITTEN[..])] {
        let mut budget = i64::from(sample.maximums[first].unwrap_or(0));
        for (offset, kind) in kinds.iter().enumerate().rev() {
            let (maximum, share) = (
                sample.maximums[first + offset],
                i64::from(sample.shares[first + offset]),
            );
            let tokens = match maximum {
                Some(maximum) if offset > 0 => i64::from(maximum) * share / 1000,
                _ => budget * share / 1000,
            };
            if offset == 0 || maximum.is_none() {
                budget -= tokens;
            }
            usage.insert(*kind, tokens);
        }
    }
    usage
}

fn check(list: &str, sample: &Sample) -> Result<(), TestCaseError> {
    let mut plan = Harness::<PerToken>::new(list).unwrap();
    let event = Event::new("llm.call")
        .attribute("model", sample.model)
        .attribute("service_tier", sample.tier)
        .attribute("inference_region", sample.region);
    let stated = PROMPT.iter().chain(&WRITTEN).zip(sample.maximums);
    let maximums = stated.fold(event.clone(), |event, (name, maximum)| match maximum {
        Some(maximum) => event.measure(name, maximum.into()),
        None => event,
    });
    let spent = usage(sample)
        .into_iter()
        .fold(event, |event, (name, tokens)| event.measure(name, tokens));
    // What is refused is not charged: a model without that tier, or without a price for a kind.
    if let (Ok(quote), Ok(bill)) = (plan.quote(&maximums), plan.use_(&spent)) {
        prop_assert!(
            bill.total("usd") <= quote.total("usd"),
            "{bill:#?} costs more than {quote:#?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn at_list_prices(sample in sample(
        &["claude-opus-5", "claude-sonnet-4.6", "gpt-5.5", "gemini-2.5-pro", "gemini-2.5-flash", "gpt-6-luna", "gpt-5-nano"],
        400_000,
    )) {
        check(LIST, &sample)?;
    }

    #[test]
    fn at_odd_prices(sample in sample(&["cheaper-when-long", "many-digits", "reasoning-dearer"], 60)) {
        check(ODD, &sample)?;
    }

    #[test]
    fn a_quote_for_usage_that_is_stated_in_full_is_its_price(sample in sample(&["claude-sonnet-4.6"], 400_000)) {
        let mut plan = Harness::<PerToken>::new(LIST).unwrap();
        let event = Event::new("llm.call").attribute("model", sample.model);
        let event = usage(&sample).into_iter().fold(event, |event, (name, tokens)| event.measure(name, tokens));
        prop_assert_eq!(plan.quote(&event).unwrap().total("usd"), plan.use_(&event).unwrap().total("usd"));
    }
}
