//! `docs/plans/scenarios.md` is what people write scenario files by: its example is carried out, and it names every field.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_runtime::{Config, Runtime};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/plans/scenarios.md")).unwrap()
}

#[test]
fn the_example_holds() {
    let page = page();
    let text = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let text = text.unwrap();
    let folder = root().join("example-plans/hybrid");
    let built = build_plan(&folder, &BuildOptions::default()).unwrap();
    let runtime = Runtime::new(Config::default()).unwrap();
    let subject = Subject {
        runtime: &runtime,
        component: &built.component,
        parameters: &fs::read_to_string(folder.join("parameters/example.json")).unwrap(),
        folder: &folder,
    };
    let report = run(&subject, &Scenario::parse(text).unwrap(), text).unwrap();
    let problems: Vec<&String> = report.steps.iter().flat_map(|step| &step.problems).collect();
    assert_eq!((report.steps.len(), problems), (4, Vec::new()));
}

/// The fields that a reader of the file would have taken, where it met one that there is not.
fn fields(text: &str) -> Vec<String> {
    let error = Scenario::parse(text).unwrap_err().to_string();
    let expected = error
        .rsplit_once("expected")
        .map_or("", |(_, expected)| expected.lines().next().unwrap_or_default());
    let names = expected.split('`').skip(1).step_by(2);
    names.map(str::to_string).collect()
}

/// The rows of the page's tables that begin with this name.
fn rows(page: &str, name: &str) -> String {
    let first = |line: &&str| {
        let cells: Vec<&str> = line.split('|').collect();
        cells
            .get(1)
            .is_some_and(|cell| cell.contains(&format!("`{name}`")))
    };
    page.lines().filter(first).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_field_is_named() {
    let page = page();
    let step = |inside: &str| format!("[[step]]\nat = 2026-03-01\n{inside}\n");
    let nobody = "nobody_knows = 1";
    let top = fields(&format!("{nobody}\n"));
    assert!(top.contains(&"shortfall".to_string()), "{top:?}");
    for name in top.iter().filter(|name| *name != "step") {
        assert_ne!(rows(&page, name), "", "`{name}` of a file is not on the page");
    }
    let of_step = fields(&step(nobody));
    assert!(of_step.len() > 20, "{of_step:?}");
    for action in of_step
        .iter()
        .filter(|name| !matches!(name.as_str(), "at" | "why" | "expect"))
    {
        let row = rows(&page, action);
        assert_ne!(row, "", "`{action}` is not on the page");
        for field in fields(&step(&format!("{action} = {{ {nobody} }}"))) {
            assert!(
                row.contains(&format!("`{field}`")),
                "`{field}` of `{action}` is not in: {row}"
            );
        }
    }
    let expectations = fields(&step(&format!("advance = {{}}\nexpect.{nobody}")));
    assert!(expectations.len() > 10, "{expectations:?}");
    for name in &expectations {
        assert_ne!(rows(&page, name), "", "`expect.{name}` is not on the page");
    }
    for (name, one) in [
        ("charges", "[{ nobody_knows = 1 }]"),
        ("grants", "[{ nobody_knows = 1 }]"),
        ("refused", "{ nobody_knows = 1 }"),
        ("backfill", "{ nobody_knows = 1 }"),
        ("usage", "{ nobody_knows = 1 }"),
        (
            "usage",
            "{ from = 2026-03-01, to = 2026-03-02, rows = [{ nobody_knows = 1 }] }",
        ),
        ("statement", "{ nobody_knows = 1 }"),
        (
            "statement",
            "{ from = 2026-03-01, to = 2026-03-02, opening = [], closing = [], lines = [{ nobody_knows = 1 }] }",
        ),
    ] {
        for field in fields(&step(&format!("advance = {{}}\nexpect.{name} = {one}"))) {
            let row = rows(&page, name);
            assert!(
                row.contains(&format!("`{field}`")),
                "`{field}` of `expect.{name}` is not in: {row}"
            );
        }
    }
}
