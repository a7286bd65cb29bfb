//! Changes that a subscription can take, and when: those that cannot be, and those that wait for the end of a period.

use farebox_ledger::{NextKind, next_period};
use farebox_record::ids::{EventType, PlanName, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange as Change, SubscriptionStatus, When};
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::plan::{Priced, TimerOrder};
use farebox_record::state::{Cadence, SubscriptionState};
use farebox_record::time::Timestamp;

use crate::world::make::*;
use crate::world::say::say;
use crate::world::{World, t};

const DAY: i64 = 86_400;
/// From 1 March to 1 April 2026.
const MONTH: i64 = 31 * DAY;

fn started(verdict: Verdict) -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), verdict).unwrap();
    world
}

fn now(world: &World) -> &SubscriptionState {
    world
        .wallet
        .subscription(&SubscriptionId::new("s").unwrap())
        .unwrap()
}

fn plan(name: &str) -> Change {
    Change::Plan {
        plan: PlanName::new(name).unwrap(),
        cadence: None,
    }
}

/// A new plan that owns `chat`.
fn takes_over(verdict: Verdict) -> Pricing {
    Pricing {
        event_types: vec![EventType::new("chat").unwrap()],
        ..pricing(verdict)
    }
}

/// What is said to a change that cannot be.
#[track_caller]
fn impossible(world: &mut World, change: farebox_record::command::Command, why: &str) {
    let answer = say(&world.decide(change, Some(takes_over(priced(&[])))));
    assert!(
        answer.starts_with("refused: the subscription cannot be changed so"),
        "{answer}"
    );
    assert!(answer.ends_with(why), "{answer}");
}

#[test]
fn a_new_plan_waits_while_nobody_is_asked() {
    let yearly = || Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: Some(Cadence::Yearly),
    };
    let mut world = started(priced(&[]));
    world
        .decide(
            change("1", yearly(), When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    world
        .ask(change("2", Change::Pause, When::Now), priced(&[]))
        .unwrap();
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.plan.as_str()), (NextKind::Paused, "plan"));
    // March, April: months pass as they did before, under the old plan.
    world.advance(MONTH + 30 * DAY);
    let present = now(&world);
    assert_eq!(
        (present.plan.as_str(), present.cadence),
        ("plan", Cadence::Monthly)
    );
    assert_eq!(
        (present.period.index, present.period.end),
        (2, t((31 + 30 + 31) * DAY))
    );
    // Resumed in May, it takes over with the end of May.
    world
        .ask(change("3", Change::Resume, When::Now), priced(&[]))
        .unwrap();
    world.now = t((31 + 30 + 31) * DAY);
    let due = world.wallet.overdue(world.now).unwrap();
    let command = farebox_record::command::Command::Due(due);
    world.decide(command, Some(takes_over(priced(&[])))).unwrap();
    let present = now(&world);
    let june: Timestamp = "2027-06-01T00:00:00Z".parse().unwrap();
    assert_eq!((present.plan.as_str(), present.period.end), ("pro", june));
    assert!(present.scheduled.is_empty());
}

#[test]
fn a_plan_that_is_paused_with_the_period_is_not_changed_with_it() {
    let mut world = started(priced(&[]));
    world
        .decide(
            change("1", plan("pro"), When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    world.ok(change("2", Change::Pause, When::PeriodEnd));
    world.advance(MONTH);
    let present = now(&world);
    assert_eq!(present.status, SubscriptionStatus::Paused(t(MONTH)));
    assert_eq!(present.plan.as_str(), "plan");
    assert_eq!(present.scheduled.len(), 1);
    // An end that was scheduled is told to the plan that served, not to the one that would have come.
    world.ok(change("3", Change::Cancel, When::PeriodEnd));
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.plan.as_str()), (NextKind::Cancelled, "plan"));
}

#[test]
fn what_was_scheduled_beside_a_plan_that_cannot_take_over_is_carried_out_once() {
    let mut world = started(priced(&[]));
    world
        .decide(
            change("1", plan("pro"), When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    world.ok(change("2", Change::Seats(5), When::PeriodEnd));
    // Nobody answers for the new plan: it waits for the next end of a period, and the seats do not.
    world.advance(MONTH);
    assert_eq!((now(&world).seats, now(&world).plan.as_str()), (5, "plan"));
    world
        .ask(change("3", Change::Seats(8), When::Now), priced(&[]))
        .unwrap();
    world.advance(30 * DAY);
    assert_eq!(now(&world).seats, 8);
    assert_eq!(now(&world).scheduled.len(), 1);
}

#[test]
fn changes_that_cannot_be_say_why() {
    let plan_for = |name: &str, cadence| Change::Plan {
        plan: PlanName::new(name).unwrap(),
        cadence,
    };
    let mut world = started(priced(&[]));
    for when in [When::Now, When::PeriodEnd] {
        impossible(&mut world, change("1", Change::Resume, when), "it is not paused");
        let same = plan_for("plan", Some(Cadence::Monthly));
        impossible(&mut world, change("2", same, when), "it is on that plan already");
        let none = plan_for("pro", Some(Cadence::Days(0)));
        impossible(
            &mut world,
            change("3", none, when),
            "a period has at least one day",
        );
    }
    // The same plan for another length of periods is a change.
    let yearly = change("4", plan_for("plan", Some(Cadence::Yearly)), When::PeriodEnd);
    world.decide(yearly, Some(takes_over(priced(&[])))).unwrap();
    world.ok(change("5", Change::Unschedule, When::Now));
    world
        .ask(change("6", Change::Pause, When::Now), priced(&[]))
        .unwrap();
    let resumed = change("7", Change::Resume, When::PeriodEnd);
    impossible(
        &mut world,
        resumed,
        "a subscription is resumed at once; leave `when` out",
    );
    let at_once = change("8", plan("pro"), When::Now);
    impossible(&mut world, at_once, "it is paused; resume it first");
    world
        .decide(
            change("9", plan("pro"), When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    assert_eq!(now(&world).scheduled.len(), 1);
}

#[test]
fn a_new_plan_of_the_same_length_goes_on_with_the_period() {
    for cadence in [None, Some(Cadence::Monthly)] {
        let mut world = started(priced(&[]));
        world.advance(10 * DAY);
        let before = now(&world).period;
        let pro = Change::Plan {
            plan: PlanName::new("pro").unwrap(),
            cadence,
        };
        world
            .decide(change("1", pro, When::Now), Some(takes_over(priced(&[]))))
            .unwrap();
        assert_eq!((now(&world).period, now(&world).anchor), (before, t(0)));
    }
}

#[test]
fn wishes_of_several_kinds_wait_side_by_side_until_one_ends_it_all() {
    let mut world = started(priced(&[]));
    world.ok(change("1", Change::Seats(3), When::PeriodEnd));
    world.ok(change("2", Change::Pause, When::PeriodEnd));
    world.ok(change("3", Change::Seats(4), When::PeriodEnd));
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.seats), (NextKind::Pauses, 4));
    world.ok(change("4", Change::Cancel, When::PeriodEnd));
    world.ok(change("5", Change::Seats(9), When::PeriodEnd));
    // Seats were asked for again behind the end, so they are not those of anything.
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.seats), (NextKind::Cancelled, 1));
}

#[test]
fn a_plan_that_cannot_take_over_leaves_periods_as_they_were() {
    let yearly = || Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: Some(Cadence::Yearly),
    };
    // Nobody answers for it; or somebody does, for types that another subscription owns.
    for answered in [false, true] {
        let mut world = started(priced(&[]));
        let told = Some(takes_over(priced(&[])));
        world
            .decide(change("1", yearly(), When::PeriodEnd), told.clone())
            .unwrap();
        world
            .decide(subscribe("t", Cadence::Weekly), told.clone())
            .unwrap();
        world.now = t(MONTH);
        let due = world.wallet.overdue(world.now).unwrap();
        let command = farebox_record::command::Command::Due(due);
        world.decide(command, told.filter(|_| answered)).unwrap();
        let present = now(&world);
        assert_eq!(
            (present.plan.as_str(), present.cadence),
            ("plan", Cadence::Monthly)
        );
        assert_eq!(
            (present.period.index, present.period.end),
            (1, t(MONTH + 30 * DAY))
        );
        assert_eq!((present.scheduled.len(), world.wallet.header().unpriced), (1, 1));
    }
}

#[test]
fn an_end_that_was_scheduled_ends_what_was_included_and_every_timer() {
    let mut orders = Priced {
        grants: vec![order("credits", "100")],
        ..Priced::default()
    };
    orders.timers.push(TimerOrder {
        key: "k".into(),
        at: Some(t(2 * MONTH)),
    });
    let mut world = started(Verdict::Priced(orders));
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    world.transitions.push_back(priced(&[]));
    world.advance(MONTH);
    assert_eq!(world.has("credits"), "0 0 0 0");
    assert!(now(&world).timers.is_empty());
}
