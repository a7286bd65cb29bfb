//! A store with a history that is old enough to be archived, and its archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farebox_store::conformance::BodyFold;
use farebox_store::{
    ArchivePlan, ArchiveReport, Beginning, Image, JournalStore, ON_DEMAND, Options, Proof, SnapshotPlan,
    SnapshotReport, Store, StoreError, WalletKey, archive, snapshot,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::dump::{Workload, dump};
use super::{options, scratch_dir};

pub const DAY: i64 = 24 * 3_600 * 1_000_000;
/// The workload's records are of the epoch.
pub const NOW: i64 = 1_000 * DAY;

/// A folder with a store, and one for its archive beside it.
pub struct Home {
    pub home: tempfile::TempDir,
    pub work: Workload,
    pub random: SmallRng,
}

impl Home {
    pub fn new(seed: u64) -> Home {
        Home {
            home: scratch_dir(),
            work: Workload::default(),
            random: SmallRng::seed_from_u64(seed),
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.home.path().join("store")
    }

    pub fn to(&self) -> PathBuf {
        self.home.path().join("archive")
    }

    pub fn open(&self, archive: Option<&Path>) -> Result<JournalStore, StoreError> {
        open(&self.dir(), archive)
    }

    pub fn fill(&mut self, store: &JournalStore, calls: usize) {
        for _ in 0..calls {
            store.commit(self.work.call(&mut self.random)).unwrap();
        }
    }

    pub fn archive(&self) -> Result<ArchiveReport, StoreError> {
        archive(&plan(&self.dir(), &self.to()), &mut |_, _| {})
    }

    /// A closed store of several packed segments, and a snapshot of nearly all of it.
    pub fn filled(seed: u64) -> Home {
        Home::filled_with(seed, 80)
    }

    pub fn filled_with(seed: u64, calls: usize) -> Home {
        let mut home = Home::new(seed);
        let store = home.open(None).unwrap();
        home.fill(&store, calls);
        assert!(store.pack_now().unwrap() > 1);
        store.close().unwrap();
        drop(store);
        take(&home.dir());
        home
    }

    pub fn assert_whole(&self, store: &JournalStore, why: &str) {
        assert_eq!(
            dump(store, self.work.ids),
            dump(&self.work.model, self.work.ids),
            "{why}"
        );
    }
}

pub fn open(dir: &Path, archive: Option<&Path>) -> Result<JournalStore, StoreError> {
    let options = Options {
        archive_dir: archive.map(Path::to_path_buf),
        ..options()
    };
    JournalStore::open(dir, options, Arc::new(BodyFold))
}

pub fn plan<'a>(dir: &'a Path, to: &'a Path) -> ArchivePlan<'a> {
    ArchivePlan {
        dir,
        to,
        retention_days: 400,
        now: NOW,
    }
}

pub fn take(dir: &Path) -> SnapshotReport {
    take_reading(dir, None)
}

pub fn take_reading(dir: &Path, archive_dir: Option<&Path>) -> SnapshotReport {
    let plan = SnapshotPlan {
        dir,
        archive_dir,
        fold: &BodyFold,
        follow: None,
        beginning: Beginning::Newest,
        proof: Proof::All,
        disk_free_bytes_min: 0,
    };
    snapshot(&plan, &mut |_, _, _| {}).unwrap()
}

pub fn segments(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A wallet, its image, and its parts on demand.
pub type Shown = (WalletKey, Image, Vec<(Vec<u8>, Vec<u8>)>);

/// What there is to see of a store without its history.
pub fn present(store: &dyn Store) -> Vec<Shown> {
    let mut shown = Vec::new();
    for tenant in store.tenants(None, 1_000).unwrap() {
        let mut keys = store.wallets(&tenant, None, 1_000).unwrap();
        keys.push(WalletKey::control(&tenant));
        for key in keys {
            let parts = store.parts(&key, &[ON_DEMAND], None, 1_000).unwrap();
            shown.push((key.clone(), store.load(&key).unwrap(), parts));
        }
    }
    shown
}

pub fn assert_archived<T: std::fmt::Debug>(outcome: Result<T, StoreError>, why: &str) {
    match outcome {
        Err(StoreError::Archived { .. }) => {}
        other => panic!("{why}: {other:?}"),
    }
}
