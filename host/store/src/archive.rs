//! Moving old segments to an archive, while a server runs or not.
//!
//! ```text
//! to/manifest           every segment with its size, its BLAKE3 and how it hangs together with the next
//! to/journal/*.packed   the segments, as they were in the data folder
//! dir/archived/list     the same list: what the store knows of what is not there any more
//! dir/archived/*.ids    the ids that those segments answer for, which must be found all the same
//! ```
//! Segments go from the oldest on, without a gap, and only while all of this holds: they are complete and packed; they lie
//! wholly behind the newest sound snapshot, so that `journal rebuild` needs none of them; and their newest record is older
//! than the retention. A record's time counts only up to now: what is later is of a sandbox whose clock is ahead.
//!
//! **Invariant: a segment is removed only when the archive holds it under its name, durable, read back byte for byte and
//! frame by frame, and the data folder's list, which is durable too, names it.** The steps come in this order: copy, sync,
//! verify in the copy, name, manifest; ids; list; remove. Behind each of them the journal is whole, here or there; a run that
//! was interrupted is done again, and what it had done is verified and kept.
//!
//! **Rejected**: renaming across (an archive is most useful on another disk); telling the server (it notices that a file is
//! gone when it needs it, and once a second without need); deciding by the time of files (a copy or a restore makes them
//! young).

mod look;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admit;
use crate::contract::StoreError;
use crate::disk::{Disk, OsDisk, read_up_to, write_whole};
use crate::ids::archived::Gatherer;
use crate::journal::archived::{Archived, FOLDER, LIST, MANIFEST};
use crate::journal::packed::PackedFile;
use crate::journal::place::{Damage, refused};
use crate::journal::segments::{Form, Segments, Span, file_name};
use crate::journal::walk::From;
use crate::limits::ARCHIVE_RETENTION_DAYS_MIN;
use crate::listing::{FileEntry, SegmentEntry};
use crate::store::{Lock, lock_snapshots, newest_snapshot};
use look::{Looked, choose, look};

const MICROS_PER_DAY: i64 = 24 * 3_600 * 1_000_000;
/// Files are copied this much at a time.
const COPY_BYTES: usize = 1 << 20;

/// What is archived, and where to.
pub struct ArchivePlan<'a> {
    /// The data folder.
    pub dir: &'a Path,
    /// The archive: made, or added to.
    pub to: &'a Path,
    /// Least age of the newest record of a segment, in days; at least [`ARCHIVE_RETENTION_DAYS_MIN`].
    pub retention_days: u32,
    /// Now (microseconds since the epoch).
    pub now: i64,
}

/// What was archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArchiveReport {
    /// Segments that were moved now.
    pub segments_archived: u64,
    /// Segments that were in the archive before.
    pub segments_before: u64,
    /// Records in what was moved, each verified in the copy.
    pub records_verified: u64,
    /// Bytes that were written to the archive.
    pub bytes_written: u64,
    /// Bytes that were given back in the data folder.
    pub bytes_removed: u64,
    /// The journal up to here is in the archive.
    pub until: u64,
    /// The snapshot that stands for it reaches up to here.
    pub snapshot: u64,
    /// Why it ends there.
    pub ended: Ended,
}

/// Why no further segment was archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ended {
    /// The next one has records that are not old enough.
    #[default]
    Retention,
    /// The next one does not lie behind the newest snapshot.
    Snapshot,
    /// The next one is not compressed yet, or is written to.
    NotPacked,
}

/// Moves what may be moved. `progress` is told the bytes of the journal that are done, and how many there are.
///
/// The data folder's lock is not taken: a server may run, and goes on. It reads what was moved where `archive_dir` says.
///
/// # Errors
/// [`StoreError::Damaged`] where a segment or a copy is not what was written; [`StoreError::Backup`] where `to` is not the
/// archive of this journal, or there is no sound snapshot; [`StoreError::Limit`] for a retention below the least;
/// [`StoreError::Locked`] while a snapshot is made, or somebody else writes to the archive.
pub fn archive(
    plan: &ArchivePlan<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ArchiveReport, StoreError> {
    archive_on(Arc::new(OsDisk), plan, progress)
}

/// As [`archive`], on another [`Disk`]: for tests that record and fail writes.
///
/// # Errors
/// As [`archive`].
#[expect(clippy::needless_pass_by_value, reason = "as `JournalStore::open_on`")]
pub fn archive_on(
    disk: Arc<dyn Disk>,
    plan: &ArchivePlan<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ArchiveReport, StoreError> {
    if plan.retention_days < ARCHIVE_RETENTION_DAYS_MIN {
        let (actual, min) = (plan.retention_days as usize, ARCHIVE_RETENTION_DAYS_MIN as usize);
        let what = "the days after which segments are archived";
        return Err(admit::limit(what, "ARCHIVE_RETENTION_DAYS_MIN", actual, min));
    }
    let snapshots = plan.dir.join("snapshots");
    let _alone = lock_snapshots(&snapshots)?;
    let _archive = claim(plan.to)?;
    let journal = plan.dir.join("journal");
    let segments = Segments::list_beside(&disk, &journal, Some(plan.to))?;
    let segments = segments.ok_or_else(|| refuse(&journal, "there is no journal in it"))?;
    let Some((_, meta)) = newest_snapshot(&snapshots, &segments)? else {
        let what = "there is no sound snapshot in it, and one must stand for what is archived. \
                    `farebox journal snapshot` makes one";
        return Err(refuse(&snapshots, what));
    };
    let work = Work {
        disk: &*disk,
        plan,
        segments: &segments,
        folder: plan.dir.join(FOLDER),
        there: plan.to.join("journal"),
    };
    let (known, manifest) = work.lists()?;
    let mut report = ArchiveReport {
        segments_before: known.segments.len() as u64,
        snapshot: meta.applied,
        ..ArchiveReport::default()
    };
    let (list, ended) = work.copy(&known, manifest, meta.applied, &mut report, progress)?;
    if list.end() > known.end() {
        list.write(&*disk, &work.folder, LIST)?;
    }
    // Only now, and also what a run before this one could not remove any more.
    report.bytes_removed = work.remove(&list, &known)?;
    report.segments_archived = (list.segments.len() - known.segments.len()) as u64;
    (report.until, report.ended) = (list.end(), ended);
    progress(list.end(), segments.end());
    Ok(report)
}

/// Makes the archive's folder, refuses one with other things in it, and keeps others out.
fn claim(to: &Path) -> Result<Lock, StoreError> {
    fs::create_dir_all(to).map_err(refused("making", to))?;
    let ours = [MANIFEST, "manifest.tmp", "journal", "lock"];
    for file in fs::read_dir(to).map_err(refused("listing", to))? {
        let name = file.map_err(refused("listing", to))?.file_name();
        if !ours.iter().any(|ours| name == *ours) {
            return Err(refuse(
                to,
                &format!("there are other things in it ({})", name.display()),
            ));
        }
    }
    if to.join("journal").is_dir() && !to.join(MANIFEST).exists() {
        let mut inside = fs::read_dir(to.join("journal")).map_err(refused("listing", to))?;
        // An archive whose very first segment was on its way.
        let first = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(&"0".repeat(20));
        if !inside.all(|file| file.is_ok_and(|file| first(&file.file_name()))) {
            return Err(refuse(to, "its manifest is missing"));
        }
    }
    let inside = to.join("journal");
    fs::create_dir_all(&inside).map_err(refused("making", &inside))?;
    for folder in [Some(to), to.parent()].into_iter().flatten() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(refused("syncing", folder))?;
    }
    Lock::of(to)
}

fn refuse(path: &Path, what: &str) -> StoreError {
    StoreError::Backup {
        path: path.display().to_string(),
        what: what.into(),
    }
}

/// One run.
struct Work<'a> {
    disk: &'a dyn Disk,
    plan: &'a ArchivePlan<'a>,
    segments: &'a Segments,
    /// Of the data folder's list.
    folder: PathBuf,
    /// Where the archive's segments are.
    there: PathBuf,
}

impl Work<'_> {
    /// The data folder's list and the archive's, which has everything that the other has, and may have more.
    fn lists(&self) -> Result<(Archived, Archived), StoreError> {
        let journal = self.segments.journal();
        let known = self.segments.elsewhere().known();
        let known = known.map_or_else(|| Archived::none(journal), |known| (*known).clone());
        let manifest = Archived::read(self.plan.to, MANIFEST)?.unwrap_or_else(|| Archived::none(journal));
        if manifest.journal != journal {
            return Err(refuse(self.plan.to, "it is the archive of another journal"));
        }
        if !manifest.segments.starts_with(&known.segments) {
            let what = format!(
                "it does not hold the journal up to {}, which was archived before: name the folder that does",
                known.end()
            );
            return Err(refuse(self.plan.to, &what));
        }
        Ok((known, manifest))
    }

    /// Copies and verifies every segment that may go. The answer is the list with them, and why it ends.
    fn copy(
        &self,
        known: &Archived,
        mut manifest: Archived,
        snapshot: u64,
        report: &mut ArchiveReport,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Archived, Ended), StoreError> {
        let (chosen, ended) = choose(self.segments, known.end(), snapshot, self.plan)?;
        let mut list = known.clone();
        if chosen.is_empty() {
            return Ok((list, ended));
        }
        let days = i64::from(ARCHIVE_RETENTION_DAYS_MIN);
        let mut ids = self.gatherer(self.plan.now.saturating_sub(days * MICROS_PER_DAY))?;
        for span in chosen {
            progress(span.base, self.segments.end());
            let looked = look(self.segments, span, &list, &mut |_, _, _| Ok(()))?;
            let entry = self.copy_segment(span, &looked, manifest.segment(span.base), report)?;
            report.records_verified += looked.records;
            // Once more, from what is left when the segment is removed here: the copy.
            let path = self.plan.to.join(&entry.file.name);
            let copied = self.copied(span, &path)?;
            let there = look(&copied, span, &list, &mut |of_record, position, at| {
                ids.add(of_record.iter().copied(), position, at)
            })?;
            if there != looked {
                return Err(Damage::new("the copy does not hold what was copied").at(&path, 0));
            }
            list.link = looked.last;
            for (tenant, newest) in looked.newest {
                let known = list.newest.entry(tenant).or_insert(newest);
                *known = newest.max(*known);
            }
            list.segments.push(entry);
            if !manifest.segments.starts_with(&list.segments) {
                manifest = Archived {
                    ids: None,
                    ..list.clone()
                };
                manifest.write(self.disk, self.plan.to, MANIFEST)?;
            }
        }
        list.ids = Some(ids.finish(list.end())?);
        Ok((list, ended))
    }

    fn gatherer(&self, horizon: i64) -> Result<Gatherer<'_>, StoreError> {
        fs::create_dir_all(&self.folder).map_err(refused("making", &self.folder))?;
        File::open(self.plan.dir)
            .and_then(|folder| folder.sync_all())
            .map_err(refused("syncing", self.plan.dir))?;
        let before = crate::ids::archived::open(self.segments)?;
        let lost = before.is_none();
        let mut gatherer = Gatherer::begin(&self.folder, self.segments.journal(), before, horizon)?;
        let archived = self.segments.archived_until();
        if lost && archived > 0 {
            let from = From {
                position: 0,
                link: Some(self.segments.journal()),
                durable: 0,
                until: Some(archived),
            };
            self.segments.walk(from, &mut |frame| {
                frame.records(self.segments, &mut |position, envelope| {
                    gatherer.add(envelope.ids.iter(), position, envelope.at)
                })
            })?;
        }
        Ok(gatherer)
    }

    /// Copies a segment's file and reads the copy back, unless the archive has it already.
    fn copy_segment(
        &self,
        span: Span,
        looked: &Looked,
        there: Option<&SegmentEntry>,
        report: &mut ArchiveReport,
    ) -> Result<SegmentEntry, StoreError> {
        let file = file_name(span.base, Form::Packed);
        let name = format!("journal/{file}");
        let from = self.segments.path(span.base);
        let path = self.there.join(&file);
        let source = FileEntry::of(&from, name.clone())?;
        let entry = SegmentEntry {
            base: span.base,
            end: span.end,
            link: looked.link,
            frames_end: looked.frames_end,
            file: source,
        };
        if there == Some(&entry) && path.exists() && FileEntry::of(&path, name.clone())? == entry.file {
            return Ok(entry);
        }
        let unfinished = path.with_extension("tmp");
        copy_file(self.disk, &from, &unfinished)?;
        self.disk
            .rename(&unfinished, &path)
            .map_err(refused("naming", &path))?;
        self.disk
            .sync_folder(&self.there)
            .map_err(refused("syncing", &self.there))?;
        if FileEntry::of(&path, name)? != entry.file {
            return Err(Damage::new("the copy is not what was copied").at(&path, 0));
        }
        report.bytes_written += entry.file.bytes;
        Ok(entry)
    }

    /// A copied segment alone, to be read as any other.
    fn copied(&self, span: Span, path: &Path) -> Result<Segments, StoreError> {
        let file = self.disk.open_to_read(path).map_err(refused("opening", path))?;
        let (_, packed) = PackedFile::open(file, path)?;
        let journal = self.segments.journal();
        Ok(Segments::of_copies(journal, &self.there, vec![(span, packed)]))
    }

    /// Removes what the list names from the journal, oldest first. The answer is the bytes that were given back.
    fn remove(&self, list: &Archived, known: &Archived) -> Result<u64, StoreError> {
        let journal = self.plan.dir.join("journal");
        let mut bytes = 0;
        for entry in &list.segments {
            let forms = [Form::Written, Form::Packed].map(|form| journal.join(file_name(entry.base, form)));
            let here = forms.iter().filter(|path| path.exists());
            let mut checked = known.segment(entry.base).is_none();
            for path in here {
                if !checked {
                    // Left by a run that was interrupted, some time ago.
                    entry.file.check(self.plan.to)?;
                    checked = true;
                }
                bytes += fs::metadata(path).map_or(0, |found| found.len());
                self.disk.remove(path).map_err(refused("removing", path))?;
            }
        }
        if bytes > 0 {
            self.disk
                .sync_folder(&journal)
                .map_err(refused("syncing", &journal))?;
        }
        self.remove_old_ids(list)?;
        Ok(bytes)
    }

    /// Runs that the list names no longer.
    fn remove_old_ids(&self, list: &Archived) -> Result<(), StoreError> {
        let Some(ids) = &list.ids else { return Ok(()) };
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files.map_err(refused("listing", &self.folder))?,
        };
        for file in files {
            let path = file.map_err(refused("listing", &self.folder))?.path();
            let is_run = path.extension().is_some_and(|extension| extension == "ids");
            if is_run && path != self.plan.dir.join(&ids.name) {
                fs::remove_file(&path).map_err(refused("removing", &path))?;
            }
        }
        Ok(())
    }
}

/// Copies a file's bytes, durably.
fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = disk.open_to_read(from).map_err(refused("opening", from))?;
    let target = disk.create(to).map_err(refused("creating", to))?;
    let (mut piece, mut at) = (vec![0; COPY_BYTES], 0);
    loop {
        let read = read_up_to(&*source, &mut piece, at).map_err(refused("reading", from))?;
        if read == 0 {
            return target.sync_all().map_err(refused("syncing", to));
        }
        write_whole(&*target, &piece[..read], at).map_err(refused("copying to", to))?;
        at += read as u64;
    }
}
