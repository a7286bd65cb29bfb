//! Reading on from a place: frames that are known to be durable, in order, without looking at what is behind them.
//!
//! [`Segments::walk`] finds the journal's end and tells a torn tail from damage; here the end is known, so whatever is no
//! frame before it is damage.

use std::ops::ControlFlow;

use super::frame::BLOCK_BYTES;
use super::place::Damage;
use super::segments::Segments;
use super::walk::{Frame, Reader};
use crate::contract::StoreError;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Where a frame ended: the next one, wherever it lies, names this place as the end of the one before it.
    Behind(u64),
    /// Where a frame begins.
    At(u64),
}

impl Segments {
    /// Shows the frames from a place on that begin before `until`, for as long as `visit` goes on.
    pub(crate) fn frames(
        &self,
        start: Start,
        until: u64,
        visit: &mut dyn FnMut(&Frame<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let (mut at, mut ended) = match start {
            Start::Behind(place) => (place, Some(place)),
            Start::At(place) => (place, None),
        };
        while at < until {
            let Some(span) = self.span_of(at) else {
                return Err(Damage::new("this segment is missing").at(&self.path(at), 0));
            };
            if ended == Some(at) && self.ends_archived(span, at) {
                at = span.end;
                continue;
            }
            let path = self.path(span.base);
            let mut reader = Reader::new(self, span);
            at = at.max(span.base + BLOCK_BYTES);
            while at < until.min(span.end) {
                let (header, payload) = match reader.frame(at)? {
                    Ok(frame) => frame,
                    // A segment ends with zeros where the next frame did not fit; that nothing is missing is seen there.
                    Err(_) if span.end < until && ended.is_some() => break,
                    Err(damage) => return Err(damage.at(&path, at - span.base)),
                };
                if ended.is_some_and(|ended| ended != header.durable) {
                    let what = format!(
                        "a frame is missing before this one, after position {}",
                        header.durable
                    );
                    return Err(Damage::new(what).at(&path, at - span.base));
                }
                at += header.padded_bytes();
                ended = Some(at);
                if visit(&Frame::new(header, span.base, payload))?.is_break() {
                    return Ok(());
                }
            }
            at = span.end;
        }
        Ok(())
    }
}
