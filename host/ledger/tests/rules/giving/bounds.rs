//! How much one answer gives back, and how many events give back of one: as much as the limits say.

use super::{reopened, resolution};
use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;

/// Eight resolutions of 0.99 are 7.92, and one answer gives all of them back.
#[test]
fn an_answer_gives_back_of_as_many_events_as_it_may() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    let events: Vec<String> = (0..8).map(|n| format!("r{n}")).collect();
    for event in &events {
        world.ask(usage(event), resolution()).unwrap();
    }
    assert_eq!(world.has("usd"), "2.08 0 0 0");
    let all: Vec<_> = events.iter().map(|event| reopened(event)).collect();
    assert_eq!(say(&world.ask(usage("o"), priced(&all))), "charged");
    assert_eq!(world.has("usd"), "10 0 0 0");
}

/// Of 6.5 usd, 64 events give 0.1 each: 0.1 is left, and no other event may give it. One that gave may give more, and one
/// that is taken back makes room.
#[test]
fn of_an_event_as_many_others_give_back_as_may() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world
        .ask(usage("r"), priced(&[charge("resolution", "usd", "6.5")]))
        .unwrap();
    let tenth = || priced(&[back("r", "resolution", "usd", "-0.1")]);
    for n in 0..64 {
        assert_eq!(
            say(&world.ask(usage(&format!("o{n}")), tenth())),
            "charged",
            "{n}"
        );
    }
    assert_eq!(world.has("usd"), "9.9 0 0 0");
    let said = say(&world.ask(usage("late"), tenth()));
    let why = "gives back of event r, which 64 others gave back of (limit GIVERS_PER_EVENT_MAX)";
    assert!(said.starts_with("unpriced: ") && said.contains(why), "{said}");
    world
        .ask(amend("o1"), priced(&[back("r", "resolution", "usd", "-0.2")]))
        .unwrap();
    assert_eq!(world.has("usd"), "10 0 0 0");
    world.ok(void("o2"));
    assert_eq!(world.has("usd"), "9.9 0 0 0");
    assert_eq!(say(&world.ask(usage("next"), tenth())), "charged");
    assert_eq!(world.has("usd"), "10 0 0 0");
}
