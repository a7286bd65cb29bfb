//! The ids that archived segments answer for: kept in the data folder, because they must be found, and cannot be read from
//! segments that are not there.
//!
//! One run covers all archived segments. It holds the ids that are kept for good, and those of usage that may not be
//! forgotten yet: a sandbox whose clock is ahead can have some. It is made when segments are archived, merged from the run
//! before it and the new segments, in memory that does not grow with them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::merge::Merge;
use super::run::{Cover, Entry, Held, Run, Times};
use crate::contract::{IdHash, Keep, StoreError};
use crate::journal::frame::JournalId;
use crate::journal::place::{Damage, refused};
use crate::journal::segments::Segments;
use crate::limits::ARCHIVE_IDS_GATHERED_MAX;
use crate::listing::FileEntry;

/// Above all that merging reaches: it is never merged with others.
pub(super) const LEVEL: u32 = 1 << 16;
/// Within the folder; removed when it is no longer needed.
const MAKING: &str = "making";

/// The run of all archived segments. None: nothing is archived; or the run cannot be read, but the archive can.
pub(crate) fn open(segments: &Segments) -> Result<Option<Run>, StoreError> {
    let elsewhere = segments.elsewhere();
    let Some(known) = elsewhere.known() else {
        return Ok(None);
    };
    let Some(ids) = &known.ids else {
        return Ok(None);
    };
    let path = elsewhere.dir().join(&ids.name);
    let what = match Run::open(&path, &known.journal) {
        Ok(Some(run)) if run.cover.end == known.end() => return Ok(Some(run)),
        Ok(_) => "the ids of archived segments are not what was written",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "the ids of archived segments are missing",
        Err(error) => return Err(refused("opening", &path)(error)),
    };
    if segments.is_whole() {
        tracing::warn!(path = %path.display(), what, "they are read from the archive instead");
        return Ok(None);
    }
    Err(Damage::new(what).at(&path, 0))
}

/// Gathers the ids of segments that are being archived.
pub(crate) struct Gatherer<'a> {
    folder: &'a Path,
    journal: JournalId,
    /// Ids of usage of records from this time on are kept.
    horizon: i64,
    gathered: Vec<Entry>,
    parts: Vec<Arc<Run>>,
    /// Of the ids of usage that are kept.
    times: Times,
}

impl<'a> Gatherer<'a> {
    /// `folder` is where the run will be.
    pub(crate) fn begin(
        folder: &'a Path,
        journal: JournalId,
        before: Option<Run>,
        horizon: i64,
    ) -> Result<Gatherer<'a>, StoreError> {
        let making = folder.join(MAKING);
        let _ = fs::remove_dir_all(&making); // of a time that was interrupted
        fs::create_dir_all(&making).map_err(refused("making", &making))?;
        let mut times = Times::default();
        if let Some(before) = &before
            && before.cover.ids == Held::All
        {
            times = before.cover.times;
        }
        Ok(Gatherer {
            folder,
            journal,
            horizon,
            gathered: Vec::new(),
            parts: before.into_iter().map(Arc::new).collect(),
            times,
        })
    }

    /// Adds a record's ids.
    pub(crate) fn add(
        &mut self,
        ids: impl Iterator<Item = IdHash>,
        position: u64,
        at: i64,
    ) -> Result<(), StoreError> {
        for id in ids {
            let young = at >= self.horizon;
            if id.keep() == Keep::Window && young {
                self.times.add(at);
            }
            if id.keep() == Keep::ForGood || young {
                self.gathered.push((id, position));
            }
        }
        match self.gathered.len() >= ARCHIVE_IDS_GATHERED_MAX {
            true => self.put_by(),
            false => Ok(()),
        }
    }

    /// Writes what was gathered to a run of its own.
    fn put_by(&mut self) -> Result<(), StoreError> {
        let mut entries = std::mem::take(&mut self.gathered);
        entries.sort_unstable();
        // The name is made of what it covers, and these never stay.
        let number = self.parts.len() as u64;
        let cover = self.cover(number, number + 1);
        let making = self.folder.join(MAKING);
        let count = entries.len();
        let run = Run::write(
            &making,
            &self.journal,
            cover,
            count,
            &mut entries.into_iter().map(Ok),
        );
        self.parts
            .push(Arc::new(run.map_err(refused("writing ids in", &making))?));
        Ok(())
    }

    /// Writes the run of all segments before `end`, durably.
    pub(crate) fn finish(mut self, end: u64) -> Result<FileEntry, StoreError> {
        self.put_by()?;
        let cover = self.cover(0, end);
        let kept = |entry: &io::Result<Entry>| match entry {
            Ok((id, _)) => cover.holds(*id),
            Err(_) => true,
        };
        let merged = || Merge::new(&self.parts).filter(kept);
        let failed = |error| refused("merging ids in", self.folder)(error);
        let count = merged().count();
        let run = Run::write(self.folder, &self.journal, cover, count, &mut merged()).map_err(failed)?;
        let _ = fs::remove_dir_all(self.folder.join(MAKING));
        let name = run.path().file_name().unwrap_or_default().to_string_lossy();
        FileEntry::of(run.path(), format!("{}/{name}", crate::journal::archived::FOLDER))
    }

    fn cover(&self, base: u64, end: u64) -> Cover {
        let ids = match self.times.newest >= self.horizon {
            true => Held::All,
            false => Held::ForGood,
        };
        Cover {
            base,
            end,
            level: LEVEL,
            times: self.times,
            ids,
        }
    }
}
