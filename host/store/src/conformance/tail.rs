//! The order of commits, and what is kept beside the state.

use std::collections::BTreeMap;

use super::{Draft, Subject, keep, now_and_reopened};
use crate::contract::{Store, StoreError, WalletKey};
use crate::limits::{PROJECTION_BYTES_MAX, PROJECTION_KEY_BYTES_MAX};
use crate::projections::Position;

/// Every record of every wallet is in the tail once, wallets in order, whatever the size of the pages; and a place in it
/// stays what it is.
pub fn tails_hold_every_record_once(subject: Subject<'_>) {
    let store = (subject.fresh)();
    assert!(store.tail(Position::default(), 10).unwrap().records.is_empty());
    let wallets = [
        WalletKey::new("acme", "a"),
        WalletKey::control("acme"),
        WalletKey::new("other", "a"),
    ];
    let mut expected = BTreeMap::new();
    for round in 0..60_u64 {
        let drafts: Vec<Draft> = (wallets.iter())
            .map(|wallet| {
                let filler = vec![7; usize::try_from(round % 7).unwrap() * 400];
                let draft = Draft::new(wallet, round * 2).record(&[], &filler);
                draft.record(&[], &round.to_le_bytes())
            })
            .collect();
        keep(subject, &*store, &drafts);
        expected.extend(wallets.iter().map(|wallet| (wallet.clone(), round * 2 + 2)));
    }
    let all = store.tail(Position::default(), usize::MAX).unwrap();
    now_and_reopened(subject, store, &|store| {
        for limit in [1, 2, 5, 7, 1000] {
            let (mut after, mut seen, mut places) = (Position::default(), BTreeMap::new(), Vec::new());
            loop {
                let tail = store.tail(after, limit).unwrap();
                assert!(tail.records.len() <= limit);
                for (place, record) in &tail.records {
                    assert!(*place > after && places.last().is_none_or(|last| last < place));
                    let last = seen.insert(record.wallet.clone(), record.sequence);
                    assert_eq!(record.sequence, last.unwrap_or(0) + 1, "{:?}", record.wallet);
                    assert_eq!(
                        store
                            .history(&record.wallet, Some(record.sequence + 1), 1)
                            .unwrap()[0],
                        *record
                    );
                    places.push(*place);
                }
                assert!(places.last().is_none_or(|last| *last <= tail.reached));
                // A store may write something that is no record, as a close does: then only the place moves.
                if tail.reached == after {
                    assert!(tail.records.is_empty(), "whoever gets a record gets on");
                    break;
                }
                after = tail.reached;
            }
            assert_eq!(seen, expected);
            assert!(
                after >= store.end().unwrap(),
                "everything that is durable was there"
            );
            let first: Vec<_> = all.records.iter().map(|(place, _)| *place).collect();
            assert_eq!(places[..first.len()], first, "also after a reopen");
        }
        // From the place of any record on, the next record is the next.
        for pair in all.records.windows(2) {
            assert_eq!(store.tail(pair[0].0, 1).unwrap().records[..1], pair[1..]);
        }
        assert!(store.tail(Position::default(), 0).unwrap().records.is_empty());
    });
}

/// What is durable later is behind the end of before.
pub fn ends_move_with_commits(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    for version in 0..20 {
        let before = store.end().unwrap();
        assert!(store.tail(before, 10).unwrap().records.is_empty());
        keep(subject, &*store, &[Draft::new(&wallet, version)]);
        assert!(store.end().unwrap() > before);
        let new = store.tail(before, 10).unwrap().records;
        assert_eq!(
            new.iter().map(|(_, r)| r.sequence).collect::<Vec<_>>(),
            [version + 1]
        );
    }
}

/// A projection changes as a whole, with its position, and values of all sizes come back in order of key.
pub fn projections_change_with_their_position(subject: Subject<'_>) {
    let store = (subject.fresh)();
    keep(subject, &*store, &[Draft::new(&WalletKey::new("acme", "w"), 0)]);
    let end = store.end().unwrap();
    assert_eq!(store.projected().unwrap(), Position::default());
    let set = |key: &[u8], bytes: usize| (key.to_vec(), Some(vec![key[0]; bytes]));
    let first = vec![
        set(b"b", 0),
        set(b"a", 20_000),
        set(b"a\0", 3),
        set(b"ab", 3_063),
        set(b"a\xff", 5),
    ];
    store.project(Position(end.0 - 1), first).unwrap();
    assert_eq!(store.projection(b"a").unwrap().unwrap(), vec![b'a'; 20_000]);
    let second = vec![
        set(b"a", 1),
        (b"b".to_vec(), None),
        (b"none".to_vec(), None),
        set(b"c", 1),
        set(b"c", 2),
    ];
    store.project(end, second).unwrap();
    store.project(end, vec![set(b"d", 1)]).unwrap();
    let back = store.project(Position(end.0 - 1), vec![set(b"e", 1)]);
    assert!(matches!(back, Err(StoreError::State { .. })), "{back:?}");
    let keys = |prefix: &[u8], after: Option<&[u8]>, limit| -> Vec<(Vec<u8>, usize)> {
        let rows = store.projections(prefix, after, limit).unwrap();
        rows.into_iter().map(|(key, value)| (key, value.len())).collect()
    };
    let a = [
        (b"a".to_vec(), 1),
        (b"a\0".to_vec(), 3),
        (b"ab".to_vec(), 3_063),
        (b"a\xff".to_vec(), 5),
    ];
    assert_eq!(keys(b"a", None, 10), a);
    assert_eq!(keys(b"a", Some(b"a"), 2), a[1..3]);
    assert_eq!(keys(b"a", Some(b"ab"), 10), a[3..]);
    assert_eq!(
        keys(b"", Some(b"a\xff"), 10),
        [(b"c".to_vec(), 2), (b"d".to_vec(), 1)]
    );
    assert_eq!(keys(b"c", Some(b"a"), 10), [(b"c".to_vec(), 2)]);
    assert!(keys(b"a", None, 0).is_empty());
    assert_eq!(store.projected().unwrap(), end);
    assert_eq!(store.projection(b"b").unwrap(), None);
}

/// A space is kept or forgotten as a whole, at a reopen too.
pub fn projections_are_whole_or_gone(subject: Subject<'_>) {
    let store = (subject.fresh)();
    keep(subject, &*store, &[Draft::new(&WalletKey::new("acme", "w"), 0)]);
    let end = store.end().unwrap();
    let rows = |store: &dyn Store| store.projections(b"", None, 10).unwrap();
    for n in 0..3_u8 {
        store
            .project(
                end,
                vec![(vec![n], Some(vec![n])), (vec![n, n], Some(Vec::new()))],
            )
            .unwrap();
    }
    let store = now_and_reopened(subject, store, &|store| match store.projected().unwrap() {
        position if position == end => assert_eq!(rows(store).len() % 2, 0),
        position => {
            assert_eq!(position, Position::default());
            assert!(rows(store).is_empty(), "without a position there is nothing");
        }
    });
    store.forget_projections().unwrap();
    now_and_reopened(subject, store, &|store| {
        assert_eq!(
            (store.projected().unwrap(), rows(store)),
            (Position::default(), Vec::new())
        );
    });
}

/// What is too long is refused by its name.
pub fn projections_have_limits(subject: Subject<'_>) {
    let store = (subject.fresh)();
    for (key, value, limit) in [
        (PROJECTION_KEY_BYTES_MAX + 1, 0, "PROJECTION_KEY_BYTES_MAX"),
        (1, PROJECTION_BYTES_MAX + 1, "PROJECTION_BYTES_MAX"),
    ] {
        let refused = store.project(Position(0), vec![(vec![1; key], Some(vec![0; value]))]);
        assert!(matches!(refused, Err(StoreError::Limit { limit: name, .. }) if name == limit));
    }
    let longest = vec![(
        vec![0; PROJECTION_KEY_BYTES_MAX],
        Some(vec![1; PROJECTION_BYTES_MAX]),
    )];
    store.project(Position(0), longest.clone()).unwrap();
    assert_eq!(store.projection(&longest[0].0).unwrap(), longest[0].1);
}
