use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use farebox_engine::{Ask, Engine, LedgerFold, Rejected, Reply, Request};
use farebox_record::ids::{CallId, CustomerId};
use farebox_store::disk::{Disk, DiskFile, OsDisk};
use farebox_store::{JournalStore, Options};

use crate::house::{House, authorize, usage};

/// The real disk, which says that as much is free as the test wants.
#[derive(Debug, Clone)]
struct TightDisk(Arc<AtomicU64>);

impl Disk for TightDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        OsDisk.list(folder)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        OsDisk.sync_folder(folder)
    }
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

/// Waits until the engine has noticed; how long that takes is the store's affair.
async fn until(engine: &Engine, full: bool) {
    for _ in 0..600 {
        if engine.check_room().is_err() == full {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the engine never noticed");
}

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_refuses_by_name_and_recovers_by_itself() {
    let (dir, free) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(1 << 40)));
    let options = Options {
        segment_bytes: MIB,
        disk_free_bytes_min: 100 * MIB,
        ..Options::default()
    };
    let disk = Arc::new(TightDisk(free.clone()));
    let store = JournalStore::open_on(disk, dir.path(), options, Arc::new(LedgerFold)).unwrap();
    let house = House::over(Arc::new(store));
    house.customer("ada", "10").await;
    house.done("ada", usage("before", "one", 1_000_000)).await;

    free.store(100 * MIB - 1, Ordering::SeqCst);
    until(&house.engine, true).await;
    let request = |ask| Request {
        customer: CustomerId::new("ada").unwrap(),
        ask,
    };
    let refused = house
        .engine
        .call_one(
            &house.tenant,
            request(Ask::Command(Box::new(authorize("a", 1_000, 0)))),
        )
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        Rejected::DiskNearlyFull {
            free_bytes: 100 * MIB - 1,
            free_bytes_min: 100 * MIB
        }
    );
    // What was answered before the disk was full is told again, and that another event has its id.
    let again = house.done("ada", usage("before", "one", 1_000_000)).await;
    assert!(again.replayed);
    let other = house.reply("ada", usage("before", "one", 2_000_000)).await;
    assert!(
        matches!(&other, Reply::Conflict { field, .. } if field == "measures.input_tokens"),
        "{other:?}"
    );
    // One command is enough to refuse a call, whole; reads go on; so does what falls due when it is asked for.
    let mixed = vec![
        request(Ask::Read),
        request(Ask::Command(Box::new(usage("mixed", "one", 1_000_000)))),
    ];
    house.engine.call(&house.tenant, mixed).await.unwrap_err();
    assert_eq!(house.balance("ada").await.0, "9");
    let refused = house
        .engine
        .revoke_key(&house.tenant, CallId::new("k").unwrap())
        .unwrap_err();
    assert_eq!(refused.code(), "disk_nearly_full");

    // Just enough would come and go with every file: it takes more than that.
    free.store(101 * MIB, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(house.engine.check_room().is_err());
    free.store(116 * MIB, Ordering::SeqCst);
    until(&house.engine, false).await;
    house.done("ada", usage("after", "one", 1_000_000)).await;
    assert_eq!(
        house.balance("ada").await.0,
        "8",
        "nothing of what was refused was done"
    );
    assert!(house.engine.is_running());
    house.engine.stop().unwrap();
}
