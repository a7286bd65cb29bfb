//! Callers that write down what they were answered, and come back for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use farebox_spine::{Answer, Client};
use rand::Rng as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// Everything that was answered, by the request that it answers.
pub type Log = BTreeMap<String, (Request, Answer)>;

/// A `POST` that can be repeated.
#[derive(Debug, Clone)]
pub struct Request {
    path: String,
    /// Where its id is not in the body.
    idempotency_key: Option<String>,
    body: Value,
}

impl Request {
    fn new(path: impl Into<String>, body: Value) -> Request {
        Request {
            path: path.into(),
            idempotency_key: None,
            body,
        }
    }

    /// Tells it from every other one: each body or header has an id of its own.
    fn key(&self) -> String {
        format!("{} {:?} {}", self.path, self.idempotency_key, self.body)
    }

    async fn send(&self, client: &Client) -> Result<Answer> {
        match &self.idempotency_key {
            Some(key) => client.post_once(&self.path, key, &self.body).await,
            None => client.post(&self.path, &self.body).await,
        }
    }

    /// Whether this answer is the answer for ever. A refusal leaves no trace; only the denial of a call does.
    fn is_kept(&self, answer: &Answer) -> bool {
        answer.status < 300 || self.path == "/v1/authorize"
    }
}

/// What one caller has begun.
#[derive(Default)]
struct Begun {
    holds: Vec<String>,
    events: Vec<String>,
}

impl Begun {
    /// The next request, drawn at random: calls above all, and everything that is done to calls and to money.
    fn next(&mut self, customer: &str, n: u64, random: &mut SmallRng) -> Request {
        let tokens = random.random_range(1..=1_000);
        let measures = json!({"input_tokens": tokens, "output_tokens": 0});
        match random.random_range(0..12) {
            0..=3 if !self.holds.is_empty() => {
                let hold = self.holds.swap_remove(random.random_range(0..self.holds.len()));
                let id = format!("end-{n}");
                match random.random_range(0..4) {
                    0 => Request::new(format!("/v1/holds/{hold}/release"), json!({"id": id})),
                    _ => Request::new(
                        format!("/v1/holds/{hold}/settle"),
                        json!({"id": id, "measures": measures}),
                    ),
                }
            }
            4 if !self.holds.is_empty() => {
                let hold = &self.holds[random.random_range(0..self.holds.len())];
                let body = json!({"id": format!("extend-{n}"), "ttl_seconds": 600, "measures": {"input_tokens": 1_500}});
                Request::new(format!("/v1/holds/{hold}/extend"), body)
            }
            5 if !self.events.is_empty() => {
                let event = self.events.swap_remove(random.random_range(0..self.events.len()));
                Request {
                    idempotency_key: Some(format!("void-{n}")),
                    ..Request::new(
                        format!("/v1/customers/{customer}/events/{event}/void"),
                        json!({"reason": "a mistake"}),
                    )
                }
            }
            6 if !self.events.is_empty() => {
                let event = &self.events[random.random_range(0..self.events.len())];
                let body = json!({"id": format!("refund-{n}"), "event": {"id": event}, "reason": "a bad answer",
                    "amount": {"asset": "usd", "amount": "0.0001"}});
                Request::new(format!("/v1/customers/{customer}/refunds"), body)
            }
            7 => {
                let body = json!({"id": format!("grant-{n}"), "asset": "usd", "amount": "0.002",
                    "category": "promotional"});
                Request::new(format!("/v1/customers/{customer}/grants"), body)
            }
            8..=9 => {
                let event = json!({"id": format!("usage-{n}"), "customer": customer, "type": "llm.call",
                    "measures": {"input_tokens": 2_000}, "attributes": {"model": "one"}});
                Request::new("/v1/events", event)
            }
            _ => {
                let event = json!({"type": "llm.call", "measures": {"input_tokens": 1_000, "output_tokens": 0},
                    "attributes": {"model": "one"}});
                let body = json!({"id": format!("call-{n}"), "customer": customer, "event": event});
                Request::new("/v1/authorize", body)
            }
        }
    }

    /// What an answer begins.
    fn note(&mut self, request: &Request, answer: &Answer) {
        if request.path == "/v1/authorize"
            && let Some(hold) = answer.body["hold"]["id"].as_str()
        {
            self.holds.push(hold.to_string());
        }
        if request.path == "/v1/events"
            && answer.body["results"][0]["status"] == "accepted"
            && let Some(event) = request.body["id"].as_str()
        {
            self.events.push(event.to_string());
        }
    }
}

/// An answer without what tells a replay from the first time: what is made is answered 201, and 200 when it was made before.
fn content(mut answer: Answer) -> (u16, Value) {
    if let Some(results) = answer.body.get_mut("results").and_then(Value::as_array_mut) {
        for result in results {
            result.as_object_mut().map(|object| object.remove("replayed"));
        }
    }
    let status = if answer.status == 201 { 200 } else { answer.status };
    (status, answer.first())
}

/// Calls until the server is gone, or refuses because it cannot go on. Only what was answered is noted.
pub async fn load(
    client: Client,
    log: Arc<Mutex<Log>>,
    counter: Arc<AtomicU64>,
    customer: &'static str,
    mut random: SmallRng,
) {
    let mut begun = Begun::default();
    loop {
        let n = counter.fetch_add(1, Ordering::Relaxed);
        let request = begun.next(customer, n, &mut random);
        let Ok(answer) = request.send(&client).await else {
            return;
        };
        if answer.status >= 500 {
            return; // no answer, but word that there will be none
        }
        begun.note(&request, &answer);
        if request.is_kept(&answer) {
            log.lock().await.insert(request.key(), (request, answer));
        }
    }
}

/// A few answers, at random, asked for again.
///
/// # Errors
/// The first that is another now.
pub async fn recheck(client: &Client, log: &Mutex<Log>, random: &mut SmallRng) -> Result<()> {
    let log = log.lock().await;
    for (request, first) in log.values() {
        if random.random_range(0..20) == 0 {
            recheck_one(client, request, first).await?;
        }
    }
    Ok(())
}

/// All answers, asked for again.
///
/// # Errors
/// The first that is another now.
pub async fn recheck_all(client: &Client, log: &Mutex<Log>) -> Result<()> {
    for (request, first) in log.lock().await.values() {
        recheck_one(client, request, first).await?;
    }
    Ok(())
}

/// The same request again: the same answer, marked as a replay.
async fn recheck_one(client: &Client, request: &Request, first: &Answer) -> Result<()> {
    let again = request.send(client).await?;
    let replayed =
        again.body["replayed"] == json!(true) || again.body["results"][0]["replayed"] == json!(true);
    ensure!(
        replayed,
        "{request:?} was answered {first:?}, and now anew: {again:?}"
    );
    let (again, first) = (content(again), content(first.clone()));
    ensure!(
        again == first,
        "{request:?} was answered {first:?}, and now {again:?}"
    );
    Ok(())
}
