//! Forgetting: ids of usage leave their run once the window is behind them, for one of the past; ids of money in stay.
//!
//! A run is written again without them when its *newest* record is behind the horizon, so an id is remembered at least as
//! long as its class promises, and at most as much longer as one run covers. What the run covered stays covered, so the
//! journal is not read for it again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::run::{Cover, Held, Run};
use super::{IdIndex, archived, from_journal};
use crate::contract::StoreError;
use crate::journal::place::refused;
use crate::journal::segments::Segments;

impl IdIndex {
    /// See [`crate::Store::forget_ids`]. The work is done by the thread that writes runs.
    pub(crate) fn forget(&self, before: i64) {
        if self.horizon.fetch_max(before, Ordering::Relaxed) < before {
            self.wake.lock().work = true;
            self.work.notify_one();
        }
    }

    /// A run with ids of usage that are all behind the horizon.
    pub(super) fn run_to_forget(&self) -> Option<Arc<Run>> {
        let horizon = self.horizon.load(Ordering::Relaxed);
        let due = |run: &&Arc<Run>| run.cover.ids == Held::All && run.cover.times.newest < horizon;
        self.places.read().runs.iter().find(due).cloned()
    }

    /// Writes one run again without what is to be forgotten. False: there is none such.
    pub(super) fn forget_one(&self, segments: &Segments) -> Result<bool, StoreError> {
        let Some(old) = self.run_to_forget() else {
            return Ok(false);
        };
        // What is forgotten leads to its record first: at no moment it is nowhere.
        if let Some(past) = self.past_of(&old, segments)? {
            metrics::counter!("farebox_store_ids_forgotten_total").increment(past.entries() as u64);
            self.places.write().insert(past, self.filter_bytes_max);
        }
        let kept = self.part_of(&old, Held::ForGood)?;
        let kept = kept.map_or_else(|cover| self.write(cover, &from_journal(cover, segments)?), Ok)?;
        self.places.write().insert(kept, self.filter_bytes_max);
        Ok(true)
    }

    /// The run of the past that takes over from another. None: not all of it is known, so it is better to have none.
    fn past_of(&self, old: &Run, segments: &Segments) -> Result<Option<Run>, StoreError> {
        // What was kept of archived segments had forgotten some already.
        if old.cover.level >= archived::LEVEL {
            return Ok(None);
        }
        match self.part_of(old, Held::Past)? {
            Ok(past) => Ok(Some(past)),
            Err(cover) if cover.base < segments.archived_until() => Ok(None),
            Err(cover) => self.write(cover, &from_journal(cover, segments)?).map(Some),
        }
    }

    /// Writes a run of some of the ids of another; what it is to cover, where that one is damaged.
    fn part_of(&self, old: &Run, ids: Held) -> Result<Result<Run, Cover>, StoreError> {
        let cover = Cover { ids, ..old.cover };
        let taken = |entry: &io::Result<super::run::Entry>| match entry {
            Ok((id, _)) => cover.holds(*id),
            Err(_) => true,
        };
        // Once to count, once to write: the filter is made for a number of ids.
        let count = old.iter().filter(taken).count();
        match self.write_long(cover, count, old.iter().filter(taken)) {
            Ok(run) => Ok(Ok(run)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Err(cover)),
            Err(error) => Err(refused("writing a run of ids in", &self.folder)(error)),
        }
    }
}
