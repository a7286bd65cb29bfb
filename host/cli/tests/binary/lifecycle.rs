//! A subscription's life from a terminal, and the fees that it leaves on the statement.

use serde_json::json;

use crate::terminal::{Terminal, told};

/// A team in a sandbox: 30 usd and 3,000 credits a month for a seat, of which 1,000 roll over.
fn team() -> Terminal {
    let at = Terminal::in_sandbox("2027-04-01T00:00:00Z");
    let example = at.offline("plan standard seats-plus-credits --example");
    at.write("team.json", &example);
    at.json("plan push standard:seats-plus-credits --plan team --activate team.json");
    at.json("customers put acme");
    let started = at.json("subscriptions start acme acme-team team --seats 4");
    assert_eq!(started["id"], "acme-team");
    // 4 x 30 usd, 4 x 3,000 credits
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "120"]);
    assert_eq!(at.balance("acme", "credits"), ["12000", "0", "0", "0"]);
    at
}

#[test]
fn seats_change_at_once_and_at_the_end_of_the_period() {
    let at = team();
    at.json("tenants advance lab --to 2027-04-11T00:00:00Z");
    // Three more for two thirds of April: 3 x 30 x 2/3 usd, 3 x 3,000 x 2/3 credits
    let more = "subscriptions change acme acme-team --seats 7 --id more";
    let changed = at.json(more);
    assert_eq!(
        (&changed["seats"], &changed["status"]),
        (&json!(7), &json!("active"))
    );
    assert_eq!(changed["charges"][0]["amount"], "60");
    assert_eq!(at.json(more)["replayed"], true);
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "180"]);
    assert_eq!(at.balance("acme", "credits"), ["18000", "0", "0", "0"]);

    at.json("tenants advance lab --to 2027-04-21T00:00:00Z");
    // Two less for a third of April: 2 x 30 / 3 usd come back, to be used
    assert_eq!(
        at.json("subscriptions change acme acme-team --seats 5")["charges"],
        json!([])
    );
    assert_eq!(at.balance("acme", "usd"), ["20", "0", "0", "180"]);

    let later = at.json("subscriptions change acme acme-team --seats 3 --at period-end");
    assert_eq!(
        (&later["seats"], &later["effective_at"]),
        (&json!(5), &json!("2027-05-01T00:00:00Z"))
    );
    at.json("subscriptions change acme acme-team --unschedule");
    let show = "subscriptions show acme acme-team";
    assert_eq!(at.json(show)["scheduled"], json!([]));
    at.json("subscriptions change acme acme-team --seats 4 --at period-end");
    assert_eq!(at.json(show)["scheduled"][0]["seats"], 4);
    let text = at.text("subscriptions list acme");
    assert!(text.contains("4 seats"), "{text}");

    at.json("tenants advance lab --to 2027-05-01T00:00:00Z");
    // 4 x 30 usd more; of 18,000 credits 4 x 1,000 stay beside 4 x 3,000 new ones
    assert_eq!(at.json(show)["seats"], 4);
    assert_eq!(at.balance("acme", "usd"), ["20", "0", "0", "300"]);
    assert_eq!(at.balance("acme", "credits"), ["16000", "0", "0", "0"]);
    at.close();
}

#[test]
fn a_subscription_is_paused_resumed_and_cancelled() {
    let at = team();
    let call = "authorize acme --type action --attribute action=image --measure count=1";
    let paused = at.json("subscriptions pause acme acme-team --id rest");
    assert_eq!(
        (&paused["status"], &paused["charges"]),
        (&json!("paused"), &json!([]))
    );
    assert_eq!(
        at.json("subscriptions pause acme acme-team --id rest")["replayed"],
        true
    );
    let denied = at.run(&format!("{call} --json"));
    assert_eq!(
        (denied.code(), &denied.json()["code"]),
        (1, &json!("subscription_paused"))
    );
    let resumed = at.json("subscriptions resume acme acme-team");
    assert_eq!(
        (&resumed["status"], &resumed["charges"]),
        (&json!("active"), &json!([]))
    );
    assert_eq!(at.json(&format!("{call} --settle"))["quote"][0]["amount"], "4");
    assert_eq!(at.balance("acme", "credits"), ["11996", "0", "0", "0"]);

    let waits = at.json("subscriptions pause acme acme-team --at period-end");
    assert_eq!(
        (&waits["status"], &waits["effective_at"]),
        (&json!("active"), &json!("2027-05-01T00:00:00Z"))
    );
    at.json("subscriptions change acme acme-team --unschedule");
    let waits = at.json("subscriptions cancel acme acme-team --at period-end");
    assert_eq!(waits["status"], "active");
    at.json("subscriptions change acme acme-team --unschedule");

    // Included credits end with it; the fee that is owed stays owed.
    let over = at.json("subscriptions cancel acme acme-team --no-proration --id over");
    assert_eq!(
        (&over["status"], &over["charges"]),
        (&json!("cancelled"), &json!([]))
    );
    assert_eq!(
        at.json("subscriptions cancel acme acme-team --no-proration --id over")["replayed"],
        true
    );
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "120"]);
    let text = at.text("wallet show acme");
    assert!(!text.contains("11996"), "{text}");
    assert_eq!(
        at.refused("subscriptions resume acme acme-team"),
        told("subscription_ended")
    );
    at.close();
}

#[test]
fn fees_on_the_statement_are_paid_or_written_off_and_no_more_than_that() {
    let at = team();
    let pay = "wallet pay acme usd 100 --label invoice-4 --id payment-1";
    assert_eq!(at.json(pay)["balance"].as_array().map(Vec::len), Some(2));
    assert_eq!(at.json(pay)["replayed"], true);
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "20"]);
    assert_eq!(at.refused("wallet pay acme usd 20.01"), told("invalid_amount"));
    let adjust = "wallet adjust acme usd 15 --target receivable --reason goodwill --id fix-1";
    let text = at.text(adjust);
    assert!(
        text.starts_with("15 usd of fees written off for acme under fix-1\n"),
        "{text}"
    );
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "5"]);
    let more = "wallet adjust acme usd 6 --target receivable --reason goodwill";
    assert_eq!(at.refused(more), told("invalid_amount"));
    at.json("wallet pay acme usd 5");
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "0"]);
    at.close();
}
