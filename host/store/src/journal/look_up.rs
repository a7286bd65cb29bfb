//! Reading a record by its position.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::envelope::{self, Envelope};
use super::frame::{BLOCK_BUFFER_BYTES, BLOCK_BYTES, HEADER_BYTES, Header, Layout, padded};
use super::packed::unread;
use super::payload::{self, Block};
use super::place::Damage;
use super::segments::{Segments, Span};
use crate::contract::StoreError;
use crate::disk::{DiskFile, read_up_to};
use crate::limits::{FRAME_BYTES_MAX, JOURNAL_BLOCKS_KEPT};

/// The furthest that a frame's first block can be before the position of one of its records: no envelope has fewer bytes
/// than its fixed fields.
const FRAME_RECORDS_MAX: u64 = (FRAME_BYTES_MAX / envelope::FIXED_BYTES) as u64;

/// Blocks of records that were read last: a wallet's history is read record by record, and many of them are neighbours.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Unpacked>>>);

/// A block as it was before it was compressed.
#[derive(Debug)]
struct Unpacked {
    /// Position of its first record.
    first: u64,
    records: u64,
    envelopes: Vec<u8>,
}

impl Recent {
    fn get(&self, position: u64) -> Option<Arc<Unpacked>> {
        let kept = self.0.lock();
        let found = kept.iter().find(|block| block.holds(position));
        found.cloned()
    }

    fn put(&self, block: Arc<Unpacked>) {
        let mut kept = self.0.lock();
        if kept.len() >= JOURNAL_BLOCKS_KEPT {
            kept.pop_back();
        }
        kept.push_front(block);
    }
}

impl Unpacked {
    fn holds(&self, position: u64) -> bool {
        position >= self.first && position - self.first < self.records
    }

    /// The envelope of the record at a position that it holds.
    fn envelope(&self, position: u64) -> Result<Envelope<'_>, Damage> {
        let mut at = &self.envelopes[..];
        for _ in self.first..position {
            let bytes = envelope::stated_bytes(at)?;
            at = at.get(bytes..).unwrap_or_default();
        }
        Ok(envelope::decode(at, position)?.0)
    }
}

impl Segments {
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
        let damaged = |damage: Damage| damage.at(&path, position - span.base);
        if let Some(block) = self.recent.get(position) {
            return block
                .envelope(position)
                .and_then(|envelope| read(&envelope))
                .map_err(damaged);
        }
        let file = self.file(span.base)?;
        let pages = Pages {
            file: &*file,
            span,
            bytes: Vec::new(),
            at: 0,
        };
        match self.layout(span.base)? {
            Layout::Plain => {
                let bytes = self.plain(pages, position)?;
                let envelope = envelope::decode(&bytes, position);
                envelope
                    .and_then(|(envelope, _)| read(&envelope))
                    .map_err(damaged)
            }
            Layout::Blocks => {
                let block = Arc::new(self.unpacked(pages, position)?);
                self.recent.put(block.clone());
                block
                    .envelope(position)
                    .and_then(|envelope| read(&envelope))
                    .map_err(damaged)
            }
        }
    }

    /// The bytes of an envelope that lies in its frame as it is.
    fn plain(&self, mut pages: Pages<'_>, position: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.path(pages.span.base);
        let front = pages
            .read(position, envelope::FIXED_BYTES)
            .map_err(unread(&path))?;
        let bytes =
            envelope::stated_bytes(front).map_err(|damage| damage.at(&path, position - pages.span.base))?;
        Ok(pages.read(position, bytes).map_err(unread(&path))?.to_vec())
    }

    /// The block that holds a record.
    fn unpacked(&self, mut pages: Pages<'_>, position: u64) -> Result<Unpacked, StoreError> {
        let base = pages.span.base;
        let path = self.path(base);
        let header = self.frame_of(&mut pages, position)?;
        let damaged = |damage: Damage| damage.at(&path, header.position - base);
        let (payload_at, whole) = (
            header.position + HEADER_BYTES as u64,
            header.payload_bytes as usize,
        );
        let front = pages
            .read(payload_at, whole.min(BLOCK_BUFFER_BYTES - HEADER_BYTES))
            .map_err(unread(&path))?;
        let table = payload::table_bytes(front).map_err(damaged)?.min(whole);
        let table = pages.read(payload_at, table).map_err(unread(&path))?;
        let number = position - header.position - 1;
        let holds = |block: &Block| number >= block.before && number - block.before < block.records;
        let block = payload::blocks(table).map_err(damaged)?.into_iter().find(holds);
        let block = block.ok_or_else(|| damaged(Damage::new("no block of the frame holds this record")))?;
        let stored = pages
            .read(payload_at + block.start as u64, block.bytes)
            .map_err(unread(&path))?;
        let mut envelopes = Vec::new();
        payload::unpack(block, stored, &mut envelopes).map_err(damaged)?;
        Ok(Unpacked {
            first: header.position + 1 + block.before,
            records: block.records,
            envelopes,
        })
    }

    /// Header of the frame that a record is in. Usually it begins in the same page: a frame seldom has more records.
    fn frame_of(&self, pages: &mut Pages<'_>, position: u64) -> Result<Header, StoreError> {
        let path = self.path(pages.span.base);
        let mut at = position - position % BLOCK_BYTES;
        let least = position
            .saturating_sub(FRAME_RECORDS_MAX)
            .max(pages.span.base + BLOCK_BYTES);
        let mut why = None;
        while at >= least.saturating_sub(BLOCK_BYTES) && at > pages.span.base {
            let front = pages.read(at, HEADER_BYTES).map_err(unread(&path))?;
            match Header::decode(front, &self.journal(), at) {
                Ok(header) if position - at <= u64::from(header.records) => return Ok(header),
                Ok(_) => break,
                Err(damage) => why.get_or_insert(damage),
            };
            at -= BLOCK_BYTES;
        }
        let why = why.unwrap_or_else(|| Damage::new("the frame here has fewer records"));
        Err(why.at(&path, position - position % BLOCK_BYTES - pages.span.base))
    }
}

/// Some bytes of a segment, read a page at least at a time.
struct Pages<'a> {
    file: &'a dyn DiskFile,
    span: Span,
    bytes: Vec<u8>,
    at: u64,
}

impl Pages<'_> {
    /// The bytes at a position; fewer where the segment ends.
    fn read(&mut self, position: u64, wanted: usize) -> std::io::Result<&[u8]> {
        let held = position >= self.at && position + wanted as u64 <= self.at + self.bytes.len() as u64;
        if !held {
            let from = position - position % BLOCK_BYTES;
            let to = padded(position + wanted as u64).min(self.span.end);
            self.bytes
                .resize(usize::try_from(to - from).unwrap_or(usize::MAX), 0);
            let read = read_up_to(self.file, &mut self.bytes, from - self.span.base)?;
            self.bytes.truncate(read);
            self.at = from;
        }
        let start = usize::try_from(position - self.at)
            .unwrap_or(usize::MAX)
            .min(self.bytes.len());
        let end = (start + wanted).min(self.bytes.len());
        Ok(&self.bytes[start..end])
    }
}
