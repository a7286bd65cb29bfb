//! Plans in Python.

use std::sync::OnceLock;

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::probe::Probe;
use farebox_money::Nanos;
use farebox_record::time::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::{built, event, root, runtime};

fn python() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| built("guest-sdk/python/example"))
}

/// The plan in `tests/plans/echo.py`, in a folder that has the example's tools.
fn echo() -> Vec<u8> {
    python(); // fetches the tools, where they are not there
    let (sdk, tests) = (root().join("guest-sdk/python"), root().join("host/kit/tests"));
    let (sdk, folder) = (std::fs::canonicalize(sdk).unwrap(), tempfile::tempdir().unwrap());
    let manifest = format!(
        "[project]\nname = \"echo\"\n[tool.farebox]\nmodule = \"echo\"\npaths = [\".\", {:?}]\n",
        sdk.display().to_string()
    );
    std::fs::write(folder.path().join("pyproject.toml"), manifest).unwrap();
    std::fs::copy(
        sdk.join("example/requirements.txt"),
        folder.path().join("requirements.txt"),
    )
    .unwrap();
    std::fs::copy(tests.join("plans/echo.py"), folder.path().join("echo.py")).unwrap();
    std::fs::create_dir(folder.path().join("build")).unwrap();
    let tools = folder.path().join("build/tools");
    std::os::unix::fs::symlink(sdk.join("example/build/tools"), tools).unwrap();
    let built = build_plan(folder.path(), &BuildOptions::default());
    built.unwrap_or_else(|error| panic!("{error}")).component
}

#[test]
fn it_keeps_the_scenarios() {
    crate::keeps_the_scenarios_of_the_same_plan_in_rust(python());
}

#[test]
fn it_answers_byte_for_byte_what_rust_answers() {
    crate::answers_byte_for_byte_what_the_same_plan_answers_in_rust(python(), 2_000);
}

#[test]
fn it_answers_whole_batches_byte_for_byte_too() {
    crate::answers_whole_batches_of_several_customers_byte_for_byte_too(python());
}

#[test]
fn it_keeps_every_rule() {
    crate::keeps_every_rule(python());
}

#[test]
fn what_an_event_carries_arrives_as_it_was_sent() {
    crate::hands_on_what_an_event_carries_as_it_was_sent(&echo());
}

#[test]
fn what_is_wrong_with_a_price_list_is_told_at_its_place() {
    crate::tells_what_is_wrong_with_a_price_list_at_its_place(python());
}

#[test]
fn numbers_are_exact_up_to_the_largest_that_crosses() {
    let runtime = runtime();
    let plan = runtime.admit(python()).unwrap();
    // A deal in which a unit costs a dollar, and a dollar is a credit.
    let deal = r#"{"fee": "0", "credits": "0", "rollover_max": "0", "credits_per_dollar": 1, "price": "1", "minimum": "0",
        "call_max": "9000000000"}"#;
    let revision = runtime.prepare(&plan, deal).unwrap();
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let asked = |units: &[i64]| {
        let mut probe = Probe::begin(runtime, revision.clone(), began, 1).unwrap();
        let told = units.iter().map(|units| {
            let mut event = event(0, began, &mut SmallRng::seed_from_u64(0));
            event
                .measures
                .insert("units".to_string(), Nanos::new((*units).into()));
            format!("{:?}", probe.price(&event).unwrap().verdict)
        });
        told.collect::<Vec<_>>()
    };
    // 2^53 + 1 is the first whole number that a double does not hold.
    for units in [(1 << 53) + 1, 8_999_999_999_999_999_999] {
        let told = asked(&[units]);
        assert!(
            told[0].contains(&Nanos::new(units.into()).to_string()),
            "{told:?}"
        );
    }
    // What both cost together is more than crosses in the state, and is refused; what is refused is not remembered.
    let half = 6_000_000_000_000_000_000;
    let told = asked(&[half, half, 3_000_000_000_000_000_000]);
    let is_priced = |told: &String| told.starts_with("Priced");
    assert_eq!(
        told.iter().map(is_priced).collect::<Vec<_>>(),
        [true, true, true],
        "{told:?}"
    );
}
