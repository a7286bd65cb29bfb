//! Snapshots: proven before they count, and what the state is made from, with the journal behind them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use farebox_store::conformance::BodyFold;
use farebox_store::{Fold, Folded, Image, JournalStore, Proof, Store, StoreError, StoredRecord, WalletKey};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use scratch::dump::{Workload, dump};
use scratch::{options, scratch_dir};

/// Counts the records that are folded.
#[derive(Debug, Clone, Default)]
struct CountingFold(Arc<AtomicU64>);

impl Fold for CountingFold {
    fn fold(&self, wallet: &WalletKey, image: &Image, records: &[StoredRecord]) -> Result<Folded, String> {
        self.0.fetch_add(records.len() as u64, Ordering::SeqCst);
        BodyFold.fold(wallet, image, records)
    }
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join("snapshots"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn fill(store: &JournalStore, work: &mut Workload, random: &mut SmallRng, calls: usize) {
    for _ in 0..calls {
        store.commit(work.call(random)).unwrap();
    }
}

#[test]
fn the_state_is_made_from_the_snapshot_and_the_journal_behind_it() {
    let dir = scratch_dir();
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(1));
    let open =
        |fold: &CountingFold| JournalStore::open(dir.path(), options(), Arc::new(fold.clone())).unwrap();
    let store = open(&CountingFold::default());
    fill(&store, &mut work, &mut random, 60);
    let report = store.snapshot(&BodyFold, Proof::All, &mut |_| {}).unwrap();
    assert_eq!(report.wallets, report.wallets_proven);
    assert_eq!(snapshots(dir.path()), std::slice::from_ref(&report.path));
    let before = work.ids;
    fill(&store, &mut work, &mut random, 20);
    store.close().unwrap();
    drop(store);
    let all = work.ids;
    for (damaged, expected) in [(false, all - before), (true, all)] {
        if damaged {
            let mut bytes = fs::read(&report.path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&report.path, bytes).unwrap();
        }
        // Every record of the workload has one id, so ids count records.
        let fold = CountingFold::default();
        JournalStore::rebuild(dir.path(), options(), Arc::new(fold.clone()), &mut |_, _| {}).unwrap();
        assert_eq!(fold.0.load(Ordering::SeqCst), expected, "damaged: {damaged}");
        let store = open(&CountingFold::default());
        assert_eq!(
            dump(&store, work.ids),
            dump(&work.model, work.ids),
            "damaged: {damaged}"
        );
    }
    // The next one takes its place.
    let store = open(&CountingFold::default());
    let next = store.snapshot(&BodyFold, Proof::OneIn(3), &mut |_| {}).unwrap();
    assert!(next.applied > report.applied);
    assert_eq!(next.wallets_proven, next.wallets.div_ceil(3));
    assert_eq!(snapshots(dir.path()), [next.path]);
}

/// A fold that does not give what the store was told.
struct Mistaken;

impl Fold for Mistaken {
    fn fold(&self, wallet: &WalletKey, image: &Image, records: &[StoredRecord]) -> Result<Folded, String> {
        let mut folded = BodyFold.fold(wallet, image, records)?;
        folded.parts.push((vec![1], Some(vec![1, 2, 3, 4, 5])));
        Ok(folded)
    }
}

#[test]
fn a_state_that_its_records_do_not_give_gets_no_snapshot() {
    let dir = scratch_dir();
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(2));
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(&store, &mut work, &mut random, 20);
    match store.snapshot(&Mistaken, Proof::All, &mut |_| {}) {
        Err(StoreError::State { what }) => assert!(what.contains("not what its records give"), "{what}"),
        other => panic!("{other:?}"),
    }
    let kept = snapshots(dir.path());
    assert!(
        kept.iter().all(|path| path.extension().unwrap() != "snapshot"),
        "{kept:?}"
    );
    store.snapshot(&BodyFold, Proof::All, &mut |_| {}).unwrap();
}

#[test]
fn a_snapshot_of_another_journal_is_not_used() {
    let (dir, other) = (scratch_dir(), scratch_dir());
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(3));
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(&store, &mut work, &mut random, 20);
    let foreign = JournalStore::open(other.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(&foreign, &mut Workload::default(), &mut random, 10);
    let report = foreign.snapshot(&BodyFold, Proof::All, &mut |_| {}).unwrap();
    store.close().unwrap();
    drop(store);
    fs::create_dir_all(dir.path().join("snapshots")).unwrap();
    fs::copy(
        &report.path,
        dir.path()
            .join("snapshots")
            .join(report.path.file_name().unwrap()),
    )
    .unwrap();
    JournalStore::rebuild(dir.path(), options(), Arc::new(BodyFold), &mut |_, _| {}).unwrap();
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    assert_eq!(dump(&store, work.ids), dump(&work.model, work.ids));
}
