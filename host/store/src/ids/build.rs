//! Building: the thread that writes a run for each complete segment, and merges runs into larger ones.
//!
//! A run of a new segment is soon written, and does not wait: until it is there its ids take memory, and a start reads its
//! segment again. Merging a hundred million ids takes minutes, so new segments get their runs in between, and a store that
//! closes gives such a merge up: the next one makes it again.

use std::fs;
use std::io;
use std::sync::Arc;

use super::merge::Merge;
use super::run::{Cover, Entry, Held, Run, Times};
use super::{IdIndex, Ids, from_journal};
use crate::contract::StoreError;
use crate::journal::place::refused;
use crate::journal::segments::Segments;
use crate::latch::Latch;
use crate::limits::{ID_RUN_DAYS_MAX, ID_RUNS_MERGED};

/// Longest stretch of time that one run with usage ids covers.
const RUN_MICROS_MAX: i64 = ID_RUN_DAYS_MAX * 24 * 3_600 * 1_000_000;

/// Entries of a long run between two looks for what does not wait: some tens of milliseconds.
const ENTRIES_BETWEEN_LOOKS: usize = 1 << 16;

impl IdIndex {
    /// Does what there is to do until told to stop.
    pub(crate) fn run(&self, segments: &Segments, latch: &Latch) {
        let _guard = latch.guard("builder of id runs");
        self.wake.lock().work = true; // what an earlier process left to do
        while self.wait_for_work() {
            if let Err(error) = self.work(segments)
                && !self.is_stopping()
            {
                // Ids that cannot leave memory would fill it: stop while every answer is still right.
                let _ = latch.stop(format!("ids: {error}"));
                return;
            }
        }
        if let Err(error) = self.write_sealed() {
            tracing::warn!(%error, "runs of ids are not written; the next start reads their segments again");
        }
    }

    /// False: told to stop.
    fn wait_for_work(&self) -> bool {
        let mut wake = self.wake.lock();
        while !wake.work && !wake.stop {
            self.work.wait(&mut wake);
        }
        wake.work = false;
        !wake.stop
    }

    /// What must be done first, and then what there is time for.
    fn work(&self, segments: &Segments) -> Result<(), StoreError> {
        self.settle(segments)?;
        while !self.is_stopping() {
            match self.recall_one(segments) {
                Ok(true) => self.settle(segments)?,
                Ok(false) => break,
                Err(error) => {
                    // Histories are read instead, and it is tried again the next time.
                    tracing::error!(%error, "runs of past ids cannot be made now; corrections of old events are slow until then");
                    break;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.wake.lock().stop = true;
        self.work.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.wake.lock().stop
    }

    /// Does by hand what [`IdIndex::run`] does. False: there was nothing to do.
    pub(crate) fn work_by_hand(&self, segments: &Segments) -> Result<bool, StoreError> {
        let is_behind = !self.places.read().sealed.is_empty() || self.run_to_forget().is_some();
        match is_behind {
            true => self.settle(segments).map(|()| true),
            false => {
                let recalled = self.recall_one(segments)?;
                self.settle(segments).map(|()| recalled)
            }
        }
    }

    /// Writes the runs of all sealed segments, forgets what is to be forgotten, and merges what there is to merge.
    fn settle(&self, segments: &Segments) -> Result<(), StoreError> {
        loop {
            self.write_sealed()?;
            if self.is_stopping() || !(self.forget_one(segments)? || self.merge(segments)?) {
                return Ok(());
            }
        }
    }

    /// Writes the runs of all sealed segments.
    pub(crate) fn write_sealed(&self) -> Result<(), StoreError> {
        loop {
            let Some((span, ids)) = self.places.read().sealed.first().cloned() else {
                return Ok(());
            };
            let cover = Cover {
                base: span.base,
                end: span.end,
                level: 0,
                times: ids.times,
                ids: Held::All,
            };
            let run = self.write(cover, &ids)?;
            let mut places = self.places.write();
            places.insert(run, self.filter_bytes_max);
            places.sealed.remove(0);
        }
    }

    pub(super) fn write(&self, cover: Cover, ids: &Ids) -> Result<Run, StoreError> {
        let entries = ids.sorted();
        Run::write(
            &self.folder,
            &self.journal,
            cover,
            entries.len(),
            &mut entries.into_iter().map(Ok),
        )
        .map_err(refused("writing a run of ids in", &self.folder))
    }

    /// Writes a run that may take minutes: what does not wait is done in between. Fails where the store closes meanwhile.
    pub(super) fn write_long(
        &self,
        cover: Cover,
        count: usize,
        entries: impl Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<Run> {
        let mut left = ENTRIES_BETWEEN_LOOKS;
        let mut entries = entries.map(|entry| {
            left -= 1;
            if left == 0 {
                left = ENTRIES_BETWEEN_LOOKS;
                if self.is_stopping() {
                    return Err(io::Error::other("the store closes; the run is made again"));
                }
                self.write_sealed().map_err(io::Error::other)?;
            }
            entry
        });
        Run::write(&self.folder, &self.journal, cover, count, &mut entries)
    }

    /// Merges the first neighbours of one level that are enough. False: there are none.
    fn merge(&self, segments: &Segments) -> Result<bool, StoreError> {
        let parts: Vec<Arc<Run>> = {
            let places = self.places.read();
            let ripe = |runs: &&[Arc<Run>]| {
                let (times, ids) = together(runs);
                let alike = runs.windows(2).all(|pair| {
                    pair[0].cover.level == pair[1].cover.level
                        && pair[0].cover.ids == pair[1].cover.ids
                        && pair[0].cover.end == pair[1].cover.base
                });
                alike && (ids != Held::All || times.length() <= RUN_MICROS_MAX)
            };
            let windows = places
                .runs
                .windows(ID_RUNS_MERGED)
                .chain(places.past.windows(ID_RUNS_MERGED));
            // The smallest first: each look-up asks all runs, and those are soon fewer.
            match windows.filter(ripe).min_by_key(|runs| runs[0].cover.level) {
                Some(parts) => parts.to_vec(),
                None => return Ok(false),
            }
        };
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return Ok(false);
        };
        let cover = Cover {
            base: first.cover.base,
            end: last.cover.end,
            level: first.cover.level + 1,
            times: together(&parts).0,
            ids: first.cover.ids,
        };
        let count = parts.iter().map(|run| run.entries()).sum();
        let run = match self.write_long(cover, count, Merge::new(&parts)) {
            Ok(run) => run,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.write(cover, &from_journal(cover, segments)?)?
            }
            Err(error) => return Err(refused("merging runs of ids in", &self.folder)(error)),
        };
        self.places.write().insert(run, self.filter_bytes_max);
        for part in parts {
            // One that a damaged look-up removed before is gone already.
            let _ = fs::remove_file(part.path());
        }
        Ok(true)
    }
}

/// What a run of these would cover.
fn together(runs: &[Arc<Run>]) -> (Times, Held) {
    let times = runs
        .iter()
        .fold(Times::default(), |times, run| times.with(run.cover.times));
    (times, runs.first().map_or(Held::All, |run| run.cover.ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::IdHash;
    use crate::disk::OsDisk;
    use crate::journal::segments::Span;

    const SEGMENT_BYTES: u64 = 64 << 10;

    /// Ids of the segment of this number, and so many that merging a few of them takes more than one look.
    fn seal(index: &IdIndex, segment: u64, ids: u64) {
        for n in 0..ids {
            let hash = blake3::hash(&(segment << 32 | n).to_le_bytes());
            let id = IdHash(hash.as_bytes()[..16].try_into().unwrap());
            index.add(&[(id, segment * SEGMENT_BYTES + n, 1)]);
        }
        let (base, end) = (segment * SEGMENT_BYTES, (segment + 1) * SEGMENT_BYTES);
        index.seal(Span { base, end });
    }

    /// An index with four runs that are to be merged.
    fn ripe(folder: &std::path::Path) -> (IdIndex, Segments) {
        let journal = folder.join("journal");
        fs::create_dir(&journal).unwrap();
        let segments = Segments::create(Arc::new(OsDisk), &journal, None, SEGMENT_BYTES).unwrap();
        let ids = folder.join("ids");
        fs::create_dir(&ids).unwrap();
        let index = IdIndex::open(&ids, &segments, 1 << 20).unwrap();
        let a_quarter = ENTRIES_BETWEEN_LOOKS as u64 / 4 + 1;
        (0..4).for_each(|segment| seal(&index, segment, a_quarter));
        index.write_sealed().unwrap();
        (index, segments)
    }

    /// What each run covers, in segments.
    fn covers(index: &IdIndex) -> Vec<(u64, u64)> {
        let of = |run: &Arc<Run>| (run.cover.base / SEGMENT_BYTES, run.cover.end / SEGMENT_BYTES);
        index.places.read().runs.iter().map(of).collect()
    }

    fn files(index: &IdIndex) -> usize {
        fs::read_dir(&index.folder).unwrap().count()
    }

    #[test]
    fn a_segment_that_is_complete_meanwhile_gets_its_run_before_a_merge_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let (index, segments) = ripe(folder.path());
        seal(&index, 4, 10);
        assert!(index.merge(&segments).unwrap());
        assert!(index.places.read().sealed.is_empty());
        assert_eq!(covers(&index), [(0, 4), (4, 5)]);
        assert_eq!(files(&index), 2);
    }

    #[test]
    fn a_store_that_closes_gives_a_merge_up_and_keeps_what_is_to_be_merged() {
        let folder = tempfile::tempdir().unwrap();
        let (index, segments) = ripe(folder.path());
        index.stop();
        assert!(index.merge(&segments).is_err());
        assert_eq!(covers(&index), [(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(files(&index), 4, "what was begun is gone");
        // The thread itself begins none, ends without stopping the store, and leaves no segment to the next start.
        seal(&index, 4, 10);
        let latch = Latch::default();
        index.run(&segments, &latch);
        assert!(latch.check().is_ok());
        assert_eq!((covers(&index).len(), files(&index)), (5, 5));
    }

    #[test]
    fn small_runs_are_merged_before_large_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (index, segments) = ripe(folder.path());
        (4..16).for_each(|segment| seal(&index, segment, 10));
        index.write_sealed().unwrap();
        // Three of the next level, then one more: large ones are ripe by then, and so are small ones behind them.
        (0..4).for_each(|_| assert!(index.merge(&segments).unwrap()));
        (16..20).for_each(|segment| seal(&index, segment, 10));
        index.write_sealed().unwrap();
        assert!(index.merge(&segments).unwrap());
        assert_eq!(covers(&index), [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20)]);
        assert!(index.merge(&segments).unwrap());
        assert_eq!(covers(&index), [(0, 16), (16, 20)]);
    }
}
