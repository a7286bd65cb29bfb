//! What counts towards a spending limit, and what is announced on the way.

use farebox_record::command::{Command, RateUnpriced};

use crate::world::World;
use crate::world::bound::{Bound, hold_of, limit, settle_as, usage_of, with_attributes};
use crate::world::make::{
    Shape, chain, event, extend, fee, grant, hold, n, part, priced, refund_event, settle, subscribe, usage,
    usd, void,
};
use crate::world::say::say;
use farebox_record::spending::CalendarUnit;
use farebox_record::state::Cadence;

fn world() -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "1000").put());
    world
}

#[test]
fn what_a_chain_takes_in_the_end_counts_in_its_asset() {
    let mut world = world();
    world.ok(grant("c", "credits", "3").put());
    world.ok(limit("credits", "credits", "100").set());
    world.ok(limit("usd", "usd", "100").set());
    // 3 of 10 credits are three tenths; the other seven tenths of 5 usd are 3.5.
    let verdict = || priced(&[chain("t", &[("credits", "10"), ("usd", "5")])]);
    world.ask(hold("h"), verdict()).unwrap();
    assert_eq!(world.limit("credits"), "0 + 3, 97 left");
    assert_eq!(world.limit("usd"), "0 + 3.5, 96.5 left");
    world.ask(settle("h"), verdict()).unwrap();
    assert_eq!(world.limit("credits"), "3 + 0, 97 left");
    assert_eq!(world.limit("usd"), "3.5 + 0, 96.5 left");
}

#[test]
fn debt_and_receivables_count() {
    let mut world = World::new();
    world.ok(limit("month", "usd", "100").set());
    world.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "0 0 5 0");
    world.ask(usage("f"), priced(&[fee("seat", "usd", "2")])).unwrap();
    assert_eq!(world.limit("month"), "7 + 0, 93 left");
    // Paying debt is no spending.
    world.ok(grant("g", "usd", "50").put());
    assert_eq!(world.limit("month"), "7 + 0, 93 left");
}

#[test]
fn what_is_no_event_does_not_count() {
    let mut world = world();
    world.ok(limit("month", "usd", "100").set());
    world.ask(subscribe("s", Cadence::Monthly), usd("20")).unwrap();
    assert_eq!(world.limit("month"), "0 + 0, 100 left");
}

#[test]
fn an_event_counts_when_it_is_posted() {
    let mut world = world();
    world.ok(limit("day", "usd", "100").per(CalendarUnit::Day).set());
    assert!(say(&world.act(usage("e"))).starts_with("unpriced"));
    assert_eq!(world.limit("day"), "0 + 0, 100 left");
    let sequence = world.wallet.header().sequence;
    world.advance(86_400);
    let rate = RateUnpriced {
        sequence,
        received: crate::world::t(0),
        event: event("e"),
    };
    world.ask(Command::RateUnpriced(rate), usd("3")).unwrap();
    assert_eq!(world.limit("day"), "3 + 0, 97 left");
}

#[test]
fn a_settlement_in_part_counts_the_difference() {
    let mut world = world();
    world.ok(limit("month", "usd", "100").set());
    world.ask(hold("h"), usd("10")).unwrap();
    world.ask(part("h", "p1"), usd("4")).unwrap();
    assert_eq!(world.limit("month"), "4 + 6, 90 left");
    // It turns out to have been less: what is not owed goes back into the hold.
    world.ask(part("h", "p2"), usd("1")).unwrap();
    assert_eq!(world.limit("month"), "1 + 9, 90 left");
    world.ask(settle("h"), usd("7")).unwrap();
    assert_eq!(world.limit("month"), "7 + 0, 93 left");
}

#[test]
fn attributes_that_a_settlement_brings_decide_what_it_counts_for() {
    let mut world = world();
    world.ok(limit("big", "usd", "100").on("model", "big").set());
    world.ok(limit("small", "usd", "100").on("model", "small").set());
    world.ask(hold_of("h", &[("model", "small")]), usd("10")).unwrap();
    assert_eq!(
        (world.limit("big"), world.limit("small")),
        ("0 + 0, 100 left".into(), "0 + 10, 90 left".into())
    );
    let big = [("model", "big")];
    world
        .ask(with_attributes(part("h", "p1"), &big), usd("2"))
        .unwrap();
    assert_eq!(
        (world.limit("big"), world.limit("small")),
        ("2 + 0, 98 left".into(), "0 + 8, 92 left".into())
    );
    world
        .ask(with_attributes(part("h", "p2"), &big), usd("5"))
        .unwrap();
    assert_eq!(
        (world.limit("big"), world.limit("small")),
        ("5 + 0, 95 left".into(), "0 + 5, 95 left".into())
    );
    // Small after all: what counted for the other one leaves it.
    world.ask(settle("h"), usd("6")).unwrap();
    assert_eq!(
        (world.limit("big"), world.limit("small")),
        ("0 + 0, 100 left".into(), "6 + 0, 94 left".into())
    );
    // And where nothing was known before.
    world.ask(hold("h2"), usd("3")).unwrap();
    world.ask(settle_as("h2", &big), usd("3")).unwrap();
    assert_eq!(world.limit("big"), "3 + 0, 97 left");
    let kept = world.wallet.limits().map(|(_, limit)| limit.apart.len());
    assert_eq!(kept.collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn thresholds_are_announced_once_in_a_window() {
    let mut world = world();
    world.ok(limit("team", "usd", "10")
        .on("team", "a")
        .percent(&[100, 50, 80])
        .amount("9")
        .set());
    let team = [("team", "a")];
    let mut use_up = |id: &str, amount: &str| {
        world.ask(usage_of(id, &team), usd(amount)).unwrap();
        world.announced()
    };
    assert_eq!(use_up("e1", "4.999999999"), [""; 0]);
    assert_eq!(use_up("e2", "0.000000001"), ["team 50% at 5"]);
    assert_eq!(use_up("e3", "1"), [""; 0]);
    // The lowest first, whatever the order in which they were put.
    assert_eq!(
        use_up("e4", "5"),
        ["team 80% at 11", "team 9 at 11", "team 100% at 11"]
    );
    assert_eq!(use_up("e5", "5"), [""; 0]);
    world.advance(31 * 86_400);
    world.ask(usage_of("e6", &team), usd("5")).unwrap();
    assert_eq!(world.announced(), ["team 50% at 5"]);
}

#[test]
fn thresholds_are_about_what_is_used_and_not_about_what_is_held() {
    let mut world = world();
    world.ok(limit("month", "usd", "10").percent(&[50]).set());
    world.ask(hold("h"), usd("10")).unwrap();
    assert_eq!(world.announced(), [""; 0]);
    world.ask(part("h", "p1"), usd("6")).unwrap();
    assert_eq!(world.announced(), ["month 50% at 6"]);
    // Below it and above it again, in the same window: it was announced.
    world.ask(part("h", "p2"), usd("2")).unwrap();
    world.ask(settle("h"), usd("8")).unwrap();
    assert_eq!(world.announced(), [""; 0]);
}

#[test]
fn a_threshold_between_two_nanos_is_reached_by_the_upper_one() {
    let mut world = world();
    // 80 % of 0.000000003 are 2.4 nanos.
    world.ok(limit("month", "usd", "0.000000003").percent(&[80]).set());
    world.ask(usage("e1"), usd("0.000000002")).unwrap();
    assert_eq!(world.announced(), [""; 0]);
    world.ask(usage("e2"), usd("0.000000001")).unwrap();
    assert_eq!(world.announced(), ["month 80% at 0.000000003"]);
}

#[test]
fn what_is_announced_says_where_and_when() {
    let mut world = world();
    world.ok(limit("team", "usd", "10").on("team", "a").percent(&[50]).set());
    world.ask(usage_of("e", &[("team", "a")]), usd("6")).unwrap();
    let effects = &world.records.last().unwrap().outcome.effects;
    let crossed = effects.iter().find_map(|effect| match effect {
        farebox_record::outcome::Effect::ThresholdCrossed(crossed) => Some(crossed),
        _ => None,
    });
    let crossed = crossed.unwrap();
    assert_eq!(
        (crossed.level.as_str(), crossed.asset.as_str()),
        ("team=a", "usd")
    );
    assert_eq!(
        (crossed.amount, crossed.at_usage, crossed.used),
        (n("10"), n("5"), n("6"))
    );
    assert_eq!(crossed.window_start, crate::world::t(0));
    assert_eq!(crossed.window_end, Some(crate::world::t(31 * 86_400)));
}

#[test]
fn what_a_limit_never_counted_frees_nothing_of_it() {
    let mut world = world();
    world.ask(usage("old"), usd("5")).unwrap();
    world.advance(1);
    world.ok(limit("all", "usd", "10").set());
    world.ask(usage("new"), usd("8")).unwrap();
    world.ok(void("old"));
    assert_eq!(world.limit("all"), "8 + 0, 2 left");
    world.ok(void("new"));
    assert_eq!(world.limit("all"), "0 + 0, 10 left");
}

#[test]
fn what_another_window_counted_frees_nothing_of_this_one() {
    let day = 86_400;
    for rolling in [false, true] {
        let mut world = world();
        let put = limit("day", "usd", "10");
        world.ok(match rolling {
            false => put.per(CalendarUnit::Day).set(),
            true => put.rolling(24, 3_600).set(),
        });
        world.ask(usage("old"), usd("5")).unwrap();
        world.advance(day + 3_600);
        world.ask(usage("new"), usd("8")).unwrap();
        world.ok(refund_event("r", "old", None));
        assert_eq!(world.limit("day"), "8 + 0, 2 left", "rolling: {rolling}");
        world.ok(refund_event("s", "new", Some("3")));
        assert_eq!(world.limit("day"), "5 + 0, 5 left", "rolling: {rolling}");
    }
}

#[test]
fn a_part_from_before_the_limit_frees_nothing_of_it() {
    let mut world = world();
    world.ask(hold("h"), usd("9")).unwrap();
    world.ask(part("h", "1"), usd("5")).unwrap();
    world.ok(limit("all", "usd", "20").set());
    assert_eq!(world.limit("all"), "0 + 4, 16 left");
    world.ask(usage("e"), usd("6")).unwrap();
    // 2 less than before the limit: they were not counted.
    world.ask(part("h", "2"), usd("3")).unwrap();
    assert_eq!(world.limit("all"), "6 + 6, 8 left");
    // 3 more are, and come back.
    world.ask(part("h", "3"), usd("6")).unwrap();
    assert_eq!(world.limit("all"), "9 + 3, 8 left");
    world.ask(settle("h"), usd("2")).unwrap();
    assert_eq!(world.limit("all"), "6 + 0, 14 left");
}

#[test]
fn a_fee_that_comes_with_an_extension_counts() {
    let mut world = world();
    world.ok(limit("all", "usd", "10").set());
    let setup = |amount| priced(&[fee("setup", "usd", amount)]);
    world.ask(hold("h"), setup("8")).unwrap();
    let said = say(&world.ask(extend("h", "x", 900, &[("tokens", "2")]), setup("12")));
    assert!(said.starts_with("denied by all"), "{said}");
    world
        .ask(extend("h", "y", 900, &[("tokens", "2")]), setup("10"))
        .unwrap();
}
