//! Adjustments, payments of receivables, and bought value that leaves the wallet.

use farebox_record::correction::AdjustTarget::{Balance, Debt, Receivable};
use farebox_record::outcome::Account;
use farebox_record::plan::Category;
use farebox_record::state::Shortfall;

use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;

#[test]
fn value_is_taken_away_in_the_order_in_which_it_burns() {
    let mut world = World::new();
    world.ok(grant("paid", "usd", "10").put());
    world.ok(grant("promo", "usd", "3").category(Category::Promotional).put());
    assert_eq!(say(&world.act(adjust("a", Balance, "4"))), "adjusted");
    assert_eq!(
        world.entries(),
        [
            "usd available:promo -3",
            "usd available:paid -1",
            "usd adjustments 4",
        ]
    );
    assert_eq!(world.has("usd"), "9 0 0 0");
}

#[test]
fn no_more_than_is_free_is_taken_and_what_is_held_is_not_free() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("4")).unwrap();
    let answer = say(&world.act(adjust("a", Balance, "6.5")));
    assert_eq!(answer, "refused: amount is more than is free: at most 6");
    assert_eq!(world.has("usd"), "6 4 0 0");
}

#[test]
fn value_for_certain_usage_is_left_alone() {
    let mut world = World::new();
    world.ok(grant("special", "usd", "10").code("images").put());
    let answer = say(&world.act(adjust("a", Balance, "1")));
    assert_eq!(answer, "refused: amount is more than is free: at most 0");
}

#[test]
fn debt_and_receivables_are_written_off_up_to_what_is_owed() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ask(usage("e"), usd("5")).unwrap();
    world
        .ask(usage("f"), priced(&[fee("setup", "usd", "7")]))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 5 7");
    let more = say(&world.act(adjust("a1", Debt, "5.1")));
    assert_eq!(more, "refused: amount is more than the debt: at most 5");
    world.ok(adjust("a2", Debt, "2"));
    let more = say(&world.act(adjust("a3", Receivable, "8")));
    assert_eq!(more, "refused: amount is more than the receivable: at most 7");
    world.ok(adjust("a4", Receivable, "7"));
    assert_eq!(world.has("usd"), "0 0 3 0");
    assert_eq!(world.posted("usd", &Account::Adjustments), n("-9"));
}

#[test]
fn a_payment_lowers_the_receivable_and_never_turns_it_over() {
    let mut world = World::new();
    world
        .ask(usage("f"), priced(&[fee("setup", "usd", "7")]))
        .unwrap();
    world.ok(pay("p1", "3"));
    assert_eq!(world.entries(), ["usd receivable 3", "usd purchases -3"]);
    let more = say(&world.act(pay("p2", "4.5")));
    assert!(
        more.starts_with("refused: amount is more than the receivable"),
        "{more}"
    );
    world.ok(pay("p3", "4"));
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn unused_bought_value_is_paid_back_and_nothing_else() {
    let mut world = World::new();
    world.ok(grant("paid", "usd", "10").put());
    world.ok(grant("promo", "usd", "3").category(Category::Promotional).put());
    world.ask(usage("e"), usd("5")).unwrap();
    let more = say(&world.act(refund_grant("r1", "paid", Some("9"))));
    assert_eq!(
        more,
        "refused: amount is more than is free of the grant: at most 8"
    );
    let promo = say(&world.act(refund_grant("r2", "promo", None)));
    assert!(promo.starts_with("refused"), "{promo}");
    assert_eq!(
        say(&world.act(refund_grant("r3", "paid", None))),
        "corrected, reversed usd 8"
    );
    assert_eq!(world.entries(), ["usd available:paid -8", "usd purchases 8"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_grant_that_was_paid_back_while_it_waited_is_gone_when_it_would_begin() {
    let mut world = World::new();
    world.ok(grant("later", "usd", "10").effective(60).put());
    world.ok(refund_grant("r", "later", None));
    assert_eq!(world.entries(), ["usd available:later -10", "usd purchases 10"]);
    world.advance(60);
    assert_eq!(world.wallet.grants().count(), 0);
}

#[test]
fn amounts_are_more_than_zero() {
    let mut world = World::new();
    for command in [adjust("a", Balance, "0"), pay("p", "0"), adjust("b", Debt, "-1")] {
        assert_eq!(say(&world.act(command)), "refused: amount must be more than zero");
    }
}
