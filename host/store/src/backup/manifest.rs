//! What belongs to a backup, as text that people can read and `b3sum` can check.
//!
//! ```text
//! farebox-backup 1
//! journal <id>
//! end <position>
//! segment <base> <end> <link> <frames end> <blake3> <bytes> <name>
//! tail <base> <end> <link> <frames end> <blake3> <bytes> <name>
//! blob <blake3> <bytes> <name>
//! kept <blake3> <bytes> <name>     where the first segments are in an archive: what stands for them
//! sum <blake3 of all lines above>
//! ```

use std::fmt::Write as _;
use std::path::Path;

use crate::contract::StoreError;
use crate::disk::OsDisk;
use crate::journal::frame::JournalId;
use crate::journal::place::Damage;
use crate::listing::{self, FileEntry, SegmentEntry, hex, unhex};

const FILE: &str = "manifest";
const FIRST_LINE: &str = "farebox-backup 1";
const FOLDERS: [&str; 5] = ["journal", "tail", "blobs", "archived", "snapshots"];

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
    /// What stands for segments before the first: the list of what is archived, its ids, a snapshot.
    pub kept: Vec<FileEntry>,
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
            kept: before.map_or_else(Vec::new, |before| before.kept.clone()),
        }
    }

    /// The one of a folder. None: there is none yet.
    pub(super) fn read(folder: &Path) -> Result<Option<Manifest>, StoreError> {
        let path = folder.join(FILE);
        let Some(text) = listing::read(&path)? else {
            return Ok(None);
        };
        Manifest::parse(&text)
            .map(Some)
            .map_err(|what| Damage::new(what).at(&path, 0))
    }

    /// Puts it in place of the one before, durably.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        listing::replace(&OsDisk, folder, FILE, &self.text())
    }

    fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\njournal {}\nend {}\n", hex(&self.journal), self.end);
        let segments = self.segments.iter().map(|entry| ("segment", entry.text()));
        let tail = self.tail.iter().map(|entry| ("tail", entry.text()));
        let blobs = self.blobs.iter().map(|entry| ("blob", entry.text()));
        let kept = self.kept.iter().map(|entry| ("kept", entry.text()));
        for (kind, entry) in segments.chain(tail).chain(blobs).chain(kept) {
            let _ = writeln!(text, "{kind} {entry}"); // a String takes everything
        }
        listing::sealed(text)
    }

    fn parse(text: &str) -> Result<Manifest, String> {
        let mut manifest = Manifest::begin([0; 16], None);
        for line in listing::unsealed(text, FIRST_LINE)? {
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
            "segment" => self.segments.push(SegmentEntry::parse(&mut words, &FOLDERS)?),
            "tail" => self.tail = Some(SegmentEntry::parse(&mut words, &FOLDERS)?),
            "blob" => self.blobs.push(FileEntry::parse(&mut words, &FOLDERS)?),
            "kept" => self.kept.push(FileEntry::parse(&mut words, &FOLDERS)?),
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
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
            kept: vec![entry("snapshots/d.snapshot")],
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
