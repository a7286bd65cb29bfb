//! Random histories, decided twice: by the ledger and by a naive model that shares no code with it. After every
//! command both must have told the caller the same and hold the same, to the nano and to the grant; and every check
//! of the ledger itself runs too (see `world`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what cannot be has failed"
)]

#[path = "../world/mod.rs"]
mod world;

mod agenda;
mod books;
mod bounds;
mod calls;
mod corrections;
mod cover;
mod coverage;
mod drive;
mod found;
mod fraction;
mod giving;
mod owed;
mod parts;
mod reference;
mod refold;
mod repeat;
mod same;
mod settle;
mod steps;
mod subscriptions;
mod timers;
mod told;
mod words;

use proptest::prelude::*;

use books::Books;
use drive::Pair;
use same::same;
use steps::Step;

fn run(script: &[Step]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    let mut books = Books::default();
    books.keep(&pair.world)?;
    for step in script {
        take(&mut pair, &books, step)
            .and_then(|()| books.keep(&pair.world))
            .and_then(|()| same(&pair))
            .map_err(|e| TestCaseError::fail(format!("after {step:?}: {e}")))?;
    }
    Ok(())
}

fn take(pair: &mut Pair, books: &Books, step: &Step) -> Result<(), TestCaseError> {
    match step {
        Step::Clock(by, words) => pair.clock(*by, words),
        Step::Crash => pair.world.crash(),
        Step::Replay => pair.world.replay(),
        Step::Again(which) => repeat::again(&pair.world, books, *which)?,
        Step::Conflict(which, how) => repeat::conflict(&pair.world, books, *which, *how)?,
        command => {
            let Some((answered, expected)) = pair.take(command) else {
                return Ok(());
            };
            let granted = match command {
                Step::Grant(order) => Some(order.asset),
                _ => None,
            };
            prop_assert_eq!(told::told(&answered, granted), expected);
        }
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    let cases = match std::env::var_os("FAREBOX_TEST_LONG") {
        Some(_) => 20_000,
        None => 400,
    };
    ProptestConfig {
        // As many as PROPTEST_CASES says, where it does.
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => ProptestConfig::default().cases,
            None => cases,
        },
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_ledger_does_what_the_model_says(script in steps::any_script()) {
        run(&script)?;
    }
}
