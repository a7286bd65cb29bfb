//! What turns out not to be owed: what was paid comes back, what was written off does not; what comes back and is bought
//! pays debt first.

use farebox_record::command::Command;
use farebox_record::correction::AdjustTarget::{Debt, Receivable};
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::Category::{Included, Promotional};
use farebox_record::state::Shortfall::Unlimited;

use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;
use crate::world::t;

#[test]
fn what_was_written_off_does_not_come_back() {
    let mut world = World::new();
    world.ask(usage("e"), usd("10")).unwrap();
    world.ok(adjust("a", Debt, "10"));
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 10, paid usd 10"
    );
    assert_eq!(world.entries(), ["usd revenue -10", "usd adjustments 10"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
}

#[test]
fn of_debt_that_was_paid_in_part_and_written_off_in_part_the_paid_part_comes_back() {
    let mut world = World::new();
    world.ask(usage("e"), usd("10")).unwrap();
    world.ok(grant("top", "usd", "3").put());
    world.ok(adjust("a", Debt, "5"));
    // 3 paid, 5 written off, 2 open.
    assert_eq!(world.has("usd"), "0 0 2 0");
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 10, paid usd 7"
    );
    assert_eq!(world.has("usd"), "3 0 0 0");
    assert_eq!(world.posted("usd", &Account::Purchases), n("-3"));
    assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
}

#[test]
fn a_fee_that_was_written_off_does_not_come_back() {
    let mut world = World::new();
    let setup = || priced(&[fee("setup", "usd", "10")]);
    world.ask(usage("e"), setup()).unwrap();
    world.ok(pay("p", "4"));
    world.ok(adjust("a", Receivable, "6"));
    assert_eq!(
        say(&world.act(refund_event("r", "e", None))),
        "corrected, reversed usd 10, paid usd 6"
    );
    assert_eq!(world.has("usd"), "4 0 0 0");
    assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
}

#[test]
fn an_old_write_off_takes_nothing_of_a_later_event() {
    let mut world = World::new();
    world.ask(usage("old"), usd("10")).unwrap();
    world.ok(adjust("a", Debt, "10"));
    world.advance(1);
    world.ask(usage("new"), usd("4")).unwrap();
    world.ok(grant("top", "usd", "4").put());
    world.ok(void("new"));
    assert_eq!(world.has("usd"), "4 0 0 0");
    // And the old one still comes back as nothing.
    world.ok(void("old"));
    assert_eq!(world.has("usd"), "4 0 0 0");
    assert_eq!(world.posted("usd", &Account::Purchases), n("-4"));
}

#[test]
fn a_write_off_is_taken_back_once() {
    let mut world = World::new();
    world.ask(usage("a"), usd("6")).unwrap();
    world.ask(usage("b"), usd("6")).unwrap();
    world.ok(adjust("off", Debt, "6"));
    world.ok(grant("top", "usd", "6").put());
    world.ok(void("a"));
    assert_eq!(world.has("usd"), "0 0 0 0");
    world.ok(void("b"));
    assert_eq!(world.has("usd"), "6 0 0 0");
}

#[test]
fn many_write_offs_are_all_taken_back() {
    let mut world = World::new();
    world.ask(usage("e"), usd("100")).unwrap();
    for index in 0..100 {
        world.advance(1);
        world.ok(adjust(&format!("a{index}"), Debt, "1"));
    }
    world.crash();
    world.ok(void("e"));
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
}

#[test]
fn a_part_that_was_written_off_does_not_come_back_with_the_settlement() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "6").put());
    world.ask(hold("h"), usd("6")).unwrap();
    world.ask(part("h", "1"), usd("9")).unwrap();
    world.ok(adjust("a", Debt, "3"));
    world.ask(settle("h"), usd("6")).unwrap();
    assert_eq!(world.entries(), ["usd revenue -3", "usd adjustments 3"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_fee_that_was_paid_before_the_next_part_comes_back() {
    let mut world = World::new();
    let setup = |amount| priced(&[fee("setup", "usd", amount)]);
    world.ask(hold("h"), setup("10")).unwrap();
    world.ask(part("h", "1"), setup("10")).unwrap();
    world.ok(pay("p", "10"));
    world.ask(settle("h"), setup("4")).unwrap();
    assert_eq!(world.has("usd"), "6 0 0 0");
    assert_eq!(world.posted("usd", &Account::Revenue), n("4"));
}

#[test]
fn a_paid_fee_that_comes_back_pays_debt_first() {
    let mut world = World::new();
    world
        .ask(usage("f"), priced(&[fee("setup", "usd", "20")]))
        .unwrap();
    world.ok(pay("p", "20"));
    world.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "0 0 5 0");
    assert_eq!(
        say(&world.act(refund_event("r", "f", None))),
        "corrected, reversed usd 20, paid usd 5"
    );
    assert_eq!(world.has("usd"), "15 0 0 0");
    assert_eq!(say(&world.ask(hold("i"), usd("1"))), "allowed, held usd 1");
}

#[test]
fn bought_value_that_a_hold_gives_back_pays_debt_first() {
    type End = fn(&mut World);
    let ends: [End; 3] = [
        |world| {
            world.ok(release("h"));
        },
        |world| world.advance(900),
        |world| {
            world.ask(settle("h"), usd("0")).unwrap();
        },
    ];
    for end in ends {
        let mut world = World::new();
        world.ok(grant("g", "usd", "10").put());
        world.ask(hold("h"), usd("10")).unwrap();
        world.ask(usage("e"), usd("1")).unwrap();
        assert_eq!(world.has("usd"), "0 10 1 0");
        end(&mut world);
        assert_eq!(world.has("usd"), "9 0 0 0");
        assert_eq!(say(&world.ask(hold("i"), usd("1"))), "allowed, held usd 1");
    }
}

#[test]
fn bought_value_that_a_refund_gives_back_pays_debt_first() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("a"), usd("10")).unwrap();
    world.ask(usage("b"), usd("3")).unwrap();
    assert_eq!(
        say(&world.act(void("a"))),
        "corrected, reversed usd 10, paid usd 3"
    );
    assert_eq!(world.has("usd"), "7 0 0 0");
}

#[test]
fn given_value_that_comes_back_pays_no_debt() {
    for category in [Promotional, Included] {
        let mut world = World::new();
        world.ok(grant("g", "usd", "10").category(category).put());
        world.ask(hold("h"), usd("6")).unwrap();
        world.ask(usage("a"), usd("4")).unwrap();
        world.ask(usage("b"), usd("3")).unwrap();
        world.ok(void("a"));
        assert_eq!(world.has("usd"), "4 6 3 0", "{category:?}");
        world.ok(release("h"));
        assert_eq!(world.has("usd"), "10 0 3 0", "{category:?}");
    }
}

#[test]
fn a_hold_does_not_grow_while_the_customer_owes_too_much() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "1").put());
    world.ask(hold("h"), usd("1")).unwrap();
    world.ask(usage("e"), usd("5")).unwrap();
    world.ok(grant("gift", "usd", "50").category(Promotional).put());
    assert_eq!(world.has("usd"), "50 1 5 0");
    assert_eq!(
        say(&world.ask(extend("h", "more", 900, &[("tokens", "50")]), usd("51"))),
        "denied: Debt, 0 of 5 usd"
    );
    // More time alone sets nothing more aside.
    assert_eq!(
        say(&world.act(extend("h", "time", 1_000, &[]))),
        "extended, held usd 1 until 1000"
    );
    let mut post_paid = World::owing(&[("usd", Unlimited)]);
    post_paid.ask(hold("h"), usd("1")).unwrap();
    post_paid.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(
        say(&post_paid.ask(extend("h", "more", 900, &[("tokens", "2")]), usd("2"))),
        "extended, held usd 2 until 900"
    );
}

/// The write-offs of debt that the newest record leaves, oldest first; none where it says nothing of them.
fn write_offs(world: &World) -> Option<Vec<String>> {
    let effects = &world.records.last().unwrap().outcome.effects;
    effects.iter().rev().find_map(|effect| match effect {
        Effect::WriteOffsPut(_, list) => Some(list.debt.iter().map(|w| w.amount.to_string()).collect()),
        _ => None,
    })
}

#[test]
fn what_is_taken_back_of_a_write_off_is_gone_from_it() {
    let mut world = World::new();
    world.ask(usage("a"), usd("6")).unwrap();
    world.ask(usage("b"), usd("6")).unwrap();
    world.ok(adjust("off", Debt, "12"));
    world.ok(void("a"));
    assert_eq!(write_offs(&world).unwrap(), ["6"]);
    world.ok(void("b"));
    assert_eq!(write_offs(&world).unwrap(), Vec::<String>::new());
    // At the same instant: what is paid of another event's debt comes back, because nothing is written off any more.
    world.ask(usage("c"), usd("5")).unwrap();
    world.ok(grant("top", "usd", "5").put());
    world.ok(void("c"));
    assert_eq!(world.has("usd"), "5 0 0 0");
    assert_eq!(write_offs(&world), None, "nothing changed about write-offs");
}

#[test]
fn an_event_from_behind_a_write_off_says_nothing_of_it() {
    let mut world = World::new();
    world.ask(usage("old"), usd("10")).unwrap();
    world.ok(adjust("a", Debt, "10"));
    world.advance(1);
    world.ask(usage("new"), usd("4")).unwrap();
    world.ok(void("new"));
    assert_eq!(write_offs(&world), None);
}

#[test]
fn as_many_write_offs_as_the_limit_allows_are_told_apart() {
    let mut world = World::new();
    world.ask(usage("e"), usd("100")).unwrap();
    let most = farebox_ledger::limits::WRITE_OFFS_PER_ASSET_MAX;
    for index in 0..most {
        world.advance(1);
        world.ok(adjust(&format!("a{index}"), Debt, "1"));
    }
    assert_eq!(write_offs(&world).unwrap(), vec!["1"; most]);
    world.advance(1);
    world.ok(adjust("more", Debt, "1"));
    let mut merged = vec!["1"; most];
    merged[0] = "2";
    assert_eq!(write_offs(&world).unwrap(), merged);
    world.advance(1);
    world.ok(adjust("again", Debt, "1"));
    merged[0] = "3";
    assert_eq!(write_offs(&world).unwrap(), merged);
}

#[test]
fn an_event_takes_of_several_write_offs_no_more_than_it_owed() {
    let mut world = World::new();
    world.ask(usage("a"), usd("5")).unwrap();
    world.ask(usage("b"), usd("8")).unwrap();
    world.ok(adjust("first", Debt, "3"));
    world.ok(adjust("second", Debt, "10"));
    // 3 of the first, and 2 of the second.
    world.ok(void("a"));
    assert_eq!(write_offs(&world).unwrap(), ["8"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
    world.ok(void("b"));
    assert_eq!(write_offs(&world).unwrap(), Vec::<String>::new());
    assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
}

#[test]
fn a_write_off_from_before_a_late_event_was_posted_is_not_its_own() {
    const DAY: i64 = 86_400;
    let mut world = World::new();
    world.ask(usage("x"), usd("10")).unwrap();
    world.advance(10 * DAY);
    world.ok(adjust("off", Debt, "10"));
    world.advance(DAY);
    // It happened before the write-off, and was posted behind it.
    let mut late = event("y");
    late.time = Some(t(5 * DAY));
    world.ask(Command::Usage(late), usd("8")).unwrap();
    world.ok(grant("pays", "usd", "8").put());
    assert_eq!(world.has("usd"), "0 0 0 0");
    // The 8 were paid, so they come back.
    world.ok(void("y"));
    assert_eq!(world.has("usd"), "8 0 0 0");
}

#[test]
fn a_write_off_from_before_an_amendment_is_not_its_own() {
    let mut world = World::new();
    world.ask(usage("x"), usd("10")).unwrap();
    world.ok(adjust("off", Debt, "10"));
    world.advance(1);
    // The 10 were written off, so nothing comes back; 4 are owed anew, and paid.
    world.ask(amend("x"), usd("4")).unwrap();
    world.ok(grant("pays", "usd", "4").put());
    assert_eq!(world.has("usd"), "0 0 0 0");
    world.ok(void("x"));
    assert_eq!(world.has("usd"), "4 0 0 0");
}

/// What is open may be owed for another event: what was written off of this one does not come back once that is taken back.
#[test]
fn nobody_gets_back_what_nobody_paid() {
    for first in ["x", "y"] {
        let mut world = World::new();
        world.ask(usage("x"), usd("10")).unwrap();
        world.ok(adjust("off", Debt, "10"));
        world.advance(1);
        world.ask(usage("y"), usd("10")).unwrap();
        world.ok(void(first));
        // The one that is left: nothing is owed for the first, and 10 for the second.
        let left = if first == "x" { "0 0 10 0" } else { "0 0 0 0" };
        assert_eq!(world.has("usd"), left);
        world.ok(void(if first == "x" { "y" } else { "x" }));
        assert_eq!(world.has("usd"), "0 0 0 0");
        assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
    }
}

#[test]
fn a_part_that_comes_back_is_owed_no_more_before_what_was_written_off() {
    let mut world = World::new();
    world.ask(usage("x"), usd("5")).unwrap();
    world.ok(adjust("off", Debt, "3"));
    // 2 of the 5 are open, and no longer owed.
    world.ok(refund_event("r1", "x", Some("2")));
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.posted("usd", &Account::Adjustments), n("-3"));
    world.ok(refund_event("r2", "x", Some("1")));
    assert_eq!(world.posted("usd", &Account::Adjustments), n("-2"));
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn merged_write_offs_take_nothing_that_was_paid_between_them() {
    let most = farebox_ledger::limits::WRITE_OFFS_PER_ASSET_MAX;
    let mut world = World::owing(&[("usd", Unlimited)]);
    world.ask(usage("old"), usd("100")).unwrap();
    world.ok(adjust("off", Debt, "100"));
    world.advance(1);
    world.ask(usage("mid"), usd("500")).unwrap();
    world.ok(grant("pays", "usd", "500").put());
    for index in 0..most {
        world.advance(1);
        let id = format!("e{index}");
        world.ask(usage(&id), usd("1")).unwrap();
        world.ok(adjust(&id, Debt, "1"));
    }
    // The first of those behind it stands with the one before it, so all but that one count as written off of it: no more.
    world.ok(void("mid"));
    let back = 500 - (most - 1);
    assert_eq!(world.has("usd"), format!("{back} 0 0 0"));
}

/// Two fees of one event, beside one of another.
fn two_fees_and_another() -> World {
    let mut world = World::new();
    let fees = priced(&[fee("setup", "usd", "3"), fee("support", "usd", "3")]);
    world.ask(usage("e"), fees).unwrap();
    world
        .ask(usage("other"), priced(&[fee("setup", "usd", "10")]))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 0 16");
    world
}

#[test]
fn all_that_one_event_made_owed_ends_with_it() {
    let mut world = two_fees_and_another();
    world.ok(void("e"));
    assert_eq!(world.has("usd"), "0 0 0 10");
}

#[test]
fn what_of_an_event_came_back_already_is_open_no_more() {
    let mut world = two_fees_and_another();
    world.ok(adjust("a", Receivable, "4"));
    world.ok(void("e"));
    // Of its 6, 2 were open and 4 written off: the other's 10 stay owed.
    assert_eq!(world.has("usd"), "0 0 0 10");
    assert_eq!(world.posted("usd", &Account::Adjustments), n("0"));
}
