//! Authorize and holds from a terminal, against a real server.

use serde_json::{Value, json};

use crate::terminal::{Terminal, misused, told};

fn usd(amount: &str) -> Value {
    json!([{"asset": "usd", "amount": amount}])
}

/// Asks for a call of so many tokens at most, and gives the hold's id.
fn held(at: &Terminal, id: &str, tokens: &str) -> String {
    let decision = at.json(&authorize(id, tokens));
    assert_eq!(decision["allowed"], true, "{decision}");
    decision["hold"]["id"].as_str().unwrap().to_string()
}

fn authorize(id: &str, tokens: &str) -> String {
    format!("authorize acme --type llm.call --attribute model=one --id {id} {tokens}")
}

#[test]
fn a_call_is_held_settled_in_parts_given_more_room_and_ended_once() {
    let at = Terminal::open();
    at.sell_tokens();
    at.customer("acme", "1");

    // 100,000 in are 0.1 usd, 50,000 out are 0.5
    let call = authorize(
        "call-1",
        "--measure input_tokens=100000 --measure output_tokens=50000",
    );
    let first = at.json(&format!("{call} --ttl-seconds 600"));
    assert_eq!(first["hold"]["amounts"], usd("0.6"));
    assert_eq!(at.balance("acme", "usd"), ["0.4", "0.6", "0", "0"]);
    let again = at.json(&format!("{call} --ttl-seconds 600"));
    assert_eq!(
        (&again["hold"], &again["replayed"]),
        (&first["hold"], &json!(true))
    );
    let hold = first["hold"]["id"].as_str().unwrap();
    let shown = at.json(&format!("holds show {hold}"));
    assert_eq!(
        (&shown["state"], &shown["event"]),
        (&json!("pending"), &json!("call-1"))
    );
    assert_eq!((&shown["held"], &shown["taken"]), (&usd("0.6"), &json!([])));

    // 50,000 in so far: 0.05 of 0.6
    let part = at.json(&format!(
        "holds settle {hold} --measure input_tokens=50000 --partial --id part-1"
    ));
    assert_eq!(
        (&part["state"], &part["posted"], &part["held"]),
        (&json!("pending"), &usd("0.05"), &usd("0.55"))
    );
    let text = at.text(&format!(
        "holds settle {hold} --measure input_tokens=50000 --partial --id part-1"
    ));
    assert!(
        text.starts_with("The hold is pending (was done already)"),
        "{text}"
    );

    // 80,000 out make it 0.9, of which 0.05 are taken and 0.55 held; 100,000 out would need 0.2 more than that
    let extend = format!("holds extend {hold} --ttl-seconds 3600 --measure input_tokens=100000");
    let more = at.json(&format!("{extend} --measure output_tokens=80000"));
    assert_eq!(more["held"], usd("0.85"));
    assert_eq!(at.balance("acme", "usd"), ["0.1", "0.85", "0", "0"]);
    let too_much = format!("{extend} --measure output_tokens=100000");
    assert_eq!(at.refused(&too_much), told("insufficient_funds"));
    assert_eq!(at.balance("acme", "usd"), ["0.1", "0.85", "0", "0"]);

    // 100,000 in and 30,000 out are 0.4, of which 0.05 are taken
    let last = format!("holds settle {hold} --measure input_tokens=100000 --measure output_tokens=30000");
    let settled = at.json(&format!("{last} --id all"));
    assert_eq!(
        (&settled["state"], &settled["posted"]),
        (&json!("settled"), &usd("0.35"))
    );
    assert_eq!(settled["returned"], usd("0.5"));
    assert_eq!(at.balance("acme", "usd"), ["0.6", "0", "0", "0"]);
    assert_eq!(at.json(&format!("{last} --id all"))["replayed"], true);
    assert_eq!(at.refused(&last), told("hold_ended"));
    assert_eq!(at.refused(&format!("holds release {hold}")), told("hold_ended"));
    assert_eq!(
        at.text(&format!("holds show {hold}")).trim(),
        "call-1 of acme, from api: settled"
    );
    at.close();
}

#[test]
fn a_denial_is_an_answer_that_stays_and_ends_with_1() {
    let at = Terminal::open();
    at.sell_tokens();
    at.customer("acme", "0.4");
    let call = authorize("call-1", "--measure input_tokens=0 --measure output_tokens=50000");
    let denied = at.run(&format!("{call} --json"));
    assert_eq!((denied.code(), denied.stderr().as_str()), (1, ""));
    let answer = denied.json();
    assert_eq!(
        (&answer["allowed"], &answer["code"]),
        (&json!(false), &json!("insufficient_funds"))
    );
    assert_eq!(
        (&answer["required"], &answer["available"]),
        (&json!("0.5"), &json!("0.4"))
    );

    at.json("wallet grant acme usd 1 --id more");
    let again = at.run(&call);
    let said = "call-1 is denied (was done already): 0.5 usd needed, 0.4 usd available (insufficient_funds)";
    assert!(
        again.code() == 1 && again.stdout().starts_with(said),
        "{}",
        again.stdout()
    );
    assert_eq!(at.balance("acme", "usd"), ["1.4", "0", "0", "0"]);
    let text = at.text(&authorize(
        "call-2",
        "--measure input_tokens=0 --measure output_tokens=50000",
    ));
    assert!(
        text.starts_with("call-2 is allowed: held until ") && text.contains("hold_"),
        "{text}"
    );

    // What is wrong with the request is no decision.
    assert_eq!(
        at.refused(&call.replace("acme", "nobody")),
        told("unknown_customer")
    );
    assert_eq!(at.refused(&call.replace("50000", "60000")), told("conflict"));
    assert_eq!(at.refused(&call.replace("50000", "many")), misused());
    assert_eq!(at.refused(&format!("{call} --settle --ttl-seconds 5")), misused());
    assert_eq!(at.refused(&format!("{call} --ttl-seconds 0")), misused());
    at.close();
}

#[test]
fn a_hold_is_given_back_used_up_or_goes_beyond() {
    let at = Terminal::open();
    at.sell_tokens();
    at.customer("acme", "1");

    let hold = held(
        &at,
        "unused",
        "--measure input_tokens=100000 --measure output_tokens=0",
    );
    let released = at.json(&format!("holds release {hold}"));
    assert_eq!(
        (&released["state"], &released["returned"]),
        (&json!("released"), &usd("0.1"))
    );
    assert_eq!(at.json(&format!("holds release {hold}"))["replayed"], true);
    assert_eq!(at.balance("acme", "usd"), ["1", "0", "0", "0"]);

    let hold = held(
        &at,
        "failed",
        "--measure input_tokens=100000 --measure output_tokens=0",
    );
    assert_eq!(at.refused(&format!("holds settle {hold}")), misused());
    let nothing = at.json(&format!(
        "holds settle {hold} --measure input_tokens=0 --measure output_tokens=0"
    ));
    assert_eq!(
        (&nothing["posted"], &nothing["returned"]),
        (&json!([]), &usd("0.1"))
    );

    // At once: 200,000 in are 0.2
    let charged = at.json(&authorize("known", "--measure input_tokens=200000 --settle"));
    assert_eq!(
        (&charged["hold"], &charged["quote"][0]["amount"]),
        (&Value::Null, &json!("0.2"))
    );
    assert_eq!(at.balance("acme", "usd"), ["0.8", "0", "0", "0"]);

    // 100,000 out are 1: 0.9 more than is held, and 0.2 more than there is
    let hold = held(
        &at,
        "long",
        "--measure input_tokens=100000 --measure output_tokens=0",
    );
    let settle = format!("holds settle {hold} --measure output_tokens=100000");
    assert_eq!(
        at.refused(&format!("{settle} --above-hold deny")),
        told("above_hold")
    );
    let beyond = at.json(&settle);
    assert_eq!(
        (&beyond["state"], &beyond["debt"]),
        (&json!("settled"), &usd("0.2"))
    );
    assert_eq!(at.balance("acme", "usd"), ["0", "0", "0.2", "0"]);
    assert_eq!(at.refused("holds show hold_none"), told("unknown_hold"));
    at.close();
}

#[test]
fn entries_come_newest_first_a_page_at_a_time_or_all() {
    let at = Terminal::open();
    at.sell_tokens();
    at.customer("acme", "200");
    // Two entries each, out of the grant and into revenue; and two of the grant itself.
    let event = |n: u32| {
        json!({"id": format!("e-{n}"), "customer": "acme", "type": "llm.call", "attributes": {"model": "one"},
            "measures": {"input_tokens": 1_000_000}})
    };
    let lines: Vec<String> = (1..=120).map(|n| event(n).to_string()).collect();
    at.write("events.ndjson", &lines.join("\n"));
    assert_eq!(at.json("events send events.ndjson")["accepted"], 120);

    let all = at.json("wallet entries acme --all");
    let all = all["entries"].as_array().unwrap();
    assert_eq!(all.len(), 242);
    let of = |account: &str| {
        let newest = all[..2].iter().find(|entry| entry["account"] == account);
        let newest = newest.unwrap_or_else(|| panic!("no {account}: {all:?}"));
        (
            newest["event"]["id"].clone(),
            newest["amount"].clone(),
            newest["code"].clone(),
        )
    };
    assert_eq!(
        of("available"),
        (json!("e-120"), json!("-1"), json!("input-tokens"))
    );
    assert_eq!(of("revenue"), (json!("e-120"), json!("1"), json!("input-tokens")));
    let oldest: Vec<_> = all[240..].iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(oldest, ["grant", "grant"]);

    let some = at.json("wallet entries acme --limit 210");
    assert_eq!(some["entries"].as_array().unwrap()[..], all[..210]);
    let rest = at.json(&format!(
        "wallet entries acme --all --cursor {}",
        some["next"].as_str().unwrap()
    ));
    assert_eq!(rest["entries"].as_array().unwrap()[..], all[210..]);
    assert_eq!(rest.get("next"), None);
    assert_eq!(
        at.json("wallet entries acme")["entries"]
            .as_array()
            .unwrap()
            .len(),
        50
    );
    let text = at.text("wallet entries acme --limit 1");
    assert!(
        text.contains("of topup") && text.contains("--all shows them"),
        "{text}"
    );
    at.json("customers put new");
    assert_eq!(at.text("wallet entries new").trim(), "Nothing is posted.");

    assert_eq!(at.refused("wallet entries acme --limit 0"), misused());
    assert_eq!(at.refused("wallet entries acme --limit 5 --all"), misused());
    assert_eq!(at.refused("wallet entries nobody"), told("unknown_customer"));
    at.close();
}
