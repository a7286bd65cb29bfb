//! The change feed: pages, filters, streams, and what ends them.

use std::time::Duration;

use farebox_record::control::Role;
use farebox_record::time::Span;
use farebox_server::limits::CHANGE_STREAMS_PER_TENANT_MAX;
use serde_json::{Value, json};

use crate::support::{Client, House};

fn kinds(page: &Value) -> Vec<&str> {
    let changes = page["changes"].as_array().unwrap();
    changes.iter().map(|c| c["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_once_in_order_with_what_goes_with_them() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let before = client.get("/v1/changes").await.expect(200);
    assert_eq!(
        kinds(&before),
        ["revision_activated", "grant_received", "subscription_started"]
    );
    assert_eq!(before["more"], false);
    let grant = &before["changes"][1];
    assert_eq!(
        (&grant["customer"], &grant["tenant"], &grant["sequence"]),
        (&json!("acme"), &json!("default"), &json!(2))
    );
    let expected = json!({"grant": "start", "asset": "usd", "amount": "1", "category": "paid",
        "effective_at": "2026-11-23T09:30:00Z"});
    assert_eq!(grant["data"], expected);
    assert!(before["changes"][0].get("customer").is_none());

    // 3,000,000 tokens out at 2 usd per million are 6 usd.
    client
        .authorize("dear", 0, 3_000_000)
        .await
        .problem(402, "insufficient_funds");
    let after = format!("/v1/changes?after={}", before["next"].as_str().unwrap());
    let page = client.get(&after).await.expect(200);
    let expected = json!({"event": {"source": "api", "id": "dear"}, "reason": "insufficient_funds",
        "event_type": "llm.call", "asset": "usd", "required": "6", "available": "1"});
    assert_eq!(
        (kinds(&page), &page["changes"][0]["data"]),
        (vec!["denied"], &expected)
    );

    // Page by page it is the same.
    let (mut paged, mut path) = (Vec::new(), "/v1/changes?limit=1".to_string());
    loop {
        let page = client.get(&path).await.expect(200);
        paged.extend(page["changes"].as_array().unwrap().clone());
        if page["more"] == false {
            break;
        }
        path = format!("/v1/changes?limit=1&after={}", page["next"].as_str().unwrap());
    }
    let all = client.get("/v1/changes").await.expect(200);
    assert_eq!(&paged, all["changes"].as_array().unwrap());
    let denied = client
        .get("/v1/changes?kind=denied&customer=acme")
        .await
        .expect(200);
    assert_eq!(kinds(&denied), ["denied"]);
    let none = client.get("/v1/changes?customer=nobody").await.expect(200);
    assert!(kinds(&none).is_empty());
    let refused = client
        .get("/v1/changes?kind=deneid")
        .await
        .problem(422, "invalid_parameter");
    assert_eq!(refused["parameter"], "kind");
    let refused = client
        .get("/v1/changes?after=x")
        .await
        .problem(422, "invalid_parameter");
    assert_eq!(refused["parameter"], "after");
    house
        .key(Role::Ingest)
        .await
        .get("/v1/changes")
        .await
        .problem(403, "forbidden");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_too_old_is_refused_by_name() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let first = client.get("/v1/changes?limit=1").await.expect(200);
    house.clock.advance(Span::days(36));
    let old = format!("/v1/changes?after={}", first["next"].as_str().unwrap());
    let problem = client.get(&old).await.problem(410, "changes_expired");
    assert_eq!(problem["limit"], "CHANGES_KEPT");
    client.get("/v1/changes").await.expect(200);
    house.close().await.unwrap();
}

/// A stream of server-sent events.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(client: &Client, path: &str, last: Option<&str>) -> Stream {
        let mut request = client
            .http
            .get(format!("{}{path}", client.url))
            .bearer_auth(&client.key);
        request = request.header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream {
            response,
            text: String::new(),
        }
    }

    /// The next event's id and data; none at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines
                        .find_map(|line| line.strip_prefix(name))
                        .map(|text| text.trim().to_string())
                };
                let found = field("id:").zip(field("data:"));
                let found = found.map(|(id, data)| (id, serde_json::from_str(&data).unwrap()));
                self.text = rest.to_string();
                match found {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk());
            let chunk = chunk.await.unwrap().unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_and_is_resumed_where_it_was() {
    let mut house = House::with_customer("1").await;
    let client = house.admin.clone();
    let mut stream = Stream::open(&client, "/v1/changes", None).await;
    let mut seen = Vec::new();
    for kind in ["revision_activated", "grant_received", "subscription_started"] {
        let (id, change) = stream.next().await.unwrap();
        assert_eq!(
            (&change["kind"], change["cursor"].as_str()),
            (&json!(kind), Some(id.as_str()))
        );
        seen.push((id, change));
    }
    client
        .authorize("dear-1", 0, 3_000_000)
        .await
        .problem(402, "insufficient_funds");
    let (_, denied) = stream.next().await.unwrap();
    assert_eq!(denied["data"]["event"]["id"], "dear-1");
    drop(stream);
    client
        .authorize("dear-2", 0, 3_000_000)
        .await
        .problem(402, "insufficient_funds");
    let mut stream = Stream::open(&client, "/v1/changes?kind=denied", Some(&seen[1].0)).await;
    for id in ["dear-1", "dear-2"] {
        assert_eq!(stream.next().await.unwrap().1["data"]["event"]["id"], id);
    }
    // At a shutdown streams end in order, and the server does not wait for them.
    let closing = house.begin_close();
    assert_eq!(stream.next().await, None, "the end, and no error");
    closing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_end_with_their_key() {
    let house = House::with_customer("1").await;
    let reader = house.key(Role::Read).await;
    let mut streams = Vec::new();
    for _ in 0..CHANGE_STREAMS_PER_TENANT_MAX {
        streams.push(Stream::open(&reader, "/v1/changes?kind=denied", None).await);
    }
    let refused = reader
        .http
        .get(format!("{}/v1/changes", reader.url))
        .bearer_auth(&reader.key);
    let refused = crate::support::answer(refused.header("accept", "text/event-stream")).await;
    assert_eq!(
        refused.problem(429, "busy")["limit"],
        "CHANGE_STREAMS_PER_TENANT_MAX"
    );
    reader.get("/v1/changes").await.expect(200);
    house
        .admin
        .call(reqwest::Method::DELETE, "/v1/keys/key-Read", None)
        .await
        .expect(200);
    // Whatever happens next wakes them, and the key is good no more.
    house
        .admin
        .authorize("dear", 0, 3_000_000)
        .await
        .problem(402, "insufficient_funds");
    for mut stream in streams {
        while let Some((_, change)) = stream.next().await {
            assert_eq!(change["kind"], "denied");
        }
    }
    house.close().await.unwrap();
}
