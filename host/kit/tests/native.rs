//! A plan says the same as a component in its sandbox and natively in `cargo test`: charge by charge, and where it says no.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_money::Nanos;
use farebox_plan::testing::{Bill, Event, Harness};
use farebox_record::event::{Attributes, Measures};
use farebox_record::plan::Rejection;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Batch, Config, Context, Purpose, Runtime, Trigger, Verdict};
use per_token::PerToken;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

const EVENTS: usize = 4_000;
const MODELS: [&str; 8] = [
    "gpt-5",
    "gpt-5.5",
    "o3",
    "claude-sonnet-4.5",
    "claude-opus-4.1",
    "gemini-2.5-pro",
    "no-such-model",
    "",
];
const SERVICE_TIERS: [&str; 7] = ["", "", "", "standard", "batch", "priority", "no-such-tier"];
const MEASURES: [&str; 6] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
];
/// On both sides of the steps of the price lists.
const COUNTS: [i64; 7] = [0, 1, 700, 127_999, 200_000, 200_001, 1_000_000];
/// Out of every range.
const TOO_MANY: i64 = 9_000_000_000;

struct Sample {
    measures: Measures,
    attributes: Attributes,
    purpose: Purpose,
}

fn sample(chance: &mut SmallRng) -> Sample {
    let mut measures = BTreeMap::new();
    for name in MEASURES {
        if chance.random_bool(0.5) {
            let count = match chance.random_bool(0.02) {
                true => Nanos::units(TOO_MANY),
                false => Nanos::units(COUNTS[chance.random_range(0..COUNTS.len())]),
            };
            // Now and then a part of a token, or fewer than none.
            let off = match chance.random_bool(0.03) {
                true => [500_000_000, -1_500_000_000][chance.random_range(0..2)],
                false => 0,
            };
            measures.insert(name.to_string(), Nanos::new(count.get() + off));
        }
    }
    let mut attributes = BTreeMap::new();
    for (name, values) in [("model", &MODELS[..]), ("service_tier", &SERVICE_TIERS[..])] {
        let value = values[chance.random_range(0..values.len())];
        if !value.is_empty() {
            attributes.insert(name.to_string(), value.to_string());
        }
    }
    let purpose = match chance.random_bool(0.5) {
        true => Purpose::Usage,
        false => Purpose::WorstCase,
    };
    Sample {
        measures: measures.into(),
        attributes: attributes.into(),
        purpose,
    }
}

/// `input-tokens usd 0.5 for 400000`, or why not.
fn component(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Priced(priced) => (priced.charges.iter())
            .map(|c| {
                format!(
                    "{} {} {} for {}",
                    c.code, c.price.asset, c.price.amount, c.quantity
                )
            })
            .collect(),
        Verdict::Rejected(rejection) => vec![match rejection {
            Rejection::InvalidEvent {
                field,
                problem,
                message,
            } => format!("{field} {problem:?}: {message}"),
            Rejection::Unpriceable { message } => format!("unpriceable: {message}"),
            Rejection::Overflow => "overflow".to_string(),
            Rejection::NotAllowed { message } => format!("not allowed: {message}"),
        }],
        Verdict::Failed(fault) => vec![format!("failed: {fault}")],
    }
}

fn native(answer: Result<Bill, farebox_plan::Rejection>) -> Vec<String> {
    use farebox_plan::Rejection as R;
    match answer {
        Ok(bill) => (bill.charges.iter())
            .map(|c| format!("{} {} {} for {}", c.code, c.asset, c.amount, c.quantity))
            .collect(),
        Err(rejection) => vec![match rejection {
            R::InvalidEvent {
                name,
                problem,
                message,
            } => format!("{name} {problem:?}: {message}"),
            R::Unpriceable(message) => format!("unpriceable: {message}"),
            R::Overflow => "overflow".to_string(),
            R::NotAllowed(message) => format!("not allowed: {message}"),
        }],
    }
}

#[test]
fn the_component_and_the_native_plan_say_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-token");
    let built = build_plan(&folder, &BuildOptions::default()).unwrap();
    let parameters = fs::read_to_string(folder.join("parameters/list-prices.json")).unwrap();
    let runtime = Runtime::new(Config::default()).unwrap();
    let plan = runtime.admit(&built.component).unwrap();
    let revision = runtime.prepare(&plan, &parameters).unwrap();
    let harness = Harness::<PerToken>::new(&parameters).unwrap();
    let event_type = "llm.call".parse().unwrap();
    let period = Period {
        start: Timestamp::EPOCH,
        end: "1970-01-31T00:00:00Z".parse().unwrap(),
        index: 0,
    };

    let mut chance = SmallRng::seed_from_u64(1);
    let (mut priced, mut refused) = (0, 0);
    for _ in 0..EVENTS {
        let sample = sample(&mut chance);
        let mut batch = Batch::new(&revision);
        let context = batch.context(&Context {
            prepared: None,
            state: &[],
            period,
            seats: 1,
            balances: &[],
        });
        batch.push(&Trigger {
            purpose: sample.purpose,
            event_type: &event_type,
            context,
            subject: None,
            time: Timestamp::EPOCH,
            cost: None,
            measures: &sample.measures,
            attributes: &sample.attributes,
            source: "api",
            id: "e",
        });
        let in_sandbox = component(runtime.evaluate(&batch).verdicts.pop().unwrap());

        let mut event = Event::new("llm.call");
        for (name, value) in &sample.measures {
            event = event.measure_exact(name, *value);
        }
        for (name, value) in &sample.attributes {
            event = event.attribute(name, value);
        }
        let answer = match sample.purpose {
            Purpose::Usage => harness.batch_of(&[event]).pop().unwrap(),
            Purpose::WorstCase => harness.quote(&event),
        };
        match answer.is_ok() {
            true => priced += 1,
            false => refused += 1,
        }
        assert_eq!(
            in_sandbox,
            native(answer),
            "{:?} {:?}",
            sample.measures,
            sample.attributes
        );
    }
    assert!(
        priced > 500 && refused > 500,
        "{priced} priced, {refused} refused: the sample shows both"
    );
}
