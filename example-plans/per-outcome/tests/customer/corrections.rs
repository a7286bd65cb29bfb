//! What a void does to the minimum of the period in which an outcome counted.

use farebox_plan::Change;

use crate::{Customer, NOTHING, day, noon, renewed};

#[test]
fn a_deadline_at_the_end_of_a_period_comes_off_that_one() {
    let mut customer = Customer::starts();
    for conversation in ["c1", "c2"] {
        customer.at(0, day(0, 30));
        assert_eq!(customer.says("claimed", conversation, "resolution"), NOTHING);
        // The day to object ends with April, of which it is told before May begins.
        customer.at(0, day(1, 1));
        assert_eq!(customer.is_waited_for(conversation), ["1 outcomes"]);
    }
    // While April is not billed, it comes off April: 2 - 1 = 1 counted.
    assert_eq!(customer.takes_back("claimed", "c1"), NOTHING);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
    // April is billed, and in May nothing counted.
    assert_eq!(customer.takes_back("claimed", "c2"), NOTHING);
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
}

#[test]
fn what_is_taken_back_in_a_pause_comes_off_the_period_before_it() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.says("confirmed", "c2", "handoff"), ["0.5 outcomes"]);
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    assert_eq!(customer.takes_back("confirmed", "c1"), NOTHING);
    // In April 0.50 counted: 9.50 are missing. Of May 22 days of 31 are left: 60 x 22/31.
    customer.at(1, day(1, 10));
    assert_eq!(
        customer.is_told(Change::Resumed),
        ["9.5 minimum", "42.580645161 seats"]
    );
    // April is billed.
    assert_eq!(customer.takes_back("confirmed", "c2"), NOTHING);
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
}

#[test]
fn what_counted_in_a_pause_comes_off_the_period_in_which_it_counted() {
    let mut customer = Customer::starts();
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    customer.at(2, noon(2, 5));
    assert_eq!(customer.says("confirmed", "c2", "handoff"), ["0.5 outcomes"]);
    // May passed, and nobody pays for it.
    assert_eq!(customer.takes_back("confirmed", "c1"), NOTHING);
    customer.at(2, day(2, 16));
    assert_eq!(customer.is_told(Change::Resumed), ["10 minimum", "30 seats"]);
    // 0.50 counted in June, behind the pause it is taken back: 0.
    assert_eq!(customer.takes_back("confirmed", "c2"), NOTHING);
    customer.at(3, day(3, 1));
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
}

#[test]
fn what_another_deal_counted_comes_off_none() {
    let mut customer = Customer::starts();
    customer.at(0, noon(0, 5));
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    // New parameters from the 16th on: 15 of 30 days are left. What counted before was the deal before.
    customer.at(0, day(0, 16));
    assert_eq!(customer.takes_over(), ["30 seats"]);
    assert_eq!(customer.says("confirmed", "c2", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.takes_back("confirmed", "c1"), NOTHING);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
}
