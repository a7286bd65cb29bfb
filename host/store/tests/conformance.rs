//! The conformance suite against every store of this crate.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use farebox_store::conformance::{self, BodyFold, Losses, Subject};
use farebox_store::{JournalStore, LossyStore, MemoryStore, Options, OverlayStore, Store, verify_journal};
use scratch::{options, scratch_dir};
use tempfile::TempDir;

fn journal_suite(options: &Options) {
    let home: Rc<RefCell<Option<TempDir>>> = Rc::default();
    let open = |home: &TempDir| -> Box<dyn Store> {
        Box::new(JournalStore::open(home.path(), options.clone(), Arc::new(BodyFold)).unwrap())
    };
    let fresh = || {
        let dir = scratch_dir();
        let store = open(&dir);
        *home.borrow_mut() = Some(dir);
        store
    };
    let closed = |store: Box<dyn Store>| {
        store.close().unwrap();
        drop(store);
        let home = home.borrow();
        let report = verify_journal(home.as_ref().unwrap().path(), None, i64::MAX, &mut |_, _| {}).unwrap();
        assert_eq!(report.torn_tail_bytes, 0);
        open(home.as_ref().unwrap())
    };
    conformance::all(Subject {
        fresh: &fresh,
        reopen: Some(&closed),
        losses: Losses::None,
    });
    // Dropped without being closed, a store has to find its own end and replay what the state lacks.
    let dropped = |store: Box<dyn Store>| {
        drop(store);
        open(home.borrow().as_ref().unwrap())
    };
    conformance::all(Subject {
        fresh: &fresh,
        reopen: Some(&dropped),
        losses: Losses::None,
    });
    // With the state gone everything has to come from the journal.
    let forgetful = |store: Box<dyn Store>| {
        drop(store);
        let home = home.borrow();
        let home = home.as_ref().unwrap();
        std::fs::remove_dir_all(home.path().join("state")).unwrap();
        std::fs::remove_dir_all(home.path().join("ids")).unwrap();
        open(home)
    };
    conformance::all(Subject {
        fresh: &fresh,
        reopen: Some(&forgetful),
        losses: Losses::None,
    });
}

#[test]
fn journal_store_with_many_small_segments() {
    journal_suite(&options());
}

#[test]
fn journal_store_with_hardly_any_memory() {
    journal_suite(&Options {
        heads_cached_max: 2,
        pending_bytes_max: 4096,
        replay_batch_bytes: 1,
        ..options()
    });
}

#[test]
fn memory_store() {
    conformance::all(Subject {
        fresh: &|| Box::new(MemoryStore::new()),
        reopen: None,
        losses: Losses::None,
    });
}

/// One above the other: what each reads of the one below, and what it has of its own, must be told apart nowhere.
#[test]
fn overlay_stores() {
    let above =
        |store: Box<dyn Store>| -> Box<dyn Store> { Box::new(OverlayStore::new(Arc::from(store)).unwrap()) };
    conformance::all(Subject {
        fresh: &|| above(Box::new(MemoryStore::new())),
        reopen: Some(&above),
        losses: Losses::None,
    });
}

#[test]
fn lossy_stores() {
    for (seed, one_in) in [(1, 2), (2, 3), (3, 10)] {
        let fresh = || -> Box<dyn Store> {
            Box::new(LossyStore::new(
                MemoryStore::new(),
                seed,
                NonZeroU32::new(one_in).unwrap(),
            ))
        };
        conformance::all(Subject {
            fresh: &fresh,
            reopen: None,
            losses: Losses::Spurious,
        });
    }
}
