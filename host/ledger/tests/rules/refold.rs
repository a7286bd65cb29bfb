//! Corrections that reach further than their event: those behind it cost something else, and the difference is posted.
//!
//! The plan's price: 100 units at 0.10, then 0.05 each. `a` is 80 units, `b` 40 (20 at each price), `c` 40.

use farebox_record::command::Command;
use farebox_record::correction::{Consequence, Refold, Repriced, TakenSlice};
use farebox_record::ids::{CallId, GrantId, SubscriptionId};
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::{Category, Charge, EventRef};
use farebox_record::state::{Cadence, SliceSource};

use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;

/// What a fold found: each event with its new price, and what refunds gave back of it.
pub fn behind(world: &World, repriced: &[(&str, Charge, &[TakenSlice])]) -> Option<Consequence> {
    let repriced = repriced.iter().map(|(event, charge, refunded)| Repriced {
        standing: world.original(&reference(event)).unwrap().standing,
        refunded: refunded.to_vec(),
        charges: vec![charge.clone()],
    });
    Some(Consequence::Refolded(Box::new(Refold {
        subscription: SubscriptionId::new("s").unwrap(),
        term: 0,
        closed: None,
        checkpoint: 1,
        events: 2,
        repriced: repriced.collect(),
        state: b"folded".to_vec(),
        state_version: 1,
        revision: revision(),
    })))
}

pub fn tokens(amount: &str) -> Charge {
    charge("tokens", "usd", amount)
}

/// A subscription, and a paid grant.
fn world(paid: &str) -> World {
    let mut world = World::new();
    world.ok(grant("paid", "usd", paid).put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world
}

/// `a`, `b` and `c`.
pub fn three(paid: &str) -> World {
    let mut world = world(paid);
    for (event, price) in [("a", "8"), ("b", "3"), ("c", "2")] {
        world.ask(usage(event), usd(price)).unwrap();
    }
    world
}

pub fn slices(world: &World, event: &str) -> Vec<String> {
    let standing = world.original(&reference(event)).unwrap().standing;
    let text = |slice: &TakenSlice| {
        let from = match &slice.from {
            SliceSource::Grant(id) => id.to_string(),
            SliceSource::Debt => "debt".into(),
            SliceSource::Receivable => "receivable".into(),
        };
        format!("{from} {}", slice.amount)
    };
    standing.slices.iter().map(text).collect()
}

pub fn void_with(world: &mut World, event: &str, consequence: Option<Consequence>) -> String {
    say(&world.correct(void(event), None, consequence))
}

#[test]
fn without_the_first_event_the_others_move_into_its_tier() {
    let mut world = three("20");
    assert_eq!(world.has("usd"), "7 0 0 0");
    // 80 units are left, all at 0.10: 8 in all.
    let found = behind(&world, &[("b", tokens("4"), &[]), ("c", tokens("4"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 8; b, charged usd 1; c, charged usd 2"
    );
    assert_eq!(world.has("usd"), "12 0 0 0");
    assert_eq!(world.posted("usd", &Account::Revenue), n("8"));
    assert_eq!(slices(&world, "a"), Vec::<String>::new());
    assert_eq!(slices(&world, "c"), ["paid 2", "paid 2"]);
    let subscription = world
        .wallet
        .subscription(&SubscriptionId::new("s").unwrap())
        .unwrap();
    assert_eq!(subscription.state, b"folded");
}

#[test]
fn a_standing_closes_the_entries_of_its_event() {
    let mut world = three("20");
    let found = behind(&world, &[("b", tokens("4"), &[]), ("c", tokens("1"), &[])]);
    void_with(&mut world, "a", found);
    let effects = &world.records.last().unwrap().outcome.effects;
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Entry(entry) if entry.account == Account::Revenue => Some(entry.amount.to_string()),
        Effect::StandingPut(EventRef { id, .. }, _) => Some(format!("of {id}")),
        _ => None,
    });
    // What comes back does so first: all of `a`, 1 of `c`. Then `b` is charged 1 more.
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["-8", "of a", "-1", "of c", "of a", "1", "of b"]
    );
}

#[test]
fn what_comes_back_pays_for_what_costs_more() {
    let mut world = three("13");
    assert_eq!(world.has("usd"), "0 0 0 0");
    let found = behind(&world, &[("b", tokens("4"), &[]), ("c", tokens("4"), &[])]);
    void_with(&mut world, "a", found);
    assert_eq!(world.has("usd"), "5 0 0 0", "no debt: the 8 of `a` pay the 3");
}

#[test]
fn what_the_wallet_lacks_becomes_debt() {
    let mut world = three("13");
    // `b` costs 9 more. Of those 8 are there.
    let found = behind(&world, &[("b", tokens("12"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 8; b, charged usd 9"
    );
    assert_eq!(world.has("usd"), "0 0 1 0");
    assert_eq!(slices(&world, "b"), ["paid 3", "paid 8", "debt 1"]);
}

#[test]
fn what_would_be_lost_pays_for_the_events_behind() {
    let mut world = World::new();
    world.ok(grant("promo", "usd", "8")
        .category(Category::Promotional)
        .expires(100)
        .put());
    world.ok(grant("paid", "usd", "5").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    for (event, price) in [("a", "8"), ("b", "3"), ("c", "2")] {
        world.ask(usage(event), usd(price)).unwrap();
    }
    world.advance(100);
    // The 8 came from a grant that has expired. Of them 3 pay for what the events behind cost more: nothing is owed.
    let found = behind(&world, &[("b", tokens("4"), &[]), ("c", tokens("4"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 8, expired usd 5; b, charged usd 1; c, charged usd 2"
    );
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(slices(&world, "b"), ["paid 3", "promo 1"]);
}

#[test]
fn an_event_keeps_what_it_still_needs_of_a_grant_that_is_gone() {
    let mut world = World::new();
    world.ok(grant("promo", "usd", "5")
        .category(Category::Promotional)
        .expires(100)
        .put());
    world.ok(grant("paid", "usd", "10").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ask(usage("b"), usd("5")).unwrap();
    world.ask(usage("a"), usd("2")).unwrap();
    world.advance(100);
    // `b` took all of the grant that is over. It costs 3 now: 2 expire, nothing else moves.
    let found = behind(&world, &[("b", tokens("3"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 2; b, back usd 2"
    );
    assert_eq!(world.posted("usd", &Account::Breakage), n("2"));
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(slices(&world, "b"), ["promo 3"]);
}

#[test]
fn a_refund_stands() {
    // Of the 3 that `b` cost, 1 was refunded: it kept 2. At a price of 2 it keeps 1, at 5 it keeps 4, at 0.5 nothing.
    for (price, told, has) in [
        ("2", "b, back usd 1", "17 0 0 0"),
        ("5", "b, charged usd 2", "14 0 0 0"),
        ("0.5", "b, back usd 2", "18 0 0 0"),
    ] {
        let mut world = three("20");
        world.ok(refund_event("r", "b", Some("1")));
        let refunded = TakenSlice {
            code: "tokens".into(),
            asset: asset("usd"),
            from: SliceSource::Grant(GrantId::new("paid").unwrap()),
            amount: n("1"),
            posted: Some(crate::world::t(0)),
        };
        let found = behind(&world, &[("b", tokens(price), &[refunded])]);
        let said = void_with(&mut world, "a", found);
        assert_eq!(said, format!("corrected, reversed usd 8; {told}"));
        assert_eq!(world.has("usd"), has);
    }
}

#[test]
fn a_chain_keeps_its_proportion() {
    let mut world = World::new();
    world.ok(grant("pool", "credits", "4").put());
    world.ok(grant("paid", "usd", "10").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    let whole = chain("tokens", &[("credits", "10"), ("usd", "1")]);
    world.ask(usage("a"), usd("2")).unwrap();
    world.ask(usage("b"), priced(&[whole])).unwrap();
    // 4 of 10 credits, the other six tenths in dollars.
    assert_eq!(slices(&world, "b"), ["pool 4", "paid 0.6"]);
    // Half of the price: 5 credits, of which 4 are there, so a fifth of 0.5 dollars.
    let half = chain("tokens", &[("credits", "5"), ("usd", "0.5")]);
    let found = behind(&world, &[("b", half, &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 2; b, back usd 0.5"
    );
    assert_eq!(slices(&world, "b"), ["pool 4", "paid 0.1"]);
    assert_eq!(world.has("usd"), "9.9 0 0 0");
}

#[test]
fn an_amended_event_is_charged_in_its_place() {
    let mut world = three("20");
    // `a` was 100 units after all: 10. `b` and `c` are at 0.05: 2 each.
    let found = behind(&world, &[("b", tokens("2"), &[])]);
    let answer = world.correct(amend("a"), Some(pricing(usd("10"))), found);
    assert_eq!(
        say(&answer),
        "corrected, reversed usd 8, charged usd 10; b, back usd 1"
    );
    assert_eq!(world.has("usd"), "6 0 0 0");
    // Its own answer's state is not the state behind all of them.
    let subscription = world
        .wallet
        .subscription(&SubscriptionId::new("s").unwrap())
        .unwrap();
    assert_eq!(subscription.state, b"folded");
    // And it can be taken back in turn, wholly.
    let found = behind(&world, &[("b", tokens("4"), &[])]);
    let again = Command::Void(farebox_record::correction::Void {
        id: CallId::new("second").unwrap(),
        event: reference("a"),
        reason: None,
    });
    assert_eq!(
        say(&world.correct(again, None, found)),
        "corrected, reversed usd 10; b, charged usd 2"
    );
    assert_eq!(world.has("usd"), "14 0 0 0");
}

#[test]
fn a_fold_of_a_term_that_is_over_is_refused() {
    let mut world = three("20");
    let Some(Consequence::Refolded(mut refold)) = behind(&world, &[("b", tokens("4"), &[])]) else {
        unreachable!()
    };
    refold.term = 1;
    let said = void_with(&mut world, "a", Some(Consequence::Refolded(refold)));
    assert!(
        said.starts_with("refused: the correction cannot be carried out: a period ended meanwhile"),
        "{said}"
    );
}

/// `a` cost 8 and gave 0.99 of `r` back. Without it `b` costs 1 more, and `r` is charged its 0.99 anew.
#[test]
fn what_the_corrected_event_had_given_back_is_taken_again() {
    let mut world = world("20");
    world
        .ask(usage("r"), priced(&[charge("resolution", "usd", "0.99")]))
        .unwrap();
    let given = back("r", "resolution", "usd", "-0.99");
    world.ask(usage("a"), priced(&[given, tokens("8")])).unwrap();
    world.ask(usage("b"), usd("3")).unwrap();
    assert_eq!(world.has("usd"), "9 0 0 0");
    let found = behind(&world, &[("b", tokens("4"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 8, charged usd 0.99; b, charged usd 1"
    );
    assert_eq!(world.has("usd"), "15.01 0 0 0");
    assert_eq!(slices(&world, "r"), ["paid 0.99"]);
    assert_eq!(slices(&world, "b"), ["paid 3", "paid 1"]);
    // Whose entries they are is told by the standing behind them.
    let effects = &world.records.last().unwrap().outcome.effects;
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Entry(entry) if entry.account == Account::Revenue => Some(entry.amount.to_string()),
        Effect::StandingPut(EventRef { id, .. }, _) => Some(format!("of {id}")),
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["-8", "of a", "0.99", "of r", "of a", "1", "of b"]
    );
}

/// How much is left of `b` is not known before it is priced again.
#[test]
fn an_amendment_gives_nothing_back_of_an_event_that_it_prices_anew() {
    let mut world = three("20");
    let found = behind(&world, &[("b", tokens("4"), &[])]);
    let answer = priced(&[tokens("1"), back("b", "tokens", "usd", "-1")]);
    let said = say(&world.correct(amend("a"), Some(pricing(answer)), found));
    assert_eq!(
        said,
        "refused: the correction cannot be carried out: the event would give back of event b, which would \
         cost something else behind it"
    );
    assert_eq!(world.has("usd"), "7 0 0 0");
}
