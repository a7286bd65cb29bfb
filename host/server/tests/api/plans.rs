//! Code, prices, and when they apply.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, House, PRICES, answer, per_token};

/// Posts this very text under a key.
async fn under(client: &Client, key: &str, path: &str, body: String) -> Answer {
    let request = (client.http.post(format!("{}{path}", client.url)))
        .bearer_auth(&client.key)
        .header("idempotency-key", key)
        .header("content-type", "application/json");
    answer(request.body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_pushed_activated_shown_and_rolled_back() {
    let house = House::open().await;
    let client = house.admin.clone();
    let component = house.push_plan().await;
    let again = client
        .send(
            "/v1/plans/tokens/components",
            "application/wasm",
            per_token().to_vec(),
        )
        .await
        .expect(200);
    assert_eq!(
        (&again["created"], &again["description"]["name"]),
        (&json!(false), &json!("per-token"))
    );
    let plan = client.get("/v1/plans/tokens").await.expect(200);
    assert_eq!(plan["components"][0]["component"], component.as_str());
    assert_eq!(plan["parameters"], serde_json::from_str::<Value>(PRICES).unwrap());
    let first = plan["in_force"]["revision"].clone();

    let revisions = "/v1/plans/tokens/revisions";
    // The same parameters, spelt with other spaces: in force already.
    let same = format!(r#"{{"component": "{component}", "parameters": {PRICES} }}"#).replace(": ", ":   ");
    let same = under(&client, "other-spaces", revisions, same).await.expect(200);
    assert_eq!((&same["created"], &same["revision"]), (&json!(false), &first));

    client
        .call(Method::POST, "/v1/plans/tokens/rollback", None)
        .await
        .problem(409, "nothing_to_roll_back");
    let mut dearer: Value = serde_json::from_str(PRICES).unwrap();
    dearer["providers"]["p"]["models"]["one"]["prices"]["input"] = json!("7");
    let body = json!({"component": component, "parameters": dearer, "open_holds": "new", "migrate": "now"});
    let second = client.post(revisions, body).await.expect(201);
    assert_eq!(
        (&second["created"], &second["open_holds"]),
        (&json!(true), &json!("new"))
    );
    let back = client
        .call(Method::POST, "/v1/plans/tokens/rollback", None)
        .await
        .expect(200);
    assert_eq!((&back["revision"], &back["created"]), (&first, &json!(true)));
    // The request is repeated: what it would go back from is not in force any more.
    let from = json!({"from": second["revision"]});
    let repeated = client.post("/v1/plans/tokens/rollback", from).await.expect(200);
    assert_eq!(
        (&repeated["revision"], &repeated["created"]),
        (&first, &json!(false))
    );
    let from = json!({"from": {"component": component, "parameters": "nothing"}});
    client
        .post("/v1/plans/tokens/rollback", from)
        .await
        .problem(422, "invalid_request");
    let plan = client.get("/v1/plans/tokens").await.expect(200);
    assert_eq!(
        (
            plan["timeline"].as_array().unwrap().len(),
            &plan["in_force"]["revision"]
        ),
        (3, &first)
    );
    let plans = client.get("/v1/plans").await.expect(200);
    assert_eq!(
        (&plans["plans"][0]["plan"], plans.get("next")),
        (&json!("tokens"), None)
    );
    house.close().await.unwrap();
}

/// A retry that was on its way for long, and arrives behind newer prices, brings nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_retry_does_not_bring_older_prices_back() {
    let house = House::open().await;
    let component = house.push_plan().await;
    let revisions = "/v1/plans/tokens/revisions";
    let under =
        async |key: &str, path: &str, body: Value| under(&house.admin, key, path, body.to_string()).await;
    let priced = |input: &str| {
        let mut parameters: Value = serde_json::from_str(PRICES).unwrap();
        parameters["providers"]["p"]["models"]["one"]["prices"]["input"] = json!(input);
        json!({"component": component, "parameters": parameters})
    };
    let dear = under("dear", revisions, priced("7")).await.expect(201);
    under("dearer", revisions, priced("8")).await.expect(201);
    let again = under("dear", revisions, priced("7")).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let again = again.expect(200);
    assert_eq!(
        (
            &again["revision"],
            &again["activated_at"],
            &again["created"],
            &again["replayed"]
        ),
        (
            &dear["revision"],
            &dear["activated_at"],
            &json!(true),
            &json!(true)
        )
    );
    let in_force = async || house.admin.get("/v1/plans/tokens").await.expect(200)["parameters"].clone();
    assert_eq!(in_force().await, priced("8")["parameters"]);
    let conflict = under("dear", revisions, priced("9"))
        .await
        .problem(409, "conflict");
    assert_eq!(conflict["field"], "parameters");

    under("back", "/v1/plans/tokens/rollback", json!({}))
        .await
        .expect(200);
    assert_eq!(in_force().await, priced("7")["parameters"]);
    let again = under("back", "/v1/plans/tokens/rollback", json!({}))
        .await
        .expect(200);
    assert_eq!(again["replayed"], json!(true));
    assert_eq!(in_force().await, priced("7")["parameters"]);
    // Without a key neither is taken.
    for (path, body) in [(revisions, priced("9")), ("/v1/plans/tokens/rollback", json!({}))] {
        let keyless = house.admin.send(path, "application/json", body.to_string()).await;
        let problem = keyless.problem(422, "invalid_parameter");
        assert_eq!(problem["parameter"], "Idempotency-Key");
    }
    assert_eq!(in_force().await, priced("7")["parameters"]);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plan_is_refused_with_a_reason() {
    let house = House::open().await;
    let client = house.admin.clone();
    let path = "/v1/plans/tokens/components";
    let problem = client
        .send(path, "application/wasm", b"\0asm nonsense".to_vec())
        .await
        .problem(422, "component_refused");
    assert!(problem["reason"].is_string(), "{problem}");
    client
        .send(path, "application/json", "{}")
        .await
        .problem(415, "unsupported_media_type");
    client.get("/v1/plans/tokens").await.problem(404, "unknown_plan");
    let component = house.push_plan().await;
    let revisions = "/v1/plans/tokens/revisions";
    let good: Value = serde_json::from_str(PRICES).unwrap();

    let mut bad = good.clone();
    bad["providers"]["p"]["models"]["one"]["prices"]["output"] = json!("cheap");
    let body = json!({"component": component, "parameters": bad});
    let problem = client
        .post(revisions, body)
        .await
        .problem(422, "parameters_refused");
    let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
    assert!(pointer.starts_with("/providers/p/models/one"), "{problem}");

    for (body, status, code) in [
        (
            json!({"component": "0".repeat(64), "parameters": good}),
            404,
            "unknown_component",
        ),
        (
            json!({"component": "xyz", "parameters": good}),
            422,
            "invalid_request",
        ),
        (json!({"component": component}), 422, "invalid_request"),
        (
            json!({"component": component, "parameters": good, "migrate": "period_end"}),
            422,
            "unsupported",
        ),
        (
            json!({"component": component, "parameters": good, "migrate": "sometime"}),
            422,
            "invalid_request",
        ),
        (
            json!({"component": component, "parameters": good, "effective_at": "2020-01-01T00:00:00Z"}),
            422,
            "effective_in_the_past",
        ),
    ] {
        client.post(revisions, body).await.problem(status, code);
    }
    client
        .post(
            "/v1/plans/none/revisions",
            json!({"component": component, "parameters": good}),
        )
        .await
        .problem(404, "unknown_plan");
    client
        .call(Method::POST, "/v1/plans/none/rollback", None)
        .await
        .problem(404, "unknown_plan");
    house.close().await.unwrap();
}
