//! What belongs to a backup, as text that people can read and `b3sum` can check.
//!
//! ```text
//! farebox-backup 1
//! journal <id>
//! end <position>
//! segment <base> <end> <link> <frames end> <blake3> <bytes> <name>
//! tail <base> <end> <link> <frames end> <blake3> <bytes> <name>
//! blob <blake3> <bytes> <name>
//! sum <blake3 of all lines above>
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::io::Write as _;
use std::path::Path;

use crate::contract::StoreError;
use crate::journal::frame::{JournalId, Link};
use crate::journal::place::{Damage, refused};

const FILE: &str = "manifest";
const FIRST_LINE: &str = "farebox-backup 1";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub journal: JournalId,
    /// Where the journal ends.
    pub end: u64,
    /// Complete segments, oldest first.
    pub segments: Vec<SegmentEntry>,
    /// The one that was written to.
    pub tail: Option<SegmentEntry>,
    pub blobs: Vec<FileEntry>,
}

/// A segment in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentEntry {
    pub base: u64,
    pub end: u64,
    /// What its first frame is chained to.
    pub link: Link,
    /// Where its last frame ends.
    pub frames_end: u64,
    pub file: FileEntry,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileEntry {
    pub hash: blake3::Hash,
    pub bytes: u64,
    /// Within the backup.
    pub name: String,
}

impl FileEntry {
    /// Of a file that is there.
    pub(super) fn of(path: &Path, name: String) -> Result<FileEntry, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).map_err(refused("opening", path))?;
        let bytes = io::copy(&mut file, &mut hasher).map_err(refused("reading", path))?;
        Ok(FileEntry {
            hash: hasher.finalize(),
            bytes,
            name,
        })
    }

    /// Refuses a file that is not what the manifest says.
    pub(super) fn check(&self, folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(&self.name);
        let found = FileEntry::of(&path, self.name.clone())?;
        if found == *self {
            Ok(())
        } else {
            let what = "the file is not what the backup's manifest says";
            Err(Damage::new(what).at(&path, found.bytes.min(self.bytes)))
        }
    }
}

impl Manifest {
    /// The next one: with what is complete in the one before.
    pub(super) fn begin(journal: JournalId, before: Option<&Manifest>) -> Manifest {
        Manifest {
            journal,
            end: 0,
            segments: before.map_or_else(Vec::new, |before| before.segments.clone()),
            tail: None,
            blobs: Vec::new(),
        }
    }

    /// The one of a folder. None: there is none yet.
    pub(super) fn read(folder: &Path) -> Result<Option<Manifest>, StoreError> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Manifest::parse(&text)
                .map(Some)
                .map_err(|what| Damage::new(what).at(&path, 0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused("reading", &path)(error)),
        }
    }

    /// Puts it in place of the one before, durably.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let (path, unfinished) = (folder.join(FILE), folder.join("manifest.tmp"));
        let mut file = File::create(&unfinished).map_err(refused("creating", &unfinished))?;
        file.write_all(self.text().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(refused("writing", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(refused("naming", &path))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(refused("syncing", folder))
    }

    fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\njournal {}\nend {}\n", hex(&self.journal), self.end);
        let segments = self.segments.iter().map(|entry| ("segment", entry));
        for (kind, entry) in segments.chain(self.tail.iter().map(|entry| ("tail", entry))) {
            let link = hex(&entry.link);
            let SegmentEntry {
                base,
                end,
                frames_end,
                file,
                ..
            } = entry;
            let file = file.text();
            let _ = writeln!(text, "{kind} {base} {end} {link} {frames_end} {file}"); // a String takes everything
        }
        for blob in &self.blobs {
            let _ = writeln!(text, "blob {}", blob.text());
        }
        let sum = blake3::hash(text.as_bytes());
        let _ = writeln!(text, "sum {sum}");
        text
    }

    fn parse(text: &str) -> Result<Manifest, String> {
        let (body, sum) = text
            .rfind("sum ")
            .map(|at| text.split_at(at))
            .ok_or("the manifest is cut off")?;
        if sum != format!("sum {}\n", blake3::hash(body.as_bytes())) {
            return Err("the checksum of the manifest does not match".into());
        }
        let mut lines = body.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(format!("the manifest does not begin with `{FIRST_LINE}`"));
        }
        let mut manifest = Manifest::begin([0; 16], None);
        for line in lines {
            manifest
                .line(line)
                .ok_or_else(|| format!("the manifest says {line:?}"))?;
        }
        Ok(manifest)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        match words.next()? {
            "journal" => self.journal = unhex(words.next()?)?,
            "end" => self.end = words.next()?.parse().ok()?,
            kind @ ("segment" | "tail") => {
                let entry = SegmentEntry {
                    base: words.next()?.parse().ok()?,
                    end: words.next()?.parse().ok()?,
                    link: unhex(words.next()?)?,
                    frames_end: words.next()?.parse().ok()?,
                    file: FileEntry::parse(&mut words)?,
                };
                match kind {
                    "segment" => self.segments.push(entry),
                    _ => self.tail = Some(entry),
                }
            }
            "blob" => self.blobs.push(FileEntry::parse(&mut words)?),
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

impl FileEntry {
    fn text(&self) -> String {
        format!("{} {} {}", self.hash, self.bytes, self.name)
    }

    /// A name that leads out of the folder is none.
    fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<FileEntry> {
        let entry = FileEntry {
            hash: blake3::Hash::from_hex(words.next()?).ok()?,
            bytes: words.next()?.parse().ok()?,
            name: words.next()?.to_string(),
        };
        let (folder, file) = entry.name.split_once('/')?;
        let inside =
            ["journal", "tail", "blobs"].contains(&folder) && !file.contains(['/', '\\']) && file != "..";
        inside.then_some(entry)
    }
}

fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> FileEntry {
        FileEntry {
            hash: blake3::hash(name.as_bytes()),
            bytes: 7,
            name: name.into(),
        }
    }

    #[test]
    fn a_manifest_reads_back_and_every_change_is_noticed() {
        let segment = |base, name: &str| SegmentEntry {
            base,
            end: base + 10,
            link: [9; 16],
            frames_end: base + 8,
            file: entry(name),
        };
        let manifest = Manifest {
            journal: [0xab; 16],
            end: 15,
            segments: vec![segment(0, "journal/a.packed")],
            tail: Some(segment(10, "tail/b.packed")),
            blobs: vec![entry("blobs/c.blob")],
        };
        let text = manifest.text();
        assert_eq!(Manifest::parse(&text), Ok(manifest));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(
                Manifest::parse(&String::from_utf8(bytes).unwrap()).is_err(),
                "{at}"
            );
            assert!(Manifest::parse(&text[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_backup() {
        for name in ["../a", "blobs/../a", "blobs/..", "/etc/passwd", "a", "state/a"] {
            let line = format!("blob {} 1 {name}", blake3::hash(b""));
            assert_eq!(Manifest::begin([0; 16], None).line(&line), None, "{name}");
        }
    }
}
