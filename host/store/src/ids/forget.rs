//! Forgetting: ids of usage leave their run once the window is behind them; ids of money in stay.
//!
//! A run is written again without them when its *newest* record is behind the horizon, so an id is remembered at least as
//! long as its class promises, and at most as much longer as one run covers. What the run covered stays covered, so the
//! journal is not read for it again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::run::{Cover, Held, Run};
use super::{IdIndex, from_journal};
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
        let cover = Cover {
            ids: Held::ForGood,
            ..old.cover
        };
        let kept = |entry: &io::Result<super::run::Entry>| match entry {
            Ok((id, _)) => cover.holds(*id),
            Err(_) => true,
        };
        // Once to count, once to write: the filter is made for a number of ids.
        let count = old.iter().filter(kept).count();
        let written = Run::write(
            &self.folder,
            &self.journal,
            cover,
            count,
            &mut old.iter().filter(kept),
        );
        let run = match written {
            Ok(run) => run,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.write(cover, &from_journal(cover, segments)?)?
            }
            Err(error) => return Err(refused("writing a run of ids in", &self.folder)(error)),
        };
        let forgotten = old.entries().saturating_sub(count) as u64;
        metrics::counter!("farebox_store_ids_forgotten_total").increment(forgotten);
        self.places.write().insert(run, self.filter_bytes_max);
        Ok(true)
    }
}
