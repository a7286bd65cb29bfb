//! The work behind the answers, piece by piece, for whoever decides itself when it is done.
//!
//! In a server threads do it, beside one another. A simulator does it by hand: with no thread there is no chance in the order
//! of things, and a run can be had again. What is done is the same code either way.

use parking_lot::Mutex;

use super::JournalStore;
use crate::contract::StoreError;
use crate::materialise::Materialiser;

/// Who does the work behind the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Threads of the store.
    Threads,
    /// Whoever calls [`JournalStore::work`].
    Hand,
}

/// A piece of the work behind the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Bring the state up to the journal.
    State,
    /// Make what was brought there durable.
    SyncState,
    /// Make the next segment.
    Segment,
    /// Write the ids of complete segments to sorted runs, merge those, and forget what is to be forgotten; where nothing of
    /// that is to be done, make one run of the past again that is missing.
    Ids,
    /// Compress one complete segment, at full speed.
    Pack,
    /// Look at how much room is left on the disk.
    Room,
}

/// What only a store without threads has.
#[derive(Debug)]
pub(super) struct ByHand(Mutex<Materialiser>);

impl ByHand {
    pub(super) fn new(materialiser: Materialiser) -> ByHand {
        ByHand(Mutex::new(materialiser))
    }
}

impl JournalStore {
    /// Does a piece of the work behind the answers. False: there was nothing of it to do, or threads do it (see
    /// [`JournalStore::open_by_hand`]).
    ///
    /// # Errors
    /// [`StoreError::Stopped`], as the thread that does it in a server would have stopped the store. What
    /// [`Chore::Pack`] fails with stops nothing, there as here: the segment stays as it was written.
    pub fn work(&self, chore: Chore) -> Result<bool, StoreError> {
        self.latch.check()?;
        self.work_by_hand(chore)
    }

    /// The same, also while the store closes.
    pub(super) fn work_by_hand(&self, chore: Chore) -> Result<bool, StoreError> {
        let Some(by_hand) = &self.by_hand else {
            return Ok(false);
        };
        let done = match chore {
            Chore::Pack => return self.packer.pack_one(),
            Chore::Room => {
                self.room.look();
                return Ok(true);
            }
            Chore::State => by_hand.0.lock().pass(),
            Chore::SyncState => self.state.sync().map(|()| true),
            Chore::Segment => Ok(self.preparer.make()),
            Chore::Ids => self.ids.work_by_hand(&self.segments),
        };
        done.map_err(|error| self.latch.stop(error.to_string()))
    }
}
