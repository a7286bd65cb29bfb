//! What is scheduled for the end of a period, and what ends with a plan or a subscription.

use super::*;

/// Another plan with other periods, from the end of this one on.
fn scheduled_pro(world: &mut World) {
    let pro = Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: Some(Cadence::Weekly),
    };
    let asked = change("pro", pro, When::PeriodEnd);
    world.decide(asked, Some(takes_over(priced(&[])))).unwrap();
}

/// What is scheduled takes effect with the renewal: before other grants end at that instant, and before others become good.
#[test]
fn what_is_scheduled_is_a_part_of_the_renewal() {
    let mut world = started(priced(&[]));
    let pro = change(
        "pro",
        Change::Plan {
            plan: PlanName::new("pro").unwrap(),
            cadence: None,
        },
        When::PeriodEnd,
    );
    world.decide(pro, Some(takes_over(priced(&[])))).unwrap();
    world.ok(grant("ends", "usd", "10").expires(MONTH).put());
    world.ok(grant("becomes", "usd", "3").effective(MONTH).put());
    world.transitions.push_back(usd("2"));
    world.advance(MONTH);
    assert_eq!(now(&world).plan.as_str(), "pro");
    let renewal = world.records.iter().rev().find(
        |record| matches!(&record.command, Command::Due(due) if matches!(due.item, DueItem::Renewal(_))),
    );
    let burnt = renewal
        .unwrap()
        .outcome
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Entry(entry) => match &entry.account {
                Account::Available(grant) => Some(format!("{grant} {}", entry.amount)),
                _ => None,
            },
            _ => None,
        });
    assert_eq!(burnt.collect::<Vec<_>>(), ["ends -2"]);
    // 8 of it ended behind that, and 3 are there.
    assert_eq!(world.has("usd"), "3 0 0 0");
}

#[test]
fn a_new_plan_waits_while_the_subscription_is_paused() {
    let mut world = started(priced(&[]));
    world
        .ask(change("1", Change::Pause, When::Now), priced(&[]))
        .unwrap();
    scheduled_pro(&mut world);
    // April begins, paused: the plan is the old one, and so are its months.
    world.advance(MONTH);
    let present = now(&world);
    assert_eq!((present.plan.as_str(), present.scheduled.len()), ("plan", 1));
    let may: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    assert_eq!((present.period.start, present.period.end), (t(MONTH), may));
    // In April it goes on; on 1 May the new plan takes over, for weeks.
    world
        .ask(change("2", Change::Resume, When::Now), priced(&[]))
        .unwrap();
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.plan.as_str()), (NextKind::PlanChanged, "pro"));
    assert_eq!((next.period.start, next.cadence), (may, Cadence::Weekly));
}

#[test]
fn a_pause_at_the_same_end_keeps_a_new_plan_waiting() {
    let mut world = started(priced(&[]));
    scheduled_pro(&mut world);
    world.ok(change("1", Change::Pause, When::PeriodEnd));
    world.advance(MONTH);
    let present = now(&world);
    assert_eq!(present.status, SubscriptionStatus::Paused(t(MONTH)));
    assert_eq!((present.plan.as_str(), present.scheduled.len()), ("plan", 1));
    assert_eq!((present.cadence, present.period.index), (Cadence::Monthly, 1));
}

#[test]
fn the_end_is_settled_by_the_plan_that_served() {
    let mut world = started(priced(&[]));
    scheduled_pro(&mut world);
    world.ok(change("1", Change::Seats(7), When::PeriodEnd));
    world.ok(change("2", Change::Cancel, When::PeriodEnd));
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.plan.as_str()), (NextKind::Cancelled, "plan"));
    assert_eq!((next.seats, next.cadence), (1, Cadence::Monthly));
}

#[test]
fn a_new_plan_at_the_end_of_the_period_ends_the_old_pool_and_brings_its_own_periods() {
    // 100 without an expiry, and a year instead of a month from 1 April on.
    let mut old = pool("100", 0);
    old.grants[0].expires = None;
    let mut world = started(with_state(old, b"old"));
    let yearly = Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: Some(Cadence::Yearly),
    };
    world
        .decide(
            change("1", yearly, When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    world.transitions.extend([priced(&[]), priced(&[])]);
    world.advance(MONTH);
    assert_eq!(world.has("credits"), "0 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
    let present = now(&world);
    assert_eq!((present.anchor, present.cadence), (t(MONTH), Cadence::Yearly));
    assert_eq!((present.period.start, present.period.index), (t(MONTH), 0));
    assert_eq!(present.period.end, t(MONTH + 365 * DAY));
    world.advance(365 * DAY - 1);
    assert_eq!(now(&world).period.index, 0);
    world.advance(1);
    // 29 February 2028 lies in the second year.
    let end = t(MONTH + (365 + 366) * DAY);
    assert_eq!((now(&world).period.index, now(&world).period.end), (1, end));
}

#[test]
fn a_new_plan_whose_event_types_were_taken_meanwhile_waits() {
    let mut world = started(with_state(pool("100", 10 * MONTH), b"old"));
    world
        .decide(
            change("1", plan("pro"), When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    world
        .decide(subscribe("zz", Cadence::Yearly), Some(takes_over(priced(&[]))))
        .unwrap();
    world.now = t(MONTH);
    let due = world.wallet.overdue(world.now).unwrap();
    let command = farebox_record::command::Command::Due(due);
    world.decide(command, Some(takes_over(priced(&[])))).unwrap();
    let present = now(&world);
    assert_eq!((present.plan.as_str(), &present.state[..]), ("plan", &b"old"[..]));
    assert_eq!((present.period.index, present.scheduled.len()), (1, 1));
    assert_eq!(world.has("credits"), "100 0 0 0");
}

#[test]
fn a_pause_that_was_scheduled_begins_with_the_next_period() {
    let mut world = started(wakes("nightly", t(50 * DAY)));
    world.ok(change("1", Change::Pause, When::PeriodEnd));
    assert_eq!(now(&world).status, SubscriptionStatus::Active);
    // The plan is told, and what it says is carried out: it takes its timer away.
    world.transitions.push_back(Verdict::Priced(Priced {
        charges: vec![fee("keeping", "usd", "1")],
        timers: vec![TimerOrder {
            key: "nightly".into(),
            at: None,
        }],
        ..Priced::default()
    }));
    world.advance(MONTH);
    assert_eq!(now(&world).status, SubscriptionStatus::Paused(t(MONTH)));
    assert_eq!((now(&world).period.index, now(&world).scheduled.len()), (1, 0));
    assert_eq!(
        (now(&world).timers.len(), world.has("usd")),
        (0, "0 0 0 1".into())
    );
    // The period behind passes, and nobody is asked.
    world.transitions.push_back(priced(&[fee("keeping", "usd", "1")]));
    world.advance(30 * DAY);
    assert_eq!(
        (now(&world).period.index, world.has("usd")),
        (2, "0 0 0 1".into())
    );
    assert_eq!(world.wallet.header().unpriced, 0);
}

#[test]
fn timers_end_with_the_subscription_and_with_the_plan_that_set_them() {
    let later = 100 * DAY;
    for (how, when) in [
        (Change::Cancel, When::Now),
        (Change::Cancel, When::PeriodEnd),
        (plan("pro"), When::Now),
        (plan("pro"), When::PeriodEnd),
    ] {
        let mut world = started(wakes("nightly", t(later)));
        assert_eq!(now(&world).timers.len(), 1);
        world
            .decide(change("1", how.clone(), when), Some(takes_over(priced(&[]))))
            .unwrap();
        world.transitions.push_back(priced(&[]));
        world.advance(MONTH);
        assert_eq!(now(&world).timers.len(), 0, "{how:?} {when:?}");
    }
}

#[test]
fn a_late_event_of_an_old_plan_sets_no_timer() {
    let mut world = started(priced(&[]));
    world.advance(DAY);
    world
        .decide(change("1", plan("pro"), When::Now), Some(takes_over(priced(&[]))))
        .unwrap();
    let old = world
        .records
        .last()
        .unwrap()
        .outcome
        .effects
        .iter()
        .find_map(|e| match e {
            Effect::TermPut(_, term) => Some(term.clone()),
            _ => None,
        });
    let late = Pricing {
        term: old,
        ..pricing(wakes("nightly", t(100 * DAY)))
    };
    assert_eq!(late.term.as_ref().unwrap().plan.as_str(), "plan");
    world.decide(usage("late"), Some(late)).unwrap();
    assert_eq!(now(&world).timers.len(), 0);
}

#[test]
fn subscriptions_that_ended_are_forgotten() {
    let mut world = World::new();
    for index in 0..64 {
        let id = format!("s{index}");
        world.ask(subscribe(&id, Cadence::Yearly), priced(&[])).unwrap();
        let farebox_record::command::Command::ChangeSubscription(mut cancel) =
            change(&id, Change::Cancel, When::Now)
        else {
            unreachable!()
        };
        cancel.subscription = SubscriptionId::new(&id).unwrap();
        let cancel = farebox_record::command::Command::ChangeSubscription(cancel);
        world.ask(cancel, priced(&[])).unwrap();
    }
    let one_more = || subscribe("one-more", Cadence::Yearly);
    world.advance(36 * DAY);
    let said = say(&world.ask(one_more(), priced(&[])));
    assert!(said.contains("SUBSCRIPTIONS_PER_WALLET_MAX"), "{said}");
    world.advance(DAY);
    world.ask(one_more(), priced(&[])).unwrap();
    assert_eq!(world.wallet.subscriptions().count(), 1);
}
