//! A revision that keeps its states in another version: it takes them over, or it is not activated.
//!
//! Both plans take the first hundred steps from a pool, a credit each, and ten steps more for each call of a task from the
//! third on. Beyond the pool a step costs half a dollar in version 0, and a dollar in version 1.

use std::sync::{Arc, OnceLock};

use farebox_engine::{Activated, ControlError, NewRevision};
use farebox_record::command::{Command, Finality};
use farebox_record::correction::Amend;
use farebox_record::ids::{CallId, CustomerId, Hash};
use farebox_record::outcome::{Answer, Effect};
use farebox_record::record::Record;
use farebox_record::state::{Part, SubjectState};
use farebox_record::time::Span;
use farebox_store::{Commit, MemoryStore, NewRecord, Store, WalletKey};

use crate::house::{House, amounts, eventually};
use crate::refold::void;
use crate::tasks::{again, authorize, balance, built, call, customer, house, plan, settle, subscription};

fn later() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| built("later-tasks"))
}

fn activate_later(house: &House) -> Result<Activated, ControlError> {
    activate_component(house, later())
}

fn activate_component(house: &House, component: &[u8]) -> Result<Activated, ControlError> {
    let engine = &house.engine;
    engine.push_component(&house.tenant, &plan(), component).unwrap();
    let new = NewRevision::at_once(Hash::of(component), "{}");
    engine.activate(&house.tenant, &plan(), &new, None)
}

fn used(id: &str, task: Option<&str>, steps: i64) -> Command {
    Command::Usage(call(id, task, steps))
}

/// What is left of 1,000 credits and 1,000 dollars, held value not counted.
async fn left(house: &House, name: &str) -> (String, String) {
    let [credits, ..] = balance(house, name, "credits").await;
    let [usd, ..] = balance(house, name, "usd").await;
    (credits, usd)
}

fn both(credits: &str, usd: &str) -> (String, String) {
    (credits.into(), usd.into())
}

/// The version in which the states are kept: of the subscription, and of a task.
async fn versions(house: &House, store: &dyn Store, name: &str, task: &str) -> (u32, Option<u32>) {
    let wallet = house.wallet(name).await;
    let part = Part::Subject(subscription(), task.into()).key();
    let kept = store.part(&WalletKey::new("default", name), &part).unwrap();
    let kept: Option<SubjectState> = kept.map(|kept| farebox_record::codec::decode(&kept).unwrap());
    let state = wallet.subscription(&subscription()).unwrap();
    (
        state.state_version,
        kept.and_then(|kept| kept.version_of(&plan())),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_taken_over_where_they_are_read() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    for name in ["ada", "ben"] {
        customer(&house, name, "1000", "1000").await;
        house.done(name, used("a", Some("t"), 30)).await;
        house.done(name, used("b", Some("t"), 30)).await;
    }
    house.done("ada", authorize("held", None, 10)).await;
    assert_eq!(versions(&house, &*store, "ada", "t").await, (0, Some(0)));
    house.clock.advance(Span::seconds(60));
    activate_later(&house).unwrap();
    // Nothing is written for who does nothing.
    assert_eq!(versions(&house, &*store, "ben", "t").await, (0, Some(0)));

    // The third call of the task takes 40 steps, and with them the pool is empty: both were taken over.
    house.done("ada", used("c", Some("t"), 30)).await;
    // The hold of the revision before keeps 10 of what was left then.
    assert_eq!(left(&house, "ada").await, both("890", "1000"));
    assert_eq!(versions(&house, &*store, "ada", "t").await, (1, Some(1)));
    house.done("ada", used("d", None, 2)).await;
    assert_eq!(left(&house, "ada").await, both("890", "998"));

    // What the revision before quoted, or would price, meets a state that it cannot read: the present one prices it.
    house.done("ada", settle("held", 1, 3, Finality::Final)).await;
    assert_eq!(left(&house, "ada").await, both("900", "995"));
    let mut late = call("late", None, 4);
    late.time = Some("2026-01-01T00:00:30Z".parse().unwrap());
    house.done("ada", Command::Usage(late)).await;
    assert_eq!(left(&house, "ada").await, both("900", "991"));
    // A task that only the newer one knows, about a time before it.
    let mut late = call("late-2", Some("t"), 1);
    late.time = Some("2026-01-01T00:00:30Z".parse().unwrap());
    house.done("ada", Command::Usage(late)).await;
    assert_eq!(left(&house, "ada").await, both("900", "980")); // its fourth call: 11 steps

    // An event from before is amended: 30 credits come back, and its fifth call now is 20 steps beyond the pool.
    let amend = Command::Amend(Amend {
        event: call("a", Some("t"), 10),
        id: CallId::new("amend").unwrap(),
    });
    house.done("ada", amend).await;
    assert_eq!(left(&house, "ada").await, both("930", "960"));

    // A quote behind an open hold, from states that nobody has read yet.
    house.done("ben", authorize("x", Some("t"), 20)).await; // 30 steps
    house.done("ben", authorize("y", Some("t"), 20)).await; // 30 more, 20 of them beyond the pool
    assert_eq!(balance(&house, "ben", "usd").await, ["980", "20", "0"]);
    for name in ["ada", "ben"] {
        again(&house, &*store, name);
    }
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_with_both_versions_is_folded_again() {
    let house = House::without_plan(Arc::new(MemoryStore::new()));
    activate_component(&house, &built("plain-tasks")).unwrap();
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", None, 60)).await;
    house.done("ada", used("b", None, 30)).await;
    house.clock.advance(Span::seconds(60));
    activate_component(&house, &built("plain-later-tasks")).unwrap();
    house.done("ada", used("c", None, 30)).await; // 10 from the pool, 20 beyond
    assert_eq!(left(&house, "ada").await, both("900", "980"));
    // Without the first there are 60 steps: nothing is beyond the pool any more.
    house.done("ada", void("a")).await;
    assert_eq!(left(&house, "ada").await, both("940", "1000"));
    // And the next ones know it.
    house.done("ada", used("d", None, 50)).await;
    assert_eq!(left(&house, "ada").await, both("900", "990"));
    // One of the time before them is priced by who could read the state, and so is what takes its place.
    let mut late = call("late", None, 4);
    late.time = Some("2026-01-01T00:00:30Z".parse().unwrap());
    house.done("ada", Command::Usage(late.clone())).await;
    assert_eq!(left(&house, "ada").await, both("900", "986"));
    late.measures = amounts(&[("steps", 10)]);
    let amend = Command::Amend(Amend {
        event: late,
        id: CallId::new("amend").unwrap(),
    });
    house.done("ada", amend).await;
    assert_eq!(left(&house, "ada").await, both("900", "980"));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_revision_takes_nothing_over_before_its_time() {
    let house = house(Arc::new(MemoryStore::new()));
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", None, 100)).await;
    let engine = &house.engine;
    engine.push_component(&house.tenant, &plan(), later()).unwrap();
    let new = NewRevision {
        effective: Some("2026-01-01T00:02:00Z".parse().unwrap()),
        ..NewRevision::at_once(Hash::of(later()), "{}")
    };
    engine.activate(&house.tenant, &plan(), &new, None).unwrap();
    house.done("ada", used("b", None, 2)).await;
    assert_eq!(left(&house, "ada").await, both("900", "999"));
    // A caller's clock that is fast by three minutes: the present one prices it, for half a dollar a step.
    let mut ahead = call("ahead", None, 2);
    ahead.time = Some("2026-01-01T00:03:00Z".parse().unwrap());
    house.done("ada", Command::Usage(ahead)).await;
    assert_eq!(left(&house, "ada").await, both("900", "998"));
    house.done("ada", used("c", None, 2)).await;
    assert_eq!(left(&house, "ada").await, both("900", "997"));
    house.clock.advance(Span::seconds(120));
    house.done("ada", used("d", None, 2)).await;
    assert_eq!(left(&house, "ada").await, both("900", "995"));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_only_go_up_with_time() {
    let house = house(Arc::new(MemoryStore::new()));
    let engine = &house.engine;
    engine.push_component(&house.tenant, &plan(), later()).unwrap();
    let from = |component: &[u8], spaces: usize, day: u32| {
        let parameters = format!("{{{}}}", " ".repeat(spaces));
        let effective = format!("2026-01-{day:02}T00:00:00Z").parse().unwrap();
        let new = NewRevision {
            effective: Some(effective),
            ..NewRevision::at_once(Hash::of(component), &parameters)
        };
        engine.activate(&house.tenant, &plan(), &new, None)
    };
    from(later(), 0, 8).unwrap();
    let refused = from(crate::tasks::component(), 1, 15);
    assert!(
        matches!(refused, Err(ControlError::VersionOrder { new: 0, other: 1, .. })),
        "{refused:?}"
    );
    // Before it, and behind it in its version, there is room.
    from(crate::tasks::component(), 1, 5).unwrap();
    from(later(), 2, 15).unwrap();
    // Until then the one in force writes, though nobody used it yet.
    house.clock.advance(Span::days(8));
    let refused = from(crate::tasks::component(), 3, 14);
    assert!(
        matches!(refused, Err(ControlError::VersionOrder { new: 0, other: 1, .. })),
        "{refused:?}"
    );
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_event_of_a_closed_period_keeps_the_revision_and_the_state_of_its_time() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", None, 98)).await;
    house.clock.advance(Span::days(32)); // 2 February
    activate_later(&house).unwrap();
    let mut late = call("late", None, 4);
    late.time = Some("2026-01-20T00:00:00Z".parse().unwrap());
    house.done("ada", Command::Usage(late.clone())).await;
    assert_eq!(left(&house, "ada").await, both("900", "999")); // 2 beyond, for half a dollar each
    house.done("ada", used("b", None, 1)).await;
    again(&house, &*store, "ada");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_taken_over_blocks_the_activation_and_is_named() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    let refused = |house: &House| match activate_later(house) {
        Err(ControlError::StateVersion(of)) => {
            format!("{}/{}: {}: {}", of.customer, of.subscription, of.of, of.why)
        }
        other => panic!("{other:?}"),
    };
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", None, 30)).await;
    customer(&house, "ben", "5000", "5000").await;
    house.done("ben", used("many", None, 1_001)).await;
    let of =
        "the state is kept in version 0, and the plan, which keeps it in version 1, does not take it over";
    assert_eq!(
        refused(&house),
        format!("ben/s: the subscription: {of}: 1001 steps are more than are taken over")
    );
    // Nothing of it is in force.
    house.done("ada", used("b", None, 72)).await;
    assert_eq!(left(&house, "ada").await, both("900", "999"));
    house.engine.stop().unwrap();
}

/// A late event would be priced from it, or from what its period began with.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_that_of_a_closed_period() {
    let house = house(Arc::new(MemoryStore::new()));
    let monthly = NewRevision::at_once(Hash::of(crate::tasks::component()), r#"{"monthly":true}"#);
    house
        .engine
        .activate(&house.tenant, &plan(), &monthly, None)
        .unwrap();
    customer(&house, "ada", "5000", "5000").await;
    house.done("ada", used("many", None, 1_001)).await;
    house.clock.advance(Span::days(31));
    house.done("ada", used("little", None, 1)).await;
    let Err(ControlError::StateVersion(of)) = activate_later(&house) else {
        panic!("a period of 1,001 steps is taken over")
    };
    assert_eq!(of.of, "its term of 2026-01-01T00:00:00Z");
    let why = "1001 steps are more than are taken over";
    assert!(of.why.ends_with(why), "{}", of.why);
    house.engine.stop().unwrap();
}

/// The one before could not read what it has written: it serves alone, however often it fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_revision_of_another_version_stands_in_for_one_in_quarantine() {
    let house = house(Arc::new(MemoryStore::new()));
    for name in ["ada", "ben"] {
        customer(&house, name, "1000", "1000").await;
        house.done(name, used("a", None, 100)).await;
    }
    house.clock.advance(Span::seconds(1));
    let later = activate_later(&house).unwrap().activation.revision;
    house.done("ben", used("b", None, 1)).await;
    // 16 faults are tolerated.
    for n in 0..17 {
        let done = house.done("ben", used(&format!("x{n}"), None, 1_000_001)).await;
        assert!(matches!(done.answer, Answer::Unpriced(_)), "{done:?}");
    }
    eventually(|| {
        let tenant = house.engine.controls().tenant(&house.tenant).unwrap().clone();
        tenant.quarantines.contains_key(&(plan(), later))
    })
    .await;
    // A dollar for the step, and not the half of one, where it has written as where it has not yet.
    for (name, usd) in [("ada", "999"), ("ben", "998")] {
        house.done(name, used("good", None, 1)).await;
        assert_eq!(left(&house, name).await, both("900", usd));
    }
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_that_of_a_task() {
    let house = house(Arc::new(MemoryStore::new()));
    customer(&house, "ada", "1000", "1000").await;
    for n in 0..10 {
        house.done("ada", used(&format!("a{n}"), Some("t"), 1)).await;
    }
    let Err(ControlError::StateVersion(of)) = activate_later(&house) else {
        panic!("a task of ten calls is taken over")
    };
    assert_eq!(of.of, "its subject t");
    assert!(
        of.why.ends_with("10 calls are more than are taken over"),
        "{}",
        of.why
    );
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn back_it_goes_as_long_as_no_state_was_taken_over() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    let rollback = |house: &House| house.engine.rollback(&house.tenant, &plan(), None, None);
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", None, 100)).await;
    activate_later(&house).unwrap();
    rollback(&house).unwrap();
    house.done("ada", used("b", None, 2)).await;
    assert_eq!(left(&house, "ada").await, both("900", "999"));
    house.clock.advance(Span::seconds(1));
    activate_later(&house).unwrap();
    // What it quoted is settled, and what comes late from its time is priced, by the one that is in force again.
    house.done("ada", authorize("held", None, 4)).await;
    house.clock.advance(Span::seconds(1));
    let mut late = call("late", None, 4);
    late.time = Some(house.engine.now(&house.tenant));
    house.clock.advance(Span::seconds(1));
    rollback(&house).unwrap();
    house.done("ada", settle("held", 1, 4, Finality::Final)).await;
    assert_eq!(left(&house, "ada").await, both("900", "997"));
    house.done("ada", Command::Usage(late)).await;
    assert_eq!(left(&house, "ada").await, both("900", "995"));
    assert_eq!(versions(&house, &*store, "ada", "t").await, (0, None));
    house.clock.advance(Span::seconds(1));
    activate_later(&house).unwrap();
    house.done("ada", used("c", None, 2)).await;
    assert_eq!(left(&house, "ada").await, both("900", "993"));
    assert!(matches!(rollback(&house), Err(ControlError::StateVersion(_))));
    // Nor is the earlier component with other parameters.
    let older = NewRevision::at_once(Hash::of(crate::tasks::component()), "{ }");
    let refused = house.engine.activate(&house.tenant, &plan(), &older, None);
    assert!(
        matches!(refused, Err(ControlError::StateVersion(_))),
        "{refused:?}"
    );
    house.engine.stop().unwrap();
}

/// What a release before format 5 kept of a subject says no version.
#[tokio::test(flavor = "multi_thread")]
async fn a_subject_without_a_version_is_named() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", Some("t"), 30)).await;
    let key = WalletKey::new("default", "ada");
    let part = Part::Subject(subscription(), "t".into()).key();
    let kept = store.part(&key, &part).unwrap().unwrap();
    let kept = SubjectState {
        kept_by: None,
        ..farebox_record::codec::decode(&kept).unwrap()
    };
    put_part(&house, &*store, &key, part, &kept).await;
    let Err(ControlError::StateVersion(of)) = activate_later(&house) else {
        panic!("it is read as what it is not")
    };
    assert!(
        of.of == "its subject t" && of.why.contains("noted no version"),
        "{of:?}"
    );
    house.engine.stop().unwrap();
}

/// Writes a part behind the engine's back, with a record that is there already as a pretext.
async fn put_part(house: &House, store: &dyn Store, key: &WalletKey, part: Vec<u8>, kept: &SubjectState) {
    let ada = CustomerId::new("ada").unwrap();
    let newest: Record = house
        .engine
        .history(&house.tenant, &ada, None, 1)
        .unwrap()
        .remove(0);
    assert!(
        newest
            .outcome
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::SubjectPut(..)))
    );
    let commit = Commit {
        wallet: key.clone(),
        expected: newest.sequence,
        control: None,
        records: vec![NewRecord {
            body: newest.encode(),
            at: newest.at.as_micros(),
            ids: Vec::new(),
            origin: Default::default(),
        }],
        parts: vec![(part, Some(farebox_record::codec::encode(kept)))],
        due: None,
    };
    store.commit(vec![commit]).unwrap();
}

/// An event that the later one priced, and left the state as it was, does not keep it from being rolled back; a correction of
/// what came before would leave a state that the one in force cannot read.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_does_not_bring_back_the_version_that_was_rolled_back() {
    let house = House::without_plan(Arc::new(MemoryStore::new()));
    activate_component(&house, &built("plain-tasks")).unwrap();
    customer(&house, "ada", "1000", "1000").await;
    house.done("ada", used("a", None, 60)).await;
    house.clock.advance(Span::seconds(1));
    activate_component(&house, &built("plain-later-tasks")).unwrap();
    house.done("ada", used("nothing", None, 0)).await;
    house.clock.advance(Span::seconds(1));
    house.engine.rollback(&house.tenant, &plan(), None, None).unwrap();
    let refused = house.reply("ada", void("a")).await;
    assert!(format!("{refused:?}").contains("reads version 0"), "{refused:?}");
    // And everything goes on as before.
    house.done("ada", used("b", None, 50)).await;
    assert_eq!(left(&house, "ada").await, both("900", "995"));
    house.engine.stop().unwrap();
}
