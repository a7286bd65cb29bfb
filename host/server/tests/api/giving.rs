//! What a plan gives back of an earlier event is told of both: a resolution costs 0.99, and opening its ticket again gives
//! that back, with 0.10 for each minute of work.

use serde_json::{Value, json};

use crate::support::{Client, House, outcomes};

/// `acme` with 0.50 usd that was given and 9.50 that was bought, on the plan.
async fn house() -> House {
    let house = House::open().await;
    let client = &house.admin;
    client.push("outcomes", outcomes(), json!({})).await;
    client.put("/v1/customers/acme", json!({})).await.expect(201);
    for (id, amount, category) in [("gift", "0.5", "promotional"), ("start", "9.5", "paid")] {
        let mut grant = json!({"id": id, "asset": "usd", "amount": amount, "category": category});
        if category == "promotional" {
            grant["expires_at"] = json!("2026-12-01T00:00:00Z");
        }
        client.post("/v1/customers/acme/grants", grant).await.expect(201);
    }
    let subscription = json!({"id": "s", "customer": "acme", "plan": "outcomes"});
    client.post("/v1/subscriptions", subscription).await.expect(201);
    house
}

async fn used(client: &Client, event: Value) {
    client.post("/v1/events", event).await.expect(200);
}

fn resolved(id: &str) -> Value {
    json!({"id": id, "customer": "acme", "type": "ticket.resolved"})
}

fn reopened(id: &str, of: &str, minutes: u32) -> Value {
    json!({"id": id, "customer": "acme", "type": "ticket.reopened", "measures": {"minutes": minutes},
        "attributes": {"resolution": of}})
}

async fn shown(client: &Client, event: &str) -> Value {
    let path = format!("/v1/customers/acme/events/{event}");
    client.get(&path).await.expect(200)
}

fn slice(event: &str, amount: &str, grant: &str) -> Value {
    json!({"event": {"source": "api", "id": event}, "code": "resolution", "asset": "usd", "amount": amount,
        "from": "grant", "grant": grant})
}

/// `usage of opened-1`: what was done, with which other event.
fn records(shown: &Value) -> Vec<String> {
    let records = shown["records"].as_array().unwrap().iter();
    let told = |record: &Value| match record.get("event") {
        Some(other) => format!(
            "{} of {}",
            record["kind"].as_str().unwrap(),
            other["id"].as_str().unwrap()
        ),
        None => record["kind"].as_str().unwrap().to_string(),
    };
    records.map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_tells_what_was_given_back_of_it_and_by_which() {
    let house = house().await;
    let client = house.admin.clone();
    used(&client, resolved("solved-1")).await;
    let before = shown(&client, "solved-1").await;
    let none = (&json!([]), &json!([]));
    let standing = &before["standing"];
    assert_eq!((&standing["given_back"], &standing["gave_back"]), none);
    assert_eq!(standing["taken"].as_array().unwrap().len(), 2, "from both grants");

    used(&client, reopened("opened-1", "solved-1", 3)).await;
    let solved = shown(&client, "solved-1").await;
    let standing = &solved["standing"];
    assert_eq!(
        (&standing["status"], &standing["taken"]),
        (&json!("charged"), &json!([])),
        "it stands, and all of it came back"
    );
    // The 0.50 that was given burnt first, so the 0.49 that was bought come back first.
    let back = json!([
        slice("opened-1", "0.49", "start"),
        slice("opened-1", "0.5", "gift")
    ]);
    assert_eq!(
        (&standing["given_back"], &standing["gave_back"]),
        (&back, &json!([]))
    );
    assert_eq!(records(&solved), ["usage", "usage of opened-1"]);
    assert_eq!(
        solved["records"][1]["charges"][0]["amount"], "-0.99",
        "what the plan said then"
    );

    let opened = shown(&client, "opened-1").await;
    let standing = &opened["standing"];
    let gave = json!([
        slice("solved-1", "0.49", "start"),
        slice("solved-1", "0.5", "gift")
    ]);
    assert_eq!(
        (&standing["given_back"], &standing["gave_back"]),
        (&json!([]), &gave)
    );
    assert_eq!(records(&opened), ["usage"], "no other event is about it");
    // 10 - 0.30
    assert_eq!(client.balance("acme").await.0, "9.7");

    // It was never opened again: nothing of either stands, and both tell how that came.
    client
        .post("/v1/customers/acme/events/opened-1/void", json!({}))
        .await
        .expect(200);
    let solved = shown(&client, "solved-1").await;
    assert_eq!(
        (
            &solved["standing"]["given_back"],
            &solved["standing"]["gave_back"]
        ),
        none
    );
    assert_eq!(
        records(&solved),
        ["usage", "usage of opened-1", "void of opened-1"]
    );
    assert_eq!(client.balance("acme").await.0, "9.01");
    let opened = shown(&client, "opened-1").await;
    assert_eq!(opened["standing"]["status"], "voided");
    assert_eq!(
        (
            &opened["standing"]["given_back"],
            &opened["standing"]["gave_back"]
        ),
        none
    );
    assert_eq!(records(&opened), ["usage", "void"]);
    house.close().await.unwrap();
}

/// What was given had expired by then: it came back as breakage.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_tells_what_of_it_came_too_late() {
    let house = house().await;
    let client = house.admin.clone();
    used(&client, resolved("solved-1")).await;
    house.clock.advance(farebox_record::time::Span::days(10));
    used(&client, reopened("opened-1", "solved-1", 0)).await;
    let solved = shown(&client, "solved-1").await;
    let mut lost = slice("opened-1", "0.5", "gift");
    lost["lost"] = json!("0.5");
    assert_eq!(
        solved["standing"]["given_back"],
        json!([slice("opened-1", "0.49", "start"), lost])
    );
    assert_eq!(client.balance("acme").await.0, "9.5");
    house.close().await.unwrap();
}
