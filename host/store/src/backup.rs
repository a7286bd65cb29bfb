//! Backups: a copy of everything that cannot be made again, taken while a server runs or not.
//!
//! ```text
//! to/manifest           what belongs to it: every file with its size and BLAKE3, and how far the journal goes
//! to/journal/*.packed   complete segments, compressed; never written again
//! to/tail/*.packed      the durable front of the segment that is written to
//! to/blobs/*.blob       components and parameters
//! to/archived/*         where the first segments are in an archive that was not at hand: the list of what is there,
//! to/snapshots/*        the ids that it answers for, and the snapshot that stands for it
//! ```
//! The journal and the blobs are all there is to keep: state and ids follow from them, API keys are records of the
//! journal, and compiled plans are compiled again. What is there from the last time is not copied again.
//!
//! **Invariants**: *every frame that is copied is read back from the copy, with its checksum, its chain and each record's
//! checksum, before the manifest names it.* *The manifest is replaced in one step, and never names a file that may still
//! change*; so a backup that is interrupted at any moment leaves the one before it whole. *What was answered before the
//! backup began is in it*: the file that is written to is synced before its end counts.
//!
//! **Rejected**: asking the server to copy (a server that does not start is when a backup is wanted most); copying the
//! state (sled's files change while they are read).

mod kept;
mod manifest;
mod restore;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::StoreError;
use crate::disk::{Disk, DiskFile, OsDisk};
use crate::journal::archived;
use crate::journal::frame::Link;
use crate::journal::packed::{self, PackedFile};
use crate::journal::place::refused;
use crate::journal::segments::{Segments, Span};
use crate::journal::walk::From;
use crate::listing::{FileEntry, SegmentEntry};
use manifest::Manifest;

pub use restore::{RestoreReport, restore};

/// What a backup did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Where the journal ends in it.
    pub end: u64,
    /// Segments copied now, the one that is written to among them.
    pub segments_copied: u64,
    /// Segments that were there.
    pub segments_kept: u64,
    /// Records in what was copied, each verified in the copy.
    pub records_verified: u64,
    /// Blobs copied now.
    pub blobs_copied: u64,
    /// Blobs that were there.
    pub blobs_kept: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// Copies the store in `dir` to `to`, or brings the backup that is there up to date. Segments that are archived are copied
/// too, from `archive`; without it a new backup begins behind them, with the snapshot that stands for them. `progress` is told
/// the bytes of the journal that are done, and how many there are.
///
/// The folder's lock is not taken: a server may run, and goes on. Two backups to one folder exclude each other.
///
/// # Errors
/// [`StoreError::Damaged`] where the journal or the backup is not what was written; [`StoreError::Backup`] where `to` holds
/// something else, or lacks what is archived; [`StoreError::Locked`] while another backup writes there.
pub fn backup(
    dir: &Path,
    archive: Option<&Path>,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackupReport, StoreError> {
    let folders = Folders::make(to)?;
    let _lock = folders.lock()?;
    let before = Manifest::read(to)?;
    let segments = list(&dir.join("journal"), archive)?;
    if let Some(before) = &before {
        if before.journal != segments.journal() {
            return Err(StoreError::Backup {
                path: to.display().to_string(),
                what: "it is the backup of another journal".into(),
            });
        }
        if before.end > segments.end() {
            return Err(StoreError::Backup {
                path: to.display().to_string(),
                what: format!(
                    "it goes up to {}, and the journal only to {}",
                    before.end,
                    segments.end()
                ),
            });
        }
    }
    let mut next = Manifest::begin(segments.journal(), before.as_ref());
    let mut report = BackupReport {
        segments_kept: next.segments.len() as u64,
        ..BackupReport::default()
    };
    if next.segments.is_empty() && next.kept.is_empty() && !segments.is_whole() {
        next.kept = kept::copy(dir, to, &segments)?;
        report.bytes_written += next.kept.iter().map(|file| file.bytes).sum::<u64>();
    }
    let source = look(&segments, &next, before.as_ref(), to)?;
    for part in &source.parts {
        let span = part.span;
        progress(span.base, source.end);
        let sealed = span.end <= source.active;
        let name = match sealed {
            true => format!("journal/{:020}.packed", span.base),
            false => format!("tail/{:020}-{:020}.packed", span.base, source.end),
        };
        let (file, packed) = copy_segment(&segments, part, &to.join(&name), name)?;
        report.bytes_written += file.bytes;
        report.segments_copied += 1;
        report.records_verified += verify_copy(&segments, to, part, packed)?;
        let entry = SegmentEntry {
            base: span.base,
            end: span.end,
            link: part.link,
            frames_end: part.frames_end,
            file,
        };
        match sealed {
            true => next.segments.push(entry),
            false => next.tail = Some(entry),
        }
    }
    next.end = source.end;
    report.end = source.end;
    // After the journal: a blob is durable before the first record that names it.
    copy_blobs(&dir.join("blobs"), to, before.as_ref(), &mut next, &mut report)?;
    folders.sync()?;
    next.write(to)?;
    remove_old_tails(to, next.tail.as_ref())?;
    progress(source.end, source.end);
    Ok(report)
}

/// What there is to copy.
struct Source {
    /// One segment after the other.
    parts: Vec<Part>,
    /// Where the segment begins that is written to.
    active: u64,
    /// Where the journal ends.
    end: u64,
}

/// A segment that there is to copy.
struct Part {
    span: Span,
    /// What its first frame is chained to.
    link: Link,
    /// Where its frames end.
    frames_end: u64,
    /// What the frame behind them is chained to.
    last: Link,
}

/// The segments of a journal that somebody may be writing to at this moment.
fn list(folder: &Path, archive: Option<&Path>) -> Result<Segments, StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    Segments::list_beside(&disk, folder, archive)?.ok_or_else(|| StoreError::Backup {
        path: folder.display().to_string(),
        what: "there is no journal in it".into(),
    })
}

/// Reads every frame behind what the backup has, and makes sure that all of them are on the disk.
fn look(
    segments: &Segments,
    next: &Manifest,
    before: Option<&Manifest>,
    to: &Path,
) -> Result<Source, StoreError> {
    let refuse = |what: String| StoreError::Backup {
        path: to.display().to_string(),
        what,
    };
    let tail = before.and_then(|before| before.tail.as_ref());
    let known = segments.elsewhere().known();
    // From where the last frame ended that the backup has for good, or that something stands for: the next one names it.
    let (position, complete) = match (next.segments.last(), &known) {
        (Some(last), _) => (last.frames_end, last.end),
        (None, Some(known)) if !next.kept.is_empty() => {
            let complete = tail.map_or(known.end(), |tail| tail.base);
            let last = known.segments.iter().find(|entry| entry.end == complete);
            let last = last.ok_or_else(|| refuse("its manifest has a gap".into()))?;
            (last.frames_end, complete)
        }
        (None, _) => (0, 0),
    };
    let archived = segments.archived_until();
    if complete < archived && !segments.is_whole() {
        return Err(refuse(format!(
            "it lacks the journal from {complete} to {archived}, which is in an archive. Name the archive with archive_dir, \
             or begin a new backup in another folder"
        )));
    }
    // The link of a segment that the backup has is that of its tail then; of a new one, what the walk has come to.
    let link = match (tail, &known) {
        (Some(tail), _) if tail.base == complete => tail.link,
        (Some(_), _) => return Err(refuse("its manifest has a gap".into())),
        (None, Some(known)) if complete > 0 => known.link,
        (None, _) => segments.journal(),
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut current = link;
    let from = From {
        position,
        link: Some(link),
        durable: position,
        until: None,
    };
    let found = segments.walk_beside(from, &mut |frame, link| {
        if parts.last().is_none_or(|part| part.span.base != frame.base)
            && let Some(span) = segments.span_of(frame.base)
        {
            let (frames_end, last) = (frame.end(), link);
            parts.push(Part {
                span,
                link: current,
                frames_end,
                last,
            });
        }
        if let Some(part) = parts.last_mut() {
            (part.frames_end, part.last) = (frame.end(), link);
        }
        current = link;
        frame.records(segments, &mut |_, _| Ok(()))
    })?;
    let active = parts.last().map_or(complete, |part| part.span.base);
    if parts.last().is_some() {
        let path = segments.path(active);
        segments
            .file(active)?
            .sync_data()
            .map_err(refused("syncing", &path))?;
    }
    Ok(Source {
        parts,
        active,
        end: found,
    })
}

/// Writes a segment's copy under its name, durably.
fn copy_segment(
    segments: &Segments,
    part: &Part,
    path: &Path,
    name: String,
) -> Result<(FileEntry, PackedFile), StoreError> {
    let span = part.span;
    let front = Front {
        file: segments.file(span.base)?,
        bytes: part.frames_end - span.base,
        whole: span.end - span.base,
    };
    let unfinished = path.with_extension("tmp");
    let into = OsDisk
        .create(&unfinished)
        .map_err(refused("creating", &unfinished))?;
    packed::write(
        &*into,
        segments.journal(),
        span.base,
        front.whole,
        &front,
        &mut || Ok(()),
    )
    .map_err(refused("copying a segment to", &unfinished))?;
    into.sync_all().map_err(refused("syncing", &unfinished))?;
    fs::rename(&unfinished, path).map_err(refused("naming", path))?;
    let entry = FileEntry::of(path, name)?;
    Ok((entry, PackedFile::open(into, path)?.1))
}

/// The durable front of a segment; behind it there are zeros, whatever is being written there.
#[derive(Debug)]
struct Front {
    file: Arc<dyn DiskFile>,
    bytes: u64,
    whole: u64,
}

impl DiskFile for Front {
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let within = |end: u64| {
            usize::try_from(end.saturating_sub(offset))
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let (front, all) = (within(self.bytes), within(self.whole));
        if front > 0 {
            return self.file.read_at(&mut bytes[..front], offset);
        }
        bytes[..all].fill(0);
        Ok(all)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.whole)
    }
}

/// Reads every frame of a copied segment back from its copy. The answer is how many records they have.
fn verify_copy(segments: &Segments, to: &Path, part: &Part, packed: PackedFile) -> Result<u64, StoreError> {
    let copied = Segments::of_copies(segments.journal(), &to.join("journal"), vec![(part.span, packed)]);
    let from = From {
        position: part.span.base,
        link: None,
        durable: part.frames_end,
        until: None,
    };
    let (mut records, mut first) = (0, None);
    let tail = copied.walk(from, &mut |frame| {
        first.get_or_insert(frame.header.previous);
        frame.records(&copied, &mut |_, _| {
            records += 1;
            Ok(())
        })
    })?;
    let whole = tail.end == part.frames_end && tail.torn.is_empty();
    if whole && first == Some(part.link) && tail.link == Some(part.last) {
        Ok(records)
    } else {
        Err(StoreError::Backup {
            path: copied.path(part.span.base).display().to_string(),
            what: format!(
                "the copy ends at {}, and what was copied at {}",
                tail.end, part.frames_end
            ),
        })
    }
}

/// Blobs never change under their name, so one that is there is not copied again.
fn copy_blobs(
    from: &Path,
    to: &Path,
    before: Option<&Manifest>,
    next: &mut Manifest,
    report: &mut BackupReport,
) -> Result<(), StoreError> {
    let mut names: Vec<PathBuf> = match fs::read_dir(from) {
        Ok(files) => files
            .map(|file| file.map(|file| file.path()))
            .collect::<io::Result<_>>()
            .map_err(refused("listing", from))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(refused("listing", from)(error)),
    };
    names.retain(|path| path.extension().is_some_and(|extension| extension == "blob"));
    names.sort_unstable();
    for path in names {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let (name, target) = (format!("blobs/{name}"), to.join("blobs").join(name));
        if let Some(kept) = before.and_then(|before| before.blobs.iter().find(|blob| blob.name == name)) {
            next.blobs.push(kept.clone());
            report.blobs_kept += 1;
            continue;
        }
        copy_synced(&path, &target)?;
        let entry = FileEntry::of(&target, name)?;
        if entry.hash != FileEntry::of(&path, String::new())?.hash {
            return Err(StoreError::Backup {
                path: target.display().to_string(),
                what: "the copy is not what was copied".into(),
            });
        }
        report.blobs_copied += 1;
        report.bytes_written += entry.bytes;
        next.blobs.push(entry);
    }
    Ok(())
}

fn copy_synced(from: &Path, to: &Path) -> Result<(), StoreError> {
    let unfinished = to.with_extension("tmp");
    fs::copy(from, &unfinished).map_err(refused("copying to", &unfinished))?;
    File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .map_err(refused("syncing", &unfinished))?;
    fs::rename(&unfinished, to).map_err(refused("naming", to))
}

/// Tails of earlier times: the manifest names them no longer.
fn remove_old_tails(to: &Path, tail: Option<&SegmentEntry>) -> Result<(), StoreError> {
    let folder = to.join("tail");
    for file in fs::read_dir(&folder).map_err(refused("listing", &folder))? {
        let path = file.map_err(refused("listing", &folder))?.path();
        if tail.is_none_or(|tail| to.join(&tail.file.name) != path) {
            fs::remove_file(&path).map_err(refused("removing", &path))?;
        }
    }
    Ok(())
}

/// The folders of a backup.
struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes what is missing; refuses a folder with other things in it.
    fn make(to: &Path) -> Result<Folders, StoreError> {
        fs::create_dir_all(to).map_err(refused("making", to))?;
        let known = [
            "manifest",
            "manifest.tmp",
            "journal",
            "tail",
            "blobs",
            "lock",
            archived::FOLDER,
            "snapshots",
        ];
        for file in fs::read_dir(to).map_err(refused("listing", to))? {
            let name = file.map_err(refused("listing", to))?.file_name();
            if !known.iter().any(|known| name == *known) {
                return Err(StoreError::Backup {
                    path: to.display().to_string(),
                    what: format!("there are other things in it ({})", name.display()),
                });
            }
        }
        let folders: Vec<PathBuf> = ["journal", "tail", "blobs"]
            .iter()
            .map(|name| to.join(name))
            .collect();
        for folder in &folders {
            fs::create_dir_all(folder).map_err(refused("making", folder))?;
        }
        Ok(Folders([folders, vec![to.to_path_buf()]].concat()))
    }

    fn lock(&self) -> Result<File, StoreError> {
        let Some(to) = self.0.last() else {
            return Err(StoreError::Backup {
                path: String::new(),
                what: "it has no folder".into(),
            });
        };
        let path = to.join("lock");
        let file = File::create(&path).map_err(refused("opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(_) => Err(StoreError::Locked {
                path: to.display().to_string(),
            }),
        }
    }

    /// Makes the names in them durable.
    fn sync(&self) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|folder| {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(refused("syncing", folder))
        })
    }
}
