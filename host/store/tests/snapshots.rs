//! Snapshots: proven before they count, and what the state is made from, with the journal behind them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use farebox_store::conformance::BodyFold;
use farebox_store::{
    Beginning, Fold, Folded, FoldedRecord, Follow, Image, JournalStore, Position, ProjectionChange,
    Projections, Proof, SnapshotPlan, SnapshotReport, Store, StoreError, StoredRecord, WalletKey, snapshot,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use scratch::dump::{Workload, dump};
use scratch::{options, scratch_dir};

/// Counts the records that are folded.
#[derive(Debug, Clone, Default)]
struct CountingFold(Arc<AtomicU64>);

impl Fold for CountingFold {
    fn fold(
        &self,
        wallet: &WalletKey,
        image: &Image,
        records: &[FoldedRecord<'_>],
    ) -> Result<Folded, String> {
        self.0.fetch_add(records.len() as u64, Ordering::SeqCst);
        BodyFold.fold(wallet, image, records)
    }
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join("snapshots"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "snapshot"))
        .collect();
    paths.sort();
    paths
}

fn plan<'a>(dir: &'a Path, fold: &'a dyn Fold) -> SnapshotPlan<'a> {
    SnapshotPlan {
        dir,
        archive_dir: None,
        fold,
        follow: None,
        beginning: Beginning::Newest,
        proof: Proof::All,
        disk_free_bytes_min: 0,
    }
}

fn take(dir: &Path) -> SnapshotReport {
    snapshot(&plan(dir, &BodyFold), &mut |_, _, _| {}).unwrap()
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
    let before = work.ids;
    // The store is open, and the newest call is not proven durable by a later one.
    fill(&store, &mut work, &mut random, 1);
    let report = take(dir.path());
    assert_eq!((report.from, report.records), (0, before));
    assert_eq!(report.wallets, report.wallets_proven);
    assert_eq!(snapshots(dir.path()), std::slice::from_ref(&report.path));
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
    let third = SnapshotPlan {
        proof: Proof::OneIn(3),
        ..plan(dir.path(), &BodyFold)
    };
    let next = snapshot(&third, &mut |_, _, _| {}).unwrap();
    assert!(next.applied > report.applied);
    assert_eq!(next.wallets_proven, next.wallets.div_ceil(3));
    assert_eq!(snapshots(dir.path()), std::slice::from_ref(&next.path));
    // And one that is sound is where the one after it begins.
    fill(&store, &mut work, &mut random, 20);
    let last = take(dir.path());
    assert_eq!(last.from, next.applied);
    assert!(last.records < all, "{last:?}");
    let anew = SnapshotPlan {
        beginning: Beginning::FirstRecord,
        ..plan(dir.path(), &BodyFold)
    };
    let whole = snapshot(&anew, &mut |_, _, _| {}).unwrap();
    assert_eq!((whole.from, whole.applied), (0, last.applied));
    // By either way it is the same state, to the byte.
    assert_eq!(whole.bytes, last.bytes);
}

/// A fold that gives another state each time.
#[derive(Default)]
struct Moody(AtomicU64);

impl Fold for Moody {
    fn fold(
        &self,
        wallet: &WalletKey,
        image: &Image,
        records: &[FoldedRecord<'_>],
    ) -> Result<Folded, String> {
        let mut folded = BodyFold.fold(wallet, image, records)?;
        let mood = self.0.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        folded.parts.push((vec![1], Some(mood.to_vec())));
        Ok(folded)
    }
}

#[test]
fn a_state_that_its_records_do_not_give_twice_gets_no_snapshot() {
    let dir = scratch_dir();
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(2));
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(&store, &mut work, &mut random, 20);
    let first = take(dir.path());
    fill(&store, &mut work, &mut random, 20);
    match snapshot(&plan(dir.path(), &Moody::default()), &mut |_, _, _| {}) {
        Err(StoreError::State { what }) => assert!(what.contains("not what its records give"), "{what}"),
        other => panic!("{other:?}"),
    }
    assert!(first.path.exists(), "the one before stays");
    assert_eq!(snapshots(dir.path()).len(), 1);
    assert!(!dir.path().join("snapshots/making").exists());
    take(dir.path());
}

/// Keeps the number of all records, and the newest record of each wallet.
struct Counter;

impl Follow for Counter {
    fn begin(&self, space: &dyn Projections) -> Result<Option<Vec<ProjectionChange>>, StoreError> {
        let known = space.projection(b"format")?.is_some();
        Ok((!known).then(|| vec![(b"format".to_vec(), Some(b"1".to_vec()))]))
    }

    fn follow(
        &self,
        space: &dyn Projections,
        records: &[(Position, StoredRecord)],
    ) -> Result<Vec<ProjectionChange>, StoreError> {
        let count = space
            .projection(b"count")?
            .map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let count = count + records.len() as u64;
        let newest = records.iter().map(|(position, record)| {
            let value = [&position.0.to_le_bytes()[..], &record.body].concat();
            (format!("{:?}", record.wallet).into_bytes(), Some(value))
        });
        Ok(newest
            .chain([(b"count".to_vec(), Some(count.to_le_bytes().to_vec()))])
            .collect())
    }

    fn tidy(&self, space: &dyn Projections) -> Result<(), StoreError> {
        space.project(space.projected()?, vec![(b"tidied".to_vec(), Some(vec![1]))])
    }
}

/// Follows all records of a store from where it is.
fn follow(store: &JournalStore) {
    if let Some(first) = Counter.begin(store).unwrap() {
        store.forget_projections().unwrap();
        store.project(Position::default(), first).unwrap();
    }
    loop {
        let tail = store.tail(store.projected().unwrap(), 7).unwrap();
        if tail.reached == store.projected().unwrap() {
            return;
        }
        let changes = Counter.follow(store, &tail.records).unwrap();
        store.project(tail.reached, changes).unwrap();
    }
}

fn projected(store: &JournalStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = store.projections(b"", None, 1_000).unwrap();
    rows.retain(|(key, _)| key != b"tidied");
    rows
}

#[test]
fn what_is_made_of_the_records_is_in_it_too() {
    let dir = scratch_dir();
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(4));
    let open = || JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let store = open();
    fill(&store, &mut work, &mut random, 40);
    // One without, then one with, then one that goes on: the second must begin with the first record for it.
    take(dir.path());
    for _ in 0..2 {
        fill(&store, &mut work, &mut random, 20);
        let with = SnapshotPlan {
            follow: Some(&Counter),
            ..plan(dir.path(), &BodyFold)
        };
        snapshot(&with, &mut |_, _, _| {}).unwrap();
    }
    fill(&store, &mut work, &mut random, 10);
    follow(&store);
    let expected = projected(&store);
    let count = store.projection(b"count").unwrap().unwrap();
    assert_eq!(count, work.ids.to_le_bytes(), "each record has one id");
    store.close().unwrap();
    drop(store);
    JournalStore::rebuild(dir.path(), options(), Arc::new(BodyFold), &mut |_, _| {}).unwrap();
    let store = open();
    assert!(
        store.projection(b"tidied").unwrap().is_some(),
        "from the snapshot"
    );
    follow(&store);
    assert_eq!(projected(&store), expected);
}

#[test]
fn a_snapshot_of_another_journal_is_not_used() {
    let (dir, other) = (scratch_dir(), scratch_dir());
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(3));
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(&store, &mut work, &mut random, 20);
    let foreign = JournalStore::open(other.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(&foreign, &mut Workload::default(), &mut random, 10);
    let report = take(other.path());
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
