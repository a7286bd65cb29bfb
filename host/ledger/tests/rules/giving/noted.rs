//! What is noted of who gave what, and what it is taken again for.

use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;

use super::{left, reopened, resolution, resolved};
use crate::world::World;
use crate::world::make::*;

/// Whose standing the last record puts, and of whom it notes who gave what.
fn put(world: &World) -> (Vec<EventRef>, Vec<EventRef>) {
    let (mut standings, mut noted) = (Vec::new(), Vec::new());
    for effect in &world.records.last().unwrap().outcome.effects {
        match effect {
            Effect::StandingPut(event, _) => standings.push(event.clone()),
            Effect::GiveBacksPut(event, _) => noted.push(event.clone()),
            _ => {}
        }
    }
    (standings, noted)
}

/// Nearly all events give nothing back: neither their records nor those of their corrections carry anything of it.
#[test]
fn nothing_is_noted_of_an_event_that_gives_nothing() {
    let mut world = resolved();
    assert_eq!(put(&world), (vec![], vec![]));
    world
        .ask(amend("r"), priced(&[charge("resolution", "usd", "2")]))
        .unwrap();
    assert_eq!(put(&world), (vec![reference("r")], vec![]));
    world.ok(void("r"));
    assert_eq!(put(&world), (vec![reference("r")], vec![]));
}

/// `o` is amended and gives the same: nothing of `r` is written again.
#[test]
fn an_event_of_which_the_same_is_given_is_left_alone() {
    let mut world = resolved();
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    assert_eq!(put(&world).0, [reference("r")]);
    let more = [reopened("r"), charge("work", "usd", "0.1")];
    world.ask(amend("o"), priced(&more)).unwrap();
    assert_eq!(put(&world).0, [reference("o")]);
}

/// `o` gave 0.99 of `r`, and gives it of `r2` now: `r` is as free to be amended as before. 10 less 2 for `r`, and less 0.99 that
/// came back of `r2`.
#[test]
fn an_event_that_nothing_is_given_of_any_more_can_be_amended() {
    let mut world = resolved();
    world.ask(usage("r2"), resolution()).unwrap();
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    world.ask(amend("o"), priced(&[reopened("r2")])).unwrap();
    let by = |event| world.original(&reference(event)).unwrap().give_backs.by;
    assert_eq!((by("r"), by("r2")), (vec![], vec![reference("o")]));
    world
        .ask(amend("r"), priced(&[charge("resolution", "usd", "2")]))
        .unwrap();
    assert_eq!(world.has("usd"), "8 0 0 0");
}

/// 1 of one charge and 2 of another come back; taken again, each is a charge of its own still.
#[test]
fn what_is_taken_again_is_charged_under_the_code_that_it_had() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    let both = [charge("resolution", "usd", "1"), charge("work", "usd", "2")];
    world.ask(usage("r"), priced(&both)).unwrap();
    let all = [
        back("r", "resolution", "usd", "-1"),
        back("r", "work", "usd", "-2"),
    ];
    world.ask(usage("o"), priced(&all)).unwrap();
    assert_eq!(left(&world, "r"), Vec::<String>::new());
    world.ok(void("o"));
    assert_eq!(
        left(&world, "r"),
        ["resolution 1 Grant(\"g\")", "work 2 Grant(\"g\")"]
    );
    assert_eq!(
        world.entries(),
        [
            "usd available:g -1",
            "usd available:g -2",
            "usd revenue 1",
            "usd revenue 2",
        ]
    );
}
