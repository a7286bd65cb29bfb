//! Stores: where wallets live, and what "durable" means.
//!
//! Goal: an answer is given only for what a power cut cannot take back, at the price of one write and one sync for all
//! commits that are waiting; and at the next start there is no doubt about what was answered. The contract is [`Store`];
//! [`conformance`] is the contract as tests, which every store passes.
//!
//! | store | what for |
//! |---|---|
//! | [`JournalStore`] | the default: an append-only journal, and sled for the state that follows from it |
//! | [`MemoryStore`] | tests, and the model that others are compared with |
//! | [`OverlayStore`] | above another: keeps what is committed in memory, to find out what it would lead to |
//! | [`LossyStore`] | around another: loses commits at random, as a second process would make it |
//!
//! # The journal store
//! ```text
//! dir/lock              held while open
//! dir/journal/*.journal segments: frames of records (the truth, never edited)
//! dir/journal/*.packed  the same segments, once they are complete, compressed in blocks
//! dir/state/            sled: heads and parts of wallets, what falls due (follows from the journal)
//! dir/ids/*.ids         sorted runs of the ids of complete segments (follow from the journal)
//! dir/ids/*.past        the same for those that are forgotten: for corrections of old events
//! dir/blobs/*.blob      large immutable bytes by name
//! dir/snapshots/        the state at a position, proven (follows from the journal)
//! dir/archived/         which segments are in an archive, and the ids that they answer for
//! ```
//! One `commit` call becomes one frame: compare versions, encode, one `pwrite`, one `fdatasync`, then show and answer. A
//! thread applies the changes to sled behind the answer; until it has, reads lay them over what sled says. Another fills
//! the next segment with zeros, a third writes the ids of complete segments to sorted files, a fourth compresses them.
//!
//! **Invariants**, each with the test that holds it:
//! - *Nothing is appended during a sync, and a page that was synced is never written again.* So at most one frame can be
//!   torn, and it is one that nobody was answered for (`tests/crash_images.rs`). The one exception writes what is there: an
//!   open writes a last frame that is not known to be durable again, with its own bytes, because after a sync that failed
//!   the kernel takes its pages for clean and another sync would save nothing (`failed_sync.rs` of the simulator).
//! - *A frame names the end of the frame before it.* So a hole before any valid frame is damage, and the store refuses to
//!   open, by file and offset, and changes nothing (`tests/damage.rs`). A clean close adds a frame without records and a
//!   synced mark in the state, so that even the loss of the last frame is noticed.
//! - *After the first failed write or sync nothing is accepted any more* (`tests/faults.rs`).
//! - *The state is never half of a commit, and may be as old as it likes.* Each pass over sled is one atomic batch with the
//!   position that it reaches; the rest is folded from the journal, which also works with no state at all.
//! - *An id that was answered is always found* (`conformance::ids_are_never_missed`).
//! - *A segment leaves the journal only when an archive holds it, durable and verified, and a list that is durable names it;
//!   what is there is never taken for nothing* (`tests/archive.rs`, `tests/archive_crashes.rs`).
//!
//! # Rejected
//! - sled alone: its `flush` is no fsync (0.34 calls `sync_file_range`), and under reordered writes acknowledged commits
//!   were lost in 13 of 50 simulated power cuts. With an fsync behind each flush it costs ten times a journal's commit.
//! - A store that takes a lock for each wallet instead of versions: it could not become several processes.
//! - Repairing damage: whatever is cut off to "repair" was money that somebody was told they have.

mod admit;
mod archive;
mod backup;
mod blobs;
pub mod conformance;
mod contract;
pub mod disk;
mod fast;
mod heads;
mod ids;
mod journal;
mod latch;
pub mod limits;
mod listing;
mod lossy;
mod materialise;
mod memory;
mod overlay;
mod pending;
mod projections;
mod room;
mod state;
mod store;
mod threads;

pub use archive::{ArchivePlan, ArchiveReport, Ended, archive, archive_on};
pub use backup::{BackupReport, RestoreReport, backup, restore};
pub use contract::*;
pub use fast::FastMap;
pub use ids::IdCost;
pub use journal::pack::Packing;
pub use journal::verify::{JournalReport, verify_journal};
pub use lossy::LossyStore;
pub use memory::MemoryStore;
pub use overlay::OverlayStore;
pub use projections::{Follow, Position, ProjectionChange, ProjectionRow, Projections, Tail};
pub use store::{
    Base, BaseWallet, Beginning, Chore, JournalStore, Options, Proof, SnapshotPlan, SnapshotReport, snapshot,
};
