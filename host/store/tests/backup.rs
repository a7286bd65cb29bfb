//! Backups: incremental, beside a store that is written to, whole at every interruption; and what is restored is what was
//! backed up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{BackupReport, JournalStore, Store, StoreError, WalletKey, backup, restore};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use scratch::dump::{Workload, dump};
use scratch::{options, scratch_dir};

fn open(dir: &Path) -> JournalStore {
    JournalStore::open(dir, options(), Arc::new(BodyFold)).unwrap()
}

fn back_up(dir: &Path, to: &Path) -> BackupReport {
    backup(dir, None, to, &mut |_, _| {}).unwrap()
}

fn bring_back(from: &Path, dir: &Path) -> Result<(), StoreError> {
    restore(from, dir, options(), Arc::new(BodyFold), &mut |_, _, _| {}).map(drop)
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in ["journal", "tail", "blobs"] {
        for file in fs::read_dir(folder.join(name)).unwrap() {
            let path = file.unwrap().path();
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files.insert(
        folder.join("manifest"),
        fs::read(folder.join("manifest")).unwrap(),
    );
    files
}

#[test]
fn it_grows_with_the_store_and_gives_it_back() {
    let home = scratch_dir();
    let (dir, to) = (home.path().join("store"), home.path().join("backup"));
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(1));
    let store = open(&dir);
    let mut kept = 0;
    for round in 0..4_u64 {
        for _ in 0..25 {
            store.commit(work.call(&mut random)).unwrap();
        }
        store.put_blob(&format!("blob-{round}"), &[7; 1000]).unwrap();
        if round == 2 {
            // The form of a segment in the store does not matter to the backup.
            assert!(store.pack_now().unwrap() > 0);
        }
        let report = back_up(&dir, &to);
        assert_eq!(report.segments_kept, kept);
        assert!(report.segments_copied > 1, "{report:?}");
        assert_eq!((report.blobs_copied, report.blobs_kept), (1, round));
        kept += report.segments_copied - 1; // all but the one that is written to
        let restored = home.path().join(format!("restored-{round}"));
        bring_back(&to, &restored).unwrap();
        let again = open(&restored);
        assert_eq!(
            dump(&again, work.ids),
            dump(&work.model, work.ids),
            "round {round}"
        );
        assert_eq!(again.blob(&format!("blob-{round}")).unwrap().unwrap(), [7; 1000]);
        let wallet = WalletKey::new("new", "w");
        again.commit(vec![Draft::new(&wallet, 0).commit()]).unwrap();
        again.close().unwrap();
    }
    // Nothing new: only the segment that is written to is copied, and it is the same.
    let before = files(&to);
    let report = back_up(&dir, &to);
    assert_eq!((report.segments_copied, report.segments_kept), (1, kept));
    assert_eq!(files(&to), before);
    // A store that is closed, and one that crashed, are backed up as well.
    store.close().unwrap();
    back_up(&dir, &to);
    drop(store);
    bring_back(&to, &home.path().join("closed")).unwrap();
    assert_eq!(
        dump(&open(&home.path().join("closed")), work.ids),
        dump(&work.model, work.ids)
    );
}

#[test]
fn beside_a_busy_store_it_has_everything_that_was_answered_before() {
    let home = scratch_dir();
    let (dir, to) = (home.path().join("store"), home.path().join("backup"));
    let store = open(&dir);
    // How far the writer may be: on a machine with other work it would run away from the backups.
    let (stop, answered, wanted) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let wallet = WalletKey::new("acme", "w");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 0.. {
                while version >= wanted.load(Ordering::SeqCst) && !stop.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let draft = Draft::new(&wallet, version).record(&[id(version)], &[3; 500]);
                store.commit(vec![draft.commit()]).unwrap();
                answered.store(version + 1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                store.pack_now().unwrap();
            }
        });
        for round in 0..20 {
            wanted.store(50 * (round + 1) + 400, Ordering::SeqCst);
            while answered.load(Ordering::SeqCst) < 50 * (round + 1) {
                std::thread::yield_now();
            }
            let before = answered.load(Ordering::SeqCst);
            let outcome = backup(&dir, None, &to, &mut |_, _| {});
            if outcome.is_err() {
                stop.store(true, Ordering::SeqCst);
            }
            outcome.unwrap();
            let restored = home.path().join(format!("restored-{round}"));
            let back = bring_back(&to, &restored);
            if back.is_err() {
                stop.store(true, Ordering::SeqCst);
            }
            back.unwrap();
            let version = open(&restored).load(&wallet).unwrap().version;
            assert!(
                version >= before,
                "{version}, and {before} were answered before the backup"
            );
            fs::remove_dir_all(restored).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn an_interrupted_backup_leaves_the_one_before_whole() {
    let home = scratch_dir();
    let (dir, to) = (home.path().join("store"), home.path().join("backup"));
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(2));
    let store = open(&dir);
    let mut fill = |work: &mut Workload| {
        for _ in 0..25 {
            store.commit(work.call(&mut random)).unwrap();
        }
    };
    fill(&mut work);
    back_up(&dir, &to);
    let (first, first_ids) = (dump(&work.model, work.ids), work.ids);
    let manifest = fs::read(to.join("manifest")).unwrap();
    let tail: Vec<_> = files(&to)
        .into_iter()
        .filter(|(path, _)| path.starts_with(to.join("tail")))
        .collect();
    fill(&mut work);
    back_up(&dir, &to);
    // As it was right before the new manifest got its name: everything new is there, and nothing old is gone.
    fs::write(to.join("manifest"), manifest).unwrap();
    for (path, bytes) in tail {
        fs::write(path, bytes).unwrap();
    }
    fs::write(to.join("journal/00000000000000000000.tmp"), b"half").unwrap();
    bring_back(&to, &home.path().join("first")).unwrap();
    assert_eq!(dump(&open(&home.path().join("first")), first_ids), first);
    back_up(&dir, &to);
    bring_back(&to, &home.path().join("second")).unwrap();
    assert_eq!(
        dump(&open(&home.path().join("second")), work.ids),
        dump(&work.model, work.ids)
    );
}

#[test]
fn what_is_damaged_or_foreign_is_refused_by_name() {
    let home = scratch_dir();
    let (dir, to) = (home.path().join("store"), home.path().join("backup"));
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(3));
    let store = open(&dir);
    for _ in 0..40 {
        store.commit(work.call(&mut random)).unwrap();
    }
    store.put_blob("b", b"bytes").unwrap();
    back_up(&dir, &to);
    for (path, whole) in files(&to) {
        let mut bytes = whole.clone();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        let target = home.path().join("no");
        match bring_back(&to, &target) {
            Err(StoreError::Damaged { file, .. }) => assert_eq!(Path::new(&file), path),
            other => panic!("{}: {other:?}", path.display()),
        }
        assert!(!target.exists());
        fs::write(&path, whole).unwrap();
    }
    let refused = |outcome: Result<(), StoreError>| match outcome {
        Err(StoreError::Backup { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert!(refused(bring_back(&to, &dir)).contains("not empty"));
    assert!(refused(bring_back(home.path(), &home.path().join("no"))).contains("manifest"));
    let other = home.path().join("other");
    drop(open(&other));
    assert!(refused(backup(&other, None, &to, &mut |_, _| {}).map(drop)).contains("another journal"));
    assert!(refused(backup(&dir, None, &other, &mut |_, _| {}).map(drop)).contains("other things"));
    // A frame that is not what was written is never copied.
    let written = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|file| file.unwrap().path());
    let second = written.filter(|path| path.extension().is_some()).min().unwrap();
    let mut bytes = fs::read(&second).unwrap();
    bytes[4096 + 90] ^= 1;
    fs::write(&second, &bytes).unwrap();
    match backup(&dir, None, &home.path().join("fresh"), &mut |_, _| {}) {
        Err(StoreError::Damaged { file, offset, .. }) => {
            assert_eq!((Path::new(&file), offset), (&*second, 4096))
        }
        other => panic!("{other:?}"),
    }
    assert!(!home.path().join("fresh/manifest").exists());
}
