//! What customers pay under a plan, worked out by hand: a fee, a pool of credits, and a price for what goes beyond it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::OnceLock;

use farebox_kit::bills::{Bills, BillsError, Priced, bills, compare, generate};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::events::{Used, read_used};
use farebox_record::time::Timestamp;
use farebox_runtime::{Config, Runtime};

fn hybrid() -> &'static (Runtime, Vec<u8>) {
    static BUILT: OnceLock<(Runtime, Vec<u8>)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/hybrid");
        let component = build_plan(&dir, &BuildOptions::default()).unwrap().component;
        (Runtime::new(Config::default()).unwrap(), component)
    })
}

/// A fee in dollars, a pool of credits, and what a credit beyond it costs; an image takes 4 credits.
fn prices(fee: u32, pool: u32, beyond: &str) -> String {
    format!(
        r#"{{"fee": "{fee}", "pool": {{"credits": "{pool}"}}, "beyond": {{"price": "{beyond}"}},
            "rates": {{"actions": {{"image": {{"price": "4"}}}}}}}}"#
    )
}

fn began() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn billed(parameters: &str, used: &[Used]) -> Result<Bills, BillsError> {
    let (runtime, component) = hybrid();
    let plan = Priced {
        runtime,
        component,
        parameters,
    };
    bills(&plan, used, began(), 1)
}

fn images(lines: &[(&str, &str, &str, u32)]) -> Vec<Used> {
    let lines = lines.iter().map(|(customer, id, time, count)| {
        format!(
            r#"{{"customer": "{customer}", "id": "{id}", "type": "action", "time": "{time}",
                "attributes": {{"action": "image"}}, "measures": {{"count": {count}}}}}"#
        )
    });
    read_used(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

fn paid(bills: &Bills, customer: &str) -> String {
    let bill = bills.customers[customer].iter();
    let bill: Vec<String> = bill.map(|(asset, amount)| format!("{amount} {asset}")).collect();
    bill.join(", ")
}

#[test]
fn a_month_is_a_fee_and_what_goes_beyond_the_pool() {
    let used = images(&[
        ("small", "1", "2026-03-02T00:00:00Z", 1),
        ("heavy", "1", "2026-03-03T00:00:00Z", 30),
        ("heavy", "2", "2026-03-20T00:00:00Z", 20),
    ]);
    let bills = billed(&prices(20, 100, "0.1"), &used).unwrap();
    // 4 of 100 credits; and 100 of 200 credits beyond the pool, 0.10 each.
    assert_eq!(paid(&bills, "small"), "20 usd");
    assert_eq!(paid(&bills, "heavy"), "30 usd");
    assert_eq!((bills.unpriced, bills.refused), (0, 0));
}

#[test]
fn each_period_is_billed_whole_and_begins_with_a_pool_of_its_own() {
    let used = images(&[
        ("a", "1", "2026-03-31T23:00:00Z", 50),
        ("a", "2", "2026-04-01T00:00:00Z", 50),
        // Sent twice: billed once. Another event under its id is none.
        ("a", "2", "2026-04-01T00:00:00Z", 50),
        ("a", "2", "2026-04-01T00:00:00Z", 51),
    ]);
    let bills = billed(&prices(20, 100, "0.1"), &used).unwrap();
    assert_eq!(paid(&bills, "a"), "60 usd", "2 x (20 + 10)");
    assert_eq!(bills.refused, 1);
    let why = bills.refused_why.unwrap();
    assert_eq!(
        why,
        "event 2: another event has its id, with another measures.count"
    );
}

#[test]
fn who_pays_more_and_who_pays_less() {
    let mut used = images(&[
        ("small", "1", "2026-03-02T00:00:00Z", 1),
        ("even", "1", "2026-03-03T00:00:00Z", 50),
        ("large", "1", "2026-03-03T00:00:00Z", 100),
        ("light", "1", "2026-03-04T00:00:00Z", 26),
    ]);
    used[3].event.attributes.insert("action".into(), "video".into());
    let before = billed(&prices(20, 100, "0.1"), &used).unwrap();
    let after = billed(&prices(30, 200, "0.05"), &used).unwrap();
    let told: Vec<String> = compare(&before, &after)
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {:?}",
                one.customer,
                one.before,
                one.change(),
                one.permille()
            )
        })
        .collect();
    // Large: 20 + 300 x 0.10 before, 30 + 200 x 0.05 after. Even: 20 + 100 x 0.10, and 30.
    assert_eq!(
        told,
        [
            "large 50 -10 Some(-200)",
            "light 20 10 Some(500)",
            "small 20 10 Some(500)",
            "even 30 0 Some(0)",
        ]
    );
    assert_eq!(
        (before.unpriced, after.unpriced),
        (1, 1),
        "nobody has a price for a video"
    );
}

#[test]
fn what_cannot_be_billed_is_told() {
    let used = images(&[("a customer", "1", "2026-03-02T00:00:00Z", 1)]);
    let told = billed(&prices(20, 100, "0.1"), &used).unwrap_err().to_string();
    assert!(told.starts_with("customer \"a customer\": "), "{told}");
    let told = billed("{}", &used).unwrap_err().to_string();
    assert!(told.contains("missing field `fee`"), "{told}");
}

#[test]
fn made_up_events_follow_from_their_seed() {
    let examples: Vec<_> = images(&[("x", "1", "2026-03-02T00:00:00Z", 10)])
        .into_iter()
        .map(|used| used.event)
        .collect();
    let made = generate(&examples, 500, 20, 7, began());
    assert_eq!(made, generate(&examples, 500, 20, 7, began()));
    assert_ne!(made, generate(&examples, 500, 20, 8, began()));
    assert_eq!(made.len(), 500);
    assert!(made.is_sorted_by_key(|used| used.event.time));
    let counts = made
        .iter()
        .map(|used| used.event.measures["count"].get() / 1_000_000_000);
    let counts: Vec<i128> = counts.collect();
    assert!(counts.iter().all(|count| (0..=150).contains(count)));
    assert!(counts.iter().any(|count| *count > 50) && counts.iter().any(|count| *count < 5));
    assert!(generate(&[], 10, 10, 1, began()).is_empty());
}
