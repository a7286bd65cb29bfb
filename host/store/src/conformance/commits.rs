//! Commits: who wins, who loses, and what is refused.

use super::{Draft, Subject, id, keep, lose};
use crate::contract::{Fate, StoreError, WalletKey};
use crate::limits;

/// A commit computed from any version but the newest is lost, and nothing of it is kept.
pub fn versions_are_compared(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    lose(
        &*store,
        &Draft::new(&wallet, 1)
            .set(b"a", b"early")
            .record(&[id(1)], b"")
            .due(5),
    );
    keep(subject, &*store, &[Draft::new(&wallet, 0).set(b"a", b"1")]);
    lose(
        &*store,
        &Draft::new(&wallet, 0)
            .set(b"a", b"again")
            .record(&[id(1)], b"")
            .due(5),
    );
    lose(&*store, &Draft::new(&wallet, 2).set(b"a", b"early"));
    let three = Draft::new(&wallet, 1)
        .record(&[], b"x")
        .record(&[], b"y")
        .record(&[], b"z");
    keep(subject, &*store, &[three]);
    assert_eq!(
        store.load(&wallet).unwrap().version,
        4,
        "a version counts records"
    );
    lose(&*store, &Draft::new(&wallet, 2));
    keep(subject, &*store, &[Draft::new(&wallet, 4)]);
    assert!(!store.may_have_seen(id(1)) || store.find(&wallet, id(1)).unwrap().is_empty());
    assert!(store.due("acme", i64::MAX, 10).unwrap().is_empty());
    assert_eq!(store.part(&wallet, b"a").unwrap().unwrap(), b"1");
    assert_eq!(store.history(&wallet, None, 100).unwrap().len(), 5);
    assert_eq!(store.commit(Vec::new()).unwrap(), []);
}

/// In one call each commit sees what those before it left, and a lost one does not stop the others.
pub fn chained_commits_follow_each_other(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let (first, second) = (WalletKey::new("acme", "1"), WalletKey::new("acme", "2"));
    keep(
        subject,
        &*store,
        &[
            Draft::new(&first, 0).set(b"k", b"old").set(b"gone", b"soon"),
            Draft::new(&second, 0).record(&[], b"a").record(&[], b"b"),
            Draft::new(&first, 1).set(b"k", b"new").remove(b"gone"),
            Draft::new(&second, 2).set(b"k", b"2"),
        ],
    );
    let image = store.load(&first).unwrap();
    assert_eq!(
        (image.version, image.parts),
        (2, vec![(b"k".to_vec(), b"new".to_vec())])
    );
    assert_eq!(store.load(&second).unwrap().version, 3);
    let stale = Draft::new(&first, 1).set(b"k", b"stale").commit();
    let builds_on_it = Draft::new(&first, 3).set(b"k", b"worse").commit();
    let mut fates = store
        .commit(vec![stale, builds_on_it, Draft::new(&second, 3).commit()])
        .unwrap();
    assert_eq!(fates[..2], [Fate::Lost, Fate::Lost]);
    if fates.remove(2) == Fate::Lost {
        keep(subject, &*store, &[Draft::new(&second, 3)]);
    }
    assert_eq!(store.part(&first, b"k").unwrap().unwrap(), b"new");
    assert_eq!(store.load(&second).unwrap().version, 4);
}

/// A commit computed under another version of the control plane is lost, also when that moved on in the same call.
pub fn control_versions_are_compared(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let (control, wallet) = (WalletKey::control("acme"), WalletKey::new("acme", "w"));
    keep(subject, &*store, &[Draft::new(&wallet, 0).control(0)]);
    lose(&*store, &Draft::new(&wallet, 1).control(1));
    keep(subject, &*store, &[Draft::new(&control, 0)]);
    lose(&*store, &Draft::new(&wallet, 1).control(0).set(b"price", b"old"));
    keep(
        subject,
        &*store,
        &[
            Draft::new(&wallet, 1).control(1),
            Draft::new(&WalletKey::new("other", "w"), 0).control(0),
        ],
    );
    // The control plane moves on between two commits of one call.
    let fates = store
        .commit(vec![
            Draft::new(&control, 1).commit(),
            Draft::new(&wallet, 2).control(1).set(b"price", b"old").commit(),
        ])
        .unwrap();
    match fates[..] {
        [Fate::Committed, fate] => assert_eq!(fate, Fate::Lost, "the control plane had moved on"),
        _ => assert!(subject.losses == super::Losses::Spurious),
    }
    let version = store.load(&control).unwrap().version;
    let next = store.load(&wallet).unwrap().version;
    keep(
        subject,
        &*store,
        &[
            Draft::new(&control, version),
            Draft::new(&wallet, next)
                .control(version + 1)
                .set(b"price", b"new"),
        ],
    );
    assert_eq!(store.part(&wallet, b"price").unwrap().unwrap(), b"new");
    // A commit that does not depend on the control plane is kept whatever its version.
    keep(subject, &*store, &[Draft::new(&wallet, next + 1)]);
}

/// What exceeds a limit is refused by the limit's name, whole calls at a time.
pub fn limits_are_refused_by_name(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    let long = "n".repeat(limits::NAME_BYTES_MAX + 1);
    let many: Vec<_> = (0..=limits::IDS_PER_RECORD_MAX as u64).map(id).collect();
    let draft = || Draft::new(&wallet, 0);
    let mut empty = draft().commit();
    empty.records.clear();
    for (name, commit) in [
        (
            "NAME_BYTES_MIN",
            Draft::new(&WalletKey::new("acme", ""), 0).commit(),
        ),
        (
            "NAME_BYTES_MAX",
            Draft::new(&WalletKey::new(&long, "w"), 0).commit(),
        ),
        (
            "NAME_BYTES_MAX",
            Draft::new(&WalletKey::new("acme", &long), 0).commit(),
        ),
        ("RECORDS_PER_COMMIT_MIN", empty),
        (
            "RECORD_BYTES_MAX",
            draft().record(&[], &vec![0; limits::RECORD_BYTES_MAX]).commit(),
        ),
        ("IDS_PER_RECORD_MAX", draft().record(&many, b"").commit()),
        (
            "PART_KEY_BYTES_MAX",
            draft().set(&[1; limits::PART_KEY_BYTES_MAX + 1], b"").commit(),
        ),
        ("PART_BYTES_MAX", {
            let mut commit = draft().commit();
            commit
                .parts
                .push((vec![1], Some(vec![0; limits::PART_BYTES_MAX + 1])));
            commit
        }),
    ] {
        match store.commit(vec![draft().commit(), commit]) {
            Err(StoreError::Limit {
                limit, actual, max, ..
            }) => {
                assert_eq!(limit, name);
                assert_ne!(actual, max);
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(
            store.load(&wallet).unwrap().version,
            0,
            "{name}: nothing of the call is kept"
        );
    }
    keep(subject, &*store, &[draft()]);
}

/// After `close` every call is refused.
pub fn closed_stores_refuse(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    keep(subject, &*store, &[Draft::new(&wallet, 0)]);
    store.close().unwrap();
    let refused =
        |outcome: Result<(), StoreError>| assert!(matches!(outcome, Err(StoreError::Stopped { .. })));
    refused(store.commit(vec![Draft::new(&wallet, 1).commit()]).map(drop));
    refused(store.load(&wallet).map(drop));
    refused(store.part(&wallet, b"k").map(drop));
    refused(store.history(&wallet, None, 1).map(drop));
    refused(store.find(&wallet, id(1)).map(drop));
    refused(store.due("acme", 0, 1).map(drop));
    refused(store.put_blob("b", b"").map(drop));
}
