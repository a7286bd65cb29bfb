//! What is paid for a period that a pause went on into, and what outcomes in it count for.

use farebox_plan::testing::Bill;
use farebox_plan::{Change, Proration};

use crate::{Customer, NOTHING, day, lines, noon, renewed};

#[test]
fn an_outcome_that_counts_in_a_pause_pays_for_no_period() {
    let mut customer = Customer::starts();
    customer.at(0, noon(0, 30));
    assert_eq!(customer.says("claimed", "c1", "resolution"), NOTHING);
    customer.at(0, noon(0, 30).plus_seconds(3_600));
    assert_eq!(customer.is_told(Change::Paused), NOTHING);
    customer.at(1, noon(1, 1));
    assert_eq!(customer.is_waited_for("c1"), ["1 outcomes"]);
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

#[test]
fn without_a_minimum_what_came_back_is_not_owed_again() {
    let prices = r#"{"outcomes": {"resolution": "1"}, "counts_after_hours": 24, "reversal_days": 3}"#;
    let mut customer = Customer(farebox_plan::testing::Harness::new(prices).unwrap());
    customer.at(0, day(0, 1)).start().unwrap();
    customer.at(0, noon(0, 30));
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), NOTHING);
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), NOTHING);
}

#[test]
fn a_pause_that_begins_with_a_period_ends_the_one_before() {
    let mut customer = Customer::starts();
    customer.says("confirmed", "c1", "resolution");
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(Change::Paused), NOTHING);
    // April had 1, so 9 are missing; of May 22 days of 31 are left.
    customer.at(1, day(1, 10));
    assert_eq!(
        customer.is_told(Change::Resumed),
        ["9 minimum", "42.580645161 seats"]
    );
    // One that begins as the period was paid already is of that period.
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
    assert_eq!(customer.is_told(Change::Paused), NOTHING);
    customer.at(2, day(2, 16));
    assert_eq!(customer.is_told(Change::Resumed), NOTHING);
}
