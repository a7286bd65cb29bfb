//! The default store: the journal as the truth, sled as what follows from it.

mod base;
mod by_hand;
mod commit;
mod gather;
mod open;
mod read;
mod recent;
mod replay;
mod snapshot;
mod tail;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::admit;
use crate::blobs::Blobs;
use crate::contract::{
    Commit, Fate, Fold, IdHash, Image, PartKey, Room, Store, StoreError, StoredRecord, Version, WalletKey,
};
use crate::disk::{Disk, OsDisk};
use crate::ids::{IdCost, IdIndex};
use crate::journal::pack::{Packer, Packing};
use crate::journal::prepare::Preparer;
use crate::journal::segments::{Access, Segments};
use crate::latch::Latch;
use crate::limits::{
    DISK_FREE_BYTES_MIN, HEADS_CACHED_MAX, ID_FILTER_BYTES_MAX, PENDING_BYTES_MAX, REPLAY_BATCH_BYTES,
    SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, STATE_CACHE_BYTES,
};
use crate::pending::{Ending, Pending};
use crate::projections::{Position, Tail};
use crate::room::DiskRoom;
use crate::state::{Meta, State};
use crate::threads;
pub use base::{Base, BaseWallet};
pub use by_hand::Chore;
use by_hand::{Behind, ByHand};
use commit::Committer;
use open::Folders;
pub(crate) use open::Lock;
use recent::Recent;

pub(crate) use snapshot::take::lock as lock_snapshots;
pub use snapshot::take::{Beginning, Proof, SnapshotPlan, SnapshotReport, snapshot};
pub(crate) use snapshot::{heads, newest as newest_snapshot};

/// What an operator can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Size of the segments made from now on, in bytes: a multiple of 4096, between [`SEGMENT_BYTES_MIN`] and
    /// [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
    /// Cache of the state, in bytes. sled takes several times as much.
    pub state_cache_bytes: u64,
    /// Bytes of changes that may wait for the state before commits wait too.
    pub pending_bytes_max: usize,
    /// Wallets whose newest end stays in memory.
    pub heads_cached_max: usize,
    /// Bytes of records that are folded into the state at once when a journal is replayed.
    pub replay_batch_bytes: usize,
    /// Bytes of memory for the filters of ids.
    pub id_filter_bytes_max: usize,
    /// Whether sealed segments are compressed.
    pub packing: Packing,
    /// Bytes that must be free on the disk for new work to be begun ([`Store::room`]); at least two segments.
    pub disk_free_bytes_min: u64,
    /// Where segments are read that were archived. None: what they hold cannot be read, and whoever needs it is told so.
    pub archive_dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            state_cache_bytes: STATE_CACHE_BYTES,
            pending_bytes_max: PENDING_BYTES_MAX,
            heads_cached_max: HEADS_CACHED_MAX,
            replay_batch_bytes: REPLAY_BATCH_BYTES,
            id_filter_bytes_max: ID_FILTER_BYTES_MAX,
            packing: Packing::On,
            disk_free_bytes_min: DISK_FREE_BYTES_MIN,
            archive_dir: None,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), StoreError> {
        let bytes = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        if self.segment_bytes < SEGMENT_BYTES_MIN || !self.segment_bytes.is_multiple_of(4096) {
            let min = usize::try_from(SEGMENT_BYTES_MIN).unwrap_or(usize::MAX);
            return Err(admit::limit(
                "the bytes of a segment (a multiple of 4096)",
                "SEGMENT_BYTES_MIN",
                bytes,
                min,
            ));
        }
        if self.segment_bytes > SEGMENT_BYTES_MAX {
            let max = usize::try_from(SEGMENT_BYTES_MAX).unwrap_or(usize::MAX);
            return Err(admit::limit(
                "the bytes of a segment",
                "SEGMENT_BYTES_MAX",
                bytes,
                max,
            ));
        }
        Ok(())
    }
}

/// A journal and its state in one folder. See the crate's documentation for what it promises and how.
///
/// Dropping it without [`Store::close`] is a crash: nothing answered is lost, and the next open replays a little more.
#[derive(Debug)]
pub struct JournalStore {
    segments: Arc<Segments>,
    state: Arc<State>,
    ids: Arc<IdIndex>,
    pending: Arc<Pending>,
    recent: Recent,
    latch: Arc<Latch>,
    preparer: Arc<Preparer>,
    packer: Packer,
    room: Arc<DiskRoom>,
    committer: Mutex<Committer>,
    blobs: Blobs,
    /// Where no threads do the work behind the answers.
    by_hand: Option<ByHand>,
    threads: Mutex<Threads>,
    /// Let go last.
    _lock: Lock,
}

#[derive(Debug, Default)]
struct Threads {
    materialiser: Option<JoinHandle<()>>,
    ids: Option<JoinHandle<()>>,
}

impl JournalStore {
    /// Opens the store in a folder, which is made if it is not there. What the state lacks is folded from the journal.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it open; [`StoreError::Damaged`] where durable bytes are not what
    /// was written (nothing is changed then); [`StoreError::State`] if the state cannot be used: [`JournalStore::rebuild`].
    pub fn open(dir: &Path, options: Options, fold: Arc<dyn Fold>) -> Result<JournalStore, StoreError> {
        JournalStore::open_on(Arc::new(OsDisk), dir, options, fold)
    }

    /// As [`JournalStore::open`], with the journal on another [`Disk`]: for tests that record, cut and fail writes.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as `open`, which callers give it to keep"
    )]
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        fold: Arc<dyn Fold>,
    ) -> Result<JournalStore, StoreError> {
        JournalStore::open_behind(disk, dir, &options, Behind::Threads, &*fold)
    }

    /// As [`JournalStore::open_on`], without any thread: what is done behind the answers is done by [`JournalStore::work`],
    /// so that a simulator decides when, and the same decisions give the same run.
    #[expect(clippy::needless_pass_by_value, reason = "as `open`")]
    pub fn open_by_hand(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        fold: Arc<dyn Fold>,
    ) -> Result<JournalStore, StoreError> {
        JournalStore::open_behind(disk, dir, &options, Behind::Hand, &*fold)
    }

    fn open_behind(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: &Options,
        behind: Behind,
        fold: &dyn Fold,
    ) -> Result<JournalStore, StoreError> {
        options.check()?;
        let folders = Folders::make(dir)?;
        let lock = Lock::take(&folders)?;
        open::open(disk, &folders, lock, options, behind, fold, &mut |_, _| {})
    }

    /// Makes the state anew from the journal: from the newest snapshot that is sound, if there is one, and the journal behind
    /// it; else from all of the journal. The old one is moved aside before, and removed when the new one is
    /// durable; after a failure it is still there as `state.broken-1` (or a higher number).
    ///
    /// `progress` is told the journal's bytes that are folded, and how many there are.
    ///
    /// # Errors
    /// As [`JournalStore::open`]; also what `fold` refuses, as [`StoreError::State`].
    #[expect(clippy::needless_pass_by_value, reason = "as `open`")]
    pub fn rebuild(
        dir: &Path,
        options: Options,
        fold: Arc<dyn Fold>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StoreError> {
        options.check()?;
        let folders = Folders::make(dir)?;
        let lock = Lock::take(&folders)?;
        State::move_aside(&folders.state)?;
        let (disk, behind) = (Arc::new(OsDisk), Behind::Threads);
        let store = open::open(disk, &folders, lock, &options, behind, &*fold, progress)?;
        store.close()?;
        State::remove_aside(&folders.state)
    }

    /// Compresses now, at full speed, what is sealed and not compressed yet, whatever [`Options::packing`] says. The answer
    /// is how many segments.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a segment is not what was written: it stays as it is. Segments before it are done.
    pub fn pack_now(&self) -> Result<u64, StoreError> {
        self.latch.check()?;
        self.packer.pack_now()
    }

    /// What remembering ids costs now.
    pub fn id_cost(&self) -> IdCost {
        self.ids.cost()
    }

    fn finish(&self) -> Result<(), StoreError> {
        let mut committer = self.committer.lock();
        self.latch.check()?;
        let end = committer.seal().map_err(|reason| self.latch.stop(reason))?;
        self.latch.close();
        drop(committer);
        self.pending.end(Ending::Drained);
        threads::join(self.threads.lock().materialiser.take());
        while self.work_by_hand(Chore::State)? {}
        self.latch.check_failure()?;
        if !self.pending.is_empty() {
            // The journal has it all: the next open brings the state up to it.
            return Err(StoreError::Stopped {
                reason: "the state could not be brought up to the journal".into(),
            });
        }
        self.ids.stop();
        threads::join(self.threads.lock().ids.take());
        self.packer.stop();
        self.preparer.stop();
        let meta = Meta {
            journal: self.segments.journal(),
            applied: end,
            durable: end,
        };
        // The journal has it all, whatever fails here: the next open brings the state up to it.
        let applied = self.state.apply(&crate::state::Changes::new(), &meta);
        let synced = applied.and_then(|()| self.state.sync());
        synced.map_err(|error| self.latch.stop(error.to_string()))
    }
}

impl Store for JournalStore {
    fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError> {
        self.commit_all(commits)
    }

    fn load(&self, wallet: &WalletKey) -> Result<Image, StoreError> {
        self.latch.check()?;
        self.load_wallet(wallet)
    }

    fn part(&self, wallet: &WalletKey, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.latch.check()?;
        self.part_of(wallet, key)
    }

    fn parts(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(PartKey, Vec<u8>)>, StoreError> {
        self.latch.check()?;
        self.parts_of(wallet, prefix, after, limit)
    }

    fn room(&self) -> Room {
        self.room.room()
    }

    fn may_have_seen(&self, id: IdHash) -> bool {
        self.ids.may_hold(id)
    }

    fn forget_ids(&self, before: i64) {
        self.ids.forget(before);
    }

    fn find(&self, wallet: &WalletKey, id: IdHash) -> Result<Vec<StoredRecord>, StoreError> {
        self.latch.check()?;
        self.find_records(wallet, id)
    }

    fn find_past(&self, wallet: &WalletKey, id: IdHash) -> Result<Option<Vec<StoredRecord>>, StoreError> {
        self.latch.check()?;
        self.find_past_records(wallet, id)
    }

    fn history(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.latch.check()?;
        self.records_before(wallet, before, limit)
    }

    fn due(&self, tenant: &str, until: i64, limit: usize) -> Result<Vec<(i64, WalletKey)>, StoreError> {
        self.latch.check()?;
        self.due_until(tenant, until, limit)
    }

    fn wallets(&self, tenant: &str, after: Option<&str>, limit: usize) -> Result<Vec<WalletKey>, StoreError> {
        self.latch.check()?;
        self.wallets_of(tenant, after, limit)
    }

    fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.latch.check()?;
        self.tenants_after(after, limit)
    }

    fn tail(&self, after: Position, limit: usize) -> Result<Tail, StoreError> {
        self.latch.check()?;
        self.tail_behind(after, limit)
    }

    fn end(&self) -> Result<Position, StoreError> {
        self.latch.check()?;
        Ok(self.end_position())
    }

    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.latch.check()?;
        self.room.check()?;
        self.blobs.put(name, bytes)
    }

    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.latch.check()?;
        self.blobs.get(name)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.finish()
    }
}

impl Drop for JournalStore {
    fn drop(&mut self) {
        self.latch.close();
        self.pending.end(Ending::Now);
        self.ids.stop();
        self.packer.stop();
        self.preparer.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        threads::join(threads.materialiser);
        threads::join(threads.ids);
    }
}

/// The folder's journal, and nothing else, for those that only read it. `archive` is where archived segments are read.
pub(crate) fn journal_alone(
    dir: &Path,
    archive: Option<&Path>,
) -> Result<(Lock, Option<Segments>, PathBuf), StoreError> {
    let folders = Folders::make(dir)?;
    let lock = Lock::take(&folders)?;
    let segments = Segments::list(Arc::new(OsDisk), &folders.journal, archive, Access::Alone)?;
    Ok((lock, segments, folders.snapshots))
}
