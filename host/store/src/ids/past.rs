//! The past: where the records are whose ids of usage are forgotten.
//!
//! An event is corrected long after its id has stopped to answer, and its record is there as long as the history. Reading a
//! history backwards for it takes as long as the history is; a block of each of these runs takes 0.1 ms at most. They have no
//! filter, so what is forgotten costs a tenth of a byte of memory (the first id of each block), and the disk what it did before.
//!
//! They are derived, as all runs are: what is missing, because an earlier release wrote none or because a file is lost, is made
//! again a segment at a time while there is nothing else to do, and merged like all others. Of segments that are archived it
//! cannot be.

use std::fs;
use std::sync::Arc;

use super::run::{Cover, Held, Run};
use super::{IdIndex, Places, from_journal};
use crate::contract::{IdHash, StoreError};
use crate::journal::place::refused;
use crate::journal::segments::{Segments, Span};

impl IdIndex {
    /// Positions of all records that may have answered for an id that is forgotten. None: not all of the past is here.
    pub(crate) fn find_past(&self, id: IdHash) -> Result<Option<Vec<u64>>, StoreError> {
        let past = {
            let places = self.places.read();
            if !places.gaps().is_empty() {
                return Ok(None);
            }
            places.past.clone()
        };
        let mut positions = Vec::new();
        for run in past {
            let is_sound = run.find(id, &mut positions);
            if !is_sound.map_err(refused("reading", run.path()))? {
                self.lose(&run);
                return Ok(None);
            }
        }
        positions.sort_unstable();
        positions.dedup();
        Ok(Some(positions))
    }

    /// The file is no longer what was written: it is made again when there is nothing else to do.
    fn lose(&self, run: &Arc<Run>) {
        tracing::error!(path = %run.path().display(), "a run of past ids is damaged; it is made again");
        let _ = fs::remove_file(run.path());
        self.places.write().past.retain(|other| !Arc::ptr_eq(other, run));
        self.wake.lock().work = true;
        self.work.notify_one();
    }

    /// A segment whose past is missing and can be read from the journal: the part of it that is missing.
    fn place_without_past(&self, segments: &Segments) -> Option<Span> {
        let gaps = self.places.read().gaps();
        let archived = segments.archived_until();
        let (base, end) = *gaps.iter().find(|(_, end)| *end > archived)?;
        let base = base.max(archived);
        let span = segments.span_of(base)?;
        Some(Span {
            base,
            end: end.min(span.end),
        })
    }

    /// Makes one missing run of the past again. False: none is missing, or the journal does not have it.
    pub(super) fn recall_one(&self, segments: &Segments) -> Result<bool, StoreError> {
        let Some(span) = self.place_without_past(segments) else {
            return Ok(false);
        };
        let cover = Cover {
            base: span.base,
            end: span.end,
            level: 0,
            times: super::run::Times::default(),
            ids: Held::Past,
        };
        let ids = from_journal(cover, segments)?;
        let cover = Cover {
            times: ids.times,
            ..cover
        };
        let run = self.write(cover, &ids)?;
        self.places.write().insert(run, self.filter_bytes_max);
        Ok(true)
    }
}

impl Places {
    /// What was forgotten and no run of the past covers, in order.
    fn gaps(&self) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let forgotten = self.runs.iter().filter(|run| run.cover.ids == Held::ForGood);
        for Cover { base, end, .. } in forgotten.map(|run| run.cover) {
            let mut at = base;
            let first = self.past.partition_point(|past| past.cover.end <= base);
            for past in self.past[first..].iter().take_while(|past| past.cover.base < end) {
                if past.cover.base > at {
                    gaps.push((at, past.cover.base));
                }
                at = at.max(past.cover.end);
            }
            if at < end {
                gaps.push((at, end));
            }
        }
        gaps
    }
}
