//! A store that loses commits at random, as if another process had been faster: whoever stands above must reload and
//! compute again, and this is how its tests make sure that it does. It can keep its newest records from who follows them, and
//! say that its disk is nearly full, too.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::admit;
use crate::contract::{
    Commit, Fate, IdHash, Image, PartKey, Room, Store, StoreError, StoredRecord, Version, WalletKey,
};
use crate::projections::{Position, ProjectionChange, ProjectionRow, Projections, Tail};

/// Around any store. About one commit in `one_in` is answered with [`Fate::Lost`] and nothing of it is kept; commits after
/// it in the same call that built on it lose by their own expected version, as they would in truth.
#[derive(Debug)]
pub struct LossyStore<S> {
    inner: S,
    one_in: NonZeroU32,
    random: Mutex<u64>,
    tail_withheld: AtomicBool,
    nearly_full: AtomicBool,
}

impl<S: Store> LossyStore<S> {
    /// The same seed and the same calls lose the same commits.
    pub fn new(inner: S, seed: u64, one_in: NonZeroU32) -> LossyStore<S> {
        LossyStore {
            inner,
            one_in,
            random: Mutex::new(seed),
            tail_withheld: AtomicBool::new(false),
            nearly_full: AtomicBool::new(false),
        }
    }

    /// From now on, records are kept from whoever follows them, or no more: as if that were far behind.
    pub fn withhold_tail(&self, withheld: bool) {
        self.tail_withheld.store(withheld, Ordering::Relaxed);
    }

    /// From now on, there is hardly any room, or there is again. Commits that are tried all the same go on.
    pub fn say_nearly_full(&self, nearly_full: bool) {
        self.nearly_full.store(nearly_full, Ordering::Relaxed);
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// SplitMix64: any seed will do, and no dependency.
    fn loses(&self) -> bool {
        let mut state = self.random.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = *state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)).is_multiple_of(u64::from(self.one_in.get()))
    }
}

impl<S: Store> Store for LossyStore<S> {
    fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError> {
        // Refusals come first: a call that is refused loses nothing.
        let admit = |commit| admit::commit_of(commit, self.inner.record_bytes_max());
        commits.iter().try_for_each(admit)?;
        let lost: Vec<bool> = commits.iter().map(|_| self.loses()).collect();
        let tried = commits
            .into_iter()
            .zip(&lost)
            .filter(|(_, lost)| !**lost)
            .map(|(commit, _)| commit)
            .collect();
        let mut fates = self.inner.commit(tried)?.into_iter();
        Ok(lost
            .iter()
            .map(|lost| {
                if *lost {
                    Fate::Lost
                } else {
                    fates.next().unwrap_or(Fate::Lost)
                }
            })
            .collect())
    }

    fn forget_ids(&self, before: i64) {
        self.inner.forget_ids(before);
    }

    fn record_bytes_max(&self) -> usize {
        self.inner.record_bytes_max()
    }

    fn room(&self) -> Room {
        if self.nearly_full.load(Ordering::Relaxed) {
            return Room::NearlyFull {
                free_bytes: 0,
                free_bytes_min: 1,
            };
        }
        self.inner.room()
    }

    fn load(&self, wallet: &WalletKey) -> Result<Image, StoreError> {
        self.inner.load(wallet)
    }

    fn part(&self, wallet: &WalletKey, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.part(wallet, key)
    }

    fn parts(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(PartKey, Vec<u8>)>, StoreError> {
        self.inner.parts(wallet, prefix, after, limit)
    }

    fn may_have_seen(&self, id: IdHash) -> bool {
        self.inner.may_have_seen(id)
    }

    fn find(&self, wallet: &WalletKey, id: IdHash) -> Result<Vec<StoredRecord>, StoreError> {
        self.inner.find(wallet, id)
    }

    fn find_past(&self, wallet: &WalletKey, id: IdHash) -> Result<Option<Vec<StoredRecord>>, StoreError> {
        self.inner.find_past(wallet, id)
    }

    fn history(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.inner.history(wallet, before, limit)
    }

    fn due(&self, tenant: &str, until: i64, limit: usize) -> Result<Vec<(i64, WalletKey)>, StoreError> {
        self.inner.due(tenant, until, limit)
    }

    fn wallets(&self, tenant: &str, after: Option<&str>, limit: usize) -> Result<Vec<WalletKey>, StoreError> {
        self.inner.wallets(tenant, after, limit)
    }

    fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.inner.tenants(after, limit)
    }

    fn tail(&self, after: Position, limit: usize) -> Result<Tail, StoreError> {
        if self.tail_withheld.load(Ordering::Relaxed) {
            let reached = after;
            return Ok(Tail {
                reached,
                ..Tail::default()
            });
        }
        self.inner.tail(after, limit)
    }

    fn end(&self) -> Result<Position, StoreError> {
        self.inner.end()
    }

    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.put_blob(name, bytes)
    }

    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.blob(name)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
}

impl<S: Store> Projections for LossyStore<S> {
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        self.inner.project(position, changes)
    }

    fn projected(&self) -> Result<Position, StoreError> {
        self.inner.projected()
    }

    fn projection(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.projection(key)
    }

    fn projections(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
        self.inner.projections(prefix, after, limit)
    }

    fn forget_projections(&self) -> Result<(), StoreError> {
        self.inner.forget_projections()
    }
}
