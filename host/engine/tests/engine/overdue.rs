use std::sync::Arc;

use farebox_engine::LedgerFold;
use farebox_record::command::Command;
use farebox_record::state::Cadence;
use farebox_record::time::Span;
use farebox_store::{JournalStore, Options};

use crate::house::{House, put, subscribe};

/// More renewals fell due than fit into one frame of the journal (16 MiB): they are handled in parts, not refused for ever.
#[tokio::test(flavor = "multi_thread")]
async fn more_may_be_overdue_than_one_frame_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap();
    let house = House::over(Arc::new(store));
    house.done("ada", put()).await;
    let Command::Subscribe(mut daily) = subscribe() else {
        panic!("another command");
    };
    daily.cadence = Cadence::Daily;
    house.done("ada", Command::Subscribe(daily)).await;
    house.clock.advance(Span::days(60_000));
    let wallet = house.wallet("ada").await;
    // 2 records before; then each of 60,000 days ends once.
    assert_eq!(wallet.header().sequence, 60_002);
    house.engine.stop().unwrap();
}
