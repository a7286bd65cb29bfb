//! The tutorial's price list and scenario, as they stand on its page, do what it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use farebox_kit::bills::{Priced, bills};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::events::Used;
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_runtime::{Config, Runtime};

const PAGE: &str = include_str!("../../../docs/plans/tutorial.md");

/// The first block of a language on the page.
fn block(language: &str) -> &'static str {
    let begin = PAGE.find(&format!("```{language}\n")).unwrap() + language.len() + 4;
    PAGE[begin..].split("```").next().unwrap()
}

#[test]
fn the_tutorial_does_what_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/hybrid");
    let component = build_plan(&dir, &BuildOptions::default()).unwrap().component;
    let runtime = Runtime::new(Config::default()).unwrap();
    let (prices, text) = (block("json"), block("toml"));
    let scenario = Scenario::parse(text).unwrap();
    let subject = Subject {
        runtime: &runtime,
        component: &component,
        parameters: prices,
        folder: &dir,
    };
    let report = run(&subject, &scenario, text).unwrap();
    assert_eq!(report.steps.len(), 3);
    assert!(report.holds(), "{:?}", report.steps);
    // And what it says of a wrong expectation.
    let wrong = text.replace("\"22 usd\"", "\"23 usd\"");
    let report = run(&subject, &Scenario::parse(&wrong).unwrap(), &wrong).unwrap();
    let step = &report.steps[2];
    let told = format!("line {} ({}): {}", step.line, step.action, step.problems[0]);
    assert!(PAGE.contains(&told), "{told}");
    // What the customer of the scenario pays under the larger plan: the fee, and nothing beyond 2,000 credits.
    let larger = prices.replace("\"20\"", "\"25\"").replace("\"1000\"", "\"2000\"");
    let used: Vec<Used> = scenario
        .usage()
        .into_iter()
        .map(|event| Used {
            customer: Some("ada".into()),
            event,
        })
        .collect();
    let began = used[0].event.time.unwrap();
    for (parameters, pays) in [(prices, "22"), (&*larger, "25")] {
        let plan = Priced {
            runtime: &runtime,
            component: &component,
            parameters,
        };
        let paid = &bills(&plan, &used, began, 1).unwrap().customers["ada"];
        let paid: Vec<String> = paid.values().map(ToString::to_string).collect();
        assert_eq!(paid, [pays]);
    }
}
