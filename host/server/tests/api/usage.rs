//! Usage by attribute and time.

use farebox_record::time::Span;
use serde_json::{Value, json};

use crate::support::House;

fn event(id: &str, model: Option<&str>, feature: &str, tokens: u64) -> Value {
    let mut attributes = json!({"feature": feature, "request_id": id});
    if let Some(model) = model {
        attributes["model"] = model.into();
    }
    json!({"id": id, "customer": "acme", "type": "llm.call", "attributes": attributes,
        "measures": {"input_tokens": tokens, "cost_usd": "0.0001"}})
}

async fn report(house: &House, events: Value) {
    house.admin.post("/v1/events", events).await.expect(200);
}

/// Values of `by`, events, tokens and usd of each row.
fn rows(page: &Value, by: &[&str]) -> Vec<(Vec<Option<String>>, i64, String, String)> {
    let rows = page["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            let values = by
                .iter()
                .map(|name| row["attributes"][name].as_str().map(str::to_string));
            let usd = row["charges"]
                .as_array()
                .unwrap()
                .iter()
                .find(|c| c["asset"] == "usd");
            let usd = usd.map_or("0", |charge| charge["amount"].as_str().unwrap());
            let tokens = row["measures"]["input_tokens"].as_str().unwrap();
            (
                values.collect(),
                row["events"].as_i64().unwrap(),
                tokens.to_string(),
                usd.to_string(),
            )
        })
        .collect()
}

fn row(values: &[&str], events: i64, tokens: &str, usd: &str) -> (Vec<Option<String>>, i64, String, String) {
    let values = values.iter().map(|v| Some(v.to_string()).filter(|v| v != "-"));
    (values.collect(), events, tokens.to_string(), usd.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_summed_up_by_attribute_and_time_this_minute_included() {
    let house = House::with_customer("10").await;
    // One usd per million tokens in.
    report(
        &house,
        json!([
            event("a", Some("one"), "chat", 1_000),
            event("b", Some("one"), "chat", 2_000),
            event("c", Some("one"), "search", 4_000),
            event("d", None, "chat", 8_000), // no model: no price
        ]),
    )
    .await;
    house.clock.advance(Span::seconds(3_600));
    report(&house, json!([event("e", Some("one"), "chat", 16_000)])).await;
    let usage = |query: &str| {
        let (client, path) = (house.admin.clone(), format!("/v1/customers/acme/usage?{query}"));
        async move { client.get(&path).await.expect(200) }
    };
    let hourly = usage("every=hour&by=feature").await;
    assert_eq!(
        rows(&hourly, &["feature"]),
        [
            row(&["chat"], 3, "11000", "0.003"),
            row(&["search"], 1, "4000", "0.004"),
            row(&["chat"], 1, "16000", "0.016"),
        ]
    );
    let first = &hourly["rows"][0];
    assert_eq!(
        (&first["time"], &first["unpriced"]),
        (&json!("2026-11-23T09:00:00Z"), &json!(1))
    );
    assert_eq!(
        first["charges"],
        json!([{"code": "input-tokens", "asset": "usd", "amount": "0.003", "quantity": "3000"}])
    );
    assert_eq!(
        (&first["cost_usd"], first["measures"].get("cost_usd")),
        (&json!("0.0003"), None)
    );
    assert_eq!(hourly["as_of"]["time"], "2026-11-23T10:30:00Z");
    let both = usage("every=day&by=feature,model").await;
    assert_eq!(
        rows(&both, &["feature", "model"]),
        [
            row(&["chat", "-"], 1, "8000", "0"),
            row(&["chat", "one"], 3, "19000", "0.019"),
            row(&["search", "one"], 1, "4000", "0.004"),
        ]
    );
    // By what names one event of many, it is found in the records: those of the first hour, and no later ones.
    let one_each =
        usage("every=hour&by=request_id&from=2026-11-23T09:00:00Z&to=2026-11-23T10:00:00Z&limit=3").await;
    let rest = usage(&format!(
        "every=hour&by=request_id&from=2026-11-23T09:00:00Z&to=2026-11-23T10:00:00Z&cursor={}",
        one_each["next"].as_str().unwrap()
    ))
    .await;
    assert_eq!(
        [rows(&one_each, &["request_id"]), rows(&rest, &["request_id"])].concat(),
        [
            row(&["a"], 1, "1000", "0.001"),
            row(&["b"], 1, "2000", "0.002"),
            row(&["c"], 1, "4000", "0.004"),
            row(&["d"], 1, "8000", "0"),
        ]
    );
    let minutes = usage("every=minute&from=2026-11-23T09:30:00Z&to=2026-11-23T09:31:00Z").await;
    assert_eq!(rows(&minutes, &[]), [row(&[], 4, "15000", "0.007")]);
    let this_minute = usage("every=minute").await;
    assert_eq!(this_minute["rows"].as_array().unwrap().len(), 2, "{this_minute}");
    let page = usage("every=hour&by=feature&limit=2").await;
    let rest = usage(&format!(
        "every=hour&by=feature&limit=2&cursor={}",
        page["next"].as_str().unwrap()
    ))
    .await;
    let paged = [
        page["rows"].as_array().unwrap().clone(),
        rest["rows"].as_array().unwrap().clone(),
    ]
    .concat();
    assert_eq!(Value::from(paged), hourly["rows"]);
    assert!(rest.get("next").is_none());
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused_by_name() {
    let house = House::with_customer("1").await;
    let refused = |query: &str| {
        let (client, path) = (house.admin.clone(), format!("/v1/customers/acme/usage?{query}"));
        async move { client.get(&path).await.problem(422, "invalid_parameter") }
    };
    for (query, parameter) in [
        ("every=week", "every"),
        ("by=a,a", "by"),
        ("by=a,b,c,d,e", "by"),
        ("by=", "by"),
        ("from=yesterday", "from"),
        ("from=2026-11-23T10:00:00Z&to=2026-11-23T09:00:00Z", "from"),
        ("every=minute&from=2026-10-01T00:00:00Z", "from"),
        ("cursor=x", "cursor"),
    ] {
        let problem = refused(query).await;
        assert_eq!(problem["parameter"], parameter, "{query}: {problem}");
    }
    let old = refused("every=minute&from=2026-10-01T00:00:00Z").await;
    assert_eq!(old["limit"], "USAGE_MINUTES_KEPT");
    house
        .admin
        .get("/v1/customers/nobody/usage")
        .await
        .problem(404, "unknown_customer");
    house.close().await.unwrap();
}
