//! Plans in Python.

use std::sync::OnceLock;

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::probe::Probe;
use farebox_money::Nanos;
use farebox_record::plan::Rejection;
use farebox_record::time::Timestamp;
use farebox_runtime::Verdict;
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
    let echo = echo();
    crate::hands_on_what_an_event_carries_as_it_was_sent(&echo);
    crate::is_told_what_it_asks_for(&echo);
    crate::gives_no_other_price_of_nothing(&echo);
    crate::carries_over_what_an_earlier_version_remembered(&echo);
}

#[test]
fn what_is_wrong_with_a_price_list_is_told_at_its_place() {
    crate::tells_what_is_wrong_with_a_price_list_at_its_place(python());
}

#[test]
fn numbers_are_exact_up_to_the_largest_that_crosses_and_sums_beyond_it() {
    // A deal in which a unit costs a dollar, and a dollar is a credit.
    let deal = r#"{"fee": "0", "credits": "0", "rollover_max": "0", "credits_per_dollar": 1, "price": "1", "minimum": "0",
        "call_max": "9000000000"}"#;
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut pair = crate::beside_rust(python(), deal)
        .map(|revision| Probe::begin(runtime(), revision, began, 1).unwrap());
    // 2^53 + 1 is the first whole number that a double does not hold. The sum of the others is more than 2^63, and is only
    // remembered: what crosses is the price of each.
    let half = 6_000_000_000_000_000_000;
    for nanos in [(1 << 53) + 1, 8_999_999_999_999_999_999, half, half] {
        let units = Nanos::new(nanos);
        let mut event = event(0, began, &mut SmallRng::seed_from_u64(0));
        event.measures.insert("units".into(), units);
        let told = pair.each_mut().map(|probe| probe.price(&event).unwrap().verdict);
        assert_eq!(told[0], told[1], "{units}");
        let Verdict::Priced(priced) = &told[1] else {
            panic!("{units}: {told:?}");
        };
        assert_eq!(priced.charges[0].price.amount, units);
    }
    // More credits for a dollar make a price that does not cross.
    let deal = deal.replace("\"credits_per_dollar\": 1", "\"credits_per_dollar\": 2");
    let both = crate::beside_rust(python(), &deal);
    let mut event = event(0, began, &mut SmallRng::seed_from_u64(0));
    event.measures.insert("units".into(), Nanos::new(half));
    let told = both.map(|revision| {
        let mut probe = Probe::begin(runtime(), revision, began, 1).unwrap();
        probe.price(&event).unwrap().verdict
    });
    assert_eq!(told[0], told[1]);
    assert!(
        matches!(told[1], Verdict::Rejected(Rejection::Overflow)),
        "{told:?}"
    );
}
