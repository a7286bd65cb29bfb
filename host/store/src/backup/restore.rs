//! From a backup to a folder that a server starts on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::Manifest;
use super::{Folders, copy_synced, kept};
use crate::contract::{Fold, StoreError};
use crate::disk::{Disk as _, OsDisk, read_up_to, write_whole};
use crate::journal::packed::{PackedFile, unread};
use crate::journal::place::refused;
use crate::journal::segments::{Form, file_name};
use crate::journal::verify::{JournalReport, verify_journal};
use crate::limits::PACK_BLOCK_BYTES;
use crate::listing::{FileEntry, SegmentEntry};
use crate::store::{JournalStore, Options};

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreReport {
    /// The journal, every frame of which was read in its new place.
    pub journal: JournalReport,
    /// Blobs.
    pub blobs: u64,
    /// Bytes written, without the state.
    pub bytes_written: u64,
}

/// Makes the folder `dir` from the backup in `from`: checks every file against the manifest, copies it, reads the whole
/// journal in its new place, and makes the state from it. `dir` must not be there yet, or be empty; it gets its name only
/// when everything in it is proven and durable, so a restore that is interrupted leaves nothing that looks like a store.
///
/// `progress` is told what is being done, how much of it is done, and how much there is.
///
/// # Errors
/// [`StoreError::Damaged`] where a file of the backup is not what its manifest says, by name; [`StoreError::Backup`] where
/// `from` is no backup or `dir` is not empty; what [`JournalStore::rebuild`] refuses.
pub fn restore(
    from: &Path,
    dir: &Path,
    options: Options,
    fold: Arc<dyn Fold>,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<RestoreReport, StoreError> {
    let refuse = |path: &Path, what: &str| StoreError::Backup {
        path: path.display().to_string(),
        what: what.into(),
    };
    let manifest = Manifest::read(from)?.ok_or_else(|| refuse(from, "there is no manifest in it"))?;
    let empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if !empty {
        return Err(refuse(
            dir,
            "it is not empty; name a folder that is not there yet",
        ));
    }
    let unfinished = unfinished(dir);
    let _ = fs::remove_dir_all(&unfinished); // of a restore that was interrupted
    for folder in ["journal", "blobs"] {
        let folder = unfinished.join(folder);
        fs::create_dir_all(&folder).map_err(refused("making", &folder))?;
    }
    let mut bytes_written = 0;
    let files =
        manifest.segments.len() as u64 + u64::from(manifest.tail.is_some()) + manifest.blobs.len() as u64;
    let copied = |file: &FileEntry, done: &mut u64, progress: &mut dyn FnMut(&'static str, u64, u64)| {
        *done += 1;
        bytes_written += file.bytes;
        progress("copying", *done, files);
    };
    let (mut done, mut copied) = (0, copied);
    for segment in &manifest.segments {
        segment.file.check(from)?;
        let target = unfinished
            .join("journal")
            .join(file_name(segment.base, Form::Packed));
        copy_synced(&from.join(&segment.file.name), &target)?;
        copied(&segment.file, &mut done, progress);
    }
    if let Some(tail) = &manifest.tail {
        tail.file.check(from)?;
        unpack(
            from,
            tail,
            &unfinished
                .join("journal")
                .join(file_name(tail.base, Form::Written)),
        )?;
        copied(&tail.file, &mut done, progress);
    }
    for blob in &manifest.blobs {
        blob.check(from)?;
        copy_synced(&from.join(&blob.name), &unfinished.join(&blob.name))?;
        copied(blob, &mut done, progress);
    }
    bytes_written += kept::restore(from, &manifest.kept, &unfinished)?;
    let folders = vec![
        unfinished.join("journal"),
        unfinished.join("blobs"),
        unfinished.clone(),
    ];
    Folders(folders).sync()?;
    let journal = verify_journal(&unfinished, None, i64::MAX, &mut |done, all| {
        progress("verifying", done, all)
    })?;
    if journal.end != manifest.end {
        let what = format!(
            "it should go up to {}, and goes up to {}",
            manifest.end, journal.end
        );
        return Err(refuse(from, &what));
    }
    JournalStore::rebuild(&unfinished, options, fold, &mut |done, all| {
        progress("folding", done, all)
    })?;
    fs::rename(&unfinished, dir).map_err(refused("naming", dir))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    Folders(vec![parent.unwrap_or(Path::new(".")).to_path_buf()]).sync()?;
    Ok(RestoreReport {
        journal,
        blobs: manifest.blobs.len() as u64,
        bytes_written,
    })
}

/// Beside the folder, so that it can take its name in one step.
fn unfinished(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(".restoring");
    dir.with_file_name(name)
}

/// Writes the segment that is written to as it was: it will be written to again, and that wants its zeros on the disk.
fn unpack(from: &Path, tail: &SegmentEntry, to: &Path) -> Result<(), StoreError> {
    let path = from.join(&tail.file.name);
    let file = OsDisk.open(&path).map_err(refused("opening", &path))?;
    let (_, packed) = PackedFile::open(file, &path)?;
    let into = OsDisk.create(to).map_err(refused("creating", to))?;
    let (mut block, mut at) = (vec![0; PACK_BLOCK_BYTES], 0);
    loop {
        let read = read_up_to(&packed, &mut block, at).map_err(unread(&path))?;
        if read == 0 {
            return into.sync_all().map_err(refused("syncing", to));
        }
        write_whole(&*into, &block[..read], at).map_err(refused("writing", to))?;
        at += read as u64;
    }
}
