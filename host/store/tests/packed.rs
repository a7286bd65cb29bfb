//! Compressed segments: everything reads as before, damage is named by its place, and nothing is lost by a failure.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::disk::{Disk, DiskFile, OsDisk};
use farebox_store::{JournalStore, Options, Packing, Store, StoreError, WalletKey, verify_journal};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use scratch::dump::{Workload, dump};
use scratch::{options, scratch_dir};

fn open(dir: &Path) -> Result<JournalStore, StoreError> {
    JournalStore::open(dir, options(), Arc::new(BodyFold))
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("journal")).unwrap();
    let mut files: Vec<PathBuf> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// Some calls of the workload, on top of what there is.
fn work(store: &JournalStore, workload: &mut Workload, random: &mut SmallRng, calls: usize) {
    for _ in 0..calls {
        store.commit(workload.call(random)).unwrap();
    }
}

#[test]
fn everything_reads_as_before() {
    let dir = scratch_dir();
    let (mut workload, mut random) = (Workload::default(), SmallRng::seed_from_u64(1));
    let store = open(dir.path()).unwrap();
    work(&store, &mut workload, &mut random, 60);
    let packed = store.pack_now().unwrap();
    assert!(packed >= 2, "{packed}");
    assert_eq!(store.pack_now().unwrap(), 0, "once is enough");
    // Each in the place of what was written; meanwhile the next segment may be made.
    let places = files(dir.path(), "packed");
    assert_eq!(places.len() as u64, packed);
    assert!(places.iter().all(|path| !path.with_extension("journal").exists()));
    assert_eq!(dump(&store, workload.ids), dump(&workload.model, workload.ids));
    // It goes on, and what is sealed then is packed too.
    work(&store, &mut workload, &mut random, 40);
    assert!(store.pack_now().unwrap() >= 1);
    store.close().unwrap();
    drop(store);
    let report = verify_journal(dir.path(), None, i64::MAX, &mut |_, _| {}).unwrap();
    assert_eq!((report.torn_tail_bytes, report.ids_repeated), (0, 0));
    assert_eq!(report.ids, workload.ids);
    JournalStore::rebuild(dir.path(), options(), Arc::new(BodyFold), &mut |_, _| {}).unwrap();
    for part in ["state", "ids"] {
        let store = open(dir.path()).unwrap();
        assert_eq!(
            dump(&store, workload.ids),
            dump(&workload.model, workload.ids),
            "before {part} is gone"
        );
        drop(store);
        fs::remove_dir_all(dir.path().join(part)).unwrap();
    }
    let store = open(dir.path()).unwrap();
    assert_eq!(
        dump(&store, workload.ids),
        dump(&workload.model, workload.ids),
        "from packed segments alone"
    );
}

#[test]
fn it_happens_by_itself_unless_it_is_turned_off() {
    for packing in [Packing::On, Packing::Off] {
        let dir = scratch_dir();
        let options = Options { packing, ..options() };
        let store = JournalStore::open(dir.path(), options, Arc::new(BodyFold)).unwrap();
        let (mut workload, mut random) = (Workload::default(), SmallRng::seed_from_u64(2));
        work(&store, &mut workload, &mut random, 60);
        let until = Instant::now() + Duration::from_secs(30);
        while packing == Packing::On && files(dir.path(), "packed").len() < 2 {
            assert!(Instant::now() < until, "nothing was packed");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(dump(&store, workload.ids), dump(&workload.model, workload.ids));
        store.close().unwrap();
        assert_eq!(files(dir.path(), "packed").is_empty(), packing == Packing::Off);
    }
}

/// A closed store of several packed segments.
fn packed_store(seed: u64) -> tempfile::TempDir {
    let dir = scratch_dir();
    let store = open(dir.path()).unwrap();
    let (mut workload, mut random) = (Workload::default(), SmallRng::seed_from_u64(seed));
    work(&store, &mut workload, &mut random, 60);
    assert!(store.pack_now().unwrap() > 1);
    store.close().unwrap();
    drop(store);
    for part in ["state", "ids"] {
        fs::remove_dir_all(dir.path().join(part)).unwrap();
    }
    dir
}

fn assert_damaged(outcome: Result<(), StoreError>, path: &Path, offset_max: usize, why: &str) {
    match outcome {
        Err(StoreError::Damaged { file, offset, what }) => {
            assert_eq!(Path::new(&file), path, "{why}: {what}");
            assert!(
                offset <= offset_max as u64,
                "{why}: {what} at {offset}, not before {offset_max}"
            );
        }
        other => panic!("{why}: {other:?}"),
    }
}

#[test]
fn damage_is_refused_by_the_place_in_the_packed_file() {
    let dir = packed_store(3);
    let verify = || verify_journal(dir.path(), None, i64::MAX, &mut |_, _| {}).map(drop);
    for path in files(dir.path(), "packed") {
        let whole = fs::read(&path).unwrap();
        for at in [0, 30, 50, 66, 4096, 4500, whole.len() - 5] {
            let mut bytes = whole.clone();
            bytes[at] ^= 8;
            fs::write(&path, &bytes).unwrap();
            assert_damaged(open(dir.path()).map(drop), &path, at, "flipped");
            assert_damaged(verify(), &path, at, "flipped");
        }
        for keep in [0, 50, 4096, whole.len() - 1] {
            fs::write(&path, &whole[..keep]).unwrap();
            assert_damaged(open(dir.path()).map(drop), &path, keep, "cut");
        }
        fs::remove_file(&path).unwrap();
        assert_damaged(
            open(dir.path()).map(drop),
            &path.with_extension("journal"),
            0,
            "lost",
        );
        fs::write(&path, whole).unwrap();
    }
    let paths = files(dir.path(), "packed");
    let (first, second) = (fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
    fs::write(&paths[0], &second).unwrap();
    assert_damaged(open(dir.path()).map(drop), &paths[0], 24, "swapped");
    fs::write(&paths[0], &first).unwrap();
    drop(open(dir.path()).unwrap());
    verify().unwrap();
}

#[test]
fn a_damaged_segment_is_not_packed_and_stays() {
    let dir = scratch_dir();
    let store = open(dir.path()).unwrap();
    let (mut workload, mut random) = (Workload::default(), SmallRng::seed_from_u64(4));
    work(&store, &mut workload, &mut random, 60);
    let path = files(dir.path(), "journal")[1].clone();
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    // Its second frame: the first also proves the segment before it.
    let blocks = (8192..bytes.len()).step_by(4096);
    let second = blocks
        .into_iter()
        .find(|at| bytes[*at..].starts_with(b"FBXF"))
        .unwrap();
    bytes[second + 100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_damaged(store.pack_now().map(drop), &path, second, "a frame");
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was changed");
    assert_eq!(
        files(dir.path(), "packed").len(),
        1,
        "the segment before it was sound"
    );
    fs::write(&path, whole).unwrap();
    assert!(store.pack_now().unwrap() > 0);
    assert_eq!(dump(&store, workload.ids), dump(&workload.model, workload.ids));
}

#[test]
fn after_a_crash_between_the_two_forms_the_written_one_counts() {
    let dir = scratch_dir();
    let store = open(dir.path()).unwrap();
    let (mut workload, mut random) = (Workload::default(), SmallRng::seed_from_u64(5));
    work(&store, &mut workload, &mut random, 60);
    let written: Vec<_> = files(dir.path(), "journal")
        .into_iter()
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    let packed = store.pack_now().unwrap();
    drop(store);
    for (bytes, path) in &written {
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
    }
    // The one that does not count may be anything.
    let twin = &files(dir.path(), "packed")[0];
    fs::write(twin, b"half").unwrap();
    fs::write(dir.path().join("journal/packing.tmp"), b"half").unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(dump(&store, workload.ids), dump(&workload.model, workload.ids));
    assert_eq!(store.pack_now().unwrap(), packed, "they are packed again");
    assert!(!dir.path().join("journal/packing.tmp").exists());
    assert_eq!(dump(&store, workload.ids), dump(&workload.model, workload.ids));
}

/// Counts what is read.
#[derive(Debug, Default, Clone)]
struct CountingDisk(Arc<AtomicU64>);

#[derive(Debug)]
struct CountingFile(Arc<dyn DiskFile>, Arc<AtomicU64>);

impl Disk for CountingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CountingFile(OsDisk.create(path)?, self.0.clone())))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CountingFile(OsDisk.open(path)?, self.0.clone())))
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

impl DiskFile for CountingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.read_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn reading_one_record_reads_one_block() {
    let (dir, disk) = (scratch_dir(), CountingDisk::default());
    let options = Options {
        segment_bytes: 1 << 20,
        ..options()
    };
    let store =
        JournalStore::open_on(Arc::new(disk.clone()), dir.path(), options, Arc::new(BodyFold)).unwrap();
    let wallet = WalletKey::new("acme", "w");
    // A frame of one block each, 255 to a segment: records 1 to 255 are in the first, 16 to a block of it.
    for version in 0..300 {
        let draft = Draft::new(&wallet, version).record(&[id(version)], &[1; 100]);
        store.commit(vec![draft.commit()]).unwrap();
    }
    assert_eq!(store.pack_now().unwrap(), 1);
    let reads = |n: u64| {
        let before = disk.0.load(Ordering::SeqCst);
        assert_eq!(store.find(&wallet, id(n)).unwrap().len(), 1);
        disk.0.load(Ordering::SeqCst) - before
    };
    assert_eq!(reads(40), 1, "the block");
    assert_eq!(reads(41), 0, "which is still there for its neighbour");
    assert_eq!(reads(200), 1, "another block");
    assert_eq!(reads(42), 1, "one block of the file is kept, not all");
    assert_eq!(reads(200), 0, "but records that were read are kept as such");
}

/// A frame's records are found by its place and their numbers: also where there are more of them than its first page has bytes.
#[test]
fn each_record_of_a_frame_of_thousands_is_found() {
    const RECORDS: u64 = 9_000;
    let dir = scratch_dir();
    let options = || Options {
        segment_bytes: 4 << 20,
        ..options()
    };
    let wallet = WalletKey::new("acme", "w");
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let body = |n: u64| format!("{n:06}").into_bytes();
    let mut draft = Draft::new(&wallet, 0);
    for n in 0..RECORDS {
        draft = draft.record(&[id(n)], &body(n));
    }
    store.commit(vec![draft.commit()]).unwrap();
    let behind = Draft::new(&wallet, RECORDS).record(&[id(RECORDS)], &body(RECORDS));
    store.commit(vec![behind.commit()]).unwrap();
    let found = |store: &JournalStore| {
        for n in [0, 1, 70, 4_093, 4_094, 4_095, 4_096, 8_190, 8_191, 8_999, 9_000] {
            let records = store.find(&wallet, id(n)).unwrap();
            assert_eq!(records.len(), 1, "{n}");
            assert_eq!(records[0].sequence, n + 1);
            assert!(records[0].body.ends_with(&body(n)), "{n}");
        }
        let history = store.history(&wallet, None, 10_000).unwrap();
        assert_eq!(history.len(), 9_001);
        for (n, record) in (0..=RECORDS).rev().zip(history) {
            assert!(
                record.sequence == n + 1 && record.body.ends_with(&body(n)),
                "{n}: {record:?}"
            );
        }
    };
    found(&store);
    store.close().unwrap();
    drop(store);
    found(&JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap());
}
