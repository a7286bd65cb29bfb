//! The whole path of a plan: built, tested, pushed, put in force, priced by, rolled back, and proved afterwards.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Server, farebox, run};

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../example-plans/per-token");

/// A price list that is easy to work out by hand: 1 usd per million tokens in, 10 per million out.
const PRICES: &str =
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "1", "output": "10"}}}}}}"#;

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().post(format!("{}/v1/{path}", server.url()));
        let response = request
            .bearer_auth(server.key().unwrap())
            .json(body)
            .send()
            .await
            .unwrap();
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    })
}

#[test]
fn a_plan_is_pushed_prices_calls_and_every_price_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prices.json"), PRICES).unwrap();
    fs::write(
        folder.path().join("dearer.json"),
        PRICES.replace("\"10\"", "\"20\""),
    )
    .unwrap();
    let server = Server::start(folder.path());
    let (url, key) = (server.url(), server.key().unwrap());
    let cli = |arguments: &[&str]| {
        let ended = run(
            folder.path(),
            &[arguments, &["--json", "--server", &url, "--key", &key]].concat(),
        );
        assert_eq!(
            ended.code(),
            0,
            "{arguments:?}: {}{}",
            ended.stdout(),
            ended.stderr()
        );
        ended.json()
    };
    let pushed = cli(&["plan", "push", PLAN, "--activate", "prices.json"]);
    assert_eq!(pushed["activated"]["created"], true);
    cli(&["customers", "put", "acme", "--name", "Acme"]);
    cli(&["wallet", "grant", "acme", "usd", "1", "--id", "topup-1"]);
    post(
        &server,
        "subscriptions",
        &json!({"id": "sub-1", "customer": "acme", "plan": "per-token"}),
    );
    let call = json!({"type": "llm.call", "attributes": {"model": "one"},
        "measures": {"input_tokens": 1000, "output_tokens": 1000}});
    let held = post(
        &server,
        "authorize",
        &json!({"id": "call-1", "customer": "acme", "event": call}),
    );
    let hold = held["hold"]["id"].as_str().unwrap();
    let settle = json!({"id": "settle-1", "measures": {"input_tokens": 1000, "output_tokens": 100}});
    post(&server, &format!("holds/{hold}/settle"), &settle);
    events(folder.path(), &cli);
    cli(&["plan", "activate", "per-token", "--parameters", "dearer.json"]);
    assert_eq!(
        cli(&["plan", "list", "per-token"])["timeline"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // A retry that comes late tells what it did then, and not that it is in force.
    let said = |arguments: &[&str]| {
        let ended = run(
            folder.path(),
            &[arguments, &["--server", &url, "--key", &key]].concat(),
        );
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        ended.stdout()
    };
    let back = ["plan", "rollback", "per-token", "--id", "back"];
    let first = said(&back);
    assert!(first.contains(" is in force from "), "{first}");
    let again = said(&back);
    assert!(
        again.contains("an earlier call under this id put ") && again.contains("nothing changed now"),
        "{again}"
    );
    assert_eq!(cli(&["plan", "list"])["plans"][0]["plan"], "per-token");
    // 1000 + 100 x 10, and 500 + 50 x 10, per million
    let wallet = cli(&["wallet", "show", "acme"]);
    assert_eq!(wallet["balance"][0]["available"], "0.997", "{wallet}");
    assert_eq!(server.stop(), 0);

    let proof = run(folder.path(), &["ledger", "verify", "--json", "--data", "data"]).json();
    assert_eq!(proof["sound"], true, "{proof}");
    assert_eq!(proof["books"]["usd"]["revenue"], "0.003");
    assert_eq!(proof["books_compared"], true);
    assert_eq!(
        (&proof["priced"], &proof["reevaluated"]),
        (&json!(4), &json!(4)),
        "{proof}"
    );

    // Without the component that priced it, no price can be proved any more.
    let blobs = fs::read_dir(folder.path().join("data/blobs")).unwrap();
    let component = blobs
        .map(|file| file.unwrap().path())
        .find(|path| path.to_string_lossy().contains("component-"));
    fs::remove_file(component.unwrap()).unwrap();
    let proof = run(folder.path(), &["ledger", "verify", "--json", "--data", "data"]);
    assert_eq!(proof.code(), 1);
    assert_eq!(proof.json()["violations"][0]["rule"], "price");
}

fn events(folder: &Path, cli: &dyn Fn(&[&str]) -> Value) {
    let event = json!({"id": "e-1", "customer": "acme", "type": "llm.call", "attributes": {"model": "one"},
        "measures": {"input_tokens": 500, "output_tokens": 50}});
    let other = json!({"id": "e-2", "customer": "acme", "type": "image.call", "measures": {"images": 1}});
    fs::write(folder.join("events.ndjson"), format!("{event}\n\n{other}\n")).unwrap();
    let sent = cli(&["events", "send", "events.ndjson"]);
    assert_eq!(
        (&sent["accepted"], &sent["unpriced"]),
        (&json!(1), &json!(1)),
        "{sent}"
    );
    assert_eq!(cli(&["events", "send", "events.ndjson"])["replayed"], 2);
    let shown = cli(&["events", "show", "acme", "e-1"]);
    assert!(shown.to_string().contains("llm.call"), "{shown}");
}

#[test]
fn parameters_that_do_not_fit_are_told_by_pointer() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = PRICES.replace("\"10\"", "10").replace("\"input\"", "\"inptu\"");
    fs::write(folder.path().join("prices.json"), wrong).unwrap();
    let ended = run(
        folder.path(),
        &["plan", "check", PLAN, "--parameters", "prices.json"],
    );
    assert_eq!(ended.code(), 1, "{}", ended.stdout());
    assert!(
        ended.stderr().contains("/providers/test/models/one/prices"),
        "{}",
        ended.stderr()
    );
}

#[test]
fn a_new_plan_builds_and_its_scenario_holds() {
    let folder = tempfile::tempdir().unwrap();
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk/rust");
    let made = run(folder.path(), &["plan", "new", "my-plan", "--sdk", sdk, "--json"]);
    assert_eq!(made.json()["name"], "my-plan", "{}", made.stderr());
    // Beside the other plans' builds, so that dependencies are compiled once.
    let target = Path::new(env!("CARGO_BIN_EXE_farebox"))
        .ancestors()
        .nth(2)
        .unwrap();
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    fs::copy(lock, folder.path().join("my-plan/Cargo.lock")).unwrap(); // the versions that are at hand
    let tested = farebox(folder.path())
        .args(["plan", "test", "my-plan", "--json"])
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    let talk = String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{}: {said}{talk}", tested.status);
    assert!(said.contains("\"holds\":true"), "{said}");
    assert!(said.contains("\"not_asked\":["), "{said}");
}
