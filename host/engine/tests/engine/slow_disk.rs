//! A disk that takes its time holds up the answers that wait for it, and nothing else; what waited shares a sync.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use farebox_engine::{Ask, LedgerFold, Request};
use farebox_record::ids::CustomerId;
use farebox_store::disk::{Disk, DiskFile, OsDisk};
use farebox_store::{JournalStore, Options};
use tokio::task::JoinSet;

use crate::house::{House, authorize};

/// Lets no sync through while it is closed.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
    /// Syncs that wait, or waited.
    begun: AtomicU64,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let closed = self.closed.lock().unwrap();
        drop(self.changed.wait_while(closed, |closed| *closed).unwrap());
    }
}

/// The real disk behind a gate.
#[derive(Debug, Clone)]
struct SlowDisk(Arc<Gate>);

#[derive(Debug)]
struct SlowFile(Arc<dyn DiskFile>, Arc<Gate>);

impl Disk for SlowDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SlowFile(OsDisk.create(path)?, self.0.clone())))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SlowFile(OsDisk.open(path)?, self.0.clone())))
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
}

impl DiskFile for SlowFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_up_what_waits_for_it_and_nothing_else() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let disk = Arc::new(SlowDisk(gate.clone()));
    let store = JournalStore::open_on(disk, dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap();
    let house = House::over(Arc::new(store));
    for customer in ["ada", "ben", "cleo"] {
        house.customer(customer, "10").await;
    }
    gate.set(true);
    let before = gate.begun.load(Ordering::SeqCst);
    let mut calls = JoinSet::new();
    for n in 0..CALLS {
        let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
        let request = Request {
            customer: CustomerId::new(["ada", "ben"][n % 2]).unwrap(),
            ask: Ask::Command(Box::new(authorize(&format!("a{n}"), 1_000, 0))),
        };
        calls.spawn(async move { engine.call_one(&tenant, request).await });
    }
    while gate.begun.load(Ordering::SeqCst) == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // A wallet of which nothing is on its way is read and answered. Its answer shows nothing that is not durable.
    assert_eq!(house.balance("cleo").await.0, "10");
    assert!(
        calls.try_join_next().is_none(),
        "nothing is answered before it is durable"
    );
    gate.set(false);
    while let Some(answered) = calls.join_next().await {
        answered.unwrap().unwrap();
    }
    // 100 holds of 1,000 tokens, at a dollar for a million.
    for customer in ["ada", "ben"] {
        assert_eq!(
            house.balance(customer).await,
            ("9.9".to_string(), "0.1".to_string()),
            "{customer}"
        );
    }
    let syncs = gate.begun.load(Ordering::SeqCst) - before;
    assert!(syncs <= 20, "{syncs} syncs for {CALLS} calls that came at once");
    house.engine.stop().unwrap();
}
