//! A hold's time is over at the instant, whether or not anybody swept; for an hour more it can be settled as plain
//! usage.

use farebox_record::command::AboveHold::{AllowDebt, ChargeAvailable, Deny};
use farebox_record::command::Finality::{Final, Partial};

use crate::world::make::{
    Shape, extend, grant, hold_for, part, reference, release, settle, settling, usage, usd,
};
use crate::world::say::say;
use crate::world::{World, t};

const ENDED: &str = "refused: the hold has ended already: it is Expired";

/// 10 dollars, 6 of them held for 100 seconds.
fn held() -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold_for("h", 100), usd("6")).unwrap();
    world
}

#[test]
fn a_hold_expires_exactly_at_its_instant() {
    let mut world = held();
    world.advance(99);
    assert_eq!(world.has("usd"), "4 6 0 0");
    world.now = farebox_record::time::Timestamp::from_micros(t(100).as_micros() - 1);
    world.run_agenda();
    assert_eq!(world.has("usd"), "4 6 0 0", "never early");
    world.advance(0);
    world.now = t(100);
    world.run_agenda();
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.entries(), ["usd held:g -6", "usd available:g 6"]);
}

#[test]
fn the_last_microsecond_settles_as_usual() {
    let mut world = held();
    world.now = farebox_record::time::Timestamp::from_micros(t(100).as_micros() - 1);
    assert_eq!(
        say(&world.ask(settle("h"), usd("4"))),
        "settled, posted usd 4, returned usd 2"
    );
}

#[test]
fn at_the_instant_it_is_over_even_if_nobody_swept() {
    for command in [
        settle("h"),
        part("h", "p"),
        release("h"),
        extend("h", "x", 60, &[]),
    ] {
        let mut world = held();
        world.now = t(100);
        let pricing = Some(crate::world::make::pricing(usd("4")));
        assert_eq!(say(&world.decide(command, pricing)), ENDED);
        assert_eq!(world.has("usd"), "4 6 0 0");
    }
}

#[test]
fn a_late_settlement_is_plain_usage() {
    let mut world = held();
    world.advance(100);
    // Somebody else uses what came back.
    world.ask(usage("e"), usd("7")).unwrap();
    assert_eq!(
        say(&world.ask(settle("h"), usd("6"))),
        "settled, posted usd 6, debt usd 3, late"
    );
    assert_eq!(
        world.entries(),
        ["usd available:g -3", "usd debt -3", "usd revenue 6"]
    );
    assert_eq!(world.has("usd"), "0 0 3 0");
    assert_eq!(
        say(&world.ask(settle("h"), usd("6"))),
        "refused: there is no such hold; authorize first"
    );
}

/// Who wants nothing charged above the hold means what was set aside, though nothing is by now.
#[test]
fn a_late_settlement_is_above_the_hold_where_it_is_above_the_quote() {
    let mut world = held();
    world.advance(100);
    world.ask(usage("e"), usd("7")).unwrap();
    assert_eq!(
        say(&world.ask(settling("h", "s1", Final, Deny), usd("6.25"))),
        "refused: the usage costs 0.25 usd more than was held for it; settle with another `above_hold`"
    );
    assert_eq!(
        say(&world.ask(settling("h", "s2", Final, Deny), usd("6"))),
        "settled, posted usd 6, debt usd 3, late"
    );
    // An extension that raised what it may use counts.
    let mut world = held();
    world
        .ask(extend("h", "x", 100, &[("units", "8")]), usd("8"))
        .unwrap();
    world.advance(100);
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), usd("8"))),
        "settled, posted usd 8, late"
    );
}

#[test]
fn a_late_part_is_the_last_one() {
    let mut world = held();
    world.advance(150);
    let late = settling("h", "s", Partial, AllowDebt);
    assert_eq!(say(&world.ask(late, usd("2"))), "settled, posted usd 2, late");
    assert!(world.wallet.hold(&reference("h")).is_none());
}

#[test]
fn late_after_a_part_posts_the_difference() {
    let mut world = held();
    world.ask(part("h", "p"), usd("5")).unwrap();
    world.advance(100);
    assert_eq!(world.has("usd"), "5 0 0 0");
    assert_eq!(
        say(&world.ask(settle("h"), usd("6.5"))),
        "settled, posted usd 1.5, late"
    );
    assert_eq!(world.has("usd"), "3.5 0 0 0");
}

#[test]
fn late_and_less_gives_back_to_the_grant_it_came_from() {
    let mut world = held();
    world.ask(part("h", "p"), usd("6")).unwrap();
    world.ask(usage("e"), usd("4")).unwrap();
    // The grant is used up, but the hold may still give some of it back.
    assert_eq!(world.wallet.grants().count(), 1);
    world.advance(100);
    assert_eq!(
        say(&world.ask(settle("h"), usd("5"))),
        "settled, posted usd -1, late"
    );
    assert_eq!(world.has("usd"), "1 0 0 0");
}

#[test]
fn late_and_charge_available() {
    let mut world = held();
    world.advance(100);
    world.ask(usage("e"), usd("7")).unwrap();
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, ChargeAvailable), usd("6"))),
        "settled, posted usd 3, waived usd 3, late"
    );
}

#[test]
fn the_grace_is_an_hour_and_ends_at_its_instant() {
    let mut world = held();
    world.advance(100);
    world.advance(3_599);
    let mut too_late = held();
    too_late.advance(100);
    too_late.advance(3_600);
    assert_eq!(
        say(&world.ask(settle("h"), usd("6"))),
        "settled, posted usd 6, late"
    );
    // Whether or not another command made the wallet forget the hold meanwhile.
    assert_eq!(say(&too_late.ask(settle("h"), usd("6"))), ENDED);
    too_late.ask(usage("e"), usd("1")).unwrap();
    assert_eq!(
        say(&too_late.ask(settle("h"), usd("6"))),
        "refused: there is no such hold; authorize first"
    );
    assert_eq!(too_late.has("usd"), "9 0 0 0");
}

#[test]
fn a_forgotten_hold_lets_its_grants_go() {
    let mut world = held();
    world.ask(part("h", "p"), usd("6")).unwrap();
    world.ask(usage("e"), usd("4")).unwrap();
    world.advance(100);
    world.advance(3_600);
    world.ask(usage("e2"), usd("1")).unwrap();
    assert_eq!(world.wallet.grants().count(), 0);
    assert_eq!(world.wallet.holds().count(), 0);
}
