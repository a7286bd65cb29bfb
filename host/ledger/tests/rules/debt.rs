//! What happened is always recorded: what the wallet cannot cover is owed, and what is owed decides what comes next.

use farebox_record::outcome::Account;
use farebox_record::plan::Category::{Included, Promotional};
use farebox_record::state::Shortfall::{self, Deny, Floor, Unlimited};

use crate::world::World;
use crate::world::make::{
    Shape, charge, customer, fee, grant, hold, n, one_shot, priced, settle, usage, usd,
};
use crate::world::say::say;

#[test]
fn usage_is_recorded_whatever_the_policy() {
    for shortfall in [Deny, Floor(n("1")), Unlimited] {
        let mut world = World::owing(&[("usd", shortfall)]);
        world.ok(grant("g", "usd", "3").put());
        assert_eq!(say(&world.ask(usage("e"), usd("10"))), "charged");
        assert_eq!(
            world.entries(),
            ["usd available:g -3", "usd debt -7", "usd revenue 10"]
        );
        assert_eq!(world.has("usd"), "0 0 7 0");
    }
}

#[test]
fn a_paid_grant_pays_debt_first() {
    let cases = [
        ("5", "granted, 5 paid debt", "0 0 2 0"),
        ("7", "granted, 7 paid debt", "0 0 0 0"),
        ("10", "granted, 7 paid debt", "3 0 0 0"),
    ];
    for (amount, said, has) in cases {
        let mut world = World::new();
        world.ask(usage("e"), usd("7")).unwrap();
        assert_eq!(say(&world.act(grant("g", "usd", amount).put())), said);
        assert_eq!(world.has("usd"), has);
        assert_eq!(world.posted("usd", &Account::Revenue), n("7"));
    }
}

#[test]
fn the_entries_of_a_grant_that_pays_debt() {
    let mut world = World::new();
    world.ask(usage("e"), usd("7")).unwrap();
    world.ok(grant("g", "usd", "10").put());
    assert_eq!(
        world.entries(),
        [
            "usd available:g 10",
            "usd purchases -10",
            "usd available:g -7",
            "usd debt 7",
        ]
    );
}

#[test]
fn included_and_promotional_value_never_pays_debt() {
    for category in [Included, Promotional] {
        let mut world = World::new();
        world.ask(usage("e"), usd("7")).unwrap();
        assert_eq!(
            say(&world.act(grant("g", "usd", "10").category(category).put())),
            "granted"
        );
        assert_eq!(world.has("usd"), "10 0 7 0");
        world.ok(grant("later", "usd", "10").category(category).effective(5).put());
        world.advance(5);
        assert_eq!(world.has("usd"), "20 0 7 0");
    }
}

#[test]
fn a_paid_grant_that_waits_pays_when_it_becomes_good() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").effective(50).put());
    world.ask(usage("e"), usd("7")).unwrap();
    assert_eq!(world.has("usd"), "0 0 7 0");
    world.advance(50);
    assert_eq!(world.has("usd"), "3 0 0 0");
    assert_eq!(world.entries(), ["usd available:g -7", "usd debt 7"]);
}

#[test]
fn debt_is_paid_in_its_own_asset() {
    let mut world = World::new();
    world.ask(usage("e"), usd("7")).unwrap();
    world.ok(grant("g", "credits", "10").put());
    assert_eq!(world.has("usd"), "0 0 7 0");
    assert_eq!(world.has("credits"), "10 0 0 0");
}

/// A wallet with `have` promotional dollars (which pay no debt) and `owed` of debt asks for a hold of `ask`.
fn check(shortfall: Shortfall, owed: &str, have: &str, ask: &str, said: &str) {
    let wallet = || {
        let mut world = World::owing(&[("usd", shortfall)]);
        if owed != "0" {
            world.ask(usage("before"), usd(owed)).unwrap();
        }
        if have != "0" {
            world.ok(grant("g", "usd", have).category(Promotional).put());
        }
        world
    };
    let case = format!("{shortfall:?}, {owed} owed, {have} there, {ask} asked");
    assert_eq!(say(&wallet().ask(hold("h"), usd(ask))), said, "{case}");
    // One-shot follows the same rule.
    let said = if said.starts_with("allowed") {
        "allowed"
    } else {
        said
    };
    assert_eq!(say(&wallet().ask(one_shot("o"), usd(ask))), said, "{case}");
}

#[test]
fn authorize_follows_the_policy() {
    let floor = Floor(n("5"));
    let short = |text: &str| format!("denied: InsufficientFunds, {text} usd");
    let debt = |owed: &str| format!("denied: Debt, 0 of {owed} usd");
    check(Deny, "0", "3", "3", "allowed, held usd 3");
    check(Deny, "0", "3", "3.000000001", &short("3 of 3.000000001"));
    check(Deny, "0.000000001", "9", "1", &debt("0.000000001"));
    check(floor, "0", "3", "8", "allowed, held usd 8");
    check(floor, "0", "3", "8.5", &short("8 of 8.5"));
    check(floor, "2", "3", "6", "allowed, held usd 6");
    check(floor, "2", "3", "6.1", &short("6 of 6.1"));
    check(floor, "5", "3", "3", "allowed, held usd 3");
    check(floor, "5", "3", "4", &short("3 of 4"));
    check(floor, "5.000000001", "9", "1", &debt("5.000000001"));
    check(Unlimited, "1000", "0", "1000000", "allowed, held usd 1000000");
}

#[test]
fn a_policy_for_one_asset_says_nothing_about_another() {
    let mut world = World::owing(&[("credits", Unlimited)]);
    assert_eq!(
        say(&world.ask(hold("h"), usd("1"))),
        "denied: InsufficientFunds, 0 of 1 usd"
    );
    // Nor does debt in an asset that the call does not touch.
    world.ask(usage("e"), usd("1")).unwrap();
    let credits = priced(&[charge("tokens", "credits", "3")]);
    assert_eq!(say(&world.ask(hold("c"), credits)), "allowed, held credits 3");
    let both = priced(&[charge("a", "credits", "3"), charge("b", "usd", "1")]);
    assert_eq!(say(&world.ask(hold("d"), both)), "denied: Debt, 0 of 1 usd");
    // A fee goes on the statement, debt or not.
    assert_eq!(
        say(&world.ask(hold("f"), priced(&[fee("seat", "usd", "9")]))),
        "allowed"
    );
}

#[test]
fn holds_on_credit_count_against_the_floor_together() {
    let mut world = World::owing(&[("usd", Floor(n("5")))]);
    assert_eq!(say(&world.ask(hold("a"), usd("3"))), "allowed, held usd 3");
    assert_eq!(world.has("usd"), "0 3 0 0");
    assert_eq!(
        say(&world.ask(hold("b"), usd("3"))),
        "denied: InsufficientFunds, 2 of 3 usd"
    );
    assert_eq!(say(&world.ask(hold("c"), usd("2"))), "allowed, held usd 2");
    world.ask(settle("a"), usd("3")).unwrap();
    assert_eq!(world.has("usd"), "0 2 3 0");
    assert_eq!(
        say(&world.ask(hold("d"), usd("0.1"))),
        "denied: InsufficientFunds, 0 of 0.1 usd"
    );
}

#[test]
fn two_charges_share_one_floor_and_are_told_as_one_sum() {
    let mut world = World::owing(&[("usd", Floor(n("5")))]);
    world.ok(grant("g", "usd", "10").put());
    let both = |a: &str, b: &str| priced(&[charge("in", "usd", a), charge("out", "usd", b)]);
    assert_eq!(
        say(&world.ask(hold("a"), both("8", "7.5"))),
        "denied: InsufficientFunds, 15 of 15.5 usd"
    );
    assert_eq!(say(&world.ask(hold("b"), both("8", "7"))), "allowed, held usd 15");
}

#[test]
fn a_policy_can_change_but_not_be_negative() {
    let mut world = World::new();
    assert_eq!(
        say(&world.act(customer("c2", &[("usd", Floor(n("-1")))]))),
        "refused: shortfall must allow a debt of zero or more"
    );
    assert_eq!(say(&world.act(customer("c3", &[("usd", Unlimited)]))), "changed");
    assert_eq!(say(&world.ask(hold("h"), usd("1"))), "allowed, held usd 1");
    assert_eq!(say(&world.act(customer("c4", &[]))), "changed");
    assert_eq!(
        say(&world.ask(hold("h2"), usd("1"))),
        "denied: InsufficientFunds, 0 of 1 usd"
    );
    // The open hold keeps what it was given.
    assert_eq!(
        say(&world.ask(settle("h"), usd("1"))),
        "settled, posted usd 1, debt usd 1"
    );
}
