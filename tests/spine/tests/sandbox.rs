//! A sandbox whose clock was advanced, and in which events gave back of others: after a restore and after rebuilds it answers
//! as before, its time included, and every price is the same when it is computed again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_spine::{Answer, Client, Server, farebox};
use reqwest::Method;
use serde_json::{Value, json};

/// What is asked before and after.
const ASKED: [&str; 13] = [
    "/v1/tenants/lab",
    "/v1/tenants/lab/clock",
    "/v1/customers/ada/balance",
    "/v1/customers/ada/entries?limit=200",
    "/v1/customers/ada/statement?month=2027-01",
    "/v1/customers/ada/statement?month=2027-02",
    "/v1/customers/ada/unpriced",
    "/v1/customers/ada/events/solved-1",
    "/v1/customers/ada/events/solved-2",
    "/v1/customers/ada/events/opened-1",
    "/v1/customers/ada/events/opened-2",
    "/v1/subscriptions/s?customer=ada",
    "/v1/changes?limit=200",
];

/// A resolution costs 0.99, and opening its ticket again gives that back; a minute of work on it is 0.10.
fn outcomes() -> Result<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/kit/tests/plans/outcomes");
    let built = build_plan(&dir, &BuildOptions::default());
    Ok(built.map_err(|error| anyhow::anyhow!("{error}"))?.component)
}

/// The sandbox in January 2027, with a customer who has 0.50 usd until the 6th and 9.50 for good.
async fn furnish(server: &Server) -> Result<Client> {
    let operator = Client::new(&server.url, server.admin_key.as_deref().context("a key")?);
    let new = json!({"id": "lab", "kind": "sandbox", "clock": "2027-01-01T00:00:00Z"});
    let made = operator.post("/v1/tenants", &new).await?.ok()?;
    let key = made["first_key"]["key"].as_str().context("a key")?;
    let client = Client::new(&server.url, key);
    client.push("outcomes", &outcomes()?, "{}").await?;
    client
        .call(Method::PUT, "/v1/customers/ada", Some(&json!({})))
        .await?
        .ok()?;
    for grant in [
        json!({"id": "gift", "asset": "usd", "amount": "0.5", "category": "promotional",
            "expires_at": "2027-01-06T00:00:00Z"}),
        json!({"id": "start", "asset": "usd", "amount": "9.5", "category": "paid"}),
    ] {
        client.post("/v1/customers/ada/grants", &grant).await?.ok()?;
    }
    let subscription = json!({"id": "s", "customer": "ada", "plan": "outcomes"});
    client.post("/v1/subscriptions", &subscription).await?.ok()?;
    Ok(client)
}

async fn resolved(client: &Client, id: &str) -> Result<Answer> {
    let event = json!({"id": id, "customer": "ada", "type": "ticket.resolved"});
    client.post("/v1/events", &event).await
}

async fn reopened(client: &Client, id: &str, of: &str, minutes: u32) -> Result<Answer> {
    let event = json!({"id": id, "customer": "ada", "type": "ticket.reopened", "measures": {"minutes": minutes},
        "attributes": {"resolution": of}});
    client.post("/v1/events", &event).await
}

async fn advance(client: &Client, by: &str) -> Result<Answer> {
    let body = json!({ "advance": by });
    client.post_once("/v1/tenants/lab/clock", by, &body).await
}

/// What is done in the sandbox, with what was answered. Everything has an id or a key, so that all of it can be sent again.
async fn live(client: &Client) -> Result<Vec<Answer>> {
    Ok(vec![
        resolved(client, "solved-1").await?,
        resolved(client, "solved-2").await?,
        advance(client, "P10D").await?,
        reopened(client, "opened-1", "solved-1", 3).await?,
        reopened(client, "opened-2", "solved-2", 0).await?,
        client
            .post("/v1/customers/ada/events/opened-2/void", &json!({}))
            .await?,
        reopened(client, "opened-3", "never", 7).await?,
        advance(client, "P1M").await?,
        resolved(client, "solved-3").await?,
    ])
}

async fn ask(client: &Client) -> Result<Vec<(&'static str, Value)>> {
    let mut told = Vec::new();
    for path in ASKED {
        let mut answer = client.get(path).await?.ok()?;
        if path.starts_with("/v1/changes") {
            // Where the feed has read to, which says how it came there too; the changes have cursors of their own.
            answer.as_object_mut().context("an object")?.remove("next");
        }
        told.push((path, answer));
    }
    Ok(told)
}

/// The change feed follows behind the answers: asked until it is as `wanted`, or has had its time.
async fn ask_until(client: &Client, wanted: &[(&'static str, Value)]) -> Result<Vec<(&'static str, Value)>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let told = ask(client).await?;
        if told == wanted || Instant::now() > deadline {
            return Ok(told);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Without what tells a replay from a first answer, wherever that stands.
fn first(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(fields) => {
            fields.remove("replayed");
            fields.values_mut().for_each(|value| *value = first(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = first(item.take())),
        _ => {}
    }
    answer
}

fn run(arguments: &[&str], folders: &[(&str, &Path)]) -> Result<Value> {
    let mut command = Command::new(farebox()?);
    command.args(arguments).arg("--json");
    for (flag, folder) in folders {
        command.arg(flag).arg(folder);
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The plan answered two resolutions before and one after, three that opened a ticket, the beginning and the renewal. All of
/// its answers are had again: those that gave back are among them.
fn proven(data: &Path) -> Result<()> {
    let proof = run(&["ledger", "verify"], &[("--data", data)])?;
    let counted = ["sound", "priced", "reevaluated", "failures"].map(|name| proof[name].clone());
    assert_eq!(counted, [json!(true), json!(8), json!(8), json!(0)], "{proof}");
    Ok(())
}

/// The folder of a stopped server tells the same as before, and knows all that was sent.
async fn same(data: &Path, key: &str, told: &[(&'static str, Value)], answered: &[Answer]) -> Result<()> {
    let server = Server::start(data)?;
    let client = Client::new(&server.url, key);
    let now = ask_until(&client, told).await?;
    for (then, now) in told.iter().zip(&now) {
        assert_eq!(then, now);
    }
    for (then, again) in answered.iter().zip(live(&client).await?) {
        ensure!(again.body.to_string().contains(r#""replayed":true"#), "{again:?}");
        assert_eq!(first(again.body), first(then.body.clone()));
    }
    assert_eq!(ask(&client).await?, told, "nothing was done twice");
    server.stop()?;
    proven(data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_is_the_same_after_a_restore_and_after_rebuilds() -> Result<()> {
    let home = tempfile::tempdir()?;
    let [data, backup, restored] = ["data", "backup", "restored"].map(|name| home.path().join(name));
    let server = Server::start(&data)?;
    let client = furnish(&server).await?;
    let answered = live(&client).await?;
    for answer in &answered {
        ensure!((200..300).contains(&answer.status), "{answer:?}");
    }
    // 10 less two resolutions is 8.02. The first is opened again: 0.49 come back, its other 0.50 had expired, and 3 minutes
    // are 0.30: 8.21. The second gave and took again. One more is 0.99.
    assert_eq!(client.balance("ada").await?.0, "7.22");
    let mut told = ask(&client).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = ask(&client).await?;
        if now == told {
            break;
        }
        told = now;
    }
    assert_eq!(told[1].1["now"], "2027-02-11T00:00:00Z");
    assert_eq!(told[7].1["standing"]["given_back"][0]["event"]["id"], "opened-1");
    server.stop()?;
    proven(&data)?;

    run(&["journal", "backup"], &[("--data", &data), ("--to", &backup)])?;
    run(
        &["journal", "restore"],
        &[("--from", &backup), ("--data", &restored)],
    )?;
    same(&restored, client.key(), &told, &answered).await?;
    // From a proven snapshot, and from the journal alone.
    let snapshot = run(&["journal", "snapshot"], &[("--data", &restored)])?;
    assert_eq!(snapshot["wallets"], snapshot["wallets_proven"], "{snapshot}");
    run(&["journal", "rebuild"], &[("--data", &restored)])?;
    same(&restored, client.key(), &told, &answered).await?;
    fs::remove_dir_all(restored.join("snapshots"))?;
    fs::remove_dir_all(restored.join("state"))?;
    run(&["journal", "rebuild"], &[("--data", &restored)])?;
    same(&restored, client.key(), &told, &answered).await?;

    // Time goes on from where it stood.
    let server = Server::start(&restored)?;
    let again = Client::new(&server.url, client.key());
    let moved = advance(&again, "P1D").await?.ok()?;
    assert_eq!(
        (&moved["from"], &moved["now"]),
        (&json!("2027-02-11T00:00:00Z"), &json!("2027-02-12T00:00:00Z"))
    );
    resolved(&again, "solved-4").await?.ok()?;
    assert_eq!(again.balance("ada").await?.0, "6.23");
    server.stop()
}
