//! Usage from long ago over HTTP: made, looked at, posted, taken back.

use farebox_record::time::Span;
use serde_json::json;

use crate::support::House;

const FILL: &str = "/v1/backfills/lost";

async fn available(house: &House) -> String {
    let balance = house.admin.get("/v1/customers/acme/balance").await.expect(200);
    balance["balance"][0]["available"].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_made_looked_at_posted_and_taken_back() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let then = house
        .engine
        .now(&farebox_record::ids::TenantId::new("default").unwrap());
    house.clock.advance(Span::days(60));
    let event = |id: &str, millions: u32| {
        json!({"id": id, "customer": "acme", "type": "llm.call", "time": then.to_string(),
            "measures": {"input_tokens": millions * 1_000_000}, "attributes": {"model": "one"}})
    };
    // As usage it is refused, and told what to do.
    let late = client
        .post("/v1/events", event("a", 1))
        .await
        .problem(422, "invalid_time");
    assert!(late["detail"].as_str().unwrap().contains("backfill"), "{late}");
    // What is wrong with an event is told by its place, and nothing is kept.
    let mut timeless = event("a", 1);
    timeless.as_object_mut().unwrap().remove("time");
    let wrong = json!({"id": "lost", "events": [event("b", 1), timeless]});
    let wrong = client
        .post("/v1/backfills", wrong)
        .await
        .problem(422, "invalid_request");
    assert_eq!(wrong["pointer"], "/events/1/time");
    client.get(FILL).await.problem(404, "unknown_backfill");

    let body = json!({"id": "lost", "reason": "found in a log", "events": [event("a", 1), event("b", 2)]});
    let made = client.post("/v1/backfills", body.clone()).await.expect(201);
    assert_eq!((&made["status"], &made["events"]), (&json!("draft"), &json!(2)));
    let again = client.post("/v1/backfills", body).await.expect(200);
    assert_eq!(again["replayed"], true);
    for (reason, events, field) in [
        ("found in a log", vec![event("a", 1)], "events"),
        ("lost", vec![event("a", 1), event("b", 2)], "reason"),
    ] {
        let other = json!({"id": "lost", "reason": reason, "events": events});
        let conflict = client.post("/v1/backfills", other).await.problem(409, "conflict");
        assert_eq!(conflict["field"], field);
    }
    client
        .post(&format!("{FILL}/revert"), json!({}))
        .await
        .problem(409, "backfill_not_possible");

    let preview = client
        .post(&format!("{FILL}/preview"), json!({}))
        .await
        .expect(200);
    assert_eq!(preview["outcome"]["charged"], 2);
    assert_eq!(preview["charges"][0]["amount"], "3");
    assert_eq!(preview["customers"][0]["balance"][0]["available"], "7");
    assert_eq!(available(&house).await, "10");

    let done = client
        .post(&format!("{FILL}/commit"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&done["status"], &done["outcome"]["charged"]),
        (&json!("committed"), &json!(2))
    );
    assert_eq!(available(&house).await, "7");
    let shown = client.get("/v1/customers/acme/events/b").await.expect(200);
    assert_eq!(shown["standing"]["status"], "charged");
    let list = client.get("/v1/backfills").await.expect(200);
    assert_eq!(list["backfills"][0]["id"], "lost");

    let done = client
        .post(&format!("{FILL}/revert"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&done["status"], &done["outcome"]["reverted"]),
        (&json!("reverted"), &json!(2))
    );
    assert_eq!(available(&house).await, "10");
    client
        .post(&format!("{FILL}/commit"), json!({}))
        .await
        .problem(409, "backfill_not_possible");
    house.close().await.unwrap();
}
