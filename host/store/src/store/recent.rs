//! The newest records as they were committed, for whoever follows closely behind: no file is read, nothing is unpacked, and
//! what they were [made from](crate::Origin) is at hand.
//!
//! What is not here any more is read from the journal, and is the same. Records are let go of when the projections have them,
//! or when they are too many.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::tail::{between, record, split};
use crate::contract::StoredRecord;
use crate::limits::{RECENT_BYTES_MAX, TAIL_BYTES_MAX};
use crate::projections::{Position, Tail};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// A frame of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Where the frame before it ended.
    pub behind: u64,
    /// Where it begins.
    pub begins: u64,
    /// Where it ends.
    pub ends: u64,
    /// Its records, in order.
    pub records: Arc<Vec<StoredRecord>>,
}

impl Frame {
    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.body.len()).sum()
    }
}

impl Recent {
    /// Keeps a frame that is durable. It follows on the one that was kept last.
    pub(crate) fn add(&self, frame: Frame) {
        let mut let_go = Vec::new(); // outside of the lock, since there may be many
        let mut kept = self.0.lock();
        kept.bytes += frame.bytes();
        kept.frames.push_back(frame);
        while kept.bytes > RECENT_BYTES_MAX {
            let_go.extend(kept.pop());
        }
        drop(kept);
    }

    /// Lets go of what is behind a reader that has reached this place.
    pub(crate) fn forget(&self, reached: Position) {
        let mut let_go = Vec::new();
        let mut kept = self.0.lock();
        while kept
            .frames
            .front()
            .is_some_and(|frame| between(frame.ends) <= reached)
        {
            let_go.extend(kept.pop());
        }
        drop(kept);
    }

    /// What follows on a place, in frames that begin before `until`; none where that is not kept.
    pub(crate) fn tail(&self, after: Position, until: u64, limit: usize) -> Option<Tail> {
        let (place, mut skipped) = split(after);
        let frames: Vec<Frame> = {
            let kept = self.0.lock();
            let is_next = |frame: &Frame| match skipped {
                0 => frame.behind == place,
                _ => frame.begins == place,
            };
            let first = kept.frames.iter().position(is_next)?;
            let frames = kept.frames.iter().skip(first);
            frames.take_while(|frame| frame.begins < until).cloned().collect()
        };
        let mut tail = Tail {
            records: Vec::new(),
            reached: after,
        };
        let mut bytes = 0;
        for frame in frames {
            for (number, stored) in (1..).zip(&*frame.records) {
                if number <= skipped {
                    continue;
                }
                if tail.records.len() == limit || bytes >= TAIL_BYTES_MAX {
                    return Some(tail);
                }
                bytes += stored.body.len();
                tail.reached = record(frame.begins, number);
                tail.records.push((tail.reached, stored.clone()));
            }
            skipped = 0;
            tail.reached = between(frame.ends);
        }
        Some(tail)
    }
}

impl Kept {
    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Origin, WalletKey};
    use crate::journal::frame::BLOCK_BYTES;

    fn stored(sequence: u64, bytes: usize) -> StoredRecord {
        StoredRecord {
            wallet: WalletKey::new("t", "w"),
            sequence,
            body: vec![7; bytes],
            origin: Origin::default(),
        }
    }

    /// A frame of a block, at that block.
    fn frame(block: u64, records: Vec<StoredRecord>) -> Frame {
        Frame {
            behind: block * BLOCK_BYTES,
            begins: block * BLOCK_BYTES,
            ends: (block + 1) * BLOCK_BYTES,
            records: Arc::new(records),
        }
    }

    fn sequences(tail: &Tail) -> Vec<u64> {
        tail.records.iter().map(|(_, stored)| stored.sequence).collect()
    }

    #[test]
    fn it_is_read_from_any_place_as_long_as_it_is_there() {
        let recent = Recent::default();
        recent.add(frame(1, vec![stored(1, 10), stored(2, 10)]));
        recent.add(frame(2, vec![stored(3, 10)]));
        let until = 3 * BLOCK_BYTES;
        let all = recent.tail(between(BLOCK_BYTES), until, 10).unwrap();
        assert_eq!((sequences(&all), all.reached), (vec![1, 2, 3], between(until)));
        for ((position, _), rest) in all.records.iter().zip([vec![2, 3], vec![3], vec![]]) {
            assert_eq!(sequences(&recent.tail(*position, until, 10).unwrap()), rest);
        }
        let some = recent.tail(between(BLOCK_BYTES), until, 1).unwrap();
        assert_eq!((sequences(&some), some.reached), (vec![1], all.records[0].0));
        let durable = recent.tail(between(BLOCK_BYTES), 2 * BLOCK_BYTES, 10).unwrap();
        assert_eq!(sequences(&durable), [1, 2], "what is not shown yet is not read");
        assert!(
            recent.tail(Position::default(), until, 10).is_none(),
            "it was never there"
        );
        recent.forget(all.records[1].0);
        assert!(
            recent.tail(all.records[0].0, until, 10).is_some(),
            "half of a frame is kept"
        );
        recent.forget(between(2 * BLOCK_BYTES));
        assert!(recent.tail(all.records[0].0, until, 10).is_none());
        assert_eq!(
            sequences(&recent.tail(between(2 * BLOCK_BYTES), until, 10).unwrap()),
            [3]
        );
    }

    #[test]
    fn it_keeps_so_many_bytes() {
        let recent = Recent::default();
        let quarter = RECENT_BYTES_MAX / 4;
        for block in 1..=5 {
            recent.add(frame(block, vec![stored(block, quarter)]));
        }
        let until = 6 * BLOCK_BYTES;
        assert!(recent.tail(between(BLOCK_BYTES), until, 10).is_none());
        let left = recent.tail(between(2 * BLOCK_BYTES), until, 2).unwrap();
        assert_eq!(sequences(&left), [2, 3]);
    }
}
