//! Amendments of events whose plan follows subjects: it is told that the event is taken back, then it prices the one that takes
//! its place.

use farebox_record::command::Command;
use farebox_record::correction::{Amend, Consequence};
use farebox_record::state::Cadence;

use crate::world::World;
use crate::world::make::*;

#[test]
fn what_a_reversal_charges_is_named_beside_what_is_charged_anew() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "10").put());
    let event = event_with("e", &[("conversation", "c1")]);
    let outcome = |amount: &str| about(priced(&[charge("outcome", "usd", amount)]));
    world
        .decide(Command::Usage(event.clone()), Some(outcome("3")))
        .unwrap();
    let amend = Command::Amend(Amend {
        event,
        id: "amend".parse().unwrap(),
    });
    let reversal = about(priced(&[charge("penalty", "usd", "0.5")]));
    let consequence = Some(Consequence::Reversed(Box::new(reversal)));
    world.correct(amend, Some(outcome("1")), consequence).unwrap();
    assert_eq!(world.has("usd"), "8.5 0 0 0");
    assert_eq!(world.earned(), ["outcome -3", "penalty 0.5", "outcome 1"]);
}
