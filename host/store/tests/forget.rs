//! Retention of ids by class: usage ids are forgotten once their window is behind them, ids of money in never.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{IdHash, JournalStore, Keep, Store, WalletKey, verify_journal};
use scratch::{options, scratch_dir};

const DAY: i64 = 24 * 3_600 * 1_000_000;

fn usage(n: u64) -> IdHash {
    IdHash::new(id(n).0, Keep::Window)
}

fn money(n: u64) -> IdHash {
    IdHash::new(id(n).0, Keep::ForGood)
}

fn open(dir: &Path) -> JournalStore {
    JournalStore::open(dir, options(), Arc::new(BodyFold)).unwrap()
}

/// Ten records a day, of 3000 bytes: a segment of 64 KiB takes 15, so it covers a day and a half. Each record answers for
/// an id of usage and, with another number, for one of money in.
fn fill(store: &JournalStore, wallet: &WalletKey, days: std::ops::Range<u64>) {
    for n in days.start * 10..days.end * 10 {
        let at = i64::try_from(n).unwrap() * DAY / 10;
        let draft = Draft::new(wallet, n)
            .at(at)
            .record(&[usage(n), money(n)], &[1; 3000]);
        store.commit(vec![draft.commit()]).unwrap();
    }
}

/// Waits until the forgetting, which happens on a thread of its own, has come as far as this id.
fn until_forgotten(store: &JournalStore, wallet: &WalletKey, n: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    while !store.find(wallet, usage(n)).unwrap().is_empty() {
        assert!(Instant::now() < until, "usage id {n} was never forgotten");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_class_is_part_of_the_hash() {
    assert_eq!((usage(1).keep(), money(1).keep()), (Keep::Window, Keep::ForGood));
    assert_ne!(usage(1), money(1));
    assert_eq!(IdHash::new([0xff; 16], Keep::ForGood).0[15], 0xfe);
    assert_eq!(IdHash::new([0; 16], Keep::Window).0[15], 1);
}

#[test]
fn usage_ids_go_with_their_window_and_ids_of_money_in_stay() {
    let (dir, wallet) = (scratch_dir(), WalletKey::new("acme", "w"));
    let store = open(dir.path());
    fill(&store, &wallet, 0..90);
    // Before anything is told, everything is there.
    assert!((0..900).all(|n| store.find(&wallet, usage(n)).unwrap().len() == 1));
    store.forget_ids(50 * DAY);
    // Runs cover up to seven days and a segment's day and a half beyond: what is older than that is gone for sure.
    until_forgotten(&store, &wallet, 400);
    let check = |store: &JournalStore| {
        for n in 0..900 {
            let (seen, kept) = (
                store.find(&wallet, usage(n)).unwrap(),
                store.find(&wallet, money(n)).unwrap(),
            );
            assert_eq!(kept.len(), 1, "the id of money in of record {n}");
            assert!(store.may_have_seen(money(n)));
            if n >= 500 {
                assert_eq!(seen.len(), 1, "usage id {n} is within its window");
            }
            if n <= 400 {
                assert!(seen.is_empty(), "usage id {n} is far behind the window");
            }
        }
        assert_eq!(
            store.history(&wallet, None, 1000).unwrap().len(),
            900,
            "the records stay"
        );
        store.close().unwrap();
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn an_earlier_instant_brings_nothing_back_and_later_ones_go_on() {
    let (dir, wallet) = (scratch_dir(), WalletKey::new("acme", "w"));
    let store = open(dir.path());
    fill(&store, &wallet, 0..60);
    store.forget_ids(30 * DAY);
    until_forgotten(&store, &wallet, 200);
    store.forget_ids(10 * DAY);
    fill(&store, &wallet, 60..70);
    assert!(store.find(&wallet, usage(200)).unwrap().is_empty());
    assert!((300..700).all(|n| store.find(&wallet, usage(n)).unwrap().len() == 1));
    // A forgotten id acts again: that is why only what is older than any event may be is forgotten.
    let again = Draft::new(&wallet, 700)
        .at(70 * DAY)
        .record(&[usage(3)], b"again");
    store.commit(vec![again.commit()]).unwrap();
    assert_eq!(
        store.find(&wallet, usage(3)).unwrap().last().unwrap().sequence,
        701
    );
    store.forget_ids(45 * DAY);
    until_forgotten(&store, &wallet, 350);
    assert!((0..700).all(|n| store.find(&wallet, money(n)).unwrap().len() == 1));
    assert!((450..700).all(|n| store.find(&wallet, usage(n)).unwrap().len() == 1));
}

#[test]
fn runs_made_again_from_the_journal_know_what_is_kept() {
    let (dir, wallet) = (scratch_dir(), WalletKey::new("acme", "w"));
    let store = open(dir.path());
    fill(&store, &wallet, 0..60);
    store.pack_now().unwrap();
    store.close().unwrap();
    drop(store);
    std::fs::remove_dir_all(dir.path().join("ids")).unwrap();
    let store = open(dir.path());
    assert!((0..600).all(|n| store.find(&wallet, usage(n)).unwrap().len() == 1));
    store.forget_ids(40 * DAY);
    until_forgotten(&store, &wallet, 300);
    assert!((0..600).all(|n| store.find(&wallet, money(n)).unwrap().len() == 1));
}

#[test]
fn an_id_of_usage_may_come_again_when_it_is_not_known_any_more() {
    // Usage on day 0 and again so many days later, with an id of money in beside it or not.
    let repeated = |days: i64, money_too: bool| {
        let (dir, wallet) = (scratch_dir(), WalletKey::new("acme", "w"));
        let store = open(dir.path());
        let ids = if money_too {
            vec![usage(1), money(2)]
        } else {
            vec![usage(1)]
        };
        for (version, day) in [(0, 0), (1, days)] {
            let draft = Draft::new(&wallet, version).at(day * DAY).record(&ids, &[1]);
            store.commit(vec![draft.commit()]).unwrap();
        }
        store.close().unwrap();
        drop(store);
        verify_journal(dir.path(), None, 37 * DAY, &mut |_, _| {})
            .unwrap()
            .ids_repeated
    };
    assert_eq!(repeated(36, false), 1);
    assert_eq!(repeated(37, false), 0);
    // What is kept for good is answered once, whenever it comes.
    assert_eq!(repeated(37, true), 1);
}
