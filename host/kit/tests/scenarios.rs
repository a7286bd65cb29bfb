//! The scenarios of the example plans, carried out against the built components; and that a wrong one is told.

use std::fs;
use std::path::{Path, PathBuf};

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_runtime::Runtime;

fn per_token() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-token")
}

#[test]
fn every_scenario_of_the_example_plans_holds() {
    let folder = per_token();
    let built = build_plan(&folder, &BuildOptions::default()).unwrap();
    let parameters = fs::read_to_string(folder.join("parameters/list-prices.json")).unwrap();
    let runtime = Runtime::new(farebox_runtime::Config::default()).unwrap();
    let scenarios = folder.join("scenarios");
    let subject = Subject {
        runtime: &runtime,
        component: &built.component,
        parameters: &parameters,
        folder: &scenarios,
    };
    let mut steps = 0;
    for file in fs::read_dir(&scenarios).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let report = run(&subject, &Scenario::parse(&text).unwrap(), &text).unwrap();
        for step in &report.steps {
            assert_eq!(
                step.problems,
                Vec::<String>::new(),
                "{}:{} {}",
                path.display(),
                step.line,
                step.action
            );
            steps += 1;
        }
    }
    assert!(steps > 20, "{steps}");

    let wrong = "[[step]]\nat = 2026-03-01\nsubscribe = {}\n\n[[step]]\nuse.type = \"llm.call\"\n\
                 use.attributes = { model = \"gpt-5\" }\nuse.measures = { output_tokens = 500 }\n\
                 expect.total = [\"0.006 usd\"]\nexpect.debt = [\"0.005 usd\"]\n";
    let report = run(&subject, &Scenario::parse(wrong).unwrap(), wrong).unwrap();
    assert_eq!(report.steps[1].line, 5);
    assert_eq!(
        report.steps[1].problems,
        ["total: expected [0.006 usd], found [0.005 usd]"]
    );
    assert!(report.steps[1].fuel > 0, "each step tells what the plan used");
}

/// Two price lists of one model, a plan each: 1 usd per million tokens, and 10.
const LISTS: [&str; 2] = ["1", "10"];

fn prices(input: &str) -> String {
    format!(
        r#"{{"asset": "usd", "providers": {{"p": {{"source": "https://example.com", "as_of": "2026",
            "models": {{"one": {{"prices": {{"input": "{input}", "output": "1"}}}}}}}}}}}}"#
    )
}

/// Carries `text` out in a folder that holds the dearer list as `dear.json`.
fn problems(text: &str) -> Vec<(usize, Vec<String>)> {
    let built = build_plan(&per_token(), &BuildOptions::default()).unwrap();
    let runtime = Runtime::new(farebox_runtime::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dear.json"), prices(LISTS[1])).unwrap();
    let subject = Subject {
        runtime: &runtime,
        component: &built.component,
        parameters: &prices(LISTS[0]),
        folder: folder.path(),
    };
    let report = run(&subject, &Scenario::parse(text).unwrap(), text).unwrap();
    let steps = report.steps.into_iter().filter(|step| !step.problems.is_empty());
    steps.map(|step| (step.line, step.problems)).collect()
}

#[test]
fn another_plan_prices_from_its_day_on() {
    let text = r#"
[[step]]
at = 2026-03-01
subscribe = {}
[[step]]
top_up = { amount = "10 usd" }
[[step]]
change_plan = { parameters = "dear.json", from = "period_end", cadence = "weekly" }
expect.charges = []
[[step]]
at = 2026-03-31
use = { id = "a", type = "llm.call", attributes = { model = "one" }, measures = { input_tokens = 100_000 } }
expect.total = ["0.1 usd"]
[[step]]
at = 2026-04-01
use = { id = "b", type = "llm.call", attributes = { model = "one" }, measures = { input_tokens = 100_000 } }
expect.total = ["1 usd"]
expect.balance = ["8.9 usd"]
[[step]]
why = "It is priced by the prices of its time"
amend = { event = "a", attributes = { model = "one" }, measures = { input_tokens = 200_000 } }
expect.reversed = ["0.1 usd"]
expect.total = ["0.2 usd"]
expect.balance = ["8.8 usd"]
[[step]]
void = { event = "b" }
expect.reversed = ["1 usd"]
expect.balance = ["9.8 usd"]
[[step]]
reopen = {}
"#;
    assert_eq!(problems(text), []);
}

#[test]
fn a_wrong_correction_is_told() {
    let text = r#"
[[step]]
at = 2026-03-01
subscribe = {}
[[step]]
use = { id = "a", type = "llm.call", attributes = { model = "one" }, measures = { input_tokens = 100_000 } }
expect.debt = ["0.1 usd"]
[[step]]
void = { event = "a" }
expect.reversed = ["0.2 usd"]
expect.debt = ["0.1 usd"]
[[step]]
pay = { amount = "1 usd" }
expect.refused = { code = "unknown_event" }
"#;
    let told = |text: &str| text.to_string();
    let found = problems(text);
    assert_eq!(found[0].0, 8);
    assert_eq!(
        found[0].1,
        [
            told("reversed: expected [0.2 usd], found [0.1 usd]"),
            told("debt: expected 0.1 usd, found 0 usd")
        ]
    );
    assert!(
        found[1].1[0].starts_with("refused: expected unknown_event, found invalid_amount"),
        "{found:?}"
    );
}

#[test]
fn steps_that_refer_to_nothing_are_refused_with_their_line() {
    for (step, said) in [
        (
            "void = { event = \"x\" }",
            "no step before uses or authorizes an event with the id \"x\"",
        ),
        ("pause = {}", "there is no subscription yet"),
        ("refund = { amount = \"1 usd\" }", "`event` or `grant`"),
        ("change_plan = {}", "`plan`, `parameters`, or both"),
    ] {
        let text = format!("[[step]]\nat = 2026-03-01\n{step}\n");
        let built = build_plan(&per_token(), &BuildOptions::default()).unwrap();
        let runtime = Runtime::new(farebox_runtime::Config::default()).unwrap();
        let subject = Subject {
            runtime: &runtime,
            component: &built.component,
            parameters: &prices(LISTS[0]),
            folder: Path::new("."),
        };
        let error = run(&subject, &Scenario::parse(&text).unwrap(), &text)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 1: ") && error.contains(said), "{error}");
    }
}
