use std::sync::Arc;

use farebox_engine::{Clock as _, LedgerFold};
use farebox_store::{JournalStore, Options};

use crate::house::{House, SECOND, authorize, seconds, settle, usage};

pub fn open(dir: &std::path::Path) -> Arc<JournalStore> {
    Arc::new(JournalStore::open(dir, Options::default(), Arc::new(LedgerFold)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::over(open(dir.path()));
    house.customer("ada", "10").await;
    let first = house.done("ada", authorize("open", 1_000_000, 0)).await;
    house.done("ada", authorize("gone", 1_000_000, 0)).await;
    house.done("ada", settle("gone", 500_000, 0)).await;
    house.done("ada", usage("e", "one", 250_000)).await;
    house.engine.stop().unwrap();
    drop(house); // and with it the folder's lock

    let again = House::without_plan(open(dir.path()));
    again.clock.advance(seconds(30));
    assert_eq!(again.balance("ada").await, ("8.25".into(), "1".into()));
    let replay = again.done("ada", authorize("open", 1_000_000, 0)).await;
    assert!(replay.replayed);
    assert_eq!(replay.answer, first.answer);
    again.done("ada", settle("open", 1_000_000, 0)).await;
    assert_eq!(again.balance("ada").await, ("8.25".into(), "0".into()));
    again.engine.stop().unwrap();
}

/// The machine comes back with a clock that was set back by a day.
#[tokio::test(flavor = "multi_thread")]
async fn time_does_not_step_back_with_the_clock_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::over(open(dir.path()));
    house.customer("ada", "10").await;
    house.clock.advance_to("2026-01-02T00:00:00Z".parse().unwrap());
    let held = house.done("ada", authorize("open", 1_000_000, 0)).await;
    house.clock.advance_to("2026-01-02T00:00:30Z".parse().unwrap());
    let activated = house.activate(SECOND);
    assert_eq!(activated.activation.activated, house.clock.now(&house.tenant));
    house.engine.stop().unwrap();
    drop(house);

    let again = House::without_plan(open(dir.path()));
    assert_eq!(again.clock.now(&again.tenant).to_string(), "2026-01-01T00:00:00Z");
    // What was activated is in force, for wallets that are new too.
    again.customer("bob", "10").await;
    let priced = again.done("bob", usage("e", "two", 1_000_000)).await;
    assert_eq!(priced.at.to_string(), "2026-01-02T00:00:30Z");
    assert_eq!(again.balance("bob").await.0, "6");
    // Nothing of a wallet is before what it has already, and a hold is open for no longer than it was said to be.
    let charged = again.done("ada", usage("e", "one", 1_000_000)).await;
    assert!(charged.at >= held.at, "{charged:?}");
    assert_eq!(again.balance("ada").await, ("7".into(), "1".into()));
    again.clock.advance_to("2026-01-02T00:01:00Z".parse().unwrap());
    assert_eq!(again.balance("ada").await, ("8".into(), "0".into()));
    again.engine.stop().unwrap();
}
