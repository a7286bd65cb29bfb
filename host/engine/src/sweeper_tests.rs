//! Who has a turn in a sweep, and how much of it.

use std::collections::BTreeMap;

use farebox_record::control::{ControlState, TenantKind, TenantState};
use farebox_runtime::Runtime;
use farebox_store::{Commit, MemoryStore, NewRecord, Store};

use super::*;
use crate::clock::ManualClock;
use crate::controls::Controls;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);

/// Tenants by name, each with so many wallets that have something due now, and one that has nothing due yet. All are live
/// but the sandbox.
fn shared(due: &[(&str, usize)], sandbox: Option<&str>) -> Arc<Shared> {
    let store = MemoryStore::new();
    let mut controls = Controls::default();
    for (name, wallets) in due {
        for n in 0..*wallets {
            put(&store, name, &format!("w{n}"), NOW);
        }
        put(&store, name, "later", LATER);
        let control = control((sandbox == Some(*name)).then_some(NOW));
        controls = controls.with(&tenant(name), control, None, None);
    }
    Arc::new(Shared::new(
        Arc::new(store),
        Runtime::new(farebox_runtime::Config::default()).unwrap(),
        Arc::new(ManualClock::at(NOW)),
        controls,
        Box::new(|why| panic!("{why}")),
    ))
}

/// A wallet that has something due at that instant.
fn put(store: &dyn Store, tenant: &str, wallet: &str, due: Timestamp) {
    let record = NewRecord {
        body: b"opaque".to_vec(),
        at: 0,
        ids: Vec::new(),
        origin: Default::default(),
    };
    let commit = Commit {
        wallet: WalletKey::new(tenant, wallet),
        expected: 0,
        control: None,
        records: vec![record],
        parts: Vec::new(),
        due: Some(due.as_micros()),
    };
    store.commit(vec![commit]).unwrap();
}

/// Of a sandbox whose clock stands there, or of a live tenant.
fn control(stands: Option<Timestamp>) -> ControlState {
    ControlState {
        tenant: stands.map(|now| TenantState {
            created: NOW,
            kind: TenantKind::Sandbox { now },
        }),
        ..ControlState::default()
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// How many wallets of each tenant a sweep wakes: `a 512, b 256`.
fn woken(sweeper: &mut Sweeper, shared: &Arc<Shared>) -> String {
    let mut woken: BTreeMap<String, usize> = BTreeMap::new();
    for wallet in sweeper.sweep(shared).unwrap() {
        *woken.entry(wallet.tenant().to_string()).or_default() += 1;
    }
    let each = woken.iter().map(|(tenant, count)| format!("{tenant} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_tenant_has_its_turn() {
    let tenants = ["a", "b", "c"].map(tenant);
    let turn = |last: Option<&str>| {
        let last = last.map(tenant);
        let turn = in_turn(tenants.iter(), last.as_ref());
        turn.iter()
            .map(|tenant| tenant.as_str().to_string())
            .collect::<String>()
    };
    assert_eq!(turn(None), "abc");
    assert_eq!(turn(Some("a")), "bca");
    assert_eq!(turn(Some("bb")), "cab");
    assert_eq!(turn(Some("c")), "abc");
    assert_eq!(turn(Some("d")), "abc");
}

#[test]
fn a_tenant_with_much_due_leaves_half_of_a_sweep_to_those_behind_it() {
    let shared = shared(&[("a", 2_000), ("b", 600), ("c", 3)], None);
    let mut sweeper = Sweeper::default();
    // Of 1,024 half is 512, half of the 512 that are left is 256, and c has no more than 3 due.
    assert_eq!(woken(&mut sweeper, &shared), "a 512, b 256, c 3");
    // b begins: 512, then 3 of c; a gets half of the 509 that are left, rounded up.
    assert_eq!(woken(&mut sweeper, &shared), "a 255, b 512, c 3");
    // c begins: 3; a gets half of 1,021, rounded up, and b half of the 510 behind it.
    assert_eq!(woken(&mut sweeper, &shared), "a 511, b 255, c 3");
    assert_eq!(woken(&mut sweeper, &shared), "a 512, b 256, c 3");
}

#[test]
fn a_sweep_wakes_no_more_wallets_than_its_limit_says() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let much = names.map(|name| (name, 600));
    let shared = shared(&much, Some("l"));
    let mut sweeper = Sweeper::default();
    // Halves of 1,024 down to 1 are 1,023, and k has the one that is left: nothing is for l.
    assert_eq!(
        woken(&mut sweeper, &shared),
        "a 512, b 256, c 128, d 64, e 32, f 16, g 8, h 4, i 2, j 1, k 1"
    );
    // l is a sandbox. That there was no room for it does not say that it has nothing due: it is not left alone.
    assert_eq!(
        woken(&mut sweeper, &shared),
        "b 512, c 256, d 128, e 64, f 32, g 16, h 8, i 4, j 2, k 1, l 1"
    );
    // Nor is it once something of it was woken.
    assert_eq!(
        woken(&mut sweeper, &shared),
        "a 1, c 512, d 256, e 128, f 64, g 32, h 16, i 8, j 4, k 2, l 1"
    );
}

#[test]
fn a_sandbox_without_anything_due_is_left_alone_until_its_clock_moves() {
    let shared = shared(&[("a", 0), ("b", 2_000)], Some("a"));
    let mut sweeper = Sweeper::default();
    // It takes nothing from those behind it, who have half of the whole.
    assert_eq!(woken(&mut sweeper, &shared), "b 512");
    put(&*shared.store, "a", "now", NOW);
    assert_eq!(woken(&mut sweeper, &shared), "b 512", "nobody asks for it again");
    let moved = shared
        .controls
        .load()
        .with(&tenant("a"), control(Some(LATER)), None, None);
    shared.controls.store(Arc::new(moved));
    assert_eq!(
        woken(&mut sweeper, &shared),
        "a 2, b 511",
        "half of 1,022 is left for b"
    );
}
