//! When credits of a day are given, and when they are not. The harness begins in 1970, at midnight, with a period of 30 days.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use farebox_plan::bindings::exports::farebox::plan::pricing::{self as wit, Guest};
use farebox_plan::testing::{Bill, Harness};
use farebox_plan::{Category, Change, Exported, Instant, Nanos, Proration, RemainingGrant};
use hybrid::Hybrid;

/// 5 a day, at most 15 in a period.
const DEAL: &str = include_str!("../parameters/daily.json");

fn plan() -> Harness<Hybrid> {
    Harness::new(DEAL).unwrap()
}

/// What was given for the day, and when the timer goes off next.
fn day(bill: &Bill) -> (Vec<String>, Option<Instant>) {
    let daily = bill.grants.iter().filter(|grant| grant.label == "Daily credits");
    let timer = bill.timers.iter().find(|(key, _)| key == "midnight");
    (
        daily.map(|grant| grant.amount.to_string()).collect(),
        timer.and_then(|(_, at)| *at),
    )
}

fn noon(plan: &Harness<Hybrid>, days: i64) -> Instant {
    plan.period.start.plus_days(days).plus_seconds(43_200)
}

#[test]
fn a_day_is_given_once() {
    let mut plan = plan();
    plan.now = noon(&plan, 0);
    let midnight = Some(plan.period.start.plus_days(1));
    assert_eq!(day(&plan.start().unwrap()), (vec!["5".to_string()], midnight));
    plan.change(Change::Paused).unwrap();
    assert_eq!(day(&plan.change(Change::Resumed).unwrap()), (vec![], midnight));
    plan.now = plan.period.start.plus_days(1);
    assert_eq!(day(&plan.due("midnight").unwrap()).0, ["5"]);
    assert_eq!(day(&plan.due("midnight").unwrap()).0, [""; 0]);
    // 5 of 15 are left for this period.
    plan.now = noon(&plan, 2);
    assert_eq!(day(&plan.change(Change::Resumed).unwrap()).0, ["5"]);
    plan.now = noon(&plan, 3);
    assert_eq!(day(&plan.change(Change::Resumed).unwrap()).0, [""; 0]);
    assert_eq!(day(&plan.renew().unwrap()).0, ["5"], "and all of 15 for the next");
}

#[test]
fn a_pause_of_which_nobody_was_told_ends_the_days() {
    let mut plan = plan();
    plan.start().unwrap();
    // At the very end the timer goes off before the period does, and leaves the day to what follows.
    plan.now = plan.period.end;
    assert_eq!(plan.due("midnight").unwrap(), Bill::default());
    // Paused from there on: the next period was never paid.
    (plan.period.start, plan.period.end) = (plan.period.end, plan.period.end.plus_days(30));
    plan.period.index = 1;
    plan.now = plan.period.start.plus_days(1);
    assert_eq!(plan.due("midnight").unwrap(), Bill::default());
    plan.now = noon(&plan, 15);
    let midnight = Some(plan.period.start.plus_days(16));
    assert_eq!(
        day(&plan.change(Change::Resumed).unwrap()),
        (vec!["5".to_string()], midnight)
    );
}

#[test]
fn a_change_of_plans_brings_no_second_day() {
    let changed = |proration| Change::PlanChanged {
        previous_plan: "small".to_string(),
        previous_since: Instant::from_micros(0),
        remaining: vec![RemainingGrant {
            asset: hybrid::asset::CREDITS,
            category: Category::Included,
            label: "Daily credits".to_string(),
            granted: Nanos::units(5),
            remaining: Nanos::units(2),
            expires: Some(Instant::from_micros(0).plus_days(4)),
        }],
        proration,
    };
    let mut plan = plan();
    plan.now = noon(&plan, 3);
    let bill = plan.change(changed(Proration::Now)).unwrap();
    assert_eq!(day(&bill), (vec![], Some(plan.period.start.plus_days(4))));
    let rolled = bill
        .grants
        .iter()
        .any(|grant| grant.label == "Rolled-over credits");
    assert!(!rolled, "credits of a day do not roll over");
    plan.now = plan.period.start.plus_days(4);
    assert_eq!(day(&plan.due("midnight").unwrap()).0, ["5"]);
    // A period that begins with the plan is the plan's, and so is its first day.
    plan.now = plan.period.start;
    let bill = plan.change(changed(Proration::AtPeriodEnd)).unwrap();
    assert_eq!(day(&bill).0, ["5"]);
}

/// Renews a subscription of which this is remembered, behind the byte that says that it is one's.
fn renew_from(remembered: &[u8]) -> wit::Outcomes {
    let mut bytes = <Exported<Hybrid> as Guest>::prepare(DEAL.to_string()).unwrap();
    let prepared = span(0, bytes.len());
    bytes.push(1);
    bytes.extend_from_slice(remembered);
    let context = wit::Context {
        prepared,
        state: span(prepared.end as usize, bytes.len()),
        period: wit::Period {
            start: 0,
            end: Instant::from_micros(0).plus_days(30).micros(),
            index: 4,
        },
        seats: 1,
        balances: 0,
    };
    let batch = wit::Batch {
        bytes,
        contexts: vec![context],
        subjects: Vec::new(),
        balances: Vec::new(),
        triggers: Vec::new(),
        measures: Vec::new(),
        text: String::new(),
        text_ends: Vec::new(),
    };
    <Exported<Hybrid> as Guest>::transition(batch, 0, wit::Change::Renewed(Vec::new()))
}

fn span(start: usize, end: usize) -> wit::Span {
    wit::Span {
        start: u32::try_from(start).unwrap(),
        end: u32::try_from(end).unwrap(),
    }
}

#[test]
fn a_state_from_before_daily_credits_gets_those_of_the_day() {
    let outcomes = renew_from(&[3]);
    assert!(outcomes.grants.iter().any(|grant| grant.label == "Daily credits"));
}

#[test]
#[should_panic(expected = "state: ")]
fn a_damaged_state_fails_the_plan() {
    // Period 3, a day, and it ends within it.
    renew_from(&[3, 1, 0xff]);
}
