//! Statements, in all three forms.

use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Span;
use serde_json::{Value, json};

use crate::support::{Answer, House, answer};

/// 10 usd bought, 1 given away under a label that wants to be code, 3,000 tokens in for 0.003 usd. On 23 November 2026.
async fn house() -> House {
    let house = House::with_customer("10").await;
    let gift = json!({"id": "gift", "asset": "usd", "amount": "1", "category": "promotional",
        "label": "=cmd|'/c calc'!A0<script>alert(\"1\")</script>"});
    house
        .admin
        .post("/v1/customers/acme/grants", gift)
        .await
        .expect(201);
    for (id, tokens) in [("a", 1_000), ("b", 2_000)] {
        report(&house, id, tokens).await;
    }
    house
}

async fn report(house: &House, id: &str, tokens: u64) {
    let event = json!([{"id": id, "customer": "acme", "type": "llm.call", "attributes": {"model": "one"},
        "measures": {"input_tokens": tokens}}]);
    house.admin.post("/v1/events", event).await.expect(200);
}

async fn ask(house: &House, query: &str, accept: &str) -> Answer {
    let url = format!("{}/v1/customers/acme/statement{query}", house.url);
    let request = house.admin.http.get(url).bearer_auth(&house.admin.key);
    answer(request.header("accept", accept)).await
}

async fn statement(house: &House, query: &str) -> Value {
    ask(house, query, "*/*").await.expect(200)
}

/// `kind amount xquantity` of each line of an asset, between its opening and closing.
fn lines(statement: &Value, asset: &str) -> Vec<String> {
    let assets = statement["assets"].as_array().unwrap();
    let asset = assets.iter().find(|a| a["asset"] == asset).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let mut said = vec![format!("opening {}", text(&asset["opening"]["amount"]))];
    for line in asset["lines"].as_array().unwrap() {
        let quantity = line["quantity"]
            .as_str()
            .map_or(String::new(), |q| format!(" x{q}"));
        said.push(format!(
            "{} {}{quantity}",
            text(&line["kind"]),
            text(&line["amount"])
        ));
    }
    said.push(format!("closing {}", text(&asset["closing"]["amount"])));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_sums_to_the_balance_and_names_the_state_that_it_was_made_from() {
    let house = house().await;
    let month = statement(&house, "?month=2026-11").await;
    assert_eq!(
        lines(&month, "usd"),
        [
            "opening 0",
            "grant 1",
            "grant 10",
            "usage -0.003 x3000",
            "closing 10.997"
        ]
    );
    let usage = &month["assets"][0]["lines"][2];
    assert_eq!(
        (&usage["code"], &usage["subscription"], &usage["period"]["index"]),
        (&json!("input-tokens"), &json!("tokens"), &json!(0))
    );
    assert_eq!(
        (&month["from"], &month["to"], &month["status"]),
        (
            &json!("2026-11-01T00:00:00Z"),
            &json!("2026-12-01T00:00:00Z"),
            &json!("open")
        )
    );
    // Customer, grant, subscription, grant, two events.
    assert_eq!(
        (&month["records"], &month["as_of"]["sequence"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(month["as_of"]["chain"].as_str().unwrap().len(), 64);
    assert_eq!(house.admin.balance("acme").await.0, "10.997");
    assert_eq!(
        lines(&statement(&house, "").await, "usd"),
        lines(&month, "usd"),
        "the present month"
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_closing_of_a_range_is_the_opening_of_the_next() {
    let house = house().await;
    house.admin.authorize("call", 1_000, 1_000).await.expect(200); // at most 0.001 and 0.002
    let november = statement(&house, "?month=2026-11").await;
    assert_eq!(
        november["assets"][0]["closing"],
        json!({
        "available": "10.994", "held": "0.003", "debt": "0", "receivable": "0", "amount": "10.997"})
    );
    let mut without_holds = lines(&november, "usd");
    assert_eq!(without_holds.remove(4), "holds 0", "from available to held");
    house.clock.advance(Span::days(10)); // the hold is long over, and the subscription's period is not
    report(&house, "c", 4_000).await;
    let december = statement(&house, "?from=2026-12-01T00:00:00Z").await;
    assert_eq!(
        lines(&december, "usd"),
        ["opening 10.997", "usage -0.004 x4000", "closing 10.993"]
    );
    let again = statement(&house, "?month=2026-11").await;
    // The hold ended within November.
    assert_eq!(again["assets"][0]["closing"]["held"], "0");
    assert_eq!(
        (&again["status"], lines(&again, "usd")),
        (&json!("closed"), without_holds)
    );
    let period = statement(&house, "?subscription=tokens&period=0").await;
    assert_eq!(
        (
            &period["from"],
            &period["to"],
            &period["period"],
            &period["subscription"]
        ),
        (
            &json!("2026-11-23T09:30:00Z"),
            &json!("2026-12-23T09:30:00Z"),
            &json!(0),
            &json!("tokens")
        )
    );
    assert_eq!(
        lines(&period, "usd")[3..],
        ["usage -0.007 x7000", "closing 10.993"]
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_table_nothing_is_a_formula() {
    let house = house().await;
    let table = ask(&house, "", "text/csv").await;
    assert_eq!(
        table.headers["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    let text = table.expect(200).as_str().unwrap().to_string();
    let rows: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!(
        rows[0].starts_with("customer,from,to,asset,line,description,"),
        "{}",
        rows[0]
    );
    assert!(rows[0].ends_with(",quantity,available,held,debt,receivable,amount"));
    let from_to = "acme,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,usd";
    assert_eq!(rows[1], format!("{from_to},opening,,,,,,,,,,,,,,0,0,0,0,0"));
    assert_eq!(
        rows[2],
        format!(
            "{from_to},grant,\"'=cmd|'/c calc'!A0<script>alert(\"\"1\"\")</script> (promotional)\",,gift,promotional,\
             order,,,,,,,2026-11-23T09:30:00Z,,1,0,0,0,1"
        )
    );
    assert_eq!(
        rows[4],
        format!(
            "{from_to},usage,Input tokens,input-tokens,,,,tokens,\
             2026-11-23T09:30:00Z,2026-12-23T09:30:00Z,0,,,,3000,-0.003,0,0,0,-0.003"
        )
    );
    assert_eq!(
        rows[5],
        format!("{from_to},closing,,,,,,,,,,,,,,10.997,0,0,0,10.997")
    );
    assert_eq!(rows.len(), 6);
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_page_nothing_runs() {
    let house = house().await;
    let name = json!({"name": "<img src=x onerror=alert(1)>"});
    house.admin.put("/v1/customers/acme", name).await.expect(200);
    for (query, accept) in [
        ("?format=html", "*/*"),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ] {
        let page = ask(&house, query, accept).await;
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let text = page.expect(200).as_str().unwrap().to_string();
        for raw in [
            "<script", "<img", "http://", "https://", "src=", "@import", "url(",
        ] {
            let found = text.replace("src&#x3d;", "").replace("&lt;img src=x", "");
            assert!(!found.contains(raw), "{raw} in {text}");
        }
        assert!(text.contains("&lt;script&gt;"), "{text}");
        for said in [
            "Opening balance",
            "Closing balance",
            "10.997",
            "\u{2212}0.003",
            "3,000",
            "1 November 2026",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_range_is_refused_by_name() {
    let house = House::with_customer("1").await;
    for (query, parameter) in [
        ("?month=november", "month"),
        ("?month=2026-13", "month"),
        ("?month=2026-11&from=2026-11-01T00:00:00Z", "from"),
        ("?to=2026-11-01T00:00:00Z", "from"),
        ("?from=2026-12-01T00:00:00Z&to=2026-11-01T00:00:00Z", "from"),
        ("?period=0", "subscription"),
        ("?subscription=tokens&period=1", "period"),
        ("?format=pdf", "format"),
        ("?since=yesterday", "since"),
    ] {
        let problem = ask(&house, query, "*/*").await.problem(422, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter, "{query}: {problem}");
    }
    ask(&house, "?subscription=other", "*/*")
        .await
        .problem(404, "unknown_subscription");
    house
        .admin
        .get("/v1/customers/nobody/statement")
        .await
        .problem(404, "unknown_customer");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_of_a_range_that_much_was_posted_since_is_the_same() {
    let house = house().await;
    house.clock.advance(Span::days(10));
    let before = lines(&statement(&house, "?month=2026-11").await, "usd");
    assert_eq!(before.last().unwrap(), "closing 10.997");
    // Balances are carried forward behind record 16,384, and more come after.
    for call in 0..9 {
        let events: Vec<Value> = (0..2_000)
            .map(|n| {
                json!({"id": format!("{call}-{n}"), "customer": "acme", "type": "llm.call",
                    "attributes": {"model": "one"}, "measures": {"input_tokens": 1}})
            })
            .collect();
        house.admin.post("/v1/events", json!(events)).await.expect(200);
    }
    let later = statement(&house, "?month=2026-11").await;
    assert_eq!(lines(&later, "usd"), before);
    let newest = later["as_of"]["sequence"].as_u64().unwrap();
    assert!(newest > 18_000);
    let (tenant, acme) = (
        TenantId::new("default").unwrap(),
        CustomerId::new("acme").unwrap(),
    );
    let closing = "2026-12-01T00:00:00Z".parse().unwrap();
    let carried = house.engine.carried(&tenant, &acme, closing, newest).unwrap();
    assert_eq!(carried.map(|(sequence, _)| sequence), Some(16_384));
    // 18,000 tokens at 1 usd a million.
    let december = statement(&house, "?month=2026-12").await;
    assert_eq!(
        lines(&december, "usd"),
        ["opening 10.997", "usage -0.018 x18000", "closing 10.979"]
    );
    house.close().await.unwrap();
}
