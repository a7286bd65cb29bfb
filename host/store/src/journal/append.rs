//! Writing frames: one write, one sync, one frame at a time.
//!
//! **Invariant: nothing is appended during a sync.** The appender is owned by whoever holds the commit lock, and a frame
//! is on the disk before the next one is encoded. That is what lets a reader tell a torn tail from damage.

use std::sync::Arc;
use std::time::Instant;

use super::envelope::{self, Content, Links};
use super::frame::{BLOCK_BYTES, HEADER_BYTES, Header, Layout, Link, padded};
use super::payload::{self, Payload};
use super::prepare::Preparer;
use super::segments::{Segments, Span};
use super::walk::Tail;
use crate::contract::{StoreError, WalletKey};
use crate::disk::{DiskFile, write_whole};

/// The most bytes that a frame takes with envelopes of so many.
pub(crate) const fn frame_bytes(envelopes: usize) -> usize {
    HEADER_BYTES + payload::bytes_max(envelopes)
}

/// The growing end of a journal.
#[derive(Debug)]
pub(crate) struct Appender {
    segments: Arc<Segments>,
    preparer: Arc<Preparer>,
    span: Span,
    /// The segment has frames of another layout: the next frame begins the next segment.
    is_older: bool,
    file: Arc<dyn DiskFile>,
    /// Where the last frame ended; all before it is durable.
    end: u64,
    link: Link,
    /// The frame being made, and its records, used over and over.
    buffer: Vec<u8>,
    payload: Payload,
    position: u64,
    records: u32,
}

impl Appender {
    /// Goes on after the last frame that was found. Its link is the journal's id where there is no frame yet.
    pub(crate) fn resume(
        segments: Arc<Segments>,
        preparer: Arc<Preparer>,
        tail: &Tail,
    ) -> Result<Appender, StoreError> {
        let at_end = tail.end.max(1) - 1;
        let span = segments.span_of(at_end).unwrap_or(Span {
            base: 0,
            end: segments.end(),
        });
        preparer.ahead_of(span.end);
        Ok(Appender {
            file: segments.file(span.base)?,
            is_older: segments.layout(span.base)? != Layout::Blocks,
            link: tail.link.unwrap_or(segments.journal()),
            segments,
            preparer,
            span,
            end: tail.end,
            buffer: Vec::new(),
            payload: Payload::new(),
            position: 0,
            records: 0,
        })
    }

    /// Begins a frame with so many bytes of envelopes, in the next segment if it might not fit in this one.
    pub(crate) fn begin(&mut self, envelope_bytes: usize) -> Result<Option<Span>, String> {
        let bytes = padded(frame_bytes(envelope_bytes) as u64);
        let mut sealed = None;
        self.position = self.end.max(self.span.base + BLOCK_BYTES);
        if self.is_older || self.position + bytes > self.span.end {
            let base = self.span.end;
            self.preparer.take(base)?;
            let span = self.segments.span_of(base).ok_or("the next segment is missing")?;
            self.file = self.segments.file(base).map_err(|error| error.to_string())?;
            self.is_older = false;
            sealed = Some(std::mem::replace(&mut self.span, span));
            self.position = base + BLOCK_BYTES;
            if self.position + bytes > span.end {
                return Err(format!(
                    "a frame of {bytes} bytes is larger than the segment at {base}"
                ));
            }
            self.preparer.ahead_of(span.end);
            metrics::counter!("farebox_store_segments_sealed_total").increment(1);
        }
        self.records = 0;
        self.payload.clear();
        Ok(sealed)
    }

    /// Where the last frame ended.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Where the frame begins that is being made.
    pub(crate) fn begins(&self) -> u64 {
        self.position
    }

    /// Adds a record to the frame; the answer is its position.
    pub(crate) fn push(
        &mut self,
        wallet: &WalletKey,
        links: Links,
        content: Content<'_>,
    ) -> Result<u64, String> {
        self.records += 1;
        let position = self.position + u64::from(self.records);
        envelope::encode(&mut self.payload.open, position, wallet, links, content);
        self.payload.added()?;
        Ok(position)
    }

    /// Writes and syncs the frame. After an error nothing may be appended ever again.
    pub(crate) fn finish(&mut self) -> Result<u64, String> {
        self.buffer.clear();
        self.buffer.resize(HEADER_BYTES, 0);
        self.payload.finish(&mut self.buffer)?;
        let payload = &self.buffer[HEADER_BYTES..];
        let header = Header {
            layout: Layout::Blocks,
            journal: self.segments.journal(),
            position: self.position,
            durable: self.end,
            payload_bytes: u32::try_from(payload.len())
                .map_err(|_| "a frame of more than 4 GiB".to_string())?,
            records: self.records,
            previous: self.link,
            payload_crc: crc32c::crc32c(payload),
        };
        let link = header.link(payload);
        self.buffer[..HEADER_BYTES].copy_from_slice(&header.encode());
        // Whole blocks: a partial one would make the kernel read the rest of its page first.
        let padded = usize::try_from(header.padded_bytes()).map_err(|error| error.to_string())?;
        self.buffer.resize(padded, 0);
        self.write().map_err(|error| {
            format!(
                "{} at {}: {error}",
                self.segments.path(self.span.base).display(),
                self.position - self.span.base
            )
        })?;
        self.end = self.position + self.buffer.len() as u64;
        self.link = link;
        Ok(self.end)
    }

    fn write(&self) -> std::io::Result<()> {
        let begun = Instant::now();
        write_whole(&*self.file, &self.buffer, self.position - self.span.base)?;
        let written = Instant::now();
        self.file.sync_data()?;
        metrics::histogram!("farebox_store_write_seconds").record((written - begun).as_secs_f64());
        metrics::histogram!("farebox_store_sync_seconds").record(written.elapsed().as_secs_f64());
        metrics::histogram!("farebox_store_frame_records").record(f64::from(self.records));
        metrics::counter!("farebox_store_journal_bytes_total").increment(self.buffer.len() as u64);
        Ok(())
    }
}
