use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use farebox_engine::{Activated, ControlDone, ControlError, Engine, NewRevision};
use farebox_record::control::OpenHolds;
use farebox_record::ids::{CallId, Hash};
use farebox_record::outcome::Answer;
use farebox_store::MemoryStore;

use crate::house::{FIRST, House, SECOND, authorize, per_token, plan, settle, usage};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_prices_what_comes_and_the_one_that_quoted_settles() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    house.done("ada", authorize("old", 1_000_000, 0)).await;
    house.clock.advance(crate::house::seconds(1));
    house.activate(SECOND);
    house.done("ada", authorize("new", 1_000_000, 0)).await;
    assert_eq!(
        house.balance("ada").await,
        ("7".into(), "3".into()),
        "1 by the old list, 2 by the new one"
    );
    house.done("ada", settle("old", 1_000_000, 0)).await;
    house.done("ada", settle("new", 1_000_000, 0)).await;
    assert_eq!(house.balance("ada").await, ("7".into(), "0".into()));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_puts_the_earlier_revision_back() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    let refused = house.engine.rollback(&house.tenant, &plan(), None, None);
    assert!(matches!(refused, Err(ControlError::NothingToRollBack)));
    house.clock.advance(crate::house::seconds(1));
    house.activate(SECOND);
    house.clock.advance(crate::house::seconds(1));
    let back = house.engine.rollback(&house.tenant, &plan(), None, None).unwrap();
    assert_eq!(back.activation.revision.parameters, Hash::of(FIRST.as_bytes()));
    house.done("ada", usage("e", "one", 1_000_000)).await;
    assert_eq!(house.balance("ada").await.0, "9");
    house.engine.stop().unwrap();
}

/// A retry that arrives behind a newer revision, or a newer rollback, does not bring the older prices back.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_changes_once_under_a_key_however_late_the_retry() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::over(crate::restart::open(dir.path()));
    let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
    let component = Hash::of(per_token());
    let key = |text: &str| CallId::new(text).unwrap();
    let new = |parameters| NewRevision::at_once(component, parameters);
    let activate = |engine: &Engine, id, parameters| {
        engine
            .activate(&tenant, &plan(), &new(parameters), Some(&key(id)))
            .unwrap()
    };
    let in_force = |engine: &Engine| {
        let now = engine.now(&tenant);
        let controls = engine.controls();
        let timeline = &controls.tenant(&tenant).unwrap().plans[&plan()];
        (
            timeline.in_force(now).unwrap().revision.parameters,
            timeline.timeline.len(),
        )
    };
    let (first, second) = (Hash::of(FIRST.as_bytes()), Hash::of(SECOND.as_bytes()));
    // FIRST is in force: nothing changes, and that is remembered too.
    let unchanged = activate(&engine, "a", FIRST);
    assert_eq!(
        (unchanged.done.clone(), unchanged.replayed),
        (ControlDone::Unchanged, false)
    );
    let dearer = activate(&engine, "b", SECOND);
    assert_eq!(
        (dearer.done.clone(), dearer.replayed),
        (ControlDone::Changed, false)
    );
    assert_eq!(in_force(&engine), (second, 2));
    let replayed = |activated: Activated| Activated {
        replayed: true,
        ..activated
    };
    assert_eq!(activate(&engine, "a", FIRST), replayed(unchanged));
    assert_eq!(in_force(&engine), (second, 2));
    // Back, once; then on again, and the retries of both come late.
    let roll_back = |engine: &Engine, id, from| engine.rollback(&tenant, &plan(), from, Some(&key(id)));
    let back = roll_back(&engine, "b", None).unwrap(); // of another kind, so the key is free
    assert_eq!((back.done.clone(), back.replayed), (ControlDone::Changed, false));
    assert_eq!(in_force(&engine), (first, 3));
    assert_eq!(activate(&engine, "b", SECOND), replayed(dearer.clone()));
    assert_eq!(in_force(&engine), (first, 3));
    let from = Some(dearer.activation.revision);
    let nowhere = roll_back(&engine, "c", from).unwrap();
    assert_eq!(
        (nowhere.done.clone(), nowhere.activation.revision.parameters),
        (ControlDone::Unchanged, first)
    );
    activate(&engine, "d", SECOND);
    assert_eq!(roll_back(&engine, "b", None).unwrap(), replayed(back.clone()));
    assert_eq!(roll_back(&engine, "c", from).unwrap(), replayed(nowhere));
    assert_eq!(in_force(&engine), (second, 4));

    // Something else under a key that was used.
    let conflict = |new: NewRevision<'_>| match engine.activate(&tenant, &plan(), &new, Some(&key("b"))) {
        Err(ControlError::Conflict { field }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(conflict(new(FIRST)), "parameters");
    assert_eq!(
        conflict(NewRevision {
            component: first,
            ..new(SECOND)
        }),
        "component"
    );
    assert_eq!(
        conflict(NewRevision {
            open_holds: OpenHolds::New,
            ..new(SECOND)
        }),
        "open_holds"
    );
    let later = Some(engine.now(&tenant).saturating_add(crate::house::seconds(60)));
    assert_eq!(
        conflict(NewRevision {
            effective: later,
            ..new(SECOND)
        }),
        "effective_at"
    );
    let other = roll_back(&engine, "b", from);
    assert!(
        matches!(other, Err(ControlError::Conflict { field: "from" })),
        "{other:?}"
    );

    // And behind a restart.
    engine.stop().unwrap();
    drop((engine, house));
    let house = House::without_plan(crate::restart::open(dir.path()));
    assert_eq!(activate(&house.engine, "b", SECOND), replayed(dearer));
    assert_eq!(roll_back(&house.engine, "b", None).unwrap(), replayed(back));
    assert_eq!(in_force(&house.engine), (second, 4));
    house.engine.stop().unwrap();
}

/// Two requests of one key at once are one.
#[tokio::test(flavor = "multi_thread")]
async fn two_activations_under_one_key_at_once_are_one() {
    let house = House::over(Arc::new(MemoryStore::new()));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
            tokio::task::spawn_blocking(move || {
                let new = NewRevision::at_once(Hash::of(per_token()), SECOND);
                let id = CallId::new("one").unwrap();
                engine.activate(&tenant, &plan(), &new, Some(&id)).unwrap()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.activation == answers[0].activation)
    );
    let controls = house.engine.controls();
    assert_eq!(
        controls.tenant(&house.tenant).unwrap().plans[&plan()]
            .timeline
            .len(),
        2
    );
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_changes_nothing() {
    let house = House::over(Arc::new(MemoryStore::new()));
    let version = house.engine.controls().version(&house.tenant);
    let pushed = house
        .engine
        .push_component(&house.tenant, &plan(), per_token())
        .unwrap();
    assert_eq!(pushed.done, ControlDone::Unchanged);
    assert_eq!(house.activate(FIRST).done, ControlDone::Unchanged);
    assert_eq!(house.engine.controls().version(&house.tenant), version);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_say_where() {
    let house = House::over(Arc::new(MemoryStore::new()));
    let wrong = FIRST.replace("\"10\"", "\"ten\"");
    let component = Hash::of(per_token());
    let refused = house
        .engine
        .activate(
            &house.tenant,
            &plan(),
            &NewRevision::at_once(component, &wrong),
            None,
        )
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("/providers/test/models/one/prices/output"),
        "{text}"
    );
    house.engine.stop().unwrap();
}

/// A stream of calls while the plan changes back and forth under it: nothing fails, and every settlement costs what its
/// own quote said.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_load_fails_nothing() {
    let house = Arc::new(House::over(Arc::new(MemoryStore::new())));
    house.customer("ada", "1000000").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut streams = tokio::task::JoinSet::new();
    for stream in 0..8 {
        let (house, stop) = (Arc::clone(&house), Arc::clone(&stop));
        streams.spawn(async move {
            let mut calls = 0;
            while !stop.load(Ordering::Relaxed) {
                let id = format!("s{stream}-{calls}");
                let quoted = house.done("ada", authorize(&id, 1_000_000, 0)).await;
                let Answer::Allowed(allowed) = quoted.answer else {
                    panic!("{quoted:?}")
                };
                let settled = house.done("ada", settle(&id, 1_000_000, 0)).await;
                let Answer::Settled(settled) = settled.answer else {
                    panic!("{settled:?}")
                };
                assert_eq!(settled.revision, allowed.revision);
                assert_eq!(settled.posted, allowed.held);
                calls += 1;
            }
            calls
        });
    }
    for n in 0..20 {
        let (house, prices) = (Arc::clone(&house), if n % 2 == 0 { SECOND } else { FIRST });
        house.clock.advance(crate::house::seconds(1));
        tokio::task::spawn_blocking(move || house.activate(prices))
            .await
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let calls: Vec<i32> = streams.join_all().await;
    assert!(calls.iter().all(|n| *n > 0), "{calls:?}");
    house.engine.stop().unwrap();
}
