//! One plan, many attacks. The parameters name the attack; `prepare` hands the name on to every later call.

mod arena;
mod attacks;

wit_bindgen::generate!({ path: "../../../wit", world: "plan" });

use exports::farebox::plan::pricing::*;

struct Hostile;

export!(Hostile);

/// Indices into what is described.
const CODE: u32 = 0;
const USD: u32 = 0;
const CREDITS: u32 = 1;

impl Guest for Hostile {
    fn describe() -> Description {
        if cfg!(feature = "describe-loops") {
            spin();
        }
        let measures = if cfg!(feature = "describe-lies") { 65 } else { 2 };
        Description {
            name: "hostile".into(),
            version: "1".into(),
            summary: "Attacks its host.".into(),
            assets: vec![
                AssetDescription {
                    name: "usd".into(),
                    label: "US dollars".into(),
                },
                AssetDescription {
                    name: "credits".into(),
                    label: "Credits".into(),
                },
            ],
            event_types: vec!["llm.call".into()],
            measures: ["input_tokens", "output_tokens"]
                .map(String::from)
                .into_iter()
                .chain((2..measures).map(|i| format!("m{i}")))
                .collect(),
            attributes: vec!["model".into(), "attack".into()],
            charges: vec![ChargeDescription {
                code: "tokens".into(),
                label: "Tokens".into(),
                unit: "tokens".into(),
            }],
            parameters_schema: "{}".into(),
            subject_attribute: Some("conversation".into()),
            state_version: 2,
            order: Order::Cumulative,
            wants_cost: false,
            wants_balances: false,
        }
    }

    fn prepare(parameters: String) -> Result<Vec<u8>, Vec<ParameterError>> {
        match parameters.as_str() {
            "prepare-loops" => spin(),
            "prepare-refuses" => Err(vec![ParameterError {
                pointer: "/models/gpt-5/output".into(),
                message: "expected a decimal string, found a list".into(),
            }]),
            "prepare-is-long" => Ok(vec![0; 65 * 1024]),
            other => Ok(other.as_bytes().to_vec()),
        }
    }

    fn evaluate(batch: Batch) -> Outcomes {
        let mut out = Outcomes {
            results: Vec::with_capacity(batch.triggers.len()),
            charges: Vec::with_capacity(batch.triggers.len()),
            bytes: Vec::new(),
            give_backs: Vec::new(),
            grants: Vec::new(),
            timers: Vec::new(),
            subjects: Vec::new(),
        };
        // The totals so far, by context: the state of an honest cumulative plan.
        let mut totals: Vec<i64> = batch
            .contexts
            .iter()
            .map(|c| total(slice(&batch, c.state)))
            .collect();
        for i in 0..batch.triggers.len() {
            let result = attacks::trigger(&batch, i, &mut totals, &mut out);
            out.results.push(result);
        }
        out
    }

    fn transition(batch: Batch, time: i64, change: Change) -> Outcomes {
        let mut out = Outcomes {
            results: vec![],
            charges: vec![],
            bytes: 7_i64.to_le_bytes().to_vec(),
            give_backs: vec![],
            grants: vec![],
            timers: vec![],
            subjects: vec![],
        };
        if slice(&batch, batch.contexts[0].prepared) == b"loop" {
            spin();
        }
        let label = match change {
            Change::Started => "started".to_string(),
            Change::Renewed(left) => format!(
                "renewed with {} left",
                left.iter().map(|g| g.remaining).sum::<i64>()
            ),
            Change::SeatsChanged(seats) => {
                format!("{} to {} seats, {}", seats.before, seats.after, seats.prorate)
            }
            Change::PlanChanged(from) => format!("from {}", from.previous_plan),
            Change::Paused => "paused".into(),
            Change::Resumed => "resumed".into(),
            Change::Cancelled(_) => "cancelled".into(),
            Change::Due(key) => format!("due {key}"),
            Change::Reversed(reversed) => format!("reversed {}", reversed.event.id),
        };
        out.grants.push(Grant {
            trigger: 0,
            asset: CREDITS,
            amount: 5,
            category: Category::Included,
            priority: 1,
            effective: None,
            expires: Some(time + 1),
            applies_to: AppliesTo {
                codes: vec!["tokens".into()],
                attributes: vec![("model".into(), "m".into())],
            },
            each: None,
            label,
        });
        out.timers.push(Timer {
            trigger: 0,
            key: "next".into(),
            at: Some(time + 2),
        });
        out.results.push(Ok(Priced {
            charges_end: 0,
            state: Some(Span { start: 0, end: 8 }),
        }));
        out
    }

    fn explain(batch: Batch) -> Result<Vec<Step>, Rejection> {
        match attack(&batch, 0) {
            "explain-is-long" => Ok(vec![step("x".repeat(2_000))]),
            "explain-rejects" => Err(Rejection::Overflow),
            _ => Ok(vec![step(format!("{}", batch.measures[0]))]),
        }
    }

    fn migrate(from: u32, state: Vec<u8>) -> Result<Vec<u8>, String> {
        match from {
            0 => spin(),
            1 => Ok([state, vec![1]].concat()),
            9 => Ok(vec![0; 17 * 1024]),
            other => Err(format!("version {other} was never released")),
        }
    }
}

/// The attack: the parameters' or, where they leave it open, the event's own.
fn attack(batch: &Batch, i: usize) -> &str {
    let context = &batch.contexts[batch.triggers[i].context as usize];
    match core::str::from_utf8(slice(batch, context.prepared)) {
        Ok("each") | Err(_) => {
            let (begin, end) = (
                batch.text_ends[2 * i] as usize,
                batch.text_ends[2 * i + 1] as usize,
            );
            &batch.text[begin..end]
        }
        Ok(attack) => attack,
    }
}

fn step(value: String) -> Step {
    Step {
        charge: Some(0),
        what: "measure".into(),
        value,
        why: "the event's".into(),
    }
}

fn slice(batch: &Batch, span: Span) -> &[u8] {
    &batch.bytes[span.start as usize..span.end as usize]
}

fn total(state: &[u8]) -> i64 {
    state.try_into().map_or(0, i64::from_le_bytes)
}

fn spin() -> ! {
    loop {
        core::hint::black_box(0);
    }
}
