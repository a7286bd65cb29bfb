//! What happens to a subscription between its start and its end: seats, plan, pause, resume, cancel, periods, and terms
//! that late events belong to.

use farebox_ledger::{NextKind, next_period, term_of};
use farebox_record::ids::{EventType, PlanName, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange as Change, SubscriptionStatus, When};
use farebox_record::outcome::{Account, Answer, Effect, Pricing, Verdict};
use farebox_record::plan::{Category, Priced, Rejection};
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

fn id() -> SubscriptionId {
    SubscriptionId::new("s").unwrap()
}

fn now(world: &World) -> &SubscriptionState {
    world.wallet.subscription(&id()).unwrap()
}

fn plan(name: &str) -> Change {
    Change::Plan {
        plan: PlanName::new(name).unwrap(),
        cadence: None,
    }
}

/// Included credits of the period, until `expires`.
fn pool(amount: &str, expires: i64) -> Priced {
    let mut order = order("credits", amount);
    order.expires = Some(t(expires));
    Priced {
        grants: vec![order],
        ..Priced::default()
    }
}

fn with_state(mut priced: Priced, state: &[u8]) -> Verdict {
    priced.state = Some(state.to_vec());
    Verdict::Priced(priced)
}

/// A new plan that owns `chat`.
fn takes_over(verdict: Verdict) -> Pricing {
    Pricing {
        event_types: vec![EventType::new("chat").unwrap()],
        ..pricing(verdict)
    }
}

#[test]
fn seats_change_at_once_and_the_plan_charges_for_them() {
    let mut world = started(priced(&[]));
    let answer = world.ask(
        change("1", Change::Seats(5), When::Now),
        priced(&[fee("seats", "usd", "40")]),
    );
    assert_eq!(say(&answer), "Active, seats 5, period 0, in force at 0");
    assert_eq!(world.has("usd"), "0 0 0 40");
    // The same number again changes nothing, and no plan is asked.
    let answer = world.act(change("2", Change::Seats(5), When::Now));
    assert_eq!(say(&answer), "Active, seats 5, period 0, in force at 0");
    assert_eq!(world.has("usd"), "0 0 0 40");
}

#[test]
fn a_change_that_the_plan_rejects_leaves_no_trace() {
    let mut world = started(priced(&[]));
    let rejected = Verdict::Rejected(Rejection::NotAllowed {
        message: "at most 3 seats".into(),
    });
    let answer = say(&world.ask(change("1", Change::Seats(5), When::Now), rejected));
    assert!(answer.starts_with("refused: the plan refused"), "{answer}");
    assert_eq!(now(&world).seats, 1);
}

#[test]
fn seats_at_the_end_of_the_period_are_those_that_the_renewal_charges_for() {
    let mut world = started(priced(&[]));
    let answer = world.act(change("1", Change::Seats(3), When::PeriodEnd));
    assert_eq!(
        say(&answer),
        format!("Active, seats 1, period 0, in force at {MONTH}")
    );
    // A later wish takes the place of the earlier one.
    world.ok(change("2", Change::Seats(4), When::PeriodEnd));
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.seats), (NextKind::Renewed, 4));
    world.transitions.push_back(priced(&[fee("seats", "usd", "80")]));
    world.advance(MONTH);
    assert_eq!((now(&world).seats, now(&world).period.index), (4, 1));
    assert!(now(&world).scheduled.is_empty());
    assert_eq!(world.has("usd"), "0 0 0 80");
}

#[test]
fn what_is_scheduled_can_be_taken_back() {
    let mut world = started(priced(&[]));
    let nothing = say(&world.act(change("0", Change::Unschedule, When::Now)));
    assert!(nothing.ends_with("nothing is scheduled"), "{nothing}");
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    world.ok(change("2", Change::Unschedule, When::Now));
    world.transitions.push_back(priced(&[]));
    world.advance(MONTH);
    assert_eq!(now(&world).status, SubscriptionStatus::Active);
}

#[test]
fn a_cancelled_subscription_ends_its_pool_and_owns_nothing() {
    let mut world = started(with_state(pool("100", MONTH), b"s0"));
    assert_eq!(world.has("credits"), "100 0 0 0");
    let answer = world.ask(
        change("1", Change::Cancel, When::Now),
        priced(&[fee("notice", "usd", "9")]),
    );
    assert_eq!(
        say(&answer),
        "Cancelled(2026-03-01T00:00:00Z), seats 1, period 0, in force at 0"
    );
    assert_eq!(world.has("credits"), "0 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
    assert_eq!(world.has("usd"), "0 0 0 9");
    assert_eq!(world.wallet.next_due(), None);
    let again = say(&world.act(change("2", Change::Resume, When::Now)));
    assert!(
        again.starts_with("refused: the subscription was cancelled"),
        "{again}"
    );
    // Another subscription can own its event types now.
    world
        .ask(subscribe("other", Cadence::Monthly), priced(&[]))
        .unwrap();
}

#[test]
fn cancelling_at_the_end_of_the_period_lets_it_run_until_then() {
    let mut world = started(with_state(pool("100", MONTH), b"s0"));
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    assert_eq!(next_period(now(&world)).kind, NextKind::Cancelled);
    world.advance(MONTH - 1);
    assert_eq!(world.has("credits"), "100 0 0 0");
    world.transitions.push_back(priced(&[]));
    world.advance(1);
    assert_eq!(now(&world).status, SubscriptionStatus::Cancelled(t(MONTH)));
    assert_eq!(world.has("credits"), "0 0 0 0");
    world.advance(3 * MONTH);
    assert_eq!(world.handled.len(), 1, "{:?}", world.handled);
}

#[test]
fn while_it_is_paused_periods_pass_without_fees_and_nothing_is_authorized() {
    let mut world = started(priced(&[]));
    world.ok(grant("g", "usd", "10").put());
    world
        .ask(change("1", Change::Pause, When::Now), priced(&[]))
        .unwrap();
    let again = say(&world.act(change("2", Change::Pause, When::Now)));
    assert!(again.ends_with("it is paused already"), "{again}");
    assert_eq!(say(&world.ask(hold("h"), usd("1"))), "denied: Paused");
    // Usage that happened is charged all the same.
    assert_eq!(say(&world.ask(usage("e"), usd("1"))), "charged");
    // The plan would charge, were it asked: nobody asks it.
    assert_eq!(next_period(now(&world)).kind, NextKind::Paused);
    world.advance(MONTH);
    assert_eq!(now(&world).period.index, 1);
    assert_eq!(world.wallet.header().unpriced, 0);
    let answer = world.ask(
        change("3", Change::Resume, When::Now),
        priced(&[fee("rest", "usd", "2")]),
    );
    assert_eq!(
        say(&answer),
        format!("Active, seats 1, period 1, in force at {MONTH}")
    );
    assert_eq!(world.has("usd"), "9 0 0 2");
    world.ask(hold("i"), usd("1")).unwrap();
    assert_eq!(world.has("usd"), "8 1 0 2");
}

#[test]
fn a_new_plan_begins_with_an_empty_state_and_ends_what_the_old_one_included() {
    let mut world = started(with_state(pool("100", MONTH), b"old"));
    world.advance(10 * DAY);
    let answer = Verdict::Priced(Priced {
        charges: vec![fee("base", "usd", "50")],
        state: Some(b"new".to_vec()),
        ..pool("500", MONTH)
    });
    let done = world.decide(change("1", plan("pro"), When::Now), Some(takes_over(answer)));
    assert_eq!(
        say(&done),
        format!("Active, seats 1, period 0, in force at {}", 10 * DAY)
    );
    let present = now(&world);
    assert_eq!((present.plan.as_str(), &present.state[..]), ("pro", &b"new"[..]));
    assert_eq!(present.event_types, [EventType::new("chat").unwrap()]);
    assert_eq!((present.term, present.since), (1, t(10 * DAY)));
    // The old pool is breakage, the new one is there.
    assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
    assert_eq!(world.has("credits"), "500 0 0 0");
    assert_eq!(world.has("usd"), "0 0 0 50");
    // What happened before the change belongs to the old term, which is kept with the old plan's state.
    assert_eq!(term_of(present, t(10 * DAY)), None);
    assert_eq!(term_of(present, t(10 * DAY - 1)).unwrap().number, 0);
    let kept = world
        .records
        .last()
        .unwrap()
        .outcome
        .effects
        .iter()
        .find_map(|e| match e {
            Effect::TermPut(_, term) => Some(term),
            _ => None,
        });
    assert_eq!(kept.unwrap().state, b"old");
    let same = say(&world.act(change("2", plan("pro"), When::Now)));
    assert!(same.ends_with("it is on that plan already"), "{same}");
}

#[test]
fn a_new_plan_at_the_end_of_the_period_is_asked_instead_of_the_old_one() {
    let mut world = started(with_state(pool("100", MONTH), b"old"));
    world
        .decide(
            change("1", plan("pro"), When::PeriodEnd),
            Some(takes_over(priced(&[]))),
        )
        .unwrap();
    let next = next_period(now(&world));
    assert_eq!((next.kind, next.plan.as_str()), (NextKind::PlanChanged, "pro"));
    world.now = t(MONTH);
    let due = world.wallet.overdue(world.now).unwrap();
    let answer = Verdict::Priced(Priced {
        charges: vec![fee("base", "usd", "50")],
        ..pool("500", 2 * MONTH)
    });
    let command = farebox_record::command::Command::Due(due);
    world.decide(command, Some(takes_over(answer))).unwrap();
    world.run_agenda();
    assert_eq!((now(&world).plan.as_str(), now(&world).period.index), ("pro", 1));
    assert_eq!(world.has("credits"), "500 0 0 0");
    assert_eq!(world.has("usd"), "0 0 0 50");
}

#[test]
fn a_new_plan_whose_event_types_have_another_owner_is_refused() {
    let mut world = started(priced(&[]));
    let other = takes_over(priced(&[]));
    world
        .decide(subscribe("other", Cadence::Monthly), Some(other.clone()))
        .unwrap();
    for when in [When::Now, When::PeriodEnd] {
        let answer = say(&world.decide(change("1", plan("pro"), when), Some(other.clone())));
        assert!(
            answer.contains("events of type chat belong to subscription other"),
            "{answer}"
        );
    }
}

#[test]
fn another_cadence_starts_a_new_first_period_at_the_change() {
    let mut world = started(priced(&[]));
    world.advance(10 * DAY);
    let yearly = Change::Plan {
        plan: PlanName::new("p").unwrap(),
        cadence: Some(Cadence::Yearly),
    };
    world
        .decide(change("1", yearly, When::Now), Some(takes_over(priced(&[]))))
        .unwrap();
    let period = now(&world).period;
    let end: Timestamp = "2027-03-11T00:00:00Z".parse().unwrap();
    assert_eq!((period.index, period.start, period.end), (0, t(10 * DAY), end));
}

#[test]
fn rollover_is_an_entry_of_its_own_beside_the_expiry() {
    let mut world = started(with_state(pool("100", MONTH), b"s0"));
    world
        .ask(usage("e"), priced(&[charge("work", "credits", "30")]))
        .unwrap();
    // The plan sees 70 left, and gives 100 new and 20 of the old.
    let mut answer = pool("100", 2 * MONTH);
    let mut rollover = order("credits", "20");
    rollover.label = "Rollover".into();
    answer.grants.push(rollover);
    world.transitions.push_back(Verdict::Priced(answer));
    world.advance(MONTH);
    assert_eq!(world.has("credits"), "120 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("70"));
    let labels: Vec<_> = world
        .wallet
        .grants()
        .map(|(_, g)| g.label.clone().unwrap())
        .collect();
    assert_eq!(labels, ["Monthly", "Rollover"]);
}

#[test]
fn a_renewal_that_no_plan_answers_is_kept_and_asked_again() {
    let mut world = started(priced(&[]));
    world.advance(MONTH);
    // Nobody answered: the period moved on, and the fee waits.
    assert_eq!(now(&world).period.index, 1);
    assert_eq!(world.wallet.header().unpriced, 1);
    let record = world.records.last().unwrap();
    let (sequence, kept) = (
        record.sequence,
        record.outcome.effects.iter().find_map(|e| match e {
            Effect::UnpricedKept(kept) => Some(kept.clone()),
            _ => None,
        }),
    );
    let farebox_record::state::Waiting::Transition(missed) = kept.unwrap().what else {
        panic!("a transition waits");
    };
    assert_eq!((missed.due.instant, missed.period.index), (t(MONTH), 1));
    let retry = farebox_record::command::Command::RetryTransition(farebox_record::command::RetryTransition {
        sequence,
        missed,
    });
    // Still nobody: it stays kept.
    assert!(say(&world.act(retry.clone())).starts_with("refused"));
    assert_eq!(world.wallet.header().unpriced, 1);
    let answer = world.ask(retry, priced(&[fee("base", "usd", "20")]));
    assert_eq!(say(&answer), "charged");
    assert_eq!(world.has("usd"), "0 0 0 20");
    assert_eq!(world.wallet.header().unpriced, 0);
}

#[test]
fn a_late_event_changes_the_state_of_its_own_term_alone() {
    let mut world = started(with_state(Priced::default(), b"s0"));
    world.transitions.push_back(with_state(Priced::default(), b"s1"));
    world.advance(MONTH);
    assert_eq!(
        (&now(&world).state[..], &now(&world).opening[..]),
        (&b"s1"[..], &b"s1"[..])
    );
    let closed = world
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
    let closed = closed.unwrap();
    assert_eq!(
        (closed.number, closed.until, &closed.state[..]),
        (0, t(MONTH), &b"s0"[..])
    );
    let mut late = pricing(with_state(Priced::default(), b"s0+late"));
    late.term = Some(closed);
    world.decide(usage("e"), Some(late)).unwrap();
    assert_eq!(now(&world).state, b"s1");
    let record = world.records.last().unwrap();
    assert!(record.is_late());
    let changed = record.outcome.effects.iter().find_map(|e| match e {
        Effect::TermPut(_, term) => Some(term),
        _ => None,
    });
    assert_eq!(changed.unwrap().state, b"s0+late");
}

#[test]
fn terms_are_forgotten_when_no_event_can_be_as_late() {
    let mut world = World::new();
    let mut first_day = pricing(priced(&[]));
    first_day.period.end = t(DAY);
    world
        .decide(subscribe("s", Cadence::Daily), Some(first_day))
        .unwrap();
    world.transitions.extend(std::iter::repeat_n(priced(&[]), 60));
    world.advance(60 * DAY);
    // On day 60 the terms that ended on day 24 and later are there: 36 days back, the day of the edge included.
    let past = &now(&world).past;
    assert_eq!(past.first().unwrap().until, t(24 * DAY));
    assert_eq!(past.len(), 37);
    let forgotten = world.records.iter().flat_map(|r| &r.outcome.effects);
    let forgotten = forgotten
        .filter(|e| matches!(e, Effect::TermForgotten(..)))
        .count();
    assert_eq!(forgotten, 23);
}

#[test]
fn a_plan_answers_a_subscription_only_of_the_customer() {
    let mut world = World::new();
    let answer = say(&world.act(change("1", Change::Pause, When::Now)));
    assert_eq!(answer, "refused: the customer has no subscription s");
    let answer = world.ask(subscribe("s", Cadence::Monthly), priced(&[]));
    assert!(matches!(answer, Ok(Answer::Subscribed { .. })));
    assert_eq!(now(&world).seats, 1);
    assert!(
        world
            .wallet
            .grants()
            .all(|(_, g)| g.category == Category::Included)
    );
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
    let mut world = started(priced(&[]));
    world.ok(change("1", Change::Pause, When::PeriodEnd));
    assert_eq!(now(&world).status, SubscriptionStatus::Active);
    world.advance(MONTH);
    assert_eq!(now(&world).status, SubscriptionStatus::Paused(t(MONTH)));
    assert_eq!((now(&world).period.index, now(&world).scheduled.len()), (1, 0));
    assert_eq!(world.wallet.header().unpriced, 0, "nobody is asked");
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
