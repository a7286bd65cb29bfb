//! Priority, specific before general, expiry, category, effective time, id: in this order.

use farebox_record::command::Grant;
use farebox_record::plan::Category::{Included, Paid, Promotional};

use crate::world::World;
use crate::world::make::{Shape, charge, event_with, grant, priced};
use farebox_record::command::Command;

/// Opens the grants, burns `amount` and compares what was taken, in order.
fn check(grants: &[Grant], amount: &str, burnt: &[&str]) {
    let mut world = World::new();
    for grant in grants {
        world.ok(grant.clone().put());
    }
    let usage = Command::Usage(event_with("e", &[("model", "m")]));
    world
        .ask(usage, priced(&[charge("tokens", "usd", amount)]))
        .unwrap();
    assert_eq!(world.burnt(), burnt, "{grants:#?}");
}

/// `first` burns before `second`, in whichever order they were given.
fn before(first: Grant, second: Grant) {
    let first = Grant {
        amount: crate::world::make::n("3"),
        ..first
    };
    let order = [format!("{} 3", first.id), format!("{} 1", second.id)];
    let order: Vec<&str> = order.iter().map(String::as_str).collect();
    check(&[first.clone(), second.clone()], "4", &order);
    check(&[second, first], "4", &order);
}

fn g(id: &str) -> Grant {
    grant(id, "usd", "10")
}

#[test]
fn low_priority_beats_everything_behind_it() {
    before(g("z").priority(0), g("a").priority(1));
    before(g("z").priority(-1), g("a"));
    before(
        g("z").priority(4),
        g("a")
            .priority(5)
            .code("tokens")
            .expires(10)
            .category(Promotional)
            .effective(-50),
    );
}

#[test]
fn specific_beats_expiry_and_what_follows() {
    before(g("z").code("tokens"), g("a"));
    before(g("z").only("model", "m"), g("a"));
    before(
        g("z").code("tokens"),
        g("a").expires(10).category(Promotional).effective(-50),
    );
    // Specific is specific: two conditions are no more specific than one.
    before(g("a").code("tokens"), g("b").code("tokens").only("model", "m"));
}

#[test]
fn soonest_expiry_beats_category_and_what_follows() {
    before(g("z").expires(10), g("a").expires(11));
    before(g("z").expires(10), g("a"));
    before(
        g("z").expires(10),
        g("a").expires(11).category(Promotional).effective(-50),
    );
    before(g("z").expires(10), g("a").category(Promotional).effective(-50));
}

#[test]
fn promotional_then_included_then_paid() {
    before(g("z").category(Promotional), g("a").category(Included));
    before(g("z").category(Included), g("a").category(Paid));
    before(g("z").category(Promotional), g("a").category(Paid).effective(-50));
}

#[test]
fn earlier_effective_then_smaller_id() {
    before(g("z").effective(-2), g("a").effective(-1));
    before(g("a"), g("b"));
}

#[test]
fn all_keys_together() {
    // Named in the order in which they must burn; given backwards.
    let grants = [
        g("i7").effective(-9),
        g("i8"),
        g("i6").category(Included).effective(-1),
        g("i5").category(Promotional).effective(-1),
        g("i4").expires(200),
        g("i3").expires(100),
        g("i2").code("tokens"),
        g("i1").code("tokens").expires(900),
        g("i0").priority(-1),
        g("i9")
            .priority(1)
            .code("tokens")
            .expires(5)
            .category(Promotional),
    ]
    .map(|grant| Grant {
        amount: crate::world::make::n("1"),
        ..grant
    });
    let order: Vec<String> = (0..=9).map(|i| format!("i{i} 1")).collect();
    check(
        &grants,
        "10",
        &order.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

#[test]
fn what_does_not_apply_is_left_alone() {
    let grants = [
        g("other-code").code("images"),
        g("other-model").only("model", "x"),
        g("no-such-attribute").only("team", "t"),
        g("half").code("tokens").only("model", "x"),
        g("plain"),
    ];
    check(&grants, "4", &["plain 4"]);
    check(
        &[g("either").code("images").code("tokens"), g("plain")],
        "4",
        &["either 4"],
    );
}

#[test]
fn one_entry_for_each_grant_touched() {
    let mut world = World::new();
    for id in ["a", "b"] {
        world.ok(g(id).put());
    }
    world
        .ask(
            crate::world::make::usage("e"),
            priced(&[charge("tokens", "usd", "12")]),
        )
        .unwrap();
    assert_eq!(
        world.entries(),
        ["usd available:a -10", "usd available:b -2", "usd revenue 12"]
    );
}

#[test]
fn daily_build_credits_before_general_ones() {
    // Lovable Pro, day 3: 100 general and 5 daily for builds only; a build of 7.3, then a call of the AI gateway of 1.
    let mut world = World::new();
    world.ok(grant("monthly", "credits", "100").category(Included).put());
    world.ok(grant("daily", "credits", "5")
        .category(Included)
        .code("build")
        .expires(86_400)
        .put());
    world
        .ask(
            crate::world::make::usage("b"),
            priced(&[charge("build", "credits", "7.3")]),
        )
        .unwrap();
    assert_eq!(world.burnt(), ["daily 5", "monthly 2.3"]);
    world.ok(grant("daily-2", "credits", "5")
        .category(Included)
        .code("build")
        .expires(86_400)
        .put());
    world
        .ask(
            crate::world::make::usage("g"),
            priced(&[charge("gateway", "credits", "1")]),
        )
        .unwrap();
    assert_eq!(world.burnt(), ["monthly 1"]);
    assert_eq!(world.has("credits"), "101.7 0 0 0"); // 100 - 2.3 - 1 + 5
}
