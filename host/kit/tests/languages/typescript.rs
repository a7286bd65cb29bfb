//! Plans in TypeScript.

use std::sync::{Arc, OnceLock};

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::probe::Probe;
use farebox_money::Nanos;
use farebox_record::time::Timestamp;
use farebox_runtime::{Config, Limits, Runtime};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::{CROSSING_MAX, DEAL, built, event, root, runtime};

fn typescript() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| built("guest-sdk/typescript/example"))
}

/// The plan in `tests/plans/echo.ts`, in a folder that is the example's but for its source.
fn echo() -> Vec<u8> {
    typescript(); // fetches the tools, where they are not there
    let (example, tests) = (
        root().join("guest-sdk/typescript/example"),
        root().join("host/kit/tests"),
    );
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "node_modules",
    ] {
        let from = std::fs::canonicalize(example.join(name)).unwrap();
        std::os::unix::fs::symlink(from, folder.path().join(name)).unwrap();
    }
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::copy(tests.join("plans/echo.ts"), folder.path().join("src/plan.ts")).unwrap();
    let built = build_plan(folder.path(), &BuildOptions::default());
    built.unwrap_or_else(|error| panic!("{error}")).component
}

#[test]
fn it_keeps_the_scenarios() {
    crate::keeps_the_scenarios_of_the_same_plan_in_rust(typescript());
}

#[test]
fn it_answers_byte_for_byte_what_rust_answers() {
    crate::answers_byte_for_byte_what_the_same_plan_answers_in_rust(typescript(), 6_000);
}

#[test]
fn it_answers_whole_batches_byte_for_byte_too() {
    crate::answers_whole_batches_of_several_customers_byte_for_byte_too(typescript());
}

#[test]
fn it_keeps_every_rule() {
    crate::keeps_every_rule(typescript());
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
    crate::tells_what_is_wrong_with_a_price_list_at_its_place(typescript());
}

#[test]
fn what_a_double_does_not_hold_is_refused_and_never_rounded() {
    let runtime = runtime();
    let plan = runtime.admit(typescript()).unwrap();
    let huge = DEAL.replace("\"call_max\": \"5000\"", "\"call_max\": \"9000000\"");
    let huge = huge.replace("73", "1000");
    let revision = runtime.prepare(&plan, &huge).unwrap();
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut probe = Probe::begin(runtime, revision, began, 1).unwrap();
    let mut asked = |units: i128| {
        let mut event = event(0, began, &mut SmallRng::seed_from_u64(0));
        event.measures.insert("units".into(), Nanos::new(units));
        format!("{:?}", probe.price(&event).unwrap().verdict)
    };
    assert!(
        asked(CROSSING_MAX + 1).contains("Overflow"),
        "it came as another number"
    );
    assert!(asked(CROSSING_MAX + 2).contains("Overflow"));
    // 500,000 units cost some 5,151 dollars, or 5.2 million credits; twice that comes in, and costs more credits than cross.
    assert!(asked(500_000 * 1_000_000_000).contains("Priced"));
    assert!(asked(1_000_000 * 1_000_000_000).contains("Overflow"));
    // The least number is how an absent measure crosses. As a double, those beside it are the same, and must not pass for it.
    for least in [i64::MIN + 1, i64::MIN + 512, i64::MIN + 513] {
        assert!(!asked(least.into()).contains("Missing"), "{least}");
    }
}

#[test]
fn where_such_plans_are_switched_off_it_is_refused_by_name() {
    let runtime = Runtime::new(Config::default()).unwrap();
    let refused = runtime.admit(typescript()).unwrap_err();
    assert_eq!(refused.code(), "interpreted");
    assert!(
        refused.advice().contains("interpreted_plans"),
        "{}",
        refused.advice()
    );
    // Where they are switched off later, those that are there run on, and no other is taken in.
    let later = Runtime::new(Config {
        interpreted: Some(Limits::interpreted()),
        ..Config::default()
    });
    let later = later.unwrap();
    assert_eq!(later.take_in(typescript()).unwrap_err().code(), "interpreted");
    let held = later.admit(typescript()).unwrap();
    // It is there once, for those whose it is; whoever comes with the same is refused all the same.
    assert!(Arc::ptr_eq(&held, &later.admit(typescript()).unwrap()));
    assert_eq!(later.take_in(typescript()).unwrap_err().code(), "interpreted");
    let watched = Arc::downgrade(&held);
    drop(held);
    assert!(watched.upgrade().is_none(), "it is kept for nobody");
}
