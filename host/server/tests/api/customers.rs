//! Who pays, and what they have.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{House, answer};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_created_changed_and_left_alone() {
    let house = House::open().await;
    let client = house.admin.clone();
    let acme = json!({"name": "Acme", "shortfall": {"usd": {"floor": "-25.5"}, "credits": "unlimited"}});
    let created = client.put("/v1/customers/acme", acme.clone()).await.expect(201);
    assert_eq!(
        (&created["id"], &created["shortfall"]["usd"]),
        (&json!("acme"), &json!({"floor": "-25.5"}))
    );
    client.put("/v1/customers/acme", acme.clone()).await.expect(200);
    let sequence = client.get("/v1/customers/acme/balance").await.expect(200)["sequence"].clone();
    assert_eq!(sequence, 1, "what is so already is not written again");
    let renamed = client
        .put("/v1/customers/acme", json!({"name": "Acme Inc"}))
        .await
        .expect(200);
    assert_eq!(
        (&renamed["name"], &renamed["shortfall"]),
        (&json!("Acme Inc"), &json!({}))
    );
    assert_eq!(
        client.put("/v1/customers/acme", acme).await.expect(200)["name"],
        "Acme",
        "and back"
    );
    assert_eq!(client.get("/v1/customers/acme").await.expect(200)["name"], "Acme");

    for (body, pointer) in [
        (
            json!({"shortfall": {"usd": {"floor": "25"}}}),
            "/shortfall/usd/floor",
        ),
        (json!({"shortfall": {"USD": "deny"}}), "/shortfall/USD"),
        (json!({"name": ""}), "/name"),
    ] {
        let problem = client
            .put("/v1/customers/acme", body)
            .await
            .problem(422, "invalid_request");
        assert_eq!(problem["pointer"], pointer, "{problem}");
    }
    let problem = client
        .get("/v1/customers/a%20b")
        .await
        .problem(422, "invalid_parameter");
    assert_eq!(problem["parameter"], "customer");
    client
        .get("/v1/customers/nobody")
        .await
        .problem(404, "unknown_customer");
    client
        .get("/v1/customers/nobody/balance")
        .await
        .problem(404, "unknown_customer");
    client
        .get("/v1/customers/nobody/entries")
        .await
        .problem(404, "unknown_customer");
    client
        .put("/v1/customers/org%2Fteam", json!({}))
        .await
        .expect(201);
    assert_eq!(
        client.get("/v1/customers/org%2Fteam").await.expect(200)["id"],
        "org/team"
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_change_happen_once() {
    let house = House::open().await;
    let client = house.admin.clone();
    let put = |key: &'static str, body: Value| {
        let request = client
            .http
            .put(format!("{}/v1/customers/acme", client.url))
            .bearer_auth(&client.key);
        answer(
            request
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.to_string()),
        )
    };
    put("k1", json!({"name": "A"})).await.expect(201);
    put("k2", json!({"name": "B"})).await.expect(200);
    let again = put("k1", json!({"name": "A"})).await;
    assert!(again.is_replayed());
    assert_eq!(
        again.expect(200)["name"],
        "B",
        "it shows what is, and changes nothing"
    );
    assert_eq!(
        put("k1", json!({"name": "C"})).await.problem(409, "conflict")["field"],
        "name"
    );
    assert_eq!(
        put("auto:1", json!({})).await.problem(422, "invalid_parameter")["parameter"],
        "Idempotency-Key"
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages() {
    let house = House::open().await;
    let client = house.admin.clone();
    for name in ["a", "b", "c", "d", "e"] {
        client
            .put(&format!("/v1/customers/{name}"), json!({}))
            .await
            .expect(201);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/customers?limit=2".to_string();
    loop {
        let page = client.get(&path).await.expect(200);
        seen.extend(
            page["customers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["id"].as_str().unwrap().to_string()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/customers?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("lmit=1", "lmit"),
    ] {
        let problem = client
            .get(&format!("/v1/customers?{query}"))
            .await
            .problem(422, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter);
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn value_is_granted_once_and_exactly() {
    let house = House::open().await;
    let client = house.admin.clone();
    client.put("/v1/customers/acme", json!({})).await.expect(201);
    let path = "/v1/customers/acme/grants";
    for (id, amount) in [("a", "0.1"), ("b", "0.000000001"), ("c", "1e-9")] {
        let grant = json!({"id": id, "asset": "usd", "amount": amount, "category": "paid"});
        client.post(path, grant).await.expect(201);
    }
    assert_eq!(client.balance("acme").await.0, "0.100000002");
    let again = client
        .post(
            path,
            json!({"id": "a", "asset": "usd", "amount": "0.10", "category": "paid"}),
        )
        .await;
    assert!(again.is_replayed(), "the same amount in another spelling");
    let other = json!({"id": "a", "asset": "usd", "amount": "0.2", "category": "paid"});
    assert_eq!(
        client.post(path, other).await.problem(409, "conflict")["field"],
        "amount"
    );
    for (grant, code) in [
        (
            json!({"id": "z", "asset": "usd", "amount": "0", "category": "paid"}),
            "invalid_amount",
        ),
        (
            json!({"id": "z", "asset": "usd", "amount": "1", "category": "paid", "expires_at": "2020-01-01T00:00:00Z"}),
            "invalid_time",
        ),
        (
            json!({"id": "z", "asset": "usd", "amount": 1, "category": "paid"}),
            "invalid_request",
        ),
        (
            json!({"id": "z", "asset": "usd", "amount": "0.0000000001", "category": "paid"}),
            "invalid_request",
        ),
        (
            json!({"id": "z", "asset": "usd", "amount": "1"}),
            "invalid_request",
        ),
    ] {
        client.post(path, grant).await.problem(422, code);
    }
    let wallet = client.get("/v1/customers/acme/balance").await.expect(200);
    assert_eq!(wallet["grants"][0]["state"], "active");
    let limited = json!({"id": "l", "asset": "usd", "amount": "1", "category": "promotional",
        "applies_to": {"codes": ["input-tokens"], "attributes": {"model": "one"}}, "label": "Welcome",
        "effective_at": "2026-12-01T00:00:00Z", "expires_at": "2027-01-01T00:00:00+01:00"});
    client.post(path, limited).await.expect(201);
    let wallet = client.get("/v1/customers/acme/balance").await.expect(200);
    let grant = wallet["grants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["id"] == "l")
        .unwrap();
    assert_eq!(
        (&grant["state"], &grant["expires_at"]),
        (&json!("waiting"), &json!("2026-12-31T23:00:00Z"))
    );
    assert_eq!(grant["applies_to"]["codes"], json!(["input-tokens"]));
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_start_and_are_shown() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    let shown = client
        .get("/v1/subscriptions/tokens?customer=acme")
        .await
        .expect(200);
    assert_eq!(
        (&shown["plan"], &shown["cadence"], &shown["seats"]),
        (&json!("tokens"), &json!("monthly"), &json!(1))
    );
    assert_eq!(shown["event_types"], json!(["llm.call"]));
    let list = client.get("/v1/subscriptions?customer=acme").await.expect(200);
    assert_eq!(list["subscriptions"].as_array().unwrap().len(), 1);
    let again = client
        .post(
            "/v1/subscriptions",
            json!({"id": "tokens", "customer": "acme", "plan": "tokens"}),
        )
        .await;
    assert!(again.is_replayed());
    let second = json!({"id": "second", "customer": "acme", "plan": "tokens"});
    client
        .post("/v1/subscriptions", second)
        .await
        .problem(409, "event_type_owned");
    let unknown = json!({"id": "second", "customer": "acme", "plan": "nothing"});
    client
        .post("/v1/subscriptions", unknown)
        .await
        .problem(404, "unknown_plan");
    let days = json!({"id": "second", "customer": "acme", "plan": "tokens", "cadence": {"days": 0}});
    client
        .post("/v1/subscriptions", days)
        .await
        .problem(422, "invalid_request");
    client
        .get("/v1/subscriptions/x?customer=acme")
        .await
        .problem(404, "unknown_subscription");
    client
        .get("/v1/subscriptions")
        .await
        .problem(422, "invalid_parameter");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_explained_and_sums_to_zero() {
    let house = House::with_customer("1").await;
    let client = house.admin.clone();
    for n in 0..5 {
        let event = json!({"id": format!("e{n}"), "customer": "acme", "type": "llm.call",
            "measures": {"input_tokens": 1_000, "output_tokens": 10}, "attributes": {"model": "one"}});
        client.post("/v1/events", event).await.expect(200);
    }
    let whole = client
        .get("/v1/customers/acme/entries?limit=200")
        .await
        .expect(200);
    let whole = whole["entries"].as_array().unwrap().clone();
    let mut paged = Vec::new();
    let mut path = "/v1/customers/acme/entries?limit=3".to_string();
    loop {
        let page = client.get(&path).await.expect(200);
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 3);
        paged.extend(entries.clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/customers/acme/entries?limit=3&cursor={next}");
    }
    assert_eq!(paged, whole);
    let sum = whole.iter().map(|e| {
        e["amount"]
            .as_str()
            .unwrap()
            .parse::<farebox_money::Nanos>()
            .unwrap()
            .get()
    });
    assert_eq!(sum.sum::<i128>(), 0);
    let newest = &whole[0];
    assert_eq!(
        (&newest["event"]["id"], &newest["kind"]),
        (&json!("e4"), &json!("usage"))
    );
    let codes: Vec<_> = whole.iter().filter_map(|e| e["code"].as_str()).collect();
    assert!(
        codes.contains(&"input-tokens") && codes.contains(&"output-tokens"),
        "{codes:?}"
    );
    assert!(newest["revision"]["component"].is_string() && newest["at"].is_string());
    assert!(
        whole
            .iter()
            .any(|e| e["account"] == "purchases" && e["kind"] == "grant")
    );
    client
        .call(Method::GET, "/v1/customers/acme/entries?cursor=abc", None)
        .await
        .problem(422, "invalid_parameter");
    house.close().await.unwrap();
}
