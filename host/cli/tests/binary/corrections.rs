//! Corrections and subscriptions from a terminal, against a real server.

use serde_json::json;

use crate::program::{Server, run};

#[test]
fn balances_are_put_right_and_mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, key) = (server.url(), server.key().unwrap());
    let run = |arguments: &[&str]| {
        run(
            folder.path(),
            &[arguments, &["--server", &url, "--key", &key]].concat(),
        )
    };
    let json = |arguments: &[&str]| {
        let ended = run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code(), 0, "{arguments:?}: {}", ended.stderr());
        ended.json()
    };
    let refused = |arguments: &[&str]| {
        let ended = run(&[arguments, &["--json"]].concat());
        (ended.code(), ended.error()["code"].as_str().map(str::to_string))
    };
    json(&["customers", "put", "acme"]);
    json(&["wallet", "grant", "acme", "usd", "20", "--id", "topup-1"]);

    let adjust = [
        "wallet",
        "adjust",
        "acme",
        "usd",
        "5",
        "--target",
        "balance",
        "--reason",
        "granted twice",
    ];
    let first = json(&[&adjust[..], &["--id", "fix-1"]].concat());
    assert_eq!(first["balance"][0]["available"], "15");
    assert_eq!(
        json(&[&adjust[..], &["--id", "fix-1"]].concat())["replayed"],
        true
    );
    let text = run(&[&adjust[..], &["--id", "fix-1"]].concat()).stdout();
    assert!(
        text.starts_with("5 usd taken from acme under fix-1 (was done already)"),
        "{text}"
    );

    let refund = [
        "wallet", "refund", "acme", "--grant", "topup-1", "--reason", "left", "--amount", "4",
    ];
    let given = json(&refund);
    assert_eq!(given["reversed"], json!([{"asset": "usd", "amount": "4"}]));
    assert_eq!(given["balance"][0]["available"], "11");

    let told = |code: i32, name: &str| (code, Some(name.to_string()));
    assert_eq!(
        refused(&["wallet", "pay", "acme", "usd", "1"]),
        told(1, "invalid_amount")
    );
    let event = ["wallet", "refund", "acme", "--event", "none", "--reason", "x"];
    assert_eq!(refused(&event), told(1, "unknown_event"));
    assert_eq!(
        refused(&[&event[..], &["--amount", "1"]].concat()).0,
        2,
        "an amount needs its asset"
    );
    assert_eq!(
        refused(&["wallet", "refund", "acme", "--reason", "x"]).0,
        2,
        "of what?"
    );
    assert_eq!(
        refused(&["events", "void", "acme", "none"]),
        told(1, "unknown_event")
    );
    let amend = [
        "events",
        "amend",
        "acme",
        "none",
        "--type",
        "llm.call",
        "--measure",
        "input_tokens=1",
    ];
    assert_eq!(refused(&amend), told(1, "unknown_event"));
    let sub = ["acme", "team"];
    for command in [&["pause"][..], &["resume"], &["cancel"], &["change"]] {
        let seats: &[&str] = if command == ["change"] {
            &["--seats", "2"]
        } else {
            &[]
        };
        let arguments = [&["subscriptions"], command, &sub, seats].concat();
        assert_eq!(
            refused(&arguments),
            told(1, "unknown_subscription"),
            "{arguments:?}"
        );
    }
    assert_eq!(
        refused(&["subscriptions", "start", "acme", "team", "team"]),
        told(1, "unknown_plan")
    );
    assert_eq!(
        refused(&["subscriptions", "change", "acme", "team"]).0,
        2,
        "what changes?"
    );
    assert_eq!(
        json(&["subscriptions", "list", "acme"])["subscriptions"],
        json!([])
    );
    assert_eq!(server.stop(), 0);
}
