//! The schema that the plan carries.

use seats_plus_credits::SeatsPlusCredits;

#[test]
fn the_schema_is_current() {
    assert_eq!(
        farebox_plan::testing::check_schema::<SeatsPlusCredits>("parameters.schema.json"),
        Ok(())
    );
}
