//! A failing disk: the first failure stops the store for ever, and nothing that was answered is lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farebox_store::conformance::{BodyFold, Draft};
use farebox_store::disk::{Disk, DiskFile, OsDisk};
use farebox_store::{Fate, JournalStore, Store, StoreError, WalletKey};
use scratch::{options, scratch_dir};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    WriteRefused,
    WriteShort,
    SyncRefused,
}

/// Counts writes and syncs, and fails one of them.
#[derive(Debug, Clone)]
struct FailingDisk(Arc<Plan>);

#[derive(Debug)]
struct Plan {
    fault: Fault,
    /// Which call fails, counted from 1; later ones succeed, as they do after a real disk's hiccup.
    at: AtomicUsize,
    calls: AtomicUsize,
}

#[derive(Debug)]
struct FailingFile(Arc<dyn DiskFile>, Arc<Plan>);

impl Plan {
    fn fails(&self, kind: &[Fault]) -> bool {
        kind.contains(&self.fault)
            && self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.at.load(Ordering::SeqCst)
    }
}

impl FailingDisk {
    fn new(fault: Fault) -> FailingDisk {
        FailingDisk(Arc::new(Plan {
            fault,
            at: AtomicUsize::new(usize::MAX),
            calls: AtomicUsize::new(0),
        }))
    }

    /// The next but `n` fails.
    fn arm(&self, n: usize) {
        self.0
            .at
            .store(self.0.calls.load(Ordering::SeqCst) + 1 + n, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FailingFile(file, self.0.clone()))
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(OsDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(OsDisk.open(path)?))
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

impl DiskFile for FailingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if !self.1.fails(&[Fault::WriteRefused, Fault::WriteShort]) {
            return self.0.write_at(bytes, offset);
        }
        match self.1.fault {
            Fault::WriteShort => self.0.write_at(&bytes[..bytes.len() / 2], offset),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        // The data may or may not have arrived; here it has not failed to.
        self.0.sync_data()?;
        if self.1.fails(&[Fault::SyncRefused]) {
            // Slow, as failing disks are: others are waiting for their turn meanwhile.
            std::thread::sleep(std::time::Duration::from_millis(50));
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

fn stopped<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Stopped { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_failure_stops_the_store_for_ever() {
    for fault in [Fault::WriteRefused, Fault::WriteShort, Fault::SyncRefused] {
        for n in 0..3 {
            let (dir, disk) = (scratch_dir(), FailingDisk::new(fault));
            let open = |disk: &FailingDisk| {
                JournalStore::open_on(Arc::new(disk.clone()), dir.path(), options(), Arc::new(BodyFold))
                    .unwrap()
            };
            let store = open(&disk);
            let wallet = WalletKey::new("acme", "w");
            // The segment ahead is made behind the first commits; wait for it, so that the fault meets a commit.
            store.commit(vec![Draft::new(&wallet, 0).commit()]).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(100));
            disk.arm(n);
            let mut answered = 1;
            let reason = loop {
                match store.commit(vec![Draft::new(&wallet, answered).commit()]) {
                    Ok(fates) => {
                        assert_eq!(fates, [Fate::Committed]);
                        answered += 1;
                    }
                    Err(error) => break stopped::<()>(Err(error)),
                }
            };
            assert_eq!(answered, 1 + n as u64, "{fault:?}");
            let calls = disk.calls();
            for _ in 0..3 {
                assert_eq!(
                    stopped(store.commit(vec![Draft::new(&wallet, answered).commit()])),
                    reason
                );
            }
            assert_eq!(
                stopped(store.load(&wallet)),
                reason,
                "nothing is shown after a failure either"
            );
            assert_eq!(stopped(store.close()), reason);
            drop(store);
            assert_eq!(disk.calls(), calls, "nothing is written or synced again");
            let store = open(&FailingDisk::new(fault));
            let version = store.load(&wallet).unwrap().version;
            assert!(
                (answered..=answered + 1).contains(&version),
                "{fault:?}: {version}, answered {answered}"
            );
            assert_eq!(store.history(&wallet, None, 100).unwrap().len() as u64, version);
            store.commit(vec![Draft::new(&wallet, version).commit()]).unwrap();
        }
    }
}

#[test]
fn a_segment_that_cannot_be_made_stops_the_store_when_it_is_needed() {
    let (dir, disk) = (scratch_dir(), FailingDisk::new(Fault::WriteRefused));
    let store =
        JournalStore::open_on(Arc::new(disk.clone()), dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let wallet = WalletKey::new("acme", "w");
    let reason = (0..).find_map(|version| {
        if version == 20 {
            // Far enough from the next segment; then the one after it fails.
            std::thread::sleep(std::time::Duration::from_millis(50));
            disk.arm(0);
        }
        store
            .commit(vec![
                Draft::new(&wallet, version).record(&[], &[1; 3000]).commit(),
            ])
            .err()
    });
    assert!(matches!(reason, Some(StoreError::Stopped { .. })));
}

#[test]
fn whoever_waited_for_the_failed_sync_is_refused_too() {
    let (dir, disk) = (scratch_dir(), FailingDisk::new(Fault::SyncRefused));
    let store =
        JournalStore::open_on(Arc::new(disk.clone()), dir.path(), options(), Arc::new(BodyFold)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    disk.arm(0);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let wallet = WalletKey::new("acme", &n.to_string());
                stopped(store.commit(vec![Draft::new(&wallet, 0).commit()]));
            });
        }
    });
    drop(store);
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let kept = store.wallets("acme", None, 10).unwrap();
    assert!(
        kept.len() <= 1,
        "only the frame whose sync failed was written: {kept:?}"
    );
}
