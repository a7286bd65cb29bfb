//! Corrections that reach further than their event, of a period whose grants are over: what they free there goes on paying for
//! what happened there, and what the customer has now is left alone.
//!
//! The plan's price: 10 credits each up to 100 units, then 5. In April `a` was 150 units, `b` 50 and `c` 10.

use farebox_record::correction::Consequence;
use farebox_record::outcome::Account;
use farebox_record::plan::Charge;
use farebox_record::state::Cadence;

use crate::refold::{behind, slices, void_with};
use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;

fn credits(amount: &str) -> Charge {
    charge("tokens", "credits", amount)
}

/// April's credits paid for 1,250, 250 and 50; in May there are 1,000 others.
fn april_is_over() -> World {
    let mut world = World::new();
    world.ok(grant("april", "credits", "1550").expires(100).put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    for (event, price) in [("a", "1250"), ("b", "250"), ("c", "50")] {
        world.ask(usage(event), priced(&[credits(price)])).unwrap();
    }
    world.advance(100);
    world.ok(grant("may", "credits", "1000").put());
    world
}

#[test]
fn an_event_that_was_less_pays_for_those_behind_that_cost_more() {
    let mut world = april_is_over();
    // `a` was 50 units: 500. `b` is 50 at 10 each, `c` as before. April cost 1,050 and not 1,550: 500 are lost.
    let found = behind(&world, &[("b", credits("500"), &[])]);
    let answer = world.correct(amend("a"), Some(pricing(priced(&[credits("500")]))), found);
    assert_eq!(
        say(&answer),
        "corrected, reversed credits 1250, expired credits 500, charged credits 500; b, charged credits 250"
    );
    assert_eq!(world.has("credits"), "1000 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("500"));
    assert_eq!(slices(&world, "b"), ["april 250", "april 250"]);
    assert_eq!(slices(&world, "c"), ["april 50"]);
}

#[test]
fn an_event_that_was_not_pays_for_all_of_those_behind() {
    let mut world = april_is_over();
    // Without `a` those behind are 60 units at 10 each.
    let found = behind(&world, &[("b", credits("500"), &[]), ("c", credits("100"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed credits 1250, expired credits 950; b, charged credits 250; c, charged credits 50"
    );
    assert_eq!(world.has("credits"), "1000 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("950"));
}

#[test]
fn what_april_does_not_cover_is_taken_of_what_there_is() {
    let mut world = april_is_over();
    // 2,000 and 100 instead of 250 and 50: of 1,800 more, 1,250 are of `a`.
    let found = behind(&world, &[("b", credits("2000"), &[]), ("c", credits("100"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed credits 1250; b, charged credits 1750; c, charged credits 50"
    );
    assert_eq!(world.has("credits"), "450 0 0 0");
    assert_eq!(slices(&world, "b"), ["april 250", "april 1250", "may 500"]);
}

#[test]
fn an_event_behind_that_costs_less_pays_for_one_that_costs_more() {
    let mut world = april_is_over();
    // `a` cost nothing of what follows: it comes back, and pays for itself. `b` is 100 less, of which `c` takes 30.
    let found = behind(&world, &[("b", credits("150"), &[]), ("c", credits("80"), &[])]);
    let answer = world.correct(amend("a"), Some(pricing(priced(&[credits("1250")]))), found);
    // What is told to expire is of `a` alone.
    assert_eq!(
        say(&answer),
        "corrected, reversed credits 1250, charged credits 1250; b, back credits 100; c, charged credits 30"
    );
    assert_eq!(world.has("credits"), "1000 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("70"));
}

#[test]
fn one_code_of_an_event_that_costs_less_pays_for_another_that_costs_more() {
    let mut world = april_is_over();
    // `b` is 250 of one code. Now it is 100 of that and 120 of another: 30 are lost, and `a` is as it was.
    let found = behind(&world, &[("b", credits("100"), &[])]);
    let Some(Consequence::Refolded(mut refold)) = found else {
        unreachable!()
    };
    refold.repriced[0]
        .charges
        .push(charge("images", "credits", "120"));
    let found = Some(Consequence::Refolded(refold));
    let answer = world.correct(amend("a"), Some(pricing(priced(&[credits("1250")]))), found);
    assert_eq!(
        say(&answer),
        "corrected, reversed credits 1250, charged credits 1250; b, back credits 150, charged credits 120"
    );
    assert_eq!(world.has("credits"), "1000 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("30"));
    assert_eq!(slices(&world, "b"), ["april 100", "april 120"]);
}

#[test]
fn a_grant_that_was_over_before_an_event_behind_happened_does_not_pay_for_it() {
    let mut world = World::new();
    world.ok(grant("promo", "credits", "5").expires(50).put());
    world.ok(grant("paid", "credits", "20").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ask(usage("a"), priced(&[credits("5")])).unwrap();
    // At the instant at which it ends it is over.
    world.advance(50);
    world.ask(usage("b"), priced(&[credits("3")])).unwrap();
    // Had `a` never been, `b` would have found nothing of the promotion.
    let found = behind(&world, &[("b", credits("4"), &[])]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed credits 5, expired credits 5; b, charged credits 1"
    );
    assert_eq!(world.has("credits"), "16 0 0 0");
    assert_eq!(slices(&world, "b"), ["paid 3", "paid 1"]);
}

#[test]
fn two_events_behind_that_cost_less_pay_for_one_that_costs_more() {
    let mut world = World::new();
    world.ok(grant("april", "credits", "1560").expires(100).put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    for (event, price) in [("a", "1250"), ("b", "250"), ("c", "50"), ("d", "10")] {
        world.ask(usage(event), priced(&[credits(price)])).unwrap();
    }
    world.advance(100);
    world.ok(grant("may", "credits", "1000").put());
    // `b` is 100 less and `c` 30, and `d` is 140 more: 10 of it are of what there is.
    let costs = [
        ("b", credits("150"), &[][..]),
        ("c", credits("20"), &[]),
        ("d", credits("150"), &[]),
    ];
    let found = behind(&world, &costs);
    let answer = world.correct(amend("a"), Some(pricing(priced(&[credits("1250")]))), found);
    assert_eq!(
        say(&answer),
        "corrected, reversed credits 1250, charged credits 1250; b, back credits 100; c, back credits 30; d, charged credits 140"
    );
    assert_eq!(world.has("credits"), "990 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("0"));
    assert_eq!(slices(&world, "d"), ["april 10", "april 130", "may 10"]);
}
