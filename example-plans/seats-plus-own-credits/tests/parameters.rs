//! Deals with mistakes in them, and the schema.

use farebox_plan::testing::Harness;
use seats_plus_own_credits::SeatsPlusOwnCredits;

#[test]
fn every_mistake_has_its_place() {
    let parameters =
        r#"{"currency": "gold", "fee": "-20", "credits": "-1", "rates": {}, "beyond": {"price": "0"}}"#;
    let refused = Harness::<SeatsPlusOwnCredits>::new(parameters).err().unwrap();
    let told: Vec<String> = refused.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "/credits: expected 0 or more, found -1",
            "/currency: expected one of usd, eur, found \"gold\"",
            "/fee: expected 0 or more, found -20",
            "/rates: expected `tokens` or `actions`, or both: nothing is priced",
            "/beyond/price: expected more than 0, found 0; for a pool without an end, give a larger pool",
        ]
    );
}

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<SeatsPlusOwnCredits>("parameters.schema.json"),
        Ok(())
    );
}
