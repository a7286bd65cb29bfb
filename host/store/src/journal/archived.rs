//! What is known of segments that are in an archive: which they are, how they hang together with those that are here, and
//! how old they are.
//!
//! ```text
//! farebox-archive 1
//! journal <id>
//! segment <base> <end> <link> <frames end> <blake3> <bytes> <name>
//! link <what the first frame behind them is chained to>
//! newest <time of the newest record> <tenant, in hexadecimal>
//! ids <blake3> <bytes> <name>      only in the data folder: the ids that they answer for
//! sum <blake3 of all lines above>
//! ```
//! The list stands twice: as `manifest` in the archive, and as `archived/list` in the data folder, from which a store knows
//! what is missing on purpose. **Invariant: a segment is removed only when the data folder's list, which is durable, names
//! it, and the archive holds it, durable and verified.**

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::frame::{JournalId, Link};
use super::place::Damage;
use crate::contract::StoreError;
use crate::disk::Disk;
use crate::listing::{self, FileEntry, SegmentEntry, hex, unhex, unhex_all};

/// The folder in the data folder.
pub(crate) const FOLDER: &str = "archived";
/// The list in that folder.
pub(crate) const LIST: &str = "list";
/// The list in an archive.
pub(crate) const MANIFEST: &str = "manifest";
const FIRST_LINE: &str = "farebox-archive 1";
const FOLDERS: [&str; 2] = ["journal", FOLDER];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archived {
    pub journal: JournalId,
    /// From the first segment of the journal on, without a gap.
    pub segments: Vec<SegmentEntry>,
    /// What the first frame behind them is chained to.
    pub link: Link,
    /// Time of the newest record of each tenant (microseconds since the epoch).
    pub newest: BTreeMap<String, i64>,
    /// The run of ids that they answer for and that are still to be found.
    pub ids: Option<FileEntry>,
}

impl Archived {
    /// Nothing yet.
    pub(crate) fn none(journal: JournalId) -> Archived {
        Archived {
            journal,
            segments: Vec::new(),
            link: journal, // a journal's first frame is chained to its id
            newest: BTreeMap::new(),
            ids: None,
        }
    }

    /// The journal up to here is archived.
    pub(crate) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.end)
    }

    /// Where the last archived frame ends: the first frame that is not archived names this place.
    pub(crate) fn frames_end(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.frames_end)
    }

    /// The segment that begins here.
    pub(crate) fn segment(&self, base: u64) -> Option<&SegmentEntry> {
        let at = self.segments.binary_search_by_key(&base, |entry| entry.base);
        self.segments.get(at.ok()?)
    }

    /// The list of a folder. None: there is none.
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<Archived>, StoreError> {
        let path = folder.join(name);
        let Some(text) = listing::read(&path)? else {
            return Ok(None);
        };
        Archived::parse(&text)
            .map(Some)
            .map_err(|what| Damage::new(what).at(&path, 0))
    }

    /// Puts it in place of the one before, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, folder: &Path, name: &str) -> Result<(), StoreError> {
        listing::replace(disk, folder, name, &self.text())
    }

    fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\njournal {}\n", hex(&self.journal));
        for segment in &self.segments {
            let _ = writeln!(text, "segment {}", segment.text()); // a String takes everything
        }
        let _ = writeln!(text, "link {}", hex(&self.link));
        for (tenant, newest) in &self.newest {
            let _ = writeln!(text, "newest {newest} {}", hex(tenant.as_bytes()));
        }
        if let Some(ids) = &self.ids {
            let _ = writeln!(text, "ids {}", ids.text());
        }
        listing::sealed(text)
    }

    fn parse(text: &str) -> Result<Archived, String> {
        let mut archived = Archived::none([0; 16]);
        for line in listing::unsealed(text, FIRST_LINE)? {
            archived
                .line(line)
                .ok_or_else(|| format!("the list of files says {line:?}"))?;
        }
        Ok(archived)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        match words.next()? {
            "journal" => self.journal = unhex(words.next()?)?,
            "segment" => {
                let segment = SegmentEntry::parse(&mut words, &FOLDERS)?;
                let follows = segment.base == self.end() && segment.base < segment.end;
                follows.then(|| self.segments.push(segment))?;
            }
            "link" => self.link = unhex(words.next()?)?,
            "newest" => {
                let newest = words.next()?.parse().ok()?;
                let tenant = String::from_utf8(unhex_all(words.next()?)?).ok()?;
                self.newest.insert(tenant, newest);
            }
            "ids" => self.ids = Some(FileEntry::parse(&mut words, &FOLDERS)?),
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_a_gap_is_none() {
        let file = |name: &str| FileEntry {
            hash: blake3::hash(name.as_bytes()),
            bytes: 7,
            name: name.into(),
        };
        let segment = |base: u64, end| SegmentEntry {
            base,
            end,
            link: [9; 16],
            frames_end: end - 1,
            file: file(&format!("journal/{base}.packed")),
        };
        let mut archived = Archived {
            journal: [7; 16],
            segments: vec![segment(0, 10), segment(10, 25)],
            link: [3; 16],
            newest: BTreeMap::from([("acme corp\n".to_string(), -5), ("ä".to_string(), i64::MAX)]),
            ids: Some(file("archived/0-25.ids")),
        };
        assert_eq!(Archived::parse(&archived.text()), Ok(archived.clone()));
        assert_eq!(archived.end(), 25);
        assert_eq!(archived.segment(10).map(|entry| entry.end), Some(25));
        assert_eq!(archived.segment(11), None);
        archived.segments.remove(0);
        assert!(
            Archived::parse(&archived.text())
                .unwrap_err()
                .contains("segment 10")
        );
    }
}
