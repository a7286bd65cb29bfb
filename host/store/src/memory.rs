//! A store in memory: the contract and nothing else. For tests, and the model that other stores are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use parking_lot::RwLock;

use crate::admit;
use crate::contract::{
    Commit, Fate, IdHash, Image, ON_DEMAND, Origin, PartKey, Store, StoreError, StoredRecord, Version,
    WalletKey,
};
use crate::limits::RECORD_BYTES_MAX;
use crate::projections::{Map, Position, ProjectionChange, ProjectionRow, Projections, Tail};

/// Forgets everything when it is dropped.
#[derive(Debug)]
pub struct MemoryStore {
    contents: RwLock<Contents>,
    record_bytes_max: usize,
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::with_record_bytes_max(RECORD_BYTES_MAX)
    }
}

#[derive(Debug, Default)]
struct Contents {
    wallets: BTreeMap<WalletKey, Wallet>,
    /// Tenant first: each has a clock of its own.
    due: BTreeSet<(String, i64, WalletKey)>,
    ids: BTreeMap<IdHash, BTreeSet<(WalletKey, Version)>>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Every record in the order of commit; a record's position is its number here, counted from 1.
    order: Vec<(WalletKey, Version)>,
    projections: Map,
    closed: bool,
}

#[derive(Debug, Default)]
struct Wallet {
    records: Vec<Vec<u8>>,
    parts: BTreeMap<PartKey, Vec<u8>>,
    due: Option<i64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store that takes smaller records than others do: a test shows with it what becomes of larger ones.
    pub fn with_record_bytes_max(record_bytes_max: usize) -> MemoryStore {
        MemoryStore {
            contents: RwLock::default(),
            record_bytes_max,
        }
    }

    /// Refuses once it was closed.
    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        self.contents.read().check_open()
    }

    fn read<T>(&self, look: impl FnOnce(&Contents) -> T) -> Result<T, StoreError> {
        let contents = self.contents.read();
        contents.check_open()?;
        Ok(look(&contents))
    }
}

fn due_key(instant: i64, wallet: &WalletKey) -> (String, i64, WalletKey) {
    (wallet.tenant().to_string(), instant, wallet.clone())
}

impl Contents {
    fn check_open(&self) -> Result<(), StoreError> {
        if self.closed {
            Err(StoreError::Stopped {
                reason: "it was closed".into(),
            })
        } else {
            Ok(())
        }
    }

    fn version(&self, wallet: &WalletKey) -> Version {
        self.wallets
            .get(wallet)
            .map_or(0, |wallet| wallet.records.len() as u64)
    }

    fn commit(&mut self, commit: Commit) -> Fate {
        let control = WalletKey::control(commit.wallet.tenant());
        let moved_on = commit
            .control
            .is_some_and(|expected| expected != self.version(&control));
        if moved_on || commit.expected != self.version(&commit.wallet) {
            return Fate::Lost;
        }
        let wallet = self.wallets.entry(commit.wallet.clone()).or_default();
        for record in commit.records {
            wallet.records.push(record.body);
            self.order
                .push((commit.wallet.clone(), wallet.records.len() as u64));
            for id in record.ids {
                self.ids
                    .entry(id)
                    .or_default()
                    .insert((commit.wallet.clone(), wallet.records.len() as u64));
            }
        }
        for (key, value) in commit.parts {
            match value {
                Some(value) => wallet.parts.insert(key, value),
                None => wallet.parts.remove(&key),
            };
        }
        if let Some(instant) = std::mem::replace(&mut wallet.due, commit.due) {
            self.due.remove(&due_key(instant, &commit.wallet));
        }
        if let Some(instant) = commit.due {
            self.due.insert(due_key(instant, &commit.wallet));
        }
        Fate::Committed
    }

    fn record(&self, wallet: &WalletKey, sequence: Version) -> Option<StoredRecord> {
        let at = usize::try_from(sequence.checked_sub(1)?).ok()?;
        let body = self.wallets.get(wallet)?.records.get(at)?.clone();
        Some(StoredRecord {
            wallet: wallet.clone(),
            sequence,
            body,
            origin: Origin::default(),
        })
    }
}

impl Store for MemoryStore {
    fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError> {
        let admit = |commit| admit::commit_of(commit, self.record_bytes_max);
        commits.iter().try_for_each(admit)?;
        let mut contents = self.contents.write();
        contents.check_open()?;
        Ok(commits
            .into_iter()
            .map(|commit| contents.commit(commit))
            .collect())
    }

    fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    fn load(&self, wallet: &WalletKey) -> Result<Image, StoreError> {
        self.read(|contents| {
            let parts = contents.wallets.get(wallet).map(|wallet| {
                let loaded = wallet
                    .parts
                    .iter()
                    .filter(|(key, _)| key.first().is_none_or(|&byte| byte < ON_DEMAND));
                loaded.map(|(key, value)| (key.clone(), value.clone())).collect()
            });
            Image {
                version: contents.version(wallet),
                parts: parts.unwrap_or_default(),
            }
        })
    }

    fn part(&self, wallet: &WalletKey, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|contents| contents.wallets.get(wallet)?.parts.get(key).cloned())
    }

    fn parts(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(PartKey, Vec<u8>)>, StoreError> {
        self.read(|contents| {
            let Some(wallet) = contents.wallets.get(wallet) else {
                return Vec::new();
            };
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let parts = wallet.parts.range::<[u8], _>((from, Bound::Unbounded));
            parts
                .filter(|(key, _)| key.starts_with(prefix))
                .take(limit)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        })
    }

    fn may_have_seen(&self, id: IdHash) -> bool {
        self.contents.read().ids.contains_key(&id)
    }

    fn find(&self, wallet: &WalletKey, id: IdHash) -> Result<Vec<StoredRecord>, StoreError> {
        self.read(|contents| {
            let places = contents
                .ids
                .get(&id)
                .into_iter()
                .flatten()
                .filter(|place| place.0 == *wallet);
            places
                .filter_map(|(wallet, sequence)| contents.record(wallet, *sequence))
                .collect()
        })
    }

    fn history(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.read(|contents| {
            let newest = contents
                .version(wallet)
                .min(before.map_or(u64::MAX, |before| before.saturating_sub(1)));
            (1..=newest)
                .rev()
                .take(limit)
                .filter_map(|sequence| contents.record(wallet, sequence))
                .collect()
        })
    }

    fn due(&self, tenant: &str, until: i64, limit: usize) -> Result<Vec<(i64, WalletKey)>, StoreError> {
        self.read(|contents| {
            let first = (tenant.to_string(), i64::MIN, WalletKey::new("", ""));
            contents
                .due
                .range(first..)
                .take_while(|due| due.0 == tenant && due.1 <= until)
                .take(limit)
                .map(|(_, instant, wallet)| (*instant, wallet.clone()))
                .collect()
        })
    }

    fn wallets(&self, tenant: &str, after: Option<&str>, limit: usize) -> Result<Vec<WalletKey>, StoreError> {
        self.read(|contents| {
            let wallets = contents
                .wallets
                .range(WalletKey::new(tenant, after.unwrap_or_default())..);
            wallets
                .map(|(wallet, _)| wallet)
                .take_while(|wallet| wallet.tenant() == tenant)
                .filter(|wallet| !wallet.is_control() && after.is_none_or(|after| wallet.wallet() > after))
                .take(limit)
                .cloned()
                .collect()
        })
    }

    fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.read(|contents| {
            let tenants: BTreeSet<&str> = contents.wallets.keys().map(WalletKey::tenant).collect();
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            tenants
                .range::<str, _>((from, Bound::Unbounded))
                .take(limit)
                .map(|tenant| tenant.to_string())
                .collect()
        })
    }

    fn tail(&self, after: Position, limit: usize) -> Result<Tail, StoreError> {
        self.read(|contents| {
            let behind = usize::try_from(after.0).unwrap_or(usize::MAX);
            let places = contents.order.iter().skip(behind).take(limit);
            let records = places.filter_map(|(wallet, sequence)| contents.record(wallet, *sequence));
            let records: Vec<_> = (after.0 + 1..).map(Position).zip(records).collect();
            Tail {
                reached: records.last().map_or(after, |(position, _)| *position),
                records,
            }
        })
    }

    fn end(&self) -> Result<Position, StoreError> {
        self.read(|contents| Position(contents.order.len() as u64))
    }

    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        admit::blob(name, bytes.len())?;
        let mut contents = self.contents.write();
        contents.check_open()?;
        contents
            .blobs
            .entry(name.into())
            .or_insert_with(|| bytes.to_vec());
        Ok(())
    }

    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|contents| contents.blobs.get(name).cloned())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.contents.write().closed = true;
        Ok(())
    }
}

impl Projections for MemoryStore {
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        admit::projection(&changes)?;
        let mut contents = self.contents.write();
        contents.check_open()?;
        contents.projections.apply(position, changes)
    }

    fn projected(&self) -> Result<Position, StoreError> {
        self.read(|contents| contents.projections.position)
    }

    fn projection(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|contents| contents.projections.get(key))
    }

    fn projections(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
        self.read(|contents| contents.projections.range(prefix, after, limit))
    }

    fn forget_projections(&self) -> Result<(), StoreError> {
        let mut contents = self.contents.write();
        contents.check_open()?;
        contents.projections = Map::default();
        Ok(())
    }
}
