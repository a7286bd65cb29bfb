//! What `farebox plan new` makes, by each model and in each language: it builds with the tools of its language, its scenario
//! holds, and the three languages answer byte for byte the same; so the rules that the one in Rust keeps, all of them keep.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

mod asked;
mod begun;

use std::sync::Arc;

use farebox_kit::conformance;
use farebox_kit::probe::Probe;
use farebox_record::event::Event;
use farebox_record::time::{Span, Timestamp};
use farebox_runtime::{Purpose, Refused, Tier, Verdict};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use asked::Model;
use begun::{Begun, begun, runtime};

#[test]
fn per_token() {
    holds(&Model {
        name: "per-token",
        odd: r#"{"input": "0.123456789012", "output": "7.000000000001"}"#,
        wrong: &[("/input", r#""-3.00""#, "expected 0 or more, found -3")],
    });
}

#[test]
fn credits() {
    holds(&Model {
        name: "credits",
        odd: r#"{"actions": {"report": "0.3333333333", "answer": "1.5", "余り": "0"}, "pack_price": "9.99",
            "pack_credits": "333.3", "pack_days": 1}"#,
        wrong: &[
            (
                "/pack_credits",
                r#""0""#,
                "expected more than 0: a pack of nothing is none",
            ),
            ("/pack_days", "0", "expected 1 to 3660, found 0"),
            ("/pack_days", "3661", "expected 1 to 3660, found 3661"),
        ],
    });
}

#[test]
fn hybrid() {
    holds(&Model {
        name: "hybrid",
        odd: r#"{"fee": "19.99", "included": "1000.5", "rollover_max": "0.000000001", "action": "0.3333333333",
            "action_beyond": "0.0000000001"}"#,
        wrong: &[
            ("/action", r#""0""#, "expected more than 0"),
            ("/action_beyond", r#""0.0""#, "expected more than 0"),
            ("/fee", r#""-1""#, "expected 0 or more, found -1"),
        ],
    });
}

#[test]
fn per_outcome() {
    holds(&Model {
        name: "per-outcome",
        odd: r#"{"resolution": "0.987654321", "counts_after_hours": 0, "reversal_days": 1}"#,
        wrong: &[
            ("/counts_after_hours", "721", "expected 0 to 720, found 721"),
            ("/reversal_days", "0", "expected 1 to 365, found 0"),
        ],
    });
}

#[test]
fn seats_plus_credits() {
    holds(&Model {
        name: "seats-plus-credits",
        odd: r#"{"seat": "7.77", "included": "33.3", "action": "0.7", "action_beyond": "0.015"}"#,
        wrong: &[
            ("/action", r#""0""#, "expected more than 0"),
            ("/seat", r#""-0.5""#, "expected 0 or more, found -0.5"),
        ],
    });
}

fn holds(model: &Model) {
    let all: Vec<Begun> = languages(model)
        .iter()
        .map(|language| begun(language, model.name))
        .collect();
    let began: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
    for begun in &all {
        begun.scenario_holds();
        tells_what_is_wrong(model, begun);
    }
    keeps_every_rule(model, &all[0], began);
    same_description(&all);
    for deal in [&all[0].prices, model.odd] {
        same_answers(model, &all, deal, began);
    }
}

/// In Python a plan takes a minute to build and to compile: the one that needs most of the SDK does, the others in long runs.
fn languages(model: &Model) -> &'static [&'static str] {
    let is_long = std::env::var_os("FAREBOX_TEST_LONG").is_some();
    match is_long || model.name == "per-outcome" {
        true => &["rust", "typescript", "python"],
        false => &["rust", "typescript"],
    }
}

fn same_description(all: &[Begun]) {
    let (rust, others) = all.split_first().unwrap();
    assert_eq!(rust.plan.tier(), Tier::Native);
    assert!(others.iter().all(|begun| begun.plan.tier() == Tier::Interpreted));
    let schema = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for other in others {
        let (mut a, mut b) = (rust.plan.description().clone(), other.plan.description().clone());
        assert_eq!(schema(&a.parameters_schema), schema(&b.parameters_schema));
        a.parameters_schema.clear();
        b.parameters_schema.clear();
        assert_eq!(a, b, "{}", other.language);
    }
}

/// Each event and change is put to all of them, one after the other.
fn same_answers(model: &Model, all: &[Begun], deal: &str, began: Timestamp) {
    let runtime = runtime();
    let probe = |begun: &Begun| {
        let revision = runtime.prepare(&begun.plan, deal).unwrap();
        Probe::begin(runtime, revision, began, 2).unwrap()
    };
    let mut probes: Vec<Probe<'_>> = all.iter().map(probe).collect();
    let mut chance = SmallRng::seed_from_u64(0xbe91);
    let (mut now, mut events, mut priced) = (began, Vec::<Event>::new(), 0);
    for number in 0..400 {
        now = now.saturating_add(Span::seconds(chance.random_range(0..40_000)));
        let event = model.event(number, now, &mut chance);
        probes.iter_mut().for_each(|probe| probe.reach(&event).unwrap());
        let (change, subject) = model.change(&mut chance, &probes[0], &events);
        if let farebox_runtime::Change::SeatsChanged { after, .. } = change {
            probes.iter_mut().for_each(|probe| probe.set_seats(after));
        }
        let kind = chance.random_range(0..10);
        let told = probes.iter_mut().map(|probe| match kind {
            0 | 1 => format!("{:?}", probe.change(now, &change, subject.as_deref()).verdict),
            2 => format!("{:?}", probe.quote(&event).unwrap().verdict),
            3 => format!("{:?}", probe.explain(&event, Purpose::Usage).unwrap()),
            _ => {
                let verdict = probe.price(&event).unwrap().verdict;
                priced += usize::from(matches!(verdict, Verdict::Priced(_)));
                format!("{verdict:?}")
            }
        });
        let told: Vec<String> = told.collect();
        for (other, begun) in told.iter().zip(all).skip(1) {
            assert_eq!(
                told[0], *other,
                "{}: answer {number}, to {event:?}, {change:?}",
                begun.language
            );
        }
        events.push(event);
    }
    assert!(priced > 200, "{priced}");
    same_batches(model, &probes, now);
}

/// The same of whole batches, in which an event sees what those before it left.
fn same_batches(model: &Model, probes: &[Probe<'_>], now: Timestamp) {
    let mut chance = SmallRng::seed_from_u64(0xba7c);
    for round in 0..6 {
        let events: Vec<Event> = (0..30)
            .map(|number| model.event(1_000 + round * 100 + number, now, &mut chance))
            .collect();
        let purpose = [Purpose::Usage, Purpose::WorstCase][usize::from(round == 5)];
        let told = probes.iter().map(|probe| {
            let batch = probe.batch(&events, purpose);
            format!("{:?}", runtime().evaluate_together(&batch).unwrap().verdicts)
        });
        let told: Vec<String> = told.collect();
        assert!(
            told.iter().all(|other| *other == told[0]),
            "round {round}: {told:?}"
        );
    }
}

fn keeps_every_rule(model: &Model, begun: &Begun, began: Timestamp) {
    let mut chance = SmallRng::seed_from_u64(0xc0f0);
    let examples: Vec<Event> = (0..20)
        .map(|number| model.event(number, began, &mut chance))
        .collect();
    let subject = conformance::Subject {
        runtime: runtime(),
        plan: &begun.plan,
        parameters: &begun.prices,
        examples: &examples,
        began,
        seats: 2,
    };
    let options = conformance::Options { seed: 1, events: 250 };
    let report = conformance::examine(&subject, options).unwrap();
    assert!(
        report.holds() && report.priced > 20,
        "{}: {report:?}",
        begun.language
    );
}

fn tells_what_is_wrong(model: &Model, begun: &Begun) {
    for (pointer, value, message) in model.wrong {
        let mut prices: serde_json::Value = serde_json::from_str(&begun.prices).unwrap();
        *prices.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
        match runtime().prepare(&begun.plan, &prices.to_string()).unwrap_err() {
            Refused::Parameters { errors } => {
                let told: Vec<String> = errors
                    .iter()
                    .map(|e| format!("{}: {}", e.pointer, e.message))
                    .collect();
                assert_eq!(told, [format!("{pointer}: {message}")], "{}", begun.language);
            }
            other => panic!("{other}"),
        }
    }
}

/// Plans are shared, not copied.
type Plan = Arc<farebox_runtime::Plan>;
