//! What every store promises: wallets by expected version, durable before it answers.
//!
//! A store knows nothing of money. It keeps, for each wallet (and for each tenant's control plane, which is one more
//! wallet to it), a history of opaque *records* and the state that follows from them as opaque *parts*. Both change
//! in one step, [`Store::commit`], which compares versions first: whoever computed a change from a state that is no
//! longer the newest loses, and nothing of the change is kept. So no code above may assume that it is the only process.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::projections::{Position, Projections, Tail};

/// How many records a wallet has. Version 0: it has never been written.
pub type Version = u64;

/// Names a wallet; its tenant leads every key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletKey {
    tenant: Arc<str>,
    wallet: Arc<str>,
}

/// The wallet name under which a tenant's control plane is kept. No customer can have it: `!` is in no name.
const CONTROL: &str = "!control";

impl WalletKey {
    /// A customer's wallet. Both names have 1 to 128 bytes.
    pub fn new(tenant: &str, wallet: &str) -> WalletKey {
        WalletKey {
            tenant: Arc::from(tenant),
            wallet: Arc::from(wallet),
        }
    }

    /// The tenant's control plane: keys, plans, timelines.
    pub fn control(tenant: &str) -> WalletKey {
        WalletKey::new(tenant, CONTROL)
    }

    /// Whether this is a control plane and no customer's wallet.
    pub fn is_control(&self) -> bool {
        &*self.wallet == CONTROL
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The wallet's name.
    pub fn wallet(&self) -> &str {
        &self.wallet
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.wallet)
    }
}

/// Hash of an id that a record answers for (idempotency). Made by the caller from tenant, customer, scope and id.
///
/// The lowest bit of the last byte says how long it is kept ([`Keep`]), so that whoever holds the hash knows, and no look-up
/// can ask for the wrong class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdHash(pub [u8; 16]);

/// How long an id is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// As long as the store: ids of money in.
    ForGood,
    /// Until [`Store::forget_ids`] is told an instant behind its record's time: ids of usage.
    Window,
}

impl IdHash {
    /// A hash that says how long it is kept; the lowest bit of its last byte gives way.
    pub fn new(mut hash: [u8; 16], keep: Keep) -> IdHash {
        hash[15] = hash[15] & !1 | u8::from(keep == Keep::Window);
        IdHash(hash)
    }

    /// The hash of the same id where it is kept for good.
    #[must_use]
    pub fn for_good(self) -> IdHash {
        IdHash::new(self.0, Keep::ForGood)
    }

    /// How long it is kept.
    pub fn keep(self) -> Keep {
        match self.0[15] & 1 {
            0 => Keep::ForGood,
            _ => Keep::Window,
        }
    }
}

/// Key of a part within its wallet, at most [`crate::limits::PART_KEY_BYTES_MAX`] bytes.
///
/// A first byte below [`ON_DEMAND`] marks a part that is loaded with the wallet; from there on, one that is read when
/// asked for (subjects, unpriced events: there can be millions).
pub type PartKey = Vec<u8>;

/// First byte of the keys of parts that [`Store::load`] leaves out.
pub const ON_DEMAND: u8 = 0x80;

/// A change of one wallet, all or nothing.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whose.
    pub wallet: WalletKey,
    /// The version that it was computed from.
    pub expected: Version,
    /// The version of the tenant's control plane that it was computed under; none for changes that do not depend on it.
    pub control: Option<Version>,
    /// What happened, oldest first. The first gets sequence `expected + 1`. Never empty.
    pub records: Vec<NewRecord>,
    /// State after the last record: parts to set, and parts to remove.
    pub parts: Vec<(PartKey, Option<Vec<u8>>)>,
    /// When something next falls due for the wallet (microseconds since the epoch); none: nothing.
    pub due: Option<i64>,
}

/// A record before it has a place.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Encoded by the caller; at most [`crate::limits::RECORD_BYTES_MAX`].
    pub body: Vec<u8>,
    /// The record's time (microseconds since the epoch): when its ids begin to age.
    pub at: i64,
    /// Ids that this record answers for. At most [`crate::limits::IDS_PER_RECORD_MAX`].
    pub ids: Vec<IdHash>,
    /// What the body was encoded from, or nothing.
    pub origin: Origin,
}

/// What a record's body was encoded from, for a reader in the same process that would decode it again. It is never stored, and
/// says nothing that the body does not say: a reader that gets none decodes the body.
#[derive(Clone, Default)]
pub struct Origin(Option<Arc<dyn Any + Send + Sync>>);

impl Origin {
    /// Of a body that decodes to this.
    pub fn of<T: Any + Send + Sync>(origin: Arc<T>) -> Origin {
        Origin(Some(origin))
    }

    /// What it is, where it is one of these.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "at hand" } else { "none" })
    }
}

/// Records are compared by what is stored.
impl PartialEq for Origin {
    fn eq(&self, _: &Origin) -> bool {
        true
    }
}

impl Eq for Origin {}

/// What became of a [`Commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is durable.
    Committed,
    /// The wallet or the tenant's control plane had moved on; nothing of it was kept.
    Lost,
}

/// A record with its place in its wallet's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Whose.
    pub wallet: WalletKey,
    /// 1 for a wallet's first record, then without a gap.
    pub sequence: Version,
    /// As it was committed.
    pub body: Vec<u8>,
    /// What it was encoded from, where that is at hand: [`Store::tail`] of the newest records.
    pub origin: Origin,
}

/// A wallet as it was last committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// How many records led to it.
    pub version: Version,
    /// The parts that are loaded with a wallet, in order of key.
    pub parts: Vec<(PartKey, Vec<u8>)>,
}

/// How to get from a wallet's image and the records after it to the newer state. Given by the layer that understands
/// records, so that a store can replay without knowing what it replays.
pub trait Fold: Send + Sync {
    /// The parts that `records` (which follow on `image`, oldest first) change, and the wallet's next due instant.
    fn fold(&self, wallet: &WalletKey, image: &Image, records: &[FoldedRecord<'_>])
    -> Result<Folded, String>;
}

/// A record that is folded, with its place in its wallet's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldedRecord<'a> {
    /// 1 for a wallet's first record, then without a gap.
    pub sequence: Version,
    /// As it was committed.
    pub body: &'a [u8],
}

impl<'a> From<&'a StoredRecord> for FoldedRecord<'a> {
    fn from(stored: &'a StoredRecord) -> FoldedRecord<'a> {
        FoldedRecord {
            sequence: stored.sequence,
            body: &stored.body,
        }
    }
}

/// What [`Fold::fold`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// Parts to set, and parts to remove.
    pub parts: Vec<(PartKey, Option<Vec<u8>>)>,
    /// When something next falls due for the wallet.
    pub due: Option<i64>,
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A write or a sync failed before. Nothing is accepted any more; restart, and recover from what is durable.
    #[error(
        "the store has stopped after a failed write: {reason}. Restart Farebox; it recovers to the last durable answer"
    )]
    Stopped {
        /// The first failure.
        reason: String,
    },
    /// Bytes that were durable are not what was written.
    #[error(
        "{file} is damaged at byte {offset}: {what}. Restore this file from a backup; nothing was changed"
    )]
    Damaged {
        /// Which file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Another process has the folder open.
    #[error("{path} is in use by another process (lock held)")]
    Locked {
        /// The folder.
        path: String,
    },
    /// The operating system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// The refusal.
        #[source]
        source: std::io::Error,
    },
    /// The state beside the journal cannot be read or does not fit it.
    #[error("the state cannot be used: {what}. `farebox journal rebuild` makes it anew from the journal")]
    State {
        /// What is wrong with it.
        what: String,
    },
    /// A folder is not the backup, or not the place for one, that it was taken for.
    #[error("{path} cannot be used: {what}")]
    Backup {
        /// The folder.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// What was asked for is in an archive that cannot be read now. Nothing is wrong with it, and nothing is lost.
    #[error(
        "older history is in an archive that is not at hand ({what}). Set archive_dir to the archive's folder to read it"
    )]
    Archived {
        /// The file that is needed.
        what: String,
        /// No archived record of the tenant that was asked about (of any, where none was) is newer than this
        /// (microseconds since the epoch).
        newest: i64,
    },
    /// The disk has less room than is kept free for what was taken in. Nothing was done.
    #[error(
        "the disk of {path} is nearly full: {free_bytes} bytes are free, {free_bytes_min} must be \
         (disk_free_bytes_min). Make room; writes go on by themselves"
    )]
    DiskNearlyFull {
        /// The folder.
        path: String,
        /// How many bytes are free.
        free_bytes: u64,
        /// How many there must be.
        free_bytes_min: u64,
    },
    /// More than a named limit.
    #[error("{what} is {actual}; the limit {limit} is {max}")]
    Limit {
        /// What was too much.
        what: &'static str,
        /// Name of the limit.
        limit: &'static str,
        /// How much it was.
        actual: usize,
        /// How much it may be.
        max: usize,
    },
}

/// Whether new work should be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Enough,
    /// No: what is free is kept for what was taken in. Reads go on, and so do commits until the disk is full in truth.
    NearlyFull {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that must be free.
        free_bytes_min: u64,
    },
}

/// Where wallets live. Every call may block on a disk or a network, except where it says otherwise.
pub trait Store: Projections + Send + Sync + 'static {
    /// Applies the commits in order and answers when every one that was not lost is durable. Several commits of one
    /// wallet may follow each other in one call: each names the version that the one before leaves behind.
    fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError>;

    /// The wallet as last committed, without its on-demand parts; version 0 and no parts if it was never written.
    fn load(&self, wallet: &WalletKey) -> Result<Image, StoreError>;

    /// One part, on demand.
    fn part(&self, wallet: &WalletKey, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` parts whose key begins with `prefix` and comes after `after`, in order of key.
    fn parts(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(PartKey, Vec<u8>)>, StoreError>;

    /// Largest record that it takes. A commit with a larger one is refused as a whole, so whoever makes records looks first.
    fn record_bytes_max(&self) -> usize {
        crate::limits::RECORD_BYTES_MAX
    }

    /// Whether there is room for new work. Never blocks. Whoever takes commands in asks before, and begins none without
    /// room; [`Store::commit`] itself does not refuse for want of it, so that what was begun is finished.
    fn room(&self) -> Room {
        Room::Enough
    }

    /// False: no durable record answers for this id. True: ask [`Store::find`]. Never blocks.
    fn may_have_seen(&self, id: IdHash) -> bool;

    /// From now on, ids that are kept for the window only ([`Keep::Window`]), and whose record's time is before this instant
    /// (microseconds since the epoch), may be forgotten: they look as if they had never been seen. The records stay. Never
    /// those that are kept for good. An earlier instant than one told before changes nothing. Never blocks.
    fn forget_ids(&self, before: i64) {
        let _ = before;
    }

    /// The wallet's records that answer for this id (more than one only when two ids share a hash), oldest first.
    ///
    /// # Errors
    /// [`StoreError::Archived`] where such a record is in an archive that is not at hand: the id *was* answered.
    fn find(&self, wallet: &WalletKey, id: IdHash) -> Result<Vec<StoredRecord>, StoreError>;

    /// The wallet's records that answered for an id that is forgotten, oldest first: for corrections, which name events of any
    /// age. Slower than [`Store::find`], and no answer to whether the id acts again. None: not all such ids are at hand; read
    /// the history.
    ///
    /// # Errors
    /// [`StoreError::Archived`] where such a record is in an archive that is not at hand.
    fn find_past(&self, wallet: &WalletKey, id: IdHash) -> Result<Option<Vec<StoredRecord>>, StoreError> {
        let _ = (wallet, id);
        Ok(None)
    }

    /// Up to `limit` records of the wallet with a sequence below `before` (none: from the newest), newest first. Only an
    /// empty answer, or one that ends with record 1, says that there are no older ones.
    ///
    /// # Errors
    /// [`StoreError::Archived`] where the first of them is in an archive that is not at hand already.
    fn history(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError>;

    /// Up to `limit` wallets of the tenant whose due instant is at or before `until`, earliest first. Tenants have
    /// clocks of their own, so what is due is always asked of one of them.
    fn due(&self, tenant: &str, until: i64, limit: usize) -> Result<Vec<(i64, WalletKey)>, StoreError>;

    /// Up to `limit` wallets of the tenant (control plane left out) whose name comes after `after`, in order of name.
    fn wallets(&self, tenant: &str, after: Option<&str>, limit: usize) -> Result<Vec<WalletKey>, StoreError>;

    /// Up to `limit` tenants whose name comes after `after`.
    fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError>;

    /// The durable records of all wallets behind a position, in commit order: up to `limit`, and fewer where they are large.
    /// A wallet's records come in the order of their sequence.
    ///
    /// # Errors
    /// [`StoreError::Archived`] where the first of them is in an archive that is not at hand.
    fn tail(&self, after: Position, limit: usize) -> Result<Tail, StoreError>;

    /// A position that no durable record is behind. Never blocks for long.
    fn end(&self) -> Result<Position, StoreError>;

    /// Keeps bytes under a name made of their hash; durable when it returns. Keeping them again does nothing.
    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// The bytes kept under a name.
    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Waits until everything behind the answers is done too, and closes. Further calls are refused.
    fn close(&self) -> Result<(), StoreError>;
}
