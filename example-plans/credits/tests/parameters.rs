//! Price lists with mistakes in them, and the schema.

#![expect(clippy::panic, reason = "a test stops where it fails")]

use credits::Credits;
use farebox_plan::testing::Harness;

#[track_caller]
fn check(parameters: &str, expected: &[&str]) {
    let Err(refused) = Harness::<Credits>::new(parameters) else {
        panic!("accepted: {parameters}");
    };
    let told: Vec<String> = refused.0.iter().map(ToString::to_string).collect();
    assert_eq!(told, expected);
}

#[test]
fn every_mistake_has_its_place() {
    check(
        r#"{"rates": {}}"#,
        &["/rates: expected `tokens` or `actions`, or both: nothing is priced"],
    );
    check(
        r#"{"currency": "credits", "rates": {"actions": {"a": {}, "b": {"price": "-1"}, "c": {"price": "1", "max_cost": "2"},
            "d": {"price": "1", "per_dollar": "2"}, "e": {"per_dollar": "1", "max_cost": "-2"}}}}"#,
        &[
            "/currency: expected one of usd, eur, found \"credits\"",
            "/rates/actions/a: expected either `price` (for each) or `per_dollar` (of what it cost)",
            "/rates/actions/b/price: expected 0 or more, found -1",
            "/rates/actions/c/max_cost: is only meant together with `per_dollar`",
            "/rates/actions/d: expected either `price` (for each) or `per_dollar` (of what it cost)",
            "/rates/actions/e/max_cost: expected 0 or more, with at most nine decimals, found -2",
        ],
    );
    check(
        r#"{"rates": {"actions": {"a": {"price": "1"}}}, "welcome": {"credits": "0", "expires_days": 0},
            "packs": {"p": {"price": "-5", "credits": "0"},
                "q": {"price": "5", "credits": "1.0000000001", "expires_days": 3661}}}"#,
        &[
            "/packs/p/price: expected 0 or more, found -5",
            "/packs/p/credits: expected more than 0: a pack of no credits is none",
            "/packs/q/credits: 1.0000000001 has more than 9 decimals",
            "/packs/q/expires_days: expected 1 to 3660 days, found 3661; leave it out for credits that never expire",
            "/welcome/credits: expected more than 0, found 0",
            "/welcome/expires_days: expected 1 to 3660 days, found 0; leave it out for credits that never expire",
        ],
    );
}

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<Credits>("parameters.schema.json"),
        Ok(())
    );
}
