//! What an objection gave back, where the objection itself is taken back. The host then charges again what it gave back.

use farebox_plan::Change;

use crate::{Customer, NOTHING, day, noon, renewed};

#[test]
fn an_outcome_whose_objection_is_taken_back_counts_once() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    customer.at(0, noon(0, 5));
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.at(0, noon(0, 6));
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    // It counts again, so that nothing more does.
    assert_eq!(customer.says("claimed", "c1", "handoff"), NOTHING);
    assert_eq!(customer.says("confirmed", "c1", "resolution"), NOTHING);
    // 1 - 1 + 1 counted in April: 9 are missing to 10.
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
    // Another objection gives it back once more, in May: 10 + 1.
    customer.at(1, noon(1, 5));
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["11 minimum", "60 seats"]);
}

#[test]
fn an_objection_of_a_billed_period_changes_none() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    assert_eq!(customer.says("confirmed", "c1", "resolution"), NOTHING);
    // Nor does the outcome itself, which counted in April.
    assert_eq!(customer.takes_back("confirmed", "c1"), NOTHING);
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["10 minimum", "60 seats"]);
}

#[test]
fn an_objection_that_is_taken_back_in_a_pause_counts_for_the_period_before_it() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    customer.at(1, day(1, 10));
    assert_eq!(
        customer.is_told(Change::Resumed),
        ["9 minimum", "42.580645161 seats"]
    );
}

#[test]
fn a_claim_behind_the_objection_waits_no_more() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    assert_eq!(customer.says("claimed", "c1", "handoff"), NOTHING);
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    customer.at(0, day(0, 2));
    assert_eq!(customer.is_waited_for("c1"), NOTHING);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
}

#[test]
fn what_counted_behind_the_objection_counts_too_and_comes_back_with_it() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("claimed", "c1", "resolution"), NOTHING);
    customer.at(0, day(0, 2));
    assert_eq!(customer.is_waited_for("c1"), ["1 outcomes"]);
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    assert_eq!(customer.says("confirmed", "c1", "handoff"), ["0.5 outcomes"]);
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    // 1 - 1 + 0.50 + 1: both are charged now.
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["8.5 minimum", "60 seats"]);
    assert_eq!(
        customer.says("objected", "c1", ""),
        ["-1 outcomes", "-0.5 outcomes"]
    );
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["11.5 minimum", "60 seats"]);
}

#[test]
fn what_was_given_back_and_never_was_does_not_come_again() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    // The host gives back nothing more of it, and charges nothing again when the objection goes too.
    assert_eq!(customer.takes_back("confirmed", "c1"), NOTHING);
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    customer.at(1, day(1, 1));
    assert_eq!(customer.is_told(renewed()), ["9 minimum", "60 seats"]);
}

#[test]
fn what_never_was_leaves_nothing_to_either_period() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    customer.is_told(Change::Paused);
    customer.at(1, day(1, 5));
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    assert_eq!(customer.says("claimed", "c1", "handoff"), NOTHING);
    assert_eq!(customer.takes_back("confirmed", "c1"), NOTHING);
    // The claim behind it waits on.
    customer.at(1, day(1, 6));
    assert_eq!(customer.is_waited_for("c1"), ["0.5 outcomes"]);
    customer.at(1, day(1, 10));
    assert_eq!(
        customer.is_told(Change::Resumed),
        ["10 minimum", "42.580645161 seats"]
    );
    customer.at(2, day(2, 1));
    assert_eq!(customer.is_told(renewed()), ["9.5 minimum", "60 seats"]);
}

#[test]
fn an_outcome_whose_window_is_closed_does_not_keep_another_from_counting() {
    let mut customer = Customer::starts();
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
    // It can be given back for 90 days, until the 30th of June. On the last of them somebody objects.
    customer.at(2, noon(2, 29));
    assert_eq!(customer.says("objected", "c1", ""), ["-1 outcomes"]);
    customer.at(3, day(3, 1));
    assert_eq!(customer.takes_back("objected", "c1"), NOTHING);
    assert_eq!(customer.says("objected", "c1", ""), NOTHING);
    assert_eq!(customer.says("confirmed", "c1", "resolution"), ["1 outcomes"]);
}
