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
