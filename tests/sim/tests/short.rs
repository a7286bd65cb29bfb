//! A short simulation with every test run: fixed seeds, one that is drawn and printed, and proof that a run can be had again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use farebox_sim::operations::{
    OPERATIONS as OPERATIONS_OF_ALL, OUTCOME_OPERATIONS, Operation, TOTAL_OPERATIONS,
};
use farebox_sim::report::Tally;
use farebox_sim::run::{drawn_seed, run};

/// Operations for each seed; FAREBOX_TEST_LONG makes them fifty times as many.
const OPERATIONS: u64 = 400;

fn simulate(seed: u64, operations: u64) -> (Tally, [u8; 32]) {
    println!("seed {seed}");
    match run(seed, operations, &mut |_, _| true) {
        Ok(done) => done,
        Err(failure) => panic!("{}\nsee it again: {}", failure.what, failure.command()),
    }
}

fn operations() -> u64 {
    match std::env::var_os("FAREBOX_TEST_LONG") {
        Some(_) => OPERATIONS * 50,
        None => OPERATIONS,
    }
}

#[test]
fn fixed_seeds() {
    let mut all = Tally::default();
    // With 4 and 5 states are taken over, with 12 something is answered late.
    for seed in (2..=6).chain([12]) {
        all.add(&simulate(seed, operations()).0);
    }
    // Everything that is there to go wrong did, or this proves nothing.
    let operations = [OPERATIONS_OF_ALL, OUTCOME_OPERATIONS, TOTAL_OPERATIONS].concat();
    for Operation { name, .. } in operations {
        assert!(all.by_name.contains_key(name), "no {name:?} in {:?}", all.by_name);
    }
    assert!(all.answers > 1_000, "{} answers", all.answers);
    assert!(
        all.compared > all.answers,
        "{} of {} answers compared",
        all.compared,
        all.answers
    );
    assert!(all.conflicts > 5, "{} conflicts", all.conflicts);
    assert!(all.crashes > 20, "{} crashes", all.crashes);
    assert!(all.set_back > 5, "{} clocks set back", all.set_back);
    assert!(all.stops > 5, "{} stops", all.stops);
    assert!(all.disk.torn > 5, "{} torn", all.disk.torn);
    let looked = &all.looked;
    assert!(looked.proved > 500, "{} answers proved", looked.proved);
    assert!(looked.taken_over > 0, "no state was taken over");
    assert!(looked.late > 0, "nothing was answered late");
    assert!(looked.outcomes > 50, "{} outcomes", looked.outcomes);
    assert!(looked.repriced > 5, "{} repriced", looked.repriced);
    assert!(looked.backfilled > 10, "{} backfilled", looked.backfilled);
    assert!(looked.advances > 5, "{} advances", looked.advances);
    assert!(looked.thresholds > 10, "{} thresholds", looked.thresholds);
    assert!(looked.denials > 1, "{} denials by limits", looked.denials);
}

/// Whoever ends a run in its middle can have it again.
#[test]
fn the_seed_is_said_before_anything_happens() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_farebox-sim"))
        .args(["--seed", "7", "--ops", "100000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(run.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    run.kill().unwrap();
    // It was far from over.
    assert!(!run.wait().unwrap().success());
    assert_eq!(first, "seed 7\n");
}

#[test]
fn a_seed_that_is_drawn() {
    simulate(drawn_seed(), operations());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (first, again) = (simulate(11, 300), simulate(11, 300));
    assert_eq!(first, again);
    assert_ne!(first.1, simulate(12, 300).1);
}
