//! Renewals and timers that are asked again: what no longer applies is not carried out.

use farebox_ledger::{is_of_old_plan, retold};
use farebox_record::command::{Command, RetryChange, RetryTransition};
use farebox_record::ids::{PlanName, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange as Change, When};
use farebox_record::outcome::{Effect, Verdict};
use farebox_record::plan::{Priced, TimerOrder};
use farebox_record::state::{Cadence, DueChange, Waiting};

use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;
use crate::world::t;

const DAY: i64 = 86_400;
/// From 1 March to 1 April 2026, and on to 1 May.
const MONTH: i64 = 31 * DAY;
const TWO_MONTHS: i64 = 61 * DAY;

fn started() -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world
}

fn pro() -> Change {
    Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: None,
    }
}

/// The plan has no answer.
fn failed() -> Verdict {
    Verdict::Failed {
        code: "trap".into(),
        message: "it broke".into(),
    }
}

/// The last transition that nobody answered.
fn missed(world: &World) -> Command {
    let kept = world.records.iter().rev().find_map(|record| {
        let missed = record.outcome.effects.iter().find_map(|effect| match effect {
            Effect::UnpricedKept(kept) => match &kept.what {
                Waiting::Change(missed) => Some(missed.clone()),
                Waiting::Transition(_) | Waiting::Event(_) => None,
            },
            _ => None,
        })?;
        Some(Command::RetryChange(RetryChange {
            sequence: record.sequence,
            missed,
        }))
    });
    kept.unwrap()
}

/// A timer of the subscription that nobody answered on the first day.
fn unanswered_nightly() -> (World, Command) {
    let mut world = World::new();
    let started = wakes("nightly", t(DAY));
    world.ask(subscribe("s", Cadence::Monthly), started).unwrap();
    world.advance(DAY);
    let retry = missed(&world);
    (world, retry)
}

/// What the plan is told again, and the closed term that is about.
fn told(world: &World, retry: &Command) -> (&'static str, Option<u32>) {
    let again = retold(&world.wallet, retry).unwrap();
    let kind = match again.change {
        DueChange::Renewed(_) => "renewed",
        DueChange::PlanChanged { .. } => "plan changed",
        DueChange::Cancelled(_) => "cancelled",
        DueChange::Timer(_) => "timer",
        DueChange::Paused => "paused",
    };
    (kind, again.term)
}

/// A fee of 20, 100 included credits, a state and a timer.
fn everything() -> Verdict {
    Verdict::Priced(Priced {
        charges: vec![fee("base", "usd", "20")],
        grants: vec![order("credits", "100")],
        state: Some(b"late".to_vec()),
        timers: vec![TimerOrder {
            key: "late".into(),
            at: Some(t(80 * DAY)),
        }],
        ..Priced::default()
    })
}

/// What is owed and given, the plan's state, and its timers, after the answer.
fn after(world: &mut World, retry: Command) -> String {
    let waiting = world.wallet.header().unpriced;
    world.ask(retry, everything()).unwrap();
    assert_eq!(world.wallet.header().unpriced, waiting - 1, "it waits no longer");
    let id = SubscriptionId::new("s").unwrap();
    let subscription = world.wallet.subscription(&id).unwrap();
    format!(
        "{}, {}, {:?}, {} timers",
        world.has("usd"),
        world.has("credits"),
        String::from_utf8_lossy(&subscription.state),
        subscription.timers.len()
    )
}

#[test]
fn a_renewal_of_the_present_term_is_carried_out_whole() {
    let mut world = started();
    world.advance(MONTH);
    let retry = missed(&world);
    assert_eq!(told(&world, &retry), ("renewed", None));
    assert_eq!(
        after(&mut world, retry),
        "0 0 0 20, 100 0 0 0, \"late\", 1 timers"
    );
}

#[test]
fn a_renewal_of_a_term_that_is_over_gives_its_value_alone() {
    let mut world = started();
    world.advance(MONTH);
    let retry = missed(&world);
    let answered = Verdict::Priced(Priced {
        state: Some(b"may".to_vec()),
        ..Priced::default()
    });
    world.transitions.push_back(answered);
    world.advance(TWO_MONTHS - MONTH);
    // By the state that April opened with.
    assert_eq!(told(&world, &retry), ("renewed", Some(1)));
    assert_eq!(after(&mut world, retry), "0 0 0 20, 100 0 0 0, \"may\", 0 timers");
}

#[test]
fn a_fee_from_before_the_end_is_owed_and_nothing_is_given_after_it() {
    let mut world = started();
    world.advance(MONTH);
    let retry = missed(&world);
    world.advance(DAY);
    world
        .ask(change("1", Change::Cancel, When::Now), priced(&[]))
        .unwrap();
    assert_eq!(told(&world, &retry).0, "renewed");
    assert_eq!(after(&mut world, retry), "0 0 0 20, 0 0 0 0, \"\", 0 timers");
}

#[test]
fn a_period_that_ended_as_it_began_owes_nothing() {
    for how in [Change::Cancel, pro()] {
        let mut world = started();
        world.advance(MONTH);
        let retry = missed(&world);
        world.ask(change("1", how, When::Now), priced(&[])).unwrap();
        assert_eq!(retold(&world.wallet, &retry), None);
        assert_eq!(say(&world.ask(retry, everything())), "handled");
        assert_eq!(world.has("usd"), "0 0 0 0");
    }
}

#[test]
fn a_new_plan_that_ended_as_it_began_owes_nothing() {
    let mut world = started();
    world
        .ask(change("1", pro(), When::PeriodEnd), priced(&[]))
        .unwrap();
    world.transitions.push_back(failed());
    world.advance(MONTH);
    let retry = missed(&world);
    assert_eq!(told(&world, &retry).0, "plan changed");
    world
        .ask(change("2", Change::Cancel, When::Now), priced(&[]))
        .unwrap();
    assert_eq!(say(&world.ask(retry, everything())), "handled");
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_timer_of_a_term_that_is_over_is_answered_by_the_present_state_and_changes_it() {
    let (mut world, retry) = unanswered_nightly();
    let answered = Verdict::Priced(Priced {
        state: Some(b"april".to_vec()),
        ..Priced::default()
    });
    world.transitions.push_back(answered);
    world.advance(MONTH - DAY);
    assert_eq!(told(&world, &retry), ("timer", None));
    assert_eq!(
        after(&mut world, retry),
        "0 0 0 20, 100 0 0 0, \"late\", 1 timers"
    );
}

/// It goes off before the renewal of its instant: it is the old plan's.
#[test]
fn a_timer_of_the_instant_at_which_another_plan_takes_over_is_of_the_old_one() {
    let mut world = World::new();
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("last", t(MONTH)))
        .unwrap();
    world
        .ask(change("1", pro(), When::PeriodEnd), priced(&[]))
        .unwrap();
    world.transitions.extend([failed(), priced(&[])]);
    world.advance(MONTH);
    let retry = missed(&world);
    assert_eq!(say(&world.ask(retry, everything())), "handled");
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_timer_that_is_set_again_takes_the_place_of_the_one_that_went_off() {
    let (mut world, retry) = unanswered_nightly();
    world.ask(usage("e"), wakes("nightly", t(2 * DAY))).unwrap();
    assert_eq!(say(&world.ask(retry, everything())), "handled");
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn only_what_fell_due_before_the_plan_took_over_is_of_the_old_one() {
    let id = SubscriptionId::new("s").unwrap();
    let of_old_plan = |world: &World, retry: &Command| {
        let (_, missed) = retry.retried().unwrap();
        is_of_old_plan(&world.wallet, &id, missed)
    };
    let mut world = started();
    world.advance(MONTH);
    let retry = missed(&world);
    assert!(!of_old_plan(&world, &retry), "nobody took over");
    world.ask(change("1", pro(), When::Now), priced(&[])).unwrap();
    assert!(!of_old_plan(&world, &retry), "it took over at that very instant");
    let mut world = started();
    world.advance(MONTH);
    let retry = missed(&world);
    world.advance(1);
    world.ask(change("1", pro(), When::Now), priced(&[])).unwrap();
    assert!(of_old_plan(&world, &retry));
}

#[test]
fn the_end_at_the_end_of_a_period_is_told_as_an_end() {
    let mut world = started();
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    world.advance(MONTH);
    let retry = missed(&world);
    assert_eq!(told(&world, &retry), ("cancelled", None));
}

#[test]
fn a_new_plan_at_the_end_of_a_period_is_told_as_a_new_plan() {
    let mut world = started();
    world
        .ask(change("1", pro(), When::PeriodEnd), priced(&[]))
        .unwrap();
    world.transitions.push_back(failed());
    world.advance(MONTH);
    let retry = missed(&world);
    assert_eq!(told(&world, &retry), ("plan changed", None));
    assert_eq!(
        after(&mut world, retry),
        "0 0 0 20, 100 0 0 0, \"late\", 1 timers"
    );
}

#[test]
fn a_renewal_of_a_plan_that_was_replaced_gives_nothing() {
    let mut world = started();
    world.advance(MONTH);
    let retry = missed(&world);
    world.advance(DAY);
    world.ask(change("1", pro(), When::Now), priced(&[])).unwrap();
    world.crash();
    // The plan of the term that the renewal began is the one to answer.
    assert_eq!(told(&world, &retry), ("renewed", Some(1)));
    assert_eq!(after(&mut world, retry), "0 0 0 20, 0 0 0 0, \"\", 0 timers");
}

#[test]
fn a_timer_ends_with_its_plan_and_with_its_subscription() {
    for how in [Change::Cancel, pro()] {
        let mut world = World::new();
        world
            .ask(subscribe("s", Cadence::Monthly), wakes("nightly", t(DAY)))
            .unwrap();
        world.advance(DAY);
        let retry = missed(&world);
        assert_eq!(told(&world, &retry), ("timer", None));
        world.advance(60);
        world.ask(change("1", how, When::Now), priced(&[])).unwrap();
        assert_eq!(retold(&world.wallet, &retry), None);
        let answer = world.ask(retry, everything());
        assert_eq!(say(&answer), "handled");
        assert_eq!(world.wallet.header().unpriced, 0);
        assert_eq!(
            (world.has("usd"), world.has("credits")),
            ("0 0 0 0".into(), "0 0 0 0".into())
        );
    }
}

#[test]
fn a_rest_that_was_not_answered_is_told_as_long_as_it_lasts() {
    let paused = || {
        let mut world = started();
        world.ok(change("1", Change::Pause, When::PeriodEnd));
        world.advance(MONTH);
        let retry = missed(&world);
        (world, retry)
    };
    // In a later period of it too.
    let (mut world, retry) = paused();
    world.advance(40 * DAY);
    assert_eq!(told(&world, &retry), ("paused", None));
    assert_eq!(
        after(&mut world, retry),
        "0 0 0 20, 100 0 0 0, \"late\", 1 timers"
    );
    let (mut world, retry) = paused();
    world
        .ask(change("2", Change::Resume, When::Now), priced(&[]))
        .unwrap();
    assert_eq!(retold(&world.wallet, &retry), None);
    assert_eq!(say(&world.ask(retry, everything())), "handled");
    assert_eq!(world.wallet.header().unpriced, 0);
}

/// As the first format of records kept what waits.
fn without_what_was_told(retry: Command) -> Command {
    match retry {
        Command::RetryChange(retry) => Command::RetryTransition(RetryTransition {
            sequence: retry.sequence,
            missed: retry.missed.transition,
        }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_nobody_kept_what_was_told_the_boundary_says_it() {
    let mut world = started();
    world.advance(MONTH);
    let retry = without_what_was_told(missed(&world));
    assert_eq!(told(&world, &retry), ("renewed", None));
    assert_eq!(
        after(&mut world, retry),
        "0 0 0 20, 100 0 0 0, \"late\", 1 timers"
    );
    let mut world = started();
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    world.advance(MONTH);
    let retry = without_what_was_told(missed(&world));
    assert_eq!(told(&world, &retry), ("cancelled", None));
    let mut world = started();
    world
        .ask(change("1", pro(), When::PeriodEnd), priced(&[]))
        .unwrap();
    let failed = Verdict::Failed {
        code: "trap".into(),
        message: "it broke".into(),
    };
    world.transitions.push_back(failed);
    world.advance(MONTH);
    let retry = without_what_was_told(missed(&world));
    assert_eq!(told(&world, &retry), ("plan changed", None));
    let mut world = World::new();
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("nightly", t(DAY)))
        .unwrap();
    world.advance(DAY);
    let retry = without_what_was_told(missed(&world));
    assert_eq!(told(&world, &retry), ("timer", None));
}
