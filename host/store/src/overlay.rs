//! A store above another: what is committed stays in memory and goes with it, and the one below is only read.
//!
//! Whoever wants to know what commits would lead to makes them here, by the very code that would make them in truth. A
//! wallet that was pinned or written here is from then on as it was below at that moment, whatever happens there meanwhile, but
//! for its parts that are read on demand: there can be millions, so those that were not changed here are read below each time.
//! A tenant's control plane may move on below; what builds on a version that it had here is taken all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::admit;
use crate::contract::{
    Commit, Fate, IdHash, Image, ON_DEMAND, Origin, PartKey, Store, StoreError, StoredRecord, Version,
    WalletKey,
};
use crate::memory::MemoryStore;
use crate::projections::{Position, ProjectionChange, ProjectionRow, Projections, Tail};

/// See the module. Its projections begin empty.
pub struct OverlayStore {
    below: Arc<dyn Store>,
    /// Where the records below ended when this was made.
    end: Position,
    over: RwLock<Over>,
    /// What has nothing to do with what is below: blobs and projections; and whether it was closed.
    own: MemoryStore,
}

#[derive(Default)]
struct Over {
    wallets: BTreeMap<WalletKey, Wallet>,
    /// Versions of control planes that were not written here, as they were looked up last.
    controls: BTreeMap<WalletKey, Version>,
    ids: BTreeMap<IdHash, BTreeSet<(WalletKey, Version)>>,
    /// Every record that was written here, in the order of commit.
    order: Vec<(WalletKey, Version)>,
}

/// A wallet that was pinned or written here.
struct Wallet {
    /// Its version below when that was done first.
    below: Version,
    records: Vec<Vec<u8>>,
    /// All parts that are loaded with it.
    loaded: BTreeMap<PartKey, Vec<u8>>,
    /// Its other parts, where they were changed here.
    on_demand: BTreeMap<PartKey, Option<Vec<u8>>>,
    due: Option<i64>,
}

impl OverlayStore {
    /// Above this store, with nothing of its own.
    ///
    /// # Errors
    /// Where the store below cannot say where its records end.
    pub fn new(below: Arc<dyn Store>) -> Result<OverlayStore, StoreError> {
        Ok(OverlayStore {
            end: below.end()?,
            below,
            over: RwLock::default(),
            own: MemoryStore::new(),
        })
    }

    /// From now on the wallet is as it is below now. Whoever looks at it in more ways than one begins with this.
    ///
    /// # Errors
    /// Where the store below cannot load it.
    pub fn pin(&self, wallet: &WalletKey) -> Result<(), StoreError> {
        let mut over = self.over.write();
        self.own.check_open()?;
        if !over.wallets.contains_key(wallet) {
            let image = self.below.load(wallet)?;
            over.wallets.insert(wallet.clone(), Wallet::begun(image));
        }
        Ok(())
    }

    fn read<T>(&self, look: impl FnOnce(&Over) -> T) -> Result<T, StoreError> {
        let over = self.over.read();
        self.own.check_open()?;
        Ok(look(&over))
    }

    /// The records of an id: those that the store below found, as far as the wallet has not been changed here, then those
    /// from here.
    fn over_found(
        &self,
        wallet: &WalletKey,
        id: IdHash,
        mut found: Vec<StoredRecord>,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let (own, below) = self.read(|over| {
            let Some(written) = over.wallets.get(wallet) else {
                return (Vec::new(), Version::MAX);
            };
            let places = over.ids.get(&id).into_iter().flatten();
            let places = places.filter(|(of, _)| of == wallet);
            let own = places.filter_map(|(_, sequence)| written.record(wallet, *sequence));
            (own.collect(), written.below)
        })?;
        found.retain(|record| record.sequence <= below);
        found.extend(own);
        Ok(found)
    }
}

impl Wallet {
    fn begun(image: Image) -> Wallet {
        Wallet {
            below: image.version,
            records: Vec::new(),
            loaded: image.parts.into_iter().collect(),
            on_demand: BTreeMap::new(),
            due: None,
        }
    }

    fn version(&self) -> Version {
        self.below + self.records.len() as u64
    }

    fn is_written(&self) -> bool {
        !self.records.is_empty()
    }

    fn record(&self, wallet: &WalletKey, sequence: Version) -> Option<StoredRecord> {
        let at = usize::try_from(sequence.checked_sub(self.below + 1)?).ok()?;
        Some(StoredRecord {
            wallet: wallet.clone(),
            sequence,
            body: self.records.get(at)?.clone(),
            origin: Origin::default(),
        })
    }

    fn set(&mut self, key: PartKey, value: Option<Vec<u8>>) {
        match (is_on_demand(&key), value) {
            (true, value) => drop(self.on_demand.insert(key, value)),
            (false, Some(value)) => drop(self.loaded.insert(key, value)),
            (false, None) => drop(self.loaded.remove(&key)),
        }
    }
}

fn is_on_demand(key: &[u8]) -> bool {
    key.first().is_some_and(|&byte| byte >= ON_DEMAND)
}

impl Over {
    /// Wallets that were written here.
    fn written(&self) -> impl Iterator<Item = (&WalletKey, &Wallet)> + Clone {
        self.wallets.iter().filter(|(_, wallet)| wallet.is_written())
    }

    /// Whether this is a version of the wallet's control plane that it has, or had when somebody built on it here before.
    fn has_control(
        &mut self,
        below: &dyn Store,
        wallet: &WalletKey,
        version: Version,
    ) -> Result<bool, StoreError> {
        let control = WalletKey::control(wallet.tenant());
        if let Some(written) = self.wallets.get(&control) {
            return Ok(written.version() == version);
        }
        if self.controls.get(&control) == Some(&version) {
            return Ok(true);
        }
        let newest = below.load(&control)?.version;
        self.controls.insert(control, newest);
        Ok(newest == version)
    }

    fn commit(&mut self, below: &dyn Store, commit: Commit) -> Result<Fate, StoreError> {
        let Commit {
            wallet: key,
            expected,
            control,
            records,
            parts,
            due,
        } = commit;
        if let Some(control) = control
            && !self.has_control(below, &key, control)?
        {
            return Ok(Fate::Lost);
        }
        let version = match self.wallets.get(&key) {
            Some(wallet) => wallet.version(),
            None => {
                let image = below.load(&key)?;
                let version = image.version;
                if version == expected {
                    self.wallets.insert(key.clone(), Wallet::begun(image));
                }
                version
            }
        };
        let Some(wallet) = self.wallets.get_mut(&key).filter(|_| version == expected) else {
            return Ok(Fate::Lost);
        };
        for record in records {
            wallet.records.push(record.body);
            let place = (key.clone(), wallet.version());
            for id in record.ids {
                self.ids.entry(id).or_default().insert(place.clone());
            }
            self.order.push(place);
        }
        for (key, value) in parts {
            wallet.set(key, value);
        }
        wallet.due = due;
        Ok(Fate::Committed)
    }
}

impl Store for OverlayStore {
    fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError> {
        let admit = |commit| admit::commit_of(commit, self.record_bytes_max());
        commits.iter().try_for_each(admit)?;
        let mut over = self.over.write();
        self.own.check_open()?;
        let commits = commits.into_iter();
        commits.map(|commit| over.commit(&*self.below, commit)).collect()
    }

    fn record_bytes_max(&self) -> usize {
        self.below.record_bytes_max()
    }

    fn load(&self, wallet: &WalletKey) -> Result<Image, StoreError> {
        let own = self.read(|over| {
            over.wallets.get(wallet).map(|own| Image {
                version: own.version(),
                parts: (own.loaded.iter().map(|(key, value)| (key.clone(), value.clone()))).collect(),
            })
        })?;
        own.map_or_else(|| self.below.load(wallet), Ok)
    }

    fn part(&self, wallet: &WalletKey, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let own = self.read(|over| {
            let own = over.wallets.get(wallet)?;
            match is_on_demand(key) {
                true => own.on_demand.get(key).cloned(),
                false => Some(own.loaded.get(key).cloned()),
            }
        })?;
        own.map_or_else(|| self.below.part(wallet, key), Ok)
    }

    fn parts(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(PartKey, Vec<u8>)>, StoreError> {
        let own = self.read(|over| {
            let own = over.wallets.get(wallet)?;
            let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let loaded = own.loaded.range::<[u8], _>(range);
            let loaded = loaded.map(|(key, value)| (key.clone(), Some(value.clone())));
            let on_demand = own.on_demand.range::<[u8], _>(range);
            let all = loaded.chain(on_demand.map(|(key, value)| (key.clone(), value.clone())));
            let all = all.filter(|(key, _)| key.starts_with(prefix));
            Some(all.collect::<BTreeMap<PartKey, Option<Vec<u8>>>>())
        })?;
        let Some(mut merged) = own else {
            return self.below.parts(wallet, prefix, after, limit);
        };
        // So many of the parts below that those removed here leave enough.
        let removed = merged.values().filter(|value| value.is_none()).count();
        let mut missing = limit.saturating_add(removed);
        let mut after = after.map(<[u8]>::to_vec);
        while missing > 0 {
            let page = self.below.parts(wallet, prefix, after.as_deref(), missing)?;
            let is_last = page.len() < missing;
            after = page.last().map(|(key, _)| key.clone()).or(after);
            // Parts that are loaded with a wallet are all here.
            for (key, value) in page.into_iter().filter(|(key, _)| is_on_demand(key)) {
                missing -= 1;
                merged.entry(key).or_insert(Some(value));
            }
            if is_last {
                break;
            }
        }
        let present = merged.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Ok(present.take(limit).collect())
    }

    fn may_have_seen(&self, id: IdHash) -> bool {
        self.over.read().ids.contains_key(&id) || self.below.may_have_seen(id)
    }

    fn find(&self, wallet: &WalletKey, id: IdHash) -> Result<Vec<StoredRecord>, StoreError> {
        let below = match self.below.may_have_seen(id) {
            true => self.below.find(wallet, id)?,
            false => Vec::new(),
        };
        self.over_found(wallet, id, below)
    }

    fn find_past(&self, wallet: &WalletKey, id: IdHash) -> Result<Option<Vec<StoredRecord>>, StoreError> {
        match self.below.find_past(wallet, id)? {
            Some(below) => self.over_found(wallet, id, below).map(Some),
            None => Ok(None),
        }
    }

    fn history(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let (mut records, before) = self.read(|over| {
            let Some(own) = over.wallets.get(wallet) else {
                return (Vec::new(), before);
            };
            let newest = before.map_or(Version::MAX, |before| before.saturating_sub(1));
            let newest = newest.min(own.version());
            let own_records = (own.below + 1..=newest).rev().take(limit);
            let records: Vec<_> = own_records.filter_map(|at| own.record(wallet, at)).collect();
            (records, Some(newest.min(own.below) + 1))
        })?;
        if records.len() < limit {
            let rest = limit - records.len();
            match self.below.history(wallet, before, rest) {
                // What is here is all that is at hand; the next call says so.
                Err(StoreError::Archived { .. }) if !records.is_empty() => {}
                older => records.extend(older?),
            }
        }
        Ok(records)
    }

    fn due(&self, tenant: &str, until: i64, limit: usize) -> Result<Vec<(i64, WalletKey)>, StoreError> {
        let (own, written) = self.read(|over| {
            let own = over.written().filter(|(key, _)| key.tenant() == tenant);
            let dues = own.clone().filter_map(|(key, own)| Some((own.due?, key.clone())));
            let dues: Vec<_> = dues.filter(|(instant, _)| *instant <= until).collect();
            (dues, own.map(|(key, _)| key.clone()).collect::<BTreeSet<_>>())
        })?;
        let mut due = self
            .below
            .due(tenant, until, limit.saturating_add(written.len()))?;
        due.retain(|(_, wallet)| !written.contains(wallet));
        due.extend(own);
        due.sort();
        due.truncate(limit);
        Ok(due)
    }

    fn wallets(&self, tenant: &str, after: Option<&str>, limit: usize) -> Result<Vec<WalletKey>, StoreError> {
        let mut names: BTreeSet<WalletKey> = self.below.wallets(tenant, after, limit)?.into_iter().collect();
        self.read(|over| {
            let own = over.written().map(|(key, _)| key);
            let own = own.filter(|key| key.tenant() == tenant && !key.is_control());
            names.extend(
                own.filter(|key| after.is_none_or(|after| key.wallet() > after))
                    .cloned(),
            );
        })?;
        Ok(names.into_iter().take(limit).collect())
    }

    fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut names: BTreeSet<String> = self.below.tenants(after, limit)?.into_iter().collect();
        self.read(|over| {
            let own = over.written().map(|(key, _)| key.tenant());
            names.extend(
                own.filter(|name| after.is_none_or(|after| *name > after))
                    .map(String::from),
            );
        })?;
        Ok(names.into_iter().take(limit).collect())
    }

    /// The records below that were there when this was made, then its own.
    fn tail(&self, after: Position, limit: usize) -> Result<Tail, StoreError> {
        if after < self.end {
            let mut tail = self.below.tail(after, limit)?;
            tail.records.retain(|(position, _)| *position <= self.end);
            tail.reached = tail.reached.min(self.end);
            return Ok(tail);
        }
        self.read(|over| {
            let behind = usize::try_from(after.0 - self.end.0).unwrap_or(usize::MAX);
            let places = over.order.iter().skip(behind).take(limit);
            let records = places.filter_map(|(key, sequence)| over.wallets.get(key)?.record(key, *sequence));
            let records: Vec<_> = (after.0 + 1..).map(Position).zip(records).collect();
            Tail {
                reached: records.last().map_or(after, |(position, _)| *position),
                records,
            }
        })
    }

    fn end(&self) -> Result<Position, StoreError> {
        self.read(|over| Position(self.end.0 + over.order.len() as u64))
    }

    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.own.put_blob(name, bytes)
    }

    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.own.blob(name)? {
            Some(own) => Ok(Some(own)),
            None => self.below.blob(name),
        }
    }

    /// Closes this one; the one below stays open.
    fn close(&self) -> Result<(), StoreError> {
        self.own.close()
    }
}

impl Projections for OverlayStore {
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        self.own.project(position, changes)
    }

    fn projected(&self) -> Result<Position, StoreError> {
        self.own.projected()
    }

    fn projection(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.own.projection(key)
    }

    fn projections(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
        self.own.projections(prefix, after, limit)
    }

    fn forget_projections(&self) -> Result<(), StoreError> {
        self.own.forget_projections()
    }
}
