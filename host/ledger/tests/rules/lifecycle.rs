//! What happens to a subscription between its start and its end: seats, plan, pause, resume, cancel, periods, and terms
//! that late events belong to.

mod scheduled;

use farebox_ledger::{NextKind, next_period, term_of};
use farebox_record::command::{Command, DueItem};
use farebox_record::ids::{EventType, PlanName, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange as Change, SubscriptionStatus, When};
use farebox_record::outcome::{Account, Answer, Effect, Pricing, Verdict};
use farebox_record::plan::{Category, Priced, Rejection, TimerOrder};
use farebox_record::state::{Cadence, Part, SubscriptionState};
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
    world.ask(hold("open"), usd("1")).unwrap();
    world
        .ask(change("1", Change::Pause, When::Now), priced(&[]))
        .unwrap();
    // A call that is under way has time to come to its end, and no more to spend.
    let more = extend("open", "x1", 60, &[("tokens", "2")]);
    assert_eq!(say(&world.ask(more, usd("2"))), "denied: Paused");
    assert_eq!(world.has("usd"), "9 1 0 0");
    assert_eq!(
        say(&world.act(extend("open", "x2", 3_600, &[]))),
        "extended, held usd 1 until 3600"
    );
    world.ok(release("open"));
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
    let farebox_record::state::Waiting::Change(missed) = kept.unwrap().what else {
        panic!("a transition waits");
    };
    let transition = &missed.transition;
    assert_eq!((transition.due.instant, transition.period.index), (t(MONTH), 1));
    let retry = farebox_record::command::Command::RetryChange(farebox_record::command::RetryChange {
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
fn a_hold_belongs_to_the_term_that_quoted_it() {
    let mut world = started(with_state(Priced::default(), b"s0"));
    world.transitions.push_back(priced(&[]));
    world.advance(MONTH);
    let record = world.records.last().unwrap();
    let closed = record.outcome.effects.iter().find_map(|e| match e {
        Effect::TermPut(_, term) => Some(term.clone()),
        _ => None,
    });
    let mut just_before = pricing(priced(&[]));
    just_before.term = closed;
    world.decide(hold("h"), Some(just_before)).unwrap();
    world.decide(hold("h2"), Some(pricing(priced(&[])))).unwrap();
    let term = |name| world.wallet.hold(&reference(name)).unwrap().term;
    assert_eq!((term("h"), term("h2")), (0, 1));
}

#[test]
fn a_subscription_that_is_forgotten_takes_its_terms_along() {
    let mut world = started(priced(&[]));
    world.transitions.push_back(priced(&[]));
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    world.advance(MONTH);
    // It ended with day 31. On day 67 an event may still be so late; the day after, none can.
    world.advance(36 * DAY);
    world.ask(subscribe("t", Cadence::Monthly), priced(&[])).unwrap();
    assert!(world.wallet.subscription(&id()).is_some());
    world.advance(1);
    world.ask(subscribe("u", Cadence::Monthly), priced(&[])).unwrap();
    assert!(world.wallet.subscription(&id()).is_none());
    let kept = world.parts().into_keys().map(|key| Part::from_key(&key).unwrap());
    let kept: Vec<Part> = kept.filter(|part| matches!(part, Part::Term(..))).collect();
    assert_eq!(kept, []);
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
fn only_what_the_subscription_itself_included_ends_with_it() {
    let mut world = World::new();
    let bought = {
        let mut bought = order("credits", "5");
        bought.category = Category::Paid;
        bought
    };
    world
        .ask(
            subscribe("s", Cadence::Monthly),
            gives(&[order("credits", "100"), bought]),
        )
        .unwrap();
    let other = Pricing {
        subscription: SubscriptionId::new("other").unwrap(),
        ..pricing(gives(&[order("credits", "30")]))
    };
    world
        .decide(subscribe("other", Cadence::Monthly), Some(other))
        .unwrap();
    world.ok(grant("own", "credits", "7").category(Category::Included).put());
    assert_eq!(world.has("credits"), "142 0 0 0");
    world
        .ask(change("1", Change::Cancel, When::Now), priced(&[]))
        .unwrap();
    assert_eq!(world.has("credits"), "42 0 0 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
}

#[test]
fn a_pool_that_a_call_still_holds_ends_once() {
    let mut world = started(with_state(pool("100", MONTH), b"s0"));
    world
        .ask(hold("h"), priced(&[charge("work", "credits", "40")]))
        .unwrap();
    world
        .decide(change("1", plan("pro"), When::Now), Some(takes_over(priced(&[]))))
        .unwrap();
    assert_eq!(world.has("credits"), "0 40 0 0");
    world
        .ask(change("2", Change::Cancel, When::Now), priced(&[]))
        .unwrap();
    let ends = world.records.iter().flat_map(|r| &r.outcome.effects);
    assert_eq!(ends.filter(|e| matches!(e, Effect::GrantExpired(_))).count(), 1);
    assert_eq!(world.posted("credits", &Account::Breakage), n("60"));
    // What the call does not need goes the way of the rest.
    world
        .ask(settle("h"), priced(&[charge("work", "credits", "15")]))
        .unwrap();
    assert_eq!(world.posted("credits", &Account::Breakage), n("85"));
    assert_eq!(world.has("credits"), "0 0 0 0");
}

#[test]
fn a_late_event_takes_its_term_to_its_own_revision_and_sets_no_timer_for_another_plan() {
    let mut world = started(with_state(Priced::default(), b"s0"));
    world
        .decide(change("1", plan("pro"), When::Now), Some(takes_over(priced(&[]))))
        .unwrap();
    let closed = world.records.last().unwrap().outcome.effects.iter();
    let closed = closed.filter_map(|e| match e {
        Effect::TermPut(_, term) => Some(term.clone()),
        _ => None,
    });
    let closed = closed.collect::<Vec<_>>().remove(0);
    let mut priced = Priced {
        timers: vec![TimerOrder {
            key: "k".into(),
            at: Some(t(DAY)),
        }],
        ..Priced::default()
    };
    priced.state = Some(b"late".to_vec());
    let mut revision = revision();
    revision.parameters = farebox_record::ids::Hash::of(b"others");
    let late = Pricing {
        term: Some(closed),
        state_version: 7,
        revision,
        ..pricing(Verdict::Priced(priced))
    };
    world.decide(usage("e"), Some(late)).unwrap();
    let part = world.parts()[&Part::Term(id(), 0).key()].clone();
    let term: farebox_record::lifecycle::TermState = farebox_record::codec::decode(&part).unwrap();
    assert_eq!(
        (
            &term.state[..],
            term.state_version,
            term.revision,
            term.plan.as_str()
        ),
        (&b"late"[..], 7, revision, "plan")
    );
    assert!(now(&world).timers.is_empty());
    assert_eq!((now(&world).state_version, &now(&world).state[..]), (1, &b""[..]));
}

#[test]
fn what_ends_with_a_period_pays_for_nothing_of_the_next_one() {
    let mut world = started(Verdict::Priced(pool("100", MONTH)));
    let mut answer = pool("50", 2 * MONTH);
    answer.charges = vec![charge("base", "credits", "5")];
    world.transitions.push_back(Verdict::Priced(answer));
    world.advance(MONTH);
    // The old pool is gone, the charge comes before the new one, and what is included pays no debt.
    assert_eq!(world.has("credits"), "50 0 5 0");
    assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
}

#[test]
fn a_period_behind_which_the_calendar_has_none_never_ends() {
    for days in [2, 31] {
        let mut world = World::new();
        let mut long = pricing(priced(&[]));
        long.period.end = t(days * DAY);
        world.decide(subscribe("s", Cadence::Daily), Some(long)).unwrap();
        // By the calendar the next one would end with day 2.
        let next = next_period(now(&world)).period;
        let never = Timestamp::from_micros(i64::MAX);
        assert_eq!((next.start, next.end, next.index), (t(days * DAY), never, 1));
    }
}

#[test]
fn a_term_knows_the_record_that_began_it() {
    let mut world = started(priced(&[]));
    assert_eq!((now(&world).opened, world.records.len()), (2, 2));
    world.ok(grant("g", "usd", "1").put());
    world.advance(MONTH);
    assert_eq!((now(&world).opened, world.records.len()), (4, 4));
}
