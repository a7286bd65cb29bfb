//! The whole path over a real socket: concurrency, retries, a swap under load, a graceful stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use farebox_spine::{Client, DEARER, PRICES, Server};
use serde_json::json;
use tokio::task::JoinSet;

async fn house(data: &std::path::Path) -> Result<(Server, Client)> {
    let server = Server::start(data)?;
    let key = server.admin_key.clone().context("a key at the first start")?;
    let client = Client::new(&server.url, &key);
    client.push_plan(PRICES).await?;
    Ok((server, client))
}

/// No disk has so much free, so to this server its disk is nearly full.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_reads_on_and_writes_nothing() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (server, client) = house(data.path()).await?;
    client.customer("ada", "0.1").await?;
    server.stop()?;
    let mut command = std::process::Command::new(farebox_spine::farebox()?);
    command.env("FAREBOX_DISK_FREE_BYTES_MIN", u64::MAX.to_string());
    let server = Server::start_as(command, data.path())?;
    let full = Client::new(&server.url, client.key());
    let refused = full.authorize("ada", "call", 1_000, 0).await?;
    assert_eq!(refused.status, 507, "{refused:?}");
    assert_eq!(refused.body["code"], "disk_nearly_full");
    assert_eq!(refused.body["limit"], "DISK_FREE_BYTES_MIN");
    let ready = full.get("/readyz").await?;
    assert_eq!(
        (ready.status, &ready.body["code"]),
        (507, &json!("disk_nearly_full"))
    );
    assert_eq!(full.get("/healthz").await?.status, 200);
    assert_eq!(full.balance("ada").await?.0, "0.1");
    server.stop()?;
    let server = Server::start(data.path())?;
    let client = Client::new(&server.url, client.key());
    assert_eq!(client.get("/readyz").await?.status, 200);
    assert_eq!(
        client.authorize("ada", "call", 1_000, 0).await?.status,
        200,
        "the id was not used up"
    );
    Ok(())
}

/// 1,000 tokens in at 1 usd per million are 0.001 usd: 0.1 usd covers 100 of them. Every call is sent twice, by two
/// tasks at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_authorizes_on_a_balance_for_a_hundred_allow_a_hundred() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (server, client) = house(data.path()).await?;
    client.customer("ada", "0.1").await?;
    let mut calls = JoinSet::new();
    for n in 0..1_000 {
        let client = client.clone();
        calls.spawn(async move {
            let id = format!("call-{n}");
            let (a, b) = tokio::join!(
                client.authorize("ada", &id, 1_000, 0),
                client.authorize("ada", &id, 1_000, 0)
            );
            (id, a, b)
        });
    }
    let mut allowed = 0;
    let mut answers = Vec::new();
    while let Some(call) = calls.join_next().await {
        let (id, a, b) = call?;
        let (a, b) = (a?, b?);
        assert_eq!(
            a.clone().first(),
            b.clone().first(),
            "{id}: a retry gets the same answer"
        );
        allowed += usize::from(a.status == 200);
        assert!(matches!(a.status, 200 | 402), "{a:?}");
        answers.push((id, a));
    }
    assert_eq!(allowed, 100);
    assert_eq!(client.balance("ada").await?, ("0".to_string(), "0.1".to_string()));
    // Again after a restart: the answers come from the disk.
    server.stop()?;
    let server = Server::start(data.path())?;
    assert_eq!(server.admin_key, None, "the key is shown once");
    let client = Client::new(&server.url, client.key());
    for (id, first) in answers.into_iter().step_by(20) {
        let again = client.authorize("ada", &id, 1_000, 0).await?;
        assert_eq!(again.status, first.status);
        assert_eq!(again.first(), first.first(), "{id}");
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_load_fails_no_request() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (server, client) = house(data.path()).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut streams = JoinSet::new();
    for stream in 0..8 {
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        streams.spawn(async move {
            let customer = format!("customer-{stream}");
            client.customer(&customer, "1000").await?;
            let mut revisions = std::collections::BTreeSet::new();
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let allowed = client
                    .authorize(&customer, &format!("call-{n}"), 1_000, 0)
                    .await?
                    .ok()?;
                let hold = allowed["hold"]["id"].as_str().context("a hold")?;
                let settled = client.settle(hold, "settle", 1_000, 0).await?.ok()?;
                assert_eq!(
                    settled["revision"], allowed["revision"],
                    "the revision that quoted settles"
                );
                assert_eq!(settled["posted"], allowed["hold"]["amounts"]);
                revisions.insert(allowed["revision"].to_string());
                n += 1;
            }
            anyhow::Ok(revisions.len())
        });
    }
    for round in 0..6 {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        client
            .push_plan(if round % 2 == 0 { DEARER } else { PRICES })
            .await?;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(stream) = streams.join_next().await {
        assert_eq!(stream??, 2, "both revisions priced calls of every customer");
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_names_the_field_and_changes_nothing() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (server, client) = house(data.path()).await?;
    client.customer("ada", "1").await?;
    client.authorize("ada", "call", 100_000, 0).await?.ok()?;
    let other = client.authorize("ada", "call", 100_001, 0).await?;
    assert_eq!(other.status, 409);
    assert!(
        other.body.to_string().contains("measures.input_tokens"),
        "{other:?}"
    );
    assert_eq!(
        client.balance("ada").await?,
        ("0.9".to_string(), "0.1".to_string())
    );
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_graceful_stop_is_there_after_it() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (server, client) = house(data.path()).await?;
    client.customer("ada", "100").await?;
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let client = client.clone();
        calls.spawn(async move { (n, client.authorize("ada", &format!("call-{n}"), 10_000, 0).await) });
    }
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    server.stop()?;
    let mut answered = Vec::new();
    while let Some(call) = calls.join_next().await {
        if let (n, Ok(answer)) = call?
            && answer.status == 200
        {
            answered.push((n, answer));
        }
    }
    let server = Server::start(data.path())?;
    let client = Client::new(&server.url, client.key());
    for (n, first) in answered {
        let again = client.authorize("ada", &format!("call-{n}"), 10_000, 0).await?;
        assert_eq!(
            again.body["replayed"],
            json!(true),
            "call-{n} was answered before the stop"
        );
        assert_eq!(again.first(), first.first());
    }
    server.stop()
}
