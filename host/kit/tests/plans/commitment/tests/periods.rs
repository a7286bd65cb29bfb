//! The plan alone, without WebAssembly, a wallet or a calendar. All numbers are worked out by hand from
//! `parameters/standard.json`: 20 dollars and 1,000 credits a seat, 100 credits to the dollar, units at 0.10, beyond 200 at
//! 0.08, beyond 1,000 at 0.05, at least 50 dollars a period. A period of the harness has 30 days.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use commitment::{Commitment, asset};
use farebox_plan::testing::{Bill, Event, Harness};
use farebox_plan::{Category, Change, Instant, Nanos, Proration, Rejection, RemainingGrant};
use proptest::prelude::*;

const DEAL: &str = include_str!("../parameters/standard.json");

fn subscription(seats: u32) -> Harness<Commitment> {
    let mut plan = Harness::new(DEAL).unwrap();
    plan.seats = seats;
    plan
}

fn call(units: &str) -> Event {
    Event::new("api.call").measure_exact("units", units.parse().unwrap())
}

/// What was charged and given, in a line each.
fn told(bill: &Bill) -> Vec<String> {
    let charges = bill.charges.iter().map(|charge| {
        let how = match (charge.invoice, charge.otherwise) {
            (true, _) => " on the statement",
            (false, true) => " otherwise",
            (false, false) => "",
        };
        format!("{} {} {}{how}", charge.code, charge.amount, charge.asset)
    });
    let grants = bill
        .grants
        .iter()
        .map(|grant| format!("{}: {} {}", grant.label, grant.amount, grant.asset));
    charges.chain(grants).collect()
}

fn left(category: Category, credits: i64) -> RemainingGrant {
    RemainingGrant {
        asset: asset::CREDITS,
        category,
        label: "Included credits".to_string(),
        granted: Nanos::units(1000),
        remaining: Nanos::units(credits),
        expires: None,
    }
}

fn seats(before: u32, after: u32, proration: Proration) -> Change {
    Change::SeatsChanged {
        before,
        after,
        proration,
    }
}

#[test]
fn a_period_begins_with_its_fee_and_its_credits() {
    let started = subscription(3).start().unwrap();
    assert_eq!(
        told(&started),
        ["seats 60 usd on the statement", "Included credits: 3000 credits"]
    );
    assert_eq!(started.grants[0].category, Category::Included);
    assert_eq!(
        started.grants[0].expires,
        Some(Instant::from_micros(0).plus_days(30))
    );

    // A start that is dated back pays for what is left: 12 of 30 days.
    let mut late = subscription(1);
    late.now = late.period.start.plus_days(18);
    assert_eq!(
        told(&late.start().unwrap()),
        ["seats 8 usd on the statement", "Included credits: 400 credits"]
    );
}

#[test]
fn usage_is_priced_along_the_running_total() {
    let mut plan = subscription(1);
    plan.start().unwrap();
    // 150 x 0.10; then 50 x 0.10 + 100 x 0.08; then 700 x 0.08 + 300 x 0.05.
    for (units, dollars, credits) in [
        ("150", "15", "1500"),
        ("150", "13", "1300"),
        ("1000", "71", "7100"),
    ] {
        assert_eq!(
            told(&plan.use_(&call(units)).unwrap()),
            [
                format!("units {credits} credits"),
                format!("units {dollars} usd otherwise")
            ]
        );
    }
    assert_eq!(told(&plan.use_(&call("0")).unwrap()), ["units 0 credits"]);
}

#[test]
fn what_cannot_be_is_refused_and_not_counted() {
    let mut plan = subscription(1);
    plan.start().unwrap();
    let refused = plan.use_(&call("5000.000000001")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "units is out of range: expected at most 5000, found 5000.000000001"
    );
    assert!(matches!(
        plan.use_(&call("-1")),
        Err(Rejection::InvalidEvent { .. })
    ));
    assert!(plan.use_(&Event::new("api.call")).is_err());
    assert_eq!(
        plan.use_(&call("10")).unwrap().total("credits"),
        Nanos::units(100)
    );
}

#[test]
fn a_quote_is_the_price_of_the_maximum_and_counts_nothing() {
    let mut plan = subscription(1);
    plan.start().unwrap();
    plan.use_(&call("150")).unwrap();
    assert_eq!(
        plan.quote(&call("150")).unwrap().total("credits"),
        Nanos::units(1300)
    );
    assert_eq!(
        plan.quote(&call("150")).unwrap().total("credits"),
        Nanos::units(1300)
    );
}

#[test]
fn the_minimum_is_settled_with_the_period() {
    // 375 x 0.08 after 200 x 0.10 is 50 exactly; a unit less is 0.08. A hundred-millionth of a unit is 0.8 billionths of a
    // dollar, which are rounded to one; a billionth of a unit is 0.08 of them, which are rounded to none.
    for (units, shortfall) in [
        ("0", Some("50")),
        ("200", Some("30")),
        ("574", Some("0.08")),
        ("574.99999999", Some("0.000000001")),
        ("574.999999999", None),
        ("575", None),
        ("576", None),
        ("4000", None),
    ] {
        for end in ["renewed", "cancelled"] {
            let mut plan = subscription(0);
            plan.start().unwrap();
            plan.use_(&call(units)).unwrap();
            let bill = match end {
                "renewed" => plan.renew().unwrap(),
                _ => {
                    let remaining = Vec::new();
                    plan.change(Change::Cancelled { remaining }).unwrap()
                }
            };
            let expected: Vec<String> = shortfall
                .map(|missing| format!("minimum-commitment {missing} usd on the statement"))
                .into_iter()
                .collect();
            assert_eq!(told(&bill), expected, "{units} {end}");
        }
    }
}

#[test]
fn each_period_counts_for_itself() {
    let mut plan = subscription(1);
    plan.start().unwrap();
    plan.use_(&call("1000")).unwrap();
    // 20 + 64 in the first period, nothing in the second.
    let fee = ["seats 20 usd on the statement", "Included credits: 1000 credits"];
    assert_eq!(told(&plan.renew().unwrap()), fee);
    assert_eq!(
        told(&plan.renew().unwrap()),
        ["minimum-commitment 50 usd on the statement", fee[0], fee[1]]
    );
    assert_eq!(plan.use_(&call("1")).unwrap().total("credits"), Nanos::units(10));
}

#[test]
fn what_is_left_rolls_over_up_to_the_cap() {
    for (left_over, rolled) in [
        (vec![], None),
        (vec![left(Category::Included, 0)], None),
        (vec![left(Category::Included, 120)], Some("120")),
        (
            vec![left(Category::Included, 300), left(Category::Included, 199)],
            Some("499"),
        ),
        (
            vec![left(Category::Included, 300), left(Category::Included, 201)],
            Some("500"),
        ),
        (
            vec![left(Category::Paid, 300), left(Category::Promotional, 300)],
            None,
        ),
    ] {
        let mut plan = subscription(0);
        plan.start().unwrap();
        plan.use_(&call("575")).unwrap();
        let bill = plan.renew_with(left_over).unwrap();
        let expected: Vec<String> = rolled
            .map(|credits| format!("Rolled-over credits: {credits} credits"))
            .into_iter()
            .collect();
        assert_eq!(told(&bill), expected);
        assert!(bill.grants.iter().all(|grant| grant.priority == -1));
    }
}

#[test]
fn seats_are_settled_in_proportion_where_that_is_asked_for() {
    let mut plan = subscription(2);
    plan.start().unwrap();
    plan.now = plan.period.start.plus_days(20);
    // A third of the period is left: 3 x 20 / 3 and 3 x 1,000 / 3; back come 4 x 20 / 3, rounded once.
    assert_eq!(
        told(&plan.change(seats(2, 5, Proration::Now)).unwrap()),
        ["seats 20 usd on the statement", "Included credits: 1000 credits"]
    );
    assert_eq!(
        told(&plan.change(seats(5, 1, Proration::Now)).unwrap()),
        ["Unused part of the fee: 26.666666667 usd"]
    );
    let nothing: [&str; 0] = [];
    assert_eq!(
        told(&plan.change(seats(1, 9, Proration::AtPeriodEnd)).unwrap()),
        nothing
    );
    assert_eq!(
        told(&plan.change(seats(9, 1, Proration::AtPeriodEnd)).unwrap()),
        nothing
    );
    plan.now = plan.period.end;
    assert_eq!(told(&plan.change(seats(1, 9, Proration::Now)).unwrap()), nothing);
}

#[test]
fn only_seats_that_were_paid_give_something_back() {
    let mut plan = subscription(1);
    plan.start().unwrap();
    plan.now = plan.period.start.plus_days(15);
    let mut after = |before, after, proration| told(&plan.change(seats(before, after, proration)).unwrap());
    let nothing: [&str; 0] = [];
    assert_eq!(after(1, 100, Proration::AtPeriodEnd), nothing);
    assert_eq!(after(100, 1, Proration::Now), nothing);
    // Half of the period is left.
    assert_eq!(after(1, 0, Proration::Now), ["Unused part of the fee: 10 usd"]);
    let paid = ["seats 20 usd on the statement", "Included credits: 1000 credits"];
    assert_eq!(after(0, 2, Proration::Now), paid);
    // Two are left without proration, and paid already.
    assert_eq!(after(2, 0, Proration::AtPeriodEnd), nothing);
    assert_eq!(after(0, 4, Proration::Now), paid);
    assert_eq!(after(4, 0, Proration::Now), ["Unused part of the fee: 40 usd"]);
    // What another plan was paid for does not come back.
    plan.seats = 3;
    let taken = Change::PlanChanged {
        previous_plan: "before".to_string(),
        previous_since: plan.period.start,
        remaining: Vec::new(),
        proration: Proration::AtPeriodEnd,
    };
    assert_eq!(told(&plan.change(taken).unwrap()), nothing);
    assert_eq!(told(&plan.change(seats(3, 0, Proration::Now)).unwrap()), nothing);
}

#[test]
fn a_plan_that_takes_over_begins_anew() {
    let changed = |proration, days: i64| {
        let mut plan = subscription(2);
        plan.start().unwrap();
        plan.use_(&call("300")).unwrap();
        plan.now = plan.period.start.plus_days(days);
        let bill = plan.change(Change::PlanChanged {
            previous_plan: "before".to_string(),
            previous_since: plan.period.start,
            remaining: vec![left(Category::Included, 700)],
            proration,
        });
        assert_eq!(plan.use_(&call("1")).unwrap().total("credits"), Nanos::units(10));
        told(&bill.unwrap())
    };
    let rolled = "Rolled-over credits: 500 credits";
    assert_eq!(
        changed(Proration::Now, 15),
        [
            "seats 20 usd on the statement",
            "Included credits: 1000 credits",
            rolled
        ]
    );
    assert_eq!(changed(Proration::AtPeriodEnd, 15), [rolled]);
    assert_eq!(
        changed(Proration::AtPeriodEnd, 0),
        [
            "seats 40 usd on the statement",
            "Included credits: 2000 credits",
            rolled
        ]
    );
}

#[test]
fn a_pause_ends_like_a_period_once_one_has_passed() {
    let mut plan = subscription(1);
    plan.start().unwrap();
    plan.use_(&call("200")).unwrap();
    plan.change(Change::Paused).unwrap();
    let nothing: [&str; 0] = [];
    assert_eq!(
        told(&plan.change(Change::Resumed).unwrap()),
        nothing,
        "in the same period"
    );

    plan.change(Change::Paused).unwrap();
    let start = plan.period.end.plus_days(30);
    plan.period = farebox_plan::Period {
        start,
        end: start.plus_days(30),
        index: 2,
    };
    plan.now = start.plus_days(6);
    // It is used while paused: 100 x 0.08 behind 200 x 0.10, and no fee has been paid to give back.
    assert_eq!(
        plan.use_(&call("100")).unwrap().total("credits"),
        Nanos::units(800)
    );
    assert_eq!(told(&plan.change(seats(1, 2, Proration::Now)).unwrap()), nothing);
    // 50 - 28; 24 of 30 days of 2 seats.
    assert_eq!(
        told(&plan.change(Change::Resumed).unwrap()),
        [
            "minimum-commitment 22 usd on the statement",
            "seats 32 usd on the statement",
            "Included credits: 1600 credits"
        ]
    );
    assert_eq!(plan.use_(&call("1")).unwrap().total("credits"), Nanos::units(10));
}

#[test]
fn mistakes_in_the_parameters_are_told_together_with_their_places() {
    let wrong = DEAL
        .replace("\"20\"", "\"-20\"")
        .replace("\"0.08\"", "\"-0.08\"")
        .replace("\"1000\", \"price\"", "\"200\", \"price\"")
        .replace(": 100,", ": 0,");
    let refused = Harness::<Commitment>::new(&wrong).err().unwrap().to_string();
    for place in [
        "/credits_per_dollar: expected at least 1, found 0",
        "/fee: expected 0 or more, found -20",
        "/beyond/0/price: expected 0 or more, found -0.08",
        "/beyond/1/above: expected more than the threshold before it",
    ] {
        assert!(refused.contains(place), "{place} in\n{refused}");
    }
    assert_eq!(refused.lines().count(), 4, "{refused}");
}

proptest! {
    /// Another implementation of the price list, in billionths of cents: steps one after the other.
    #[test]
    fn the_sum_of_any_calls_is_the_price_of_their_total(units in prop::collection::vec(0i64..400_000_000_000, 1..12)) {
        let mut plan = subscription(1);
        plan.start().unwrap();
        let mut charged = 0;
        for nanos in &units {
            let event = Event::new("api.call").measure_exact("units", Nanos::from(*nanos));
            charged += plan.use_(&event).unwrap().total("credits").get();
        }
        let (mut rest, mut cents) = (units.iter().map(|nanos| i128::from(*nanos)).sum::<i128>(), 0);
        for (size, price) in [(200, 10), (800, 8), (i128::MAX / 1_000_000_000, 5)] {
            let part = rest.min(size * 1_000_000_000);
            cents += part * price;
            rest -= part;
        }
        // Dollars are rounded to a billionth, half to even; a credit is a cent.
        let (floor, over) = (cents / 100, cents % 100);
        let dollars = floor + i128::from(over > 50 || (over == 50 && floor % 2 == 1));
        prop_assert_eq!(charged, dollars * 100);
        let shortfall = (50_000_000_000 - dollars).max(0);
        prop_assert_eq!(plan.renew().unwrap().amount("minimum-commitment").get(), shortfall);
    }
}
