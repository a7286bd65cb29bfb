//! Calls that were settled in part and that nobody settles for good: they are what they used so far.

use farebox_record::command::AboveHold;
use farebox_record::command::Finality::Partial;
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::Verdict;
use farebox_record::plan::Priced;
use farebox_record::state::{Cadence, Shortfall};

use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;

const TTL: i64 = 900;
const GRACE: i64 = 3_600;

/// A plan with a memory: the first 100 calls are free, the next cost 1 each. What it answers to a call of 100 when it
/// remembers `used` of them.
fn hundred_calls(used: u32) -> Verdict {
    let costs = used.min(100);
    Verdict::Priced(Priced {
        charges: vec![charge("calls", "usd", &costs.to_string())],
        state: Some(format!("used={}", used + 100).into_bytes()),
        ..Priced::default()
    })
}

fn world() -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "1000").put());
    world
}

fn state(world: &World) -> String {
    let id = SubscriptionId::new("s").unwrap();
    String::from_utf8(world.wallet.subscription(&id).unwrap().state.clone()).unwrap()
}

#[test]
fn parts_that_nobody_finishes_dodge_no_tier() {
    let mut world = world();
    world.ask(hold("a"), hundred_calls(0)).unwrap();
    world.ask(part("a", "1"), hundred_calls(0)).unwrap();
    assert_eq!(state(&world), "");
    assert_eq!(say(&world.ask(release("a"), hundred_calls(0))), "released");
    assert_eq!(state(&world), "used=100");
    world.ask(hold("b"), hundred_calls(100)).unwrap();
    world.ask(part("b", "1"), hundred_calls(100)).unwrap();
    world.ask(release("b"), hundred_calls(100)).unwrap();
    assert_eq!(state(&world), "used=200");
    assert_eq!(world.has("usd"), "900 0 0 0");
}

#[test]
fn usage_between_the_parts_is_neither_forgotten_nor_counted_twice() {
    // Two calls in parallel, each in the first tier when its part came; a third one lands between.
    let mut world = world();
    for id in ["a", "b"] {
        world.ask(hold(id), hundred_calls(0)).unwrap();
        world.ask(part(id, "1"), hundred_calls(0)).unwrap();
    }
    world.ask(usage("c"), hundred_calls(0)).unwrap();
    assert_eq!(state(&world), "used=100");
    // The plan is asked with what it remembers now: it costs 100 after all.
    assert_eq!(say(&world.ask(release("a"), hundred_calls(100))), "released");
    assert_eq!(
        (state(&world).as_str(), world.has("usd")),
        ("used=200", "900 0 0 0".into())
    );
    world.ask(release("b"), hundred_calls(200)).unwrap();
    assert_eq!(
        (state(&world).as_str(), world.has("usd")),
        ("used=300", "800 0 0 0".into())
    );
}

#[test]
fn an_expired_call_is_concluded_when_its_grace_is_over() {
    let mut world = world();
    world.ask(hold("a"), hundred_calls(100)).unwrap();
    world.ask(part("a", "1"), hundred_calls(0)).unwrap();
    world.advance(TTL);
    // What it pinned is free; it may still be settled, so nothing is said for good.
    assert_eq!(
        (state(&world).as_str(), world.has("usd")),
        ("", "1000 0 0 0".into())
    );
    world.crash();
    world.advance(GRACE - 1);
    assert_eq!(state(&world), "");
    assert!(world.wallet.hold(&reference("a")).is_some());
    world.conclusions.push_back(hundred_calls(50));
    world.advance(1);
    assert_eq!(
        (state(&world).as_str(), world.has("usd")),
        ("used=150", "950 0 0 0".into())
    );
    assert!(world.wallet.hold(&reference("a")).is_none());
    assert_eq!(world.handled.len(), 2, "its expiry, and the end of its grace");
}

#[test]
fn a_late_settlement_is_the_last_word() {
    let mut world = world();
    world.ask(hold("a"), hundred_calls(0)).unwrap();
    world.ask(part("a", "1"), hundred_calls(0)).unwrap();
    world.advance(TTL);
    world.ask(settle("a"), hundred_calls(0)).unwrap();
    assert_eq!(state(&world), "used=100");
    world.advance(GRACE);
    assert_eq!(world.handled.len(), 1, "nothing is left to conclude");
}

#[test]
fn without_an_answer_it_stands_as_it_was_settled_last() {
    for answer in [
        None,
        Some(Verdict::Failed {
            code: "trap".into(),
            message: "it broke".into(),
        }),
    ] {
        let mut world = world();
        world.ask(hold("a"), usd("10")).unwrap();
        world.ask(part("a", "1"), usd("4")).unwrap();
        let said = say(&world.decide(release("a"), answer.map(pricing)));
        assert_eq!(said, "released, returned usd 6");
        assert_eq!(world.has("usd"), "996 0 0 0");
        assert_eq!(
            say(&world.act(refund_event("r", "a", Some("1")))),
            "corrected, reversed usd 1"
        );
        assert_eq!(say(&world.act(void("a"))), "corrected, reversed usd 3");
        assert_eq!(world.has("usd"), "1000 0 0 0");
    }
}

#[test]
fn it_can_be_refunded_voided_and_amended_like_any_other_event() {
    type End = fn(&mut World);
    let ends: [End; 2] = [
        |world| {
            world.ask(release("a"), usd("4")).unwrap();
        },
        |world| {
            world.advance(TTL);
            world.conclusions.push_back(usd("4"));
            world.advance(GRACE);
        },
    ];
    for end in ends {
        let mut world = world();
        world.ask(hold("a"), usd("10")).unwrap();
        world.ask(part("a", "1"), usd("3")).unwrap();
        end(&mut world);
        assert_eq!(world.has("usd"), "996 0 0 0");
        world.ok(refund_event("r", "a", Some("1")));
        assert_eq!(world.has("usd"), "997 0 0 0");
        assert_eq!(
            say(&world.ask(amend("a"), usd("2"))),
            "corrected, reversed usd 3, charged usd 2"
        );
        assert_eq!(world.has("usd"), "998 0 0 0");
        world.ok(void("a"));
        assert_eq!(world.has("usd"), "1000 0 0 0");
        let more = say(&world.act(refund_event("r2", "a", None)));
        assert!(more.starts_with("refused: the event was voided"), "{more}");
    }
}

#[test]
fn it_is_not_corrected_while_it_may_still_be_settled() {
    let mut world = world();
    world.ask(hold("a"), usd("10")).unwrap();
    world.ask(part("a", "1"), usd("3")).unwrap();
    let held = "refused: the call is still held";
    for _ in 0..2 {
        for command in [void("a"), refund_event("r", "a", None)] {
            let said = say(&world.act(command));
            assert!(said.starts_with(held), "{said}");
        }
        world.advance(TTL);
    }
    world.ask(settle("a"), usd("3")).unwrap();
    world.ok(void("a"));
    assert_eq!(world.has("usd"), "1000 0 0 0");
}

#[test]
fn what_was_let_go_stays_let_go() {
    for above in [AboveHold::ChargeAvailable, AboveHold::Deny] {
        let mut world = World::new();
        world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
        world.ok(grant("g", "usd", "5").put());
        world.ask(hold("a"), usd("5")).unwrap();
        world.ask(settling("a", "1", Partial, above), usd("5")).unwrap();
        // It costs 8 by the time it is concluded, and nobody is left to be asked about the other 3.
        world.ask(release("a"), usd("8")).unwrap();
        assert_eq!(world.has("usd"), "0 0 0 0", "{above:?}");
    }
    let mut world = World::new();
    world.ok(grant("g", "usd", "5").put());
    world.ask(hold("a"), usd("5")).unwrap();
    world.ask(part("a", "1"), usd("5")).unwrap();
    world.ask(release("a"), usd("8")).unwrap();
    assert_eq!(world.has("usd"), "0 0 3 0");
}

/// 5 usd, all of it held and used by a part; then 10 more come in, and the call ends at a price of 8.
fn topped_up(above: AboveHold) -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "5").put());
    world.ask(hold("a"), usd("5")).unwrap();
    // Refused is what costs more than the hold, so of that only 5 can be settled.
    let price = if above == AboveHold::Deny { "5" } else { "8" };
    world.ask(settling("a", "1", Partial, above), usd(price)).unwrap();
    world.ok(grant("top", "usd", "10").put());
    world
}

#[test]
fn a_later_top_up_pays_nothing_of_what_was_let_go() {
    for above in [AboveHold::ChargeAvailable, AboveHold::Deny] {
        let mut world = topped_up(above);
        world.ask(release("a"), usd("8")).unwrap();
        assert_eq!(world.has("usd"), "10 0 0 0", "{above:?}");
        let mut world = topped_up(above);
        world.conclusions.push_back(usd("8"));
        world.advance(900 + 3_600);
        assert_eq!(world.has("usd"), "10 0 0 0", "{above:?}, forgotten");
    }
}

#[test]
fn what_comes_back_of_parts_is_named_by_its_own_charge() {
    let mut world = world();
    world.ask(hold("h"), priced(&[charge("in", "usd", "5")])).unwrap();
    world
        .ask(part("h", "1"), priced(&[charge("in", "usd", "3")]))
        .unwrap();
    // A price that cannot be posted: the usage is kept, and the part comes back.
    let never = priced(&[
        charge("fee", "usd", "1"),
        chain("out", &[("usd", "1"), ("usd", "0")]),
    ]);
    let kept = say(&world.ask(settle("h"), never));
    assert!(kept.starts_with("unpriced"), "{kept}");
    assert_eq!(world.has("usd"), "1000 0 0 0");
    assert_eq!(world.earned(), ["in -3"]);
}

#[test]
fn what_a_part_took_too_much_is_credit_of_the_call_again() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ask(hold("h"), usd("5")).unwrap();
    world.ask(part("h", "1"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "0 0 5 0");
    // Bought value pays the debt of the part, and then another event makes debt of its own.
    world.ok(grant("g", "usd", "5").put());
    world.ask(usage("other"), usd("3")).unwrap();
    assert_eq!(world.has("usd"), "0 0 3 0");
    // The call used 2 after all. Nobody owes anything, and the 3 are credit again that it may still use.
    world.ask(part("h", "2"), usd("2")).unwrap();
    assert_eq!(world.has("usd"), "0 3 0 0");
    world.ask(settle("h"), usd("2")).unwrap();
    assert_eq!(world.has("usd"), "0 0 0 0");
}
