//! What an event gives less, or otherwise, once it is amended.

use farebox_record::command::Command;
use farebox_record::correction::AdjustTarget;
use farebox_record::outcome::Account;
use farebox_record::plan::Charge;
use farebox_record::state::Shortfall;

use super::{left, reopened, resolution, resolved};
use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;
use crate::world::t;

/// `o` under another call id: what the plan says to it now.
fn amended(world: &mut World, id: &str, gives: &str) {
    amended_to(world, id, &[back("r", "resolution", "usd", gives)]);
}

fn amended_to(world: &mut World, id: &str, charges: &[Charge]) {
    let Command::Amend(mut amend) = amend("o") else {
        unreachable!("an amendment")
    };
    amend.id = farebox_record::ids::CallId::new(id).unwrap();
    world.ask(Command::Amend(amend), priced(charges)).unwrap();
}

/// 0.39 came back, and 0.6 that had expired. Of what is given less, the lost goes first: it costs the customer nothing.
#[test]
fn what_is_given_less_takes_what_had_expired_first() {
    let mut world = World::new();
    world.ok(grant("short", "usd", "0.6").expires(100).put());
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("r"), resolution()).unwrap();
    world.now = t(200);
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    amended(&mut world, "a1", "-0.7");
    assert_eq!(world.entries(), ["usd breakage -0.29", "usd revenue 0.29"]);
    amended(&mut world, "a2", "-0.3");
    assert_eq!(
        world.entries(),
        [
            "usd breakage -0.31",
            "usd revenue 0.31",
            "usd available:g -0.09",
            "usd revenue 0.09",
        ]
    );
    assert_eq!(world.has("usd"), "9.91 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("0"));
}

/// The same within one slice: 0.49 of the debt were open, 0.5 written off.
#[test]
fn what_is_given_less_takes_what_was_written_off_first() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ask(usage("r"), resolution()).unwrap();
    world.ok(adjust("w", AdjustTarget::Debt, "0.5"));
    world.ask(usage("o"), priced(&[reopened("r")])).unwrap();
    assert_eq!(
        world.entries(),
        ["usd revenue -0.99", "usd debt 0.49", "usd adjustments 0.5"]
    );
    amended(&mut world, "a1", "-0.6");
    assert_eq!(world.entries(), ["usd adjustments -0.39", "usd revenue 0.39"]);
    amended(&mut world, "a2", "-0.3");
    assert_eq!(
        world.entries(),
        [
            "usd adjustments -0.11",
            "usd revenue 0.11",
            "usd debt -0.19",
            "usd revenue 0.19",
        ]
    );
    assert_eq!(world.has("usd"), "0 0 0.19 0");
    // What was written off once more is taken of the event as well: 0.99 - 0.3 are left of it.
    assert_eq!(
        left(&world, "r"),
        [
            "resolution 0.39 Debt",
            "resolution 0.11 Debt",
            "resolution 0.19 Debt"
        ]
    );
}

/// More of one charge of the event comes back, and less of another.
#[test]
fn what_is_left_of_an_event_is_told_behind_both() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    let both = priced(&[charge("resolution", "usd", "1"), charge("work", "usd", "2")]);
    world.ask(usage("r"), both).unwrap();
    world
        .ask(usage("o"), priced(&[back("r", "work", "usd", "-1.5")]))
        .unwrap();
    amended(&mut world, "a", "-0.5");
    assert_eq!(
        left(&world, "r"),
        [
            "resolution 0.5 Grant(\"g\")",
            "work 0.5 Grant(\"g\")",
            "work 1.5 Grant(\"g\")",
        ]
    );
    // A part of what was taken last comes back of that alone.
    world
        .ask(usage("o2"), priced(&[back("r", "work", "usd", "-0.3")]))
        .unwrap();
    assert_eq!(
        left(&world, "r"),
        [
            "resolution 0.5 Grant(\"g\")",
            "work 0.5 Grant(\"g\")",
            "work 1.2 Grant(\"g\")",
        ]
    );
    assert_eq!(say(&world.act(void("r"))), "corrected, reversed usd 2.2");
    assert_eq!(world.has("usd"), "10 0 0 0");
}

/// What a part took for a charge stays with that charge, whatever comes back under the same code.
#[test]
fn a_last_settlement_gives_back_beside_what_its_parts_took() {
    let mut world = resolved();
    world
        .ask(hold("h"), priced(&[charge("resolution", "usd", "0.5")]))
        .unwrap();
    world
        .ask(part("h", "p"), priced(&[charge("resolution", "usd", "0.5")]))
        .unwrap();
    let answer = priced(&[reopened("r"), charge("resolution", "usd", "0.5")]);
    assert_eq!(say(&world.ask(settle("h"), answer)), "settled");
    assert_eq!(world.entries(), ["usd revenue -0.99", "usd available:g 0.99"]);
    assert_eq!(world.has("usd"), "9.5 0 0 0");
}
