//! What was used and what happened, as the command line shows it.

use serde_json::Value;

use crate::program::{Server, run};

#[test]
fn changes_and_usage_are_shown_as_tables_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, key) = (server.url(), server.key().unwrap());
    let cli = |arguments: &[&str]| {
        let ended = run(
            folder.path(),
            &[arguments, &["--server", &url, "--key", &key]].concat(),
        );
        assert_eq!(
            ended.code(),
            0,
            "{arguments:?}: {}{}",
            ended.stdout(),
            ended.stderr()
        );
        ended
    };
    assert_eq!(cli(&["changes"]).stdout().trim(), "Nothing happened.");
    cli(&["customers", "put", "acme"]);
    cli(&["wallet", "grant", "acme", "usd", "20"]);
    let page: Value = cli(&["changes", "--json"]).json();
    assert_eq!(page["changes"][0]["kind"], "grant_received");
    assert_eq!(page["changes"][0]["data"]["amount"], "20");
    let text = cli(&["changes", "--customer", "acme"]).stdout();
    assert!(
        text.contains("grant_received") && text.contains("amount=20"),
        "{text}"
    );
    let next = page["next"].as_str().unwrap();
    let rest: Value = cli(&["changes", "--after", next, "--json"]).json();
    assert_eq!(rest["changes"], Value::Array(Vec::new()));
    let usage = cli(&["usage", "acme", "--by", "feature", "--every", "day"]).stdout();
    assert_eq!(usage.trim(), "Nothing was used in this time.");
    let wrong = run(
        folder.path(),
        &[
            "usage", "acme", "--every", "week", "--server", &url, "--key", &key,
        ],
    );
    assert_ne!(wrong.code(), 0);
    assert!(wrong.stderr().contains("minute, hour, day"), "{}", wrong.stderr());
}
