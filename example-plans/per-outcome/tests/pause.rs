//! What is paid for a period that a pause went on into, and what outcomes in it count for.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use farebox_plan::testing::{Bill, Event, Harness};
use farebox_plan::{Change, Instant, Period, Proration};
use per_outcome::PerOutcome;

/// 1 for a resolution and 0.5 for a handoff, a day to object, 10 for a period at least, 30 for a seat.
const DEAL: &str = include_str!("../parameters/example.json");

/// Days from 1970 on to the first of April, May, June, July and August of 2026.
const MONTHS: [i64; 5] = [20_544, 20_574, 20_605, 20_635, 20_666];

/// 00:00 UTC of a day of 2026; months are counted from April on, days from 1 on.
fn day(month: usize, day: i64) -> Instant {
    Instant::from_micros(0).plus_days(MONTHS[month] + day - 1)
}

fn noon(month: usize, of: i64) -> Instant {
    day(month, of).plus_seconds(43_200)
}

/// Two seats, monthly.
struct Customer(Harness<PerOutcome>);

impl Customer {
    fn starts() -> Customer {
        let mut customer = Customer(Harness::new(DEAL).unwrap());
        customer.0.seats = 2;
        customer.at(0, day(0, 1));
        assert_eq!(lines(&customer.0.start().unwrap()), ["60 seats"]);
        customer
    }

    /// Time goes on to an instant in that month, and the host tells nobody.
    fn at(&mut self, month: usize, now: Instant) -> &mut Harness<PerOutcome> {
        self.0.now = now;
        self.0.period = Period {
            start: day(month, 1),
            end: day(month + 1, 1),
            index: u32::try_from(month).unwrap(),
        };
        &mut self.0
    }

    /// An event of a conversation, whose id is the name of the event.
    fn says(&mut self, event: &str, conversation: &str, kind: &str) -> Vec<String> {
        let event = Event::new(&format!("outcome.{event}"))
            .attribute("conversation", conversation)
            .attribute("outcome", kind)
            .attribute("event.source", "api")
            .attribute("event.id", &format!("{event} {conversation}"));
        lines(&self.0.use_(&event).unwrap())
    }

    fn is_told(&mut self, change: Change) -> Vec<String> {
        lines(&self.0.change(change).unwrap())
    }
}

fn lines(bill: &Bill) -> Vec<String> {
    let lines = bill.charges.iter();
    lines
        .map(|line| format!("{} {}", line.amount, line.code))
        .collect()
}

const NOTHING: [&str; 0] = [];

fn renewed() -> Change {
    Change::Renewed {
        remaining: Vec::new(),
    }
}

#[test]
fn an_outcome_that_counts_in_a_pause_pays_for_no_period() {
    let mut customer = Customer::starts();
    customer.at(0, noon(0, 30));
    assert_eq!(customer.says("claimed", "c1", "resolution"), NOTHING);
    customer.at(0, noon(0, 30).plus_seconds(3_600));
    assert_eq!(customer.is_told(Change::Paused), NOTHING);
    let due = Change::Due {
        key: "deadline".into(),
    };
    let bill = customer.at(1, noon(1, 1)).change_of("c1", due).unwrap();
    assert_eq!(lines(&bill), ["1 outcomes"]);
    // April had no outcome: 10 are missing. Of May 22 days of 31 are left: 60 x 22/31.
    customer.at(1, day(1, 10));
    assert_eq!(
        customer.is_told(Change::Resumed),
        ["10 minimum", "42.580645161 seats"]
    );
    // The outcome counted in May.
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
}

#[test]
fn what_counts_in_a_period_that_passes_in_a_pause_counts_for_no_other() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    assert_eq!(customer.says("confirmed", "c2", "resolution"), ["1 outcomes"]);
    customer.at(2, day(2, 5));
    assert_eq!(customer.says("confirmed", "c3", "handoff"), ["0.5 outcomes"]);
    // April had 1, so 9 are missing; nobody pays for May; half of June is left.
    customer.at(2, day(2, 16));
    assert_eq!(customer.is_told(Change::Resumed), ["9 minimum", "30 seats"]);
    // 10 - 0.50
    customer.at(3, day(3, 1));
    assert_eq!(customer.is_told(renewed()), ["9.5 minimum", "60 seats"]);
}

#[test]
fn what_comes_back_in_a_pause_comes_off_the_period_that_it_comes_back_in() {
    let mut customer = Customer::starts();
    customer.says("confirmed", "c1", "resolution");
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.at(1, day(1, 10));
    assert_eq!(
        customer.is_told(Change::Resumed),
        ["9 minimum", "42.580645161 seats"]
    );
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["11 minimum", "60 seats"]);
}

#[test]
fn who_resumes_in_the_same_period_has_paid() {
    let mut customer = Customer::starts();
    customer.says("confirmed", "c1", "resolution");
    customer.is_told(Change::Paused);
    customer.at(0, day(0, 20));
    assert_eq!(customer.says("confirmed", "c2", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.is_told(Change::Resumed), NOTHING);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["8 minimum", "60 seats"]);
}

#[test]
fn who_leaves_in_a_pause_settles_the_period_that_was_paid() {
    let mut customer = Customer::starts();
    customer.says("confirmed", "c1", "resolution");
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    customer.says("confirmed", "c2", "handoff");
    let cancelled = Change::Cancelled {
        remaining: Vec::new(),
    };
    assert_eq!(customer.is_told(cancelled), ["9 minimum"]);
}

#[test]
fn a_renewal_that_is_told_late_keeps_both_periods_apart() {
    let mut customer = Customer::starts();
    customer.says("confirmed", "c1", "resolution");
    // The plan had no answer to the renewal, and is asked again on the third day.
    customer.at(1, day(1, 2));
    assert_eq!(customer.says("confirmed", "c2", "handoff"), ["0.5 outcomes"]);
    customer.at(1, day(1, 3));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["9.5 minimum", "60 seats"]);
}

#[test]
fn a_renewal_without_an_answer_leaves_its_period_to_itself() {
    let mut customer = Customer::starts();
    customer.says("confirmed", "c1", "resolution");
    customer.at(1, day(1, 2));
    customer.says("confirmed", "c2", "handoff");
    // The next one ends May, whose own renewal will be told of April.
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["9.5 minimum", "60 seats"]);
}

#[test]
fn seats_that_change_while_nobody_pays_are_paid_for_when_it_goes_on() {
    for (after, rest) in [(3, "63.870967742 seats"), (1, "21.290322581 seats")] {
        let mut customer = Customer::starts();
        customer.is_told(Change::Paused);
        customer.at(1, day(1, 5));
        let changed = Change::SeatsChanged {
            before: 2,
            after,
            proration: Proration::Now,
        };
        let bill = customer.0.change(changed).unwrap();
        assert_eq!(bill, Bill::default(), "May was not paid");
        // 90 x 22/31, or 30 x 22/31.
        customer.at(1, day(1, 10));
        assert_eq!(customer.is_told(Change::Resumed), ["10 minimum", rest]);
    }
}

#[test]
fn seats_that_change_in_a_pause_of_a_paid_period_are_paid_for_at_once() {
    let mut customer = Customer::starts();
    customer.is_told(Change::Paused);
    customer.at(0, day(0, 16));
    let changed = |before, after| Change::SeatsChanged {
        before,
        after,
        proration: Proration::Now,
    };
    // Half of April is left.
    assert_eq!(customer.is_told(changed(2, 3)), ["15 seats"]);
    let bill = customer.0.change(changed(3, 2)).unwrap();
    assert_eq!(lines(&bill), NOTHING);
    assert_eq!(bill.grants[0].amount.to_string(), "15");
    assert_eq!(customer.is_told(Change::Resumed), NOTHING);
}
