//! Ids: found where they are, never missed, and never taken for another wallet's.

use super::{Draft, Subject, id, keep, now_and_reopened};
use crate::contract::WalletKey;

/// A record is found by each of its ids, in its own wallet only, and several that share one come oldest first.
pub fn ids_are_found(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let (wallet, other) = (WalletKey::new("acme", "w"), WalletKey::new("acme", "other"));
    keep(
        subject,
        &*store,
        &[Draft::new(&wallet, 0)
            .record(&[id(1), id(2)], b"one")
            .record(&[id(3)], b"two")],
    );
    keep(
        subject,
        &*store,
        &[Draft::new(&other, 0).record(&[id(1)], b"other's")],
    );
    keep(
        subject,
        &*store,
        &[Draft::new(&wallet, 2)
            .record(&[id(3)], b"three")
            .record(&[id(3), id(4)], b"four")],
    );
    now_and_reopened(subject, store, &|store| {
        let found = |wallet, n| {
            let records = store.find(wallet, id(n)).unwrap();
            assert!(records.is_empty() || store.may_have_seen(id(n)));
            records.iter().map(|record| record.sequence).collect::<Vec<_>>()
        };
        assert_eq!(found(&wallet, 1), [1]);
        assert_eq!(found(&wallet, 2), [1]);
        assert_eq!(found(&wallet, 3), [2, 3, 4]);
        assert_eq!(found(&wallet, 4), [4]);
        assert_eq!(found(&other, 1), [1]);
        assert!(found(&other, 2).is_empty());
        assert!(found(&wallet, 5).is_empty());
        assert_eq!(
            store.history(&wallet, Some(2), 1).unwrap(),
            store.find(&wallet, id(2)).unwrap()
        );
    });
}

/// Thousands of ids: at every moment each that was answered is found, whatever the store does with them meanwhile.
pub fn ids_are_never_missed(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallets: Vec<_> = (0..3).map(|n| WalletKey::new("acme", &n.to_string())).collect();
    const ROUNDS: u64 = 120;
    const PER_ROUND: u64 = 40;
    for round in 0..ROUNDS {
        let wallet = &wallets[usize::try_from(round % 3).unwrap()];
        let draft = (0..PER_ROUND).fold(Draft::new(wallet, round / 3 * PER_ROUND), |draft, n| {
            draft.record(&[id(round * PER_ROUND + n)], &[9; 40])
        });
        keep(subject, &*store, &[draft]);
        // The newest, and some that may be on their way from memory to a file.
        for back in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
            let Some(earlier) = round.checked_sub(back) else {
                break;
            };
            let n = earlier * PER_ROUND + (round + back) % PER_ROUND;
            let wallet = &wallets[usize::try_from(earlier % 3).unwrap()];
            assert!(store.may_have_seen(id(n)), "{n} in round {round}");
            assert_eq!(
                store.find(wallet, id(n)).unwrap().len(),
                1,
                "{n} in round {round}"
            );
        }
    }
    now_and_reopened(subject, store, &|store| {
        for n in 0..ROUNDS * PER_ROUND {
            assert!(store.may_have_seen(id(n)), "{n}");
            let wallet = &wallets[usize::try_from(n / PER_ROUND % 3).unwrap()];
            let found = store.find(wallet, id(n)).unwrap();
            assert_eq!(found.len(), 1, "{n}");
            assert_eq!(
                found[0].sequence,
                n / PER_ROUND / 3 * PER_ROUND + n % PER_ROUND + 1
            );
        }
        let strangers = ROUNDS * PER_ROUND..ROUNDS * PER_ROUND + 5000;
        let mistaken = strangers.filter(|n| store.may_have_seen(id(*n))).count();
        assert!(mistaken < 500, "{mistaken} of 5000 unknown ids look known");
        assert!(
            store
                .find(&wallets[0], id(ROUNDS * PER_ROUND))
                .unwrap()
                .is_empty()
        );
    });
}
