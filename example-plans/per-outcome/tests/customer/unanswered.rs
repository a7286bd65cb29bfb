//! What is paid where the plan had no answer when a period began: that is told late, and what happened meanwhile is not charged
//! again.

use farebox_plan::{Change, Proration};

use crate::{Customer, NOTHING, day, gets, noon, renewed};

fn seats(before: u32, after: u32) -> Change {
    Change::SeatsChanged {
        before,
        after,
        proration: Proration::Now,
    }
}

fn cancelled() -> Change {
    Change::Cancelled {
        remaining: Vec::new(),
    }
}

#[test]
fn seats_that_changed_meanwhile_are_charged() {
    let mut customer = Customer::starts();
    // Of May 15 days of 31 are left: 90 x 15/31.
    customer.at(1, day(1, 17)).seats = 5;
    assert_eq!(customer.is_told(seats(2, 5)), ["43.548387097 seats"]);
    customer.at(1, day(1, 18)).seats = 2;
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
    customer.at(2, day(2, 1)).seats = 5;
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "150 seats"]);
}

#[test]
fn seats_that_went_meanwhile_come_back_once_they_are_paid() {
    let mut customer = Customer::starts();
    // Of May 15.5 days of 31 are left.
    customer.at(1, noon(1, 16)).seats = 1;
    assert_eq!(gets(&mut customer, seats(2, 1)), NOTHING, "May was not paid");
    customer.0.seats = 2;
    assert_eq!(gets(&mut customer, renewed()), ["15"]);
    assert_eq!(gets(&mut customer, seats(1, 0)), ["15"]);
}

#[test]
fn who_leaves_meanwhile_settles_each_period_once() {
    let mut customer = Customer::starts();
    customer.at(1, day(1, 5));
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.is_told(cancelled()), ["9 minimum"]);
    // April, and the seats of May.
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
}

#[test]
fn who_pauses_meanwhile_has_the_period_of_the_pause_settled_when_it_resumes() {
    let mut customer = Customer::starts();
    customer.at(1, day(1, 5));
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.is_told(Change::Paused), NOTHING);
    // Back within the period, nothing is paid: its beginning is told late.
    customer.at(1, day(1, 10));
    assert_eq!(customer.is_told(Change::Resumed), NOTHING);
    assert_eq!(customer.is_told(Change::Paused), NOTHING);
    customer.at(2, day(2, 16));
    assert_eq!(customer.is_told(Change::Resumed), ["9 minimum", "30 seats"]);
}
