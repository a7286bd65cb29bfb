//! `farebox plan bench`: how fast a plan prices events, and what fuel they take.

use std::time::{Duration, Instant};

use clap::Args;
use farebox_kit::probe::Probe;
use farebox_record::event::Event;
use farebox_runtime::{Batch, Purpose, Runtime, Verdict};
use serde_json::json;

use super::asked::Asked;
use super::runtime;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};

/// Events of a full batch; a server's are cut by bytes too.
const BATCH: usize = 256;

/// See [`super::PlanCommand::Bench`].
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    asked: Asked,
    /// How long each measurement takes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// What events took that were evaluated so many at once.
struct Measured {
    batch: usize,
    events: u64,
    took: Duration,
}

#[expect(clippy::float_arithmetic, reason = "of time, never of money")]
impl Measured {
    fn micros_per_event(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / self.events.max(1) as f64
    }

    fn per_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Bench {
    /// Measures one event at a time and full batches, each for `--seconds`, after a warm-up.
    pub fn run(&self) -> Result<Output, Failure> {
        let runtime = runtime()?;
        let ready = self.asked.ready(&runtime)?;
        let mut probe = ready.probe(&runtime)?;
        let (fuel, priced) = fuel(&mut probe, &ready.events)?;
        let sizes = [1, BATCH];
        let measured: Vec<Measured> = sizes
            .into_iter()
            .map(|size| {
                let batches = batches(&probe, &ready.events, size);
                measure(&runtime, &batches, Duration::from_millis(200));
                measure(&runtime, &batches, Duration::from_secs(self.seconds))
            })
            .collect();
        let rows = measured.iter().map(|one| {
            vec![
                one.batch.to_string(),
                format!("{:.0}", one.per_second()),
                format!("{:.2}", one.micros_per_event()),
            ]
        });
        let speed = table(&["events at once", "events/s", "us an event"], &[0, 1, 2], rows);
        let at = |percent: usize| fuel[(fuel.len() - 1) * percent / 100];
        let events = ready.events.len();
        let text = format!(
            "{events} events, of which the plan prices {priced}\n\n{speed}\n\n\
             Fuel of one event by itself: p50 {}, p95 {}, p99 {}, at most {}",
            at(50),
            at(95),
            at(99),
            at(100)
        );
        let speeds: Vec<_> = measured
            .iter()
            .map(|one| {
                json!({
                    "batch": one.batch, "events": one.events, "seconds": one.took.as_secs_f64(),
                    "events_per_second": one.per_second(), "micros_per_event": one.micros_per_event(),
                })
            })
            .collect();
        let json = json!({
            "events": events, "priced": priced, "speed": speeds,
            "fuel": { "p50": at(50), "p95": at(95), "p99": at(99), "max": at(100) },
        });
        Ok(Output::new(text, json))
    }
}

/// Fuel of each event by itself, in rising order, and how many of them have a price.
fn fuel(probe: &mut Probe<'_>, events: &[Event]) -> Result<(Vec<u64>, usize), Failure> {
    let mut fuel = Vec::with_capacity(events.len());
    let mut priced = 0;
    for event in events {
        let asked = probe
            .price(event)
            .map_err(|error| Failure::new(Exit::Refused, "not_asked", error.to_string()))?;
        priced += usize::from(matches!(asked.verdict, Verdict::Priced(_)));
        fuel.push(asked.fuel);
    }
    fuel.sort_unstable();
    Ok((fuel, priced))
}

/// Batches of so many events, over and over those that there are.
fn batches(probe: &Probe<'_>, events: &[Event], size: usize) -> Vec<Batch> {
    let count = match size {
        1 => events.len().min(BATCH),
        _ => 4,
    };
    let mut all = events.iter().cycle();
    let batch = |_| probe.batch(all.by_ref().take(size), Purpose::Usage);
    (0..count).map(batch).collect()
}

fn measure(runtime: &Runtime, batches: &[Batch], at_least: Duration) -> Measured {
    let (began, mut events) = (Instant::now(), 0);
    while began.elapsed() < at_least {
        for batch in batches {
            events += runtime.evaluate(batch).verdicts.len() as u64;
        }
    }
    Measured {
        batch: batches.first().map_or(0, Batch::len),
        events,
        took: began.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn single_events_and_full_batches_are_measured() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.jsonl");
        let event = |tokens: u32| {
            format!(
                r#"{{"type": "llm.call", "attributes": {{"model": "gpt-5"}}, "measures": {{"output_tokens": {tokens}}}}}"#
            )
        };
        std::fs::write(&file, [event(1), event(2), event(3)].join("\n")).unwrap();
        let prices = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../example-plans/openai-api/parameters/list-prices.json"
        );
        let line = [
            "bench",
            "standard:per-token",
            "--seconds",
            "1",
            "--parameters",
            prices,
            "--events",
        ];
        let line = line.into_iter().chain(file.to_str());
        let output = Line::try_parse_from(line).unwrap().bench.run().unwrap();
        let json = &output.json;
        assert_eq!((&json["events"], &json["priced"]), (&json!(3), &json!(3)));
        assert_eq!(
            (&json["speed"][0]["batch"], &json["speed"][1]["batch"]),
            (&json!(1), &json!(256))
        );
        assert!(json["speed"][1]["events"].as_u64() > Some(0));
        let (p50, max) = (json["fuel"]["p50"].as_u64(), json["fuel"]["max"].as_u64());
        assert!(Some(1_000) < p50 && p50 <= max, "{json}");
    }
}
