//! Deals with mistakes in them, and the schema.

use farebox_plan::testing::Harness;
use hybrid::Hybrid;

#[test]
fn every_mistake_has_its_place() {
    let parameters = r#"{"currency": "gold", "fee": "-20", "pool": {"credits": "-1"}, "rates": {},
        "daily": {"credits": "0", "max": "-1", "only": {"feature": ""}},
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
            "/rates: expected `tokens` or `actions`, or both: nothing is priced",
            "/beyond/price: expected more than 0, found 0; for a pool without an end, give a larger pool",
            "/rollover/max: expected 0 or more, found -1",
            "/replaces/pro: expected 0 or more, found -8",
        ]
    );
}

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<Hybrid>("parameters.schema.json"),
        Ok(())
    );
}
