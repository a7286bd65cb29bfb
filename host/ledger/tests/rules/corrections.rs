//! Refunds, voids and amendments: what an event took comes back, once, to where it came from.

mod ended;
mod replaced;

use farebox_record::command::{AboveHold, Command, Finality, RateUnpriced};
use farebox_record::correction::{RefundTarget, StandingStatus};
use farebox_record::ids::PlanName;
use farebox_record::lifecycle::{SubscriptionChange as Change, When};
use farebox_record::outcome::{Account, Effect, Verdict};
use farebox_record::plan::{Category, Priced, Rejection};
use farebox_record::state::{Cadence, Shortfall, SliceSource};

use crate::world::bound::{Bound, limit};
use crate::world::make::*;
use crate::world::say::say;
use crate::world::{World, t};

/// Promotional 3 and paid 10: an event of 5 takes 3 + 2.
fn two_grants() -> World {
    let mut world = World::new();
    world.ok(grant("promo", "usd", "3").category(Category::Promotional).put());
    world.ok(grant("paid", "usd", "10").put());
    world
}

#[test]
fn a_void_gives_everything_back_to_where_it_came_from() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "8 0 0 0");
    let answer = world.act(void("e"));
    assert_eq!(say(&answer), "corrected, reversed usd 5");
    // Paid value burnt last, so it comes back first; the spent promotional grant is there again.
    assert_eq!(
        world.entries(),
        [
            "usd revenue -2",
            "usd available:paid 2",
            "usd revenue -3",
            "usd available:promo 3",
        ]
    );
    assert_eq!(world.has("usd"), "13 0 0 0");
    assert_eq!(world.posted("usd", &Account::Revenue), n("0"));
    let promo = world
        .wallet
        .grants()
        .find(|(id, _)| id.as_str() == "promo")
        .unwrap()
        .1;
    assert_eq!((promo.available, promo.category), (n("3"), Category::Promotional));
}

#[test]
fn an_event_is_voided_once() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    world.ok(void("e"));
    let again = say(&world.act(void("e")));
    assert!(
        again.starts_with("refused: the event was voided before"),
        "{again}"
    );
    let refund = say(&world.act(refund_event("r", "e", None)));
    assert!(
        refund.starts_with("refused: the event was voided before"),
        "{refund}"
    );
    let unknown = say(&world.act(void("never")));
    assert!(
        unknown.starts_with("refused: there is no such event"),
        "{unknown}"
    );
}

#[test]
fn what_expired_meanwhile_becomes_breakage() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.ask(usage("e"), usd("4")).unwrap();
    world.advance(100);
    assert_eq!(world.posted("usd", &Account::Breakage), n("6"));
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 4, expired usd 4"
    );
    assert_eq!(world.entries(), ["usd revenue -4", "usd breakage 4"]);
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_spent_grant_that_would_have_expired_does_not_come_back() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "4").expires(100).put());
    world.ask(usage("e"), usd("4")).unwrap();
    world.advance(100);
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 4, expired usd 4"
    );
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_refund_pays_the_debt_of_its_charge_first() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ok(grant("g", "usd", "3").put());
    world.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "0 0 2 0");
    // 2.5 come back: 2 were owed, 0.5 had been paid from the grant.
    let answer = world.act(refund_event("r", "e", Some("2.5")));
    assert_eq!(say(&answer), "corrected, reversed usd 2.5, paid usd 2");
    assert_eq!(world.has("usd"), "0.5 0 0 0");
}

#[test]
fn debt_that_was_paid_meanwhile_comes_back_as_bought_value() {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    world.ask(usage("e"), usd("5")).unwrap();
    world.ok(grant("later", "usd", "4").put());
    assert_eq!(world.has("usd"), "0 0 1 0");
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 5, paid usd 1"
    );
    assert_eq!(world.has("usd"), "4 0 0 0");
    let (_, returned) = world.wallet.grants().next().unwrap();
    assert_eq!(returned.category, Category::Paid);
}

#[test]
fn all_refunds_together_give_back_no_more_than_was_charged() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    assert_eq!(
        say(&world.act(refund_event("r1", "e", Some("4")))),
        "corrected, reversed usd 4"
    );
    // 2 went back to paid, 2 of 3 to promo.
    assert_eq!(
        world.entries(),
        [
            "usd revenue -2",
            "usd available:paid 2",
            "usd revenue -2",
            "usd available:promo 2",
        ]
    );
    let more = say(&world.act(refund_event("r2", "e", Some("1.000000001"))));
    assert!(
        more.starts_with("refused: amount is more than the event took and has not given back: at most 1"),
        "{more}"
    );
    assert_eq!(
        say(&world.act(refund_event("r3", "e", None))),
        "corrected, reversed usd 1"
    );
    let nothing = say(&world.act(refund_event("r4", "e", None)));
    assert!(
        nothing.starts_with("refused: the event holds nothing"),
        "{nothing}"
    );
    assert_eq!(world.has("usd"), "13 0 0 0");
    // A void of what was wholly refunded gives nothing more, and is noted all the same.
    assert_eq!(say(&world.act(void("e"))), "corrected");
}

#[test]
fn a_fee_that_comes_back_lowers_the_receivable_and_what_was_paid_of_it_returns() {
    let mut world = World::new();
    world
        .ask(usage("e"), priced(&[fee("setup", "usd", "10")]))
        .unwrap();
    world.ok(pay("p", "4"));
    assert_eq!(world.has("usd"), "0 0 0 6");
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 10, paid usd 6"
    );
    assert_eq!(world.has("usd"), "4 0 0 0");
}

#[test]
fn a_settled_hold_is_voided_as_a_whole_whatever_parts_it_was_settled_in() {
    let mut world = two_grants();
    world.ask(hold("h"), usd("8")).unwrap();
    let part = settling("h", "1", Finality::Partial, AboveHold::AllowDebt);
    world.ask(part, usd("4")).unwrap();
    let open = say(&world.act(void("h")));
    assert!(open.starts_with("refused"), "{open}");
    world.ask(settle("h"), usd("6")).unwrap();
    assert_eq!(world.has("usd"), "7 0 0 0");
    assert_eq!(say(&world.act(void("h"))), "corrected, reversed usd 6");
    assert_eq!(world.has("usd"), "13 0 0 0");
}

#[test]
fn a_refund_of_a_settled_hold_goes_back_to_what_burnt_last_as_well() {
    let mut world = World::new();
    // In the order of their names they would be the other way around.
    world.ok(grant("z", "usd", "3").priority(-1).put());
    world.ok(grant("a", "usd", "10").put());
    world.ask(hold("h"), usd("5")).unwrap();
    world.ask(settle("h"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "8 0 0 0");
    world.ok(refund_event("r1", "h", Some("1")));
    assert_eq!(world.entries(), ["usd revenue -1", "usd available:a 1"]);
    // One more of it, then what came from the other one.
    world.ok(refund_event("r2", "h", Some("3")));
    assert_eq!(
        world.entries(),
        [
            "usd revenue -1",
            "usd available:a 1",
            "usd revenue -2",
            "usd available:z 2",
        ]
    );
}

#[test]
fn what_a_subscription_included_does_not_outlive_it() {
    let mut world = World::new();
    world
        .ask(
            subscribe("s", Cadence::Monthly),
            gives(&[order("credits", "100")]),
        )
        .unwrap();
    world
        .ask(usage("some"), priced(&[charge("work", "credits", "30")]))
        .unwrap();
    world
        .ask(usage("rest"), priced(&[charge("work", "credits", "70")]))
        .unwrap();
    // While it runs, what comes back opens the spent grant again.
    let credits = Some((asset("credits"), n("10")));
    let mut refund = refund_event("r2", "some", None);
    if let Command::Refund(refund) = &mut refund
        && let RefundTarget::Event { amount, .. } = &mut refund.target
    {
        *amount = credits;
    }
    assert_eq!(say(&world.act(refund)), "corrected, reversed credits 10");
    assert_eq!(world.has("credits"), "10 0 0 0");
    world
        .ask(change("end", Change::Cancel, When::Now), priced(&[]))
        .unwrap();
    assert_eq!(world.has("credits"), "0 0 0 0");
    for (event, taken) in [("some", "20"), ("rest", "70")] {
        assert_eq!(
            say(&world.act(void(event))),
            format!("corrected, reversed credits {taken}, expired credits {taken}")
        );
    }
    assert_eq!(world.has("credits"), "0 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
}

#[test]
fn parts_that_name_other_charges_keep_the_codes_apart() {
    let mut world = two_grants();
    world.ask(hold("h"), usd("8")).unwrap();
    let part = settling("h", "1", Finality::Partial, AboveHold::AllowDebt);
    world
        .ask(
            part,
            priced(&[charge("cached", "usd", "1"), charge("tokens", "usd", "3")]),
        )
        .unwrap();
    // The answer at the end holds one charge, which stood second before; the other one is no longer owed.
    world
        .ask(settle("h"), priced(&[charge("tokens", "usd", "5")]))
        .unwrap();
    let mut by_code = std::collections::BTreeMap::new();
    for record in &world.records {
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect
                && entry.account == Account::Revenue
            {
                let code = record.charge_code(entry.charge.unwrap()).unwrap().to_string();
                *by_code.entry(code).or_insert(0) += entry.amount.get();
            }
        }
    }
    by_code.retain(|_, sum| *sum != 0);
    let expected = std::collections::BTreeMap::from([("tokens".to_string(), n("5").get())]);
    assert_eq!(by_code, expected);
}

#[test]
fn an_amendment_gives_back_the_old_price_and_takes_the_new_one() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    let answer = world.ask(amend("e"), usd("2"));
    assert_eq!(say(&answer), "corrected, reversed usd 5, charged usd 2");
    // 2 from promo again, as if the first had never been.
    assert_eq!(world.has("usd"), "11 0 0 0");
    assert_eq!(world.burnt(), ["promo 2"]);
    // Amended again, then voided: the newest price is what comes back.
    assert_eq!(
        say(&world.ask(amend("e"), usd("13"))),
        "corrected, reversed usd 2, charged usd 13"
    );
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(say(&world.act(void("e"))), "corrected, reversed usd 13");
    assert_eq!(world.has("usd"), "13 0 0 0");
}

#[test]
fn an_amendment_that_has_no_price_changes_nothing() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    let rejected = Verdict::Rejected(Rejection::Unpriceable {
        message: "no such model".into(),
    });
    let answer = say(&world.ask(amend("e"), rejected));
    assert!(answer.starts_with("refused"), "{answer}");
    assert_eq!(world.has("usd"), "8 0 0 0");
}

#[test]
fn what_waits_for_a_price_can_be_voided_and_is_not_rated_then() {
    let mut world = two_grants();
    assert_eq!(say(&world.act(usage("e"))), "unpriced: NoSubscription");
    assert_eq!(world.wallet.header().unpriced, 1);
    assert_eq!(say(&world.act(void("e"))), "corrected");
    assert_eq!(world.wallet.header().unpriced, 0);
    // Whoever wants to rate it finds that it waits no longer.
    let rated = farebox_record::command::Identity::Rated(event("e").reference());
    assert!(world.records.last().unwrap().identities().contains(&rated));
}

#[test]
fn what_comes_back_frees_the_limits_that_counted_it() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "100").put());
    world.ok(limit("month", "usd", "10").set());
    world.ask(one_shot("e"), usd("8")).unwrap();
    let denied = say(&world.ask(one_shot("f"), usd("3")));
    assert!(denied.starts_with("denied by month"), "{denied}");
    world.ok(refund_event("r", "e", Some("2")));
    assert_eq!(say(&world.ask(one_shot("g"), usd("4"))), "allowed");
    // 8 - 2 + 4 are used; all of e comes back, and 4 stay.
    world.ok(void("e"));
    assert_eq!(say(&world.ask(one_shot("h"), usd("6"))), "allowed");
    let denied = say(&world.ask(one_shot("i"), usd("0.1")));
    assert!(denied.starts_with("denied by month"), "{denied}");
}

#[test]
fn what_a_plan_charges_for_a_void_keeps_apart_from_what_comes_back() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    let answer = world.ask(void("e"), priced(&[charge("fee-of-void", "usd", "1")]));
    assert_eq!(say(&answer), "corrected, reversed usd 5, charged usd 1");
    let record = world.records.last().unwrap();
    let mut revenue: Vec<(String, String)> = Vec::new();
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect
            && entry.account == Account::Revenue
        {
            let code = record.charge_code(entry.charge.unwrap()).unwrap();
            revenue.push((code.to_string(), entry.amount.to_string()));
        }
    }
    let expected = [("tokens", "-2"), ("tokens", "-3"), ("fee-of-void", "1")];
    assert_eq!(
        revenue,
        expected.map(|(code, amount)| (code.to_string(), amount.to_string()))
    );
}

#[test]
fn a_refund_lowers_what_is_owed_before_it_gives_anything_back() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "3").put());
    // The fee was charged first, and the grant burnt behind it; all the same the fee comes back first.
    world
        .ask(
            usage("e"),
            priced(&[fee("setup", "usd", "5"), charge("t", "usd", "3")]),
        )
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 0 5");
    let answer = say(&world.act(refund_event("r", "e", Some("4"))));
    assert_eq!(answer, "corrected, reversed usd 4, paid usd 4");
    assert_eq!(world.has("usd"), "0 0 0 1");
    let answer = say(&world.act(refund_event("r2", "e", Some("4"))));
    assert_eq!(answer, "corrected, reversed usd 4, paid usd 1");
    assert_eq!(world.has("usd"), "3 0 0 0");
}

#[test]
fn a_grant_that_had_to_wait_once_is_good_at_once_when_it_comes_back() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "3").effective(60).put());
    world.advance(60);
    world.ask(usage("e"), usd("3")).unwrap();
    assert_eq!(world.wallet.grants().count(), 0);
    world.ok(void("e"));
    assert_eq!(world.has("usd"), "3 0 0 0");
}

#[test]
fn a_voided_event_stands_for_nothing() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("5")).unwrap();
    world.ok(void("e"));
    let standing = world.original(&reference("e")).unwrap().standing;
    assert_eq!(standing.status, StandingStatus::Voided);
    assert_eq!((standing.lines.len(), standing.slices.len()), (0, 0));
    assert_eq!(standing.event, event("e"));
}

#[test]
fn entries_of_a_void_name_what_comes_back_however_much_is_charged() {
    for charged in [
        None,
        Some(priced(&[])),
        Some(priced(&[charge("a", "usd", "1"), charge("b", "usd", "2")])),
    ] {
        let mut world = two_grants();
        world.ask(usage("e"), usd("5")).unwrap();
        match charged {
            None => world.ok(void("e")),
            Some(verdict) => world.ask(void("e"), verdict).unwrap(),
        };
        let record = world.records.last().unwrap();
        let back = record.outcome.effects.iter().filter_map(|effect| match effect {
            Effect::Entry(entry) if entry.account == Account::Revenue && entry.amount.is_negative() => {
                Some(record.charge_code(entry.charge.unwrap()))
            }
            _ => None,
        });
        assert_eq!(back.collect::<Vec<_>>(), [Some("tokens"), Some("tokens")]);
    }
}

#[test]
fn a_held_call_is_refunded_in_the_order_of_any_other_event() {
    // Promotional 3 and paid 10; 5 take 3 + 2. A refund of 2 gives the paid 2 back, however the 5 were charged.
    let refunded = |charge: &dyn Fn(&mut World)| {
        let mut world = two_grants();
        charge(&mut world);
        assert_eq!(world.has("usd"), "8 0 0 0");
        world.ok(refund_event("r", "e", Some("2")));
        assert_eq!(world.entries(), ["usd revenue -2", "usd available:paid 2"]);
    };
    refunded(&|world| {
        world.ask(usage("e"), usd("5")).unwrap();
    });
    refunded(&|world| {
        world.ask(hold("e"), usd("8")).unwrap();
        world.ask(settle("e"), usd("5")).unwrap();
    });
    refunded(&|world| {
        world.ask(hold("e"), usd("8")).unwrap();
        world.ask(part("e", "1"), usd("4")).unwrap();
        world.ask(part("e", "2"), usd("1")).unwrap();
        world.ask(settle("e"), usd("5")).unwrap();
    });
}

#[test]
fn what_a_call_takes_above_its_hold_comes_back_first() {
    // The paid 2 are pinned; the 3 promotional ones come later and cover what is above the hold.
    let mut world = World::new();
    world.ok(grant("paid", "usd", "2").put());
    world.ask(hold("e"), usd("2")).unwrap();
    world.ok(grant("promo", "usd", "3").category(Category::Promotional).put());
    world.ask(part("e", "1"), usd("4")).unwrap();
    world.ask(settle("e"), usd("5")).unwrap();
    world.ok(refund_event("r", "e", Some("4")));
    assert_eq!(
        world.entries(),
        [
            "usd revenue -3",
            "usd available:promo 3",
            "usd revenue -1",
            "usd available:paid 1",
        ]
    );
}

#[test]
fn an_amendment_is_no_later_than_any_other_event() {
    let day = 86_400;
    let old = |time: Option<i64>| {
        let Command::Amend(mut amend) = amend("e") else {
            unreachable!()
        };
        amend.event.time = time.map(t);
        Command::Amend(amend)
    };
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("e"), usd("4")).unwrap();
    world.advance(36 * day);
    let refused = "refused: time 2026-03-01T00:00:00Z is more than 35 days ago (limit LATE_WINDOW)";
    // Without a time it happened when the event did that it replaces.
    for time in [Some(0), None] {
        let said = say(&world.ask(old(time), usd("3")));
        assert!(said.starts_with(refused), "{said}");
    }
    let said = say(&world.ask(old(Some(day)), usd("3")));
    assert_eq!(said, "corrected, reversed usd 4, charged usd 3");
    assert_eq!(world.has("usd"), "7 0 0 0");
}

#[test]
fn an_event_that_waited_for_its_price_comes_back_as_what_it_took_then() {
    let mut world = two_grants();
    let rejected = Verdict::Rejected(Rejection::Overflow);
    world.ask(usage("e"), rejected).unwrap();
    let waits = world.original(&reference("e")).unwrap().standing;
    assert_eq!((waits.status, waits.priced), (StandingStatus::Unpriced(4), None));
    let rate = Command::RateUnpriced(RateUnpriced {
        sequence: 4,
        received: world.now,
        event: event("e"),
    });
    world.ask(rate, usd("5")).unwrap();
    assert_eq!(say(&world.act(void("e"))), "corrected, reversed usd 5");
    assert_eq!(world.has("usd"), "13 0 0 0");
}

#[test]
fn a_settled_call_happened_when_it_was_authorized() {
    let mut world = two_grants();
    world.ask(hold("h"), usd("5")).unwrap();
    world.advance(100);
    world.ask(settle("h"), usd("5")).unwrap();
    let standing = world.original(&reference("h")).unwrap().standing;
    assert_eq!((standing.time, world.now), (t(0), t(100)));
}

#[test]
fn an_event_stands_with_what_it_really_took() {
    let mut world = two_grants();
    world.ask(usage("e"), usd("1")).unwrap();
    // The first charge uses promo up, so the second one takes nothing of it.
    let price = priced(&[charge("a", "usd", "3"), charge("b", "usd", "2")]);
    world.ask(amend("e"), price).unwrap();
    let standing = world.original(&reference("e")).unwrap().standing;
    let slices = standing.slices.iter().map(|s| match &s.from {
        SliceSource::Grant(id) => format!("{} {id} {}", s.code, s.amount),
        other => panic!("{other:?}"),
    });
    assert_eq!(slices.collect::<Vec<_>>(), ["a promo 3", "b paid 2"]);
    assert_eq!(standing.lines.len(), 2);
}

#[test]
fn what_comes_back_is_named_by_its_own_charge() {
    let mut world = two_grants();
    let price = priced(&[
        charge("in", "usd", "3"),
        charge("out", "usd", "2"),
        charge("in", "usd", "1"),
    ]);
    world.ask(usage("e"), price).unwrap();
    world.ok(void("e"));
    assert_eq!(world.earned(), ["in -1", "out -2", "in -3"]);
    let record = world.records.last().unwrap();
    assert_eq!(record.outcome.earlier, ["in", "out"]);
}
