//! Before a call, and after it.

use farebox_record::time::Span;
use reqwest::Method;
use serde_json::json;

use crate::support::House;

fn hold_of(allowed: &serde_json::Value) -> String {
    allowed["hold"]["id"].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_held_for_and_settled() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let allowed = client.authorize("call-1", 100_000, 50_000).await.expect(200);
    assert_eq!(allowed["allowed"], true);
    assert_eq!(
        allowed["hold"]["amounts"],
        json!([{"asset": "usd", "amount": "0.2"}])
    );
    assert_eq!(allowed["hold"]["expires_at"], "2026-11-23T09:45:00Z");
    assert_eq!(allowed["balance"][0]["available"], "0.8");
    assert_eq!(allowed["quote"].as_array().unwrap().len(), 2, "{allowed}");
    assert_eq!(client.balance("acme").await, ("0.8".into(), "0.2".into()));

    let hold = hold_of(&allowed);
    let shown = client.get(&format!("/v1/holds/{hold}")).await.expect(200);
    assert_eq!(
        (&shown["state"], &shown["event"], &shown["customer"]),
        (&json!("pending"), &json!("call-1"), &json!("acme"))
    );

    let part = json!({"id": "s1", "measures": {"input_tokens": 10_000, "output_tokens": 0}, "final": false});
    let settled = client
        .post(&format!("/v1/holds/{hold}/settle"), part)
        .await
        .expect(200);
    assert_eq!(settled["state"], "pending");
    assert_eq!(settled["posted"], json!([{"asset": "usd", "amount": "0.01"}]));
    let all = json!({"id": "s2", "usage": {"prompt_tokens": 100_000, "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 50_000}}});
    let settled = client
        .post(&format!("/v1/holds/{hold}/settle"), all.clone())
        .await
        .expect(200);
    assert_eq!(settled["state"], "settled");
    // 50,000 at 1, 50,000 cached at 0.1, 1 out at 2 per million are 0.055002; 0.01 was posted before.
    assert_eq!(settled["posted"], json!([{"asset": "usd", "amount": "0.045002"}]));
    assert_eq!(client.balance("acme").await, ("0.944998".into(), "0".into()));

    let again = client.post(&format!("/v1/holds/{hold}/settle"), all).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200)["posted"], settled["posted"]);
    let other = json!({"id": "s3", "measures": {"input_tokens": 1}});
    let problem = client
        .post(&format!("/v1/holds/{hold}/settle"), other)
        .await
        .problem(409, "hold_ended");
    assert_eq!(problem["state"], "settled");
    assert_eq!(
        client.get(&format!("/v1/holds/{hold}")).await.expect(200)["state"],
        "settled"
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_says_what_is_missing_and_stays() {
    let house = House::with_customer("0.01").await;
    let client = house.admin.clone();
    let problem = client
        .authorize("big", 36_600, 0)
        .await
        .problem(402, "insufficient_funds");
    assert_eq!(problem["allowed"], false);
    assert_eq!(
        (&problem["asset"], &problem["required"], &problem["available"]),
        (&json!("usd"), &json!("0.0366"), &json!("0.01"))
    );
    let grant = json!({"id": "more", "asset": "usd", "amount": "5", "category": "paid"});
    client.post("/v1/customers/acme/grants", grant).await.expect(201);
    let again = client.authorize("big", 36_600, 0).await;
    assert!(again.is_replayed());
    again.problem(402, "insufficient_funds");
    client.authorize("big-2", 36_600, 0).await.expect(200);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_replayed_and_another_request_is_a_conflict() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let first = client.authorize("call", 1_000, 0).await;
    assert!(!first.is_replayed());
    let first = first.expect(200);
    let again = client.authorize("call", 1_000, 0).await;
    assert!(again.is_replayed());
    let mut again = again.expect(200);
    again.as_object_mut().unwrap().remove("replayed");
    assert_eq!(again, first);
    let problem = client.authorize("call", 1_001, 0).await.problem(409, "conflict");
    assert_eq!(problem["field"], "measures.input_tokens");
    assert_eq!(client.balance("acme").await, ("0.999".into(), "0.001".into()));
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn known_usage_is_checked_and_debited_at_once() {
    let house = House::with_customer("0.001").await;
    let client = house.admin.clone();
    let body = |id: &str| {
        json!({"id": id, "customer": "acme", "settle": true, "event": {"type": "llm.call",
            "usage": {"prompt_tokens": 1_000, "completion_tokens": 0}, "attributes": {"model": "one"}}})
    };
    let allowed = client.post("/v1/authorize", body("a")).await.expect(200);
    assert!(allowed.get("hold").is_none(), "{allowed}");
    assert_eq!(allowed["balance"][0]["available"], "0");
    client
        .post("/v1/authorize", body("b"))
        .await
        .problem(402, "insufficient_funds");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_extended_released_and_expires() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let hold = hold_of(&client.authorize("a", 1_000, 0).await.expect(200));
    let more =
        json!({"id": "x1", "ttl_seconds": 3_600, "measures": {"input_tokens": 2_000, "output_tokens": 0}});
    let extended = client
        .post(&format!("/v1/holds/{hold}/extend"), more)
        .await
        .expect(200);
    assert_eq!(extended["held"], json!([{"asset": "usd", "amount": "0.002"}]));
    assert_eq!(extended["expires_at"], "2026-11-23T10:30:00Z");
    let release = format!("/v1/holds/{hold}/release");
    let released = client.call(Method::POST, &release, None).await.expect(200);
    assert_eq!(
        (&released["state"], &released["returned"][0]["amount"]),
        (&json!("released"), &json!("0.002"))
    );
    assert!(
        client.call(Method::POST, &release, None).await.is_replayed(),
        "a plain retry is the same release"
    );
    let other = client
        .post(&release, json!({"id": "again"}))
        .await
        .problem(409, "hold_ended");
    assert_eq!(other["state"], "released");

    let hold = hold_of(&client.authorize("b", 1_000, 0).await.expect(200));
    house.clock.advance(Span::seconds(900));
    assert_eq!(
        client.get(&format!("/v1/holds/{hold}")).await.expect(200)["state"],
        "expired"
    );
    client
        .call(Method::POST, &format!("/v1/holds/{hold}/release"), None)
        .await
        .problem(409, "hold_ended");
    let late = json!({"id": "late", "measures": {"input_tokens": 500, "output_tokens": 0}});
    assert_eq!(
        client
            .post(&format!("/v1/holds/{hold}/settle"), late)
            .await
            .expect(200)["late"],
        true
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_authorize_cannot_take_leaves_no_trace() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let with = |event: serde_json::Value| json!({"id": "x", "customer": "acme", "event": event});
    let missing = with(json!({"type": "llm.call", "measures": {"input_tokens": 1}}));
    let problem = client
        .post("/v1/authorize", missing)
        .await
        .problem(422, "invalid_event");
    assert_eq!(problem["field"], "model");
    let dry = json!({"id": "x", "customer": "acme", "dry_run": true, "event": {"type": "llm.call"}});
    let problem = client
        .post("/v1/authorize", dry)
        .await
        .problem(422, "invalid_request");
    assert_eq!(problem["pointer"], "/dry_run");
    let nobody = json!({"id": "x", "customer": "nobody", "event": {"type": "llm.call"}});
    client
        .post("/v1/authorize", nobody)
        .await
        .problem(404, "unknown_customer");
    let usage = with(json!({"type": "llm.call", "usage": {"prompt_tokens": 1}}));
    let problem = client
        .post("/v1/authorize", usage)
        .await
        .problem(422, "invalid_request");
    assert_eq!(problem["pointer"], "/event/usage");
    let long = json!({"id": "x", "customer": "acme", "ttl_seconds": 86_401, "event": {"type": "llm.call",
        "measures": {"input_tokens": 1, "output_tokens": 1}, "attributes": {"model": "one"}}});
    assert_eq!(
        client
            .post("/v1/authorize", long)
            .await
            .problem(422, "invalid_time")["field"],
        "ttl_seconds"
    );
    client.authorize("x", 1, 1).await.expect(200);
    client
        .get("/v1/holds/hold_nonsense")
        .await
        .problem(404, "unknown_hold");
    let other = with(json!({"type": "storage.write", "measures": {"bytes": 1}}));
    let mut other = other;
    other["id"] = json!("y");
    let problem = client
        .post("/v1/authorize", other)
        .await
        .problem(422, "no_subscription");
    assert_eq!(problem["allowed"], false);
    house.close().await.unwrap();
}
