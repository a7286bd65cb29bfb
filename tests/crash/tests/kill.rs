//! `kill -9` at random moments under load: no acknowledged answer is lost, none is repeated, and every invariant holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use farebox_crash::verify;
use farebox_spine::{Answer, Client, PRICES, Server};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Kills in one run; `FAREBOX_KILLS` sets another number for long runs.
const KILLS: u32 = 50;
/// Kills after which a fresh folder is taken, so that checking all of history stays quick.
const KILLS_PER_FOLDER: u32 = 10;
const CUSTOMERS: [&str; 4] = ["ada", "ben", "cleo", "dan"];
const STREAMS: usize = 8;

/// Everything that was answered, by the request that it answers.
type Log = BTreeMap<String, (Request, Answer)>;

#[derive(Debug, Clone)]
enum Request {
    Authorize { customer: &'static str, id: String },
    Settle { hold: String, id: String, input: u64 },
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

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_or_repeats_an_answer() -> Result<()> {
    let seed: u64 = match std::env::var("FAREBOX_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => u64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_micros())?,
    };
    let kills = std::env::var("FAREBOX_KILLS").map_or(Ok(KILLS), |kills| kills.parse())?;
    println!("FAREBOX_SEED={seed} FAREBOX_KILLS={kills}");
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut done, mut answers) = (0, 0);
    while done < kills {
        let folder = tempfile::tempdir()?;
        let rounds = KILLS_PER_FOLDER.min(kills - done);
        answers += folder_of_kills(folder.path(), rounds, &mut random).await?;
        done += rounds;
        println!("{done} kills, {answers} answers checked");
    }
    ensure!(
        answers > usize::try_from(kills)? * 10,
        "only {answers} answers: the load was too light to mean anything"
    );
    Ok(())
}

async fn folder_of_kills(data: &Path, rounds: u32, random: &mut SmallRng) -> Result<usize> {
    let log: Arc<Mutex<Log>> = Arc::default();
    let counter = Arc::new(AtomicU64::new(0));
    let server = Server::start(data)?;
    let key = server.admin_key.clone().context("a key")?;
    let client = Client::new(&server.url, &key);
    client.push_plan(PRICES).await?;
    for customer in CUSTOMERS {
        client.customer(customer, "0.5").await?; // runs dry under load: denials are answers too
    }
    let mut server = Some(server);
    for _ in 0..rounds {
        let running = match server.take() {
            Some(running) => running,
            None => Server::start(data)?,
        };
        let client = Client::new(&running.url, &key);
        recheck(&client, &log, random).await?;
        let mut streams = JoinSet::new();
        for stream in 0..STREAMS {
            let (client, log, counter) = (client.clone(), Arc::clone(&log), Arc::clone(&counter));
            let random = SmallRng::seed_from_u64(random.random());
            streams.spawn(load(client, log, counter, stream, random));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(20..250))).await;
        running.kill()?;
        streams.join_all().await;
        verify(data)?;
    }
    let last = Server::start(data)?;
    let client = Client::new(&last.url, &key);
    recheck_all(&client, &log).await?;
    last.stop()?;
    verify(data)?;
    let answers = log.lock().await.len();
    Ok(answers)
}

/// Calls until the server is gone. Only what was answered is noted.
async fn load(
    client: Client,
    log: Arc<Mutex<Log>>,
    counter: Arc<AtomicU64>,
    stream: usize,
    mut random: SmallRng,
) {
    let mut open: Vec<String> = Vec::new();
    loop {
        let n = counter.fetch_add(1, Ordering::Relaxed);
        let customer = CUSTOMERS[stream % CUSTOMERS.len()];
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
        if let Some(hold) = answer.body["hold"]["id"].as_str() {
            open.push(hold.to_string());
        }
        log.lock().await.insert(request.key(), (request, answer));
    }
}

/// A few answers, at random.
async fn recheck(client: &Client, log: &Mutex<Log>, random: &mut SmallRng) -> Result<()> {
    let log = log.lock().await;
    for (request, first) in log.values() {
        if random.random_range(0..20) == 0 {
            recheck_one(client, request, first).await?;
        }
    }
    Ok(())
}

async fn recheck_all(client: &Client, log: &Mutex<Log>) -> Result<()> {
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
