//! What a hold has cannot fail to be there; what costs more than it is refused, charged as far as it goes, or owed.

use farebox_record::command::AboveHold::{self, AllowDebt, ChargeAvailable, Deny};
use farebox_record::command::Finality::Final;
use farebox_record::plan::Category::Promotional;
use farebox_record::state::Shortfall::Floor;

use crate::world::World;
use crate::world::make::{Shape, charge, grant, hold, n, part, priced, settling, usage, usd};
use crate::world::say::say;

fn held(amount: &str, hold_amount: &str) -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", amount).put());
    world.ask(hold("h"), usd(hold_amount)).unwrap();
    world
}

/// A hold of 6 in a wallet of `have` settles at `price`.
fn above(have: &str, floor: &str, how: AboveHold, price: &str, said: &str, has: &str) {
    let mut world = World::owing(&[("usd", Floor(n(floor)))]);
    world.ok(grant("g", "usd", have).put());
    world.ask(hold("h"), usd("6")).unwrap();
    let case = format!("{how:?}: {have} there, floor {floor}, priced {price}");
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, how), usd(price))),
        said,
        "{case}"
    );
    assert_eq!(world.has("usd"), has, "{case}");
}

#[test]
fn above_the_hold() {
    above("6", "0", Deny, "6", "settled, posted usd 6", "0 0 0 0");
    let refused = |more: &str| {
        format!(
            "refused: the usage costs {more} usd more than was held for it; settle with another `above_hold`"
        )
    };
    above("6", "0", Deny, "6.25", &refused("0.25"), "0 6 0 0");
    above("9", "0", Deny, "6.25", &refused("0.25"), "3 6 0 0");
    above("9", "5", Deny, "15", &refused("9"), "3 6 0 0");
    above("9", "0", ChargeAvailable, "8", "settled, posted usd 8", "1 0 0 0");
    above(
        "9",
        "0",
        ChargeAvailable,
        "12",
        "settled, posted usd 9, waived usd 3",
        "0 0 0 0",
    );
    above(
        "9",
        "0",
        AllowDebt,
        "12",
        "settled, posted usd 12, debt usd 3",
        "0 0 3 0",
    );
    // Held on credit is held: it is owed, not waived.
    above(
        "4",
        "5",
        ChargeAvailable,
        "8",
        "settled, posted usd 6, debt usd 2, waived usd 2",
        "0 0 2 0",
    );
    above(
        "4",
        "5",
        Deny,
        "6",
        "settled, posted usd 6, debt usd 2",
        "0 0 2 0",
    );
    above(
        "4",
        "5",
        AllowDebt,
        "8",
        "settled, posted usd 8, debt usd 4",
        "0 0 4 0",
    );
}

#[test]
fn the_default_above_the_hold_is_to_charge_what_happened() {
    let mut world = held("6", "6");
    world
        .ask(settling("h", "s", Final, AboveHold::default()), usd("8"))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 2 0");
}

#[test]
fn a_refused_settlement_leaves_the_hold_open() {
    let mut world = held("6", "6");
    world.ask(settling("h", "s1", Final, Deny), usd("7")).unwrap_err();
    assert_eq!(
        say(&world.ask(settling("h", "s2", Final, AllowDebt), usd("7"))),
        "settled, posted usd 7, debt usd 1"
    );
}

#[test]
fn value_taken_above_the_hold_by_a_part_is_part_of_the_hold_then() {
    let mut world = held("10", "6");
    assert_eq!(say(&world.ask(part("h", "1"), usd("8"))), "part, posted usd 8");
    assert_eq!(
        say(&world.ask(part("h", "2"), usd("5"))),
        "part, posted usd -3, held usd 3"
    );
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), usd("8"))),
        "settled, posted usd 3"
    );
    assert_eq!(world.has("usd"), "2 0 0 0");
}

#[test]
fn a_settlement_at_its_quote_is_not_above_the_hold_wherever_it_is_paid_from() {
    // Held on credit; what is free by then is used before anything is owed.
    let mut world = World::owing(&[("usd", Floor(n("5")))]);
    world.ask(hold("h"), usd("4")).unwrap();
    world.ok(grant("promo", "usd", "3").category(Promotional).put());
    world
        .ask(settling("h", "s1", Final, Deny), usd("4.5"))
        .unwrap_err();
    assert_eq!(
        say(&world.ask(settling("h", "s2", Final, Deny), usd("4"))),
        "settled, posted usd 4, debt usd 1"
    );
    assert_eq!(world.has("usd"), "0 0 1 0");
}

#[test]
fn a_settlement_at_its_quote_never_fails_for_funds() {
    // `out` can use both grants, the others one each. Were the pins used in the order in which they were made, `out`
    // would take of `y` what only `batch` and `in` can use.
    let mut world = World::new();
    world.ok(grant("x", "usd", "3").code("out").put());
    world.ok(grant("y", "usd", "7").priority(1).put());
    let quote = priced(&[
        charge("in", "usd", "2"),
        charge("out", "usd", "3"),
        charge("batch", "usd", "5"),
    ]);
    assert_eq!(say(&world.ask(hold("h"), quote.clone())), "allowed, held usd 10");
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), quote)),
        "settled, posted usd 10"
    );
}

#[test]
fn others_cannot_take_what_a_hold_has() {
    let mut world = held("10", "6");
    world.ask(usage("e"), usd("50")).unwrap();
    assert_eq!(world.has("usd"), "0 6 46 0");
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), usd("6"))),
        "settled, posted usd 6"
    );
}

#[test]
fn what_is_let_go_of_one_charge_leaves_the_others_alone() {
    let mut world = World::owing(&[("usd", Floor(n("6")))]);
    world.ask(hold("h"), usd("6")).unwrap();
    // All is on credit: 5 and 1 of the 3 are within it, and 2 are let go.
    let price = priced(&[charge("a", "usd", "5"), charge("b", "usd", "3")]);
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, ChargeAvailable), price)),
        "settled, posted usd 6, debt usd 6, waived usd 2"
    );
    assert_eq!(world.has("usd"), "0 0 6 0");
}
