//! Whether one event's price can depend on another's, other than through state.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::sync::Arc;

use farebox_hostile::beside::beside;
use farebox_hostile::{batch, context, guest, runtime};
use farebox_record::ids::EventType;
use farebox_runtime::{Batch, Evaluation, Quarantine, Revision, Runtime, Subject, Trigger, Verdict};

fn hostile(runtime: &Runtime, parameters: &str) -> Arc<Revision> {
    let plan = runtime.admit(&guest::hostile("").unwrap()).unwrap();
    runtime.prepare(&plan, parameters).unwrap()
}

fn amounts(evaluation: &Evaluation) -> Vec<i128> {
    let amount = |verdict: &Verdict| match verdict {
        Verdict::Priced(priced) => priced.charges[0].price.amount.get(),
        other => panic!("expected a price, found {other:?}"),
    };
    evaluation.verdicts.iter().map(amount).collect()
}

#[test]
fn nothing_is_kept_from_batch_to_batch() {
    let runtime = runtime(|limits| limits.sample_every_triggers = 0).unwrap();
    let revision = hostile(&runtime, "count");
    let single = batch(&revision, &[&[""]]).unwrap();
    for _ in 0..20 {
        assert_eq!(amounts(&runtime.evaluate(&single)), [10]);
    }
    // Within one batch it would be: this is what sampling is for.
    let shared = batch(&revision, &[&["", "", ""]]).unwrap();
    assert_eq!(amounts(&runtime.evaluate(&shared)), [10, 12, 14]);
}

/// The same component with a section more: to the runtime a plan of its own, which has everything at the same addresses.
fn another(component: &[u8], number: u8) -> Vec<u8> {
    let custom = [0, 2, 1, number]; // a custom section of two bytes: its name, of one
    [component, &custom].concat()
}

#[test]
fn plans_that_share_slots_see_nothing_of_each_other() {
    // More plans than slots: each call takes a slot that another plan left, or one of its own.
    let runtime = runtime(|limits| {
        limits.sample_every_triggers = 0;
        limits.instances_max = 3;
    })
    .unwrap();
    let component = guest::hostile("").unwrap();
    let revisions: Vec<Arc<Revision>> = (b'a'..=b'e')
        .map(|number| {
            let plan = runtime.admit(&another(&component, number)).unwrap();
            runtime.prepare(&plan, "count").unwrap()
        })
        .collect();
    // In turn, then each three times in a row.
    let turns = (0..25)
        .map(|turn| turn % 5)
        .chain((0..45).map(|turn| turn / 3 % 5));
    for turn in turns {
        let one = batch(&revisions[turn], &[&["", "", ""]]).unwrap();
        assert_eq!(amounts(&runtime.evaluate(&one)), [10, 12, 14], "plan {turn}");
    }
}

/// A revision that leaks must be found out within `batches`, and be answered one at a time from then on.
fn find_out(parameters: &str, batches: usize, honest: &[i128]) {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, parameters);
    let shared = batch(&revision, &[&["", "", ""], &["", ""]]).unwrap();
    let needed = beside(parameters, &runtime, || {
        (1..=batches).find(|_| {
            runtime.evaluate(&shared);
            revision.is_quarantined()
        })
    })
    .unwrap();
    println!(
        "    found out after {} events",
        needed.expect("it was not found out") * shared.len()
    );
    assert!(matches!(revision.quarantine(), Some(Quarantine::Differs { .. })));
    println!("    {}", revision.quarantine().unwrap());
    let evaluation = runtime.evaluate(&shared);
    assert!(evaluation.alone);
    assert_eq!(amounts(&evaluation), honest);
}

#[test]
fn state_kept_within_a_batch_is_found_out() {
    find_out("count", 200, &[10, 11, 12, 10, 11]);
}

#[test]
fn pricing_one_customer_from_anothers_events_is_found_out() {
    find_out("peek", 200, &[10, 11, 12, 10, 11]);
}

#[test]
fn an_honest_plan_with_state_is_never_suspected() {
    let runtime = runtime(|limits| limits.sample_every_triggers = 1).unwrap();
    let revision = hostile(&runtime, "total");
    let shared = batch(&revision, &[&["", "", ""], &["", ""]]).unwrap();
    for _ in 0..200 {
        let evaluation = runtime.evaluate(&shared);
        assert_eq!(amounts(&evaluation), [10, 21, 33, 10, 21]);
    }
    let health = runtime.health(&revision);
    assert_eq!((health.samples, health.alone, health.faults), (200, 0, 0));
    assert_eq!(health.answered, 1_000);
    assert!(!revision.is_quarantined());
}

#[test]
fn a_batch_that_needs_too_much_fuel_means_the_same_one_at_a_time() {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "each");
    let mut attacks = vec!["heavy"; 40];
    attacks.push("");
    let evaluation = runtime.evaluate(&batch(&revision, &[&attacks]).unwrap());
    assert!(evaluation.alone);
    assert_eq!(amounts(&evaluation)[..3], [1, 1, 1]);
    assert!(!revision.is_quarantined());
    assert_eq!(runtime.health(&revision).faults, 0);
}

/// Events of two conversations, in turn; the state of the first is `state`.
fn conversations(revision: &Arc<Revision>, extra: &str, state: &[u8]) -> Batch {
    let event_type = EventType::new("llm.call").unwrap();
    let mut batch = Batch::new(revision);
    let at = batch.context(&context(b""));
    let subjects = [
        batch.subject(&Subject { name: "c-1", state }),
        batch.subject(&Subject {
            name: "conversation-2",
            state: b"",
        }),
    ];
    for i in 0..4 {
        let attack = if i == 3 { extra } else { "subject" };
        let attributes = [
            ("attack".to_string(), attack.to_string()),
            ("model".into(), "m".into()),
        ]
        .into();
        let measures = [("input_tokens".to_string(), farebox_money::Nanos::new(1))].into();
        batch.push(&Trigger {
            purpose: farebox_runtime::Purpose::Usage,
            event_type: &event_type,
            context: at,
            subject: Some(subjects[i % 2]),
            time: farebox_record::time::Timestamp::EPOCH,
            cost: None,
            measures: &measures,
            attributes: &attributes,
            source: "api",
            id: "e",
        });
    }
    batch
}

#[test]
fn subjects_keep_their_names_and_states_alone_and_together() {
    let runtime = runtime(|_| {}).unwrap();
    let revision = hostile(&runtime, "each");
    let seven = 7_i64.to_le_bytes();
    let together = runtime.evaluate(&conversations(&revision, "subject", &seven));
    assert!(!together.alone);
    // The length of the name, and a thousand for each event so far.
    assert_eq!(amounts(&together), [8_003, 1_014, 9_003, 2_014]);
    let alone = runtime.evaluate(&conversations(&revision, "trap", &seven));
    assert!(alone.alone);
    assert_eq!(alone.verdicts[..3], together.verdicts[..3]);
}
