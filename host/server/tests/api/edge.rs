//! Limits, open pages, and the end of a server.

use std::time::Duration;

use farebox_record::control::Role;
use farebox_server::{Config, MetricsAccess};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Client, House, answer, key};

fn stranger(house: &House) -> Client {
    Client {
        key: String::new(),
        ..house.admin.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_pages_need_no_key_and_nothing_from_elsewhere() {
    let house = House::open().await;
    let anyone = stranger(&house);
    assert_eq!(anyone.get("/healthz").await.expect(200)["status"], "ok");
    assert_eq!(anyone.get("/readyz").await.expect(200)["status"], "ok");
    assert!(
        anyone.get("/openapi.json").await.expect(200)["openapi"]
            .as_str()
            .unwrap()
            .starts_with("3.1")
    );
    let page = anyone.get("/docs").await.expect(200);
    let page = page.as_str().unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    for place in ["href=\"http", "src=\"http", "href=\"//", "src=\"//"] {
        assert!(!page.contains(place), "{page}");
    }
    anyone.get("/docs/swagger-ui-bundle.js").await.expect(200);
    let settings = anyone.get("/docs/swagger-initializer.js").await.expect(200);
    assert!(settings.as_str().unwrap().contains("/openapi.json"), "{settings}");
    anyone.get("/metrics").await.problem(401, "unauthenticated");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_requests_and_decisions() {
    let config = Config {
        metrics: MetricsAccess::Public,
    };
    let house = House::open_with(config).await;
    house.push_plan().await;
    house.customer("acme", "0.001").await;
    house.admin.authorize("a", 1_000, 0).await.expect(200);
    house
        .admin
        .authorize("b", 1_000, 0)
        .await
        .problem(402, "insufficient_funds");
    house.admin.get("/nowhere").await.problem(404, "not_found");
    let text = stranger(&house).get("/metrics").await.expect(200);
    let text = text.as_str().unwrap();
    for line in [
        r#"farebox_http_requests_total{route="/v1/authorize",method="POST",status="402"}"#,
        r#"farebox_http_requests_total{route="other",method="other",status="404"}"#,
        r#"farebox_http_request_seconds_bucket{route="/v1/authorize",method="POST",le="#,
        r#"farebox_decisions_total{decision="denied",code="insufficient_funds"}"#,
        r#"farebox_decisions_total{decision="allowed",code=""}"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_too() {
    let house = House::open().await;
    house.admin.get("/v2/customers").await.problem(404, "not_found");
    let wrong = house.admin.call(Method::DELETE, "/v1/customers/acme", None).await;
    assert_eq!(wrong.headers["allow"], "PUT, GET");
    wrong.problem(405, "method_not_allowed");
    let request = house
        .admin
        .http
        .post(format!("{}/v1/authorize", house.url))
        .bearer_auth(&house.admin.key);
    answer(request.body("{}"))
        .await
        .problem(415, "unsupported_media_type");
    house
        .admin
        .send("/v1/authorize", "application/json", "{")
        .await
        .problem(400, "malformed");
    let large = format!("{{\"id\": \"{}\"}}", "x".repeat(1 << 20));
    house
        .admin
        .send("/v1/authorize", "application/json", large)
        .await
        .problem(413, "too_large");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_limit() {
    let house = House::open().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    // The server may close before all of it is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answered = Vec::new();
    let _ = stream.read_to_end(&mut answered).await;
    assert!(
        answered.is_empty() || answered.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answered)
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_finishes_what_is_in_work() {
    let mut house = House::with_customer("1").await;
    // A request whose body is not complete yet.
    let body =
        json!({"id": "last", "customer": "acme", "type": "llm.call", "measures": {"input_tokens": 1_000},
        "attributes": {"model": "one"}})
        .to_string();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        house.admin.key,
        body.len(),
        &body[..10]
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let serving = house.begin_close();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!serving.is_finished());
    assert!(
        TcpStream::connect(house.address).await.is_err(),
        "nobody new is let in"
    );
    stream.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answered = String::new();
    stream.read_to_string(&mut answered).await.unwrap();
    assert!(
        answered.starts_with("HTTP/1.1 200") && answered.contains("accepted"),
        "{answered}"
    );
    serving.await.unwrap().unwrap();
    let engine = house.engine.clone();
    tokio::task::spawn_blocking(move || engine.stop())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_has_stopped_is_told() {
    let house = House::with_customer("1").await;
    let engine = house.engine.clone();
    tokio::task::spawn_blocking(move || engine.stop())
        .await
        .unwrap()
        .unwrap();
    let problem = house.admin.authorize("x", 1, 1).await;
    assert_eq!(problem.headers["retry-after"], "1");
    problem.problem(503, "stopped");
    stranger(&house).get("/readyz").await.problem(503, "stopped");
    stranger(&house).get("/healthz").await.expect(200);
    house
        .admin
        .post("/v1/keys", json!({"id": "k", "role": "read"}))
        .await
        .problem(503, "stopped");
}

/// The head of a report of events whose body never comes.
async fn announce(house: &House, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {bytes}\r\n\r\n",
        house.admin.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// 256 MiB of bodies may be in work, of which a tenant takes as much as it leaves: eight of 16 MiB. What is too much is
/// refused by its head, before memory is taken for its body.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_much_at_once_are_refused_before_they_are_read() {
    let house = House::with_customer("1").await;
    let other = key(&house.engine, "other", "key", Role::Ingest, &house.url).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(announce(&house, 16 << 20).await);
    }
    let mut refused = loop {
        let mut stream = announce(&house, 16 << 20).await;
        let mut head = [0; 12];
        match tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut head)).await {
            Ok(read) => {
                read.unwrap();
                assert_eq!(&head, b"HTTP/1.1 429");
                break stream;
            }
            // It took room before one of the eight did, on a slow machine: it keeps it, so that all is taken in the end.
            Err(_) => waiting.push(stream),
        }
    };
    let mut rest = String::new();
    refused.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("retry-after: 1"), "{rest}");
    assert!(rest.contains("BODY_BYTES_IN_WORK_MAX"), "{rest}");
    let event =
        || json!({"id": "e", "customer": "nobody", "type": "llm.call", "measures": {"input_tokens": 1}});
    house.admin.post("/v1/events", event()).await.problem(429, "busy");
    other
        .post("/v1/events", event())
        .await
        .problem(404, "unknown_customer");
    // Who went away takes no room.
    drop(waiting);
    while house.admin.post("/v1/events", event()).await.status == 429 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.close().await.unwrap();
}
