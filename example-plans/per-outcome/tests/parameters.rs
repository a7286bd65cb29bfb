//! Deals with mistakes in them, and the schema.

#![expect(clippy::panic, reason = "a test stops where it fails")]

use farebox_plan::testing::Harness;
use per_outcome::PerOutcome;

fn told(parameters: &str) -> Vec<String> {
    match Harness::<PerOutcome>::new(parameters) {
        Ok(_) => panic!("accepted"),
        Err(refused) => refused.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_mistake_has_its_place() {
    let parameters = r#"{"currency": "gold", "outcomes": {"resolution": "-1", "handoff": "0.5"},
        "ignored": ["greeting", "handoff"], "counts_after_hours": 9577, "reversal_days": 401, "minimum": "-10", "seat": "-1"}"#;
    assert_eq!(
        told(parameters),
        [
            "/currency: expected one of usd, eur, found \"gold\"",
            "/outcomes/resolution: expected 0 or more, found -1",
            "/ignored/1: `handoff` has a price in `outcomes`; it can be one of both",
            "/counts_after_hours: expected at most 9576, found 9577",
            "/reversal_days: expected at most 400, found 401",
            "/minimum: expected 0 or more, found -10",
            "/seat: expected 0 or more, found -1",
        ]
    );
    assert_eq!(
        told(r#"{"outcomes": {}}"#),
        ["/outcomes: expected a price for at least one kind of outcome"]
    );
}

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<PerOutcome>("parameters.schema.json"),
        Ok(())
    );
}
