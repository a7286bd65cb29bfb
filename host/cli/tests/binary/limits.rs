//! Spending limits from a terminal, against a real server.

use serde_json::json;

use crate::program::{Server, run};

#[test]
fn limits_are_put_listed_shown_and_deleted() {
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
    json(&["customers", "put", "acme"]);
    let all = json(&["limits", "put", "acme", "all", "usd", "500"]);
    assert_eq!(
        (&all["window"], &all["level"], &all["on_exceed"]),
        (&json!({"calendar": "month"}), &json!("customer"), &json!("deny"))
    );
    assert_eq!(
        all["thresholds"],
        json!([{"percent": 50}, {"percent": 80}, {"percent": 100}])
    );
    let bot = json(&[
        "limits",
        "put",
        "acme",
        "bot",
        "usd",
        "5",
        "--scope",
        "team=search",
        "--scope",
        "agent=bot-7",
        "--window",
        "24h/1h",
        "--threshold",
        "80%",
        "--threshold",
        "4.5",
        "--on-exceed",
        "notify",
    ]);
    assert_eq!(bot["level"], "team=search/agent=bot-7");
    assert_eq!(
        bot["window"],
        json!({"rolling": {"seconds": 86_400, "step_seconds": 3_600}})
    );
    assert_eq!(bot["thresholds"], json!([{"percent": 80}, {"amount": "4.5"}]));
    assert_eq!(bot["on_exceed"], "notify");

    let listed = json(&["limits", "list", "acme"]);
    assert_eq!(listed["limits"].as_array().unwrap().len(), 2);
    assert_eq!(json(&["limits", "show", "acme", "bot"])["amount"], "5");
    let text = run(&["limits", "list", "acme"]).stdout();
    assert!(
        text.contains("team=search/agent=bot-7") && text.contains("86400s/3600s"),
        "{text}"
    );

    assert_eq!(json(&["limits", "delete", "acme", "bot"])["name"], "bot");
    let gone = run(&["limits", "show", "acme", "bot", "--json"]);
    assert_eq!(
        (gone.code(), gone.error()["code"].as_str()),
        (1, Some("unknown_limit"))
    );
    assert_eq!(server.stop(), 0);

    let proof = crate::program::run(folder.path(), &["ledger", "verify", "--json", "--data", "data"]).json();
    assert_eq!(
        (&proof["sound"], &proof["records"]),
        (&json!(true), &json!(4)),
        "{proof}"
    );
}

#[test]
fn what_is_no_window_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let put = [
        "limits",
        "put",
        "acme",
        "all",
        "usd",
        "5",
        "--key",
        "k",
        "--window",
        "fortnight",
    ];
    let ended = run(folder.path(), &put);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr().contains("such as 24h/1h"), "{}", ended.stderr());
}
