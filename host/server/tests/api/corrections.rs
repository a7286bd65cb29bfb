//! Money that is put right: refunds, voids, amendments, adjustments, payments.

use farebox_record::control::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, House, answer};

/// So many tokens of model `one`, which cost 1 usd per million in and 2 out.
fn tokens(input: u64, output: u64) -> Value {
    json!({"type": "llm.call", "measures": {"input_tokens": input, "output_tokens": output},
        "attributes": {"model": "one"}})
}

async fn used(client: &Client, id: &str, input: u64, output: u64) {
    let mut event = tokens(input, output);
    event["id"] = json!(id);
    event["customer"] = json!("acme");
    client.post("/v1/events", event).await.expect(200);
}

fn at(event: &str) -> String {
    format!("/v1/customers/acme/events/{event}")
}

async fn keyed(client: &Client, method: Method, path: &str, key: &str, body: Value) -> Answer {
    let request = client
        .http
        .request(method, format!("{}{path}", client.url))
        .bearer_auth(&client.key)
        .header("idempotency-key", key)
        .header("content-type", "application/json");
    answer(request.body(body.to_string())).await
}

fn usd(amount: &str) -> Value {
    json!({"asset": "usd", "amount": amount})
}

const REFUNDS: &str = "/v1/customers/acme/refunds";

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_gives_back_up_to_what_the_event_took() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    used(&client, "a", 1_000_000, 500_000).await; // 1 usd in, 1 usd out
    let half = json!({"id": "r1", "event": {"id": "a"}, "amount": usd("0.5"), "reason": "cut short"});
    let given = client.post(REFUNDS, half.clone()).await.expect(201);
    assert_eq!(given["reversed"], json!([usd("0.5")]));
    assert_eq!(
        (&given["paid"], &given["expired"], &given["charges"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(given["balance"][0]["available"], "8.5");

    assert!(client.post(REFUNDS, half.clone()).await.is_replayed());
    for (field, value) in [
        ("amount", usd("0.6")),
        ("reason", json!("other")),
        ("event", json!({"id": "b"})),
    ] {
        let mut other = half.clone();
        other[field] = value;
        assert_eq!(
            client.post(REFUNDS, other).await.problem(409, "conflict")["field"],
            field
        );
    }
    let much = json!({"id": "r2", "event": {"id": "a"}, "amount": usd("1.6"), "reason": "x"});
    let problem = client.post(REFUNDS, much).await.problem(422, "invalid_amount");
    assert_eq!(
        (&problem["field"], &problem["available"]),
        (&json!("amount"), &json!("1.5"))
    );

    // A refused id is not used up.
    let rest = json!({"id": "r2", "event": {"id": "a", "source": "api"}, "reason": "all of it"});
    let given = client.post(REFUNDS, rest).await.expect(201);
    assert_eq!(given["reversed"], json!([usd("1.5")]));
    assert_eq!(client.balance("acme").await.0, "10");
    let again = json!({"id": "r3", "event": {"id": "a"}, "reason": "more"});
    client
        .post(REFUNDS, again)
        .await
        .problem(409, "nothing_to_give_back");
    let unknown = json!({"id": "r3", "event": {"id": "nothing"}, "reason": "more"});
    client.post(REFUNDS, unknown).await.problem(404, "unknown_event");

    let shown = client.get(&at("a")).await.expect(200);
    let standing = &shown["standing"];
    assert_eq!(
        (&standing["status"], &standing["taken"]),
        (&json!("charged"), &json!([]))
    );
    assert_eq!(
        standing["charges"][1],
        json!({"code": "output-tokens", "asset": "usd", "amount": "1", "quantity": "500000"})
    );
    let kinds: Vec<&Value> = shown["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["kind"])
        .collect();
    assert_eq!(kinds, ["usage", "refund", "refund"]);
    assert_eq!(
        (&shown["records"][1]["reason"], &shown["records"][1]["answer"]),
        (&json!("cut short"), &json!("corrected"))
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_bought_value_is_paid_back() {
    let house = House::with_customer("5").await;
    let client = house.admin.clone();
    let gift = json!({"id": "gift", "asset": "usd", "amount": "1", "category": "promotional"});
    client.post("/v1/customers/acme/grants", gift).await.expect(201);
    let part = json!({"id": "r1", "grant": "start", "amount": "2", "reason": "wants it back"});
    let given = client.post(REFUNDS, part.clone()).await.expect(201);
    assert_eq!(
        (&given["reversed"], &given["balance"][0]["available"]),
        (&json!([usd("2")]), &json!("4"))
    );
    assert!(client.post(REFUNDS, part).await.is_replayed());
    let much = json!({"id": "r2", "grant": "start", "amount": "3.1", "reason": "x"});
    assert_eq!(
        client.post(REFUNDS, much).await.problem(422, "invalid_amount")["available"],
        "3"
    );
    let gift = json!({"id": "r2", "grant": "gift", "reason": "x"});
    client.post(REFUNDS, gift).await.problem(409, "not_refundable");
    let none = json!({"id": "r2", "grant": "none", "reason": "x"});
    client.post(REFUNDS, none).await.problem(404, "unknown_grant");
    let all = json!({"id": "r2", "grant": "start", "reason": "x"});
    let given = client.post(REFUNDS, all).await.expect(201);
    assert_eq!(
        (&given["reversed"], &given["balance"][0]["available"]),
        (&json!([usd("3")]), &json!("1"))
    );
    for (body, pointer) in [
        (json!({"id": "r", "reason": "x"}), ""),
        (
            json!({"id": "r", "event": {"id": "a"}, "grant": "g", "reason": "x"}),
            "/grant",
        ),
        (
            json!({"id": "r", "event": {"id": "a"}, "amount": "1", "reason": "x"}),
            "/amount",
        ),
        (
            json!({"id": "r", "grant": "g", "amount": usd("1"), "reason": "x"}),
            "/amount",
        ),
        (
            json!({"id": "r", "grant": "g", "amount": "0.0000000001", "reason": "x"}),
            "/amount",
        ),
        (
            json!({"id": "r", "grant": "g", "amount": 1, "reason": "x"}),
            "/amount",
        ),
        (json!({"id": "r", "grant": "g", "reason": ""}), "/reason"),
    ] {
        let problem = client
            .post(REFUNDS, body.clone())
            .await
            .problem(422, "invalid_request");
        assert_eq!(problem["pointer"], pointer, "{body}: {problem}");
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_taken_back_once() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    used(&client, "a", 100_000, 0).await;
    assert_eq!(client.balance("acme").await.0, "9.9");
    let path = format!("{}/void", at("a"));
    let why = json!({"reason": "sent twice"});
    let void = client.post(&path, why.clone()).await.expect(200);
    assert_eq!(
        (&void["reversed"], &void["balance"][0]["available"]),
        (&json!([usd("0.1")]), &json!("10"))
    );
    assert!(
        client.post(&path, why.clone()).await.is_replayed(),
        "no key is needed for a retry"
    );
    client
        .post(&path, json!({"reason": "other"}))
        .await
        .problem(409, "event_voided");
    keyed(&client, Method::POST, &path, "k1", why.clone())
        .await
        .problem(409, "event_voided");
    client
        .put(&at("a"), tokens(1, 1))
        .await
        .problem(409, "event_voided");
    let refund = json!({"id": "r", "event": {"id": "a"}, "reason": "x"});
    client.post(REFUNDS, refund).await.problem(409, "event_voided");

    let shown = client.get(&at("a")).await.expect(200);
    assert_eq!(shown["standing"]["status"], "voided");
    assert_eq!(
        (&shown["standing"]["charges"], &shown["standing"]["taken"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(shown["records"][1]["kind"], "void");
    // Its id stays used up: the same report is the same event.
    let mut again = tokens(100_000, 0);
    again["id"] = json!("a");
    again["customer"] = json!("acme");
    let again = client.post("/v1/events", again).await.expect(200);
    assert_eq!(again["results"][0]["replayed"], true);
    assert_eq!(client.balance("acme").await.0, "10");

    // Under a key, what is said with it is compared.
    used(&client, "b", 100_000, 0).await;
    let path = format!("{}/void", at("b"));
    keyed(&client, Method::POST, &path, "k1", why.clone())
        .await
        .expect(200);
    assert!(keyed(&client, Method::POST, &path, "k1", why).await.is_replayed());
    let other = keyed(&client, Method::POST, &path, "k1", json!({"reason": "other"})).await;
    assert_eq!(other.problem(409, "conflict")["field"], "reason");

    let nothing = format!("{}/void", at("nothing"));
    client
        .call(Method::POST, &nothing, None)
        .await
        .problem(404, "unknown_event");
    let nobody = "/v1/customers/nobody/events/a/void";
    client
        .call(Method::POST, nobody, None)
        .await
        .problem(404, "unknown_customer");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_replaced() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    used(&client, "a", 1_000_000, 0).await;
    // 200,000 in are 0.2 usd, 100,000 out are 0.2 usd.
    let right = tokens(200_000, 100_000);
    let amended = client.put(&at("a"), right.clone()).await.expect(200);
    assert_eq!(amended["reversed"], json!([usd("1")]));
    let line = |code: &str, quantity: &str| json!({"code": code, "asset": "usd", "amount": "0.2", "quantity": quantity});
    let lines = json!([line("input-tokens", "200000"), line("output-tokens", "100000")]);
    assert_eq!(
        (&amended["charges"], &amended["balance"][0]["available"]),
        (&lines, &json!("9.6"))
    );

    // The same under another key comes to the same.
    let again = client.put(&at("a"), right.clone()).await.expect(200);
    assert_eq!(
        (&again["reversed"], &again["charges"]),
        (&json!([usd("0.4")]), &lines)
    );
    assert_eq!(client.balance("acme").await.0, "9.6");

    // And on, under a key: 0.3 usd.
    let on = tokens(300_000, 0);
    keyed(&client, Method::PUT, &at("a"), "k1", on.clone())
        .await
        .expect(200);
    assert!(
        keyed(&client, Method::PUT, &at("a"), "k1", on)
            .await
            .is_replayed()
    );
    let other = keyed(&client, Method::PUT, &at("a"), "k1", tokens(300_001, 0)).await;
    assert_eq!(other.problem(409, "conflict")["field"], "measures.input_tokens");
    assert_eq!(client.balance("acme").await.0, "9.7");

    let shown = client.get(&at("a")).await.expect(200);
    assert_eq!(
        shown["measures"]["input_tokens"], "1000000",
        "what was reported stays readable"
    );
    let standing = &shown["standing"];
    assert_eq!(
        (&standing["status"], &standing["measures"]["input_tokens"]),
        (&json!("charged"), &json!("300000"))
    );
    let taken =
        json!([{"code": "input-tokens", "asset": "usd", "amount": "0.3", "from": "grant", "grant": "start"}]);
    assert_eq!(standing["taken"], taken);
    let kinds: Vec<&Value> = shown["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["kind"])
        .collect();
    assert_eq!(kinds, ["usage", "amend", "amend", "amend"]);

    let mut no_model = tokens(1, 1);
    no_model["attributes"] = json!({});
    client.put(&at("a"), no_model).await.problem(422, "invalid_event");
    let mut ahead = tokens(1, 1);
    ahead["time"] = json!("2026-11-23T10:00:00Z");
    assert_eq!(
        client.put(&at("a"), ahead).await.problem(422, "invalid_time")["field"],
        "time"
    );
    let mut other_type = tokens(1, 1);
    other_type["type"] = json!("storage.write");
    client
        .put(&at("a"), other_type)
        .await
        .problem(404, "unknown_plan");
    client
        .put(&at("nothing"), tokens(1, 1))
        .await
        .problem(404, "unknown_event");
    assert_eq!(
        client.balance("acme").await.0,
        "9.7",
        "what is refused leaves no trace"
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_is_settled_before_it_is_corrected() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let held = client.authorize("c", 1_000_000, 0).await.expect(200);
    let shown = client.get(&at("c")).await.expect(200);
    assert_eq!(shown["standing"], Value::Null);
    let void = format!("{}/void", at("c"));
    client
        .call(Method::POST, &void, None)
        .await
        .problem(409, "still_held");
    client
        .put(&at("c"), tokens(1, 1))
        .await
        .problem(409, "still_held");
    let refund = json!({"id": "r", "event": {"id": "c"}, "reason": "x"});
    client.post(REFUNDS, refund).await.problem(409, "still_held");
    let hold = held["hold"]["id"].as_str().unwrap();
    let settle = json!({"id": "s", "measures": {"input_tokens": 400_000, "output_tokens": 0}});
    client
        .post(&format!("/v1/holds/{hold}/settle"), settle)
        .await
        .expect(200);
    let shown = client.get(&at("c")).await.expect(200);
    assert_eq!(shown["standing"]["taken"][0]["amount"], "0.4");
    let void = client.call(Method::POST, &void, None).await.expect(200);
    assert_eq!(
        (&void["reversed"], &void["balance"][0]["available"]),
        (&json!([usd("0.4")]), &json!("10"))
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_debt_pays_the_debt() {
    let house = House::with_customer("0.3").await;
    let client = house.admin.clone();
    used(&client, "a", 1_000_000, 0).await; // 0.3 from the grant, 0.7 owed
    let shown = client.get(&at("a")).await.expect(200);
    let froms: Vec<&Value> = shown["standing"]["taken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["from"])
        .collect();
    assert_eq!(froms, ["grant", "debt"]);
    let part = json!({"id": "r", "event": {"id": "a"}, "amount": usd("0.8"), "reason": "x"});
    let given = client.post(REFUNDS, part).await.expect(201);
    assert_eq!(
        (&given["reversed"], &given["paid"]),
        (&json!([usd("0.8")]), &json!([usd("0.7")]))
    );
    assert_eq!(
        (&given["balance"][0]["available"], &given["balance"][0]["debt"]),
        (&json!("0.1"), &json!("0"))
    );
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_adjusted_by_hand() {
    let house = House::with_customer("10").await;
    let client = house.admin.clone();
    let path = "/v1/customers/acme/adjustments";
    let adjust = |id: &str, amount: &str, target: &str| {
        let reason = "by hand";
        json!({"id": id, "asset": "usd", "amount": amount, "target": target, "reason": reason})
    };
    let done = client.post(path, adjust("a1", "4", "balance")).await.expect(201);
    assert_eq!(
        (&done["id"], &done["balance"][0]["available"]),
        (&json!("a1"), &json!("6"))
    );
    assert!(
        client
            .post(path, adjust("a1", "4", "balance"))
            .await
            .is_replayed()
    );
    let conflict = client
        .post(path, adjust("a1", "5", "balance"))
        .await
        .problem(409, "conflict");
    assert_eq!(conflict["field"], "amount");
    let problem = client
        .post(path, adjust("a2", "6.1", "balance"))
        .await
        .problem(422, "invalid_amount");
    assert_eq!(problem["available"], "6");
    client
        .post(path, adjust("a2", "0", "balance"))
        .await
        .problem(422, "invalid_amount");
    client
        .post(path, adjust("a2", "1", "debt"))
        .await
        .problem(422, "invalid_amount");
    client
        .post(path, adjust("a2", "1", "receivable"))
        .await
        .problem(422, "invalid_amount");
    client
        .post(path, adjust("a2", "1", "all"))
        .await
        .problem(422, "invalid_request");

    used(&client, "a", 7_000_000, 0).await; // 6 are there, 1 is owed
    let done = client.post(path, adjust("a3", "0.4", "debt")).await.expect(201);
    assert_eq!(
        (&done["balance"][0]["debt"], &done["balance"][0]["available"]),
        (&json!("0.6"), &json!("0"))
    );
    let entries = client.get("/v1/customers/acme/entries?limit=2").await.expect(200);
    let entry = |n: usize| &entries["entries"][n];
    assert_eq!(
        (&entry(0)["account"], &entry(0)["amount"]),
        (&json!("debt"), &json!("0.4"))
    );
    assert_eq!(
        (&entry(1)["account"], &entry(1)["amount"]),
        (&json!("adjustments"), &json!("-0.4"))
    );
    assert_eq!(
        (&entry(0)["kind"], &entry(0)["reason"]),
        (&json!("adjustment"), &json!("by hand"))
    );

    let pay = json!({"id": "p", "asset": "usd", "amount": "1", "label": "Invoice 7"});
    let problem = client
        .post("/v1/customers/acme/payments", pay)
        .await
        .problem(422, "invalid_amount");
    assert_eq!(problem["available"], "0", "there is no receivable to pay");
    let nobody = client
        .post("/v1/customers/nobody/adjustments", adjust("a", "1", "balance"))
        .await;
    nobody.problem(404, "unknown_customer");
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_take_the_role_of_billing() {
    let house = House::with_customer("10").await;
    used(&house.admin, "a", 1_000_000, 0).await;
    let adjustment = json!({"id": "x", "asset": "usd", "amount": "1", "target": "balance", "reason": "x"});
    let payment = json!({"id": "x", "asset": "usd", "amount": "1"});
    let refund = json!({"id": "x", "event": {"id": "a"}, "reason": "x"});
    let calls = [
        (
            Method::POST,
            "/v1/customers/acme/adjustments".to_string(),
            adjustment,
            201,
        ),
        (
            Method::POST,
            "/v1/customers/acme/payments".to_string(),
            payment,
            422,
        ),
        (Method::PUT, at("a"), tokens(2_000_000, 0), 200),
        (Method::POST, REFUNDS.to_string(), refund, 201),
        (Method::POST, format!("{}/void", at("a")), json!({}), 200),
    ];
    for role in [Role::Read, Role::Ingest, Role::Authorize] {
        let client = house.key(role).await;
        for (method, path, body, _) in &calls {
            let answered = client.call(method.clone(), path, Some(body.clone())).await;
            let problem = answered.problem(403, "forbidden");
            assert_eq!(
                problem["roles"],
                json!(["operator", "admin", "billing"]),
                "{path}"
            );
        }
    }
    let billing = house.key(Role::Billing).await;
    for (method, path, body, status) in calls {
        billing.call(method, &path, Some(body)).await.expect(status);
    }
    house.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_moves_to_another_customer_by_a_void_and_the_same_id_there() {
    let house = House::with_customer("10").await;
    house.customer("zenith", "5").await;
    let client = house.admin.clone();
    used(&client, "e", 3_000_000, 0).await;
    let voided = client
        .post(
            &format!("{}/void", at("e")),
            json!({"reason": "it was of zenith"}),
        )
        .await;
    assert_eq!(voided.expect(200)["reversed"], json!([usd("3")]));
    let mut event = tokens(3_000_000, 0);
    event["id"] = json!("e");
    event["customer"] = json!("zenith");
    let sent = client.post("/v1/events", event.clone()).await.expect(200);
    assert_eq!(sent["results"][0]["charges"][0]["amount"], "3", "{sent}");
    assert_eq!(client.balance("acme").await.0, "10");
    assert_eq!(client.balance("zenith").await.0, "2");

    // Each of the two is as retried as ever: nothing moves again, in either wallet.
    let again = client.post("/v1/events", event.clone()).await.expect(200);
    assert_eq!(again["results"][0]["replayed"], true, "{again}");
    event["customer"] = json!("acme");
    let again = client.post("/v1/events", event).await.expect(200);
    assert_eq!(again["results"][0]["replayed"], true, "{again}");
    let again = client
        .post(
            &format!("{}/void", at("e")),
            json!({"reason": "it was of zenith"}),
        )
        .await;
    assert!(again.is_replayed());
    assert_eq!(client.balance("acme").await.0, "10");
    assert_eq!(client.balance("zenith").await.0, "2");
    house.close().await.unwrap();
}
