use std::sync::Arc;

use farebox_engine::LedgerFold;
use farebox_store::{JournalStore, Options};

use crate::house::{House, authorize, seconds, settle, usage};

fn open(dir: &std::path::Path) -> Arc<JournalStore> {
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
