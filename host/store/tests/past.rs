//! Ids of usage that are forgotten still lead to their records.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::disk::OsDisk;
use farebox_store::{Chore, IdHash, JournalStore, Keep, Store, WalletKey};
use scratch::{options, scratch_dir};

const DAY: i64 = 24 * 3_600 * 1_000_000;

fn usage(n: u64) -> IdHash {
    IdHash::new(id(n).0, Keep::Window)
}

fn money(n: u64) -> IdHash {
    IdHash::new(id(n).0, Keep::ForGood)
}

fn wallet() -> WalletKey {
    WalletKey::new("acme", "w")
}

fn open(dir: &Path) -> JournalStore {
    JournalStore::open(dir, options(), Arc::new(BodyFold)).unwrap()
}

/// Ten records a day, of 3000 bytes: a segment of 64 KiB takes 15. Each answers for an id of usage and one of money in.
fn fill(store: &JournalStore, days: std::ops::Range<u64>) {
    for n in days.start * 10..days.end * 10 {
        let at = i64::try_from(n).unwrap() * DAY / 10;
        let draft = Draft::new(&wallet(), n)
            .at(at)
            .record(&[usage(n), money(n)], &[1; 3000]);
        store.commit(vec![draft.commit()]).unwrap();
    }
}

/// Waits for the thread that forgets.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}: never");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A store of 60 days that has forgotten ids of usage of the first 30 at least.
fn forgetful(dir: &Path) -> JournalStore {
    let store = open(dir);
    fill(&store, 0..60);
    store.forget_ids(40 * DAY);
    until("forgotten", || {
        store.find(&wallet(), usage(300)).unwrap().is_empty()
    });
    store
}

/// The sequences of the records under an id that is forgotten. None: not all of the past is here.
fn past(store: &JournalStore, id: IdHash) -> Option<Vec<u64>> {
    let found = store.find_past(&wallet(), id).unwrap()?;
    Some(found.iter().map(|record| record.sequence).collect())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("ids")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "past"));
    files.sort();
    files
}

#[test]
fn what_is_forgotten_leads_to_its_record_and_acts_again() {
    let dir = scratch_dir();
    let store = forgetful(dir.path());
    let check = |store: &JournalStore| {
        for n in 0..=300 {
            assert_eq!(past(store, usage(n)), Some(vec![n + 1]), "{n}");
            assert!(
                store.find(&wallet(), usage(n)).unwrap().is_empty(),
                "{n} does not answer"
            );
            // What is kept for good is no past.
            assert_eq!(past(store, money(n)), Some(vec![]), "{n}");
        }
        // Of another customer, and of nobody.
        let other = WalletKey::new("acme", "other");
        assert_eq!(store.find_past(&other, usage(3)).unwrap(), Some(vec![]));
        assert_eq!(past(store, usage(9_000)), Some(vec![]));
        let cost = store.id_cost();
        assert!((301..450).contains(&cost.ids_past), "{cost:?}");
        let runs = files(dir.path()).len() as u64;
        assert!(cost.runs > runs && runs >= 1, "{cost:?} {runs}");
    };
    check(&store);
    store.close().unwrap();
    drop(store);
    let store = open(dir.path());
    check(&store);
    // It comes again, for another event, and is forgotten again.
    let again = Draft::new(&wallet(), 600)
        .at(60 * DAY)
        .record(&[usage(3)], &[2; 3000]);
    store.commit(vec![again.commit()]).unwrap();
    assert_eq!(past(&store, usage(3)), Some(vec![4]));
    fill_on(&store, 601..700);
    store.forget_ids(69 * DAY);
    until("both", || past(&store, usage(3)) == Some(vec![4, 601]));
}

/// Records behind those of `fill`, with nothing in them.
fn fill_on(store: &JournalStore, versions: std::ops::Range<u64>) {
    for n in versions {
        let at = i64::try_from(n).unwrap() * DAY / 10;
        let draft = Draft::new(&wallet(), n).at(at).record(&[], &[1; 3000]);
        store.commit(vec![draft.commit()]).unwrap();
    }
}

/// The same store, whose work behind the answers is done when the test says so.
fn open_by_hand(dir: &Path) -> JournalStore {
    JournalStore::open_by_hand(Arc::new(OsDisk), dir, options(), Arc::new(BodyFold)).unwrap()
}

#[test]
fn what_is_missing_of_it_is_made_again() {
    let dir = scratch_dir();
    let store = forgetful(dir.path());
    store.close().unwrap();
    drop(store);
    // As an earlier release left it, and as it is where one file is lost or damaged.
    for lost in ["all", "one", "damaged"] {
        let all = files(dir.path());
        match lost {
            "all" => all.iter().for_each(|path| fs::remove_file(path).unwrap()),
            "one" => fs::remove_file(&all[all.len() / 2]).unwrap(),
            _ => damage(&all[0], 30),
        }
        let store = open_by_hand(dir.path());
        let known = |store: &JournalStore| (0..=300).filter(|&n| past(store, usage(n)).is_some()).count();
        assert_eq!(known(&store), 0, "{lost}: the history must be read");
        let mut pieces = 0;
        while store.work(Chore::Ids).unwrap() {
            pieces += 1;
        }
        // Of 30 days there are 20 segments; four runs are merged to one, and four of those again.
        assert!(files(dir.path()).len() <= 8, "{:?}", files(dir.path()));
        assert!(
            (if lost == "all" { 20 } else { 1 }..=30).contains(&pieces),
            "{lost}: {pieces}"
        );
        assert!(
            (0..=300).all(|n| past(&store, usage(n)) == Some(vec![n + 1])),
            "{lost}"
        );
        store.close().unwrap();
    }
    // A server does it by itself.
    fs::remove_file(&files(dir.path())[0]).unwrap();
    let store = open(dir.path());
    until("made again", || past(&store, usage(0)) == Some(vec![1]));
}

fn damage(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, &bytes).unwrap();
}

#[test]
fn what_is_damaged_while_it_is_open_is_noticed_and_made_again() {
    let dir = scratch_dir();
    let store = forgetful(dir.path());
    store.close().unwrap();
    drop(store);
    let store = open_by_hand(dir.path());
    // The first block of entries.
    damage(&files(dir.path())[0], 4096 + 5);
    let found: Vec<_> = (0..=300).map(|n| past(&store, usage(n))).collect();
    assert!(found.contains(&None));
    assert!(
        (1..)
            .zip(found)
            .all(|(sequence, found)| found.is_none_or(|found| found == [sequence]))
    );
    while store.work(Chore::Ids).unwrap() {}
    assert!((0..=300).all(|n| past(&store, usage(n)) == Some(vec![n + 1])));
}
