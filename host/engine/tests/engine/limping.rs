//! A store whose projections fail for a while: billing goes on, and what follows the records catches up. And what such a store
//! is told of ids that age.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farebox_engine::projection::FeedQuery;
use farebox_record::time::{Span, Timestamp};
use farebox_store::{
    Commit, Fate, IdHash, Image, MemoryStore, PartKey, Position, ProjectionChange, ProjectionRow,
    Projections, Store, StoreError, StoredRecord, Tail, Version, WalletKey,
};

use crate::house::{House, authorize, is_denied, usage};

#[derive(Default)]
pub struct Limping {
    inner: MemoryStore,
    /// Calls of `commit`: each would be a sync.
    pub commits: AtomicUsize,
    /// Records that were read back.
    pub read_back: AtomicUsize,
    /// Whether every id is forgotten.
    pub forgets: AtomicBool,
    /// Whether it knows where the records of forgotten ids are.
    pub has_past: AtomicBool,
    /// Whether what is to be written waits.
    pub holds: AtomicBool,
    /// Whether there are always more records to follow.
    endless: AtomicBool,
    fails: AtomicBool,
    failures: AtomicUsize,
    /// The instant before which ids of usage were last given up.
    horizon: AtomicI64,
    /// When the ids of each tenant's records begin to age.
    ages: Mutex<Vec<(String, i64)>>,
}

impl Projections for Limping {
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            let before = self.failures.fetch_add(1, Ordering::SeqCst);
            assert!(before != 0, "the first failure is a panic, the others are errors");
            return Err(StoreError::State {
                what: "a test says so".into(),
            });
        }
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

impl Store for Limping {
    fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError> {
        let records = commits.iter().flat_map(|commit| {
            let tenant = commit.wallet.tenant();
            commit.records.iter().map(move |new| (tenant.to_string(), new.at))
        });
        self.ages.lock().unwrap().extend(records);
        while self.holds.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.commit(commits)
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
        !self.forgets.load(Ordering::SeqCst) && self.inner.may_have_seen(id)
    }
    fn forget_ids(&self, before: i64) {
        self.horizon.store(before, Ordering::SeqCst);
    }
    fn find(&self, wallet: &WalletKey, id: IdHash) -> Result<Vec<StoredRecord>, StoreError> {
        self.inner.find(wallet, id)
    }
    fn find_past(&self, wallet: &WalletKey, id: IdHash) -> Result<Option<Vec<StoredRecord>>, StoreError> {
        match self.has_past.load(Ordering::SeqCst) {
            true => self.inner.find(wallet, id).map(Some),
            false => Ok(None),
        }
    }
    fn history(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let records = self.inner.history(wallet, before, limit)?;
        self.read_back.fetch_add(records.len(), Ordering::SeqCst);
        Ok(records)
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
        if !self.endless.load(Ordering::SeqCst) {
            return self.inner.tail(after, limit);
        }
        let all = self.inner.tail(Position::default(), usize::MAX)?.records;
        let more = all.into_iter().map(|(_, record)| record).cycle().take(limit);
        let records: Vec<_> = (after.0 + 1..).map(Position).zip(more).collect();
        let reached = records.last().map_or(after, |(position, _)| *position);
        Ok(Tail { records, reached })
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

#[tokio::test(flavor = "multi_thread")]
async fn billing_goes_on_while_projections_fail_and_they_catch_up() {
    let store = Arc::new(Limping::default());
    let house = House::over(store.clone());
    house.customer("ada", "1").await;
    store.fails.store(true, Ordering::SeqCst);
    while store.failures.load(Ordering::SeqCst) < 2 {
        house
            .done("ada", usage(&format!("e{}", fresh(&store)), "one", 1))
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for n in 0..5 {
        let denied = house
            .reply("ada", authorize(&format!("dear-{n}"), 2_000_000, 0))
            .await;
        assert!(is_denied(&denied), "billing goes on: {denied:?}");
    }
    let durable = house.engine.durable().unwrap();
    assert!(house.engine.projected().unwrap() < durable);
    store.fails.store(false, Ordering::SeqCst);
    let mut watch = house.engine.watch_projections();
    let caught_up = tokio::time::timeout(std::time::Duration::from_secs(60), watch.until(durable)).await;
    assert!(caught_up.is_ok(), "it goes on where it was");
    let query = FeedQuery {
        limit: 100,
        kind: Some(farebox_engine::projection::Kind::Denied),
        ..FeedQuery::default()
    };
    let told = house.engine.changes(&house.tenant, &query).unwrap().changes;
    assert_eq!(told.len(), 5, "each once");
    assert!(house.engine.is_running());
    house.engine.stop().unwrap();
}

/// A number that no earlier call had.
fn fresh(store: &Limping) -> u64 {
    store.end().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_age_by_the_time_of_the_machine_wherever_sandboxes_stand() {
    let store = Arc::new(Limping::default());
    let house = House::over(store.clone());
    for (name, clock) in [
        ("past", "2020-01-01T00:00:00Z"),
        ("future", "2200-01-01T00:00:00Z"),
    ] {
        let sandbox = crate::tenants::furnish(&house, name, clock);
        sandbox.customer("ada", "1").await;
        sandbox.done("ada", usage("e", "one", 1)).await;
    }
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let ages = std::mem::take(&mut *store.ages.lock().unwrap());
    for tenant in ["past", "future"] {
        let mut of = ages.iter().filter(|(name, _)| name == tenant);
        assert!(of.clone().count() >= 5, "{tenant}");
        assert!(of.all(|(_, at)| *at == start.as_micros()), "{tenant}: {ages:?}");
    }
    // 40 days on, what is older than 37 days is given up: what came before 4 January.
    house.clock.advance(Span::days(40));
    let horizon = start.saturating_add(Span::days(3)).as_micros();
    for _ in 0..400 {
        if store.horizon.load(Ordering::SeqCst) == horizon {
            house.engine.stop().unwrap();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("after 10 s: {}", store.horizon.load(Ordering::SeqCst));
}

/// A server that is told to stop, and is as far behind as can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_what_follows_the_records() {
    let store = Arc::new(Limping::default());
    let house = House::over(store.clone());
    house.customer("ada", "1").await;
    store.endless.store(true, Ordering::SeqCst);
    house.done("ada", usage("e1", "one", 1_000)).await;
    let engine = house.engine.clone();
    let stopped = tokio::task::spawn_blocking(move || engine.stop());
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(60), stopped).await;
    store.endless.store(false, Ordering::SeqCst); // or a test that fails never ends
    stopped.expect("it follows for ever").unwrap().unwrap();
}
