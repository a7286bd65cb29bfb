//! Subscriptions between their start and their end.

use farebox_record::control::Role;
use farebox_record::time::{Span, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, House, PRICES, answer, per_token};

const TOKENS: &str = "/v1/subscriptions/tokens?customer=acme";

async fn change(client: &Client, body: Value) -> Answer {
    client.call(Method::PATCH, TOKENS, Some(body)).await
}

const STRICT: &str = "/v1/subscriptions/strict?customer=acme";

async fn patch(client: &Client, body: Value) -> Answer {
    client.call(Method::PATCH, STRICT, Some(body)).await
}

async fn keyed(client: &Client, method: Method, path: &str, key: &str, body: Option<Value>) -> Answer {
    let request = client
        .http
        .request(method, format!("{}{path}", client.url))
        .bearer_auth(&client.key)
        .header("idempotency-key", key);
    answer(match body {
        None => request,
        Some(body) => request
            .header("content-type", "application/json")
            .body(body.to_string()),
    })
    .await
}

/// The same plan under another name, at ten times its prices.
async fn push_dear(house: &House) {
    let client = &house.admin;
    let pushed = client
        .send(
            "/v1/plans/dear/components",
            "application/wasm",
            per_token().to_vec(),
        )
        .await;
    let prices: Value =
        serde_json::from_str(&PRICES.replace("\"input\": \"1\"", "\"input\": \"10\"")).unwrap();
    let revision = json!({"component": pushed.body["component"], "parameters": prices});
    client
        .post("/v1/plans/dear/revisions", revision)
        .await
        .expect(201);
}

async fn used(client: &Client, id: &str, input: u64) -> Answer {
    let event = json!({"id": id, "customer": "acme", "type": "llm.call", "measures": {"input_tokens": input},
        "attributes": {"model": "one"}});
    client.post("/v1/events", event).await
}

fn advance_to(house: &House, at: &str) {
    house.clock.advance_to(at.parse::<Timestamp>().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_change_at_once_or_at_the_end_of_the_period() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let changed = change(&client, json!({"seats": 5})).await.expect(200);
    assert_eq!(
        (&changed["seats"], &changed["status"], &changed["charges"]),
        (&json!(5), &json!("active"), &json!([]))
    );
    assert_eq!(changed["effective_at"], "2026-11-23T09:30:00Z");
    assert_eq!(changed["balance"][0]["available"], "10");

    let later = change(&client, json!({"seats": 7, "when": "period_end"}))
        .await
        .expect(200);
    assert_eq!(
        (&later["seats"], &later["effective_at"]),
        (&json!(5), &json!("2026-12-23T09:30:00Z"))
    );
    change(
        &client,
        json!({"seats": 8, "when": "period_end", "prorate": false}),
    )
    .await
    .expect(200);
    let shown = client.get(TOKENS).await.expect(200);
    assert_eq!(
        shown["scheduled"],
        json!([{"seats": 8, "asked_at": "2026-11-23T09:30:00Z"}]),
        "a later one of its kind takes its place"
    );
    assert_eq!(
        (&shown["seats"], &shown["since"]),
        (&json!(5), &json!("2026-11-23T09:30:00Z"))
    );

    advance_to(&house, "2026-12-23T09:30:00Z");
    let shown = client.get(TOKENS).await.expect(200);
    assert_eq!(
        (&shown["seats"], &shown["scheduled"], &shown["since"]),
        (&json!(8), &json!([]), &json!("2026-12-23T09:30:00Z"))
    );
    change(&client, json!({"pause": true, "when": "period_end"}))
        .await
        .expect(200);
    change(&client, json!({"unschedule": true})).await.expect(200);
    assert_eq!(client.get(TOKENS).await.expect(200)["scheduled"], json!([]));
    change(&client, json!({"unschedule": true}))
        .await
        .problem(409, "change_not_possible");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plan_prices_what_comes_after() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    push_dear(&house).await;
    used(&client, "before", 100_000).await.expect(200); // 0.1 usd
    house.clock.advance(Span::days(1));
    let changed = change(&client, json!({"plan": "dear"})).await.expect(200);
    assert_eq!(
        changed["period"]["end"], "2026-12-23T09:30:00Z",
        "the period goes on"
    );
    used(&client, "after", 100_000).await.expect(200); // 1 usd
    assert_eq!(client.balance("acme").await.0, "8.9");
    let shown = client.get(TOKENS).await.expect(200);
    assert_eq!(
        (&shown["plan"], &shown["since"]),
        (&json!("dear"), &json!("2026-11-24T09:30:00Z"))
    );
    change(&client, json!({"plan": "dear"}))
        .await
        .problem(409, "change_not_possible");
    let yearly = change(&client, json!({"plan": "dear", "cadence": "yearly"}))
        .await
        .expect(200);
    assert_eq!(
        yearly["period"]["end"], "2027-11-24T09:30:00Z",
        "a new length starts a first period"
    );
    let back = json!({"plan": "tokens", "cadence": "monthly", "when": "period_end"});
    change(&client, back).await.expect(200);
    let shown = client.get(TOKENS).await.expect(200);
    assert_eq!(
        shown["scheduled"][0],
        json!({"plan": "tokens", "cadence": "monthly", "asked_at": "2026-11-24T09:30:00Z"})
    );
    let unknown = change(&client, json!({"plan": "nothing"})).await;
    assert_eq!(unknown.problem(404, "unknown_plan")["pointer"], "/plan");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_subscription_authorizes_nothing_and_charges_what_happened() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    change(&client, json!({"resume": true}))
        .await
        .problem(409, "change_not_possible");
    assert_eq!(
        change(&client, json!({"pause": true})).await.expect(200)["status"],
        "paused"
    );
    change(&client, json!({"pause": true}))
        .await
        .problem(409, "change_not_possible");
    let shown = client.get(TOKENS).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["status_since"]),
        (&json!("paused"), &json!("2026-11-23T09:30:00Z"))
    );
    client
        .authorize("c1", 1_000, 0)
        .await
        .problem(402, "subscription_paused");
    used(&client, "happened", 100_000).await.expect(200);
    assert_eq!(client.balance("acme").await.0, "9.9");
    assert_eq!(
        change(&client, json!({"resume": true})).await.expect(200)["status"],
        "active"
    );
    client
        .authorize("c1", 1_000, 0)
        .await
        .problem(402, "subscription_paused"); // stays denied
    client.authorize("c2", 1_000, 0).await.expect(200);
    assert_eq!(client.get(TOKENS).await.expect(200)["status_since"], Value::Null);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_once_and_for_good() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let later = client
        .call(Method::DELETE, &format!("{TOKENS}&when=period_end"), None)
        .await
        .expect(200);
    assert_eq!(
        (&later["status"], &later["effective_at"]),
        (&json!("active"), &json!("2026-12-23T09:30:00Z"))
    );
    let shown = client.get(TOKENS).await.expect(200);
    assert_eq!(
        shown["scheduled"],
        json!([{"cancel": true, "asked_at": "2026-11-23T09:30:00Z"}])
    );
    change(&client, json!({"unschedule": true})).await.expect(200);

    let gone = keyed(&client, Method::DELETE, TOKENS, "k1", None)
        .await
        .expect(200);
    assert_eq!(
        (&gone["status"], &gone["balance"][0]["available"]),
        (&json!("cancelled"), &json!("10"))
    );
    assert!(
        keyed(&client, Method::DELETE, TOKENS, "k1", None)
            .await
            .is_replayed()
    );
    client
        .call(Method::DELETE, TOKENS, None)
        .await
        .problem(409, "subscription_ended");
    change(&client, json!({"seats": 2}))
        .await
        .problem(409, "subscription_ended");
    assert_eq!(client.get(TOKENS).await.expect(200)["status"], "cancelled");
    // Its types of events are free again.
    let second = json!({"id": "second", "customer": "acme", "plan": "tokens"});
    client.post("/v1/subscriptions", second).await.expect(201);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_said_in_one_way_and_carried_out_once_under_its_key() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"seats": 2, "pause": true}), ""),
        (json!({"pause": false}), "/pause"),
        (json!({"cadence": "yearly"}), "/cadence"),
        (json!({"plan": "tokens", "cadence": {"days": 0}}), "/cadence/days"),
        (json!({"unschedule": true, "when": "now"}), "/when"),
        (json!({"unschedule": true, "prorate": true}), "/prorate"),
        (json!({"seats": -1}), "/seats"),
        (json!({"seats": 1, "when": "soon"}), "/when"),
        (json!({"seat": 1}), "/seat"),
    ] {
        let problem = change(&client, body.clone())
            .await
            .problem(422, "invalid_request");
        assert_eq!(problem["pointer"], pointer, "{body}: {problem}");
    }
    change(&client, json!({"resume": true, "when": "period_end"}))
        .await
        .problem(409, "change_not_possible");
    let put = |body: Value| keyed(&client, Method::PATCH, TOKENS, "k1", Some(body));
    put(json!({"seats": 3})).await.expect(200);
    change(&client, json!({"seats": 4})).await.expect(200);
    let again = put(json!({"seats": 3})).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200)["seats"], 3, "the answer is the first one");
    assert_eq!(client.get(TOKENS).await.expect(200)["seats"], 4);
    for (body, field) in [
        (json!({"seats": 5}), "seats"),
        (json!({"pause": true}), "pause"),
        (json!({"seats": 3, "when": "period_end"}), "when"),
        (json!({"seats": 3, "prorate": false}), "prorate"),
    ] {
        assert_eq!(put(body).await.problem(409, "conflict")["field"], field);
    }
    // Without a key nobody could tell a retry from another change.
    for (method, path, body) in [
        (Method::PATCH, TOKENS, Some(json!({"seats": 3}))),
        (Method::DELETE, TOKENS, None),
        (
            Method::PUT,
            "/v1/customers/acme/events/e",
            Some(json!({"type": "llm.call", "measures": {}})),
        ),
    ] {
        let url = format!("{}{path}", client.url);
        let request = client.http.request(method.clone(), url).bearer_auth(&client.key);
        let problem = match body {
            None => answer(request),
            Some(body) => answer(request.json(&body)),
        };
        let problem = problem.await.problem(422, "invalid_parameter");
        assert_eq!(problem["parameter"], "Idempotency-Key", "{method}: {problem}");
    }
    let other = "/v1/subscriptions/other?customer=acme";
    let answered = client.call(Method::PATCH, other, Some(json!({"seats": 2}))).await;
    answered.problem(404, "unknown_subscription");
    client
        .call(Method::DELETE, other, None)
        .await
        .problem(404, "unknown_subscription");
    let nobody = "/v1/subscriptions/tokens?customer=nobody";
    client
        .call(Method::DELETE, nobody, None)
        .await
        .problem(404, "unknown_customer");
    for role in [Role::Read, Role::Ingest, Role::Authorize] {
        let client = house.key(role).await;
        change(&client, json!({"seats": 2}))
            .await
            .problem(403, "forbidden");
        client
            .call(Method::DELETE, TOKENS, None)
            .await
            .problem(403, "forbidden");
    }
    let billing = house.key(Role::Billing).await;
    change(&billing, json!({"seats": 2})).await.expect(200);
    billing.call(Method::DELETE, TOKENS, None).await.expect(200);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_says_what_happens_above_a_hold() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    client.call(Method::DELETE, TOKENS, None).await.expect(200);
    let start = json!({"id": "strict", "customer": "acme", "plan": "tokens", "above_hold": "deny"});
    client.post("/v1/subscriptions", start.clone()).await.expect(201);
    assert_eq!(client.get(STRICT).await.expect(200)["above_hold"], "deny");
    let again = client.post("/v1/subscriptions", start.clone()).await.expect(200);
    assert_eq!(again["replayed"], true);
    // Another policy, or none, is another request, and changes nothing.
    for said in [json!("allow_debt"), Value::Null] {
        let mut other = start.clone();
        other["above_hold"] = said;
        let conflict = client.post("/v1/subscriptions", other).await.expect(409);
        assert_eq!(
            (&conflict["code"], &conflict["field"]),
            (&json!("conflict"), &json!("above_hold"))
        );
    }
    assert_eq!(client.get(STRICT).await.expect(200)["above_hold"], "deny");

    let allowed = client.authorize("call", 1_000_000, 0).await.expect(200);
    let hold = allowed["hold"]["id"].as_str().unwrap().to_string();
    let path = format!("/v1/holds/{hold}/settle");
    let more = |id: &str| json!({"id": id, "measures": {"input_tokens": 2_000_000, "output_tokens": 0}});
    let refused = client.post(&path, more("first")).await.expect(409);
    assert_eq!(refused["code"], "above_hold");
    let changed = patch(&client, json!({"above_hold": "allow_debt"}))
        .await
        .expect(200);
    assert_eq!(changed["status"], "active");
    client.post(&path, more("second")).await.expect(200);

    let both = patch(&client, json!({"above_hold": "deny", "seats": 2})).await;
    assert_eq!(both.expect(422)["code"], "invalid_request");
    let later = patch(&client, json!({"above_hold": "deny", "when": "period_end"})).await;
    assert_eq!(later.expect(422)["pointer"], "/when");
    let unknown = patch(&client, json!({"above_hold": "as_subscribed"})).await;
    unknown.expect(422);
}
