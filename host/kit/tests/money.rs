//! `docs/money.md` tells an accountant what happens to money: every example in it is carried out here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_runtime::Runtime;

/// The contents of the fenced blocks of one language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|behind| behind.split("\n```").next().unwrap_or_default())
        .collect()
}

/// Carries out the examples in the blocks of one language, under the deal in the first block of another.
fn every_example_holds(plan: &str, deal: &str, examples: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/money.md")).unwrap();
    let built = build_plan(&root.join(plan), &BuildOptions::default()).unwrap();
    // Every example is an engine of its own: what one compiled the next one finds.
    let cache = tempfile::tempdir().unwrap();
    let config = farebox_runtime::Config {
        cache_dir: Some(cache.path().to_path_buf()),
        ..farebox_runtime::Config::default()
    };
    let runtime = Runtime::new(config).unwrap();
    let subject = Subject {
        runtime: &runtime,
        component: &built.component,
        parameters: blocks(&page, deal)[0],
        folder: &root,
    };
    let examples = blocks(&page, examples);
    let mut problems = Vec::new();
    for example in &examples {
        let scenario = Scenario::parse(example).unwrap();
        let about = scenario.about.as_deref().unwrap_or_default();
        for step in run(&subject, &scenario, example).unwrap().steps {
            let told = step.problems.iter();
            problems.extend(told.map(|what| format!("{about} {}:{}: {what}", step.line, step.action)));
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    examples.len()
}

#[test]
fn every_example_of_the_money_page_is_what_happens() {
    let examples = every_example_holds("example-plans/per-token", "json", "toml");
    assert_eq!(examples, 21, "one that is lost is missed");
}

#[test]
fn fees_periods_and_the_feed_are_what_the_money_page_says() {
    let plan = "host/kit/tests/plans/commitment";
    assert_eq!(every_example_holds(plan, "json commitment", "toml commitment"), 7);
}

#[test]
fn a_price_that_depends_on_the_events_before_is_what_the_money_page_says() {
    let plan = "host/kit/tests/plans/commitment";
    assert_eq!(every_example_holds(plan, "json tiers", "toml tiers"), 1);
}

#[test]
fn what_a_plan_gives_back_is_what_the_money_page_says() {
    let plan = "host/kit/tests/plans/outcomes";
    assert_eq!(every_example_holds(plan, "json outcomes", "toml outcomes"), 1);
}

#[test]
fn what_a_deadline_charges_is_what_the_money_page_says() {
    let plan = "example-plans/per-outcome";
    assert_eq!(every_example_holds(plan, "json deadline", "toml deadline"), 1);
}

#[test]
fn two_assets_at_once_are_what_the_money_page_says() {
    let plan = "host/engine/tests/tasks";
    assert_eq!(every_example_holds(plan, "json tasks", "toml tasks"), 1);
}
