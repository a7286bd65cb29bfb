//! What a plan can try while it prices. Only the offender fails, its error names the limit, and nobody else notices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::sync::Arc;

use farebox_hostile::beside::beside;
use farebox_hostile::raw::{ITEMS, Raw};
use farebox_hostile::{batch, guest, runtime};
use farebox_record::plan::Rejection;
use farebox_runtime::{Fault, Revision, Runtime, Verdict};

fn hostile(runtime: &Runtime, parameters: &str) -> Arc<Revision> {
    let plan = runtime.admit(&guest::hostile("").unwrap()).unwrap();
    runtime.prepare(&plan, parameters).unwrap()
}

fn failed(verdict: &Verdict) -> &Fault {
    match verdict {
        Verdict::Failed(fault) => fault,
        other => panic!("expected a fault, found {other:?}"),
    }
}

/// One event of a batch attacks: it alone must fail, with `code` and all of `words`, and twice the same way.
fn attack(name: &str, code: &str, words: &[&str]) {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "each");
    let batch = batch(&revision, &[&["", name], &["", ""]]).unwrap();
    let evaluation = beside(name, &runtime, || runtime.evaluate(&batch)).unwrap();
    assert!(evaluation.alone, "{name} was not noticed within the batch");
    let fault = failed(&evaluation.verdicts[1]);
    assert_eq!(fault.code(), code, "{name}: {fault}");
    for word in words {
        assert!(
            fault.to_string().contains(word),
            "{name}: {fault:?} does not say {word}"
        );
    }
    println!("    {fault}");
    for at in [0, 2, 3] {
        assert!(
            matches!(evaluation.verdicts[at], Verdict::Priced(_)),
            "{name}: {:?}",
            evaluation.verdicts[at]
        );
    }
    assert_eq!(
        runtime.evaluate(&batch),
        evaluation,
        "{name} is not deterministic"
    );
    assert_eq!(runtime.health(&revision).faults, 2);
    assert!(!revision.is_quarantined());
}

#[test]
fn time_memory_and_stack() {
    attack("loop", "out_of_fuel", &["fuel_per_call", "12000000"]);
    attack("memory", "out_of_memory", &["memory_bytes_max", "262144"]);
    attack("grow", "out_of_memory", &["memory_bytes_max"]);
    attack("trap", "trapped", &["unreachable"]);
}

#[test]
fn deep_recursion() {
    // The plan's own stack of 16 KiB ends in its memory, before the host's limit does: an access out of bounds.
    attack("recursion", "trapped", &["out of bounds"]);
    // Recursion that uses no memory meets the host's limit.
    let fields = "(func $deep (param i64) (result i64)
        (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) (local.get 0)))";
    let evaluate = "(drop (call $deep (i64.const 1)))";
    raw(
        &Raw {
            fields: fields.into(),
            evaluate,
            ..Raw::default()
        },
        "stack_overflow",
        &["stack_bytes", "262144"],
    );
}

#[test]
fn too_much_of_everything() {
    attack("charges", "too_large", &["charges_per_trigger_max is 64", "1000"]);
    attack("grants", "too_large", &["grants_per_trigger_max is 16"]);
    attack("message", "too_large", &["message_bytes_max is 1024", "102400"]);
    attack("state", "too_large", &["state_bytes_max is 16384", "17408"]);
}

#[test]
fn answers_that_break_rules() {
    attack("span", "bad_answer", &["`span-in-bytes`", "9999"]);
    attack("span-back", "bad_answer", &["`span-in-bytes`"]);
    attack("end-beyond", "bad_answer", &["`charges-end`"]);
    attack("code", "bad_answer", &["`index-in-range`", "code 1"]);
    attack("asset", "bad_answer", &["`index-in-range`", "asset 2"]);
    attack("negative", "bad_answer", &["`give-back-of-negative-charge`"]);
    attack(
        "take-back-positive",
        "bad_answer",
        &["`give-back-of-negative-charge`"],
    );
    attack(
        "take-back-nameless",
        "bad_answer",
        &["`event-ref`", "must not be empty"],
    );
    attack("otherwise-first", "bad_answer", &["`otherwise-follows-charge`"]);
    attack("otherwise-zero", "bad_answer", &["`otherwise-positive`"]);
    attack("each-zero", "bad_answer", &["`each-positive`"]);
    attack("each-nameless", "bad_answer", &["`each-attribute`"]);
    attack("otherwise-many", "too_large", &["otherwise_links_max is 3"]);
    attack("forget-subject", "bad_answer", &["`subject-of-trigger`"]);
}

#[test]
fn charges_that_belong_to_nobody() {
    // Before another trigger they would be that one's charges, which is what sampling finds out.
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "each");
    let evaluation = runtime.evaluate(&batch(&revision, &[&["", "left-over"]]).unwrap());
    assert!(matches!(evaluation.verdicts[0], Verdict::Priced(_)));
    let fault = failed(&evaluation.verdicts[1]).to_string();
    assert!(
        fault.contains("`charges-end`") && fault.contains("the last ends at 0, and there are 1"),
        "{fault}"
    );
}

#[test]
fn charges_that_end_before_they_begin() {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "end-back");
    let evaluation = runtime.evaluate(&batch(&revision, &[&["", ""]]).unwrap());
    assert!(evaluation.alone);
    assert!(
        evaluation
            .verdicts
            .iter()
            .all(|v| matches!(v, Verdict::Priced(p) if p.charges.len() == 2))
    );
}

#[test]
fn rejections_are_no_faults() {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "each");
    let evaluation =
        runtime.evaluate(&batch(&revision, &[&["", "reject", "take-back", "otherwise"]]).unwrap());
    assert!(!evaluation.alone);
    let unknown = Rejection::Unpriceable {
        message: "no such model".into(),
    };
    assert_eq!(evaluation.verdicts[1], Verdict::Rejected(unknown));
    let Verdict::Priced(back) = &evaluation.verdicts[2] else {
        panic!("{:?}", evaluation.verdicts[2])
    };
    assert_eq!(
        back.charges[0].gives_back.as_ref().map(|event| event.id.as_str()),
        Some("e-1")
    );
    let Verdict::Priced(chain) = &evaluation.verdicts[3] else {
        panic!("{:?}", evaluation.verdicts[3])
    };
    assert_eq!(chain.charges.len(), 1);
    assert_eq!(chain.charges[0].otherwise[0].asset.as_str(), "usd");
}

/// A raw plan prices one event: it must fail with `code` and all of `words`.
fn raw(raw: &Raw, code: &str, words: &[&str]) {
    let runtime = runtime(|_| {}).unwrap();
    let plan = runtime.admit(&raw.component().unwrap()).unwrap();
    let revision = runtime.prepare(&plan, "{}").unwrap();
    let batch = batch(&revision, &[&[""]]).unwrap();
    let evaluation = beside(code, &runtime, || runtime.evaluate(&batch)).unwrap();
    let fault = failed(&evaluation.verdicts[0]);
    assert_eq!(fault.code(), code, "{fault}");
    for word in words {
        assert!(fault.to_string().contains(word), "{fault:?} does not say {word}");
    }
    println!("    {fault}");
}

/// `outcomes` with one list replaced.
fn list(which: usize, pointer: u32, length: u32) -> Raw {
    let mut raw = Raw::default();
    raw.outcomes[which] = (pointer, length);
    raw
}

#[test]
fn lists_that_are_not_there() {
    raw(
        &list(0, ITEMS, 100_000),
        "bad_answer",
        &["canonical-abi", "out of bounds"],
    );
    raw(&list(0, 0xffff_fff0, 4), "bad_answer", &["canonical-abi"]);
    raw(&list(1, ITEMS, 0xffff_ffff), "bad_answer", &["canonical-abi"]);
    raw(
        &list(1, ITEMS + 1, 1),
        "bad_answer",
        &["canonical-abi", "aligned"],
    );
    raw(&list(2, 262_143, 2), "bad_answer", &["canonical-abi"]);
    raw(
        &list(0, ITEMS, 2),
        "bad_answer",
        &["`one-result-per-trigger`", "2 results for 1"],
    );
    raw(&list(0, ITEMS, 0), "bad_answer", &["`one-result-per-trigger`"]);
}

#[test]
fn a_million_charges_and_a_hundred_megabytes() {
    // They do not fit the plan's memory, so a plan can only claim them, or point to the same bytes many times.
    raw(&list(1, ITEMS, 1_000_000), "bad_answer", &["canonical-abi"]);
    raw(&list(2, ITEMS, 100 << 20), "bad_answer", &["canonical-abi"]);
    let mut many = list(5, ITEMS, 100);
    // A timer: trigger, key (pointer, length), option of instant. Each key is most of the memory, full of zeros.
    let timer = [0_u32, 40_000, 200_000, 0, 0, 0, 0, 0]
        .map(u32::to_le_bytes)
        .concat();
    many.items = timer.repeat(100);
    many.outcomes[0] = (7_000, 1);
    raw(&many, "too_large", &["lifted_bytes_max", "1048576"]);
}

#[test]
fn values_that_do_not_exist() {
    let item = |bytes: &[u8]| {
        let mut items = bytes.to_vec();
        items.resize(64, 0);
        Raw {
            items,
            ..Raw::default()
        }
    };
    // The discriminant of a result, of an option, of a rejection.
    raw(&item(&[2]), "bad_answer", &["canonical-abi", "discriminant"]);
    raw(
        &item(&[0, 0, 0, 0, 0, 0, 0, 0, 9]),
        "bad_answer",
        &["canonical-abi", "discriminant"],
    );
    raw(
        &item(&[1, 0, 0, 0, 77]),
        "bad_answer",
        &["canonical-abi", "discriminant"],
    );
    // A message (rejection 1) that is not UTF-8: the two bytes at ITEMS + 32.
    let mut bytes = vec![1, 0, 0, 0, 1, 0, 0, 0];
    bytes.extend((ITEMS + 32).to_le_bytes());
    bytes.extend(2_u32.to_le_bytes());
    bytes.resize(32, 0);
    bytes.extend([0xc3, 0x28]);
    raw(&item(&bytes), "bad_answer", &["canonical-abi", "utf-8"]);
}

#[test]
fn an_allocator_that_lies() {
    raw(
        &Raw {
            realloc: lie("(i32.const -16)"),
            ..Raw::default()
        },
        "bad_answer",
        &["canonical-abi"],
    );
    raw(
        &Raw {
            realloc: lie("(i32.const 262140)"),
            ..Raw::default()
        },
        "bad_answer",
        &["canonical-abi"],
    );
    raw(
        &Raw {
            realloc: lie("(loop (br 0)) (unreachable)"),
            ..Raw::default()
        },
        "out_of_fuel",
        &["fuel_per_call"],
    );
    raw(
        &Raw {
            realloc: lie("(unreachable)"),
            ..Raw::default()
        },
        "trapped",
        &[],
    );
}

/// Honest for `prepare`, whose text needs no alignment, and a liar for the columns of a batch.
fn lie(answer: &'static str) -> &'static str {
    let body = format!(
        "(if (result i32) (i32.eq (local.get 2) (i32.const 8)) (then {answer}) (else (i32.const 8192)))"
    );
    Box::leak(body.into_boxed_str())
}

#[test]
fn the_wall_clock_is_no_price() {
    // Fuel without end, so that only the clock is left.
    let runtime = runtime(|limits| {
        limits.fuel_per_call = u64::MAX / 2;
        limits.fuel_per_batch = u64::MAX / 4;
        limits.epoch_deadline_ms = 50;
    })
    .unwrap();
    let revision = hostile(&runtime, "each");
    let batch = batch(&revision, &[&["", "loop", ""]]).unwrap();
    let evaluation = beside("clock", &runtime, || runtime.evaluate(&batch)).unwrap();
    let fault = failed(&evaluation.verdicts[1]);
    assert_eq!((fault.code(), fault.is_of_the_plan()), ("timed_out", false));
    assert!(fault.to_string().contains("epoch_deadline_ms"), "{fault}");
    // The rest is given up rather than waited for.
    assert_eq!(failed(&evaluation.verdicts[2]).code(), "given_up");
    assert!(
        !revision.is_quarantined(),
        "the machine's trouble is not the plan's"
    );
}

#[test]
fn a_storm_of_faults_is_given_up_and_quarantined() {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "loop");
    let attacks = vec![""; 200];
    let batch = batch(&revision, &[&attacks]).unwrap();
    let evaluation = beside("storm", &runtime, || runtime.evaluate(&batch)).unwrap();
    assert_eq!(failed(&evaluation.verdicts[15]).code(), "out_of_fuel");
    let given_up = failed(&evaluation.verdicts[16]);
    assert_eq!(given_up.code(), "given_up");
    assert!(given_up.to_string().contains("faults_per_batch_max"));
    assert!(!revision.is_quarantined(), "16 are tolerated");
    runtime.evaluate(&batch);
    assert!(revision.is_quarantined());
    assert!(
        revision
            .quarantine()
            .unwrap()
            .to_string()
            .contains("faults_tolerated = 16")
    );
}
