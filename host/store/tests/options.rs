//! Options that change between two opens, and what may not be chosen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scratch;

use std::sync::Arc;

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::disk::OsDisk;
use farebox_store::{Chore, JournalStore, Options, Store, StoreError, WalletKey, verify_journal};
use scratch::{options, scratch_dir};

fn limit_of<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> &'static str {
    match outcome {
        Err(StoreError::Limit { limit, .. }) => limit,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn segments_of_other_sizes_follow_each_other() {
    let dir = scratch_dir();
    let wallet = WalletKey::new("acme", "w");
    let mut version = 0;
    for segment_bytes in [64 << 10, 1 << 20, 16 << 10, 256 << 10, 64 << 10] {
        let options = Options {
            segment_bytes,
            ..options()
        };
        // More than once, so that the segments made ahead under the other size are used up.
        for _ in 0..3 {
            let store = JournalStore::open(dir.path(), options.clone(), Arc::new(BodyFold)).unwrap();
            for bytes in [900_000, 200_000, 40_000, 10_000, 100, 200_000] {
                let draft = Draft::new(&wallet, version).record(&[id(version)], &vec![1; bytes]);
                match store.commit(vec![draft.commit()]) {
                    Ok(_) => version += 1,
                    refused => assert_eq!(limit_of(refused), "FRAME_BYTES_MAX"),
                }
            }
            assert_eq!(store.load(&wallet).unwrap().version, version);
            store.close().unwrap();
            drop(store);
            verify_journal(dir.path(), None, i64::MAX, &mut |_, _| {}).unwrap();
        }
    }
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    assert_eq!(
        store.history(&wallet, None, usize::MAX).unwrap().len() as u64,
        version
    );
    assert!((0..version).all(|n| store.find(&wallet, id(n)).unwrap().len() == 1));
}

#[test]
fn sizes_that_no_segment_has_are_refused() {
    let dir = scratch_dir();
    let open = |segment_bytes| {
        let options = Options {
            segment_bytes,
            ..options()
        };
        JournalStore::open(dir.path(), options, Arc::new(BodyFold))
    };
    assert_eq!(limit_of(open(4096)), "SEGMENT_BYTES_MIN");
    assert_eq!(limit_of(open((64 << 10) + 1)), "SEGMENT_BYTES_MIN");
    assert_eq!(limit_of(open(2 << 30)), "SEGMENT_BYTES_MAX");
    open(64 << 10).unwrap().close().unwrap();
}

#[test]
fn filters_beyond_their_memory_are_done_without() {
    let dir = scratch_dir();
    let options = Options {
        id_filter_bytes_max: 0,
        ..options()
    };
    let store = JournalStore::open(dir.path(), options.clone(), Arc::new(BodyFold)).unwrap();
    let wallet = WalletKey::new("acme", "w");
    for version in 0..200 {
        let draft = Draft::new(&wallet, version).record(&[id(version)], &[1; 3000]);
        store.commit(vec![draft.commit()]).unwrap();
    }
    store.close().unwrap();
    drop(store);
    let store = JournalStore::open(dir.path(), options, Arc::new(BodyFold)).unwrap();
    assert!((0..200).all(|n| store.may_have_seen(id(n)) && store.find(&wallet, id(n)).unwrap().len() == 1));
    assert!(store.find(&wallet, id(1000)).unwrap().is_empty());
}

/// The budget of 2 bytes of memory an id is kept by every run that is large enough to fill its last block.
#[test]
fn an_id_of_a_complete_segment_takes_less_than_two_bytes_of_memory() {
    let (dir, wallet) = (scratch_dir(), WalletKey::new("acme", "w"));
    let options = Options {
        segment_bytes: 1 << 20,
        ..options()
    };
    let store = JournalStore::open(dir.path(), options.clone(), Arc::new(BodyFold)).unwrap();
    for round in 0..60 {
        let draft = (0..1000).fold(Draft::new(&wallet, round * 1000), |draft, n| {
            draft.record(&[id(round * 1000 + n)], &[])
        });
        store.commit(vec![draft.commit()]).unwrap();
    }
    store.close().unwrap();
    drop(store);
    let store = JournalStore::open(dir.path(), options, Arc::new(BodyFold)).unwrap();
    let cost = store.id_cost();
    assert_eq!(cost.ids_in_runs + cost.ids_in_memory, 60_000);
    assert!(cost.ids_in_runs > 40_000, "{cost:?}");
    assert!(cost.memory_bytes <= cost.ids_in_runs * 2, "{cost:?}");
    // 24 bytes for an id and its place, 4 for each block of 170, and what is in memory too.
    assert!(cost.disk_bytes < cost.ids_in_runs * 27, "{cost:?}");
}

/// 400 records with an id each, in many segments; closed.
fn fill(store: JournalStore, wallet: &WalletKey) {
    for version in 0..400 {
        let draft = Draft::new(wallet, version).record(&[id(version)], &[1; 3000]);
        store.commit(vec![draft.commit()]).unwrap();
    }
    store.close().unwrap();
    drop(store);
}

#[test]
fn damaged_and_missing_runs_of_ids_are_made_again() {
    let dir = scratch_dir();
    let wallet = WalletKey::new("acme", "w");
    let open = || JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let runs = || {
        let files = std::fs::read_dir(dir.path().join("ids")).unwrap();
        files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    fill(open(), &wallet);
    assert!(runs().len() > 1);
    // Of each run, damage to the header, to an entry, to the filter; and its loss.
    for damage in [Some(20), Some(4096 + 17), None, Some(usize::MAX)] {
        let mut damaged = 0;
        for path in runs() {
            // An open store merges runs in the background: one that was there may be part of another by now.
            let Ok(whole) = std::fs::read(&path) else {
                continue;
            };
            damaged += 1;
            match damage {
                None => std::fs::remove_file(&path).unwrap(),
                Some(at) => {
                    let mut bytes = whole.clone();
                    bytes[at.min(whole.len() - 1)] ^= 1;
                    std::fs::write(&path, bytes).unwrap();
                }
            }
            let store = open();
            for n in 0..400 {
                assert!(store.may_have_seen(id(n)));
                assert_eq!(
                    store.find(&wallet, id(n)).unwrap().len(),
                    1,
                    "{n}, {damage:?} of {path:?}"
                );
            }
        }
        assert!(damaged > 0);
    }
}

/// A start that waited for merges would wait for minutes behind a hundred million ids.
#[test]
fn a_start_writes_missing_runs_of_ids_and_leaves_merging_them_for_later() {
    let dir = scratch_dir();
    let wallet = WalletKey::new("acme", "w");
    let open =
        || JournalStore::open_by_hand(Arc::new(OsDisk), dir.path(), options(), Arc::new(BodyFold)).unwrap();
    fill(open(), &wallet);
    for run in std::fs::read_dir(dir.path().join("ids")).unwrap() {
        std::fs::remove_file(run.unwrap().path()).unwrap();
    }
    let segments = std::fs::read_dir(dir.path().join("journal")).unwrap().count() as u64;
    let store = open();
    let runs = store.id_cost().runs;
    assert!(
        runs > 4 && runs.abs_diff(segments) <= 2,
        "{runs} runs of {segments} segments"
    );
    while store.work(Chore::Ids).unwrap() {}
    assert!(store.id_cost().runs < runs, "merged: {:?}", store.id_cost());
    assert!((0..400).all(|n| store.find(&wallet, id(n)).unwrap().len() == 1));
}
