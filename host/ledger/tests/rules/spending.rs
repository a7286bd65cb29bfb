//! Spending limits: what they let through, and how they say no.

use farebox_ledger::{Retry, compare};
use farebox_record::state::Shortfall;

use crate::world::World;
use crate::world::bound::{Bound, hold_of, limit, one_shot_of};
use crate::world::make::Shape;
use crate::world::make::{
    chain, charge, extend, fee, grant, hold, hold_for, one_shot, part, priced, release, settle, usage, usd,
};
use crate::world::say::say;

/// 1 April, in seconds after 1 March.
const APRIL: i64 = 31 * 86_400;

/// A customer with plenty.
fn world() -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "1000").put());
    world
}

#[test]
fn a_call_that_does_not_fit_is_told_which_limit_where_and_until_when() {
    let mut world = world();
    assert_eq!(say(&world.act(limit("month", "usd", "10").set())), "limited");
    world.ask(usage("e"), usd("4")).unwrap();
    assert_eq!(say(&world.ask(hold("h"), usd("5"))), "allowed, held usd 5");
    assert_eq!(world.limit("month"), "4 + 5, 1 left");
    let denied = format!("denied by month at customer until {APRIL}: 1 of 2 usd");
    assert_eq!(say(&world.ask(hold("h2"), usd("2"))), denied);
    assert_eq!(say(&world.ask(one_shot("o"), usd("2"))), denied);
    assert_eq!(world.limit("month"), "4 + 5, 1 left");
    assert_eq!(world.has("usd"), "991 5 0 0");
    // Exactly what is left fits.
    assert_eq!(say(&world.ask(one_shot("o2"), usd("1"))), "allowed");
    assert_eq!(world.limit("month"), "5 + 5, 0 left");
    assert_eq!(say(&world.ask(hold("free"), usd("0"))), "allowed");
    let nano = format!("denied by month at customer until {APRIL}: 0 of 0.000000001 usd");
    assert_eq!(say(&world.ask(hold("h3"), usd("0.000000001"))), nano);
}

/// The cap of on-demand usage: the last link of a chain draws on what is owed afterwards, as far as a limit in its asset goes.
#[test]
fn a_limit_in_the_last_asset_of_a_chain_caps_what_goes_beyond_the_pool() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ok(grant("pool", "credits", "80").put());
    world.ok(limit("on-demand", "usd", "5").set());
    // 100 credits, or 20 usd: of the first call 80 % are in the pool, and 4 usd go beyond.
    let price = || priced(&[chain("t", &[("credits", "100"), ("usd", "20")])]);
    let held = "allowed, held credits 80 + usd 4";
    assert_eq!(say(&world.ask(hold("h"), price())), held);
    assert_eq!(world.limit("on-demand"), "0 + 4, 1 left");
    // The pool is held: all 20 of the next one would go beyond.
    let denied = format!("denied by on-demand at customer until {APRIL}: 1 of 20 usd");
    assert_eq!(say(&world.ask(hold("h2"), price())), denied);
    assert_eq!(
        (world.has("credits"), world.has("usd")),
        ("0 80 0 0".into(), "0 4 0 0".into())
    );
    // What happened is recorded all the same, and shown as beyond the limit.
    world.ask(usage("e"), price()).unwrap();
    assert_eq!(world.limit("on-demand"), "20 + 4, 0 left");
    assert_eq!(world.has("usd"), "0 4 20 0");
}

#[test]
fn all_limits_must_fit_or_nothing_is_charged() {
    let mut world = world();
    world.ok(limit("all", "usd", "60").set());
    world.ok(limit("team", "usd", "10").on("team", "search").set());
    world.ok(limit("agent", "usd", "3")
        .on("team", "search")
        .on("agent", "bot-7")
        .set());
    let bot = |name| [("team", "search"), ("agent", name)];
    assert_eq!(
        say(&world.ask(hold_of("a", &bot("bot-7")), usd("4"))),
        format!("denied by agent at team=search/agent=bot-7 until {APRIL}: 3 of 4 usd")
    );
    assert_eq!(
        (world.limit("all"), world.limit("team")),
        ("0 + 0, 60 left".into(), "0 + 0, 10 left".into())
    );
    world.ask(hold_of("b", &bot("bot-7")), usd("3")).unwrap();
    assert_eq!(world.limit("agent"), "0 + 3, 0 left");
    world.ask(hold_of("c", &bot("bot-8")), usd("7")).unwrap();
    assert_eq!(world.limit("team"), "0 + 10, 0 left");
    assert_eq!(
        say(&world.ask(hold_of("d", &bot("bot-9")), usd("1"))),
        format!("denied by team at team=search until {APRIL}: 0 of 1 usd")
    );
    // Another branch of the tree only meets the root.
    world.ask(hold_of("e", &[("team", "ads")]), usd("50")).unwrap();
    assert_eq!(world.limit("all"), "0 + 60, 0 left");
    assert_eq!(
        say(&world.ask(hold("f"), usd("1"))),
        format!("denied by all at customer until {APRIL}: 0 of 1 usd")
    );
    // The right agent of another team is no part of the agent's limit.
    assert_eq!(
        say(&world.ask(one_shot_of("g", &[("team", "ads"), ("agent", "bot-7")]), usd("0"))),
        "allowed"
    );
    assert_eq!(world.has("usd"), "940 60 0 0");
}

#[test]
fn of_several_limits_the_one_with_the_least_left_is_named() {
    let mut world = world();
    for (name, amount) in [("b", "5"), ("a", "5"), ("c", "6")] {
        world.ok(limit(name, "usd", amount).set());
    }
    let denied = |name, left| format!("denied by {name} at customer until {APRIL}: {left} of 9 usd");
    assert_eq!(say(&world.ask(hold("h"), usd("9"))), denied("a", 5));
    world.ok(limit("c", "usd", "4").set());
    assert_eq!(say(&world.ask(hold("h2"), usd("9"))), denied("c", 4));
}

#[test]
fn what_is_held_becomes_what_is_used_or_is_free_again() {
    let mut world = world();
    world.ok(limit("month", "usd", "10").set());
    for id in ["settled", "released", "expired"] {
        world.ask(hold_for(id, 60), usd("3")).unwrap();
    }
    assert_eq!(world.limit("month"), "0 + 9, 1 left");
    world.ask(settle("settled"), usd("2")).unwrap();
    assert_eq!(world.limit("month"), "2 + 6, 2 left");
    world.ok(release("released"));
    assert_eq!(world.limit("month"), "2 + 3, 5 left");
    world.advance(60);
    assert_eq!(world.limit("month"), "2 + 0, 8 left");
    // Late, it is plain usage, and counts all the same.
    world.ask(settle("expired"), usd("3")).unwrap();
    assert_eq!(world.limit("month"), "5 + 0, 5 left");
}

#[test]
fn usage_that_happened_is_recorded_and_may_exceed() {
    let mut world = world();
    world.ok(limit("month", "usd", "5").set());
    world.ask(hold("h"), usd("5")).unwrap();
    assert_eq!(say(&world.ask(settle("h"), usd("8"))), "settled, posted usd 8");
    assert_eq!(world.limit("month"), "8 + 0, 0 left");
    assert_eq!(say(&world.ask(usage("e"), usd("2"))), "charged");
    assert_eq!(world.limit("month"), "10 + 0, 0 left");
    let denied = format!("denied by month at customer until {APRIL}: 0 of 1 usd");
    assert_eq!(say(&world.ask(hold("h2"), usd("1"))), denied);
}

#[test]
fn a_denial_stays_a_denial() {
    let mut world = world();
    world.ok(limit("month", "usd", "5").set());
    let denied = world.ask(hold("h"), usd("6")).unwrap();
    let record = world.records.last().unwrap().clone();
    world.ok(limit("month", "usd", "50").set());
    assert_eq!(compare(&hold("h"), &record), Retry::Same(denied));
    assert_eq!(say(&world.ask(hold("h2"), usd("6"))), "allowed, held usd 6");
}

#[test]
fn a_hold_may_grow_as_far_as_the_limits_allow() {
    let mut world = world();
    world.ok(limit("month", "usd", "5").set());
    world.ask(hold("h"), usd("3")).unwrap();
    let more = [("tokens", "1")];
    assert_eq!(
        say(&world.ask(extend("h", "x1", 900, &more), usd("6"))),
        format!("denied by month at customer until {APRIL}: 5 of 6 usd")
    );
    assert_eq!(
        (world.limit("month"), world.has("usd")),
        ("0 + 3, 2 left".into(), "997 3 0 0".into())
    );
    assert_eq!(
        say(&world.ask(extend("h", "x2", 900, &more), usd("5"))),
        "extended, held usd 5 until 900"
    );
    assert_eq!(world.limit("month"), "0 + 5, 0 left");
    // More time, and maximums that take no more, are not asked for room: not even where there is less than none.
    world.ask(usage("e"), usd("4")).unwrap();
    assert_eq!(
        say(&world.act(extend("h", "x3", 1_000, &[]))),
        "extended, held usd 5 until 1000"
    );
    assert_eq!(
        say(&world.ask(extend("h", "x4", 1_000, &more), usd("5"))),
        "extended, held usd 5 until 1000"
    );
    assert_eq!(
        say(&world.ask(extend("h", "x5", 1_000, &more), usd("6"))),
        format!("denied by month at customer until {APRIL}: 1 of 6 usd")
    );
}

#[test]
fn a_limit_of_nothing_lets_nothing_through_and_another_asset_is_none_of_its_business() {
    let mut world = world();
    world.ok(grant("c", "credits", "10").put());
    world.ok(limit("none", "credits", "0").set());
    let credits = || priced(&[charge("t", "credits", "1")]);
    assert_eq!(
        say(&world.ask(hold("h"), credits())),
        format!("denied by none at customer until {APRIL}: 0 of 1 credits")
    );
    assert_eq!(say(&world.ask(hold("h2"), usd("999"))), "allowed, held usd 999");
}

#[test]
fn a_limit_that_notifies_never_denies() {
    let mut world = world();
    world.ok(limit("watch", "usd", "1").percent(&[100]).notify().set());
    assert_eq!(say(&world.ask(one_shot("o"), usd("7"))), "allowed");
    assert_eq!(world.announced(), ["watch 100% at 7"]);
    assert_eq!(world.limit("watch"), "7 + 0, 0 left");
}

#[test]
fn a_fee_on_the_statement_needs_room_too() {
    let mut world = world();
    world.ok(limit("month", "usd", "5").set());
    let verdict = || priced(&[charge("t", "usd", "2"), fee("seat", "usd", "4")]);
    assert_eq!(
        say(&world.ask(one_shot("o"), verdict())),
        format!("denied by month at customer until {APRIL}: 5 of 6 usd")
    );
    world.ok(limit("month", "usd", "6").set());
    assert_eq!(say(&world.ask(hold("h"), verdict())), "allowed, held usd 2");
    assert_eq!(world.limit("month"), "0 + 2, 4 left");
    world.ask(settle("h"), verdict()).unwrap();
    assert_eq!(world.limit("month"), "6 + 0, 0 left");
}

#[test]
fn a_fee_that_comes_with_an_extension_must_fit_too() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "100").put());
    world.ok(limit("l", "usd", "10").set());
    world.ask(hold("h"), usd("4")).unwrap();
    let extended = |world: &mut World, id: &str, price: &str| {
        let price = priced(&[charge("t", "usd", "4"), fee("f", "usd", price)]);
        say(&world.ask(extend("h", id, 60, &[("tokens", "1")]), price))
    };
    // 4 are held, and 6 left: a statement sets nothing aside, and yet takes it in the end.
    let denied = extended(&mut world, "x", "7");
    assert!(denied.starts_with("denied by l at customer"), "{denied}");
    assert!(denied.ends_with("10 of 11 usd"), "{denied}");
    assert_eq!(extended(&mut world, "y", "6"), "extended, held usd 4 until 900");
    // What is on the statement already is no more than it was.
    let price = priced(&[charge("t", "usd", "4"), fee("f", "usd", "6")]);
    world.ask(part("h", "p"), price).unwrap();
    assert_eq!(world.limit("l"), "10 + 0, 0 left");
    assert_eq!(extended(&mut world, "z", "6"), "extended until 900");
}
