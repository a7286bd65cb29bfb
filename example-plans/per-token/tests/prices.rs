//! Calls at list price, each computed by hand beside it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use farebox_plan::testing::{Event, Harness};
use farebox_plan::{Problem, Rejection};
use per_token::PerToken;

const LIST: &str = include_str!("../parameters/list-prices.json");

fn plan() -> Harness<PerToken> {
    Harness::new(LIST).unwrap()
}

/// `model`, then counts and attributes as a person would note them: `in=1200 read=20000 service_tier=batch`.
fn call(model: &str, details: &str) -> Event {
    let event = Event::new("llm.call").attribute("model", model);
    details.split_whitespace().fold(event, |event, detail| {
        let (name, value) = detail.split_once('=').unwrap();
        let count = || value.replace('_', "").parse().unwrap();
        match name {
            "in" => event.measure("input_tokens", count()),
            "read" => event.measure("cache_read_tokens", count()),
            "5m" => event.measure("cache_write_5m_tokens", count()),
            "1h" => event.measure("cache_write_1h_tokens", count()),
            "out" => event.measure("output_tokens", count()),
            "reason" => event.measure("reasoning_tokens", count()),
            attribute => event.attribute(attribute, value),
        }
    })
}

#[track_caller]
fn check(model: &str, details: &str, dollars: &str) {
    let bill = plan().use_(&call(model, details)).unwrap();
    assert_eq!(bill.total("usd").to_string(), dollars, "{model} {details}");
}

#[track_caller]
fn quote(model: &str, details: &str, dollars: &str) {
    let bill = plan().quote(&call(model, details)).unwrap();
    assert_eq!(bill.total("usd").to_string(), dollars, "{model} {details}");
}

#[track_caller]
fn refuse(result: Result<farebox_plan::testing::Bill, Rejection>, name: &str, problem: Problem) {
    match result {
        Err(Rejection::InvalidEvent {
            name: found,
            problem: what,
            ..
        }) => assert_eq!((found.as_str(), what), (name, problem)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn columns_are_priced_as_their_events_are() {
    let plan = plan();
    let events = [
        call("gpt-5", "in=1"),
        call("no-such-model", "in=1"),
        call("gpt-5", "out=1"),
    ];
    let columns = plan.columns_of(&events);
    // The one without a price is not counted; and what was priced once can be priced again.
    assert_eq!(
        [plan.price_columns(&columns), plan.price_columns(&columns)],
        [2, 2]
    );
}

#[test]
fn list_prices() {
    // 1,200 x 3 + 4,000 x 3.75 + 20,000 x 0.30 + 800 x 15 = 3,600 + 15,000 + 6,000 + 12,000 = 36,600 millionths
    check(
        "claude-sonnet-4.6",
        "in=1_200 5m=4_000 read=20_000 out=800",
        "0.0366",
    );
    // 2,000 x 4 + 10,000 x 5 + 50,000 x 0.20 + 1,500 x 20 = 8,000 + 50,000 + 10,000 + 30,000
    check(
        "claude-opus-5.5",
        "in=2_000 5m=10_000 read=50_000 out=1_500",
        "0.098",
    );
    // 700 x 1.25 + 300 x 0.125 + 500 x 10 = 875 + 37.5 + 5,000
    check("gpt-5", "in=700 read=300 out=500", "0.0059125");
    // 1,000 x 10 (written for an hour) + 100 x 5 + 10 x 25
    check("claude-opus-5", "1h=1_000 in=100 out=10", "0.01075");
    // 1 token at 0.05 per million is 50 x 10^-9
    check("gpt-5-nano", "in=1", "0.00000005");
    check(
        "gpt-6-luna",
        "in=1_000_000 5m=1_000_000 1h=1_000_000 read=1_000_000 out=1_000_000",
        "0.86",
    );
}

#[test]
fn a_long_prompt_reprices_the_whole_request() {
    // 272,000 x 5 + 1,000 x 30 = 1,360,000 + 30,000; one token more: 272,001 x 10 + 1,000 x 45
    check("gpt-5.5", "in=272_000 out=1_000", "1.39");
    check("gpt-5.5", "in=272_001 out=1_000", "2.76501");
    // the prompt is input and cache together
    check("gpt-5.5", "in=72_000 read=200_000 out=1_000", "0.49");
    check("gpt-5.5", "in=72_001 read=200_000 out=1_000", "0.96501");
    // Google above 200,000: 200,000 x 1.25 + 1,000 x 10; 200,001 x 2.50 + 1,000 x 15
    check("gemini-2.5-pro", "in=200_000 out=1_000", "0.26");
    check("gemini-2.5-pro", "in=200_001 out=1_000", "0.5150025");
    check("claude-haiku-5.5", "in=100_000 out=1_000", "0.0105");
    check("claude-haiku-5.5", "in=100_001 out=1_000", "0.0525005");
}

#[test]
fn service_tiers_and_regions() {
    check(
        "claude-sonnet-4.6",
        "in=1_200 5m=4_000 read=20_000 out=800 service_tier=batch",
        "0.0183",
    );
    check(
        "claude-sonnet-4.6",
        "in=1_200 5m=4_000 read=20_000 out=800 service_tier=standard",
        "0.0366",
    );
    // 36,600 x 1.1
    check(
        "claude-sonnet-4.6",
        "in=1_200 5m=4_000 read=20_000 out=800 inference_region=us",
        "0.04026",
    );
    check(
        "claude-sonnet-4.6",
        "in=1_200 5m=4_000 read=20_000 out=800 inference_region=us service_tier=batch",
        "0.02013",
    );
    // flash: half, but cached unchanged: 10,000 x 0.15 + 10,000 x 0.03 + 1,000 x 1.25
    check(
        "gemini-2.5-flash",
        "in=10_000 read=10_000 out=1_000 service_tier=batch",
        "0.00305",
    );
    // pro: everything half: 10,000 x 0.625 + 10,000 x 0.0625 + 1,000 x 5
    check(
        "gemini-2.5-pro",
        "in=10_000 read=10_000 out=1_000 service_tier=batch",
        "0.011875",
    );
    // pro, priority: (10,000 x 1.25 + 1,000 x 10) x 1.8
    check(
        "gemini-2.5-pro",
        "in=10_000 out=1_000 service_tier=priority",
        "0.0405",
    );
    check("gpt-5.5", "in=1_000 out=1_000 service_tier=priority", "0.0875");
    check("gpt-5.4", "in=1_000 out=1_000 service_tier=priority", "0.035");
    check("gpt-5.5", "in=1_000 out=1_000 service_tier=flex", "0.0175");
    check("gpt-5.5", "in=1_000 out=1_000 service_tier=default", "0.035");
}

#[test]
fn every_kind_is_rounded_once_half_to_even() {
    // 1 token read at 0.0025 per million is 2.5 x 10^-9, 3 tokens are 7.5
    check("gpt-5-nano", "read=1 service_tier=batch", "0.000000002");
    check("gpt-5-nano", "read=3 service_tier=batch", "0.000000008");
}

#[test]
fn reasoning_is_billed_as_output_on_a_line_of_its_own() {
    let bill = plan().use_(&call("o3", "in=100 out=50 reason=200")).unwrap();
    assert_eq!(
        bill.codes(),
        ["input-tokens", "output-tokens", "reasoning-tokens"]
    );
    assert_eq!(bill.amount("reasoning-tokens").to_string(), "0.0016");
    assert_eq!(bill.charges[2].quantity.to_string(), "200");
    let list = LIST.replace(r#""output": "4.40""#, r#""output": "4.40", "reasoning": "1""#);
    let bill = Harness::<PerToken>::new(&list)
        .unwrap()
        .use_(&call("o4-mini", "out=1000 reason=1000"))
        .unwrap();
    assert_eq!(bill.total("usd").to_string(), "0.0054");
}

#[test]
fn other_names_of_a_model() {
    for name in [
        "claude-opus-5",
        "claude-opus-4.8",
        "claude-opus-4-7",
        "claude-opus-4.6",
        "claude-opus-4.5",
    ] {
        check(name, "in=1_000_000", "5");
    }
    check("claude-opus-4", "in=1_000_000", "15");
    check("gpt-5.1", "out=1_000_000", "10");
}

#[test]
fn what_cannot_be_priced_is_refused_by_name() {
    let mut plan = plan();
    refuse(
        plan.use_(&Event::new("llm.call").measure("input_tokens", 1)),
        "model",
        Problem::Missing,
    );
    refuse(plan.use_(&call("gpt-5", "")), "input_tokens", Problem::Missing);
    refuse(
        plan.use_(&call("gpt-5", "in=-1")),
        "input_tokens",
        Problem::OutOfRange,
    );
    let half = call("gpt-5", "").measure_exact("output_tokens", "0.5".parse().unwrap());
    refuse(plan.use_(&half), "output_tokens", Problem::OutOfRange);
    for (model, details, says) in [
        ("gpt-7", "in=1", "the model \"gpt-7\" is not in the price list"),
        ("gpt-5", "5m=1", "gpt-5 has no price for cache_write_5m_tokens"),
        (
            "gpt-5",
            "in=1 service_tier=turbo",
            "no service tier \"turbo\" for gpt-5",
        ),
        (
            "claude-opus-4.5",
            "in=1 inference_region=us",
            "no inference region \"us\" for claude-opus-4.5",
        ),
    ] {
        match plan.use_(&call(model, details)) {
            Err(Rejection::Unpriceable(message)) => assert!(message.contains(says), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    // nothing of a kind costs nothing, whatever its price; a count of 0 is a count
    check("gpt-5", "in=0 5m=0", "0");
}

#[test]
fn more_than_an_amount_can_say_is_an_overflow() {
    let all = call(
        "claude-opus-4.1",
        "in=9_000_000_000 5m=9_000_000_000 1h=9_000_000_000",
    );
    assert!(plan().use_(&all).is_ok()); // each charge fits; the ledger adds them in 128 bits
    let list = r#"{"providers": {"x": {"models": {"m": {"prices": {"input": "9000000"}}}}}}"#;
    let event = call("m", "in=9_000_000_000");
    assert_eq!(
        Harness::<PerToken>::new(list).unwrap().use_(&event),
        Err(Rejection::Overflow)
    );
}

#[test]
fn worst_cases_by_hand() {
    // nothing said about the cache: every prompt token may be written for an hour (6), 800 written
    quote("claude-sonnet-4.6", "in=25_200 out=800", "0.1632");
    // no hour: 5 minutes at the dearest (3.75)
    quote("claude-sonnet-4.6", "in=25_200 1h=0 out=800", "0.1065");
    // no writes at all: plain input is the dearest
    quote("claude-sonnet-4.6", "in=25_200 1h=0 5m=0 out=800", "0.0876");
    // everything stated: each at its own price
    quote(
        "claude-sonnet-4.6",
        "in=1_200 5m=4_000 1h=0 read=20_000 out=800",
        "0.0366",
    );
    // the longer bracket, because the maximum reaches it
    quote("gpt-5.5", "in=272_000 out=1_000", "1.39");
    quote("gpt-5.5", "in=272_001 out=1_000", "2.76501");
    quote("gpt-5.5", "in=200_000 read=72_001 out=1_000", "2.117001");
    quote("gpt-5.5", "in=1_000 out=1_000 service_tier=batch", "0.0175");
}

#[test]
fn rounding_up_kind_by_kind_is_covered() {
    // half of 10^-9 a token: 3 tokens of each kind are 1.5, rounded to 2, four times; 12 tokens of one kind are 6
    let list = r#"{"providers": {"x": {"models": {"m": {"prices": {"input": "0.0005", "cache_read": "0.0005",
        "cache_write_5m": "0.0005", "cache_write_1h": "0.0005", "output": "1"}}}}}}"#;
    let mut plan = Harness::<PerToken>::new(list).unwrap();
    assert_eq!(
        plan.use_(&call("m", "in=3 read=3 5m=3 1h=3"))
            .unwrap()
            .total("usd")
            .to_string(),
        "0.000000008"
    );
    assert_eq!(
        plan.quote(&call("m", "in=12 out=0"))
            .unwrap()
            .total("usd")
            .to_string(),
        "0.000000008"
    );
}

#[test]
fn a_worst_case_needs_its_maximums() {
    refuse(
        plan().quote(&call("gpt-5", "in=1000")),
        "output_tokens",
        Problem::Missing,
    );
    refuse(
        plan().quote(&call("gpt-5", "out=1000")),
        "input_tokens",
        Problem::Missing,
    );
    let list = LIST.replacen(
        r#""asset": "usd","#,
        r#""asset": "usd", "max_output_tokens": 500,"#,
        1,
    );
    let bill = Harness::<PerToken>::new(&list)
        .unwrap()
        .quote(&call("gpt-5", "in=1000"))
        .unwrap();
    assert_eq!(bill.total("usd").to_string(), "0.00625"); // 1,000 x 1.25 + 500 x 10
    let embeddings = r#"{"providers": {"x": {"models": {"e": {"prices": {"input": "0.02"}}}}}}"#;
    let bill = Harness::<PerToken>::new(embeddings)
        .unwrap()
        .quote(&call("e", "in=1000"))
        .unwrap();
    assert_eq!(bill.total("usd").to_string(), "0.00002");
}

#[test]
fn an_explanation_names_every_number() {
    let steps = plan()
        .explain(&call("gemini-2.5-pro", "in=200_001 service_tier=batch"))
        .unwrap();
    let lines: Vec<_> = steps
        .iter()
        .map(|step| format!("{:?} {}: {} ({})", step.charge, step.what, step.value, step.why))
        .collect();
    assert_eq!(
        lines,
        [
            "None model: gemini-2.5-pro (the event says \"gemini-2.5-pro\")",
            "None prompt: 200001 tokens (prompt above 200000 tokens)",
            "Some(0) quantity: 200001 (as the event says)",
            "Some(0) rate: 1.25 usd per million (input of gemini-2.5-pro, prompt above 200000 tokens, service tier batch)",
            "Some(0) amount: 0.25000125 usd (quantity x rate)",
        ]
    );
}

#[test]
fn prices_can_be_in_credits() {
    let list = LIST.replacen(r#""asset": "usd""#, r#""asset": "credits""#, 1);
    let bill = Harness::<PerToken>::new(&list)
        .unwrap()
        .use_(&call("gpt-5", "in=1_000_000"))
        .unwrap();
    assert_eq!(
        (
            bill.total("credits").to_string().as_str(),
            bill.total("usd").is_zero()
        ),
        ("1.25", true)
    );
}
