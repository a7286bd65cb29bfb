//! A run: the ids of a stretch of sealed segments, sorted, in a file that never changes.
//!
//! ```text
//! header block | entries in blocks of 4096, each with its checksum | fences | filter
//! ```
//! An entry is an id and the position of a record that answers for it. The *fences*, the first id of each block, stay in
//! memory with the filter, so that a look-up reads one block (and its neighbours where an id repeats). Everything in a
//! run follows from the journal: one that is damaged is made again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::filter::Filter;
use crate::contract::{IdHash, Keep};
use crate::journal::frame::{JournalId, array_at, u32_at, u64_at};

const MAGIC: [u8; 8] = *b"FBXIDS\0\x01";
const BLOCK_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 24;
const ENTRIES_PER_BLOCK: usize = (BLOCK_BYTES - 4) / ENTRY_BYTES;

/// An id and where a record is that answers for it.
pub(crate) type Entry = (IdHash, u64);

/// Which segments a run covers, and how often its ids were merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    pub base: u64,
    pub end: u64,
    pub level: u32,
    /// Times of the first and the last record that it answers for; the first is after the last where there is none.
    pub times: Times,
    pub ids: Held,
}

/// Which ids of its segments a run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// All of them.
    All,
    /// Those that are kept for good: the others are forgotten.
    ForGood,
    /// Those that are forgotten: no answer to whether an id acts again, but where its record is.
    Past,
}

/// The times of some records (microseconds since the epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub oldest: i64,
    pub newest: i64,
}

impl Cover {
    /// Whether a run of this cover holds such an id.
    pub(crate) fn holds(&self, id: IdHash) -> bool {
        match self.ids {
            Held::All => true,
            Held::ForGood => id.keep() == Keep::ForGood,
            Held::Past => id.keep() == Keep::Window,
        }
    }
}

impl Default for Times {
    /// Of no record.
    fn default() -> Times {
        Times {
            oldest: i64::MAX,
            newest: i64::MIN,
        }
    }
}

impl Times {
    pub(crate) fn add(&mut self, at: i64) {
        self.oldest = self.oldest.min(at);
        self.newest = self.newest.max(at);
    }

    pub(crate) fn with(self, other: Times) -> Times {
        Times {
            oldest: self.oldest.min(other.oldest),
            newest: self.newest.max(other.newest),
        }
    }

    pub(crate) fn length(self) -> i64 {
        self.newest.saturating_sub(self.oldest).max(0)
    }
}

/// An open run.
#[derive(Debug)]
pub(crate) struct Run {
    pub cover: Cover,
    path: PathBuf,
    file: File,
    entries: usize,
    fences: Vec<IdHash>,
    /// None: there was no memory left for it.
    filter: Option<Filter>,
}

impl Run {
    /// Writes a run of entries that come sorted, durably, and opens it. `count` is how many there are. Where that fails,
    /// nothing is left of it.
    pub(crate) fn write(
        folder: &Path,
        journal: &JournalId,
        cover: Cover,
        count: usize,
        entries: &mut dyn Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<Run> {
        let path = folder.join(file_name(cover));
        let unfinished = path.with_extension("tmp");
        let run = Run::write_as(&unfinished, path, journal, cover, count, entries);
        if run.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        run
    }

    fn write_as(
        unfinished: &Path,
        path: PathBuf,
        journal: &JournalId,
        cover: Cover,
        count: usize,
        entries: &mut dyn Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<Run> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(unfinished)?);
        out.write_all(&[0; BLOCK_BYTES])?;
        // Who asks for what is forgotten asks seldom, and a filter would take memory for good.
        let is_past = cover.ids == Held::Past;
        let mut filter = Filter::for_ids(if is_past { 0 } else { count });
        let (mut fences, mut written) = (Vec::new(), 0);
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        for entry in entries {
            let (id, position) = entry?;
            if block.is_empty() {
                fences.push(id);
            }
            filter.add(id);
            block.extend_from_slice(&id.0);
            block.extend_from_slice(&position.to_le_bytes());
            written += 1;
            if block.len() == ENTRIES_PER_BLOCK * ENTRY_BYTES {
                write_block(&mut out, &mut block)?;
            }
        }
        if written != count {
            return Err(io::Error::other(format!(
                "{written} entries, not {count}, for {}",
                path.display()
            )));
        }
        if !block.is_empty() {
            write_block(&mut out, &mut block)?;
        }
        let mut crc = 0;
        for fence in &fences {
            crc = crc32c::crc32c_append(crc, &fence.0);
            out.write_all(&fence.0)?;
        }
        crc = crc32c::crc32c_append(crc, filter.bytes());
        out.write_all(filter.bytes())?;
        out.flush()?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.write_all_at(&header(journal, cover, count, filter.bytes().len(), crc), 0)?;
        file.sync_all()?;
        fs::rename(unfinished, &path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let file = File::open(&path)?;
        Ok(Run {
            cover,
            path,
            file,
            entries: count,
            fences,
            filter: (!is_past).then_some(filter),
        })
    }

    /// Opens a run and reads its fences and filter. None: it is damaged or belongs to another journal.
    pub(crate) fn open(path: &Path, journal: &JournalId) -> io::Result<Option<Run>> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut block = [0; BLOCK_BYTES];
        if file.read_exact_at(&mut block, 0).is_err() {
            return Ok(None);
        }
        let sound = block[..8] == MAGIC && crc32c::crc32c(&block[..84]) == u32_at(&block, 84);
        if !sound || block[8..24] != *journal {
            return Ok(None);
        }
        let cover = Cover {
            base: u64_at(&block, 24),
            end: u64_at(&block, 32),
            level: u32_at(&block, 40),
            times: Times {
                oldest: u64_at(&block, 64).cast_signed(),
                newest: u64_at(&block, 72).cast_signed(),
            },
            ids: match u32_at(&block, 80) {
                0 => Held::All,
                1 => Held::ForGood,
                2 => Held::Past,
                _ => return Ok(None),
            },
        };
        let (Ok(entries), Ok(filter_bytes)) = (
            usize::try_from(u64_at(&block, 44)),
            usize::try_from(u64_at(&block, 52)),
        ) else {
            return Ok(None);
        };
        let blocks = entries.div_ceil(ENTRIES_PER_BLOCK);
        let index_at = (BLOCK_BYTES * (1 + blocks)) as u64;
        if size != index_at + (blocks * 16 + filter_bytes) as u64 {
            return Ok(None);
        }
        let (mut index, mut filter) = (vec![0; blocks * 16], vec![0; filter_bytes]);
        file.read_exact_at(&mut index, index_at)?;
        file.read_exact_at(&mut filter, index_at + index.len() as u64)?;
        if crc32c::crc32c_append(crc32c::crc32c(&index), &filter) != u32_at(&block, 60) {
            return Ok(None);
        }
        let Some(filter) = Filter::restore(filter) else {
            return Ok(None);
        };
        let fences = index.chunks_exact(16).map(|id| IdHash(array_at(id, 0))).collect();
        let run = Run {
            cover,
            path: path.to_path_buf(),
            file,
            entries,
            fences,
            filter: (cover.ids != Held::Past).then_some(filter),
        };
        Ok(Some(run))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes of its file.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Memory that it takes, with its filter.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.filter_bytes() + self.fences.len() * size_of::<IdHash>()
    }

    /// Memory that the filter takes.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.bytes().len())
    }

    /// Gives the filter's memory back; from now on every id may be here.
    pub(crate) fn drop_filter(&mut self) {
        self.filter = None;
    }

    /// False: no record in these segments answers for the id. Reads no file.
    pub(crate) fn may_hold(&self, id: IdHash) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.may_hold(id))
    }

    /// Adds the positions kept for an id. False: a block is damaged.
    pub(crate) fn find(&self, id: IdHash, positions: &mut Vec<u64>) -> io::Result<bool> {
        if !self.may_hold(id) {
            return Ok(true);
        }
        // The first block that can hold it is the one before the first fence that is not below it.
        let mut block = self.fences.partition_point(|fence| *fence < id).saturating_sub(1);
        while block < self.fences.len() && self.fences[block] <= id {
            let Some(entries) = self.block(block)? else {
                return Ok(false);
            };
            positions.extend(entries.iter().filter(|entry| entry.0 == id).map(|entry| entry.1));
            block += 1;
        }
        Ok(true)
    }

    /// The entries in order; a damaged block is an error.
    pub(crate) fn iter(&self) -> impl Iterator<Item = io::Result<Entry>> + '_ {
        (0..self.fences.len()).flat_map(move |block| match self.block(block) {
            Ok(Some(entries)) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
            Ok(None) => vec![Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a block of ids is damaged",
            ))],
            Err(error) => vec![Err(error)],
        })
    }

    fn block(&self, block: usize) -> io::Result<Option<Vec<Entry>>> {
        let mut bytes = [0; BLOCK_BYTES];
        self.file
            .read_exact_at(&mut bytes, (BLOCK_BYTES * (1 + block)) as u64)?;
        let (entries, crc) = bytes.split_at(BLOCK_BYTES - 4);
        if crc32c::crc32c(entries) != u32_at(crc, 0) {
            return Ok(None);
        }
        let here = (self.entries - block * ENTRIES_PER_BLOCK).min(ENTRIES_PER_BLOCK);
        let entries = entries.chunks_exact(ENTRY_BYTES).take(here);
        Ok(Some(
            entries
                .map(|entry| (IdHash(array_at(entry, 0)), u64_at(entry, 16)))
                .collect(),
        ))
    }
}

fn write_block(out: &mut impl Write, block: &mut Vec<u8>) -> io::Result<()> {
    block.resize(BLOCK_BYTES - 4, 0);
    let crc = crc32c::crc32c(block);
    block.extend_from_slice(&crc.to_le_bytes());
    out.write_all(block)?;
    block.clear();
    Ok(())
}

fn header(
    journal: &JournalId,
    cover: Cover,
    entries: usize,
    filter_bytes: usize,
    index_crc: u32,
) -> [u8; 88] {
    let mut header = [0; 88];
    header[..8].copy_from_slice(&MAGIC);
    header[8..24].copy_from_slice(journal);
    header[24..32].copy_from_slice(&cover.base.to_le_bytes());
    header[32..40].copy_from_slice(&cover.end.to_le_bytes());
    header[40..44].copy_from_slice(&cover.level.to_le_bytes());
    header[44..52].copy_from_slice(&(entries as u64).to_le_bytes());
    header[52..60].copy_from_slice(&(filter_bytes as u64).to_le_bytes());
    header[60..64].copy_from_slice(&index_crc.to_le_bytes());
    header[64..72].copy_from_slice(&cover.times.oldest.to_le_bytes());
    header[72..80].copy_from_slice(&cover.times.newest.to_le_bytes());
    let ids: u32 = match cover.ids {
        Held::All => 0,
        Held::ForGood => 1,
        Held::Past => 2,
    };
    header[80..84].copy_from_slice(&ids.to_le_bytes());
    let crc = crc32c::crc32c(&header[..84]);
    header[84..88].copy_from_slice(&crc.to_le_bytes());
    header
}

fn file_name(cover: Cover) -> String {
    let extension = match cover.ids {
        Held::All | Held::ForGood => "ids",
        Held::Past => "past",
    };
    format!("{:020}-{:020}.{extension}", cover.base, cover.end)
}

/// Whether a file is a run by its name.
pub(crate) fn is_run(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "ids" || extension == "past")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> IdHash {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        IdHash(bytes)
    }

    #[test]
    fn a_run_finds_what_it_was_given_even_across_blocks() {
        let folder = tempfile::tempdir().unwrap();
        // Id 700 a thousand times: more than a block holds.
        let mut entries: Vec<Entry> = (0..2000).map(|n| (id(n), n * 10)).collect();
        entries.extend((0..1000).map(|n| (id(700), 1_000_000 + n)));
        entries.sort_unstable();
        let cover = Cover {
            base: 0,
            end: 65536,
            level: 0,
            times: Times {
                oldest: -5,
                newest: 7,
            },
            ids: Held::All,
        };
        let journal = [5; 16];
        let run = Run::write(
            folder.path(),
            &journal,
            cover,
            entries.len(),
            &mut entries.iter().map(|e| Ok(*e)),
        )
        .unwrap();
        let again = Run::open(run.path(), &journal).unwrap().unwrap();
        assert!(Run::open(run.path(), &[6; 16]).unwrap().is_none());
        for run in [&run, &again] {
            assert_eq!(run.cover, cover);
            for n in 0..2000 {
                let mut found = Vec::new();
                assert!(run.find(id(n), &mut found).unwrap());
                assert_eq!(found.len(), if n == 700 { 1001 } else { 1 }, "{n}");
            }
            let mut found = Vec::new();
            assert!(run.find(id(5000), &mut found).unwrap());
            assert!(found.is_empty());
            assert_eq!(run.iter().map(Result::unwrap).collect::<Vec<_>>(), entries);
        }
    }

    #[test]
    fn any_damage_is_noticed_at_open_or_at_reading() {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<Entry> = (0..300).map(|n| (id(n), n)).collect();
        let cover = Cover {
            base: 0,
            end: 4096,
            level: 0,
            times: Times::default(),
            ids: Held::All,
        };
        let run = Run::write(
            folder.path(),
            &[5; 16],
            cover,
            300,
            &mut entries.iter().map(|e| Ok(*e)),
        )
        .unwrap();
        let whole = fs::read(run.path()).unwrap();
        for at in (0..whole.len()).step_by(37) {
            let in_padding = (88..4096).contains(&at);
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(run.path(), &bytes).unwrap();
            let noticed = match Run::open(run.path(), &[5; 16]).unwrap() {
                None => true,
                Some(run) => run.iter().any(|entry| entry.is_err()),
            };
            assert!(noticed || in_padding, "{at}");
        }
        fs::write(run.path(), &whole[..whole.len() - 1]).unwrap();
        assert!(Run::open(run.path(), &[5; 16]).unwrap().is_none());
    }
}
