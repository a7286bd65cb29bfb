//! Price lists with mistakes in them: each is told where it is and what was expected.

#![expect(clippy::panic, reason = "a test stops where it fails")]

use farebox_plan::testing::Harness;
use per_token::PerToken;

#[track_caller]
fn check(models: &str, expected: &[(&str, &str)]) {
    let list = format!(
        r#"{{"providers": {{"p": {{"service_tiers": {{"batch": {{"multiplier": "0.5"}}}}, "models": {models}}}}}}}"#
    );
    let Err(refused) = Harness::<PerToken>::new(&list) else {
        panic!("accepted: {models}");
    };
    assert_eq!(refused.0.len(), expected.len(), "{refused}");
    for (error, (pointer, message)) in refused.0.iter().zip(expected) {
        assert_eq!(error.pointer, *pointer, "{error}");
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn every_mistake_has_its_place() {
    check(
        r#"{"m": {"prices": {"input": 3}}}"#,
        &[("/providers/p/models/m/prices/input", "in quotes")],
    );
    check(
        r#"{"m": {"prices": {"inputs": "3"}}}"#,
        &[("/providers/p/models/m/prices/inputs", "unknown field")],
    );
    check(
        r#"{"m": {"prices": {"output": "3"}}}"#,
        &[("/providers/p/models/m/prices", "missing field `input`")],
    );
    check(
        r#"{"m": {"prices": {"input": "-3"}}}"#,
        &[("/providers/p/models/m/prices/input", "expected 0 or more")],
    );
    check(
        r#"{"m": {"prices": {"input": "0.0000000000001"}}}"#,
        &[("/providers/p/models/m/prices/input", "at most 18 decimals")],
    );
    check(
        r#"{"m": {"prices": {"input": "1"}}, "m": {"prices": {"input": "2"}}}"#,
        &[("/providers/p/models", "\"m\" is there twice")],
    );
    check(
        r#"{"m": {"prices": {"input": "1"}}, "n": {"aliases": ["m"], "prices": {"input": "2"}}}"#,
        &[("/providers/p/models/n", "\"m\" is taken")],
    );
    check(
        r#"{"m": {"prices": {"input": "1", "output": "2"}, "above": [
            {"prompt_tokens": 20, "prices": {"input": "2"}}, {"prompt_tokens": 20, "prices": {"input": "2", "output": "4"}}]}}"#,
        &[
            ("/providers/p/models/m/above/0/prices/output", "not for both"),
            ("/providers/p/models/m/above/0/prices/reasoning", "not for both"),
            (
                "/providers/p/models/m/above/1/prompt_tokens",
                "more than in the entry before",
            ),
        ],
    );
    check(
        r#"{"m": {"prices": {"input": "0.000000000001"}}}"#,
        &[("/providers/p/models/m", "service tier \"batch\"")],
    );
    check(
        r#"{"m": {"prices": {"input": "1"}, "service_tiers": {"standard": {"multiplier": "2"}}}}"#,
        &[("/providers/p/models/m/service_tiers", "price list itself")],
    );
}

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<PerToken>("parameters.schema.json"),
        Ok(())
    );
}

#[test]
fn an_asset_that_is_not_described_is_refused() {
    let Err(refused) = Harness::<PerToken>::new(r#"{"asset": "gold", "providers": {}}"#) else {
        panic!("accepted");
    };
    assert_eq!(
        refused.to_string(),
        "/asset: expected one of usd, eur, credits, found \"gold\"\n"
    );
}

#[test]
fn a_tier_that_is_not_offered_can_be_taken_away() {
    let list = r#"{"providers": {"p": {"service_tiers": {"batch": {"multiplier": "0.5"}}, "models": {
        "m": {"prices": {"input": "1"}, "service_tiers": {"batch": null}}}}}}"#;
    let event = farebox_plan::testing::Event::new("llm.call")
        .attribute("model", "m")
        .attribute("service_tier", "batch")
        .measure("input_tokens", 1);
    assert!(Harness::<PerToken>::new(list).unwrap().use_(&event).is_err());
}
