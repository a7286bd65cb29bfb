//! What stands in a backup for segments that are in an archive which is not at hand.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Folders, copy_synced};
use crate::contract::StoreError;
use crate::disk::OsDisk;
use crate::journal::archived::{FOLDER, LIST};
use crate::journal::segments::Segments;
use crate::listing::FileEntry;
use crate::store::newest_snapshot;

const SNAPSHOTS: &str = "snapshots";

/// Copies the list of what is archived, the ids that it answers for, and the newest snapshot.
pub(super) fn copy(dir: &Path, to: &Path, segments: &Segments) -> Result<Vec<FileEntry>, StoreError> {
    let Some(known) = segments.elsewhere().known() else {
        return Ok(Vec::new());
    };
    let folders: Vec<PathBuf> = [FOLDER, SNAPSHOTS].iter().map(|name| to.join(name)).collect();
    for folder in &folders {
        fs::create_dir_all(folder).map_err(super::refused("making", folder))?;
    }
    let snapshot = newest_snapshot(&dir.join(SNAPSHOTS), segments)?;
    let Some((snapshot, _)) = snapshot.filter(|(_, meta)| meta.applied >= known.end()) else {
        return Err(StoreError::Backup {
            path: dir.join(SNAPSHOTS).display().to_string(),
            what: format!(
                "no sound snapshot in it stands for the journal before {}, which is in an archive. \
                 Name the archive with archive_dir",
                known.end()
            ),
        });
    };
    let name = format!("{LIST}-{:020}", known.end());
    known.write(&OsDisk, &to.join(FOLDER), &name)?;
    let name = format!("{FOLDER}/{name}");
    let mut files = vec![FileEntry::of(&to.join(&name), name)?];
    if let Some(ids) = &known.ids {
        copy_synced(&dir.join(&ids.name), &to.join(&ids.name))?;
        ids.check(to)?;
        files.push(ids.clone());
    }
    let name = format!(
        "{SNAPSHOTS}/{}",
        snapshot.file_name().unwrap_or_default().to_string_lossy()
    );
    copy_synced(&snapshot, &to.join(&name))?;
    let entry = FileEntry::of(&to.join(&name), name.clone())?;
    if entry != FileEntry::of(&snapshot, name)? {
        return Err(StoreError::Backup {
            path: to.display().to_string(),
            what: "the copy of the snapshot is not what was copied".into(),
        });
    }
    files.push(entry);
    Folders([folders, vec![to.to_path_buf()]].concat()).sync()?;
    Ok(files)
}

/// Brings it back. The answer is the bytes written.
pub(super) fn restore(from: &Path, kept: &[FileEntry], dir: &Path) -> Result<u64, StoreError> {
    let mut folders = Vec::new();
    for file in kept {
        file.check(from)?;
        // Lists of several backups stand beside each other; a store has one.
        let target = match file.name.starts_with(&format!("{FOLDER}/{LIST}-")) {
            true => dir.join(FOLDER).join(LIST),
            false => dir.join(&file.name),
        };
        let folder = target.parent().unwrap_or(dir).to_path_buf();
        fs::create_dir_all(&folder).map_err(super::refused("making", &folder))?;
        copy_synced(&from.join(&file.name), &target)?;
        folders.push(folder);
    }
    Folders(folders).sync()?;
    Ok(kept.iter().map(|file| file.bytes).sum())
}
