//! Tenants, the clocks of sandboxes, and what no key reaches.

use farebox_record::control::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, House, PRICES, answer, per_token};

const START: &str = "2027-01-01T00:00:00Z";

/// A sandbox, and its admin.
pub async fn sandbox(house: &House, operator: &Client, id: &str) -> Client {
    let made = operator
        .post(
            "/v1/tenants",
            json!({"id": id, "kind": "sandbox", "clock": START}),
        )
        .await
        .expect(201);
    Client {
        key: made["first_key"]["key"].as_str().unwrap().to_string(),
        ..house.admin.clone()
    }
}

async fn push_plan(admin: &Client) {
    let parameters = serde_json::from_str(PRICES).unwrap();
    admin.push("tokens", per_token(), parameters).await;
}

async fn customer(admin: &Client, name: &str) {
    admin
        .put(&format!("/v1/customers/{name}"), json!({}))
        .await
        .expect(201);
    let grant = json!({"id": "start", "asset": "usd", "amount": "1", "category": "paid"});
    admin
        .post(&format!("/v1/customers/{name}/grants"), grant)
        .await
        .expect(201);
    let subscription = json!({"id": "tokens", "customer": name, "plan": "tokens"});
    admin.post("/v1/subscriptions", subscription).await.expect(201);
}

pub async fn advance(client: &Client, tenant: &str, key: &str, body: Value) -> Answer {
    let request = client
        .http
        .post(format!("{}/v1/tenants/{tenant}/clock", client.url))
        .bearer_auth(&client.key)
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(body.to_string());
    answer(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_tenants_once_each() {
    let house = House::open().await;
    let operator = house.key(Role::Operator).await;
    let live = operator
        .post("/v1/tenants", json!({"id": "acme", "kind": "live"}))
        .await
        .expect(201);
    assert_eq!(
        (&live["kind"], &live["now"]),
        (&json!("live"), &json!("2026-11-23T09:30:00Z"))
    );
    assert_eq!(live["first_key"]["role"], "admin");
    let again = operator
        .post("/v1/tenants", json!({"id": "acme", "kind": "live"}))
        .await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200).get("first_key"), None, "a secret is shown once");
    let test = json!({"id": "test", "kind": "sandbox", "clock": START});
    let made = operator.post("/v1/tenants", test.clone()).await.expect(201);
    assert_eq!(
        (&made["now"], &made["created_at"]),
        (&json!(START), &json!(START))
    );
    operator.post("/v1/tenants", test).await.expect(200);
    for (body, field) in [
        (json!({"id": "test", "kind": "live"}), "kind"),
        (json!({"id": "test", "kind": "sandbox"}), "clock"),
    ] {
        let problem = operator.post("/v1/tenants", body).await.problem(409, "conflict");
        assert_eq!(problem["field"], field);
    }
    operator
        .post("/v1/tenants", json!({"id": "default", "kind": "live"}))
        .await
        .problem(409, "tenant_exists");
    let early = json!({"id": "x", "kind": "sandbox", "clock": "1969-01-01T00:00:00Z"});
    let problem = operator
        .post("/v1/tenants", early)
        .await
        .problem(422, "invalid_time");
    assert_eq!(
        (&problem["field"], &problem["limit"]),
        (&json!("clock"), &json!("SANDBOX_CLOCK_MIN"))
    );
    for body in [
        json!({"id": "x", "kind": "live", "clock": START}),
        json!({"id": "x"}),
        json!({"id": "x", "kind": "demo"}),
        json!({"id": "", "kind": "live"}),
    ] {
        operator
            .post("/v1/tenants", body)
            .await
            .problem(422, "invalid_request");
    }
    let page = operator.get("/v1/tenants?limit=2").await.expect(200);
    let names = |page: &Value| -> Vec<String> {
        let tenants = page["tenants"].as_array().unwrap();
        tenants
            .iter()
            .map(|t| t["id"].as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(names(&page), ["acme", "default"]);
    let next = page["next"].as_str().unwrap();
    let rest = operator
        .get(&format!("/v1/tenants?cursor={next}"))
        .await
        .expect(200);
    assert_eq!((names(&rest), rest.get("next")), (vec!["test".to_string()], None));
    house.close().await.unwrap();
}

/// The routes of tenants by role: an operator does all of it everywhere, an admin moves its own clock, readers look.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_by_role() {
    let house = House::open().await;
    let operator = house.key(Role::Operator).await;
    let test = sandbox(&house, &operator, "test").await;
    let other = sandbox(&house, &operator, "other").await;
    let step = || json!({"advance_seconds": 60});
    for role in [
        Role::Admin,
        Role::Billing,
        Role::Ingest,
        Role::Authorize,
        Role::Read,
    ] {
        let made = operator
            .post(
                "/v1/tenants/test/keys",
                json!({"id": format!("{role:?}"), "role": format!("{role:?}").to_lowercase()}),
            )
            .await
            .expect(201);
        let client = Client {
            key: made["key"].as_str().unwrap().to_string(),
            ..test.clone()
        };
        client.get("/v1/tenants").await.problem(403, "forbidden");
        client
            .post("/v1/tenants", json!({"id": "y", "kind": "live"}))
            .await
            .problem(403, "forbidden");
        client
            .post("/v1/tenants/test/keys", json!({"id": "z", "role": "read"}))
            .await
            .problem(403, "forbidden");
        let reads = matches!(role, Role::Admin | Role::Billing | Role::Read);
        for path in ["/v1/tenants/test", "/v1/tenants/test/clock"] {
            assert_eq!(
                client.get(path).await.status,
                if reads { 200 } else { 403 },
                "{role:?} {path}"
            );
        }
        let moved = client.post("/v1/tenants/test/clock", step()).await;
        assert_eq!(
            moved.status,
            if role == Role::Admin { 200 } else { 403 },
            "{role:?}"
        );
        // Nobody learns whether another tenant is there.
        for tenant in ["other", "default", "nobody"] {
            for path in [
                format!("/v1/tenants/{tenant}"),
                format!("/v1/tenants/{tenant}/clock"),
            ] {
                client.get(&path).await.problem(403, "forbidden");
            }
            client
                .post(&format!("/v1/tenants/{tenant}/clock"), step())
                .await
                .problem(403, "forbidden");
        }
    }
    let clock = operator.get("/v1/tenants/test/clock").await.expect(200);
    assert_eq!(
        clock,
        json!({"tenant": "test", "kind": "sandbox", "now": "2027-01-01T00:01:00Z"})
    );
    operator.post("/v1/tenants/test/clock", step()).await.expect(200);
    operator
        .get("/v1/tenants/nobody")
        .await
        .problem(404, "unknown_tenant");
    operator
        .post("/v1/tenants/nobody/clock", step())
        .await
        .problem(404, "unknown_tenant");
    operator
        .post("/v1/tenants/nobody/keys", json!({"id": "k", "role": "admin"}))
        .await
        .problem(404, "unknown_tenant");
    assert_eq!(other.get("/v1/tenants/other").await.expect(200)["now"], START);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_advanced_and_says_what_fell_due() {
    let house = House::open().await;
    let operator = house.key(Role::Operator).await;
    let test = sandbox(&house, &operator, "test").await;
    push_plan(&test).await;
    customer(&test, "acme").await;
    let held = test.authorize("h", 100_000, 0).await.expect(200);
    assert_eq!(held["hold"]["expires_at"], "2027-01-01T00:15:00Z");

    let first = advance(&test, "test", "k1", json!({"advance": "P1M"}))
        .await
        .expect(200);
    assert_eq!(
        first,
        json!({"tenant": "test", "from": START, "now": "2027-02-01T00:00:00Z", "handled": 2})
    );
    assert_eq!(test.balance("acme").await, ("1".into(), "0".into()));
    let again = advance(&test, "test", "k1", json!({"advance": "1 month"})).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200)["handled"], 2);
    let problem = advance(&test, "test", "k1", json!({"advance_seconds": 1}))
        .await
        .problem(409, "conflict");
    assert_eq!(problem["field"], "advance");

    let moved = test
        .post("/v1/tenants/test/clock", json!({"advance_seconds": 3600}))
        .await
        .expect(200);
    assert_eq!(moved["now"], "2027-02-01T01:00:00Z");
    let to = json!({"to": "2027-12-31T23:59:59.5Z"});
    assert_eq!(
        test.post("/v1/tenants/test/clock", to).await.expect(200)["handled"],
        10
    );
    let event = json!({"id": "e", "customer": "acme", "type": "llm.call", "measures": {"input_tokens": 1},
        "attributes": {"model": "one"}});
    test.post("/v1/events", event).await.expect(200);
    let shown = test.get("/v1/customers/acme/events/e").await.expect(200);
    assert!(shown.to_string().contains("2027-12-31T23:59:59.5Z"), "{shown}");

    let back = json!({"to": START});
    let problem = test
        .post("/v1/tenants/test/clock", back)
        .await
        .problem(422, "invalid_time");
    assert_eq!((&problem["field"], problem.get("limit")), (&json!("to"), None));
    let far = json!({"advance": "P401D"});
    let problem = test
        .post("/v1/tenants/test/clock", far)
        .await
        .problem(422, "invalid_time");
    assert_eq!(
        (&problem["field"], &problem["limit"]),
        (&json!("advance"), &json!("ADVANCE_SPAN_MAX"))
    );
    for body in [
        json!({}),
        json!({"advance": "P1D", "advance_seconds": 1}),
        json!({"advance": "a while"}),
        json!({"advance": "-P1D"}),
        json!({"advance_seconds": -1}),
        json!({"by": "P1D"}),
    ] {
        test.post("/v1/tenants/test/clock", body)
            .await
            .problem(422, "invalid_request");
    }
    house
        .admin
        .post("/v1/tenants/default/clock", json!({"advance": "P1D"}))
        .await
        .problem(409, "live_tenant");
    assert_eq!(
        house.admin.get("/v1/tenants/default").await.expect(200)["kind"],
        "live"
    );
    house.close().await.unwrap();
}

/// The same names in two tenants are two things: neither key sees, charges or stops what is the other's.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_tenant_never_reaches_another() {
    let house = House::open().await;
    let operator = house.key(Role::Operator).await;
    let (a, b) = (
        sandbox(&house, &operator, "a").await,
        sandbox(&house, &operator, "b").await,
    );
    push_plan(&a).await;
    customer(&a, "acme").await;
    let hold = a.authorize("h", 100_000, 0).await.expect(200)["hold"]["id"]
        .as_str()
        .unwrap()
        .to_string();

    // B knows neither the customer, nor the plan, nor the hold.
    for path in [
        "/v1/customers/acme",
        "/v1/customers/acme/balance",
        "/v1/customers/acme/entries",
        "/v1/customers/acme/events/h",
        "/v1/subscriptions?customer=acme",
        "/v1/subscriptions/tokens?customer=acme",
    ] {
        assert_eq!(b.get(path).await.status, 404, "{path}");
    }
    let grant = json!({"id": "g", "asset": "usd", "amount": "9", "category": "paid"});
    b.post("/v1/customers/acme/grants", grant)
        .await
        .problem(404, "unknown_customer");
    b.authorize("h2", 1, 0).await.problem(404, "unknown_customer");
    for (verb, body) in [
        ("settle", json!({"id": "s", "measures": {"input_tokens": 1}})),
        ("extend", json!({"id": "x", "ttl_seconds": 60})),
        ("release", json!({"id": "r"})),
    ] {
        b.post(&format!("/v1/holds/{hold}/{verb}"), body)
            .await
            .problem(404, "unknown_hold");
    }
    b.put("/v1/customers/acme", json!({})).await.expect(201);
    let subscription = json!({"id": "tokens", "customer": "acme", "plan": "tokens"});
    b.post("/v1/subscriptions", subscription)
        .await
        .problem(404, "unknown_plan");
    assert_eq!(a.balance("acme").await, ("0.9".into(), "0.1".into()));

    // Keys have names within their tenant: B's revocation is B's own.
    b.call(Method::DELETE, "/v1/keys/gateway", None)
        .await
        .problem(404, "unknown_key");
    let gateway = a
        .post("/v1/keys", json!({"id": "gateway", "role": "read"}))
        .await
        .expect(201);
    let gateway = Client {
        key: gateway["key"].as_str().unwrap().to_string(),
        ..a.clone()
    };
    b.post("/v1/keys", json!({"id": "gateway", "role": "read"}))
        .await
        .expect(201);
    b.call(Method::DELETE, "/v1/keys/gateway", None).await.expect(200);
    gateway.get("/v1/customers/acme").await.expect(200);
    b.call(Method::DELETE, "/v1/keys/first-admin", None)
        .await
        .expect(200);
    b.get("/v1/customers/acme").await.problem(401, "unauthenticated");
    a.get("/v1/customers/acme").await.expect(200);

    // One's time is not the other's.
    advance(&a, "a", "k", json!({"advance": "P1M"})).await.expect(200);
    assert_eq!(operator.get("/v1/tenants/b").await.expect(200)["now"], START);
    house.close().await.unwrap();
}
