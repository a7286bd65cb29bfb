//! Usage that happened.

use farebox_record::time::Span;
use serde_json::{Value, json};

use crate::support::{House, answer};

fn call(id: &str, input: u64) -> Value {
    json!({"id": id, "customer": "acme", "type": "llm.call", "measures": {"input_tokens": input},
        "attributes": {"model": "one"}})
}

fn statuses(answer: &Value) -> Vec<&str> {
    answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_its_answer_in_order() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    client.post("/v1/events", call("seen", 1_000)).await.expect(200);
    let mut elsewhere = call("e", 1);
    elsewhere["customer"] = json!("nobody");
    let mut no_model = call("n", 1);
    no_model["attributes"] = json!({});
    let mut other_type = call("o", 1);
    other_type["type"] = json!("storage.write");
    let events = json!([
        call("a", 1_000), call("seen", 1_000), call("seen", 2_000), {"id": 7}, elsewhere, no_model, other_type,
        call("a", 1_000)
    ]);
    let answered = client.post("/v1/events", events).await.expect(200);
    assert_eq!(
        statuses(&answered),
        [
            "accepted", "accepted", "conflict", "rejected", "rejected", "unpriced", "unpriced", "accepted"
        ]
    );
    let result = |index: usize| &answered["results"][index];
    assert_eq!(
        result(0)["charges"][0],
        json!({"code": "input-tokens", "asset": "usd", "amount": "0.001", "quantity": "1000"})
    );
    assert_eq!(
        (&result(1)["replayed"], &result(0)["replayed"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        (&result(2)["code"], &result(2)["field"]),
        (&json!("conflict"), &json!("measures.input_tokens"))
    );
    assert_eq!(
        (&result(3)["code"], &result(3)["pointer"]),
        (&json!("invalid_request"), &json!("/3/id"))
    );
    assert_eq!(result(4)["code"], "unknown_customer");
    assert_eq!(result(5)["code"], "invalid_event");
    assert_eq!(result(6)["code"], "no_subscription");
    assert_eq!(result(7)["replayed"], true, "the same id twice in one call");
    let counts =
        ["accepted", "unpriced", "conflict", "rejected"].map(|name| answered[name].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1, 2]);
    assert_eq!(client.balance("acme").await.0, "0.998");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_one_has_the_status_of_its_result() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    client.post("/v1/events", call("a", 1_000)).await.expect(200);
    let again = client.post("/v1/events", call("a", 1_000)).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(200)["results"][0]["replayed"], true);
    let conflict = client
        .post("/v1/events", call("a", 2_000))
        .await
        .problem(409, "conflict");
    assert_eq!(conflict["results"][0]["status"], "conflict");
    let rejected = client
        .post("/v1/events", json!({"id": "b"}))
        .await
        .problem(422, "invalid_request");
    assert_eq!(rejected["results"][0]["status"], "rejected");
    let mut old = call("c", 1);
    old["time"] = json!("2026-10-01T00:00:00Z");
    assert_eq!(
        client.post("/v1/events", old).await.problem(422, "invalid_time")["field"],
        "time"
    );
    house.close().await.unwrap();
}

/// Whoever retries is answered before anything is looked at that depends on the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_behind_the_late_window_has_the_first_answer() {
    let house = House::with_customer("1").await; // it is 23 November 2026, 09:30
    let client = house.admin.clone();
    let mut late = call("late", 1_000);
    late["time"] = json!("2026-10-20T09:30:00Z"); // 34 days ago
    let first = client.post("/v1/events", late.clone()).await.expect(200);
    assert_eq!(statuses(&first), ["accepted"]);
    house.clock.advance(Span::days(2));
    let again = client.post("/v1/events", late.clone()).await.expect(200);
    assert_eq!(again["results"][0]["replayed"], true);
    assert_eq!(client.balance("acme").await.0, "0.999", "it was billed once");
    // What is not known is as old, and refused for it.
    late["id"] = json!("another");
    client.post("/v1/events", late).await.problem(422, "invalid_time");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_forms_carry_the_same_events() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let lines = format!("{}\n{}\nnonsense\n", call("n1", 1_000), call("n2", 1_000));
    let answered = client
        .send("/v1/events", "application/x-ndjson", lines)
        .await
        .expect(200);
    assert_eq!(statuses(&answered), ["accepted", "accepted", "rejected"]);
    assert_eq!(answered["results"][2]["code"], "malformed");

    let cloud = |id: &str| {
        json!({"specversion": "1.0", "id": id, "source": "/gateway", "type": "llm.call", "subject": "acme",
            "time": "2026-11-23T09:29:00Z", "traceparent": format!("00-{id}"), "data": {"input_tokens": 1_000, "model": "one"}})
    };
    let media = "application/cloudevents+json; charset=utf-8";
    let answered = client
        .send("/v1/events", media, cloud("c1").to_string())
        .await
        .expect(200);
    assert_eq!(
        (&answered["results"][0]["source"], answered["accepted"].as_u64()),
        (&json!("/gateway"), Some(1))
    );
    let batch = json!([cloud("c2"), cloud("c1")]).to_string();
    let answered = client
        .send("/v1/events", "application/cloudevents-batch+json", batch)
        .await
        .expect(200);
    assert_eq!(statuses(&answered), ["accepted", "accepted"]);
    assert_eq!(answered["results"][1]["replayed"], true);

    let binary = client
        .http
        .post(format!("{}/v1/events", client.url))
        .bearer_auth(&client.key);
    let binary = binary
        .header("content-type", "application/json")
        .body(r#"{"input_tokens": 1000, "model": "one"}"#);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "c3"),
        ("ce-source", "/gateway"),
        ("ce-type", "llm.call"),
        ("ce-subject", "acme"),
    ];
    let binary = headers
        .iter()
        .fold(binary, |request, (name, value)| request.header(*name, *value));
    assert_eq!(answer(binary).await.expect(200)["accepted"], 1);
    assert_eq!(client.balance("acme").await.0, "0.995");

    let shown = client
        .get("/v1/customers/acme/events/c1?source=%2Fgateway")
        .await
        .expect(200);
    assert_eq!(
        (&shown["type"], &shown["measures"]),
        (&json!("llm.call"), &json!({"input_tokens": "1000"}))
    );
    let problem = client
        .send("/v1/events", "text/csv", "a,b")
        .await
        .problem(415, "unsupported_media_type");
    assert!(problem["detail"].as_str().unwrap().contains("x-ndjson"));
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_shown_with_all_that_it_led_to() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let allowed = client.authorize("held", 1_000, 0).await.expect(200);
    let hold = allowed["hold"]["id"].as_str().unwrap();
    let settle = json!({"id": "s", "measures": {"input_tokens": 500, "output_tokens": 0}});
    client
        .post(&format!("/v1/holds/{hold}/settle"), settle)
        .await
        .expect(200);
    let shown = client.get("/v1/customers/acme/events/held").await.expect(200);
    let records: Vec<_> = shown["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["answer"].as_str().unwrap())
        .collect();
    assert_eq!(records, ["allowed", "settled"]);
    assert_eq!(shown["records"][1]["charges"][0]["amount"], "0.0005");
    assert!(!shown["records"][1]["entries"].as_array().unwrap().is_empty());

    client
        .post(
            "/v1/events",
            json!({"id": "later", "customer": "acme", "type": "other"}),
        )
        .await
        .expect(200);
    let shown = client.get("/v1/customers/acme/events/later").await.expect(200);
    assert_eq!(
        (&shown["records"][0]["answer"], &shown["records"][0]["code"]),
        (&json!("unpriced"), &json!("no_subscription"))
    );
    client
        .get("/v1/customers/acme/events/never")
        .await
        .problem(404, "unknown_event");
    client
        .get("/v1/customers/acme/events/later?source=x")
        .await
        .problem(404, "unknown_event");
    client
        .get("/v1/customers/nobody/events/later")
        .await
        .problem(404, "unknown_customer");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_are_one_call() {
    let house = House::with_customer("100").await;
    let client = house.admin.clone();
    let body: String = (0..10_000)
        .map(|n| format!("{}\n", call(&format!("e{n}"), 1_000)))
        .collect();
    let answered = client
        .send("/v1/events", "application/x-ndjson", body.clone())
        .await
        .expect(200);
    assert_eq!(answered["accepted"], 10_000);
    assert_eq!(client.balance("acme").await.0, "90");
    let more = format!("{body}{}\n", call("one-more", 1));
    let problem = client
        .send("/v1/events", "application/x-ndjson", more)
        .await
        .problem(413, "too_many_events");
    assert_eq!(problem["limit"], "EVENTS_PER_CALL_MAX");
    house.close().await.unwrap();
}

/// What an event or a grant may hold: 64 measures, attributes and conditions, names of 64 bytes, texts of 1,024, labels of 256.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_beyond_its_limit_is_refused_by_name_and_nothing_is_kept() {
    let house = House::with_customer("100").await;
    let client = house.admin.clone();
    let many = |count: usize, value: Value| -> Value {
        (0..count).map(|n| (format!("n{n}"), value.clone())).collect()
    };
    let one = |name: String, value: Value| -> Value { [(name, value)].into_iter().collect() };
    let text = |bytes: usize| "x".repeat(bytes);
    let event = |measures: Value, attributes: Value| {
        let mut event = json!({"id": "e", "customer": "acme", "type": "other"});
        event["measures"] = measures;
        event["attributes"] = attributes;
        event
    };
    let grant = |conditions: usize, label: usize| {
        json!({"id": "g", "asset": "usd", "amount": "1", "category": "paid", "label": text(label),
            "applies_to": {"attributes": many(conditions, json!("x"))}})
    };
    let (events, grants) = ("/v1/events", "/v1/customers/acme/grants");
    let before = client.balance("acme").await;
    for (path, body, limit) in [
        (
            events,
            event(many(65, json!(1)), json!({})),
            "MEASURES_PER_EVENT_MAX",
        ),
        (
            events,
            event(json!({}), many(65, json!("x"))),
            "ATTRIBUTES_PER_EVENT_MAX",
        ),
        (
            events,
            event(one(text(65), json!(1)), json!({})),
            "FIELD_NAME_BYTES_MAX",
        ),
        (
            events,
            event(json!({}), one(text(65), json!("x"))),
            "FIELD_NAME_BYTES_MAX",
        ),
        (
            events,
            event(json!({}), json!({"a": text(1_025)})),
            "ATTRIBUTE_BYTES_MAX",
        ),
        (grants, grant(65, 1), "GRANT_CONDITIONS_MAX"),
        (grants, grant(1, 257), "LABEL_BYTES_MAX"),
    ] {
        let refused = client.post(path, body).await.problem(422, "invalid_request");
        assert!(
            refused["detail"].as_str().unwrap().contains(limit),
            "{limit}: {refused}"
        );
    }
    assert_eq!(client.balance("acme").await, before);
    // All that there may be.
    let largest = event(many(64, json!(1)), many(64, json!(text(1_024))));
    client.post(events, largest).await.expect(200);
    let mut named = event(one(text(64), json!(1)), one(text(64), json!("x")));
    named["id"] = json!("named");
    client.post(events, named).await.expect(200);
    client.post(grants, grant(64, 256)).await.expect(201);
    house.close().await.unwrap();
}
