//! One kind of request, over and over, on so many connections.

use std::time::Instant;

use anyhow::bail;
use hdrhistogram::Histogram;

use crate::measured::{Measured, nanos_since, spread, times};
use crate::wire::{Connection, Target};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// `POST /v1/authorize` with an empty body: refused after the key was checked. What HTTP itself costs.
    Empty,
    /// `POST /v1/authorize` of a call: priced, held, durable.
    Authorize,
}

/// Share of the time that is not counted, at the start.
const WARM_UP: u32 = 5;

/// p50, p99 and rate.
pub async fn run(
    target: &Target,
    what: What,
    connections: usize,
    name: Option<&str>,
) -> anyhow::Result<Vec<Measured>> {
    let start = Instant::now();
    let counted = start + target.time / WARM_UP;
    let end = counted + target.time;
    let mut tasks = Vec::new();
    for index in 0..connections {
        let target = target.clone();
        tasks.push(tokio::spawn(async move {
            one(&target, what, index, (counted, end)).await
        }));
    }
    let mut all = times()?;
    for task in tasks {
        all.add(task.await??)?;
    }
    let name = match (name, what) {
        (Some(name), _) => name.to_string(),
        (None, What::Empty) => format!("empty_post_{connections}"),
        (None, What::Authorize) => format!("authorize_{connections}"),
    };
    Ok(spread(&name, &all, target.time))
}

async fn one(
    target: &Target,
    what: What,
    index: usize,
    (counted, end): (Instant, Instant),
) -> anyhow::Result<Histogram<u64>> {
    let mut connection = Connection::open(target, "/v1/authorize", "application/json").await?;
    let mut times = times()?;
    let mut customer = u32::try_from(index).unwrap_or(0) * 7 % target.customers;
    for round in 0u64.. {
        let body = match what {
            What::Empty => String::new(),
            What::Authorize => authorize(target, customer, index, round),
        };
        let start = Instant::now();
        if start >= end {
            break;
        }
        let (status, answer) = connection.post(body.as_bytes()).await?;
        if start >= counted {
            times.saturating_record(nanos_since(start));
        }
        let as_it_should_be = match what {
            What::Empty => (400..500).contains(&status) && status != 401 && status != 429,
            What::Authorize => status == 200,
        };
        if !as_it_should_be {
            bail!("status {status}: {}", String::from_utf8_lossy(answer));
        }
        customer = (customer + 1) % target.customers;
    }
    Ok(times)
}

fn authorize(target: &Target, customer: u32, index: usize, round: u64) -> String {
    format!(
        "{{\"id\":\"{}-{index}-{round}\",\"customer\":\"{}-{customer:06}\",\"event\":{{\"type\":\"{}\",{}}}}}",
        target.run,
        target.prefix,
        target.shape.event_type(),
        target.shape.data(&target.model)
    )
}
