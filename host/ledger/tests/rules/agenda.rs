//! What falls due, in which order, once; and where periods begin and end.

use farebox_ledger::{Wallet, period_at, period_with_index};
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::outcome::Verdict;
use farebox_record::plan::{GrantOrder, Priced, Rejection, TimerOrder};
use farebox_record::state::Cadence;
use farebox_record::time::{Period, Timestamp};
use proptest::prelude::*;

use crate::world::make::{
    Shape, asset, gives, grant, hold_for, order, priced, reference, subscribe, usage, usd, wakes,
};
use crate::world::say::say;
use crate::world::{World, t};

const DAY: i64 = 86_400;
/// The end of the first period of a subscription that starts with the test.
const MONTH: i64 = 31 * DAY;

fn subscribed(cadence: Cadence) -> World {
    let mut world = World::new();
    world.ask(subscribe("s", cadence), priced(&[])).unwrap();
    world
}

fn period(world: &World) -> Period {
    world.wallet.subscriptions().next().unwrap().1.period
}

#[test]
fn the_order_at_one_instant() {
    let mut world = World::new();
    // Made in an order that is neither the right one nor its reverse.
    world.ok(grant("becomes", "usd", "3").effective(MONTH).put());
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("timer", t(MONTH)))
        .unwrap();
    world.ok(grant("ends", "usd", "10").expires(MONTH).put());
    world.advance(MONTH - 600);
    world.ask(hold_for("h", 600), usd("4")).unwrap();
    world.now = t(MONTH);
    world.ask(usage("e"), usd("1")).unwrap();
    let handled: Vec<String> = world.handled.iter().map(|d| format!("{:?}", d.item)).collect();
    let kinds: Vec<&str> = handled
        .iter()
        .map(|item| item.split(['(', ' ']).next().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["HoldExpiry", "Timer", "Renewal", "GrantExpiry", "GrantEffective"]
    );
    // The event at the boundary belongs to what comes after: it is paid by the new grant.
    assert_eq!(world.burnt(), ["becomes 1"]);
    assert_eq!(period(&world).index, 1);
    assert!(world.handled.iter().all(|due| due.instant == t(MONTH)));
}

#[test]
fn earlier_instants_come_first_whatever_they_are() {
    let mut world = World::new();
    world.ok(grant("late", "usd", "1").effective(40).put());
    world.ok(grant("early", "usd", "1").effective(10).put());
    world.ok(grant("ends", "usd", "10").expires(20).put());
    world.ask(hold_for("h", 30), usd("4")).unwrap();
    world.advance(100);
    let instants: Vec<Timestamp> = world.handled.iter().map(|due| due.instant).collect();
    assert_eq!(instants, [t(10), t(20), t(30), t(40)]);
    // The hold ended after its grant: what it gave back is breakage.
    assert_eq!(world.has("usd"), "2 0 0 0");
}

#[test]
fn only_what_is_due_next_can_be_handled() {
    let mut world = World::new();
    world.ok(grant("a", "usd", "1").expires(10).put());
    world.ok(grant("b", "usd", "1").expires(20).put());
    let due = |seconds, id: &str| {
        Command::Due(Due {
            instant: t(seconds),
            item: DueItem::GrantExpiry(id.parse().unwrap()),
        })
    };
    let not_due = "refused: not on the agenda any more";
    assert_eq!(say(&world.decide(due(10, "a"), None)), not_due, "too early");
    world.now = t(50);
    assert_eq!(say(&world.decide(due(20, "b"), None)), not_due, "not its turn");
    assert_eq!(say(&world.decide(due(11, "a"), None)), not_due, "another instant");
    assert_eq!(say(&world.decide(due(10, "a"), None)), "handled");
    assert_eq!(say(&world.decide(due(10, "a"), None)), not_due, "once");
}

#[test]
fn missed_renewals_are_caught_up_one_by_one() {
    let mut world = subscribed(Cadence::Monthly);
    let monthly = Verdict::Priced(Priced {
        grants: vec![order("credits", "100")],
        ..Priced::default()
    });
    world.transitions.extend([monthly.clone(), monthly]);
    world.advance(MONTH + 30 * DAY + 5);
    assert_eq!(world.handled.len(), 2);
    assert_eq!(
        world.handled.iter().map(|d| d.instant).collect::<Vec<_>>(),
        [t(MONTH), t(MONTH + 30 * DAY)]
    );
    assert_eq!(
        period(&world),
        Period {
            start: t(MONTH + 30 * DAY),
            end: t(MONTH + 61 * DAY),
            index: 2
        }
    );
    assert_eq!(world.has("credits"), "200 0 0 0");
}

/// A year is caught up at once, months after the first renewal gave something for the fourth: until then it waits, and the
/// second renewal's charge cannot burn it.
#[test]
fn what_a_late_renewal_gives_opens_as_of_its_instant() {
    let mut world = subscribed(Cadence::Monthly);
    let later = GrantOrder {
        effective: Some(t(100 * DAY)),
        ..order("usd", "5")
    };
    let ends = GrantOrder {
        expires: Some(t(MONTH + DAY)),
        ..order("usd", "3")
    };
    world
        .transitions
        .push_back(gives(&[later, ends, order("usd", "2"), order("credits", "7")]));
    world.transitions.push_back(usd("4"));
    world.advance(365 * DAY);
    // 3 expired before the second renewal, which burns the 2 and leaves a debt of 2; included value does not pay it.
    assert_eq!(world.has("usd"), "5 0 2 0");
    let mut grants = world.wallet.grants();
    let credits = grants.find(|(_, g)| g.asset == asset("credits")).unwrap().1;
    assert_eq!(credits.effective, t(MONTH));
}

#[test]
fn nothing_that_a_plan_does_stops_time() {
    let broken = [
        None,
        Some(Verdict::Rejected(Rejection::Overflow)),
        Some(Verdict::Failed {
            code: "trap".into(),
            message: "unreachable".into(),
        }),
        // An answer that cannot be posted.
        Some(crate::world::make::gives(&[order("usd", "0")])),
    ];
    for verdict in broken {
        let mut world = subscribed(Cadence::Monthly);
        world.transitions.extend(verdict.clone());
        world.advance(MONTH);
        assert_eq!(period(&world).index, 1, "{verdict:?}");
        assert_eq!(period(&world).start, t(MONTH));
        assert_eq!(world.wallet.overdue(world.now), None);
    }
    for verdict in [None, Some(Verdict::Rejected(Rejection::Overflow))] {
        let mut world = World::new();
        world
            .ask(subscribe("s", Cadence::Monthly), wakes("timer", t(50)))
            .unwrap();
        world.transitions.extend(verdict);
        world.advance(50);
        assert_eq!(world.handled.len(), 1);
        assert_eq!(world.wallet.overdue(world.now), None);
    }
}

#[test]
fn a_plan_that_asks_to_be_woken_at_once_for_ever_is_woken_once_a_second() {
    let mut world = World::new();
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("again", t(50)))
        .unwrap();
    for _ in 0..100 {
        world.transitions.push_back(wakes("again", t(0)));
    }
    world.advance(53);
    let instants: Vec<Timestamp> = world.handled.iter().map(|due| due.instant).collect();
    assert_eq!(instants, [t(50), t(51), t(52), t(53)]);
}

#[test]
fn timers_are_set_replaced_and_taken_away() {
    let mut world = World::new();
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("a", t(50)))
        .unwrap();
    world.ask(usage("e1"), wakes("b", t(60))).unwrap();
    world.ask(usage("e2"), wakes("a", t(70))).unwrap();
    let away = Verdict::Priced(Priced {
        timers: vec![TimerOrder {
            key: "b".into(),
            at: None,
        }],
        ..Priced::default()
    });
    world.ask(usage("e3"), away).unwrap();
    world.advance(100);
    assert_eq!(world.handled.len(), 1);
    assert_eq!(world.handled[0].instant, t(70));
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn periods_by_hand() {
    let cases = [
        // anchor, cadence, instant, index, start, end
        (
            "2026-01-31T10:00:00Z",
            Cadence::Monthly,
            "2026-02-28T09:59:59.999999Z",
            0,
            "2026-01-31T10:00:00Z",
            "2026-02-28T10:00:00Z",
        ),
        (
            "2026-01-31T10:00:00Z",
            Cadence::Monthly,
            "2026-02-28T10:00:00Z",
            1,
            "2026-02-28T10:00:00Z",
            "2026-03-31T10:00:00Z",
        ),
        (
            "2026-01-31T10:00:00Z",
            Cadence::Monthly,
            "2028-02-29T12:00:00Z",
            25,
            "2028-02-29T10:00:00Z",
            "2028-03-31T10:00:00Z",
        ),
        (
            "2026-12-15T00:00:00Z",
            Cadence::Monthly,
            "2027-01-15T00:00:00Z",
            1,
            "2027-01-15T00:00:00Z",
            "2027-02-15T00:00:00Z",
        ),
        (
            "2024-02-29T00:00:00Z",
            Cadence::Yearly,
            "2025-02-28T00:00:00Z",
            1,
            "2025-02-28T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            "2026-03-01T00:00:00Z",
            Cadence::Weekly,
            "2026-03-07T23:59:59Z",
            0,
            "2026-03-01T00:00:00Z",
            "2026-03-08T00:00:00Z",
        ),
        // No hour is lost or won in spring: everything is UTC.
        (
            "2026-03-28T01:30:00Z",
            Cadence::Daily,
            "2026-03-29T01:30:00Z",
            1,
            "2026-03-29T01:30:00Z",
            "2026-03-30T01:30:00Z",
        ),
        (
            "2026-03-01T00:00:00Z",
            Cadence::Days(30),
            "2026-05-01T00:00:00Z",
            2,
            "2026-04-30T00:00:00Z",
            "2026-05-30T00:00:00Z",
        ),
        // Before the anchor: the first period.
        (
            "2026-03-01T00:00:00Z",
            Cadence::Monthly,
            "2025-01-01T00:00:00Z",
            0,
            "2026-03-01T00:00:00Z",
            "2026-04-01T00:00:00Z",
        ),
    ];
    for (anchor, cadence, instant, index, start, end) in cases {
        let expected = Period {
            start: at(start),
            end: at(end),
            index,
        };
        assert_eq!(
            period_at(at(anchor), cadence, at(instant)),
            Ok(expected),
            "{instant}"
        );
        assert_eq!(period_with_index(at(anchor), cadence, index), Ok(expected));
    }
}

#[test]
fn a_period_of_no_days_is_refused() {
    assert!(period_at(t(0), Cadence::Days(0), t(5)).is_err());
    assert!(period_with_index(t(0), Cadence::Days(0), 0).is_err());
    assert_eq!(
        say(&World::new().ask(subscribe("s", Cadence::Days(0)), priced(&[]))),
        "refused: cadence must be at least one day"
    );
}

#[test]
fn the_end_of_the_calendar_is_an_error() {
    let end = at("9999-12-01T00:00:00Z");
    assert!(period_at(end, Cadence::Monthly, end).is_err());
    assert!(period_with_index(t(0), Cadence::Yearly, u32::MAX).is_err());
}

fn any_cadence() -> impl Strategy<Value = Cadence> {
    prop_oneof![
        Just(Cadence::Monthly),
        Just(Cadence::Yearly),
        Just(Cadence::Weekly),
        Just(Cadence::Daily),
        (1_u16..400).prop_map(Cadence::Days),
    ]
}

proptest! {
    #[test]
    fn periods_follow_on_one_another_and_hold_what_they_hold(
        anchor in 0_i64..2_000_000_000_000_000,
        after in 0_i64..600_000_000_000_000,
        cadence in any_cadence(),
    ) {
        let anchor = Timestamp::from_micros(anchor);
        let instant = Timestamp::from_micros(anchor.as_micros() + after);
        let period = period_at(anchor, cadence, instant).unwrap();
        prop_assert!(period.start <= instant && instant < period.end);
        let next = period_with_index(anchor, cadence, period.index + 1).unwrap();
        prop_assert_eq!(next.start, period.end);
        prop_assert_eq!(period_at(anchor, cadence, period.end).unwrap(), next);
        let fixed = match cadence {
            Cadence::Weekly => Some(7),
            Cadence::Daily => Some(1),
            Cadence::Days(days) => Some(i64::from(days)),
            Cadence::Monthly | Cadence::Yearly => None,
        };
        if let Some(days) = fixed {
            prop_assert_eq!(i64::from(period.index), after / (days * 86_400_000_000));
        }
    }
}

#[test]
fn plans_are_asked_about_renewals_and_timers_alone() {
    let subscription = SubscriptionId::new("s").unwrap();
    for (item, asked) in [
        (DueItem::HoldExpiry(reference("h")), false),
        (
            DueItem::Timer {
                subscription: subscription.clone(),
                key: "k".into(),
                about: None,
            },
            true,
        ),
        (DueItem::Renewal(subscription), true),
        (DueItem::GrantExpiry(GrantId::new("g").unwrap()), false),
        (DueItem::GrantEffective(GrantId::new("g").unwrap()), false),
    ] {
        assert_eq!(Wallet::needs_plan(&item), asked, "{item:?}");
    }
}
