//! Spending limits, over the API.

use farebox_record::control::Role;
use farebox_record::time::Span;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, House, answer};

/// Holds for at most so many input tokens of model `one`, which are as many millionths of a dollar.
async fn authorize(client: &Client, id: &str, attributes: Value, input: u64) -> Answer {
    let mut attributes = attributes;
    attributes["model"] = json!("one");
    let event = json!({"type": "llm.call", "measures": {"input_tokens": input, "output_tokens": 0},
        "attributes": attributes});
    let body = json!({"id": id, "customer": "acme", "event": event});
    client.post("/v1/authorize", body).await
}

fn monthly(amount: &str, scope: &Value) -> Value {
    json!({"asset": "usd", "amount": amount, "scope": scope, "window": {"calendar": "month"}})
}

const LIMITS: &str = "/v1/customers/acme/limits";

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_names_the_limit_its_level_and_when_it_resets() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let all = client
        .put(&format!("{LIMITS}/all"), monthly("1", &json!({})))
        .await
        .expect(201);
    assert_eq!(
        (&all["level"], &all["available"]),
        (&json!("customer"), &json!("1"))
    );
    assert_eq!(all["resets_at"], "2026-12-01T00:00:00Z");
    let scope = json!({"team": "search", "agent": "bot-7"});
    let bot = client
        .put(&format!("{LIMITS}/bot"), monthly("0.3", &scope))
        .await
        .expect(201);
    assert_eq!(
        (&bot["scope"], &bot["since"]),
        (&scope, &json!("2026-11-23T09:30:00Z"))
    );
    assert_eq!(
        bot["thresholds"],
        json!([{"percent": 50}, {"percent": 80}, {"percent": 100}])
    );

    let held = authorize(&client, "c1", scope.clone(), 200_000).await.expect(200);
    let refused = authorize(&client, "c2", scope.clone(), 200_000).await;
    let problem = refused.problem(402, "limit_exceeded");
    assert_eq!(
        (
            &problem["allowed"],
            &problem["limit"],
            &problem["level"],
            &problem["asset"]
        ),
        (
            &json!(false),
            &json!("bot"),
            &json!("team=search/agent=bot-7"),
            &json!("usd")
        )
    );
    assert_eq!(
        (&problem["required"], &problem["available"], &problem["resets_at"]),
        (&json!("0.2"), &json!("0.1"), &json!("2026-12-01T00:00:00Z"))
    );
    assert_eq!(client.balance("acme").await, ("9.8".into(), "0.2".into()));

    // It stays denied under its id, whatever the limit says by then.
    client
        .put(&format!("{LIMITS}/bot"), monthly("0.6", &scope))
        .await
        .expect(200);
    let again = authorize(&client, "c2", scope.clone(), 200_000).await;
    assert!(again.is_replayed());
    again.problem(402, "limit_exceeded");
    authorize(&client, "c3", scope.clone(), 200_000).await.expect(200);

    // 100,000 of the 200,000 were used.
    let hold = held["hold"]["id"].as_str().unwrap();
    let settle = json!({"id": "s", "measures": {"input_tokens": 100_000, "output_tokens": 0}});
    client
        .post(&format!("/v1/holds/{hold}/settle"), settle)
        .await
        .expect(200);
    let shown = client.get(&format!("{LIMITS}/bot")).await.expect(200);
    assert_eq!(
        (&shown["used"], &shown["held"], &shown["available"]),
        (&json!("0.1"), &json!("0.2"), &json!("0.3"))
    );
    let listed = client.get(LIMITS).await.expect(200);
    let names: Vec<&Value> = listed["limits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| &l["name"])
        .collect();
    assert_eq!(names, ["all", "bot"]);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_meets_the_limits_too() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    client
        .put(&format!("{LIMITS}/all"), monthly("0.3", &json!({})))
        .await
        .expect(201);
    let held = authorize(&client, "c1", json!({}), 200_000).await.expect(200);
    let hold = held["hold"]["id"].as_str().unwrap();
    let extend = |id: &str, input: u64| {
        let measures = json!({"input_tokens": input, "output_tokens": 0});
        json!({"id": id, "ttl_seconds": 60, "measures": measures})
    };
    let path = format!("/v1/holds/{hold}/extend");
    let problem = client
        .post(&path, extend("x1", 400_000))
        .await
        .problem(402, "limit_exceeded");
    assert_eq!(
        (&problem["required"], &problem["available"]),
        (&json!("0.4"), &json!("0.3"))
    );
    client.post(&path, extend("x2", 300_000)).await.expect(200);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_window_moves_and_thresholds_are_shown() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let body = json!({"asset": "usd", "amount": "0.4", "window": {"rolling": {"seconds": 180, "step_seconds": 60}},
        "thresholds": [{"percent": 50}, {"amount": "0.35"}]});
    let put = client
        .put(&format!("{LIMITS}/burst"), body.clone())
        .await
        .expect(201);
    assert_eq!(
        (&put["window"], &put["thresholds"]),
        (&body["window"], &body["thresholds"])
    );
    assert_eq!(put.get("resets_at"), None);
    let event = json!({"id": "e", "customer": "acme", "type": "llm.call", "attributes": {"model": "one"},
        "measures": {"input_tokens": 300_000, "output_tokens": 0}});
    client.post("/v1/events", event).await.expect(200);
    let shown = client.get(&format!("{LIMITS}/burst")).await.expect(200);
    assert_eq!(
        (&shown["used"], &shown["crossed"]),
        (&json!("0.3"), &json!([{"percent": 50}]))
    );
    let problem = authorize(&client, "c1", json!({}), 200_000)
        .await
        .problem(402, "limit_exceeded");
    // Used at 9:30:00, it leaves when its step and three more are over.
    assert_eq!(problem["resets_at"], "2026-11-23T09:34:00Z");
    house.clock.advance(Span::seconds(240));
    let shown = client.get(&format!("{LIMITS}/burst")).await.expect(200);
    assert_eq!((&shown["used"], &shown["crossed"]), (&json!("0"), &json!([])));
    authorize(&client, "c2", json!({}), 400_000).await.expect(200);
    // Only a hold stands in the way: no time is named.
    let problem = authorize(&client, "c3", json!({}), 1)
        .await
        .problem(402, "limit_exceeded");
    assert_eq!(problem.get("resets_at"), None);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_put_once_changed_and_deleted() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let path = format!("{LIMITS}/all");
    let keyed = |method: Method, key: &'static str, body: Option<Value>| {
        let request = client
            .http
            .request(method, format!("{}{path}", client.url))
            .bearer_auth(&client.key)
            .header("idempotency-key", key);
        answer(match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => request,
        })
    };
    keyed(Method::PUT, "k1", Some(monthly("1", &json!({}))))
        .await
        .expect(201);
    keyed(Method::PUT, "k2", Some(monthly("2", &json!({}))))
        .await
        .expect(200);
    let again = keyed(Method::PUT, "k1", Some(monthly("1", &json!({})))).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200)["amount"], "1", "the answer that it got");
    assert_eq!(
        client.get(&path).await.expect(200)["amount"],
        "2",
        "and it changed nothing"
    );
    let other = keyed(Method::PUT, "k1", Some(monthly("3", &json!({})))).await;
    assert_eq!(other.problem(409, "conflict")["field"], "amount");
    // Without a key, a limit that says so already is left alone.
    let same = client.put(&path, monthly("2", &json!({}))).await;
    assert!(!same.is_replayed());
    same.expect(200);

    assert_eq!(keyed(Method::DELETE, "d1", None).await.expect(200)["amount"], "2");
    let again = keyed(Method::DELETE, "d1", None).await;
    assert!(again.is_replayed());
    again.expect(200);
    client.get(&path).await.problem(404, "unknown_limit");
    client
        .call(Method::DELETE, &path, None)
        .await
        .problem(404, "unknown_limit");
    client.put(&path, monthly("2", &json!({}))).await.expect(201);
    client.call(Method::DELETE, &path, None).await.expect(200);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_by_place() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let path = format!("{LIMITS}/l");
    let with = |name: &str, value: Value| {
        let mut body = monthly("1", &json!({}));
        body[name] = value;
        body
    };
    for (body, pointer) in [
        (with("amount", json!(1)), "/amount"),
        (with("asset", json!("USD")), "/asset"),
        (with("scope", json!({"team": ""})), "/scope"),
        (with("window", json!({"calendar": "decade"})), "/window"),
        (
            with("window", json!({"rolling": {"seconds": 100, "step_seconds": 7}})),
            "/window/rolling/step_seconds",
        ),
        (with("on_exceed", json!("panic")), "/on_exceed"),
        (with("until", json!("tomorrow")), ""),
    ] {
        let problem = client.put(&path, body).await.problem(422, "invalid_request");
        let place = problem["pointer"].as_str().unwrap();
        assert!(place.starts_with(pointer), "{problem}");
    }
    let problem = client
        .put(&path, with("amount", json!("-1")))
        .await
        .problem(422, "invalid_amount");
    assert_eq!(problem["field"], "amount");
    let steps = json!({"rolling": {"seconds": 61, "step_seconds": 1}});
    let problem = client
        .put(&path, with("window", steps))
        .await
        .problem(422, "invalid_time");
    assert_eq!(problem["field"], "window");
    let many: Vec<Value> = (1..10).map(|percent| json!({"percent": percent})).collect();
    let problem = client
        .put(&path, with("thresholds", json!(many)))
        .await
        .problem(422, "no_room");
    assert_eq!(problem["limit"], "THRESHOLDS_PER_LIMIT_MAX");
    client
        .put("/v1/customers/nobody/limits/l", monthly("1", &json!({})))
        .await
        .problem(404, "unknown_customer");
    client
        .get("/v1/customers/nobody/limits")
        .await
        .problem(404, "unknown_customer");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn billing_writes_limits_and_read_reads_them() {
    let house = House::with_customer("10").await;
    let (billing, read) = (house.key(Role::Billing).await, house.key(Role::Read).await);
    let gateway = house.key(Role::Authorize).await;
    let path = format!("{LIMITS}/all");
    billing.put(&path, monthly("1", &json!({}))).await.expect(201);
    read.get(&path).await.expect(200);
    read.get(LIMITS).await.expect(200);
    read.put(&path, monthly("2", &json!({})))
        .await
        .problem(403, "forbidden");
    read.call(Method::DELETE, &path, None)
        .await
        .problem(403, "forbidden");
    gateway.get(&path).await.problem(403, "forbidden");
    billing.call(Method::DELETE, &path, None).await.expect(200);
    house.close().await.unwrap();
}
