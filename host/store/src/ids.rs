//! Which records answer for an id: in memory for the segment being written, in sorted runs for those that are complete.
//!
//! Goal: `may_have_seen` without a disk, and no id ever missed. An id is in at least one place at every moment: it goes to
//! memory before its commit is answered, and leaves only in the step that puts its run in place; a merged run takes the
//! place of its parts in one step too.
//!
//! Rejected: an index in sled (10 us a put, and random keys are its worst case: each sync would rewrite pages all over).

pub(crate) mod archived;
mod build;
mod filter;
mod forget;
mod merge;
mod past;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::contract::{IdHash, StoreError};
use crate::fast::FastMap;
use crate::journal::frame::JournalId;
use crate::journal::place::refused;
use crate::journal::segments::{Segments, Span};
use crate::journal::walk::{Frame, From};
use run::{Cover, Entry, Held, Run, Times};

/// See the module.
#[derive(Debug)]
pub(crate) struct IdIndex {
    folder: PathBuf,
    journal: JournalId,
    places: RwLock<Places>,
    filter_bytes_max: usize,
    /// Usage ids of records before this time may be forgotten.
    horizon: AtomicI64,
    wake: Mutex<Wake>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct Places {
    active: Ids,
    /// Complete segments whose run is not written yet.
    sealed: Vec<(Span, Arc<Ids>)>,
    /// In order of what they cover.
    runs: Vec<Arc<Run>>,
    /// Of ids that are forgotten, in order of what they cover.
    past: Vec<Arc<Run>>,
}

#[derive(Debug, Default)]
struct Wake {
    work: bool,
    stop: bool,
}

/// The ids of one segment. Nearly every id has one position; the others are beside.
#[derive(Debug, Default)]
struct Ids {
    first: FastMap<IdHash, u64>,
    more: Vec<Entry>,
    times: Times,
}

/// What remembering ids costs a store now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdCost {
    /// Ids of complete segments: in files, with filters in memory.
    pub ids_in_runs: u64,
    /// Ids that are in memory as they are: of the segment that is written to, and of those whose run is not written yet.
    pub ids_in_memory: u64,
    /// Bytes of memory for those, with room that their tables keep.
    pub newest_bytes: u64,
    /// Ids that are forgotten, and still lead to their record.
    pub ids_past: u64,
    /// Files.
    pub runs: u64,
    /// Bytes of memory for the runs: filters and fences.
    pub memory_bytes: u64,
    /// Bytes of their files.
    pub disk_bytes: u64,
}

impl IdIndex {
    /// See [`IdCost`].
    pub(crate) fn cost(&self) -> IdCost {
        let places = self.places.read();
        let sealed: usize = places.sealed.iter().map(|(_, ids)| ids.len()).sum();
        let sealed_bytes: usize = places.sealed.iter().map(|(_, ids)| ids.memory_bytes()).sum();
        let all = || places.runs.iter().chain(&places.past);
        let sum = |of: &dyn Fn(&Run) -> u64| all().map(|run| of(run)).sum();
        let entries = |runs: &[Arc<Run>]| runs.iter().map(|run| run.entries() as u64).sum();
        IdCost {
            ids_in_runs: entries(&places.runs),
            ids_past: entries(&places.past),
            ids_in_memory: (places.active.len() + sealed) as u64,
            newest_bytes: (places.active.memory_bytes() + sealed_bytes) as u64,
            runs: all().count() as u64,
            memory_bytes: sum(&|run| run.memory_bytes() as u64),
            disk_bytes: sum(&Run::disk_bytes),
        }
    }

    /// Opens the runs that are sound, and removes the rest: they follow from the journal.
    pub(crate) fn open(
        folder: &Path,
        segments: &Segments,
        filter_bytes_max: usize,
    ) -> Result<IdIndex, StoreError> {
        let (mut runs, journal) = (Vec::<Run>::new(), segments.journal());
        let starts: Vec<u64> = segments.spans().iter().map(|span| span.base).collect();
        for file in fs::read_dir(folder).map_err(refused("listing", folder))? {
            let path = file.map_err(refused("listing", folder))?.path();
            let run = if run::is_run(&path) {
                Run::open(&path, &journal).map_err(refused("opening", &path))?
            } else {
                None
            };
            match run.filter(|run| {
                [run.cover.base, run.cover.end]
                    .iter()
                    .all(|at| starts.contains(at))
            }) {
                Some(run) => runs.push(run),
                None => {
                    tracing::warn!(path = %path.display(), "a run of ids is unreadable; it is made again");
                    fs::remove_file(&path).map_err(refused("removing", &path))?;
                }
            }
        }
        let past = runs.extract_if(.., |run| run.cover.ids == Held::Past).collect();
        let index = IdIndex {
            folder: folder.to_path_buf(),
            journal,
            places: RwLock::new(Places {
                runs: without_overlaps(runs)?,
                past: without_overlaps(past)?,
                ..Places::default()
            }),
            filter_bytes_max,
            horizon: AtomicI64::new(i64::MIN),
            wake: Mutex::default(),
            work: Condvar::new(),
        };
        index.places.write().keep_within(filter_bytes_max);
        index.take_over_archived(segments)?;
        Ok(index)
    }

    /// Where runs of archived segments are lost, the run that was kept of all of them takes their place.
    fn take_over_archived(&self, segments: &Segments) -> Result<(), StoreError> {
        if self.gap() >= segments.archived_until() {
            return Ok(());
        }
        let Some(kept) = archived::open(segments)? else {
            return Ok(());
        };
        let copied = Run::write(
            &self.folder,
            &self.journal,
            kept.cover,
            kept.entries(),
            &mut kept.iter(),
        );
        let copied = copied.map_err(refused("reading", kept.path()))?;
        let mut places = self.places.write();
        for run in &places.runs {
            if run.cover.base < copied.cover.end && run.path() != copied.path() {
                fs::remove_file(run.path()).map_err(refused("removing", run.path()))?;
            }
        }
        places.insert(copied, self.filter_bytes_max);
        Ok(())
    }

    /// The first position that no run covers.
    pub(crate) fn gap(&self) -> u64 {
        let places = self.places.read();
        let mut at = 0;
        for run in &places.runs {
            if run.cover.base != at {
                break;
            }
            at = run.cover.end;
        }
        at
    }

    /// Adds a frame that is read at open, unless a run has it.
    pub(crate) fn replay(&self, frame: &Frame<'_>, segments: &Segments) -> Result<(), StoreError> {
        let mut places = self.places.write();
        if places
            .runs
            .iter()
            .any(|run| (run.cover.base..run.cover.end).contains(&frame.base))
        {
            return Ok(());
        }
        frame.records(segments, &mut |position, envelope| {
            envelope
                .ids
                .iter()
                .for_each(|id| places.active.add(id, position, envelope.at));
            Ok(())
        })
    }

    /// Adds the ids of a durable frame, before its commits are answered.
    pub(crate) fn add(&self, entries: &[(IdHash, u64, i64)]) {
        if entries.is_empty() {
            return;
        }
        let mut places = self.places.write();
        for &(id, position, at) in entries {
            places.active.add(id, position, at);
        }
    }

    /// The active segment is complete. Its ids stay in memory until their run is there.
    pub(crate) fn seal(&self, span: Span) {
        let mut places = self.places.write();
        if places
            .runs
            .iter()
            .any(|run| (run.cover.base..run.cover.end).contains(&span.base))
        {
            return;
        }
        let ids = Arc::new(std::mem::take(&mut places.active));
        places.sealed.push((span, ids));
        drop(places);
        self.wake.lock().work = true;
        self.work.notify_one();
    }

    /// See [`crate::Store::may_have_seen`].
    pub(crate) fn may_hold(&self, id: IdHash) -> bool {
        let places = self.places.read();
        places.active.first.contains_key(&id)
            || places.sealed.iter().any(|(_, ids)| ids.first.contains_key(&id))
            || places.runs.iter().any(|run| run.may_hold(id))
    }

    /// Positions of all records that may answer for an id.
    pub(crate) fn find(&self, id: IdHash, segments: &Segments) -> Result<Vec<u64>, StoreError> {
        let mut positions = Vec::new();
        let runs = {
            let places = self.places.read();
            places.active.find(id, &mut positions);
            for (_, ids) in &places.sealed {
                ids.find(id, &mut positions);
            }
            places.runs.clone()
        };
        for run in runs {
            if !run
                .find(id, &mut positions)
                .map_err(refused("reading", run.path()))?
            {
                // The file is no longer what was written. The journal still knows, if slowly; the next open makes the
                // run again.
                tracing::error!(path = %run.path().display(), "a run of ids is damaged; searching the journal instead");
                let _ = fs::remove_file(run.path());
                from_journal(run.cover, segments)?.find(id, &mut positions);
            }
        }
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }
}

impl Places {
    /// Puts a run in place of those that it covers.
    fn insert(&mut self, run: Run, filter_bytes_max: usize) {
        let runs = match run.cover.ids {
            Held::All | Held::ForGood => &mut self.runs,
            Held::Past => &mut self.past,
        };
        runs.retain(|old| old.cover.end <= run.cover.base || old.cover.base >= run.cover.end);
        let at = runs.partition_point(|old| old.cover.base < run.cover.base);
        runs.insert(at, Arc::new(run));
        self.keep_within(filter_bytes_max);
    }

    /// Drops the filters of the oldest runs while there are too many bytes of them.
    #[expect(clippy::cast_precision_loss, reason = "gauges; far below 2^52")]
    fn keep_within(&mut self, filter_bytes_max: usize) {
        let mut bytes: usize = self.runs.iter().map(|run| run.filter_bytes()).sum();
        for run in &mut self.runs {
            if bytes <= filter_bytes_max {
                break;
            }
            // A run that a look-up holds right now keeps its filter until the next time.
            let held = run.filter_bytes();
            if held > 0
                && let Some(run) = Arc::get_mut(run)
            {
                run.drop_filter();
                bytes -= held;
                let path = run.path().display();
                tracing::warn!(%path, "no memory for these ids' filter (ID_FILTER_BYTES_MAX): look-ups read the disk");
            }
        }
        let all = self.runs.iter().chain(&self.past);
        let memory: usize = all.map(|run| run.memory_bytes()).sum();
        let past: usize = self.past.iter().map(|run| run.entries()).sum();
        let ids: usize = self.runs.iter().map(|run| run.entries()).sum();
        metrics::gauge!("farebox_store_id_filter_bytes").set(bytes as f64);
        metrics::gauge!("farebox_store_id_memory_bytes").set(memory as f64);
        metrics::gauge!("farebox_store_ids").set(ids as f64);
        metrics::gauge!("farebox_store_ids_past").set(past as f64);
        metrics::gauge!("farebox_store_id_runs").set(self.runs.len() as f64);
    }
}

impl Ids {
    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    /// A table holds seven in eight places at most, each with one byte of its own.
    fn memory_bytes(&self) -> usize {
        let places = (self.first.capacity() * 8).div_ceil(7);
        places * (size_of::<Entry>() + 1) + self.more.capacity() * size_of::<Entry>()
    }

    fn add(&mut self, id: IdHash, position: u64, at: i64) {
        self.times.add(at);
        use std::collections::hash_map::Entry;
        match self.first.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(position);
            }
            Entry::Occupied(_) => self.more.push((id, position)),
        }
    }

    fn find(&self, id: IdHash, positions: &mut Vec<u64>) {
        if let Some(&position) = self.first.get(&id) {
            positions.push(position);
            positions.extend(
                self.more
                    .iter()
                    .filter(|entry| entry.0 == id)
                    .map(|entry| entry.1),
            );
        }
    }

    fn sorted(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.first.iter().map(|(id, position)| (*id, *position)).collect();
        entries.extend(&self.more);
        entries.sort_unstable();
        entries
    }
}

/// What is covered twice was merged just before the end: the larger run stays.
fn without_overlaps(mut runs: Vec<Run>) -> Result<Vec<Arc<Run>>, StoreError> {
    runs.sort_by_key(|run| (run.cover.base, std::cmp::Reverse(run.cover.end)));
    let mut kept: Vec<Arc<Run>> = Vec::new();
    for run in runs {
        if kept.last().is_some_and(|last| run.cover.base < last.cover.end) {
            fs::remove_file(run.path()).map_err(refused("removing", run.path()))?;
        } else {
            kept.push(Arc::new(run));
        }
    }
    Ok(kept)
}

/// The ids of a stretch of segments, read from the journal itself; of those that are archived, from what was kept of them.
fn from_journal(cover: Cover, segments: &Segments) -> Result<Ids, StoreError> {
    let mut ids = Ids::default();
    let archived = segments.archived_until();
    let kept = match cover.base < archived {
        true => archived::open(segments)?,
        false => None,
    };
    if let Some(kept) = &kept {
        let here = cover.base..cover.end;
        for entry in kept.iter() {
            let (id, position) = entry.map_err(refused("reading", kept.path()))?;
            if here.contains(&position) && cover.holds(id) {
                ids.add(id, position, kept.cover.times.newest);
            }
        }
    }
    let position = match kept {
        Some(_) => cover.base.max(archived),
        None => cover.base,
    };
    if position >= cover.end {
        return Ok(ids);
    }
    let from = From {
        position,
        link: None,
        durable: position,
        until: Some(cover.end),
    };
    segments.walk(from, &mut |frame| {
        frame.records(segments, &mut |position, envelope| {
            let all = envelope.ids.iter().filter(|id| cover.holds(*id));
            all.for_each(|id| ids.add(id, position, envelope.at));
            Ok(())
        })
    })?;
    Ok(ids)
}
