//! What an event costs to evaluate, by the size of the batch: a fresh instance each, columns and answers included.
//!
//! ```text
//! cargo run --release -p farebox-runtime --example evaluation_cost -- plan.wasm parameters.json model=gpt-5
//! ```
//!
//! Every described measure is 1,000; attributes are what the arguments say. One thread; the machine's other work is in
//! the numbers, so the least of several rounds is printed beside the median.
#![expect(clippy::float_arithmetic, reason = "durations for people, no money")]
#![expect(clippy::cast_precision_loss, reason = "counts of a few millions")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use farebox_money::Nanos;
use farebox_record::event::{Attributes, Measures};
use farebox_record::ids::EventType;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Batch, Config, Context, Purpose, Revision, Runtime, Trigger, Verdict};

/// Rounds per size.
const ROUNDS: usize = 9;

/// Events per round.
const EVENTS: usize = 40_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let plan = arguments
        .next()
        .ok_or("usage: evaluation_cost <component> [<parameters>] [attribute=value ...]")?;
    let parameters = match arguments.next() {
        Some(path) => std::fs::read_to_string(PathBuf::from(path))?,
        None => "{}".to_string(),
    };
    let attributes: Attributes = arguments
        .filter_map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_string(), value.to_string()))
        })
        .collect();

    let runtime = Runtime::new(Config::default())?;
    let component = std::fs::read(&plan)?;
    let start = Instant::now();
    let plan = runtime.admit(&component)?;
    println!(
        "admitted {} bytes in {:.1} ms",
        component.len(),
        start.elapsed().as_secs_f64() * 1e3
    );
    let start = Instant::now();
    let revision = runtime.prepare(&plan, &parameters)?;
    let took = start.elapsed().as_secs_f64() * 1e6;
    println!(
        "prepared {} bytes of parameters into {} in {took:.0} us",
        parameters.len(),
        revision.prepared().len()
    );
    println!(
        "{:>6} {:>12} {:>12} {:>12} {:>10}",
        "batch", "least ns", "median ns", "push ns", "fuel"
    );
    for size in [1, 4, 16, 64, 256] {
        measure(&runtime, &revision, &attributes, size)?;
    }
    println!("health: {:?}", runtime.health(&revision));
    Ok(())
}

/// Prints the cost per event in batches of `size`.
fn measure(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    attributes: &Attributes,
    size: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let description = revision.description();
    let measures: Measures = description
        .measures
        .iter()
        .map(|name| (name.clone(), Nanos::units(1_000)))
        .collect();
    let event_type: &EventType = description
        .event_types
        .first()
        .ok_or("the plan rates no events")?;
    let period = Period {
        start: Timestamp::EPOCH,
        end: Timestamp::from_micros(1 << 50),
        index: 0,
    };
    let mut batch = Batch::new(revision);
    let mut rounds = Vec::with_capacity(ROUNDS);
    let (mut fuel, mut events, mut pushing) = (0, 0, 0.0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..EVENTS.div_ceil(size) {
            let pushed = Instant::now();
            batch.clear();
            let context = batch.context(&Context {
                prepared: None,
                state: &[],
                period,
                seats: 1,
                balances: &[],
            });
            for _ in 0..size {
                batch.push(&Trigger {
                    purpose: Purpose::Usage,
                    event_type,
                    context,
                    subject: None,
                    time: Timestamp::EPOCH,
                    cost: None,
                    measures: &measures,
                    attributes,
                    source: "api",
                    id: "e",
                });
            }
            pushing += pushed.elapsed().as_secs_f64();
            let evaluation = runtime.evaluate(&batch);
            if let Some(other) = evaluation
                .verdicts
                .iter()
                .find(|v| !matches!(v, Verdict::Priced(_)))
            {
                return Err(format!("an event was not priced: {other:?}").into());
            }
            fuel += evaluation.fuel;
            events += size as u64;
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / (EVENTS.div_ceil(size) * size) as f64);
    }
    rounds.sort_by(f64::total_cmp);
    let push = pushing * 1e9 / events as f64;
    println!(
        "{size:>6} {:>12.0} {:>12.0} {push:>12.0} {:>10}",
        rounds[0],
        rounds[ROUNDS / 2],
        fuel / events
    );
    Ok(())
}
