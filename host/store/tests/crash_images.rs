//! Power cuts: from one recorded run, the disk as it could be after a cut at any moment, reopened.
//!
//! Every image must open and hold every call that was answered before the cut, and the one after it wholly or not at all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farebox_store::conformance::{BodyFold, Draft};
use farebox_store::{JournalStore, MemoryStore, Store, WalletKey, verify_journal};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use scratch::dump::{Dump, Workload, dump};
use scratch::record::{Event, RecordingDisk, SECTOR_BYTES, Survivors, image};
use scratch::{copy_dir, options, scratch_dir};

const SESSIONS: usize = 5;
const CALLS_PER_SESSION: usize = 14;

/// A recorded run: some sessions, every other closed at its end; the rest end in a commit that was never synced.
struct Run {
    home: tempfile::TempDir,
    events: Vec<Event>,
    /// What the store shows after so many calls.
    dumps: Vec<Dump>,
    ids: u64,
    /// How many events there were when a session was closed, and where its state and ids are kept.
    closed: Vec<(usize, PathBuf)>,
}

fn record(seed: u64) -> Run {
    let home = scratch_dir();
    let dir = home.path().join("store");
    let (disk, mut random) = (RecordingDisk::default(), SmallRng::seed_from_u64(seed));
    let (mut work, mut calls, mut closed) = (Workload::default(), Vec::new(), Vec::new());
    let (mut unsynced, mut packed) = (None, 0);
    for session in 0..SESSIONS {
        let store =
            JournalStore::open_on(Arc::new(disk.clone()), &dir, options(), Arc::new(BodyFold)).unwrap();
        if let Some(call) = unsynced.take() {
            // The store shows it now, so from now on it must not be lost.
            disk.answered();
            calls.push(call);
        }
        for call in 0..CALLS_PER_SESSION {
            if call == CALLS_PER_SESSION / 2 {
                packed += store.pack_now().unwrap();
            }
            let call = work.call(&mut random);
            store.commit(call.clone()).unwrap();
            disk.answered();
            calls.push(call);
        }
        if session % 2 == 1 {
            let call = work.call(&mut random);
            disk.fail_next_sync();
            store.commit(call.clone()).unwrap_err();
            unsynced = Some(call);
            continue;
        }
        store.close().unwrap();
        drop(store);
        let kept = home.path().join(format!("closed-{session}"));
        for part in ["state", "ids"] {
            copy_dir(&dir.join(part), &kept.join(part));
        }
        closed.push((disk.events().len(), kept));
    }
    assert!(packed >= 2, "segments were packed on the way: {packed}");
    calls.extend(unsynced);
    let model = MemoryStore::new();
    let mut dumps = vec![dump(&model, work.ids)];
    for call in calls {
        model.commit(call).unwrap();
        dumps.push(dump(&model, work.ids));
    }
    Run {
        home,
        events: disk.events(),
        dumps,
        ids: work.ids,
        closed,
    }
}

impl Run {
    /// Cuts the power behind so many events, and checks what can be opened then.
    fn check(&self, cut: usize, survivors: Survivors, random: &mut SmallRng) {
        let events = &self.events[..cut];
        let files = image(events, survivors, random);
        let answered = events
            .iter()
            .filter(|event| matches!(event, Event::Answered))
            .count();
        // The state may be as old as it likes: none at all, or that of any close before the cut.
        let older: Vec<&PathBuf> = self
            .closed
            .iter()
            .filter(|closed| closed.0 <= cut)
            .map(|closed| &closed.1)
            .collect();
        let state = match random.random_range(0..=older.len()) {
            0 => None,
            n => Some(older[n - 1]),
        };
        let dir = scratch_dir();
        self.write(dir.path(), &files, state);
        let place = format!("cut behind event {cut}, {survivors:?}, state {state:?}");
        let store = match JournalStore::open(dir.path(), options(), Arc::new(BodyFold)) {
            Ok(store) => store,
            Err(error) => panic!("{place}: {error}"),
        };
        let shown = dump(&store, self.ids);
        let whole = [answered, answered + 1]
            .into_iter()
            .find(|n| self.dumps.get(*n) == Some(&shown));
        let whole = whole.unwrap_or_else(|| panic!("{place}: not what {answered} answered calls lead to"));
        // It goes on, and a second crash on top of the first changes nothing.
        let wallet = WalletKey::new("after", "the-cut");
        store
            .commit(vec![Draft::new(&wallet, 0).set(b"k", b"v").commit()])
            .unwrap();
        drop(store);
        let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
        assert_eq!(store.part(&wallet, b"k").unwrap().unwrap(), b"v", "{place}");
        assert_eq!(
            store.tenants(None, 1000).unwrap().len(),
            self.tenants(whole) + 1,
            "{place}"
        );
        drop(store);
        let report = verify_journal(dir.path(), None, i64::MAX, &mut |_, _| {})
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!((report.torn_tail_bytes, report.ids_repeated), (0, 0), "{place}");
    }

    fn tenants(&self, calls: usize) -> usize {
        let text = format!("{:?}", self.dumps[calls]);
        ["acme/", "zeta/"]
            .iter()
            .filter(|tenant| text.contains(**tenant))
            .count()
    }

    fn write(&self, dir: &Path, files: &BTreeMap<PathBuf, Vec<u8>>, state: Option<&PathBuf>) {
        if let Some(state) = state {
            copy_dir(state, dir);
        }
        fs::create_dir_all(dir.join("journal")).unwrap();
        for (path, bytes) in files {
            let path = path.strip_prefix(self.home.path().join("store")).unwrap();
            fs::write(dir.join(path), bytes).unwrap();
        }
    }

    fn frame_writes(&self) -> impl Iterator<Item = (usize, usize)> {
        let writes = self
            .events
            .iter()
            .enumerate()
            .filter_map(|(at, event)| match event {
                Event::Write { bytes, .. } => Some((at, bytes.len() / SECTOR_BYTES)),
                _ => None,
            });
        writes.filter(|(_, sectors)| *sectors > 0)
    }
}

#[test]
fn every_prefix_of_the_writes() {
    let (run, mut random) = (record(1), SmallRng::seed_from_u64(1));
    for cut in 0..=run.events.len() {
        run.check(cut, Survivors::All, &mut random);
    }
}

#[test]
fn torn_last_writes() {
    let (run, mut random) = (record(2), SmallRng::seed_from_u64(2));
    for (at, sectors) in run.frame_writes() {
        let mut torn = vec![0, 1, 7, 8, sectors - 1, random.random_range(0..sectors)];
        torn.retain(|kept| *kept < sectors);
        torn.sort_unstable();
        torn.dedup();
        for kept in torn {
            run.check(at + 1, Survivors::LastTornAt(kept), &mut random);
        }
    }
}

#[test]
fn any_sectors_since_the_last_sync() {
    for seed in 3..6 {
        let (run, mut random) = (record(seed), SmallRng::seed_from_u64(seed));
        for _ in 0..150 {
            let cut = random.random_range(0..=run.events.len());
            let chance = [16, 128, 240][random.random_range(0..3)];
            run.check(cut, Survivors::Chance(chance), &mut random);
        }
        // Right behind a write is where most is at stake.
        for (at, _) in run.frame_writes().collect::<Vec<_>>() {
            run.check(at + 1, Survivors::Chance(128), &mut random);
        }
    }
}
