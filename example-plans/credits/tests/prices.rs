//! What things cost, each computed by hand beside it, under the example's price list: a small model at 120 credits per million
//! tokens in and 600 out, an image at 4, an agent's run at 125 for each dollar that it cost.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use credits::Credits;
use farebox_plan::testing::{Bill, Event, Harness};
use farebox_plan::{Category, Change, Instant, Nanos, Proration, Rejection};

const LIST: &str = include_str!("../parameters/example.json");

fn plan() -> Harness<Credits> {
    Harness::new(LIST).unwrap()
}

fn call(model: &str) -> Event {
    Event::new("llm.call").attribute("model", model)
}

fn action(name: &str) -> Event {
    Event::new("action").attribute("action", name)
}

fn buy(pack: &str) -> Event {
    Event::new("credits.purchase").attribute("pack", pack)
}

fn dollars(text: &str) -> Nanos {
    text.parse().unwrap()
}

#[track_caller]
fn costs(event: &Event, credits: &str) {
    let bill = plan().use_(event).unwrap();
    assert_eq!(bill.total("credits").to_string(), credits);
    assert!(bill.grants.is_empty());
}

fn missing(result: Result<Bill, Rejection>) -> String {
    match result {
        Err(Rejection::InvalidEvent { name, .. }) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn calls_and_actions_cost_credits() {
    // 2,000 x 120 / 1,000,000 = 0.24, and 500 x 600 / 1,000,000 = 0.3
    let small = call("small")
        .measure("input_tokens", 2_000)
        .measure("output_tokens", 500);
    costs(&small, "0.54");
    assert_eq!(
        plan().use_(&small).unwrap().codes(),
        ["input-tokens", "output-tokens"]
    );
    costs(&action("image"), "4");
    costs(&action("image").measure("count", 3), "12");
    costs(&action("web-search").measure("count", 5), "6");
    // 0.301 x 125
    costs(&action("agent-run").cost(dollars("0.301")), "37.625");
    costs(&action("agent-run").cost(dollars("0")), "0");
}

#[test]
fn what_has_no_price_is_told() {
    let refused = |event: &Event| match plan().use_(event) {
        Err(Rejection::Unpriceable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(&action("video")),
        "the action \"video\" is not on the rate card"
    );
    assert_eq!(
        refused(&buy("huge")),
        "there is no pack \"huge\" on the price list"
    );
    assert_eq!(
        refused(&call("other").measure("input_tokens", 1)),
        "the model \"other\" is not in the price list"
    );
    assert_eq!(missing(plan().use_(&Event::new("action"))), "action");
    assert_eq!(missing(plan().use_(&action("agent-run"))), "cost_usd");
    assert_eq!(
        missing(plan().use_(&action("image").measure("count", -1))),
        "count"
    );
    assert_eq!(missing(plan().use_(&buy("starter").measure("count", 0))), "count");
    assert_eq!(
        missing(plan().use_(&buy("starter").measure("count", 10_001))),
        "count"
    );
    let actions_only = Harness::<Credits>::new(r#"{"rates": {"actions": {"a": {"price": "1"}}}}"#);
    assert!(matches!(
        actions_only
            .unwrap()
            .use_(&call("small").measure("input_tokens", 1)),
        Err(Rejection::Unpriceable(_))
    ));
}

#[test]
fn a_quote_states_what_it_can_come_to() {
    let quote = |event: &Event| plan().quote(event).unwrap().total("credits").to_string();
    // 1,000 x 120 and, by default, 8,000 x 600 per million: 0.12 + 4.8
    assert_eq!(quote(&call("small").measure("input_tokens", 1_000)), "4.92");
    assert_eq!(quote(&action("image").measure("count", 2)), "8");
    // At most 2 dollars unless the caller knows better.
    assert_eq!(quote(&action("agent-run")), "250");
    assert_eq!(quote(&action("agent-run").cost(dollars("0.5"))), "62.5");
    let strict = r#"{"rates": {"actions": {"run": {"per_dollar": "100"}}}}"#;
    let strict = Harness::<Credits>::new(strict).unwrap();
    assert_eq!(missing(strict.quote(&action("run"))), "cost_usd");
}

#[test]
fn a_pack_is_owed_and_given_at_once() {
    let bought = Instant::from_micros(0).plus_days(3);
    let bill = plan().use_(&buy("team").measure("count", 2).at(bought)).unwrap();
    assert_eq!(bill.charges.len(), 1);
    let charge = &bill.charges[0];
    assert_eq!((charge.code.as_str(), charge.asset.as_str()), ("packs", "usd"));
    assert_eq!((charge.amount, charge.invoice), (dollars("180"), true));
    let grants: Vec<_> = bill
        .grants
        .iter()
        .map(|g| (g.category, g.amount, g.expires))
        .collect();
    let year = Some(bought.plus_days(365));
    assert_eq!(
        grants,
        [
            (Category::Paid, Nanos::units(20_000), year),
            (Category::Promotional, Nanos::units(1_000), year),
        ]
    );
    // Without a bonus there is no grant of nothing.
    assert_eq!(plan().use_(&buy("starter")).unwrap().grants.len(), 1);
}

#[test]
fn only_who_starts_is_welcomed() {
    let mut plan = plan();
    let welcome = plan.start().unwrap();
    assert_eq!(welcome.grants.len(), 1);
    assert_eq!(welcome.grants[0].amount, Nanos::units(50));
    assert_eq!(welcome.grants[0].category, Category::Promotional);
    assert_eq!(
        welcome.grants[0].expires,
        Some(Instant::from_micros(0).plus_days(14))
    );
    assert_eq!(plan.renew().unwrap(), Bill::default());
    let changed = Change::PlanChanged {
        previous_plan: "free".to_string(),
        previous_since: Instant::from_micros(0),
        remaining: Vec::new(),
        proration: Proration::Now,
    };
    assert_eq!(plan.change(changed).unwrap(), Bill::default());
}

#[test]
fn an_explanation_names_the_place_on_the_rate_card() {
    let steps = plan().explain(&action("agent-run").cost(dollars("0.3"))).unwrap();
    assert!(
        steps
            .iter()
            .any(|step| step.why == "0.3 usd of cost x 125 for a dollar, agent-run on the rate card"),
        "{steps:?}"
    );
}
