//! Random operations on the journal store and on the model in memory, with reopens and crashes among them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::sync::Arc;

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{JournalStore, MemoryStore, ON_DEMAND, Options, OverlayStore, Store, WalletKey};
use proptest::prelude::*;
use scratch::dump::dump;
use scratch::{options, scratch_dir};

/// One commit of a call: of a wallet, on top of its newest version or `off` beside it.
#[derive(Debug, Clone)]
struct Change {
    wallet: u8,
    off: i8,
    control: Option<i8>,
    records: Vec<(Vec<u64>, usize)>,
    parts: Vec<(bool, u8, Option<usize>)>,
    due: Option<i64>,
}

#[derive(Debug, Clone)]
enum Op {
    Commit(Vec<Change>),
    Page {
        wallet: u8,
        prefix: bool,
        after: Option<u8>,
        limit: usize,
    },
    Due {
        tenant: usize,
        until: i64,
        limit: usize,
    },
    Close,
    Crash,
    ForgetState,
    Rebuild,
}

const TENANTS: [&str; 2] = ["a", "a\0b"];

fn wallet(n: u8) -> WalletKey {
    match n {
        0 => WalletKey::control("a"),
        n => WalletKey::new(TENANTS[usize::from(n % 2)], &format!("w{n}")),
    }
}

fn part_key(on_demand: bool, n: u8) -> Vec<u8> {
    vec![if on_demand { ON_DEMAND } else { 1 }, n]
}

fn change() -> impl Strategy<Value = Change> {
    (
        0..6_u8,
        prop_oneof![8 => Just(0_i8), 1 => Just(-1_i8), 1 => Just(1_i8)],
        prop::option::weighted(0.3, prop_oneof![4 => Just(0_i8), 1 => Just(1_i8)]),
        prop::collection::vec((prop::collection::vec(0..40_u64, 0..3), 0..2000_usize), 1..4),
        prop::collection::vec((any::<bool>(), 0..6_u8, prop::option::of(0..7000_usize)), 0..4),
        prop::option::of(-5..5_i64),
    )
        .prop_map(|(wallet, off, control, records, parts, due)| Change {
            wallet,
            off,
            control,
            records,
            parts,
            due,
        })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => prop::collection::vec(change(), 1..4).prop_map(Op::Commit),
        4 => (0..6_u8, any::<bool>(), prop::option::of(0..6_u8), 0..5_usize)
            .prop_map(|(wallet, prefix, after, limit)| Op::Page { wallet, prefix, after, limit }),
        2 => (0..2_usize, -6..6_i64, 0..4_usize)
            .prop_map(|(tenant, until, limit)| Op::Due { tenant, until, limit }),
        1 => Just(Op::Close),
        1 => Just(Op::Crash),
        1 => Just(Op::ForgetState),
        1 => Just(Op::Rebuild),
    ]
}

/// The commits of a call, each on top of what those before it would leave behind.
fn commits(model: &MemoryStore, changes: &[Change]) -> Vec<farebox_store::Commit> {
    let mut ahead = std::collections::BTreeMap::new();
    let mut made = Vec::new();
    for change in changes {
        let key = wallet(change.wallet);
        let mut version = |key: &WalletKey| {
            *ahead
                .entry(key.clone())
                .or_insert_with(|| model.load(key).unwrap().version)
        };
        let newest = version(&key);
        let mut draft = Draft::new(&key, newest.saturating_add_signed(change.off.into()));
        if let Some(off) = change.control {
            draft =
                draft.control(version(&WalletKey::control(key.tenant())).saturating_add_signed(off.into()));
        }
        for (ids, bytes) in &change.records {
            let ids: Vec<_> = ids.iter().map(|n| id(*n)).collect();
            draft = draft.record(&ids, &vec![change.wallet; *bytes]);
        }
        for (on_demand, n, bytes) in &change.parts {
            let key = part_key(*on_demand, *n);
            draft = match bytes {
                Some(bytes) => draft.set(&key, &vec![*n; *bytes]),
                None => draft.remove(&key),
            };
        }
        if let Some(due) = change.due {
            draft = draft.due(due);
        }
        if change.off == 0 && change.control.is_none_or(|off| off == 0) {
            ahead.insert(key, newest + change.records.len() as u64);
        }
        made.push(draft.commit());
    }
    made
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_store_is_the_model(ops in prop::collection::vec(op(), 1..50), small in any::<bool>()) {
        let dir = scratch_dir();
        let little = Options { heads_cached_max: 2, pending_bytes_max: 1, replay_batch_bytes: 1, ..options() };
        let options = if small { little } else { options() };
        let open = || JournalStore::open(dir.path(), options.clone(), Arc::new(BodyFold)).unwrap();
        let model = MemoryStore::new();
        let mut store = Some(open());
        for op in ops {
            let open_store = store.take().unwrap();
            store = Some(match op {
                Op::Commit(changes) => {
                    let call = commits(&model, &changes);
                    prop_assert_eq!(open_store.commit(call.clone()).unwrap(), model.commit(call).unwrap());
                    open_store
                }
                Op::Page { wallet: n, prefix, after, limit } => {
                    let prefix = if prefix { vec![ON_DEMAND] } else { Vec::new() };
                    let after = after.map(|after| part_key(true, after));
                    let page = |store: &dyn Store| store.parts(&wallet(n), &prefix, after.as_deref(), limit).unwrap();
                    prop_assert_eq!(page(&open_store), page(&model));
                    open_store
                }
                Op::Due { tenant, until, limit } => {
                    let due = |store: &dyn Store| store.due(TENANTS[tenant], until, limit).unwrap();
                    prop_assert_eq!(due(&open_store), due(&model));
                    open_store
                }
                Op::Close => {
                    open_store.close().unwrap();
                    drop(open_store);
                    open()
                }
                Op::Crash => {
                    drop(open_store);
                    open()
                }
                Op::ForgetState => {
                    drop(open_store);
                    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
                    open()
                }
                Op::Rebuild => {
                    drop(open_store);
                    let mut done = Vec::new();
                    let fold = Arc::new(BodyFold);
                    JournalStore::rebuild(dir.path(), options.clone(), fold, &mut |at, of| done.push((at, of)))
                        .unwrap();
                    prop_assert!(done.iter().all(|(at, of)| at <= of) && done.is_sorted());
                    prop_assert!(!dir.path().join("state.broken-1").exists());
                    open()
                }
            });
        }
        let store = store.unwrap();
        let (shown, expected) = (dump(&store, 40), dump(&model, 40));
        prop_assert_eq!(shown, expected);
    }

    /// What would be a reopen puts another one on top; every one below is left as it was.
    #[test]
    fn the_overlay_store_is_the_model(ops in prop::collection::vec(op(), 1..50)) {
        let model = MemoryStore::new();
        let mut below = Vec::new();
        let mut store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        for op in ops {
            match op {
                Op::Commit(changes) => {
                    let call = commits(&model, &changes);
                    prop_assert_eq!(store.commit(call.clone()).unwrap(), model.commit(call).unwrap());
                }
                Op::Page { wallet: n, prefix, after, limit } => {
                    let prefix = if prefix { vec![ON_DEMAND] } else { Vec::new() };
                    let after = after.map(|after| part_key(true, after));
                    let page = |store: &dyn Store| store.parts(&wallet(n), &prefix, after.as_deref(), limit).unwrap();
                    prop_assert_eq!(page(&*store), page(&model));
                }
                Op::Due { tenant, until, limit } => {
                    let due = |store: &dyn Store| store.due(TENANTS[tenant], until, limit).unwrap();
                    prop_assert_eq!(due(&*store), due(&model));
                }
                Op::Close | Op::Crash | Op::ForgetState | Op::Rebuild => {
                    below.push((Arc::clone(&store), dump(&*store, 40)));
                    store = Arc::new(OverlayStore::new(store).unwrap());
                }
            }
        }
        prop_assert_eq!(dump(&*store, 40), dump(&model, 40));
        for (store, then) in below {
            prop_assert_eq!(dump(&*store, 40), then);
        }
    }
}
