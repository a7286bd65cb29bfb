//! Many threads at once: every version is won once, and readers only ever see whole commits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{Fate, JournalStore, Options, Store, WalletKey, verify_journal};
use scratch::{options, scratch_dir};

const WRITERS: u64 = 4;
const COMMITS: u64 = 300;

#[test]
fn writers_race_and_readers_see_whole_commits() {
    let dir = scratch_dir();
    // Little may be pending, so that one pass over the state follows the other.
    let options = Options {
        pending_bytes_max: 8000,
        ..options()
    };
    let store = JournalStore::open(dir.path(), options, Arc::new(BodyFold)).unwrap();
    let (wallet, done) = (WalletKey::new("acme", "shared"), AtomicBool::new(false));
    // Each commit sets all parts to the version that it makes, so an image of two versions would show.
    let draft = |version: u64, writer: u64| {
        let value = (version + 1).to_le_bytes();
        (0..20_u8).fold(
            Draft::new(&wallet, version).record(&[id(version * WRITERS + writer)], &[0; 100]),
            |draft, n| draft.set(&[1, n], &value),
        )
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let image = store.load(&wallet).unwrap();
                    assert!(image.version >= last, "time does not run backwards");
                    last = image.version;
                    assert!(
                        image
                            .parts
                            .iter()
                            .all(|(_, value)| *value == image.version.to_le_bytes())
                    );
                    let newest = store.history(&wallet, None, 1).unwrap();
                    assert!(newest.first().map_or(0, |record| record.sequence) >= image.version);
                    assert!(store.wallets("acme", None, 5).unwrap().len() >= usize::from(last > 0));
                }
            });
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, wallet, draft) = (&store, &wallet, &draft);
                scope.spawn(move || {
                    let (mut won, mut version) = (Vec::new(), 0);
                    while won.len() as u64 != COMMITS {
                        match store.commit(vec![draft(version, writer).commit()]).unwrap()[..] {
                            [Fate::Committed] => {
                                assert_eq!(
                                    store.find(wallet, id(version * WRITERS + writer)).unwrap().len(),
                                    1
                                );
                                won.push(version);
                                version += 1;
                            }
                            _ => version = store.load(wallet).unwrap().version,
                        }
                    }
                    won
                })
            })
            .collect();
        let mut won: Vec<u64> = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        done.store(true, Ordering::Relaxed);
        won.sort_unstable();
        assert!(won.into_iter().eq(0..WRITERS * COMMITS), "each version once");
    });
    store.close().unwrap();
    drop(store);
    let report = verify_journal(dir.path(), None, i64::MAX, &mut |_, _| {}).unwrap();
    assert_eq!(
        (report.records, report.ids, report.ids_repeated),
        (WRITERS * COMMITS, WRITERS * COMMITS, 0)
    );
    assert_eq!(report.wallets, 1);
}
