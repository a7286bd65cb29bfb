//! What comes back for seats that go: what is left of what was paid for them.

use farebox_plan::{Change, Proration};

use crate::{Customer, NOTHING, day, gets};

fn seats(before: u32, after: u32, proration: Proration) -> Change {
    Change::SeatsChanged {
        before,
        after,
        proration,
    }
}

#[test]
fn nothing_comes_back_for_seats_that_nobody_paid() {
    let mut customer = Customer::starts();
    customer.at(0, day(0, 16));
    assert_eq!(customer.is_told(seats(2, 100, Proration::AtPeriodEnd)), NOTHING);
    assert_eq!(gets(&mut customer, seats(100, 2, Proration::Now)), NOTHING);
    // Half of April is left.
    assert_eq!(gets(&mut customer, seats(2, 0, Proration::Now)), ["30"]);
    // A seat that is left without proration is paid already.
    assert_eq!(customer.is_told(seats(0, 1, Proration::Now)), ["15 seats"]);
    assert_eq!(customer.is_told(seats(1, 0, Proration::AtPeriodEnd)), NOTHING);
    assert_eq!(customer.is_told(seats(0, 2, Proration::Now)), ["15 seats"]);
}

#[test]
fn what_another_plan_was_paid_for_does_not_come_back() {
    let mut customer = Customer::starts();
    customer.at(0, day(0, 16));
    assert_eq!(
        customer.is_told(Change::PlanChanged {
            previous_plan: "another".into(),
            previous_since: day(0, 1),
            remaining: Vec::new(),
            proration: Proration::AtPeriodEnd,
        }),
        NOTHING
    );
    assert_eq!(customer.is_told(seats(2, 3, Proration::Now)), ["15 seats"]);
    assert_eq!(gets(&mut customer, seats(3, 0, Proration::Now)), ["15"]);
    // With proration it is this plan that is paid.
    customer.0.seats = 2;
    assert_eq!(customer.takes_over(), ["30 seats"]);
    assert_eq!(gets(&mut customer, seats(2, 1, Proration::Now)), ["15"]);
}
