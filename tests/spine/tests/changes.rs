//! The change feed across a `kill -9`: nothing that was answered is missing from it, and nothing comes twice.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use farebox_spine::{Client, PRICES, Server};
use serde_json::Value;

/// Reads a stream of server-sent events from behind a cursor until it breaks or `enough` says so.
async fn read(
    url: &str,
    key: &str,
    last: &mut Option<String>,
    seen: &mut Vec<(String, Value)>,
    enough: impl Fn(&[(String, Value)]) -> bool,
) -> Result<()> {
    let http = reqwest::Client::new();
    let mut request = http.get(format!("{url}/v1/changes?kind=denied")).bearer_auth(key);
    request = request.header("accept", "text/event-stream");
    if let Some(last) = last.as_deref() {
        request = request.header("last-event-id", last);
    }
    let mut response = request.send().await?;
    ensure!(response.status() == 200, "{}", response.status());
    let mut text = String::new();
    while !enough(seen) {
        let chunk = tokio::time::timeout(Duration::from_secs(60), response.chunk()).await;
        let Some(chunk) = chunk.context("the stream stalled")?? else {
            break;
        };
        text.push_str(std::str::from_utf8(&chunk)?);
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::trim)
            };
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                seen.push((id.to_string(), serde_json::from_str(data)?));
                *last = Some(id.to_string());
            }
            text = rest.to_string();
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_or_told_twice_across_kills() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut server = Server::start(data.path())?;
    let key = server.admin_key.clone().context("a key at the first start")?;
    let client = Client::new(&server.url, &key);
    client.push_plan(PRICES).await?;
    client.customer("ada", "0.000001").await?;
    let (mut last, mut seen, mut answered) = (None, Vec::new(), BTreeSet::new());
    for round in 0..3 {
        let client = Client::new(&server.url, &key);
        // A reader that is cut off by the kill in the middle of what it reads.
        let (url, key_of_reader, from) = (server.url.clone(), key.clone(), last.clone());
        let reader = tokio::spawn(async move {
            let (mut last, mut seen) = (from, Vec::new());
            let _cut_off = read(&url, &key_of_reader, &mut last, &mut seen, |_| false).await;
            (last, seen)
        });
        for n in 0..40 {
            let id = format!("call-{round}-{n}");
            let denied = client.authorize("ada", &id, 1_000, 0).await?;
            ensure!(denied.status == 402, "{denied:?}");
            answered.insert(id);
        }
        server.kill()?;
        let (reached, read) = reader.await?;
        (last, seen) = (reached, [seen, read].concat());
        server = Server::start(data.path())?;
    }
    let enough = |seen: &[(String, Value)]| seen.len() >= 120;
    read(&server.url, &key, &mut last, &mut seen, enough).await?;
    let told: Vec<String> = (seen.iter())
        .map(|(_, change)| {
            change["data"]["event"]["id"]
                .as_str()
                .unwrap_or_default()
                .to_string()
        })
        .collect();
    assert_eq!(told.len(), 120, "nothing comes twice");
    assert_eq!(
        told.iter().cloned().collect::<BTreeSet<_>>(),
        answered,
        "and nothing is missing"
    );
    let sequences: Vec<_> = seen
        .iter()
        .map(|(_, change)| change["sequence"].as_u64())
        .collect();
    assert!(sequences.is_sorted(), "in the order in which it happened");
    // All of it once more, from the beginning, says the same.
    let client = Client::new(&server.url, &key);
    let (mut again, mut path) = (Vec::new(), "/v1/changes?kind=denied&limit=100".to_string());
    loop {
        let page = client.get(&path).await?.ok()?;
        again.extend(page["changes"].as_array().context("changes")?.clone());
        if page["more"] == false {
            break;
        }
        let next = page["next"].as_str().context("a cursor")?;
        path = format!("/v1/changes?kind=denied&limit=100&after={next}");
    }
    assert_eq!(
        again,
        seen.into_iter().map(|(_, change)| change).collect::<Vec<_>>()
    );
    server.stop()
}
