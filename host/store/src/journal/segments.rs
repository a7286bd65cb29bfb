//! The segment files: their names, headers and open handles, and reading a record by its position.
//!
//! A segment's first block says which journal it belongs to, where it begins and how long it is, so that a file that was
//! cut, lost, swapped or copied from elsewhere is told by name before any frame is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::envelope::{self, Envelope};
use super::frame::{BLOCK_BUFFER_BYTES, BLOCK_BYTES, JournalId, array_at, u32_at, u64_at};
use super::place::{Damage, refused};
use crate::contract::StoreError;
use crate::disk::{Disk, DiskFile, read_up_to, write_whole};
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SEGMENTS_OPEN_MAX};

const MAGIC: [u8; 8] = *b"FBXSEG\0\x01";
/// A segment under construction; no segment until it is renamed.
const UNFINISHED: &str = "unfinished.tmp";
/// Zeros are written this many at a time.
const FILL_BYTES: usize = 1 << 20;

/// All segments of a journal.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: JournalId,
    /// First position -> bytes.
    spans: RwLock<BTreeMap<u64, u64>>,
    open: Mutex<BTreeMap<u64, Arc<dyn DiskFile>>>,
}

/// Where one segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub base: u64,
    pub end: u64,
}

impl Segments {
    /// Reads which segments there are. None: the folder holds no journal yet.
    pub(crate) fn list(disk: Arc<dyn Disk>, folder: &Path) -> Result<Option<Segments>, StoreError> {
        let mut bases = Vec::new();
        for path in disk.list(folder).map_err(refused("listing", folder))? {
            match path.file_name().and_then(|name| name.to_str()) {
                Some(UNFINISHED) => disk.remove(&path).map_err(refused("removing", &path))?,
                Some(name) => bases.extend(base_of(name)),
                None => {}
            }
        }
        bases.sort_unstable();
        let (mut spans, mut journal, mut expected) = (BTreeMap::new(), None, 0);
        for base in bases {
            if base != expected {
                let missing = folder.join(file_name(expected));
                return Err(Damage::new("this segment is missing").at(&missing, 0));
            }
            let path = folder.join(file_name(base));
            let file = disk.open(&path).map_err(refused("opening", &path))?;
            let size = file.size().map_err(refused("reading the size of", &path))?;
            let mut block = vec![0; BLOCK_BUFFER_BYTES];
            let read = read_up_to(&*file, &mut block, 0).map_err(refused("reading", &path))?;
            let (id, bytes) = decode_header(&block[..read], base).map_err(|damage| damage.at(&path, 0))?;
            if *journal.get_or_insert(id) != id {
                return Err(Damage::new("the segment belongs to another journal").at(&path, 8));
            }
            if size != bytes {
                let what = format!("the segment was {bytes} bytes long and is now {size}");
                return Err(Damage::new(what).at(&path, size.min(bytes)));
            }
            spans.insert(base, bytes);
            expected = base + bytes;
        }
        Ok(journal.map(|journal| Segments {
            disk,
            folder: folder.to_path_buf(),
            journal,
            spans: RwLock::new(spans),
            open: Mutex::default(),
        }))
    }

    /// A new journal with its first segment, durable.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        folder: &Path,
        segment_bytes: u64,
    ) -> Result<Segments, StoreError> {
        let mut journal = [0; 16];
        getrandom::fill(&mut journal).map_err(|error| StoreError::Io {
            doing: "drawing the journal's id".into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        let segments = Segments {
            disk,
            folder: folder.to_path_buf(),
            journal,
            spans: RwLock::default(),
            open: Mutex::default(),
        };
        segments.add(0, segment_bytes)?;
        Ok(segments)
    }

    pub(crate) fn journal(&self) -> JournalId {
        self.journal
    }

    /// Writes a segment full of zeros, makes it durable and only then gives it its name: a segment file is always whole.
    pub(crate) fn add(&self, base: u64, bytes: u64) -> Result<(), StoreError> {
        let unfinished = self.folder.join(UNFINISHED);
        let path = self.path(base);
        let file = self
            .disk
            .create(&unfinished)
            .map_err(refused("creating", &unfinished))?;
        let mut fill = vec![0; FILL_BYTES.min(usize::try_from(bytes).unwrap_or(FILL_BYTES))];
        let mut at = 0;
        while at < bytes {
            let part = usize::try_from(bytes - at).map_or(fill.len(), |left| left.min(fill.len()));
            write_whole(&*file, &fill[..part], at).map_err(refused("filling", &unfinished))?;
            at += part as u64;
        }
        fill.truncate(BLOCK_BUFFER_BYTES);
        encode_header(&mut fill, &self.journal, base, bytes);
        write_whole(&*file, &fill, 0).map_err(refused("writing", &unfinished))?;
        file.sync_all().map_err(refused("syncing", &unfinished))?;
        self.disk
            .rename(&unfinished, &path)
            .map_err(refused("naming", &path))?;
        self.sync_names()?;
        self.spans.write().insert(base, bytes);
        self.keep_open(base, file);
        Ok(())
    }

    /// Makes the names of the segments durable.
    pub(crate) fn sync_names(&self) -> Result<(), StoreError> {
        self.disk
            .sync_folder(&self.folder)
            .map_err(refused("syncing", &self.folder))
    }

    pub(crate) fn path(&self, base: u64) -> PathBuf {
        self.folder.join(file_name(base))
    }

    /// All segments, oldest first.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans
            .read()
            .iter()
            .map(|(&base, &bytes)| Span {
                base,
                end: base + bytes,
            })
            .collect()
    }

    /// The segment in which a position lies.
    pub(crate) fn span_of(&self, position: u64) -> Option<Span> {
        let spans = self.spans.read();
        let (&base, &bytes) = spans.range(..=position).next_back()?;
        (position < base + bytes).then_some(Span {
            base,
            end: base + bytes,
        })
    }

    /// Where the last segment ends.
    pub(crate) fn end(&self) -> u64 {
        self.spans
            .read()
            .last_key_value()
            .map_or(0, |(base, bytes)| base + bytes)
    }

    pub(crate) fn file(&self, base: u64) -> Result<Arc<dyn DiskFile>, StoreError> {
        if let Some(file) = self.open.lock().get(&base) {
            return Ok(file.clone());
        }
        let path = self.path(base);
        let file = self.disk.open(&path).map_err(refused("opening", &path))?;
        self.keep_open(base, file.clone());
        Ok(file)
    }

    /// Of too many handles the oldest segment's goes: history is read from its newest end.
    fn keep_open(&self, base: u64, file: Arc<dyn DiskFile>) {
        let mut open = self.open.lock();
        open.insert(base, file);
        while open.len() > SEGMENTS_OPEN_MAX {
            open.pop_first();
        }
    }

    /// Hands the record at a position to `read`. The position comes from the journal or from what was derived from it,
    /// so anything but a record there is damage.
    pub(crate) fn record<T>(
        &self,
        position: u64,
        read: impl FnOnce(&Envelope<'_>) -> Result<T, Damage>,
    ) -> Result<T, StoreError> {
        let Some(span) = self.span_of(position) else {
            let path = self.path(position);
            return Err(Damage::new("no segment holds this position").at(&path, position));
        };
        let path = self.path(span.base);
        let file = self.file(span.base)?;
        let offset = position - span.base;
        let mut bytes = vec![0; BLOCK_BUFFER_BYTES];
        let filled = read_up_to(&*file, &mut bytes, offset).map_err(refused("reading", &path))?;
        let damaged = |damage: Damage| damage.at(&path, offset);
        let total = envelope::stated_bytes(&bytes[..filled]).map_err(damaged)?;
        if total > filled {
            bytes.resize(total, 0);
            let more = read_up_to(&*file, &mut bytes[filled..], offset + filled as u64)
                .map_err(refused("reading", &path))?;
            bytes.truncate(filled + more);
        }
        let (envelope, _) = envelope::decode(&bytes, position).map_err(damaged)?;
        read(&envelope).map_err(damaged)
    }
}

/// Twenty digits hold every u64, so that names sort as positions do.
fn file_name(base: u64) -> String {
    format!("{base:020}.journal")
}

fn base_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".journal")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

fn encode_header(block: &mut [u8], journal: &JournalId, base: u64, bytes: u64) {
    block[0..8].copy_from_slice(&MAGIC);
    block[8..24].copy_from_slice(journal);
    block[24..32].copy_from_slice(&base.to_le_bytes());
    block[32..40].copy_from_slice(&bytes.to_le_bytes());
    let crc = crc32c::crc32c(&block[0..40]);
    block[40..44].copy_from_slice(&crc.to_le_bytes());
}

fn decode_header(block: &[u8], base: u64) -> Result<(JournalId, u64), Damage> {
    let block = block
        .first_chunk::<44>()
        .ok_or_else(|| Damage::new("the segment's header is cut off"))?;
    if block[0..8] != MAGIC || crc32c::crc32c(&block[0..40]) != u32_at(block, 40) {
        return Err(Damage::new("this is no segment's header"));
    }
    let (stated, bytes) = (u64_at(block, 24), u64_at(block, 32));
    if stated != base {
        return Err(Damage::new(format!(
            "the segment belongs at {stated}, not at {base}"
        )));
    }
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) || bytes % BLOCK_BYTES != 0 {
        return Err(Damage::new(format!("the segment says that it has {bytes} bytes")));
    }
    Ok((array_at(block, 8), bytes))
}
