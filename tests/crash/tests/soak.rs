//! Load for a while, at four fifths of what the server can do: memory does not grow, nothing is refused, and every thousandth of
//! a dollar is where it should be.
//!
//! Two minutes with every test run; `FAREBOX_SOAK_SECONDS` says how long else. Latencies are printed, not judged: another
//! machine is another machine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use farebox_spine::{Client, PRICES, Server};
use serde_json::json;
use tokio::task::JoinSet;

const SECONDS: u64 = 120;
/// Streams of calls, each with a wallet of its own.
const STREAMS: usize = 8;
/// Events of a call. Each of 1,000 input tokens, which cost 0.001 usd.
const EVENTS: u64 = 100;
/// What each wallet begins with, in thousandths of a dollar.
const BALANCE: u64 = 1_000_000_000;
/// A stream rests for this part of what a call took: it asks for four fifths of what it could.
const REST: u32 = 4;
/// What memory may be more in the last third than in the first: tables double, and caches fill up.
const MORE_KIB: u64 = 64 << 10;

fn seconds() -> Result<u64> {
    match std::env::var("FAREBOX_SOAK_SECONDS") {
        Ok(text) => text
            .parse()
            .context("FAREBOX_SOAK_SECONDS is a number of seconds"),
        Err(_) => Ok(SECONDS),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_and_the_books_are_exact() -> Result<()> {
    let time = Duration::from_secs(seconds()?);
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let client = Client::new(&server.url, server.admin_key.as_deref().context("a key")?);
    client.push_plan(PRICES).await?;
    for stream in 0..STREAMS {
        client.customer(&customer(stream), "1000000").await?;
    }
    let begun = Instant::now();
    let mut streams = JoinSet::new();
    for stream in 0..STREAMS {
        let client = client.clone();
        streams.spawn(async move { self::stream(&client, stream, begun + time).await });
    }
    let mut memory = Vec::new();
    while begun.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(500)).await;
        memory.push(resident_kib(server.id())?);
    }
    let (mut charged, mut times) = (vec![0; STREAMS], Vec::new());
    while let Some(done) = streams.join_next().await {
        let done = done??;
        charged[done.stream] = done.charged;
        times.extend(done.times);
    }
    for (stream, charged) in charged.iter().enumerate() {
        let (available, held) = client.balance(&customer(stream)).await?;
        ensure!(
            thousandths(&available)? == BALANCE - charged,
            "{stream}: {available} behind {charged} charges"
        );
        ensure!(held == "0", "{stream}: {held} is held");
    }
    server.stop()?;
    let third = memory.len() / 3;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
    let (first, last) = (most(&memory[..third]), most(&memory[memory.len() - third..]));
    println!(
        "{} events; memory {} MiB, then {} MiB",
        charged.iter().sum::<u64>(),
        first >> 10,
        last >> 10
    );
    tell("first third", &times, begun, begun + time / 3);
    tell("last third", &times, begun + time * 2 / 3, begun + time);
    ensure!(
        last <= first + first / 4 + MORE_KIB,
        "memory grew from {first} to {last} KiB: {memory:?}"
    );
    Ok(())
}

fn customer(stream: usize) -> String {
    format!("wallet-{stream}")
}

/// What a stream did.
struct Done {
    stream: usize,
    /// Thousandths of a dollar.
    charged: u64,
    /// When each call of events began, and how long it took.
    times: Vec<(Instant, Duration)>,
}

/// Events, then a call that is held and settled, and so on.
async fn stream(client: &Client, stream: usize, until: Instant) -> Result<Done> {
    let mut done = Done {
        stream,
        charged: 0,
        times: Vec::new(),
    };
    let customer = customer(stream);
    for round in 0_u64.. {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        let events: Vec<_> = (0..EVENTS)
            .map(|n| {
                json!({"id": format!("e-{round}-{n}"), "customer": customer, "type": "llm.call",
                    "measures": {"input_tokens": 1_000, "output_tokens": 0},
                    "attributes": {"model": "one", "team": format!("team-{}", n % 7)}})
            })
            .collect();
        let answer = client.post("/v1/events", &json!(events)).await?.ok()?;
        ensure!(answer["accepted"] == EVENTS, "{answer}");
        done.times.push((begun, begun.elapsed()));
        let hold = client
            .authorize(&customer, &format!("h-{round}"), 2_000, 0)
            .await?
            .ok()?;
        let hold = hold["hold"]["id"].as_str().context("a hold")?;
        client.settle(hold, &format!("s-{round}"), 1_000, 0).await?.ok()?;
        done.charged += EVENTS + 1;
        tokio::time::sleep(begun.elapsed() / REST).await;
    }
    Ok(done)
}

fn tell(part: &str, times: &[(Instant, Duration)], from: Instant, to: Instant) {
    let mut within: Vec<Duration> = (times.iter())
        .filter(|(begun, _)| (from..to).contains(begun))
        .map(|(_, took)| *took)
        .collect();
    within.sort_unstable();
    if let (Some(median), Some(slow)) = (within.get(within.len() / 2), within.get(within.len() * 99 / 100)) {
        println!("{part}: {} calls, median {median:?}, p99 {slow:?}", within.len());
    }
}

/// Thousandths of an amount.
fn thousandths(amount: &str) -> Result<u64> {
    let (units, rest) = amount.split_once('.').unwrap_or((amount, ""));
    let rest: u64 = format!("{rest:0<3}").parse()?;
    ensure!(rest < 1_000, "{amount} has more than three places");
    Ok(units.parse::<u64>()? * 1_000 + rest)
}

/// Memory of a process.
fn resident_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line
        .and_then(|rest| rest.split_whitespace().next())
        .context("VmRSS")?;
    Ok(number.parse()?)
}
