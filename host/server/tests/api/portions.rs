//! Grants of which each user has a portion.

use serde_json::{Value, json};

use crate::support::House;

fn call(id: &str, user: &str, tokens: u64) -> Value {
    json!({"id": id, "customer": "acme", "type": "llm.call", "measures": {"input_tokens": tokens},
        "attributes": {"model": "one", "user": user}})
}

fn seats(each: &Value) -> Value {
    json!({"id": "seats", "asset": "usd", "amount": "20", "category": "promotional", "label": "Seats", "each": each})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_a_portion_and_everybody_sees_whose_it_is() {
    let house = House::with_customer("5").await;
    let client = house.admin.clone();
    let grants = "/v1/customers/acme/grants";
    for (each, pointer) in [
        (json!({"attribute": "", "amount": "10"}), "/each/attribute"),
        (
            json!({"attribute": "x".repeat(65), "amount": "10"}),
            "/each/attribute",
        ),
        (json!({"attribute": "user"}), "/each"),
        (
            json!({"attribute": "user", "amount": "10", "of": "seats"}),
            "/each/of",
        ),
    ] {
        let refused = client.post(grants, seats(&each)).await;
        assert_eq!(refused.body["pointer"], pointer, "{}", refused.body);
    }
    let nothing = client
        .post(grants, seats(&json!({"attribute": "user", "amount": "0"})))
        .await;
    assert_eq!(nothing.problem(422, "invalid_amount")["field"], "each.amount");

    let each = json!({"attribute": "user", "amount": "10"});
    client.post(grants, seats(&each)).await.expect(201);
    let again = client.post(grants, seats(&each)).await.expect(200);
    assert_eq!(again["replayed"], true);
    let other = json!({"attribute": "team", "amount": "10"});
    let conflict = client.post(grants, seats(&other)).await.problem(409, "conflict");
    assert_eq!(conflict["field"], "each");

    // 12 of hers: 10, and 2 of the 5 that are for all.
    client
        .post("/v1/events", call("a", "ada", 12_000_000))
        .await
        .expect(200);
    client
        .post("/v1/events", call("b", "ben", 1_000_000))
        .await
        .expect(200);
    let wallet = client.get("/v1/customers/acme/balance").await.expect(200);
    assert_eq!(wallet["balance"][0]["available"], "12");
    let shown: Vec<(&str, &str, &Value, &Value)> = (wallet["grants"].as_array().unwrap().iter())
        .map(|grant| {
            let of = grant["portion_of"].as_str().unwrap_or("-");
            (
                of,
                grant["available"].as_str().unwrap(),
                &grant["each"],
                &grant["applies_to"],
            )
        })
        .collect();
    let bens = json!({"attributes": {"user": "ben"}});
    // The grant is empty and gone, and so is what was hers: what he has left, and what is left for all.
    assert_eq!(
        shown,
        [
            ("seats", "9", &Value::Null, &bens),
            ("-", "3", &Value::Null, &Value::Null),
        ]
    );
    let books = client
        .get("/v1/customers/acme/statement?month=2026-11")
        .await
        .expect(200);
    let lines: Vec<String> = (books["assets"][0]["lines"].as_array().unwrap().iter())
        .map(|line| {
            format!(
                "{} {}",
                line["kind"].as_str().unwrap(),
                line["amount"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(lines, ["grant 20", "grant 5", "usage -13"], "{books}");
    let feed = client.get("/v1/changes?kind=grant_received").await.expect(200);
    assert_eq!(feed["changes"].as_array().map(Vec::len), Some(2), "{feed}");
    house.close().await.unwrap();
}
