//! Renewals and timers that their plan had no answer to: what the plan was told is kept, and told again while it applies.

use farebox_record::command::{Command, RetryChange};
use farebox_record::ids::SubscriptionId;
use farebox_record::lifecycle::{SubscriptionChange as Change, When};
use farebox_record::outcome::{Effect, Verdict};
use farebox_record::plan::{Category, Priced, Rejection, RemainingGrant};
use farebox_record::state::{Cadence, DueChange, MissedChange, Waiting};

use crate::world::make::*;
use crate::world::say::say;
use crate::world::{World, t};

const DAY: i64 = 86_400;
/// From 1 March to 1 April 2026.
const MONTH: i64 = 31 * DAY;

/// A subscription that gave 100 credits until 1 April.
fn started() -> World {
    let mut world = World::new();
    let mut pool = order("credits", "100");
    pool.expires = Some(t(MONTH));
    world
        .ask(subscribe("s", Cadence::Monthly), gives(&[pool]))
        .unwrap();
    world
}

/// What the newest record kept, as it is asked again.
fn retry(world: &World) -> Command {
    let record = world.records.last().unwrap();
    let kept = record.outcome.effects.iter().find_map(|effect| match effect {
        Effect::UnpricedKept(kept) => match &kept.what {
            Waiting::Change(missed) => Some(missed.clone()),
            other => panic!("{other:?}"),
        },
        _ => None,
    });
    Command::RetryChange(RetryChange {
        sequence: record.sequence,
        missed: kept.unwrap(),
    })
}

fn missed(retry: &Command) -> &MissedChange {
    match retry {
        Command::RetryChange(retry) => &retry.missed,
        other => panic!("{other:?}"),
    }
}

/// What was left of the 100.
fn left(amount: &str) -> Vec<RemainingGrant> {
    vec![RemainingGrant {
        asset: asset("credits"),
        category: Category::Included,
        label: "Monthly".into(),
        granted: n("100"),
        remaining: n(amount),
        expires: Some(t(MONTH)),
    }]
}

fn base() -> Verdict {
    priced(&[fee("base", "usd", "20")])
}

#[test]
fn a_renewal_is_told_again_what_was_left_then() {
    let mut world = started();
    let work = |amount| priced(&[charge("work", "credits", amount)]);
    world.ask(usage("e"), work("30")).unwrap();
    world.advance(MONTH - 60);
    // What a call holds over the boundary stays good for it, and is not there to be rolled over.
    world.ask(hold("h"), work("25")).unwrap();
    world.advance(60);
    let retry = retry(&world);
    assert_eq!(missed(&retry).change, DueChange::Renewed(left("45")));
    assert_eq!(missed(&retry).plan.as_str(), "plan");
    assert_eq!(missed(&retry).transition.period.index, 1);
    // The plan answers days later, when nothing is left of the grant.
    world.advance(5 * DAY);
    let rollover = Verdict::Priced(Priced {
        grants: vec![order("credits", "45")],
        ..Priced::default()
    });
    assert_eq!(say(&world.ask(retry, rollover)), "charged");
    assert_eq!(world.has("credits"), "45 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
}

#[test]
fn an_end_is_told_again_as_an_end() {
    let mut world = started();
    world.ok(change("1", Change::Cancel, When::PeriodEnd));
    world.advance(MONTH);
    let retry = retry(&world);
    assert_eq!(missed(&retry).change, DueChange::Cancelled(left("100")));
    let last = world.ask(retry, priced(&[fee("last", "usd", "3")]));
    assert_eq!(say(&last), "charged");
    assert_eq!(world.has("usd"), "0 0 0 3");
}

#[test]
fn who_is_cancelled_meanwhile_owes_no_fee_and_is_given_nothing() {
    let mut world = started();
    world.advance(MONTH);
    let retry = retry(&world);
    world
        .ask(change("1", Change::Cancel, When::Now), priced(&[]))
        .unwrap();
    // Whatever a plan would say to it.
    assert_eq!(say(&world.ask(retry, base())), "handled");
    assert_eq!(world.has("usd"), "0 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
}

#[test]
fn a_plan_that_serves_no_more_is_not_told() {
    let mut world = started();
    world.advance(MONTH);
    let retry = retry(&world);
    let other = Change::Plan {
        plan: "other".parse().unwrap(),
        cadence: None,
    };
    world.ask(change("1", other, When::Now), priced(&[])).unwrap();
    assert_eq!(say(&world.ask(retry, base())), "handled");
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_new_plan_is_told_again_that_it_takes_over() {
    let mut world = started();
    let other = Change::Plan {
        plan: "other".parse().unwrap(),
        cadence: None,
    };
    world
        .ask(change("1", other, When::PeriodEnd), priced(&[]))
        .unwrap();
    world
        .transitions
        .push_back(Verdict::Rejected(Rejection::NotAllowed {
            message: "not today".into(),
        }));
    world.advance(MONTH);
    let s = SubscriptionId::new("s").unwrap();
    assert_eq!(world.wallet.subscription(&s).unwrap().plan.as_str(), "other");
    let retry = retry(&world);
    assert_eq!(missed(&retry).plan.as_str(), "other");
    let told = DueChange::PlanChanged {
        previous: "plan".parse().unwrap(),
        since: t(0),
        remaining: left("100"),
    };
    assert_eq!(missed(&retry).change, told);
    assert_eq!(say(&world.ask(retry, base())), "charged");
    assert_eq!(world.has("usd"), "0 0 0 20");
}

#[test]
fn where_the_new_plan_is_gone_the_renewal_of_the_old_one_waits() {
    let mut world = started();
    let other = Change::Plan {
        plan: "other".parse().unwrap(),
        cadence: None,
    };
    world
        .ask(change("1", other, When::PeriodEnd), priced(&[]))
        .unwrap();
    world.advance(MONTH);
    let retry = retry(&world);
    assert_eq!(missed(&retry).plan.as_str(), "plan");
    assert_eq!(missed(&retry).change, DueChange::Renewed(left("100")));
}

#[test]
fn a_timer_is_told_again_by_its_key() {
    let mut world = World::new();
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("gift", t(DAY)))
        .unwrap();
    world.advance(DAY);
    let retry = retry(&world);
    assert_eq!(missed(&retry).change, DueChange::Timer("gift".into()));
    assert_eq!(say(&world.ask(retry, base())), "charged");
    assert_eq!(world.has("usd"), "0 0 0 20");
}
