//! Clients whose connection is gone before they are done.

use std::time::Duration;

use farebox_record::time::Span;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Client, House};

/// A request as it goes over the wire, with a key of its own.
fn raw(client: &Client, path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: farebox\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        client.key,
        body.len()
    )
}

/// Sends the first part of a request, and is gone: the connection is reset.
async fn die_behind(house: &House, request: &str, bytes: usize) {
    let mut connection = TcpStream::connect(house.address).await.unwrap();
    connection.write_all(&request.as_bytes()[..bytes]).await.unwrap();
    connection.flush().await.unwrap();
    // What was sent arrives before the reset does.
    tokio::time::sleep(Duration::from_millis(20)).await;
    connection.set_zero_linger().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dies_in_the_middle_of_a_stream_leaks_nothing() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let allowed = client.authorize("stream", 4_000_000, 0).await.expect(200);
    let path = format!("/v1/holds/{}/settle", allowed["hold"]["id"].as_str().unwrap());
    let part = |id: &str, tokens: u64| {
        let measures = json!({"input_tokens": tokens, "output_tokens": 0});
        json!({"id": id, "measures": measures, "final": false})
    };
    client.post(&path, part("part-1", 1_000_000)).await.expect(200);
    assert_eq!(client.balance("acme").await, ("6".into(), "3".into()));

    // It dies at any byte of its next report: in the head, between head and body, one byte before the end.
    let next = raw(&client, &path, &part("part-2", 2_000_000));
    let head = next.find("\r\n\r\n").unwrap();
    for bytes in [10, head, head + 4, head + 20, next.len() - 1] {
        die_behind(&house, &next, bytes).await;
    }
    assert_eq!(
        client.balance("acme").await,
        ("6".into(), "3".into()),
        "nothing of it happened"
    );

    // And with all of it sent, before it hears the answer: it happened once or not at all, and a retry makes it once.
    die_behind(&house, &next, next.len()).await;
    let retried = client.post(&path, part("part-2", 2_000_000)).await.expect(200);
    assert_eq!(
        retried["posted"],
        json!([{"asset": "usd", "amount": "1"}]),
        "{retried}"
    );
    assert_eq!(client.balance("acme").await, ("6".into(), "2".into()));

    // Nobody comes back. The hold gives up what it has set aside, and the call is what it used so far.
    house.clock.advance(Span::seconds(900));
    assert_eq!(client.balance("acme").await, ("8".into(), "0".into()));
    house.clock.advance(Span::seconds(3_600));
    assert_eq!(client.balance("acme").await, ("8".into(), "0".into()));
    let statement = client.get("/v1/customers/acme/statement").await.expect(200);
    assert_eq!(statement["assets"][0]["closing"]["amount"], "8", "{statement}");
    house.close().await.unwrap();
}
