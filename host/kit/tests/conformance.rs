//! What every plan must keep: that each example plan keeps it, and that a plan which does not is told so, rule by rule.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::conformance::{Options, Report, Rule, Subject, examine};
use farebox_kit::events::read_events;
use farebox_kit::scenario::Scenario;
use farebox_record::event::Event;
use farebox_runtime::{Config, Plan, Runtime};

fn crooked() -> &'static (Runtime, Arc<Plan>) {
    static ADMITTED: OnceLock<(Runtime, Arc<Plan>)> = OnceLock::new();
    ADMITTED.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/crooked");
        let component = build_plan(&dir, &BuildOptions::default()).unwrap().component;
        let runtime = Runtime::new(Config::default()).unwrap();
        let plan = runtime.admit(&component).unwrap();
        (runtime, plan)
    })
}

fn call() -> Vec<Event> {
    read_events(r#"{"type": "llm.call", "measures": {"tokens": 1000}, "time": "2026-03-01T00:00:00Z"}"#)
        .unwrap()
}

fn tried(fault: &str, seed: u64) -> Report {
    let (runtime, plan) = crooked();
    let examples = call();
    let subject = Subject {
        runtime,
        plan,
        parameters: &format!(r#"{{"fault": "{fault}"}}"#),
        examples: &examples,
        began: examples[0].time.unwrap(),
        seats: 1,
    };
    examine(&subject, Options { seed, events: 300 }).unwrap()
}

fn broken(report: &Report) -> Vec<Rule> {
    let broken = report.checks.iter().filter(|check| check.broken > 0);
    broken.map(|check| check.rule).collect()
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    let cases: [(&str, &[Rule]); 8] = [
        ("none", &[]),
        ("traps", &[Rule::Answers]),
        // Whoever counts calls tells an instance that was used, a batch, and a batch with others in it.
        (
            "remembers",
            &[Rule::NoMemory, Rule::BatchIsFold, Rule::CustomersApart],
        ),
        ("traps_together", &[Rule::NoMemory, Rule::BatchIsFold]),
        ("quotes_too_little", &[Rule::WithinQuote]),
        ("gives_back_twice", &[Rule::NothingBelowZero]),
        ("counts", &[Rule::Independent]),
        ("cannot_rest", &[Rule::Changes]),
    ];
    for (fault, rules) in cases {
        let report = tried(fault, 7);
        let found = broken(&report);
        assert!(
            rules.iter().all(|rule| found.contains(rule)),
            "{fault}: {found:?}"
        );
        let others: Vec<&Rule> = found.iter().filter(|rule| !rules.contains(rule)).collect();
        let expected = match fault {
            // What it gives depends on the event before.
            "gives_back_twice" => vec![&Rule::Independent],
            _ => vec![],
        };
        assert!(
            others.iter().all(|rule| expected.contains(rule)),
            "{fault}: {others:?}"
        );
        assert_eq!(report.holds(), rules.is_empty(), "{fault}");
    }
}

#[test]
fn what_is_found_says_with_which_event_and_is_found_again() {
    let report = tried("traps", 3);
    let check = report
        .checks
        .iter()
        .find(|check| check.rule == Rule::Answers)
        .unwrap();
    let problem = &check.problems[0];
    assert!(problem.what.starts_with("the plan trapped"), "{}", problem.what);
    let tokens = problem.event.as_ref().unwrap().measures["tokens"];
    assert!(tokens > "1000000".parse().unwrap(), "{tokens}");
    assert_eq!(tried("traps", 3), report);
    assert_ne!(tried("traps", 4).checks, report.checks);
}

#[test]
fn nothing_that_is_priced_is_nothing_that_holds() {
    let (runtime, plan) = crooked();
    let subject = Subject {
        runtime,
        plan,
        parameters: r#"{"fault": "none"}"#,
        examples: &[],
        began: call()[0].time.unwrap(),
        seats: 1,
    };
    let report = examine(&subject, Options { seed: 1, events: 0 }).unwrap();
    assert!(broken(&report).is_empty());
    assert!(!report.holds());
}

/// The usage in a plan's scenarios that have the plan's own prices.
fn examples(folder: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let scenario = Scenario::parse(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        if scenario.parameters.is_none() {
            events.extend(scenario.usage());
        }
    }
    events.sort_by_key(|event| event.time);
    events
}

#[test]
fn every_example_plan_keeps_every_rule() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans");
    let cache = tempfile::tempdir().unwrap();
    let config = Config {
        cache_dir: Some(cache.path().to_path_buf()),
        ..Config::default()
    };
    let runtime = Runtime::new(config).unwrap();
    let mut folders: Vec<PathBuf> = fs::read_dir(plans)
        .unwrap()
        .map(|plan| plan.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 15);
    for folder in folders {
        let described: toml::Table = fs::read_to_string(folder.join("plan.toml"))
            .unwrap()
            .parse()
            .unwrap();
        let named = |name: &str| folder.join(described[name].as_str().unwrap());
        let source = match described.contains_key("component") {
            true => named("component"),
            false => folder.clone(),
        };
        let built = build_plan(&source, &BuildOptions::default()).unwrap();
        let plan = runtime.admit(&built.component).unwrap();
        let events = examples(&named("scenarios"));
        let subject = Subject {
            runtime: &runtime,
            plan: &plan,
            parameters: &fs::read_to_string(named("parameters")).unwrap(),
            examples: &events,
            began: events[0].time.unwrap(),
            seats: 3,
        };
        let report = examine(
            &subject,
            Options {
                seed: 11,
                events: 400,
            },
        )
        .unwrap();
        let place = folder.display();
        assert!(report.holds(), "{place}: {:?}", report.checks);
        // Enough of what was made up is something that the plan knows.
        assert!(report.priced >= 60, "{place}: {}", report.priced);
    }
}
