//! What takes a plan with fees and with prices that depend on earlier events: payments, proration, what is refused.

use farebox_record::time::{Span, Timestamp};
use reqwest::Method;
use serde_json::json;

use crate::support::{Client, House, team};

/// Seats of 30 usd for a period of 30 days, on the statement.
async fn house() -> House {
    let house = House::open().await;
    let client = &house.admin;
    client.push("team", team(), json!({"seat": 30})).await;
    client.put("/v1/customers/acme", json!({})).await.expect(201);
    let subscription =
        json!({"id": "team", "customer": "acme", "plan": "team", "seats": 2, "cadence": {"days": 30}});
    let started = client.post("/v1/subscriptions", subscription).await.expect(201);
    assert_eq!(started["balance"][0]["receivable"], "60", "2 x 30");
    house
}

const TEAM: &str = "/v1/subscriptions/team?customer=acme";

async fn receivable(client: &Client) -> String {
    let wallet = client.get("/v1/customers/acme/balance").await.expect(200);
    wallet["balance"][0]["receivable"].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_paid_or_written_off() {
    let house = house().await;
    let client = house.admin.clone();
    let path = "/v1/customers/acme/payments";
    let pay =
        |id: &str, amount: &str| json!({"id": id, "asset": "usd", "amount": amount, "label": "Invoice 1"});
    let paid = client.post(path, pay("p1", "45")).await.expect(201);
    assert_eq!(
        (&paid["id"], &paid["balance"][0]["receivable"]),
        (&json!("p1"), &json!("15"))
    );
    assert!(client.post(path, pay("p1", "45")).await.is_replayed());
    assert_eq!(
        client.post(path, pay("p1", "46")).await.problem(409, "conflict")["field"],
        "amount"
    );
    let problem = client
        .post(path, pay("p2", "15.5"))
        .await
        .problem(422, "invalid_amount");
    assert_eq!(
        (&problem["field"], &problem["available"]),
        (&json!("amount"), &json!("15"))
    );
    let entries = client.get("/v1/customers/acme/entries?limit=2").await.expect(200);
    assert_eq!(
        (
            &entries["entries"][0]["account"],
            &entries["entries"][1]["account"]
        ),
        (&json!("receivable"), &json!("purchases"))
    );
    assert_eq!(
        (&entries["entries"][0]["kind"], &entries["entries"][0]["reason"]),
        (&json!("payment"), &json!("Invoice 1"))
    );
    let write_off =
        json!({"id": "a", "asset": "usd", "amount": "5", "target": "receivable", "reason": "goodwill"});
    let done = client
        .post("/v1/customers/acme/adjustments", write_off)
        .await
        .expect(201);
    assert_eq!(done["balance"][0]["receivable"], "10");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_prorated_unless_the_caller_says_no() {
    let house = house().await;
    let client = house.admin.clone();
    house.clock.advance(Span::days(20));
    // 3 more seats for 10 of 30 days: 3 x 30 / 3.
    let more = client
        .call(Method::PATCH, TEAM, Some(json!({"seats": 5})))
        .await
        .expect(200);
    assert_eq!(
        more["charges"],
        json!([{"code": "seats", "asset": "usd", "amount": "30", "quantity": "3"}])
    );
    assert_eq!(more["balance"][0]["receivable"], "90");
    let free = json!({"seats": 6, "prorate": false});
    let free = client.call(Method::PATCH, TEAM, Some(free)).await.expect(200);
    assert_eq!((&free["charges"], &free["seats"]), (&json!([]), &json!(6)));
    client
        .call(
            Method::PATCH,
            TEAM,
            Some(json!({"seats": 1, "when": "period_end"})),
        )
        .await
        .expect(200);
    house.clock.advance(Span::days(10));
    assert_eq!(
        receivable(&client).await,
        "120",
        "90, and one seat for the next period"
    );
    client
        .call(
            Method::PATCH,
            TEAM,
            Some(json!({"pause": true, "when": "period_end"})),
        )
        .await
        .expect(200);
    house.clock.advance(Span::days(30));
    assert_eq!(receivable(&client).await, "120", "no fee while it is paused");
    assert_eq!(client.get(TEAM).await.expect(200)["status"], "paused");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_depend_on_moves_them_when_it_is_corrected() {
    let house = house().await;
    let client = house.admin.clone();
    for id in ["a", "b"] {
        let event = json!({"id": id, "customer": "acme", "type": "team.call", "measures": {"calls": 60}});
        client.post("/v1/events", event).await.expect(200);
    }
    // 120 calls, 100 of them free: b cost 20.
    let refund =
        json!({"id": "r", "event": {"id": "b"}, "amount": {"asset": "usd", "amount": "7"}, "reason": "x"});
    let given = client
        .post("/v1/customers/acme/refunds", refund)
        .await
        .expect(201);
    assert_eq!(given["balance"][0]["debt"], "13");
    // With 10 calls more before it, b costs 30: the 7 that were refunded stay refunded, and 10 more are owed.
    let amended = json!({"type": "team.call", "measures": {"calls": 70}});
    let corrected = client
        .put("/v1/customers/acme/events/a", amended.clone())
        .await
        .expect(200);
    assert_eq!(corrected["repriced"][0]["id"], "b");
    assert_eq!(
        corrected["repriced"][0]["charged"],
        json!([{"asset": "usd", "amount": "10"}])
    );
    assert_eq!(corrected["balance"][0]["debt"], "23");
    // The same again comes to the same.
    let same = client
        .put("/v1/customers/acme/events/a", amended)
        .await
        .expect(200);
    assert_eq!(same["balance"][0]["debt"], "23");
    // Without a, b is free.
    let void = "/v1/customers/acme/events/a/void";
    let voided = client.call(Method::POST, void, None).await.expect(200);
    assert_eq!(
        voided["repriced"][0]["reversed"],
        json!([{"asset": "usd", "amount": "23"}])
    );
    assert_eq!(voided["balance"][0]["debt"], "0");
    // The feed and the statement tell of b twice.
    let feed = client.get("/v1/changes?kind=repriced").await.expect(200);
    assert_eq!(feed["changes"].as_array().map(Vec::len), Some(2), "{feed}");
    let statement = client.get("/v1/customers/acme/statement").await.expect(200);
    let lines = statement["assets"][0]["lines"].as_array().unwrap();
    let repriced = lines.iter().filter(|line| line["kind"] == "repriced").count();
    assert_eq!(repriced, 2, "{statement}");
    for (format, rows) in [("csv", ",repriced,"), ("html", "priced anew behind it")] {
        let url = format!("{}/v1/customers/acme/statement?format={format}", house.url);
        let shown = client
            .http
            .get(url)
            .bearer_auth(&client.key)
            .send()
            .await
            .unwrap();
        let shown = shown.text().await.unwrap();
        assert_eq!(shown.matches(rows).count(), 2, "{shown}");
    }
    let shown = client.get("/v1/customers/acme/events/b").await.expect(200);
    assert_eq!(
        shown["standing"]["period"]["end"],
        "2026-11-23T09:30:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .saturating_add(Span::days(30))
            .to_string()
    );
    house.close().await.unwrap();
}
