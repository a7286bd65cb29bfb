//! `kill -9` at random moments under load: no acknowledged answer is lost, none is repeated, and every invariant holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use farebox_crash::{Log, load, recheck, recheck_all, verify};
use farebox_spine::{Client, PRICES, Server};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Kills in one run; `FAREBOX_KILLS` sets another number for long runs.
const KILLS: u32 = 50;
/// Kills after which a fresh folder is taken, so that checking all of history stays quick.
const KILLS_PER_FOLDER: u32 = 10;
const CUSTOMERS: [&str; 4] = ["ada", "ben", "cleo", "dan"];
const STREAMS: usize = 8;

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
            let customer = CUSTOMERS[stream % CUSTOMERS.len()];
            streams.spawn(load(client, log, counter, customer, random));
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
