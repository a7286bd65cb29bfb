//! Events that are taken back, replaced and refunded, debt that is written off, and backfills, from a terminal.

use serde_json::{Value, json};

use crate::terminal::{Terminal, told};

fn usd(amount: &str) -> Value {
    json!([{"asset": "usd", "amount": amount}])
}

#[test]
fn events_are_taken_back_replaced_and_refunded() {
    let at = Terminal::open();
    at.sell_tokens();
    at.customer("acme", "2");
    // 300,000 in are 0.3; 100,000 out are 1
    at.used("acme", "e-1", (300_000, 0));
    at.used("acme", "e-2", (0, 100_000));
    assert_eq!(at.balance("acme", "usd"), ["0.7", "0", "0", "0"]);

    let void = "events void acme e-1 --reason twice";
    assert_eq!(at.json(void)["reversed"], usd("0.3"));
    assert_eq!(at.json(void)["replayed"], true);
    assert_eq!(at.balance("acme", "usd"), ["1", "0", "0", "0"]);
    assert_eq!(at.json("events show acme e-1")["standing"]["status"], "voided");

    // 50,000 out instead: 0.5
    let amend = "events amend acme e-2 --type llm.call --measure output_tokens=50000 --attribute model=one";
    let amended = at.json(amend);
    assert_eq!(
        (&amended["reversed"], &amended["charges"][0]["amount"]),
        (&usd("1"), &json!("0.5"))
    );
    assert_eq!(at.balance("acme", "usd"), ["1.5", "0", "0", "0"]);
    at.json(amend);
    assert_eq!(
        at.balance("acme", "usd"),
        ["1.5", "0", "0", "0"],
        "it stands so already"
    );
    let amend = amend.replace("e-2", "e-1");
    assert_eq!(at.refused(&amend), told("event_voided"));

    let refund = "wallet refund acme --event e-2 --amount 0.2 --asset usd --reason short --id refund-1";
    assert_eq!(at.json(refund)["reversed"], usd("0.2"));
    assert_eq!(at.json(refund)["replayed"], true);
    let rest = "wallet refund acme --event e-2 --reason goodwill";
    assert_eq!(at.json(rest)["reversed"], usd("0.3"));
    assert_eq!(at.refused(rest), told("nothing_to_give_back"));
    assert_eq!(at.balance("acme", "usd"), ["2", "0", "0", "0"]);
    at.close();
}

#[test]
fn debt_is_written_off_and_a_refund_pays_what_the_event_left() {
    let at = Terminal::open();
    at.sell_tokens();
    for customer in ["acme", "beta"] {
        at.customer(customer, "0.7");
        at.used(customer, "e-1", (0, 100_000));
        assert_eq!(at.balance(customer, "usd"), ["0", "0", "0.3", "0"]);
    }
    let adjust = "wallet adjust acme usd 0.1 --target debt --reason goodwill --id fix-1";
    let text = at.text(adjust);
    assert!(
        text.starts_with("0.1 usd of debt written off for acme under fix-1\n"),
        "{text}"
    );
    assert_eq!(at.json(adjust)["replayed"], true);
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0.2", "0"]);
    let more = "wallet adjust acme usd 0.21 --target debt --reason goodwill";
    assert_eq!(at.refused(more), told("invalid_amount"));
    at.json("wallet adjust acme usd 0.2 --target debt --reason goodwill");
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0", "0"]);

    // Half of it: 0.3 for what was owed, 0.2 back into the grant
    let refund = at.json("wallet refund beta --event e-1 --amount 0.5 --asset usd --reason short");
    assert_eq!((&refund["reversed"], &refund["paid"]), (&usd("0.5"), &usd("0.3")));
    assert_eq!(at.balance("beta", "usd"), ["0.2", "0", "0", "0"]);
    at.close();
}

#[test]
fn a_backfill_is_made_looked_at_posted_and_taken_back() {
    let at = Terminal::in_sandbox("2027-01-01T00:00:00Z");
    at.sell_tokens();
    at.customer("acme", "10");
    at.json("tenants advance lab --to 2027-03-02T00:00:00Z");
    // 1 and 2 million in: 3 usd
    let event = |id: &str, tokens: u32| {
        json!({"id": id, "customer": "acme", "type": "llm.call", "time": "2027-01-05T00:00:00Z",
            "measures": {"input_tokens": tokens}, "attributes": {"model": "one"}})
    };
    at.write(
        "lost.ndjson",
        &format!("{}\n{}\n", event("a", 1_000_000), event("b", 2_000_000)),
    );
    let late = at.run("events send lost.ndjson --json");
    assert_eq!(
        (late.code(), &late.json()["rejected"]),
        (1, &json!(2)),
        "older than the window"
    );

    let create = "backfills create january lost.ndjson --reason found";
    let made = at.json(create);
    assert_eq!((&made["status"], &made["events"]), (&json!("draft"), &json!(2)));
    assert_eq!(at.json(create)["replayed"], true);
    assert_eq!(
        at.refused("backfills revert january"),
        told("backfill_not_possible")
    );
    let preview = at.json("backfills preview january");
    assert_eq!(
        (&preview["outcome"]["charged"], &preview["charges"][0]["amount"]),
        (&json!(2), &json!("3"))
    );
    assert_eq!(preview["customers"][0]["balance"][0]["available"], "7");
    let text = at.text("backfills preview january");
    assert!(
        text.starts_with("2 would be charged, 0 would wait for a price"),
        "{text}"
    );
    assert_eq!(at.balance("acme", "usd"), ["10", "0", "0", "0"]);

    let done = at.json("backfills commit january");
    assert_eq!(
        (&done["status"], &done["outcome"]["charged"]),
        (&json!("committed"), &json!(2))
    );
    at.json("backfills commit january");
    assert_eq!(at.balance("acme", "usd"), ["7", "0", "0", "0"]);
    let done = at.json("backfills revert january");
    assert_eq!(
        (&done["status"], &done["outcome"]["reverted"]),
        (&json!("reverted"), &json!(2))
    );
    assert_eq!(at.balance("acme", "usd"), ["10", "0", "0", "0"]);
    assert_eq!(
        at.refused("backfills commit january"),
        told("backfill_not_possible")
    );
    assert_eq!(at.json("backfills list")["backfills"][0]["status"], "reverted");
    at.close();
}
