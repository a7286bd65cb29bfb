//! Reads: parts, histories, what is due, listings, blobs, and all of it again after a reopen.

use super::{Draft, Subject, id, keep, now_and_reopened};
use crate::contract::{ON_DEMAND, Store, WalletKey};
use crate::limits::PART_BYTES_MAX;

/// Parts of all sizes are what was set last; removed ones are gone.
pub fn parts_are_set_and_removed(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    let other = WalletKey::new("acme", "w2");
    let sizes = [0, 1, 3000, 3063, 3064, 20_000, 1];
    for (version, bytes) in (0..).zip(sizes) {
        let value = vec![u8::try_from(version).unwrap(); bytes];
        keep(
            subject,
            &*store,
            &[Draft::new(&wallet, version)
                .set(b"k", &value)
                .set(b"\0", b"zero")
                .remove(b"none")],
        );
        assert_eq!(store.part(&wallet, b"k").unwrap().unwrap(), value);
        assert_eq!(
            store.load(&wallet).unwrap().parts,
            [(b"\0".to_vec(), b"zero".to_vec()), (b"k".to_vec(), value)]
        );
    }
    keep(
        subject,
        &*store,
        &[Draft::new(&other, 0).set(b"k", b"another's").set(b"", b"no key")],
    );
    let version = sizes.len() as u64;
    keep(subject, &*store, &[Draft::new(&wallet, version).remove(b"k")]);
    let store = now_and_reopened(subject, store, &|store| {
        assert_eq!(store.part(&wallet, b"k").unwrap(), None);
        assert_eq!(
            store.load(&wallet).unwrap().parts,
            [(b"\0".to_vec(), b"zero".to_vec())]
        );
        assert_eq!(store.part(&other, b"k").unwrap().unwrap(), b"another's");
        assert_eq!(store.part(&other, b"").unwrap().unwrap(), b"no key");
        assert_eq!(store.part(&WalletKey::new("acme", "none"), b"k").unwrap(), None);
        assert_eq!(
            store.load(&WalletKey::new("acme", "none")).unwrap(),
            crate::Image::default()
        );
    });
    keep(
        subject,
        &*store,
        &[Draft::new(&wallet, version + 1).set(b"k", b"back")],
    );
    assert_eq!(store.part(&wallet, b"k").unwrap().unwrap(), b"back");
    const { assert!(PART_BYTES_MAX > 20_000) };
}

/// `load` leaves on-demand parts out, `part` and `parts` show them.
pub fn on_demand_parts_are_left_out(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    let draft = (Draft::new(&wallet, 0)
        .set(b"a", b"1")
        .set(&[ON_DEMAND - 1, 7], b"2"))
    .set(&[ON_DEMAND], b"3")
    .set(&[0xff, 0xff], b"4");
    keep(subject, &*store, &[draft]);
    now_and_reopened(subject, store, &|store| {
        let keys: Vec<_> = store
            .load(&wallet)
            .unwrap()
            .parts
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, [b"a".to_vec(), vec![ON_DEMAND - 1, 7]]);
        assert_eq!(store.part(&wallet, &[ON_DEMAND]).unwrap().unwrap(), b"3");
        assert_eq!(
            store.parts(&wallet, &[0xff], None, 10).unwrap(),
            [(vec![0xff, 0xff], b"4".to_vec())]
        );
        assert_eq!(store.parts(&wallet, &[], None, 10).unwrap().len(), 4);
    });
}

/// Pages of parts follow each other in order of key, whatever was changed a moment ago.
pub fn parts_are_paged(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = WalletKey::new("acme", "w");
    let key = |n: u8| vec![ON_DEMAND, n / 16, n % 16, 0];
    for n in 0..10 {
        let draft = (0..20).fold(Draft::new(&wallet, n), |draft, m| {
            let part = u8::try_from(n).unwrap() * 20 + m;
            draft.set(&key(part), &vec![part; usize::from(part) * 10])
        });
        keep(subject, &*store, &[draft]);
    }
    let draft = (0..200_u8)
        .filter(|n| n % 3 == 0)
        .fold(Draft::new(&wallet, 10), |draft, n| draft.remove(&key(n)));
    keep(subject, &*store, &[draft.set(&[ON_DEMAND + 1], b"beyond")]);
    let left: Vec<u8> = (0..200).filter(|n| n % 3 != 0).collect();
    now_and_reopened(subject, store, &|store| {
        for page in [1, 7, 500] {
            let (mut seen, mut after) = (Vec::new(), None::<Vec<u8>>);
            loop {
                let parts = store
                    .parts(&wallet, &[ON_DEMAND], after.as_deref(), page)
                    .unwrap();
                assert!(parts.len() <= page);
                let Some((last, _)) = parts.last() else { break };
                after = Some(last.clone());
                seen.extend(parts);
            }
            assert_eq!(seen.len(), left.len());
            for ((seen_key, value), n) in seen.iter().zip(&left) {
                assert_eq!((seen_key, value), (&key(*n), &vec![*n; usize::from(*n) * 10]));
            }
        }
        let prefix = [ON_DEMAND, 2];
        let there = left.iter().filter(|n| **n / 16 == 2).count();
        assert_eq!(store.parts(&wallet, &prefix, None, 100).unwrap().len(), there);
        assert!(store.parts(&wallet, &prefix, None, 0).unwrap().is_empty());
        assert!(
            store
                .parts(&wallet, &prefix, Some(&[ON_DEMAND, 3]), 10)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            store.parts(&wallet, &prefix, Some(&[1]), 100).unwrap().len(),
            there
        );
    });
}

/// The earliest due comes first; a wallet is due at the instant that its newest commit says, or not at all.
pub fn due_wallets_come_in_order(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallet = |n: i64| WalletKey::new("acme", &format!("w{n:02}"));
    for n in 0..20 {
        keep(
            subject,
            &*store,
            &[Draft::new(&wallet(n), 0).due((n * 7) % 20 - 10)],
        );
    }
    keep(
        subject,
        &*store,
        &[Draft::new(&wallet(0), 1).due(100), Draft::new(&wallet(1), 1)],
    );
    keep(
        subject,
        &*store,
        &[
            Draft::new(&wallet(2), 1).due(i64::MIN),
            Draft::new(&wallet(3), 1).due(i64::MAX),
        ],
    );
    now_and_reopened(subject, store, &|store| {
        let mut expected: Vec<_> = (4..20).map(|n| ((n * 7) % 20 - 10, wallet(n))).collect();
        expected.extend([(100, wallet(0)), (i64::MIN, wallet(2)), (i64::MAX, wallet(3))]);
        expected.sort();
        assert_eq!(store.due("acme", i64::MAX, 100).unwrap(), expected);
        assert_eq!(store.due("acme", i64::MAX, 5).unwrap(), expected[..5]);
        let early: Vec<_> = expected.iter().filter(|due| due.0 <= -3).cloned().collect();
        assert_eq!(store.due("acme", -3, 100).unwrap(), early);
        assert!(store.due("acme", i64::MAX, 0).unwrap().is_empty());
    });
}

/// What is due is asked of one tenant; others, earlier or later, more or fewer, neither show nor take up room.
pub fn due_wallets_are_those_of_one_tenant(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let tenants = ["a", "a\0", "a\u{1}", "ab", "b", "\u{10ffff}"];
    for (tenant, base) in tenants.iter().zip([50, 40, 30, i64::MIN, 10, 0]) {
        for n in 0..3_i64 {
            let wallet = WalletKey::new(tenant, &format!("w{n}"));
            keep(subject, &*store, &[Draft::new(&wallet, 0).due(base + n)]);
        }
    }
    // One that is no longer due, and one that is due at another instant.
    keep(
        subject,
        &*store,
        &[
            Draft::new(&WalletKey::new("b", "w0"), 1),
            Draft::new(&WalletKey::new("ab", "w2"), 1).due(7),
        ],
    );
    let of = |tenant: &str, dues: &[(i64, &str)]| -> Vec<(i64, WalletKey)> {
        dues.iter()
            .map(|(instant, name)| (*instant, WalletKey::new(tenant, name)))
            .collect()
    };
    now_and_reopened(subject, store, &|store| {
        let all = |tenant| store.due(tenant, i64::MAX, 100).unwrap();
        assert_eq!(all("a"), of("a", &[(50, "w0"), (51, "w1"), (52, "w2")]));
        assert_eq!(all("a\0"), of("a\0", &[(40, "w0"), (41, "w1"), (42, "w2")]));
        assert_eq!(
            all("ab"),
            of("ab", &[(i64::MIN, "w0"), (i64::MIN + 1, "w1"), (7, "w2")])
        );
        assert_eq!(all("b"), of("b", &[(11, "w1"), (12, "w2")]));
        assert_eq!(all("\u{10ffff}").len(), 3);
        assert!(all("").is_empty() && all("c").is_empty());
        assert_eq!(
            store.due("a\u{1}", 31, 100).unwrap(),
            of("a\u{1}", &[(30, "w0"), (31, "w1")])
        );
        assert_eq!(
            store.due("a\u{1}", i64::MAX, 1).unwrap(),
            of("a\u{1}", &[(30, "w0")])
        );
        assert!(store.due("a", 49, 100).unwrap().is_empty());
    });
}

/// History is read from any place backwards, dense and exact.
pub fn histories_are_paged(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let wallets = [WalletKey::new("acme", "a"), WalletKey::new("acme", "b")];
    for n in 0..150_u64 {
        let draft = |wallet, records: u64| {
            (0..records).fold(Draft::new(wallet, n * records), |draft, m| {
                draft.record(&[], &vec![7; usize::try_from((n * 31 + m) % 600).unwrap()])
            })
        };
        keep(subject, &*store, &[draft(&wallets[0], 1), draft(&wallets[1], 2)]);
    }
    now_and_reopened(subject, store, &|store| {
        for (wallet, version) in wallets.iter().zip([150, 300]) {
            let all = store.history(wallet, None, usize::MAX).unwrap();
            assert!(all.iter().map(|record| record.sequence).eq((1..=version).rev()));
            assert!(all.iter().all(|record| record.wallet == *wallet));
            for before in [
                0,
                1,
                2,
                3,
                64,
                65,
                127,
                128,
                129,
                version,
                version + 1,
                version + 50,
                u64::MAX,
            ] {
                let page = store.history(wallet, Some(before), 3).unwrap();
                let expected: Vec<_> = all
                    .iter()
                    .filter(|record| record.sequence < before)
                    .take(3)
                    .cloned()
                    .collect();
                assert_eq!(page, expected, "before {before}");
            }
            assert!(store.history(wallet, None, 0).unwrap().is_empty());
        }
        assert!(
            store
                .history(&WalletKey::new("acme", "none"), None, 5)
                .unwrap()
                .is_empty()
        );
    });
}

/// Wallets of a tenant and tenants are listed in order of name, without the control plane.
pub fn wallets_and_tenants_are_listed(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let tenants = ["a", "a\0", "a\u{1}", "ab", "b", "ä", "\u{10ffff}"];
    let names = ["!", "\0", "0", "w", "w\0", "w\0\u{1}", "w1", "wallet", "é"];
    for tenant in tenants {
        keep(subject, &*store, &[Draft::new(&WalletKey::control(tenant), 0)]);
        for name in names {
            keep(
                subject,
                &*store,
                &[Draft::new(&WalletKey::new(tenant, name), 0).due(3)],
            );
        }
    }
    let mut sorted = (tenants.map(str::to_string), names.map(str::to_string));
    sorted.0.sort();
    sorted.1.sort();
    now_and_reopened(subject, store, &|store| {
        for tenant in &sorted.0 {
            for page in [1, 4, 100] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let wallets = store.wallets(tenant, after.as_deref(), page).unwrap();
                    let Some(last) = wallets.last() else { break };
                    assert!(wallets.len() <= page && wallets.iter().all(|wallet| wallet.tenant() == tenant));
                    after = Some(last.wallet().to_string());
                    seen.extend(wallets.iter().map(|wallet| wallet.wallet().to_string()));
                }
                assert_eq!(seen, sorted.1);
            }
        }
        assert_eq!(store.tenants(None, 100).unwrap(), sorted.0);
        assert_eq!(store.tenants(None, 2).unwrap(), sorted.0[..2]);
        assert_eq!(store.tenants(Some("a\0"), 2).unwrap(), sorted.0[2..4]);
        assert!(store.wallets("none", None, 5).unwrap().is_empty());
        assert!(store.wallets("a", None, 0).unwrap().is_empty());
    });
}

/// Blobs come back as they were put, under any name.
pub fn blobs_are_kept(subject: Subject<'_>) {
    let store = (subject.fresh)();
    let names = ["aa55", "../escape", "with/slash", "with_2fslash", ".", ""];
    for name in &names[..5] {
        store.put_blob(name, name.as_bytes()).unwrap();
        store.put_blob(name, name.as_bytes()).unwrap();
    }
    assert!(store.put_blob(names[5], b"").is_err());
    now_and_reopened(subject, store, &|store| {
        for name in &names[..5] {
            assert_eq!(store.blob(name).unwrap().unwrap(), name.as_bytes());
        }
        assert_eq!(store.blob("none").unwrap(), None);
    });
}

/// Reopened again and again in the middle of work, a store holds what one that was never closed would.
pub fn reopened_stores_hold_the_same(subject: Subject<'_>) {
    let Some(reopen) = subject.reopen else { return };
    let mut store = (subject.fresh)();
    let model = crate::MemoryStore::new();
    let wallets: Vec<_> = (0..5).map(|n| WalletKey::new("acme", &n.to_string())).collect();
    for round in 0..60_u64 {
        let wallet = &wallets[usize::try_from(round * round % 5).unwrap()];
        let version = model.load(wallet).unwrap().version;
        let value = vec![1; usize::try_from(round * 97 % 5000).unwrap()];
        let draft = (Draft::new(wallet, version).record(&[id(round)], &value))
            .set(format!("k{}", round % 4).as_bytes(), &value)
            .set(&[ON_DEMAND, 1], &round.to_le_bytes());
        keep(subject, &*store, std::slice::from_ref(&draft));
        model.commit(vec![draft.commit()]).unwrap();
        if round % 7 == 0 {
            store = reopen(store);
        }
        for wallet in &wallets {
            assert_eq!(store.load(wallet).unwrap(), model.load(wallet).unwrap());
            assert_eq!(
                store.part(wallet, &[ON_DEMAND, 1]).unwrap(),
                model.part(wallet, &[ON_DEMAND, 1]).unwrap()
            );
            assert_eq!(
                store.history(wallet, None, 100).unwrap(),
                model.history(wallet, None, 100).unwrap()
            );
        }
    }
}
