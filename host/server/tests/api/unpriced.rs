//! What waits for a price is listed until it has one.

use serde_json::{Value, json};

use crate::support::House;

fn call(id: &str, model: &str) -> Value {
    json!({"id": id, "customer": "acme", "type": "llm.call", "measures": {"input_tokens": 1_000},
        "attributes": {"model": model}})
}

fn ids(page: &Value) -> Vec<&str> {
    let waiting = page["unpriced"].as_array().unwrap();
    waiting
        .iter()
        .map(|item| item["event"]["id"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_waits_is_listed_page_by_page_oldest_first() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let path = "/v1/customers/acme/unpriced";
    assert_eq!(client.get(path).await.expect(200), json!({"unpriced": []}));
    let mut storage = call("stored", "one");
    storage["type"] = json!("storage.write");
    let events = json!([call("a", "new"), call("priced", "one"), storage, call("b", "new")]);
    client.post("/v1/events", events).await.expect(200);
    let counted =
        async || client.get("/v1/customers/acme/balance").await.expect(200)["unpriced_events"].clone();
    assert_eq!(counted().await, 3);
    let all = client.get(path).await.expect(200);
    assert_eq!(ids(&all), ["a", "stored", "b"]);
    assert_eq!(all["next"], Value::Null);
    let first = &all["unpriced"][0];
    assert_eq!(
        (&first["kind"], &first["code"], &first["received_at"]),
        (
            &json!("usage"),
            &json!("unpriceable"),
            &json!("2026-11-23T09:30:00Z")
        )
    );
    assert_eq!(
        first["event"],
        json!({"id": "a", "source": "api", "type": "llm.call", "measures": {"input_tokens": "1000"},
            "attributes": {"model": "new"}})
    );
    assert_eq!(all["unpriced"][1]["code"], "no_subscription");
    // Two at a time.
    let page = client.get(&format!("{path}?limit=2")).await.expect(200);
    assert_eq!(ids(&page), ["a", "stored"]);
    let next = page["next"].as_str().unwrap();
    let page = client
        .get(&format!("{path}?limit=2&cursor={next}"))
        .await
        .expect(200);
    assert_eq!((ids(&page), &page["next"]), (vec!["b"], &Value::Null));
    // What is taken back waits no longer.
    let void = "/v1/customers/acme/events/a/void";
    client.post(void, json!({})).await.expect(200);
    assert_eq!(ids(&client.get(path).await.expect(200)), ["stored", "b"]);
    assert_eq!(counted().await, 2);
    // Another list's cursor is none, and another customer has no list.
    client
        .get(&format!("{path}?cursor=bm93aGVyZQ"))
        .await
        .problem(422, "invalid_parameter");
    client
        .get("/v1/customers/nobody/unpriced")
        .await
        .problem(404, "unknown_customer");
    house.close().await.unwrap();
}
