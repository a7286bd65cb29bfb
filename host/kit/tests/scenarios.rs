//! The scenarios of the example plans, carried out against the built components; and that a wrong one is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_runtime::Runtime;

fn per_token() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-token")
}

fn commitment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/commitment")
}

/// Carries out every scenario of a plan's folder, as `farebox plan test` does; how many steps that are.
fn every_scenario_holds(plan: &Path) -> usize {
    let described: toml::Table = fs::read_to_string(plan.join("plan.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let named = |name: &str| plan.join(described[name].as_str().unwrap());
    // A product may be a standard plan with parameters of its own.
    let source = if described.contains_key("component") {
        named("component")
    } else {
        plan.to_path_buf()
    };
    let built = build_plan(&source, &BuildOptions::default()).unwrap();
    // Each scenario has an engine of its own; the component is compiled once for all of them.
    let cache = tempfile::tempdir().unwrap();
    let config = farebox_runtime::Config {
        cache_dir: Some(cache.path().to_path_buf()),
        ..farebox_runtime::Config::default()
    };
    let runtime = Runtime::new(config).unwrap();
    let scenarios = named("scenarios");
    let (mut steps, mut wrong) = (0, Vec::new());
    for file in fs::read_dir(&scenarios).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let scenario = match Scenario::parse(&text) {
            Ok(scenario) => scenario,
            Err(error) => {
                wrong.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let own = scenario.parameters.as_ref().map(|own| scenarios.join(own));
        let subject = Subject {
            runtime: &runtime,
            component: &built.component,
            parameters: &fs::read_to_string(own.unwrap_or_else(|| named("parameters"))).unwrap(),
            folder: &scenarios,
        };
        let report = match run(&subject, &scenario, &text) {
            Ok(report) => report,
            Err(error) => {
                wrong.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        for step in &report.steps {
            let place = format!("{}:{} {}", path.display(), step.line, step.action);
            wrong.extend(step.problems.iter().map(|problem| format!("{place}: {problem}")));
            steps += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    steps
}

#[test]
fn every_scenario_of_the_example_plans_holds() {
    let plans = per_token().parent().unwrap().to_path_buf();
    let mut steps = 0;
    let mut names = Vec::new();
    for plan in fs::read_dir(plans).unwrap() {
        let plan = plan.unwrap();
        names.push(plan.file_name().into_string().unwrap());
        steps += every_scenario_holds(&plan.path());
    }
    assert!(names.len() >= 9 && steps > 150, "{names:?}: {steps}");
}

#[test]
fn subscriptions_and_periods_are_what_an_accountant_works_out() {
    let steps = every_scenario_holds(&commitment());
    assert!(steps > 120, "{steps}");
}

#[test]
fn what_a_plan_gives_back_is_what_an_accountant_works_out() {
    let outcomes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/outcomes");
    let steps = every_scenario_holds(&outcomes);
    assert!(steps >= 7, "{steps}");
    let graduated = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/graduated-outcomes");
    let steps = every_scenario_holds(&graduated);
    assert!(steps >= 9, "{steps}");
}

#[test]
fn what_did_not_come_is_told() {
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
fn a_wrong_subscription_is_told() {
    let text = r#"
[[step]]
at = 2026-03-01
use = { id = "a", type = "llm.call", attributes = { model = "one" }, measures = { input_tokens = 100_000 } }
expect.refused = { code = "no_subscription" }
expect.unpriced = 2
expect.status = "active"
[[step]]
at = 2026-03-02
subscribe = { seats = 2 }
expect.charges = [{ code = "input", amount = "0.1 usd", invoice = true, at = 2026-03-02 }]
expect.period = { start = 2026-03-01, end = 2026-04-01 }
expect.seats = 3
expect.status = "paused"
[[step]]
why = "All of it is as it is said"
pause = {}
expect.period = { start = 2026-03-02, end = 2026-04-02 }
expect.seats = 2
expect.status = "paused"
expect.unpriced = 0
"#;
    let told = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect::<Vec<_>>();
    assert_eq!(
        problems(text),
        [
            (
                2,
                told(&[
                    "status: expected active, found no subscription",
                    "unpriced: expected 2 to wait for a price, found 1",
                ])
            ),
            (
                8,
                told(&[
                    "charges: expected [input 0.1 usd on the statement at 2026-03-02T00:00:00Z], \
                     found [input-tokens 0.1 usd (100000) at 2026-03-01T00:00:00Z]",
                    "period: expected 2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z, \
                     found 2026-03-02T00:00:00Z to 2026-04-02T00:00:00Z",
                    "seats: expected 3, found 2",
                    "status: expected paused, found active",
                ])
            ),
        ]
    );
}

#[test]
fn what_a_reader_is_wrongly_expected_to_see_is_told() {
    let text = r#"
[[step]]
at = 2026-03-01
subscribe = {}
[[step]]
top_up = { amount = "3 usd", label = "Bought" }
[[step]]
use = { type = "llm.call", attributes = { model = "one", team = "a" }, measures = { input_tokens = 1_000_000 } }
expect.changes = ["denied"]
expect.usage = { from = 2026-03-01, to = 2026-03-02, by = "team", rows = [{ is = "b", events = 2, total = ["1 usd"] }] }
expect.backfill = { charged = 1 }
[step.expect.statement]
from = 2026-03-01
to = 2026-03-02
opening = ["1 usd"]
lines = [{ kind = "grant", amount = "3 usd", label = "Given" }, { kind = "usage", amount = "-1 usd", code = "input-tokens" }]
closing = ["3 usd"]
[[step]]
why = "It is not too late for it yet"
backfill.id = "young"
backfill.preview = true
backfill.events = [{ id = "x", time = 2026-03-01, type = "llm.call", attributes = { model = "one" } }]
expect.usage = { from = 2026-03-01T12:00:00Z, to = 2026-03-01T13:00:00Z, rows = [] }
[[step]]
at = 2026-05-10
backfill.id = "old"
backfill.preview = true
[[step.backfill.events]]
id = "x"
time = 2026-03-01
type = "llm.call"
attributes = { model = "one" }
measures = { input_tokens = 1_000_000 }
[step.expect]
backfill = { charged = 1, total = ["2 usd"] }
"#;
    let told = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect::<Vec<_>>();
    assert_eq!(
        problems(text),
        [
            (
                7,
                told(&[
                    "backfill: this step is none",
                    "changes: expected [denied], found []",
                    "usage: expected [b 2 events [1 usd]], found [a 1 events [1 usd]]",
                    "statement.opening: expected [1 usd], found [0 usd]",
                    "statement.closing: expected [3 usd], found [2 usd]",
                    "statement.lines: expected [grant 3 usd Given, usage -1 usd input-tokens], \
                     found [grant 3 usd Bought, usage -1 usd input-tokens of 2026-03-01T00:00:00Z]",
                ])
            ),
            (
                18,
                told(&[
                    "backfill: expected 1 charged, 0 unpriced, 0 known, 0 refused, 0 reverted, \
                    found 0 charged, 0 unpriced, 0 known, 1 refused, 0 reverted (x: time 2026-03-01T00:00:00Z \
                    is within the last 35 days (limit LATE_WINDOW); send it as usage)",
                    "usage: from 2026-03-01T12:00:00Z to 2026-03-01T13:00:00Z are no whole days",
                ])
            ),
            (24, told(&["backfill.total: expected [2 usd], found [1 usd]"])),
        ]
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
        ("change_plan = {}", "`plan`, `parameters`, `cadence`"),
        (
            "change_plan = { cadence = \"weekly\" }",
            "there is no subscription yet",
        ),
        ("unschedule = {}", "there is no subscription yet"),
        (
            "limit = { name = \"all\", amount = \"1 usd\", scope = [\"search\"] }",
            "such as \"team=search\"",
        ),
        (
            "limit = { name = \"all\", amount = \"1 usd\", thresholds = [\"1 eur\"] }",
            "the threshold 1 eur is not in usd",
        ),
        (
            "limit = { name = \"all\", amount = \"1 usd\", window = { rolling = { seconds = 100, step_seconds = 30 } } }",
            "100 s are not 1 to 60 steps of 30 s",
        ),
        (
            "backfill = { id = \"old\", events = [{ type = \"llm.call\" }] }",
            "each event of a `backfill` says its `id` and its `time`",
        ),
        ("revert = { backfill = \"old\" }", "old"),
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

/// Worked out by reading the steps: what each of them asks the plan.
#[test]
fn what_nobody_asked_the_plan_is_told() {
    let folder = per_token().with_file_name("per-outcome");
    let built = build_plan(&folder, &BuildOptions::default()).unwrap();
    let parameters = fs::read_to_string(folder.join("parameters/example.json")).unwrap();
    let runtime = Runtime::new(farebox_runtime::Config::default()).unwrap();
    let plan = runtime.admit(&built.component).unwrap();
    let subject = Subject {
        runtime: &runtime,
        component: &built.component,
        parameters: &parameters,
        folder: &folder,
    };
    let not_asked = |text: &str| {
        let report = run(&subject, &Scenario::parse(text).unwrap(), text).unwrap();
        let problems = report.steps.iter().flat_map(|step| &step.problems);
        assert_eq!(problems.collect::<Vec<_>>(), Vec::<&String>::new());
        let missing = report.coverage().missing(plan.description());
        missing.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let began = "[[step]]\nat = 2026-03-01\nsubscribe = { seats = 1 }\n\n[[step]]\nuse.type = \"outcome.claimed\"\n\
                 use.id = \"a\"\nuse.attributes = { conversation = \"c1\", outcome = \"resolution\" }\n\n";
    let others = ["usage of outcome.confirmed", "usage of outcome.objected"];
    let worst =
        ["outcome.claimed", "outcome.confirmed", "outcome.objected"].map(|t| format!("worst case of {t}"));
    let of = |rest: &[&str]| {
        let all = others.iter().map(ToString::to_string).chain(worst.clone());
        all.chain(rest.iter().map(ToString::to_string))
            .collect::<Vec<_>>()
    };
    let rest = [
        "renewed",
        "seats-changed",
        "plan-changed",
        "paused",
        "resumed",
        "cancelled",
        "due",
        "reversed",
    ];
    assert_eq!(not_asked(began), of(&rest));
    // The deadline goes off, the event is taken back; a pause of a day; a month ends, and with the next one the subscription.
    let all = "[[step]]\nat = 2026-03-03\nvoid = { event = \"a\" }\n\n[[step]]\nchange_seats = { to = 2 }\n\n[[step]]\n\
               pause = {}\n\n[[step]]\nat = 2026-03-04\nresume = {}\n\n[[step]]\nat = 2026-04-10\n\
               cancel = { from = \"period_end\" }\n\n[[step]]\nat = 2026-05-10\nadvance = {}\n";
    assert_eq!(not_asked(&format!("{began}{all}")), of(&["plan-changed"]));
}
