//! Terms that are forgotten, and are kept again for a backfill.

use farebox_record::codec;
use farebox_record::command::{Command, RememberTerm};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Effect;
use farebox_record::state::{Cadence, Part};

use crate::world::make::*;
use crate::world::say::say;
use crate::world::{World, t};

const DAY: i64 = 86_400;

fn by_the_day() -> World {
    let mut world = World::new();
    let mut first_day = pricing(priced(&[]));
    first_day.period.end = t(DAY);
    world
        .decide(subscribe("s", Cadence::Daily), Some(first_day))
        .unwrap();
    world.transitions.extend(std::iter::repeat_n(priced(&[]), 60));
    world
}

/// A subscription by the day on its 40th; and its terms 0 and 1, which are forgotten.
fn world() -> (World, [TermState; 2]) {
    let mut world = by_the_day();
    world.advance(3 * DAY);
    let terms = [0, 1].map(|number| codec::decode(&world.parts()[&part(number)]).unwrap());
    world.advance(37 * DAY);
    assert_eq!(numbers(&world)[..2], [3, 4]);
    assert!(!world.parts().contains_key(&part(0)));
    (world, terms)
}

fn part(number: u32) -> Vec<u8> {
    Part::Term("s".parse().unwrap(), number).key()
}

fn numbers(world: &World) -> Vec<u32> {
    let subscription = world.wallet.subscription(&"s".parse().unwrap()).unwrap();
    subscription.past.iter().map(|past| past.number).collect()
}

fn remember(term: &TermState) -> Command {
    Command::RememberTerm(RememberTerm {
        subscription: "s".parse().unwrap(),
        term: term.clone(),
    })
}

#[test]
fn terms_are_forgotten_when_no_event_can_be_as_late() {
    let mut world = by_the_day();
    world.advance(60 * DAY);
    // On day 60 the terms that ended on day 24 and later are there: 36 days back, the day of the edge included.
    let past = &world.wallet.subscription(&"s".parse().unwrap()).unwrap().past;
    assert_eq!(past.first().unwrap().until, t(24 * DAY));
    assert_eq!(past.len(), 37);
    let forgotten = world.records.iter().flat_map(|r| &r.outcome.effects);
    let forgotten = forgotten
        .filter(|e| matches!(e, Effect::TermForgotten(..)))
        .count();
    assert_eq!(forgotten, 23);
}

#[test]
fn they_are_in_their_order_and_as_they_were() {
    let (mut world, [first, second]) = world();
    // The later one first: each takes its own place.
    world.ok(remember(&second));
    world.ok(remember(&first));
    assert_eq!(numbers(&world)[..4], [0, 1, 3, 4]);
    assert_eq!(
        codec::decode::<TermState>(&world.parts()[&part(0)]).unwrap(),
        first
    );
    assert_eq!(
        codec::decode::<TermState>(&world.parts()[&part(1)]).unwrap(),
        second
    );
    // So it is the other way round.
    let (mut other, _) = self::world();
    other.ok(remember(&first));
    other.ok(remember(&second));
    assert_eq!(numbers(&other)[..4], [0, 1, 3, 4]);
    let past = &world.wallet.subscription(&"s".parse().unwrap()).unwrap().past;
    assert_eq!((past[0].since, past[0].until), (first.since, first.until));
    // Until the next period begins.
    world.advance(DAY);
    assert_eq!(numbers(&world)[..2], [4, 5]);
    assert!(!world.parts().contains_key(&part(0)));
}

#[test]
fn what_is_known_or_not_over_is_none_to_remember() {
    let (mut world, [first, _]) = world();
    world.ok(remember(&first));
    let refused = "not on the agenda any more";
    assert!(say(&world.act(remember(&first))).contains(refused));
    // The open term has number 40, and one that is still to come a greater one.
    for number in [40, 41] {
        let open = TermState {
            number,
            ..first.clone()
        };
        assert!(say(&world.act(remember(&open))).contains(refused), "{number}");
    }
    let nobodys = Command::RememberTerm(RememberTerm {
        subscription: "t".parse().unwrap(),
        term: first,
    });
    assert!(say(&world.act(nobodys)).contains("no subscription t"));
}
