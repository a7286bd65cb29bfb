//! Who is let in.

use farebox_record::control::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{Client, House, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_shown_once_and_revoked() {
    let house = House::open().await;
    let admin = house.admin.clone();
    let made = admin
        .post("/v1/keys", json!({"id": "gateway", "role": "authorize"}))
        .await
        .expect(201);
    let secret = made["key"].as_str().unwrap().to_string();
    assert!(secret.starts_with("fbx_"));
    admin
        .post("/v1/keys", json!({"id": "gateway", "role": "read"}))
        .await
        .problem(409, "key_exists");
    let gateway = Client {
        key: secret,
        ..admin.clone()
    };
    gateway.get("/v1/holds/hold_x").await.problem(404, "unknown_hold");
    let problem = gateway.get("/v1/keys").await.problem(403, "forbidden");
    assert_eq!(problem["roles"], json!(["operator", "admin"]));

    let keys = admin.get("/v1/keys?limit=1").await.expect(200);
    assert_eq!(keys["keys"][0]["id"], "boss");
    let next = keys["next"].as_str().unwrap();
    let keys = admin.get(&format!("/v1/keys?cursor={next}")).await.expect(200);
    assert_eq!(
        (&keys["keys"][0]["id"], keys["keys"][0].get("key")),
        (&json!("gateway"), None)
    );

    for _ in 0..2 {
        let revoked = admin
            .call(Method::DELETE, "/v1/keys/gateway", None)
            .await
            .expect(200);
        assert!(revoked["revoked_at"].is_string());
    }
    gateway
        .get("/v1/holds/hold_x")
        .await
        .problem(401, "unauthenticated");
    admin
        .call(Method::DELETE, "/v1/keys/nobody", None)
        .await
        .problem(404, "unknown_key");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_key() {
    let house = House::open().await;
    for authorization in [
        "",
        "Basic YTpi",
        "Bearer",
        "Bearer sk-123",
        &format!("Bearer fbx_{}", "A".repeat(43)),
    ] {
        let request = house
            .admin
            .http
            .get(format!("{}/v1/customers", house.url))
            .header("authorization", authorization);
        let answered = crate::support::answer(request).await;
        assert_eq!(answered.headers["www-authenticate"], "Bearer");
        answered.problem(401, "unauthenticated");
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_do_what_their_line_says() {
    let house = House::with_customer("1").await;
    let ingest = house.key(Role::Ingest).await;
    ingest.authorize("x", 1, 1).await.problem(403, "forbidden");
    ingest.post("/v1/events", json!([])).await.expect(200);
    ingest.get("/v1/customers/acme").await.problem(403, "forbidden");
    let read = house.key(Role::Read).await;
    read.get("/v1/customers/acme/balance").await.expect(200);
    read.get("/metrics").await.expect(200);
    read.put("/v1/customers/acme", json!({}))
        .await
        .problem(403, "forbidden");
    let authorize = house.key(Role::Authorize).await;
    authorize.authorize("x", 1, 1).await.expect(200);
    authorize.get("/metrics").await.problem(403, "forbidden");
    let billing = house.key(Role::Billing).await;
    billing.put("/v1/customers/new", json!({})).await.expect(201);
    billing
        .send("/v1/plans/x/components", "application/wasm", "x")
        .await
        .problem(403, "forbidden");
    // An admin makes no operator, and revokes none.
    house
        .admin
        .post("/v1/keys", json!({"id": "op", "role": "operator"}))
        .await
        .problem(403, "forbidden");
    let operator = house.key(Role::Operator).await;
    operator
        .post("/v1/keys", json!({"id": "op", "role": "operator"}))
        .await
        .expect(201);
    house
        .admin
        .call(Method::DELETE, "/v1/keys/op", None)
        .await
        .problem(403, "forbidden");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_crosses_from_one_tenant_to_another() {
    let house = House::with_customer("1").await;
    let other = key(&house.engine, "other", "boss", Role::Admin, &house.url).await;
    other
        .get("/v1/customers/acme")
        .await
        .problem(404, "unknown_customer");
    other.get("/v1/plans/tokens").await.problem(404, "unknown_plan");
    assert_eq!(
        other.get("/v1/customers").await.expect(200)["customers"],
        json!([])
    );
    let allowed = house.admin.authorize("x", 1, 1).await.expect(200);
    let hold = allowed["hold"]["id"].as_str().unwrap();
    other
        .get(&format!("/v1/holds/{hold}"))
        .await
        .problem(404, "unknown_hold");
    let settle = json!({"id": "s", "measures": {}});
    other
        .post(&format!("/v1/holds/{hold}/settle"), settle)
        .await
        .problem(404, "unknown_hold");
    house.close().await.unwrap();
}
