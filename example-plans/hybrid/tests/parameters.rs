//! Deals with mistakes in them, and the schema.

use farebox_plan::testing::Harness;
use hybrid::Hybrid;

#[test]
fn every_mistake_has_its_place() {
    let parameters = r#"{"currency": "gold", "fee": "-20", "pool": {"credits": "-1"}, "rates": {},
        "daily": {"credits": "0", "max": "-1", "only": {"feature": ""}},
        "reserved": {"cloud": {"credits": "0", "only": {}}, "": {"credits": "1", "only": {"": "a"}}},
        "beyond": {"price": "0"}, "rollover": {"max": "-1"}, "replaces": {"pro": "-8"}}"#;
    let Err(refused) = Harness::<Hybrid>::new(parameters) else {
        panic!("accepted");
    };
    let told: Vec<String> = refused.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "/currency: expected one of usd, eur, found \"gold\"",
            "/fee: expected 0 or more, found -20",
            "/pool/credits: expected 0 or more, found -1",
            "/daily/credits: expected more than 0, found 0",
            "/daily/max: expected more than 0, found -1",
            "/daily/only/feature: expected 1 to 256 bytes for the value, found 0",
            "/reserved/cloud/only: expected an attribute: without one, give a larger pool",
            "/reserved/cloud/credits: expected more than 0, found 0",
            "/reserved/: expected 1 to 64 bytes for the name, found 0",
            "/reserved//only/: expected 1 to 64 bytes for the name, found 0",
            "/rates: expected `tokens` or `actions`, or both: nothing is priced",
            "/beyond/price: expected more than 0, found 0; for a pool without an end, give a larger pool",
            "/rollover/max: expected 0 or more, found -1",
            "/replaces/pro: expected 0 or more, found -8",
        ]
    );
}

#[test]
fn more_kinds_of_credits_than_an_answer_may_give_are_refused() {
    let kinds = |count: usize| {
        let kind = |number| format!(r#""k{number}": {{"credits": "1", "only": {{"a": "b"}}}}"#);
        let kinds: Vec<String> = (0..count).map(kind).collect();
        format!(
            r#"{{"fee": "0", "pool": {{"credits": "0"}}, "rates": {{"actions": {{"run": {{"price": "1"}}}}}},
            "reserved": {{{}}}}}"#,
            kinds.join(", ")
        )
    };
    assert!(Harness::<Hybrid>::new(&kinds(8)).is_ok());
    let refused = Harness::<Hybrid>::new(&kinds(9)).err().unwrap();
    assert_eq!(
        refused.0[0].to_string(),
        "/reserved: expected at most 8 kinds, found 9"
    );
}

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<Hybrid>("parameters.schema.json"),
        Ok(())
    );
}

#[test]
fn credits_of_ones_own_need_seats() {
    let deal = r#"{"fee": "0", "pool": {"credits": "1", "each": "user"}, "rates": {"actions": {"run": {"price": "1"}}}}"#;
    let refused = Harness::<Hybrid>::new(deal).err().unwrap();
    let said: Vec<String> = refused.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "/pool/each: expected none: there are no seats here whose credits they could be; use seats-plus-credits"
        ]
    );
}
