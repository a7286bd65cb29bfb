//! Reading frames in order, and telling a torn tail from damage.
//!
//! Only one frame is ever on its way to the disk, so after the last durable frame there can be any mixture of the sectors
//! of *one* frame and zeros. That is a torn tail: nobody was answered. Everything else that is not a frame is damage: a
//! place with a valid frame anywhere after it, a frame that does not chain to the one before, an end before a position
//! that something else (the state, a later frame) knows to have been durable. Damage is reported, never cut away.

use super::envelope::{self, Envelope};
use super::frame::{BLOCK_BUFFER_BYTES, BLOCK_BYTES, HEADER_BYTES, Header, Layout, Link};
use super::packed::unread;
use super::payload;
use super::place::{Damage, refused};
use super::segments::{Form, Segments, Span};
use crate::contract::StoreError;
use crate::disk::{read_up_to, write_whole};

/// Segments are read this much at a time.
const READ_BYTES: usize = 256 << 10;

/// A frame that is what was written.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub header: Header,
    /// The segment that it lies in.
    pub base: u64,
    payload: &'a [u8],
}

/// Where to begin, and what is known beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From {
    /// Start of a frame, or of a segment.
    pub position: u64,
    /// What the first frame must be chained to, if known.
    pub link: Option<Link>,
    /// Everything before this was durable.
    pub durable: u64,
    /// Start of the segment to stop before; none: go on to the end of the journal.
    pub until: Option<u64>,
}

/// Where the journal ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where the last frame ends and the next may start.
    pub end: u64,
    /// What the next frame chains to; none if there was no frame on the way.
    pub link: Option<Link>,
    /// Where the last frame starts; none if there was no frame on the way.
    pub last: Option<u64>,
    /// Blocks after the end that are not zero: what is left of a frame that nobody was answered for.
    pub torn: Vec<u64>,
}

impl Segments {
    /// Shows every frame from a place on to `visit`, in order, and finds the end.
    pub(crate) fn walk(
        &self,
        from: From,
        visit: &mut dyn FnMut(&Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<Tail, StoreError> {
        let spans = self.spans();
        let mut walk = Walk {
            segments: self,
            end: from.position,
            link: from.link,
            last: None,
            known: from.durable,
        };
        let mut first = spans.partition_point(|span| span.end <= from.position);
        let mut at = from.position;
        if spans.get(first).is_some_and(|span| self.ends_archived(*span, at)) {
            first += 1;
        }
        while let Some(&span) = spans.get(first) {
            walk.segment(span, at.max(span.base + BLOCK_BYTES), visit)?;
            let Some(next) = spans.get(first + 1) else { break };
            if from.until.is_some_and(|until| next.base >= until) {
                return Ok(Tail {
                    end: walk.end,
                    link: walk.link,
                    last: walk.last,
                    torn: Vec::new(),
                });
            }
            if !walk.goes_on(*next)? {
                break;
            }
            first += 1;
            at = next.base;
        }
        let torn = walk.torn(&spans[first.min(spans.len())..])?;
        if walk.end < walk.known {
            return Err(walk.hole(
                walk.known,
                &format!("the journal was durable up to position {}", walk.known),
            ));
        }
        Ok(Tail {
            end: walk.end,
            link: walk.link,
            last: walk.last,
            torn,
        })
    }

    /// Whether this is the last archived segment, and its last frame ends here: nothing more need be read in it, which is
    /// good, because it is not here.
    pub(super) fn ends_archived(&self, span: Span, end: u64) -> bool {
        let known = self.elsewhere().known();
        known.is_some_and(|known| (known.end(), known.frames_end()) == (span.end, end))
    }

    /// As [`Segments::walk`], beside somebody who may be writing at this moment; `visit` is also told each frame's link. The
    /// answer is where the frames end that were there.
    ///
    /// Where the walk stopped at a place without a frame and then met a later one, the frame between may have been
    /// written meanwhile: a frame names the end of the one before it only when that is durable, so a second look tells. If
    /// the missing frame is there now, the walk simply came too early; if it is not, that is damage.
    pub(crate) fn walk_beside(
        &self,
        from: From,
        visit: &mut dyn FnMut(&Frame<'_>, Link) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (mut end, mut reached) = (from.position, from.link);
        let walked = self.walk(from, &mut |frame| {
            let link = frame.link();
            visit(frame, link)?;
            (end, reached) = (frame.end(), Some(link));
            Ok(())
        });
        match walked {
            Ok(tail) => Ok(tail.end),
            Err(error @ StoreError::Damaged { .. }) => match self.goes_on_at(end, reached)? {
                true => Ok(end),
                false => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Whether a frame that is chained to this link begins here, or at the front of the next segment.
    fn goes_on_at(&self, end: u64, link: Option<Link>) -> Result<bool, StoreError> {
        let chained = |header: Header| header.durable == end && Some(header.previous) == link;
        let here = match self.span_of(end) {
            None => None,
            Some(span) => {
                let at = end.max(span.base + BLOCK_BYTES);
                let mut reader = Reader::new(self, span);
                reader.frame(at)?.ok().map(|(header, _)| header)
            }
        };
        Ok(here.is_some_and(chained))
    }

    /// The end of the journal as far as a later frame proves it durable: where the last frame but one ends. Whoever stops
    /// there needs no sync, and is never ahead of what a power cut leaves, whatever became of the last frame.
    pub(crate) fn proven_end(&self) -> Result<u64, StoreError> {
        let here = self.archived_until();
        for span in self.spans().into_iter().rev().filter(|span| span.base >= here) {
            if self.first_frame(span.base)?.is_none() {
                continue;
            }
            let from = From {
                position: span.base,
                link: None,
                durable: span.base,
                until: None,
            };
            let mut proven = 0;
            self.walk_beside(from, &mut |frame, _| {
                proven = frame.header.durable;
                Ok(())
            })?;
            return Ok(proven);
        }
        Ok(0)
    }

    /// Header of the first frame of the segment that begins here. None: there is no such segment, or no frame in it yet.
    pub(crate) fn first_frame(&self, base: u64) -> Result<Option<Header>, StoreError> {
        let Some(span) = self.span_of(base) else {
            return Ok(None);
        };
        let mut reader = Reader::new(self, span);
        let frame = reader.frame(span.base + BLOCK_BYTES)?;
        Ok(frame.ok().map(|(header, _)| header))
    }

    /// Makes what was found durable before anybody is told of it: overwrites what is left of a torn frame with zeros, so
    /// that nothing stale is ever behind a later frame, and the last frame, if it is not known to be durable, with itself.
    ///
    /// That frame may be whole and yet never have been synced, or its sync may have failed: then the kernel takes its pages
    /// for clean, and another sync alone would save nothing. For the same reason the names of the segments are synced.
    ///
    /// A packed segment is never the last one: it was packed because a frame that goes on behind it was durable. So where
    /// the frames end in one, what was durable is gone.
    pub(crate) fn clear(&self, tail: &Tail, durable: u64) -> Result<(), StoreError> {
        if let Some(span) = self.span_of(tail.end.max(1) - 1)
            && self.form(span.base) != Some(Form::Written)
        {
            let what = "a packed segment comes before it, so a frame was durable here, and is not there";
            return Err(Damage::new(what).at(&self.path(span.end), BLOCK_BYTES));
        }
        let zeros = vec![0; BLOCK_BUFFER_BYTES];
        for &block in &tail.torn {
            if let Some(span) = self.span_of(block) {
                let path = self.path(span.base);
                write_whole(&*self.file(span.base)?, &zeros, block - span.base)
                    .map_err(refused("clearing the torn end of", &path))?;
            }
        }
        if let Some(last) = tail.last.filter(|_| tail.end > durable) {
            self.write_again(last, tail.end)?;
        }
        // From the segment of the last frame on.
        for span in self.spans().iter().filter(|span| span.end >= tail.end) {
            let path = self.path(span.base);
            self.file(span.base)?
                .sync_data()
                .map_err(refused("syncing", &path))?;
        }
        self.sync_names()
    }

    fn write_again(&self, from: u64, to: u64) -> Result<(), StoreError> {
        let Some(span) = self.span_of(from) else {
            return Ok(());
        };
        let (path, file) = (self.path(span.base), self.file(span.base)?);
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(usize::MAX)];
        let read = read_up_to(&*file, &mut bytes, from - span.base).map_err(refused("reading", &path))?;
        write_whole(&*file, &bytes[..read], from - span.base).map_err(refused("writing again", &path))
    }
}

struct Walk<'a> {
    segments: &'a Segments,
    end: u64,
    link: Option<Link>,
    last: Option<u64>,
    known: u64,
}

impl Walk<'_> {
    /// Visits the frames of one segment until there is none.
    fn segment(
        &mut self,
        span: Span,
        from: u64,
        visit: &mut dyn FnMut(&Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut reader = Reader::new(self.segments, span);
        let mut at = from;
        while at < span.end {
            let Ok((header, payload)) = reader.frame(at)? else {
                break;
            };
            self.follow(&header, span)?;
            let link = header.link(payload);
            let start = at;
            at += header.padded_bytes();
            visit(&Frame {
                header,
                base: span.base,
                payload,
            })?;
            self.end = at;
            self.link = Some(link);
            self.last = Some(start);
        }
        Ok(())
    }

    /// Checks that a frame comes right after the last.
    fn follow(&mut self, header: &Header, span: Span) -> Result<(), StoreError> {
        let place = |what: &str| {
            let offset = header.position - span.base;
            Damage::new(what).at(&self.segments.path(span.base), offset)
        };
        if let Some(link) = self.link {
            if header.durable != self.end {
                return Err(self.hole(
                    header.durable,
                    &format!("a valid frame follows at position {}", header.position),
                ));
            }
            if header.previous != link {
                return Err(place("the frame is not chained to the one before it"));
            }
        }
        self.known = self.known.max(header.durable);
        Ok(())
    }

    /// Whether the frames go on in the next segment.
    fn goes_on(&self, next: Span) -> Result<bool, StoreError> {
        Ok(Reader::new(self.segments, next)
            .frame(next.base + BLOCK_BYTES)?
            .is_ok())
    }

    /// The blocks behind the end that are not zero; a frame among them means that the end is none.
    fn torn(&self, spans: &[Span]) -> Result<Vec<u64>, StoreError> {
        let mut torn = Vec::new();
        for &span in spans {
            let mut reader = Reader::new(self.segments, span);
            let mut at = self.end.max(span.base + BLOCK_BYTES);
            while at < span.end {
                let block = reader.block(at)?;
                if block.iter().any(|&byte| byte != 0) {
                    let header = Header::decode(block, &self.segments.journal(), at);
                    if let Ok(header) = header
                        && header.durable > self.end
                    {
                        return Err(
                            self.hole(header.durable, &format!("a valid frame follows at position {at}"))
                        );
                    }
                    torn.push(at);
                }
                at += BLOCK_BYTES;
            }
        }
        Ok(torn)
    }

    /// The error for a frame that must be there, as everything up to `durable` was, and is not. Its place is where the
    /// walk stuck; but where only zeros are left of a segment and `durable` lies in a later one, it is there.
    fn hole(&self, durable: u64, proof: &str) -> StoreError {
        match self.find_hole(durable) {
            Ok((place, base, reason)) => {
                Damage::new(format!("{reason}, yet {proof}")).at(&self.segments.path(base), place - base)
            }
            Err(error) => error,
        }
    }

    fn find_hole(&self, durable: u64) -> Result<(u64, u64, Damage), StoreError> {
        let mut place = self.end;
        if let (Some(here), Some(last)) = (
            self.segments.span_of(self.end),
            self.segments.span_of(durable.max(1) - 1),
        ) {
            place = place.max(here.base + BLOCK_BYTES);
            let stuck = Reader::new(self.segments, here)
                .block(place)?
                .iter()
                .any(|&byte| byte != 0);
            if last.base > here.base && !stuck {
                place = here.end + BLOCK_BYTES;
            }
        }
        let Some(span) = self.segments.span_of(place) else {
            let base = self.segments.end();
            return Ok((base, base, Damage::new("this segment is missing")));
        };
        let reason = Reader::new(self.segments, span).frame(place)?.err();
        Ok((
            place,
            span.base,
            reason.unwrap_or_else(|| Damage::new("a frame is missing before this one")),
        ))
    }
}

impl<'a> Frame<'a> {
    /// A frame that was read and checked.
    pub(super) fn new(header: Header, base: u64, payload: &'a [u8]) -> Frame<'a> {
        Frame {
            header,
            base,
            payload,
        }
    }

    /// What the next frame is chained to.
    pub(crate) fn link(&self) -> Link {
        self.header.link(self.payload)
    }

    /// Where the next frame may start.
    pub(crate) fn end(&self) -> u64 {
        self.header.position + self.header.padded_bytes()
    }

    /// Shows its records with their positions. `segments` is only asked for the file's name.
    pub(crate) fn records(
        &self,
        segments: &Segments,
        visit: &mut dyn FnMut(u64, &Envelope<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let damaged = |damage: Damage| damage.at(&segments.path(self.base), self.header.position - self.base);
        let mut seen = 0;
        match self.header.layout {
            Layout::Plain => {
                let first = self.header.position + HEADER_BYTES as u64;
                let mut at = 0;
                while at < self.payload.len() {
                    let position = first + at as u64;
                    let (envelope, bytes) =
                        envelope::decode(&self.payload[at..], position).map_err(damaged)?;
                    visit(position, &envelope)?;
                    at += bytes;
                    seen += 1;
                }
            }
            Layout::Blocks => {
                let mut envelopes = Vec::new();
                for block in payload::blocks(self.payload).map_err(damaged)? {
                    let stored = self.payload.get(block.start..block.start + block.bytes);
                    payload::unpack(block, stored.unwrap_or_default(), &mut envelopes).map_err(damaged)?;
                    let mut at = 0;
                    while at < envelopes.len() {
                        seen += 1;
                        let position = self.header.position + seen;
                        let (envelope, bytes) =
                            envelope::decode(&envelopes[at..], position).map_err(damaged)?;
                        visit(position, &envelope)?;
                        at += bytes;
                    }
                }
            }
        }
        if seen == u64::from(self.header.records) {
            return Ok(());
        }
        Err(damaged(Damage::new(format!(
            "the frame says that it has {} records, but has {seen}",
            self.header.records
        ))))
    }
}

/// Reads one segment from front to back, a large piece at a time.
pub(super) struct Reader<'a> {
    segments: &'a Segments,
    span: Span,
    piece: Vec<u8>,
    piece_at: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(segments: &'a Segments, span: Span) -> Reader<'a> {
        Reader {
            segments,
            span,
            piece: Vec::new(),
            piece_at: span.base,
        }
    }

    /// The bytes at a position; fewer where the file ends.
    fn bytes(&mut self, position: u64, wanted: usize) -> Result<&[u8], StoreError> {
        let held =
            position >= self.piece_at && position + wanted as u64 <= self.piece_at + self.piece.len() as u64;
        if !held {
            let path = self.segments.path(self.span.base);
            self.piece.resize(wanted.max(READ_BYTES), 0);
            let read = read_up_to(
                &*self.segments.file(self.span.base)?,
                &mut self.piece,
                position - self.span.base,
            )
            .map_err(unread(&path))?;
            self.piece.truncate(read);
            self.piece_at = position;
        }
        let start = usize::try_from(position - self.piece_at)
            .unwrap_or(usize::MAX)
            .min(self.piece.len());
        let end = (start + wanted).min(self.piece.len());
        Ok(&self.piece[start..end])
    }

    fn block(&mut self, position: u64) -> Result<&[u8], StoreError> {
        self.bytes(position, BLOCK_BUFFER_BYTES)
    }

    /// The frame at a position, or why there is none.
    pub(super) fn frame(&mut self, position: u64) -> Result<Result<(Header, &[u8]), Damage>, StoreError> {
        let (journal, end) = (self.segments.journal(), self.span.end);
        let header = match Header::decode(self.block(position)?, &journal, position) {
            Ok(header) => header,
            Err(damage) => return Ok(Err(damage)),
        };
        if position + header.padded_bytes() > end {
            return Ok(Err(Damage::new("the frame reaches beyond its segment")));
        }
        let bytes = self.bytes(position, HEADER_BYTES + header.payload_bytes as usize)?;
        let payload = bytes.get(HEADER_BYTES..).unwrap_or_default();
        if payload.len() != header.payload_bytes as usize || crc32c::crc32c(payload) != header.payload_crc {
            return Ok(Err(Damage::new(
                "the checksum of the frame's records does not match",
            )));
        }
        Ok(Ok((header, payload)))
    }
}
