//! Statements worked out by hand.

use farebox_record::correction::AdjustTarget;
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Pricing;
use farebox_record::plan::Category;
use farebox_record::state::Cadence;
use farebox_record::time::Period;

use crate::say::{lines, of};
use crate::world::make::*;
use crate::world::{World, t};

const DAY: i64 = 86_400;
/// From 1 March to 1 April 2026, and on to 1 May.
const MONTH: i64 = 31 * DAY;
const TWO_MONTHS: i64 = 61 * DAY;

fn labelled(mut order: farebox_record::plan::GrantOrder, label: &str) -> farebox_record::plan::GrantOrder {
    order.label = label.into();
    order
}

#[test]
fn paid_and_promotional_value_a_fee_debt_and_what_paid_them() {
    let mut world = World::new();
    let mut bonus = grant("bonus", "usd", "5").category(Category::Promotional);
    bonus.label = Some("Welcome".into());
    world.ok(bonus.put());
    world.ok(grant("topup", "usd", "10").put());
    world
        .ask(
            subscribe("s", Cadence::Monthly),
            priced(&[fee("seat", "usd", "40")]),
        )
        .unwrap();
    world.advance(10);
    // 5 of the bonus, then 1 of what was bought; then the 9 that are left, and 3 that nobody covers.
    world.ask(usage("a"), usd("6")).unwrap();
    world.ask(usage("b"), usd("12")).unwrap();
    world.advance(10);
    world.ok(grant("topup-2", "usd", "20").put()); // 3 of it pay the debt
    world.ok(pay("p", "25"));
    world.ok(adjust("fix", AdjustTarget::Balance, "2"));
    world.ok(adjust("fix-2", AdjustTarget::Receivable, "4"));
    assert_eq!(
        lines(&of(&world, 0, MONTH), "usd"),
        [
            "opening 0 0 0 0",
            "grant bonus \"Welcome\" (order): 5 0 0 0",
            "grant topup (order): 10 0 0 0",
            "grant topup-2 (order): 20 0 0 0",
            "usage tokens in 0 x2: -15 0 -3 0",
            "fee seat in 0 x1: 0 0 0 -40",
            "payment: 0 0 0 25",
            "adjustment \"goodwill\": -2 0 0 0",
            "adjustment \"goodwill\": 0 0 0 4",
            "debt_paid: -3 0 3 0",
            "closing 15 0 0 -11",
        ]
    );
}

/// What a settlement takes back of debt lowers the usage that made it, whether it was still owed or was paid meanwhile; holds
/// move value and change no total.
#[test]
fn debt_that_a_settlement_shows_was_not_owed_is_no_usage() {
    for (last, closing, holds) in [
        (settle("h"), "closing 2 0 0 0", None),
        (part("h", "2"), "closing 0 2 0 0", Some("holds: -2 2 0 0")),
    ] {
        let mut world = World::new();
        world.ok(grant("g", "usd", "6").put());
        world.ask(hold("h"), usd("6")).unwrap();
        world.ask(part("h", "1"), usd("9")).unwrap(); // 3 owed
        world.ok(grant("top-up", "usd", "2").put()); // pays 2 of them
        world.ask(last, usd("6")).unwrap(); // 1 is not owed, and 2 were not
        let told = lines(&of(&world, 0, MONTH), "usd");
        let usage = match holds {
            None => "usage tokens in 0 x1: -4 0 -2 0",
            Some(_) => "usage tokens in 0: -4 0 -2 0", // counts when it is settled for good
        };
        let mut expected = vec![
            "opening 0 0 0 0",
            "grant g (order): 6 0 0 0",
            "grant top-up (order): 2 0 0 0",
            usage,
            "debt_paid: -2 0 2 0",
        ];
        expected.extend(holds);
        expected.push(closing);
        assert_eq!(told, expected);
    }
}

#[test]
fn a_hold_open_across_the_boundary_is_held_there_and_used_behind_it() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.advance(100);
    world.ask(hold("h"), usd("6")).unwrap();
    world.advance(200);
    world.ask(settle("h"), usd("4")).unwrap();
    assert_eq!(
        lines(&of(&world, 0, 200), "usd"),
        [
            "opening 0 0 0 0",
            "grant g (order): 10 0 0 0",
            "holds: -6 6 0 0",
            "closing 4 6 0 0",
        ]
    );
    assert_eq!(
        lines(&of(&world, 200, 400), "usd"),
        [
            "opening 4 6 0 0",
            "usage tokens in 0 x1: -4 0 0 0",
            "holds: 6 -6 0 0",
            "closing 6 0 0 0",
        ]
    );
    // A hold that opens and ends within the range leaves nothing but what was used.
    assert_eq!(
        lines(&of(&world, 0, 400), "usd"),
        [
            "opening 0 0 0 0",
            "grant g (order): 10 0 0 0",
            "usage tokens in 0 x1: -4 0 0 0",
            "closing 6 0 0 0",
        ]
    );
}

#[test]
fn a_call_in_parts_counts_once_it_is_settled_for_good() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("6")).unwrap();
    world.ask(part("h", "p"), usd("1")).unwrap();
    world.advance(100);
    world.ask(settle("h"), usd("3")).unwrap();
    assert_eq!(
        lines(&of(&world, 0, 50), "usd")[2..],
        [
            "usage tokens in 0: -1 0 0 0",
            "holds: -5 5 0 0",
            "closing 4 5 0 0"
        ]
    );
    assert_eq!(
        lines(&of(&world, 50, 150), "usd")[1..],
        [
            "usage tokens in 0 x1: -2 0 0 0",
            "holds: 5 -5 0 0",
            "closing 7 0 0 0"
        ]
    );
}

/// The price of an event that belongs to March, in April.
#[test]
fn a_call_in_parts_that_nobody_finishes_counts_when_it_ends() {
    // With the plan's last word, which is 4 by then, and without it.
    type End = fn(&mut World);
    let ends: [(End, &str); 4] = [
        (
            |world| {
                world.ask(release("h"), usd("4")).unwrap();
            },
            "-4",
        ),
        (
            |world| {
                world.ok(release("h"));
            },
            "-3",
        ),
        (
            |world| {
                world.conclusions.push_back(usd("4"));
                world.advance(900);
                world.advance(3_600);
            },
            "-4",
        ),
        (
            |world| {
                world.advance(900);
                world.advance(3_600);
            },
            "-3",
        ),
    ];
    for (end, used) in ends {
        let mut world = World::new();
        world.ok(grant("g", "usd", "10").put());
        world.ask(hold("h"), usd("6")).unwrap();
        world.ask(part("h", "1"), usd("3")).unwrap();
        end(&mut world);
        let usage = format!("usage tokens in 0 x1: {used} 0 0 0");
        let said = lines(&of(&world, 0, 10_000), "usd");
        assert_eq!(
            said[1..said.len() - 1],
            ["grant g (order): 10 0 0 0".to_string(), usage]
        );
    }
}

#[test]
fn what_a_part_took_too_much_is_usage_that_was_none() {
    let call = |between: fn(&mut World)| {
        let mut world = World::new();
        world.ok(grant("g", "usd", "6").put());
        world.ask(hold("h"), usd("6")).unwrap();
        world.ask(part("h", "1"), usd("9")).unwrap();
        between(&mut world);
        world.ask(settle("h"), usd("6")).unwrap();
        lines(&of(&world, 0, 100), "usd")
    };
    // 3 of the 9 were owed and turned out not to be: nothing was held for them.
    assert_eq!(
        call(|_| ()),
        [
            "opening 0 0 0 0",
            "grant g (order): 6 0 0 0",
            "usage tokens in 0 x1: -6 0 0 0",
            "closing 0 0 0 0",
        ]
    );
    // They were paid meanwhile, and come back: 6 of the grant and 3 of debt were used, less 3 that are free again.
    let top_up = |world: &mut World| {
        world.ok(grant("top", "usd", "5").put());
    };
    assert_eq!(
        call(top_up),
        [
            "opening 0 0 0 0",
            "grant g (order): 6 0 0 0",
            "grant top (order): 5 0 0 0",
            "usage tokens in 0 x1: -3 0 -3 0",
            "debt_paid: -3 0 3 0",
            "closing 5 0 0 0",
        ]
    );
}

fn of_march(amount: &str) -> Pricing {
    let march = Period {
        start: t(0),
        end: t(MONTH),
        index: 0,
    };
    let price = pricing(usd(amount));
    let term = TermState {
        number: 0,
        plan: farebox_record::ids::PlanName::new("plan").unwrap(),
        period: march,
        since: march.start,
        until: march.end,
        seats: 1,
        opening: Vec::new(),
        opening_version: None,
        state: Vec::new(),
        state_version: 1,
        revision: price.revision,
        opened: 1,
    };
    Pricing {
        term: Some(Box::new(term)),
        ..price
    }
}

fn of_april(amount: &str) -> Pricing {
    Pricing {
        period: Period {
            start: t(MONTH),
            end: t(TWO_MONTHS),
            index: 1,
        },
        ..pricing(usd(amount))
    }
}

#[test]
fn what_is_late_or_corrected_stands_in_the_open_period_and_names_its_own() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "100").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    for (id, amount) in [("void-me", "7"), ("amend-me", "5"), ("refund-me", "3")] {
        world.ask(usage(id), usd(amount)).unwrap();
    }
    let march = of(&world, 0, MONTH);
    assert_eq!(
        lines(&march, "usd"),
        [
            "opening 0 0 0 0",
            "grant g (order): 100 0 0 0",
            "usage tokens in 0 x3: -15 0 0 0",
            "closing 85 0 0 0",
        ]
    );
    world.transitions.push_back(priced(&[]));
    world.advance(MONTH + DAY);
    world.decide(usage("now"), Some(of_april("1"))).unwrap();
    world.decide(usage("late"), Some(of_march("2"))).unwrap();
    world.advance(10);
    world.ok(void("void-me"));
    world.decide(amend("amend-me"), Some(of_march("4"))).unwrap();
    world.ok(refund_event("r", "refund-me", Some("1")));
    assert_eq!(
        lines(&of(&world, MONTH, TWO_MONTHS), "usd"),
        [
            "opening 85 0 0 0",
            "usage tokens in 1 x1: -1 0 0 0",
            "late_usage tokens in 0 x1: -2 0 0 0",
            "void tokens of void-me in 0 x-1: 7 0 0 0",
            "amendment tokens of amend-me in 0 x-1: 5 0 0 0",
            "amendment tokens of amend-me in 0 x1: -4 0 0 0",
            "refund tokens \"bad answer\" of refund-me in 0: 1 0 0 0",
            "closing 91 0 0 0",
        ]
    );
    assert_eq!(of(&world, 0, MONTH), march, "a closed period stays as it was");
}

#[test]
fn what_comes_back_to_an_expired_grant_expires() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "5").expires(100).put());
    world.ask(usage("a"), usd("5")).unwrap();
    world.advance(200);
    world.ok(refund_event("r", "a", None));
    assert_eq!(
        lines(&of(&world, 150, 300), "usd"),
        [
            "opening 0 0 0 0",
            "refund tokens \"bad answer\" of a in 0: 5 0 0 0",
            "expiry \"bad answer\" of a: -5 0 0 0",
            "closing 0 0 0 0",
        ]
    );
}

/// Promotional 0.6 that expires, and bought value: 0.99 for a resolution. Opened again, 0.39 of it are there to come back.
#[test]
fn what_a_plan_gives_back_is_usage_of_its_code_and_negative() {
    let mut world = World::new();
    let promo = grant("p", "usd", "0.6").category(Category::Promotional);
    world.ok(promo.expires(100).put());
    world.ok(grant("g", "usd", "10").put());
    world
        .ask(usage("r"), priced(&[charge("resolution", "usd", "0.99")]))
        .unwrap();
    world.advance(200);
    let mut given = back("r", "resolution", "usd", "-0.99");
    given.quantity = n("-1");
    let answer = priced(&[given, charge("work", "usd", "0.3")]);
    world.ask(usage("o"), answer).unwrap();
    assert_eq!(
        lines(&of(&world, 0, 300), "usd"),
        [
            "opening 0 0 0 0",
            "grant g (order): 10 0 0 0",
            "grant p (order): 0.6 0 0 0",
            "usage work in 0 x1: -0.3 0 0 0",
            "expiry: -0.6 0 0 0",
            "closing 9.7 0 0 0",
        ]
    );
    assert_eq!(
        lines(&of(&world, 150, 300), "usd"),
        [
            "opening 9.61 0 0 0",
            "usage resolution in 0 x-1: 0.99 0 0 0",
            "usage work in 0 x1: -0.3 0 0 0",
            "expiry: -0.6 0 0 0",
            "closing 9.7 0 0 0",
        ]
    );
    world.advance(200);
    world.ok(void("o"));
    assert_eq!(
        lines(&of(&world, 350, 500), "usd"),
        [
            "opening 9.7 0 0 0",
            "void resolution of o in 0 x1: -0.99 0 0 0",
            "void work of o in 0 x-1: 0.3 0 0 0",
            "expiry of o: 0.6 0 0 0",
            "closing 9.61 0 0 0",
        ]
    );
}

#[test]
fn what_a_deadline_charges_for_an_event_is_usage() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "10").put());
    let used = event_with("a", &[("conversation", "c1")]);
    let waits = about(wakes("deadline", t(100)));
    world
        .decide(farebox_record::command::Command::Usage(used), Some(waits))
        .unwrap();
    world.transitions.push_back(usd("0.99"));
    world.advance(100);
    world.decide(void("a"), Some(about(priced(&[])))).unwrap();
    assert_eq!(
        lines(&of(&world, 0, MONTH), "usd"),
        [
            "opening 0 0 0 0",
            "grant g (order): 10 0 0 0",
            "usage tokens in 0 x1: -0.99 0 0 0",
            "void tokens of a in 0 x-1: 0.99 0 0 0",
            "closing 10 0 0 0",
        ]
    );
}

#[test]
fn what_paid_a_debt_comes_back_as_bought_value_when_the_debt_was_none() {
    let mut world = World::new();
    world.ask(usage("a"), usd("5")).unwrap();
    world.ok(grant("g", "usd", "3").put()); // all of it pays debt
    world.ok(void("a"));
    assert_eq!(
        lines(&of(&world, 0, 100), "usd"),
        [
            "opening 0 0 0 0",
            "grant g (order): 3 0 0 0",
            "usage tokens in 0 x1: 0 0 -5 0",
            "void tokens of a in 0 x-1: 3 0 2 0",
            "debt_paid: -3 0 3 0",
            "closing 3 0 0 0",
        ]
    );
}

#[test]
fn a_renewal_stands_in_its_own_period_however_late_it_is_handled() {
    let mut world = World::new();
    let mut first = order("credits", "100");
    first.expires = Some(t(MONTH));
    world
        .ask(subscribe("s", Cadence::Monthly), gives(&[first]))
        .unwrap();
    world.ok(grant("g", "usd", "20").put());
    world
        .ask(
            usage("a"),
            priced(&[charge("calls", "credits", "30"), charge("tokens", "usd", "2")]),
        )
        .unwrap();
    let mut second = order("credits", "100");
    second.expires = Some(t(TWO_MONTHS));
    world
        .transitions
        .push_back(gives(&[second, labelled(order("credits", "70"), "Rolled over")]));
    world.transitions.push_back(priced(&[fee("base", "usd", "9")]));
    // Nobody looks for two months and a day.
    world.advance(TWO_MONTHS + DAY);
    assert_eq!(
        lines(&of(&world, 0, MONTH), "credits"),
        [
            "opening 0 0 0 0",
            "grant s:2:0 \"Monthly\" (start): 100 0 0 0",
            "usage calls in 0 x1: -30 0 0 0",
            "closing 70 0 0 0",
        ]
    );
    assert_eq!(
        lines(&of(&world, MONTH, TWO_MONTHS), "credits"),
        [
            "opening 70 0 0 0",
            "grant s:5:0 \"Monthly\" (renewal): 100 0 0 0",
            "grant s:5:1 \"Rolled over\" (renewal): 70 0 0 0",
            "expiry s:2:0 \"Monthly\" (start): -70 0 0 0",
            "closing 170 0 0 0",
        ]
    );
    let may = of(&world, TWO_MONTHS, TWO_MONTHS + 2 * DAY);
    assert_eq!(
        lines(&may, "credits"),
        [
            "opening 170 0 0 0",
            "expiry s:5:0 \"Monthly\" (renewal): -100 0 0 0",
            "closing 70 0 0 0",
        ]
    );
    assert_eq!(
        lines(&may, "usd"),
        [
            "opening 18 0 0 0",
            "fee base in 0 x1: 0 0 0 -9",
            "closing 18 0 0 -9"
        ]
    );
}

#[test]
fn a_range_must_have_a_length() {
    let world = World::new();
    for (from, to) in [(5, 5), (6, 5)] {
        let refused = crate::say::backward(&world, t(from), t(to)).unwrap_err();
        assert_eq!(refused, farebox_statement::StatementError::Range);
    }
}

#[test]
fn a_history_that_does_not_explain_the_balance_is_no_statement() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.records.remove(1);
    let refused = crate::say::backward(&world, t(0), t(100))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("do not sum to its balance"), "{refused}");
}

#[test]
fn what_is_too_much_is_refused_by_name() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ok(adjust("fix", AdjustTarget::Balance, "1"));
    let adjusted = world.records.last().unwrap().clone();
    let mut reading = farebox_statement::Reading::new(t(0), t(100), Default::default()).unwrap();
    let mut refused = (1..=20_000_u64).filter_map(|sequence| {
        let record = farebox_record::Record {
            sequence,
            ..adjusted.clone()
        };
        Some((sequence, reading.take(record).err()?.to_string()))
    });
    // Each adjustment has a line of its own.
    let (at, said) = refused.next().unwrap();
    assert!(
        at == 10_001 && said.contains("STATEMENT_LINES_MAX"),
        "{at}: {said}"
    );
}
