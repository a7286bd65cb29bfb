//! The journal in commit order, and what is made of it.
//!
//! A [`Position`] names a frame by the block in which it begins and a record by its number within the frame, so that reading
//! on from any record needs no index: `block << 24 | number`, counted from 1. Number 0 of a block is between two frames: what
//! ends there is before it, what begins there or later is behind it.

use std::ops::ControlFlow;

use super::JournalStore;
use crate::admit;
use crate::contract::StoreError;
use crate::journal::frame::BLOCK_BYTES;
use crate::journal::tail::Start;
use crate::limits::{FRAME_BYTES_MAX, TAIL_BYTES_MAX};
use crate::projections::{Position, ProjectionChange, ProjectionRow, Projections, Tail};

const NUMBER_BITS: u32 = 24;
// Not even empty records could be so many in one frame.
const _: () = assert!(FRAME_BYTES_MAX / 32 < 1 << NUMBER_BITS);

/// The place behind everything that ends before `end`, which is where a frame ends.
pub(super) fn between(end: u64) -> Position {
    record(end, 0)
}

/// A record's place, by where its frame begins and its number within it, counted from 1.
pub(super) fn record(frame: u64, number: u64) -> Position {
    Position((frame / BLOCK_BYTES) << NUMBER_BITS | number)
}

/// Where the frame of a position begins, or where the frame before it ended.
pub(super) fn place_of(position: Position) -> u64 {
    split(position).0
}

pub(super) fn split(position: Position) -> (u64, u64) {
    let number = position.0 & ((1 << NUMBER_BITS) - 1);
    ((position.0 >> NUMBER_BITS).saturating_mul(BLOCK_BYTES), number)
}

impl JournalStore {
    pub(super) fn end_position(&self) -> Position {
        between(self.pending.reached())
    }

    pub(super) fn tail_behind(&self, after: Position, limit: usize) -> Result<Tail, StoreError> {
        let until = self.pending.reached();
        let (place, mut skipped) = split(after);
        let mut tail = Tail {
            records: Vec::new(),
            reached: after,
        };
        let start = match skipped {
            0 => Start::Behind(place),
            _ => Start::At(place),
        };
        if limit == 0 || place >= until {
            return Ok(tail);
        }
        if let Some(recent) = self.recent.tail(after, until, limit) {
            return Ok(recent);
        }
        let mut bytes = 0;
        self.segments.frames(start, until, &mut |frame| {
            let (mut number, mut full) = (0, false);
            frame.records(&self.segments, &mut |_, envelope| {
                number += 1;
                full |= tail.records.len() == limit || bytes >= TAIL_BYTES_MAX;
                if number > skipped && !full {
                    bytes += envelope.body.len();
                    tail.reached = record(frame.header.position, number);
                    tail.records.push((tail.reached, envelope.to_record()));
                }
                Ok(())
            })?;
            skipped = 0;
            if full {
                return Ok(ControlFlow::Break(()));
            }
            tail.reached = between(frame.end());
            Ok(match tail.records.len() == limit || bytes >= TAIL_BYTES_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        Ok(tail)
    }
}

impl Projections for JournalStore {
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        self.latch.check()?;
        admit::projection(&changes)?;
        self.state.projection().apply(position, changes)?;
        self.recent.forget(position);
        Ok(())
    }

    fn projected(&self) -> Result<Position, StoreError> {
        self.latch.check()?;
        Ok(self.state.projection().position())
    }

    fn projection(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.latch.check()?;
        self.state.projection().get(key)
    }

    fn projections(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
        self.latch.check()?;
        self.state.projection().range(prefix, after, limit)
    }

    fn forget_projections(&self) -> Result<(), StoreError> {
        self.latch.check()?;
        self.state.projection().forget()
    }
}
