//! Value set aside: from when, for how long, and how it comes back.

use farebox_record::command::Identity;
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::{HoldEnd, Verdict};
use farebox_record::plan::Category::Promotional;
use farebox_record::plan::Priced;
use farebox_record::state::Cadence;
use farebox_record::state::Shortfall::{Floor, Unlimited};

use crate::world::make::{
    Shape, charge, extend, fee, grant, hold, hold_for, n, part, priced, reference, release, settle,
    subscribe, usage, usd,
};
use crate::world::say::say;
use crate::world::{World, t};

fn with(amount: &str) -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", amount).put());
    world
}

#[test]
fn held_value_is_unavailable_from_creation() {
    let mut world = with("10");
    assert_eq!(say(&world.ask(hold("h"), usd("6"))), "allowed, held usd 6");
    assert_eq!(world.entries(), ["usd available:g -6", "usd held:g 6"]);
    assert_eq!(world.has("usd"), "4 6 0 0");
    assert_eq!(
        say(&world.ask(hold("h2"), usd("5"))),
        "denied: InsufficientFunds, 4 of 5 usd"
    );
    // Usage that happened takes what is free and owes the rest: it does not reach into the hold.
    world.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "0 6 1 0");
}

#[test]
fn a_hold_pins_in_burn_order_and_one_pin_for_each_grant() {
    let mut world = with("10");
    world.ok(grant("promo", "usd", "2").category(Promotional).put());
    let verdict = priced(&[charge("in", "usd", "3"), charge("out", "usd", "4")]);
    assert_eq!(say(&world.ask(hold("h"), verdict)), "allowed, held usd 7");
    assert_eq!(
        world.entries(),
        [
            "usd available:promo -2",
            "usd held:promo 2",
            "usd available:g -5",
            "usd held:g 5",
        ]
    );
}

#[test]
fn a_hold_of_nothing_is_a_hold() {
    let mut world = World::new();
    assert_eq!(say(&world.ask(hold("h"), priced(&[]))), "allowed");
    assert_eq!(say(&world.ask(settle("h"), priced(&[]))), "settled");
    assert_eq!(say(&world.ask(hold("free"), usd("0"))), "allowed");
}

#[test]
fn release_gives_everything_back() {
    let mut world = with("10");
    world.ask(hold("h"), usd("6")).unwrap();
    assert_eq!(say(&world.act(release("h"))), "released, returned usd 6");
    assert_eq!(world.entries(), ["usd held:g -6", "usd available:g 6"]);
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn credit_is_not_value_that_comes_back() {
    let mut world = World::owing(&[("usd", Floor(n("5")))]);
    world.ok(grant("g", "usd", "2").put());
    world.ask(hold("h"), usd("6")).unwrap();
    assert_eq!(world.has("usd"), "0 6 0 0");
    assert_eq!(say(&world.act(release("h"))), "released, returned usd 2");
    assert_eq!(world.has("usd"), "2 0 0 0");
    assert_eq!(say(&world.ask(hold("h2"), usd("7"))), "allowed, held usd 7");
}

#[test]
fn a_hold_ends_once_and_its_end_is_found() {
    type End = fn(&mut World);
    let ends: [(HoldEnd, End); 3] = [
        (HoldEnd::Settled, |w| {
            w.ask(settle("h"), usd("1")).unwrap();
        }),
        (HoldEnd::Released, |w| {
            w.act(release("h")).unwrap();
        }),
        (HoldEnd::Expired, |w| w.advance(900 + 3_600)),
    ];
    for (how, end) in ends {
        let mut world = with("10");
        world.ask(hold("h"), usd("6")).unwrap();
        end(&mut world);
        let named = world.records.iter().flat_map(|r| r.identities());
        assert_eq!(
            named.filter(|i| *i == Identity::HoldEnd(reference("h"))).count(),
            1
        );
        let refused = match how {
            HoldEnd::Expired => "refused: the hold has ended already: it is Expired",
            _ => "refused: there is no such hold; authorize first",
        };
        assert_eq!(say(&world.ask(settle("h"), usd("1"))), refused);
        assert_eq!(say(&world.act(release("h"))), refused);
        assert_eq!(say(&world.act(extend("h", "x", 60, &[]))), refused);
        assert_eq!(world.balance("usd")[1], n("0"));
    }
}

#[test]
fn an_unknown_hold_is_named() {
    let mut world = with("10");
    let refused = "refused: there is no such hold; authorize first";
    assert_eq!(say(&world.ask(settle("h"), usd("1"))), refused);
    assert_eq!(say(&world.act(release("h"))), refused);
    assert_eq!(
        say(&world.ask(extend("h", "x", 60, &[("m", "1")]), usd("1"))),
        refused
    );
}

#[test]
fn a_denial_leaves_nothing_but_its_record() {
    let mut world = with("10");
    let before = world.wallet.clone();
    assert_eq!(
        say(&world.ask(hold("h"), usd("11"))),
        "denied: InsufficientFunds, 10 of 11 usd"
    );
    assert_eq!(world.records.last().unwrap().outcome.effects, []);
    assert!(world.wallet.holds().eq(before.holds()) && world.wallet.grants().eq(before.grants()));
}

#[test]
fn extend_moves_the_expiry_forward_only() {
    let mut world = with("10");
    world.ask(hold_for("h", 100), usd("6")).unwrap();
    world.advance(50);
    assert_eq!(
        say(&world.act(extend("h", "x1", 20, &[]))),
        "extended, held usd 6 until 100"
    );
    assert_eq!(
        say(&world.act(extend("h", "x2", 80, &[]))),
        "extended, held usd 6 until 130"
    );
    world.advance(79);
    assert_eq!(world.has("usd"), "4 6 0 0");
    world.advance(1);
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.handled.len(), 1, "the old expiry is off the agenda");
}

#[test]
fn extend_holds_the_difference() {
    let mut world = with("10");
    world.ask(hold("h"), usd("6")).unwrap();
    assert_eq!(
        say(&world.ask(extend("h", "x", 60, &[("m", "9")]), usd("9"))),
        "extended, held usd 9 until 900"
    );
    assert_eq!(world.entries(), ["usd available:g -3", "usd held:g 3"]);
    // What is held never shrinks.
    assert_eq!(
        say(&world.ask(extend("h", "y", 60, &[("m", "2")]), usd("2"))),
        "extended, held usd 9 until 900"
    );
    assert_eq!(world.entries(), <[&str; 0]>::default());
    assert_eq!(say(&world.ask(settle("h"), usd("9"))), "settled, posted usd 9");
}

#[test]
fn extend_that_the_wallet_cannot_cover_is_denied_whole() {
    let mut world = with("10");
    world.ask(hold_for("h", 100), usd("6")).unwrap();
    assert_eq!(
        say(&world.ask(extend("h", "x", 600, &[("m", "1")]), usd("10.5"))),
        "denied: InsufficientFunds, 10 of 10.5 usd"
    );
    assert_eq!(world.has("usd"), "4 6 0 0");
    assert_eq!(world.wallet.hold(&reference("h")).unwrap().expires, t(100));
}

#[test]
fn extend_on_credit_counts_what_the_hold_has_already() {
    let mut world = World::owing(&[("usd", Floor(n("5")))]);
    world.ok(grant("g", "usd", "2").put());
    world.ask(hold("h"), usd("4")).unwrap();
    assert_eq!(
        say(&world.ask(extend("h", "x", 60, &[("m", "1")]), usd("7.1"))),
        "denied: InsufficientFunds, 7 of 7.1 usd"
    );
    assert_eq!(
        say(&world.ask(extend("h", "y", 60, &[("m", "1")]), usd("7"))),
        "extended, held usd 7 until 900"
    );
    assert_eq!(
        say(&world.ask(hold("other"), usd("0.1"))),
        "denied: InsufficientFunds, 0 of 0.1 usd"
    );
    assert_eq!(
        say(&world.ask(settle("h"), usd("7"))),
        "settled, posted usd 7, debt usd 5"
    );
}

#[test]
fn extend_after_a_part_keeps_what_the_part_took() {
    let mut world = with("10");
    world.ask(hold("h"), usd("6")).unwrap();
    world.ask(part("h", "p"), usd("4")).unwrap();
    assert_eq!(world.has("usd"), "4 2 0 0");
    // The whole call is now at most 9: 4 are taken, 2 are held, 3 more are needed.
    assert_eq!(
        say(&world.ask(extend("h", "x", 60, &[("m", "1")]), usd("9"))),
        "extended, held usd 5 until 900"
    );
    assert_eq!(world.has("usd"), "1 5 0 0");
}

#[test]
fn a_fee_in_a_hold_pins_nothing() {
    let mut world = with("10");
    let verdict = priced(&[charge("tokens", "usd", "6"), fee("seat", "usd", "100")]);
    assert_eq!(say(&world.ask(hold("h"), verdict.clone())), "allowed, held usd 6");
    assert_eq!(say(&world.ask(settle("h"), verdict)), "settled, posted usd 106");
    assert_eq!(world.has("usd"), "4 0 0 100");
}

#[test]
fn one_shot_debits_at_once_or_leaves_no_trace() {
    use crate::world::make::one_shot;
    let mut world = with("10");
    assert_eq!(say(&world.ask(one_shot("a"), usd("6"))), "allowed");
    assert_eq!(world.entries(), ["usd available:g -6", "usd revenue 6"]);
    assert_eq!(
        say(&world.ask(one_shot("b"), usd("6"))),
        "denied: InsufficientFunds, 4 of 6 usd"
    );
    assert_eq!(world.records.last().unwrap().outcome.effects, []);
    assert_eq!(world.has("usd"), "4 0 0 0");
    assert_eq!(world.wallet.holds().count(), 0);
}

#[test]
fn a_denied_one_shot_is_nothing_that_the_plan_remembers() {
    use crate::world::make::one_shot;
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "10").put());
    let remembers = |state: &str| {
        Verdict::Priced(Priced {
            charges: vec![charge("calls", "usd", "6")],
            state: Some(state.as_bytes().to_vec()),
            ..Priced::default()
        })
    };
    let state = |world: &World| {
        let id = SubscriptionId::new("s").unwrap();
        String::from_utf8(world.wallet.subscription(&id).unwrap().state.clone()).unwrap()
    };
    assert_eq!(say(&world.ask(one_shot("a"), remembers("one"))), "allowed");
    assert_eq!(state(&world), "one");
    let denied = say(&world.ask(one_shot("b"), remembers("two")));
    assert_eq!(denied, "denied: InsufficientFunds, 4 of 6 usd");
    assert_eq!(state(&world), "one");
    assert_eq!(world.records.last().unwrap().outcome.effects, []);
}

#[test]
fn a_one_shot_on_credit_is_debt() {
    use crate::world::make::one_shot;
    let mut world = World::owing(&[("usd", Unlimited)]);
    assert_eq!(say(&world.ask(one_shot("a"), usd("6"))), "allowed");
    assert_eq!(world.has("usd"), "0 0 6 0");
}

#[test]
fn an_open_hold_is_never_replaced() {
    // Its own repetition is answered from its record; this is one whose record is no longer found.
    let mut world = with("10");
    world.ask(hold("h"), usd("6")).unwrap();
    assert_eq!(
        say(&world.ask(hold("h"), usd("1"))),
        "refused: a hold of this id is open already; take another id"
    );
    assert_eq!(world.has("usd"), "4 6 0 0");
}

#[test]
fn a_quote_below_zero_leaves_no_trace_even_where_the_customer_owes() {
    let mut world = World::new();
    world.ask(usage("e"), usd("1")).unwrap();
    let records = world.records.len();
    // A denial would stay for ever under this id; the plan can be put right.
    assert_eq!(
        say(&world.ask(hold("h"), usd("-1"))),
        "refused: the plan failed: charge 0 of its answer is negative and names no event that it gives back of"
    );
    assert_eq!(world.records.len(), records);
}

#[test]
fn open_holds_are_listed_by_name() {
    let mut world = with("10");
    for name in ["b", "c", "a"] {
        world.ask(hold(name), usd("1")).unwrap();
    }
    world.ok(release("c"));
    let names: Vec<String> = world
        .wallet
        .holds()
        .map(|(event, _)| event.id.to_string())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_hold_says_what_was_quoted_for_it() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ok(grant("c", "credits", "10").put());
    let quoted = |world: &World| {
        let hold = world.wallet.hold(&reference("h")).unwrap();
        let quoted = hold
            .quoted
            .iter()
            .map(|(asset, amount)| format!("{asset} {amount}"));
        quoted.collect::<Vec<_>>()
    };
    let most = [
        charge("in", "usd", "2"),
        charge("out", "usd", "3"),
        charge("seconds", "credits", "1"),
    ];
    world.ask(hold("h"), priced(&most)).unwrap();
    assert_eq!(quoted(&world), ["usd 5", "credits 1"]);
    let more = extend("h", "x", 60, &[("tokens", "2")]);
    world.ask(more, usd("6")).unwrap();
    assert_eq!(quoted(&world), ["usd 6"]);
}
