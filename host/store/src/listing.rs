//! Lists of files with their sizes and hashes: text that people can read and `b3sum` can check, replaced in one step.
//!
//! ```text
//! <first line>
//! <kind> <words ...>
//! sum <blake3 of all lines above>
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::contract::StoreError;
use crate::disk::{Disk, write_whole};
use crate::journal::frame::Link;
use crate::journal::place::{Damage, refused};

/// A file that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub hash: blake3::Hash,
    pub bytes: u64,
    /// Within the folder that the list is about.
    pub name: String,
}

/// A segment that is kept elsewhere, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    pub base: u64,
    pub end: u64,
    /// What its first frame is chained to.
    pub link: Link,
    /// Where its last frame ends.
    pub frames_end: u64,
    pub file: FileEntry,
}

impl FileEntry {
    /// Of a file that is there.
    pub(crate) fn of(path: &Path, name: String) -> Result<FileEntry, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).map_err(refused("opening", path))?;
        let bytes = io::copy(&mut file, &mut hasher).map_err(refused("reading", path))?;
        Ok(FileEntry {
            hash: hasher.finalize(),
            bytes,
            name,
        })
    }

    /// Refuses a file that is not what the list says.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(&self.name);
        let found = FileEntry::of(&path, self.name.clone())?;
        if found == *self {
            Ok(())
        } else {
            let what = "the file is not what the list of files says";
            Err(Damage::new(what).at(&path, found.bytes.min(self.bytes)))
        }
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {} {}", self.hash, self.bytes, self.name)
    }

    /// A name that leads out of these folders is none.
    pub(crate) fn parse<'a>(
        words: &mut impl Iterator<Item = &'a str>,
        folders: &[&str],
    ) -> Option<FileEntry> {
        let entry = FileEntry {
            hash: blake3::Hash::from_hex(words.next()?).ok()?,
            bytes: words.next()?.parse().ok()?,
            name: words.next()?.to_string(),
        };
        let (folder, file) = entry.name.split_once('/')?;
        let inside = folders.contains(&folder) && !file.contains(['/', '\\']) && file != "..";
        inside.then_some(entry)
    }
}

impl SegmentEntry {
    pub(crate) fn text(&self) -> String {
        let SegmentEntry {
            base,
            end,
            frames_end,
            ..
        } = self;
        format!(
            "{base} {end} {} {frames_end} {}",
            hex(&self.link),
            self.file.text()
        )
    }

    pub(crate) fn parse<'a>(
        words: &mut impl Iterator<Item = &'a str>,
        folders: &[&str],
    ) -> Option<SegmentEntry> {
        Some(SegmentEntry {
            base: words.next()?.parse().ok()?,
            end: words.next()?.parse().ok()?,
            link: unhex(words.next()?)?,
            frames_end: words.next()?.parse().ok()?,
            file: FileEntry::parse(words, folders)?,
        })
    }
}

/// The text with its last line.
pub(crate) fn sealed(mut text: String) -> String {
    let sum = blake3::hash(text.as_bytes());
    let _ = writeln!(text, "sum {sum}"); // a String takes everything
    text
}

/// The lines between the first and the last, where the text is what was written.
pub(crate) fn unsealed<'a>(text: &'a str, first: &str) -> Result<std::str::Lines<'a>, String> {
    let (body, sum) = text
        .rfind("sum ")
        .map(|at| text.split_at(at))
        .ok_or("the list of files is cut off")?;
    if sum != format!("sum {}\n", blake3::hash(body.as_bytes())) {
        return Err("the checksum of the list of files does not match".into());
    }
    let mut lines = body.lines();
    match lines.next() == Some(first) {
        true => Ok(lines),
        false => Err(format!("the list of files does not begin with `{first}`")),
    }
}

/// The text of a list. None: there is none yet.
pub(crate) fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused("reading", path)(error)),
    }
}

/// Puts a list in place of the one before, durably.
pub(crate) fn replace(disk: &dyn Disk, folder: &Path, name: &str, text: &str) -> Result<(), StoreError> {
    let (path, unfinished) = (folder.join(name), folder.join(format!("{name}.tmp")));
    let file = disk
        .create(&unfinished)
        .map_err(refused("creating", &unfinished))?;
    write_whole(&*file, text.as_bytes(), 0)
        .and_then(|()| file.sync_all())
        .map_err(refused("writing", &unfinished))?;
    disk.rename(&unfinished, &path)
        .map_err(refused("naming", &path))?;
    disk.sync_folder(folder).map_err(refused("syncing", folder))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // a String takes everything
            text
        })
}

pub(crate) fn unhex_all(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 16]> {
    unhex_all(text)?.try_into().ok()
}
