//! What simulations found: after a sync that failed, what the next start shows must outlive the power.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use farebox_sim::disk::{Ending, Fault, SimDisk};
use farebox_store::conformance::{BodyFold, Draft};
use farebox_store::{Chore, JournalStore, Options, Store as _, WalletKey};

fn open(disk: &SimDisk, dir: &Path) -> JournalStore {
    let options = Options {
        segment_bytes: 16 << 10,
        state_cache_bytes: 1 << 20,
        ..Options::default()
    };
    JournalStore::open_by_hand(Arc::new(disk.clone()), dir, options, Arc::new(BodyFold)).unwrap()
}

/// Arms a fault at each of the disk operations of a few commits, over a few disks; the program alone ends, the next one
/// shows what it finds and goes on, and then the power is cut.
#[test]
fn what_was_shown_after_a_failed_operation_outlives_the_power() {
    let wallet = WalletKey::new("acme", "ada");
    let mut failed = 0;
    for (seed, at) in (0..4).flat_map(|seed| (0..24).map(move |at| (seed, at))) {
        let home = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(seed);
        let store = open(&disk, home.path());
        disk.arm(Fault::Refused, at);
        for version in 0..8 {
            let draft = Draft::new(&wallet, version).record(&[], &[7; 3_000]);
            if store.commit(vec![draft.commit()]).is_err() || store.work(Chore::Segment).is_err() {
                break;
            }
        }
        failed += disk.tally().faults;
        drop(store);
        disk.end(Ending::Program);

        let store = open(&disk, home.path());
        let shown = store.load(&wallet).unwrap().version;
        drop(store);
        disk.end(Ending::Power);

        let store = open(&disk, home.path());
        let left = store.load(&wallet).unwrap().version;
        assert_eq!(left, shown, "disk {seed}, operation {at}");
        for version in left..left + 8 {
            let draft = Draft::new(&wallet, version).record(&[], &[8; 3_000]);
            store.commit(vec![draft.commit()]).unwrap();
        }
    }
    assert!(failed > 80, "the fault was met {failed} times of 96");
}
