use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use farebox_engine::{ControlDone, ControlError};
use farebox_record::control::OpenHolds;
use farebox_record::ids::Hash;
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
    let refused = house.engine.rollback(&house.tenant, &plan(), None);
    assert!(matches!(refused, Err(ControlError::NothingToRollBack)));
    house.clock.advance(crate::house::seconds(1));
    house.activate(SECOND);
    house.clock.advance(crate::house::seconds(1));
    let back = house.engine.rollback(&house.tenant, &plan(), None).unwrap();
    assert_eq!(back.activation.revision.parameters, Hash::of(FIRST.as_bytes()));
    house.done("ada", usage("e", "one", 1_000_000)).await;
    assert_eq!(house.balance("ada").await.0, "9");
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
        .activate(&house.tenant, &plan(), component, &wrong, None, OpenHolds::Quoted)
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
