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

/// A request that can be repeated.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of the requests of the API")]
pub enum Request {
    /// Hold for a call.
    Authorize { customer: &'static str, id: String },
    /// Settle it.
    Settle { hold: String, id: String, input: u64 },
    /// Report usage.
    Usage { customer: &'static str, id: String },
}

impl Request {
    fn key(&self) -> String {
        match self {
            Request::Authorize { customer, id } | Request::Usage { customer, id } => {
                format!("{customer} {id}")
            }
            Request::Settle { hold, id, .. } => format!("{hold} {id}"),
        }
    }

    async fn send(&self, client: &Client) -> Result<Answer> {
        match self {
            Request::Authorize { customer, id } => client.authorize(customer, id, 1_000, 0).await,
            Request::Settle { hold, id, input } => client.settle(hold, id, *input, 0).await,
            Request::Usage { customer, id } => {
                let event = json!({
                    "id": id, "customer": customer, "type": "llm.call",
                    "measures": {"input_tokens": 2_000}, "attributes": {"model": "one"},
                });
                client.post("/v1/events", &event).await
            }
        }
    }
}

/// An answer without what tells a replay from the first time.
fn content(mut answer: Answer) -> (u16, Value) {
    if let Some(results) = answer.body["results"].as_array_mut() {
        for result in results {
            result.as_object_mut().map(|object| object.remove("replayed"));
        }
    }
    (answer.status, answer.first())
}

/// Calls until the server is gone, or refuses because it cannot go on. Only what was answered is noted.
pub async fn load(
    client: Client,
    log: Arc<Mutex<Log>>,
    counter: Arc<AtomicU64>,
    customer: &'static str,
    mut random: SmallRng,
) {
    let mut open: Vec<String> = Vec::new();
    loop {
        let n = counter.fetch_add(1, Ordering::Relaxed);
        let request = match random.random_range(0..3) {
            0 if !open.is_empty() => {
                let hold = open.swap_remove(random.random_range(0..open.len()));
                Request::Settle {
                    hold,
                    id: format!("settle-{n}"),
                    input: random.random_range(1..=1_000),
                }
            }
            1 => Request::Usage {
                customer,
                id: format!("usage-{n}"),
            },
            _ => Request::Authorize {
                customer,
                id: format!("call-{n}"),
            },
        };
        let Ok(answer) = request.send(&client).await else {
            return;
        };
        if answer.status >= 500 {
            return; // no answer, but word that there will be none
        }
        if let Some(hold) = answer.body["hold"]["id"].as_str() {
            open.push(hold.to_string());
        }
        log.lock().await.insert(request.key(), (request, answer));
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
