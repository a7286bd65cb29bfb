//! The books of all customers together.

use std::num::NonZeroU32;
use std::sync::Arc;

use farebox_record::control::Role;
use farebox_server::Config;
use farebox_store::{LossyStore, MemoryStore};
use serde_json::{Value, json};

use crate::support::{Client, House, answer, per_outcome};

/// `account opening moved closing` of each account of an asset that has anything.
fn accounts(books: &Value, asset: &str) -> Vec<String> {
    let assets = books["assets"].as_array().unwrap();
    let asset = assets.iter().find(|a| a["asset"] == asset).unwrap();
    let accounts = asset["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 10);
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let rows = accounts.iter().map(|account| {
        let columns = ["account", "opening", "moved", "closing"];
        columns.map(|column| text(&account[column])).join(" ")
    });
    rows.filter(|row| !row.ends_with(" 0 0 0")).collect()
}

async fn report(house: &House, customer: &str, id: &str, tokens: u64) {
    let event = json!([{"id": id, "customer": customer, "type": "llm.call", "attributes": {"model": "one"},
        "measures": {"input_tokens": tokens}}]);
    house.admin.post("/v1/events", event).await.expect(200);
}

/// On 23 November two customers buy 10 and 2, and the first is given 4 until the end of the month. They use 3 and 2.5: the gift
/// burns first, and 0.5 are owed. In December the first uses 1 more.
async fn house() -> House {
    let house = House::with_customer("10").await;
    house.customer("zenith", "2").await;
    let gift = json!({"id": "gift", "asset": "usd", "amount": "4", "category": "promotional",
        "expires_at": "2026-12-01T00:00:00Z"});
    house
        .admin
        .post("/v1/customers/acme/grants", gift)
        .await
        .expect(201);
    report(&house, "acme", "a", 3_000_000).await;
    report(&house, "zenith", "b", 2_500_000).await;
    house.clock.advance_to("2026-12-05T09:00:00Z".parse().unwrap());
    report(&house, "acme", "c", 1_000_000).await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn two_months_of_two_customers_are_what_a_person_adds_up() {
    let house = house().await;
    let november = house.admin.get("/v1/books?month=2026-11").await.expect(200);
    let all = [
        "available 0 11 11",
        "debt 0 -0.5 -0.5",
        "purchases 0 -12 -12",
        "promotional 0 -4 -4",
        "revenue 0 5.5 5.5",
    ];
    assert_eq!(accounts(&november, "usd"), all, "{november}");
    // What was left of the gift, 1, expired at the first instant of December.
    let december = house.admin.get("/v1/books").await.expect(200);
    let all = [
        "available 11 -2 9",
        "debt -0.5 0 -0.5",
        "purchases -12 0 -12",
        "promotional -4 0 -4",
        "revenue 5.5 1 6.5",
        "breakage 0 1 1",
    ];
    assert_eq!(accounts(&december, "usd"), all, "{december}");
    assert_eq!(december["from"], "2026-12-01T00:00:00Z");
    assert_eq!(december["as_of"]["time"], "2026-12-05T09:00:00Z");
    let days = "/v1/books?from=2026-11-24&to=2026-12-02";
    let days = house.admin.get(days).await.expect(200);
    assert!(
        accounts(&days, "usd").contains(&"breakage 0 1 1".to_string()),
        "{days}"
    );
    let today = house.admin.get("/v1/books?from=2026-12-05").await.expect(200);
    assert_eq!(today["to"], "2026-12-06T00:00:00Z");
    assert!(
        accounts(&today, "usd").contains(&"revenue 5.5 1 6.5".to_string()),
        "{today}"
    );
    let before = house.admin.get("/v1/books?month=2026-10").await.expect(200);
    assert_eq!(before["assets"], json!([]));
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn books_come_as_a_table() {
    let house = house().await;
    let url = format!("{}/v1/books?month=2026-11", house.url);
    let request = house.admin.http.get(url).bearer_auth(&house.admin.key);
    let response = request.header("accept", "text/csv").send().await.unwrap();
    let media = response.headers()["content-type"].to_str().unwrap().to_string();
    assert_eq!(media, "text/csv; charset=utf-8; header=present");
    let text = response.text().await.unwrap();
    let rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows[0], "from,to,asset,account,opening,moved,closing");
    assert_eq!(
        rows[1],
        "2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,usd,available,0,11,11"
    );
    assert_eq!(rows.len(), 12, "{text}");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_that_are_none_are_told() {
    let house = House::open().await;
    for (query, detail) in [
        ("month=november", "\"november\" is no month"),
        (
            "from=2026-11-01T00:00:00Z",
            "is no day: expected one such as 2026-11-01",
        ),
        ("from=2026-11-31", "is no day"),
        ("to=2026-11-01", "say from which day on"),
        ("month=2026-11&from=2026-11-01", "a range is given in one way"),
        ("from=2026-11-02&to=2026-11-02", "is not before"),
        ("format=html", "books come as json or csv"),
        ("months=2026-11", "unknown field"),
    ] {
        let url = format!("{}/v1/books?{query}", house.url);
        let asked = house.admin.http.get(url).bearer_auth(&house.admin.key);
        let problem = answer(asked).await.problem(422, "invalid_parameter");
        let said = problem.to_string();
        assert!(said.contains(&detail.replace('"', "\\\"")), "{query}: {said}");
    }
    house.close().await.unwrap();
}

/// `acme` with 10 usd on a plan by which a resolution is 1 usd, a day after it was claimed.
async fn per_outcome_customer(client: &Client) {
    let prices = json!({"outcomes": {"resolution": "1"}, "counts_after_hours": 24});
    client.push("outcomes", per_outcome(), prices).await;
    client.put("/v1/customers/acme", json!({})).await.expect(201);
    let grant = json!({"id": "start", "asset": "usd", "amount": "10", "category": "paid"});
    client.post("/v1/customers/acme/grants", grant).await.expect(201);
    let subscription = json!({"id": "s", "customer": "acme", "plan": "outcomes"});
    client.post("/v1/subscriptions", subscription).await.expect(201);
}

async fn claimed_at(client: &Client, time: &str) {
    let event = json!({"id": "late", "customer": "acme", "type": "outcome.claimed", "time": time,
        "attributes": {"conversation": "c1", "outcome": "resolution"}});
    client.post("/v1/events", event).await.expect(200);
}

/// A conversation of 28 November is claimed in December. What it costs falls due on the 29th, in a month that is closed: the
/// charge stands in December, in the books as on the statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_month_stays_as_it_was() {
    let house = House::open().await;
    let client = &house.admin;
    per_outcome_customer(client).await;

    house.clock.advance_to("2026-12-05T09:00:00Z".parse().unwrap());
    let grant = json!({"id": "more", "asset": "usd", "amount": "2", "category": "paid"});
    client.post("/v1/customers/acme/grants", grant).await.expect(201);
    let november = ["available 0 10 10", "purchases 0 -10 -10"];
    let told = client.get("/v1/books?month=2026-11").await.expect(200);
    assert_eq!(accounts(&told, "usd"), november, "{told}");

    claimed_at(client, "2026-11-28T12:00:00Z").await;
    let told = client.get("/v1/books?month=2026-11").await.expect(200);
    assert_eq!(accounts(&told, "usd"), november, "{told}");
    let told = client.get("/v1/books?month=2026-12").await.expect(200);
    let december = ["available 10 1 11", "purchases -10 -2 -12", "revenue 0 1 1"];
    assert_eq!(accounts(&told, "usd"), december, "{told}");
    for (month, opening, closing) in [("2026-11", "0", "10"), ("2026-12", "10", "11")] {
        let path = format!("/v1/customers/acme/statement?month={month}");
        let statement = client.get(&path).await.expect(200);
        let available = |side: &str| statement["assets"][0][side]["available"].clone();
        assert_eq!(available("opening"), opening, "{statement}");
        assert_eq!(available("closing"), closing, "{statement}");
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn books_that_are_behind_are_not_given_out() {
    let never = NonZeroU32::MAX;
    let store = Arc::new(LossyStore::new(MemoryStore::new(), 0, never));
    let house = House::open_over(store.clone(), Config::default()).await;
    house.push_plan().await;
    house.customer("acme", "10").await;
    let given = house.admin.get("/v1/books").await.expect(200);
    assert_eq!(
        accounts(&given, "usd"),
        ["available 0 10 10", "purchases 0 -10 -10"]
    );

    store.withhold_tail(true);
    report(&house, "acme", "a", 3_000_000).await;
    let refused = house.admin.get("/v1/books").await;
    assert!(refused.headers.contains_key("retry-after"));
    let problem = refused.problem(503, "books_behind");
    assert_eq!(problem["detail"], "records are durable that are not in them yet");

    store.withhold_tail(false);
    let given = house.admin.get("/v1/books").await.expect(200);
    let all = ["available 0 7 7", "purchases 0 -10 -10", "revenue 0 3 3"];
    assert_eq!(accounts(&given, "usd"), all);
    house.close().await.unwrap();
}

/// While the disk is nearly full nothing that is due happens by itself; for who looks at the books it does, as for who reads a
/// wallet.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_happens_before_books_are_read() {
    let never = NonZeroU32::MAX;
    let store = Arc::new(LossyStore::new(MemoryStore::new(), 0, never));
    let house = House::open_over(store.clone(), Config::default()).await;
    house.push_plan().await;
    house.customer("acme", "10").await;
    let gift = json!({"id": "gift", "asset": "usd", "amount": "4", "category": "promotional",
        "expires_at": "2026-11-30T12:00:00Z"});
    house
        .admin
        .post("/v1/customers/acme/grants", gift)
        .await
        .expect(201);
    store.say_nearly_full(true);
    house.clock.advance_to("2026-12-05T09:00:00Z".parse().unwrap());
    let given = house.admin.get("/v1/books?month=2026-11").await.expect(200);
    let all = [
        "available 0 10 10",
        "purchases 0 -10 -10",
        "promotional 0 -4 -4",
        "breakage 0 4 4",
    ];
    assert_eq!(accounts(&given, "usd"), all);
    house.close().await.unwrap();
}

/// The clock of a sandbox stands, so nobody wakes its wallets until it moves: a timer in the past is handled for the reader.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_sandbox_too() {
    let house = House::open().await;
    let operator = house.key(Role::Operator).await;
    let client = crate::tenants::sandbox(&house, &operator, "test").await;
    per_outcome_customer(&client).await;
    let to = json!({"to": "2027-02-05T00:00:00Z"});
    crate::tenants::advance(&operator, "test", "on", to)
        .await
        .expect(200);
    let january = ["available 0 10 10", "purchases 0 -10 -10"];
    let told = client.get("/v1/books?month=2027-01").await.expect(200);
    assert_eq!(accounts(&told, "usd"), january, "{told}");
    // Long enough for the sweeper to find that nothing is due, and to let the sandbox rest.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    claimed_at(&client, "2027-01-28T12:00:00Z").await;
    let told = client.get("/v1/books").await.expect(200);
    let february = ["available 10 -1 9", "purchases -10 0 -10", "revenue 0 1 1"];
    assert_eq!(accounts(&told, "usd"), february, "{told}");
    let told = client.get("/v1/books?month=2027-01").await.expect(200);
    assert_eq!(accounts(&told, "usd"), january, "{told}");
    house.close().await.unwrap();
}
