//! Replaying in batches of any size comes to the same, and what fails within one leaves whole batches behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{Fold, Folded, FoldedRecord, Image, JournalStore, Options, Store, StoreError, WalletKey};
use scratch::dump::{Dump, dump};
use scratch::{options, scratch_dir};

const WALLETS: u64 = 7;
/// Each call is a frame of its own, and has two records of each wallet.
const CALLS: u64 = 20;

fn wallet(number: u64) -> WalletKey {
    WalletKey::new("acme", &format!("w{number}"))
}

/// A store of [`CALLS`] frames; the answer is what it shows.
fn filled(dir: &Path) -> Dump {
    let store = JournalStore::open(dir, options(), Arc::new(BodyFold)).unwrap();
    for call in 0..CALLS {
        let commits = (0..WALLETS).map(|number| {
            let first = 2 * (call * WALLETS + number);
            Draft::new(&wallet(number), 2 * call)
                .set(&[1], &call.to_le_bytes())
                .record(&[id(first)], &[7; 100])
                .record(&[id(first + 1)], &[8; 50])
                .commit()
        });
        store.commit(commits.collect()).unwrap();
    }
    let shown = shown(&store);
    store.close().unwrap();
    shown
}

fn shown(store: &JournalStore) -> Dump {
    dump(store, 2 * CALLS * WALLETS)
}

fn with(replay_batch_bytes: usize) -> Options {
    Options {
        replay_batch_bytes,
        ..options()
    }
}

fn rebuild(dir: &Path, batch_bytes: usize, fold: Arc<dyn Fold>) -> (Result<(), StoreError>, Vec<(u64, u64)>) {
    let mut progress = Vec::new();
    let rebuilt = JournalStore::rebuild(dir, with(batch_bytes), fold, &mut |at, of| {
        progress.push((at, of))
    });
    (rebuilt, progress)
}

#[test]
fn batches_of_any_size_come_to_the_same() {
    let dir = scratch_dir();
    let before = filled(dir.path());
    let mut steps = Vec::new();
    for batch_bytes in [1, 6_000, 64 << 20] {
        let (rebuilt, progress) = rebuild(dir.path(), batch_bytes, Arc::new(BodyFold));
        rebuilt.unwrap();
        assert!(progress.is_sorted() && progress.iter().all(|(at, of)| at <= of));
        steps.push(progress.len());
        let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
        assert_eq!(shown(&store), before, "{batch_bytes}");
        store.close().unwrap();
    }
    // A frame each and what is behind them, several, and all at once.
    assert!(
        steps[0] > 20 && steps[1] > 4 && steps[1] < steps[0] && steps[2] < 5,
        "{steps:?}"
    );
}

/// Folds all but a record.
struct Picky {
    sequence: u64,
    panics: bool,
}

impl Fold for Picky {
    fn fold(
        &self,
        wallet: &WalletKey,
        image: &Image,
        records: &[FoldedRecord<'_>],
    ) -> Result<Folded, String> {
        if records.iter().any(|record| record.sequence == self.sequence) {
            assert!(!self.panics, "this one panics");
            return Err("not this one".to_string());
        }
        BodyFold.fold(wallet, image, records)
    }
}

#[test]
fn what_cannot_be_folded_is_told_and_what_was_before_stays() {
    let dir = scratch_dir();
    let before = filled(dir.path());
    let picky = Picky {
        sequence: 31,
        panics: false,
    };
    let (rebuilt, progress) = rebuild(dir.path(), 1, Arc::new(picky));
    let error = rebuilt.unwrap_err().to_string();
    assert!(
        error.contains("not this one") && error.contains("acme/w"),
        "{error}"
    );
    // Record 31 is in the frame of the sixteenth call.
    let reached = progress.iter().map(|(at, _)| at).filter(|at| **at > 0).count();
    assert_eq!(reached, 15);
    let store = JournalStore::open(dir.path(), with(1), Arc::new(BodyFold)).unwrap();
    assert_eq!(shown(&store), before);
}

#[test]
fn a_fold_that_panics_ends_the_replay() {
    let dir = scratch_dir();
    let before = filled(dir.path());
    let picky = Picky {
        sequence: 31,
        panics: true,
    };
    // On whichever thread it happened: an error or a panic, but an end.
    let ended = catch_unwind(AssertUnwindSafe(|| rebuild(dir.path(), 1, Arc::new(picky)).0));
    assert!(!matches!(ended, Ok(Ok(()))));
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    assert_eq!(shown(&store), before);
}
