//! What a deadline charges is told of the event that set it: a resolution is 1 usd, a day after it was claimed.

use farebox_record::time::Span;
use serde_json::{Value, json};

use crate::support::{Client, House, per_outcome};

/// `acme` with 10 usd, on the plan; and the plan's component.
async fn house() -> (House, String) {
    let house = House::open().await;
    let client = &house.admin;
    let prices = json!({"outcomes": {"resolution": "1", "handoff": "0.50"}, "counts_after_hours": 24});
    let component = client.push("outcomes", per_outcome(), prices).await;
    client.put("/v1/customers/acme", json!({})).await.expect(201);
    let grant = json!({"id": "start", "asset": "usd", "amount": "10", "category": "paid"});
    client.post("/v1/customers/acme/grants", grant).await.expect(201);
    let subscription = json!({"id": "s", "customer": "acme", "plan": "outcomes"});
    client.post("/v1/subscriptions", subscription).await.expect(201);
    (house, component)
}

async fn claim(client: &Client, id: &str, conversation: &str, kind: &str) {
    let event = json!({"id": id, "customer": "acme", "type": "outcome.claimed",
        "attributes": {"conversation": conversation, "outcome": kind}});
    client.post("/v1/events", event).await.expect(200);
}

async fn shown(client: &Client, event: &str) -> Value {
    let path = format!("/v1/customers/acme/events/{event}");
    client.get(&path).await.expect(200)
}

/// What was done, each with what it took from the grant.
fn records(shown: &Value) -> Vec<String> {
    let records = shown["records"].as_array().unwrap().iter();
    let told = |record: &Value| {
        let entries = record["entries"].as_array().unwrap().iter();
        let mut taken = entries.filter(|entry| entry["account"] == "available");
        let kind = record["kind"].as_str().unwrap();
        match taken.next() {
            Some(entry) => format!("{kind} {}", entry["amount"].as_str().unwrap()),
            None => kind.to_string(),
        }
    };
    records.map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_tells_what_its_deadline_charged() {
    let (house, _) = house().await;
    let client = house.admin.clone();
    claim(&client, "a", "c1", "resolution").await;
    assert_eq!(records(&shown(&client, "a").await), ["usage"]);
    house.clock.advance(Span::days(1));
    let charged = shown(&client, "a").await;
    assert_eq!(records(&charged), ["usage", "timer -1"]);
    assert_eq!(charged["standing"]["charges"][0]["amount"], "1");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_does_of_one_that_was_answered_late() {
    let (house, component) = house().await;
    let client = house.admin.clone();
    claim(&client, "a", "c1", "handoff").await;
    // For a day nobody knows what a handoff costs.
    let without = json!({"outcomes": {"resolution": "1"}, "counts_after_hours": 24});
    client.put_in_force("outcomes", &component, without).await;
    house.clock.advance(Span::days(1));
    assert_eq!(records(&shown(&client, "a").await), ["usage"]);
    let with = json!({"outcomes": {"resolution": "1", "handoff": "0.50"}, "counts_after_hours": 24});
    client.put_in_force("outcomes", &component, with).await;
    for _ in 0..400 {
        if records(&shown(&client, "a").await).len() > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(
        records(&shown(&client, "a").await),
        ["usage", "transition_retried -0.5"]
    );
    let entries = client.get("/v1/customers/acme/entries").await.expect(200);
    assert_eq!(entries["entries"][0]["event"]["id"], "a");
    house.close().await.unwrap();
}
