//! What an evaluation costs: in a fresh sandbox for each call, and natively, with the same plan and the same events.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use farebox_money::Nanos;
use farebox_plan::testing::{Event, Harness};
use farebox_record::event::{Attributes, Measures};
use farebox_record::ids::EventType;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Batch, Config, Context, Purpose, Revision, Runtime, Trigger, Verdict};
use per_token::PerToken;

use crate::measured::{Measured, nanos_since};

/// Triggers of one call.
const SIZES: [usize; 4] = [1, 16, 64, 256];
/// Events of a round.
const EVENTS: usize = 20_000;
/// Rounds; the median is told.
const ROUNDS: usize = 9;
/// What each event says.
const MEASURES: [(&str, i64); 4] = [
    ("input_tokens", 1_200),
    ("cache_read_tokens", 6_400),
    ("output_tokens", 350),
    ("reasoning_tokens", 128),
];
/// And beside its model.
const ATTRIBUTES: [(&str, &str); 3] = [
    ("team", "search-and-ranking"),
    ("feature", "answer-with-sources"),
    ("agent", "assistant-eu"),
];

/// Nanoseconds per event by size of the batch: sandboxed and native, both from an event with its names to what it costs by name,
/// and of the native plan the part that is its own, from columns to columns.
pub fn run(component: &Path, parameters: &Path, model: &str) -> anyhow::Result<Vec<Measured>> {
    let bytes = std::fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let parameters = std::fs::read_to_string(parameters)?;
    let runtime = Runtime::new(Config::default())?;
    let plan = runtime.admit(&bytes)?;
    let revision = runtime.prepare(&plan, &parameters)?;
    let native = Harness::<PerToken>::new(&parameters)?;
    let mut all = Vec::new();
    for size in SIZES {
        let sandboxed = sandboxed(&runtime, &revision, model, size)?;
        all.push(Measured::nanos(format!("plan_sandboxed_{size}"), sandboxed));
        all.push(Measured::nanos(
            format!("plan_native_{size}"),
            natively(&native, model, size)?,
        ));
        all.push(Measured::nanos(
            format!("plan_native_columns_{size}"),
            columns_natively(&native, model, size)?,
        ));
    }
    Ok(all)
}

/// The median of several rounds, per event.
fn median(size: usize, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let calls = EVENTS.div_ceil(size);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        rounds.push(nanos_since(start) / u64::try_from(calls * size)?);
    }
    rounds.sort_unstable();
    Ok(rounds[ROUNDS / 2])
}

fn sandboxed(runtime: &Runtime, revision: &Arc<Revision>, model: &str, size: usize) -> anyhow::Result<u64> {
    let event_type = EventType::new("llm.call")?;
    let measures: Measures = MEASURES
        .iter()
        .map(|(name, value)| ((*name).to_string(), Nanos::units(*value)))
        .collect();
    let attributes: Attributes = ATTRIBUTES
        .iter()
        .chain(&[("model", model)])
        .map(|(name, value)| ((*name).to_string(), (*value).to_string()))
        .collect();
    let period = Period {
        start: Timestamp::EPOCH,
        end: Timestamp::from_micros(1 << 50),
        index: 0,
    };
    let mut batch = Batch::new(revision);
    median(size, || {
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
                event_type: &event_type,
                context,
                subject: None,
                time: Timestamp::from_micros(1),
                cost: None,
                measures: &measures,
                attributes: &attributes,
                source: "api",
                id: "e",
            });
        }
        let answer = runtime.evaluate(&batch);
        match answer
            .verdicts
            .iter()
            .find(|verdict| !matches!(verdict, Verdict::Priced(_)))
        {
            None if answer.verdicts.len() == size => Ok(()),
            other => bail!("the plan does not price: {other:?}"),
        }
    })
}

fn natively(plan: &Harness<PerToken>, model: &str, size: usize) -> anyhow::Result<u64> {
    let events = events(model, size);
    median(size, || {
        let bills = black_box(plan.batch_of(black_box(&events)));
        match bills.iter().all(Result::is_ok) {
            true => Ok(()),
            false => bail!("the plan does not price natively: {bills:?}"),
        }
    })
}

fn columns_natively(plan: &Harness<PerToken>, model: &str, size: usize) -> anyhow::Result<u64> {
    let columns = plan.columns_of(&events(model, size));
    median(size, || {
        match black_box(plan.price_columns(black_box(&columns))) {
            priced if priced == size => Ok(()),
            priced => bail!("the plan prices {priced} of {size} natively"),
        }
    })
}

fn events(model: &str, size: usize) -> Vec<Event> {
    let mut event = Event::new("llm.call").attribute("model", model);
    for (name, value) in ATTRIBUTES {
        event = event.attribute(name, value);
    }
    for (name, value) in MEASURES {
        event = event.measure(name, value);
    }
    vec![event; size]
}
