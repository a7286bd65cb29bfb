//! What the deal says between usage, and what usage costs, worked out by hand: 20 usd for 2,000 credits, then 10 usd for a
//! thousand.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use farebox_plan::testing::{Bill, Event, Harness};
use farebox_plan::{Category, Change, Nanos, Proration};
use hybrid::Hybrid;

const DEAL: &str = include_str!("../parameters/example.json");

fn plan() -> Harness<Hybrid> {
    Harness::new(DEAL).unwrap()
}

fn image(count: i64) -> Event {
    Event::new("action")
        .attribute("action", "image")
        .measure("count", count)
}

fn n(text: &str) -> Nanos {
    text.parse().unwrap()
}

/// Amount and asset of each link, in order.
fn links(bill: &Bill) -> Vec<String> {
    let link = |charge: &farebox_plan::testing::BilledCharge| {
        let how = if charge.invoice { " on the statement" } else { "" };
        format!("{} {}{how}", charge.amount, charge.asset)
    };
    bill.charges.iter().map(link).collect()
}

#[test]
fn each_line_says_what_it_would_cost_beyond_the_pool() {
    let bill = plan().use_(&image(2)).unwrap();
    assert_eq!(links(&bill), ["8 credits", "0.08 usd on the statement"]);
    // 1,000 x 120 and 100 x 600 per million
    let call = Event::new("llm.call")
        .attribute("model", "small")
        .measure("input_tokens", 1_000)
        .measure("output_tokens", 100);
    assert_eq!(
        links(&plan().use_(&call).unwrap()),
        [
            "0.12 credits",
            "0.0012 usd on the statement",
            "0.06 credits",
            "0.0006 usd on the statement"
        ]
    );
    // Nothing costs nothing, in any asset.
    assert_eq!(links(&plan().use_(&image(0)).unwrap()), ["0 credits"]);
}

#[test]
fn what_is_quoted_covers_what_is_used() {
    // A price that is rounded: a third of a cent, as far as decimals go.
    let deal = r#"{"fee": "0", "pool": {"credits": "0"}, "rates": {"actions": {"run": {"per_dollar": "1.000000001"}}},
        "beyond": {"price": "0.333333333333", "per": "thousand"}}"#;
    let plan = || Harness::<Hybrid>::new(deal).unwrap();
    for cost in ["0.000000001", "0.5", "1.999999999", "17.123456789"] {
        let event = Event::new("action").attribute("action", "run").cost(n(cost));
        let (used, quoted) = (plan().use_(&event).unwrap(), plan().quote(&event).unwrap());
        for (used, quoted) in used.charges.iter().zip(&quoted.charges) {
            assert!(used.amount <= quoted.amount, "{cost}: {used:?}, {quoted:?}");
            assert!(used.amount.is_positive(), "nothing goes beyond for free");
        }
    }
}

fn changed(previous: &str, proration: Proration) -> Change {
    Change::PlanChanged {
        previous_plan: previous.to_string(),
        previous_since: farebox_plan::Instant::from_micros(0),
        remaining: Vec::new(),
        proration,
    }
}

#[test]
fn who_comes_from_a_dearer_plan_gets_the_difference_to_use() {
    let mut plan = plan();
    // 10 of 30 days are left: a third of 20 is due, a third of 60 was paid.
    plan.now = plan.period.start.plus_days(20);
    let bill = plan.change(changed("large-team", Proration::Now)).unwrap();
    assert_eq!(links(&bill), Vec::<String>::new());
    let money = &bill.grants[0];
    assert_eq!(
        (money.asset.as_str(), money.amount, money.category),
        ("usd", n("13.333333333"), Category::Promotional)
    );
    assert_eq!(bill.grants[1].amount, n("666.666666667"));
    // From a cheaper one: a third of 20 less a third of 8, each rounded.
    let bill = plan.change(changed("small-team", Proration::Now)).unwrap();
    assert_eq!(links(&bill), ["4 usd on the statement"]);
    // From one that nobody knows: a third of 20.
    let bill = plan.change(changed("other", Proration::Now)).unwrap();
    assert_eq!(links(&bill), ["6.666666667 usd on the statement"]);
}

#[test]
fn without_proration_the_present_period_costs_nothing_more() {
    let mut plan = plan();
    plan.now = plan.period.start.plus_days(20);
    let bill = plan.change(changed("other", Proration::AtPeriodEnd)).unwrap();
    assert_eq!(bill, Bill::default());
    // At the boundary itself the period that begins is paid whole.
    plan.now = plan.period.start;
    let bill = plan.change(changed("other", Proration::AtPeriodEnd)).unwrap();
    assert_eq!(links(&bill), ["20 usd on the statement"]);
}

#[test]
fn who_resumes_in_the_same_period_has_paid() {
    let mut plan = plan();
    plan.start().unwrap();
    plan.change(Change::Paused).unwrap();
    assert_eq!(plan.change(Change::Resumed).unwrap(), Bill::default());
    plan.period.index = 2;
    assert_eq!(
        links(&plan.change(Change::Resumed).unwrap()),
        ["20 usd on the statement"]
    );
}

#[test]
fn the_pool_of_a_plan_that_is_not_named_is_lost_with_it() {
    let deal = r#"{"fee": "20", "pool": {"credits": "100"}, "rates": {"actions": {"a": {"price": "1"}}},
        "rollover": {"max": "500", "from": ["small"]}}"#;
    let left = || {
        vec![farebox_plan::RemainingGrant {
            asset: hybrid::asset::CREDITS,
            category: Category::Included,
            label: "Included credits".to_string(),
            granted: Nanos::units(50),
            remaining: Nanos::units(30),
            expires: None,
        }]
    };
    for (previous, grants) in [("small", vec!["100", "30"]), ("large", vec!["100"])] {
        let mut plan = Harness::<Hybrid>::new(deal).unwrap();
        let Change::PlanChanged {
            previous_plan,
            previous_since,
            proration,
            ..
        } = changed(previous, Proration::Now)
        else {
            unreachable!()
        };
        let change = Change::PlanChanged {
            previous_plan,
            previous_since,
            remaining: left(),
            proration,
        };
        let bill = plan.change(change).unwrap();
        let given: Vec<String> = bill.grants.iter().map(|grant| grant.amount.to_string()).collect();
        assert_eq!(given, grants, "{previous}");
    }
    // A renewal is no change of plan.
    let mut plan = Harness::<Hybrid>::new(deal).unwrap();
    assert_eq!(plan.renew_with(left()).unwrap().grants.len(), 2);
}
