//! The handle: starts the threads, takes calls in, and stops.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use farebox_record::command::Identity;
use farebox_record::control::ControlCommand;
use farebox_record::correction::Standing;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::record::{Record, identity_hash};
use farebox_record::state::{Carried, Part, UnpricedState};
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;
use farebox_store::{IdHash, Room, Store, StoreError, WalletKey};

use crate::by_hand::{Hands, Work};
use crate::clock::Clock;
use crate::committer::Shipment;
use crate::controls::Controls;
use crate::crew::Crew;
use crate::error::{ControlError, EngineError};
use crate::ids;
use crate::lane::{Job, Message, Task, id_hashes};
use crate::limits::{COMMANDS_PER_CALL_MAX, LANE_QUEUE_MAX, LANE_ROUND_BYTES_MAX, LANE_ROUND_MAX};
use crate::projection::Status;
use crate::quarantine;
use crate::request::{Ask, Collector, Rejected, Reply, ReplyTo, Request};
use crate::shared::Shared;
use crate::shares::{Full, Share, Shares};

/// What the engine's own work waits for room on a lane before it asks again.
const BUSY_WAIT: Duration = Duration::from_millis(5);

/// How an engine is set up.
pub struct Config {
    /// Lanes: OS threads that own wallets. As many as cores is a good number.
    pub lanes: usize,
    /// How much a lane does at once. Nothing that is decided depends on it.
    pub round: Round,
    /// Called once when a thread that must not fail does: leave the process, and recover at the next start.
    pub on_failure: Box<dyn Fn(&str) + Send + Sync>,
}

impl Default for Config {
    /// One lane per core; a failure ends the process with exit code 70.
    fn default() -> Config {
        Config {
            lanes: std::thread::available_parallelism().map_or(2, usize::from),
            round: Round::default(),
            on_failure: Box::new(|_| std::process::exit(70)),
        }
    }
}

/// What a lane takes in, and makes, before it hands its records to the committer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Commands, after which no further message is taken in; at most [`LANE_ROUND_MAX`].
    pub commands: usize,
    /// Bytes of records, estimated, after which nothing further is decided; at most [`LANE_ROUND_BYTES_MAX`]. One record is
    /// always made.
    pub bytes: usize,
}

impl Default for Round {
    /// As much as may be.
    fn default() -> Round {
        Round {
            commands: LANE_ROUND_MAX,
            bytes: LANE_ROUND_BYTES_MAX,
        }
    }
}

impl Round {
    pub(crate) fn within_limits(self) -> Round {
        Round {
            commands: self.commands.clamp(1, LANE_ROUND_MAX),
            bytes: self.bytes.clamp(1, LANE_ROUND_BYTES_MAX),
        }
    }
}

/// Decides, prices and debits. Clones are handles of one engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    lanes: Vec<LaneHandle>,
    committer: Mutex<Option<Sender<Shipment>>>,
    control: Mutex<()>,
    status: Arc<Status>,
    stopping: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Where no threads do the work.
    hands: Option<Hands>,
}

struct LaneHandle {
    inbox: Sender<Message>,
    /// Commands that it can take in.
    room: Shares,
}

impl Engine {
    /// Loads the control planes and starts. Blocks.
    pub fn start(
        config: Config,
        store: Arc<dyn Store>,
        runtime: Runtime,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, EngineError> {
        let (crew, committer) = Crew::gather(config, store, runtime, clock)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (shared, inboxes, status) = crew.known();
        let threads = crew.start(&stopping)?;
        let engine = Engine::over(shared, inboxes, status, committer, stopping, threads, None);
        engine.start_quarantine()?;
        engine.start_backfills()?;
        Ok(engine)
    }

    /// The same engine without any thread: nothing happens but by [`Engine::step`], so that a simulator decides in which
    /// order things happen, and the same decisions give the same run. Changes of the control plane are carried out where
    /// they are called, with everything that was shipped before them.
    pub fn by_hand(
        config: Config,
        store: Arc<dyn Store>,
        runtime: Runtime,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, EngineError> {
        let (crew, committer) = Crew::gather(config, store, runtime, clock)?;
        let (shared, inboxes, status) = crew.known();
        let stopping = Arc::new(AtomicBool::new(false));
        let hands = Some(Hands::new(crew));
        Ok(Engine::over(
            shared,
            inboxes,
            status,
            committer,
            stopping,
            Vec::new(),
            hands,
        ))
    }

    fn over(
        shared: Arc<Shared>,
        inboxes: Vec<Sender<Message>>,
        status: Arc<Status>,
        committer: Sender<Shipment>,
        stopping: Arc<AtomicBool>,
        threads: Vec<JoinHandle<()>>,
        hands: Option<Hands>,
    ) -> Engine {
        let lane = |inbox| LaneHandle {
            inbox,
            room: Shares::new(LANE_QUEUE_MAX),
        };
        let lanes = inboxes.into_iter().map(lane).collect();
        let inner = Inner {
            shared,
            lanes,
            committer: Mutex::new(Some(committer)),
            control: Mutex::new(()),
            status,
            stopping,
            threads: Mutex::new(threads),
            hands,
        };
        Engine {
            inner: Arc::new(inner),
        }
    }

    fn start_quarantine(&self) -> Result<(), EngineError> {
        let (inner, stop) = (Arc::downgrade(&self.inner), Arc::clone(&self.inner.stopping));
        let handle = move || inner.upgrade().map(|inner| Engine { inner });
        let thread = std::thread::Builder::new()
            .name("quarantine".into())
            .spawn(move || quarantine::run(&handle, &stop))?;
        self.inner
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    /// Goes on with backfills that a stop interrupted, beside the callers.
    fn start_backfills(&self) -> Result<(), EngineError> {
        let engine = Arc::downgrade(&self.inner);
        let thread = std::thread::Builder::new()
            .name("backfills".into())
            .spawn(move || {
                let Some(inner) = engine.upgrade() else { return };
                (Engine { inner }).resume_backfills();
            })?;
        self.inner
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    /// Takes all of the requests in, or none of them. Replies come in order, once everything that they show is durable.
    ///
    /// Dropping the future does not take requests back: repeat them under the same ids to learn what became of them.
    pub async fn call(&self, tenant: &TenantId, requests: Vec<Request>) -> Result<Vec<Reply>, Rejected> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let (collector, woken) = self.submit(tenant, requests)?;
        let _ = woken.await; // a sender that is gone has left its replies behind
        Ok(collector.take())
    }

    /// One request.
    pub async fn call_one(&self, tenant: &TenantId, request: Request) -> Result<Reply, Rejected> {
        Ok(self
            .call(tenant, vec![request])
            .await?
            .pop()
            .unwrap_or(Reply::Stopped))
    }

    /// All of the requests, as [`Engine::call`] does it, with patience while lanes are full. Blocks, so not from within an
    /// executor. An engine without threads does on this thread what the answers need, and all that waits besides.
    pub fn call_patiently(&self, tenant: &TenantId, requests: &[Request]) -> Result<Vec<Reply>, Rejected> {
        loop {
            match self.submit(tenant, requests.to_vec()) {
                Ok((collector, woken)) => {
                    self.settle_by_hand();
                    let _ = woken.blocking_recv(); // a sender that is gone has left its replies behind
                    return Ok(collector.take());
                }
                Err(Rejected::Busy | Rejected::TenantBusy) => std::thread::sleep(BUSY_WAIT),
                Err(rejected) => return Err(rejected),
            }
        }
    }

    fn submit(
        &self,
        tenant: &TenantId,
        requests: Vec<Request>,
    ) -> Result<(Arc<Collector>, tokio::sync::oneshot::Receiver<()>), Rejected> {
        let count = requests.len();
        if count > COMMANDS_PER_CALL_MAX {
            return Err(Rejected::TooMany { count });
        }
        if self.inner.shared.has_failed() || self.inner.stopping.load(Ordering::SeqCst) {
            return Err(Rejected::Stopped);
        }
        let keys: Vec<WalletKey> = requests
            .iter()
            .map(|r| WalletKey::new(tenant.as_str(), r.customer.as_str()))
            .collect();
        if let Err(full) = self.check_room() {
            let mut asked = requests.iter().zip(&keys);
            if asked.any(|(request, key)| self.would_write(tenant, key, request)) {
                return Err(full);
            }
        }
        let lanes: Vec<usize> = keys
            .iter()
            .map(|key| lane_of(key, self.inner.lanes.len()))
            .collect();
        let mut rooms = self.reserve(tenant, &lanes)?;
        let (collector, woken) = Collector::new(count);
        let mut jobs: Vec<Vec<Job>> = self.inner.lanes.iter().map(|_| Vec::new()).collect();
        for (index, ((request, key), lane)) in requests.into_iter().zip(keys).zip(&lanes).enumerate() {
            let room = rooms[*lane].as_mut().and_then(Share::split_one);
            let reply = ReplyTo::new(&collector, index, room);
            let task = match request.ask {
                Ask::Command(command) => Task::Command(command),
                Ask::Read => Task::Read,
                Ask::ReadHold(hold) => Task::ReadHold(hold),
                Ask::CatchUp => Task::CatchUp,
            };
            jobs[*lane].push(Job::new(key, task, reply));
        }
        for (lane, jobs) in self.inner.lanes.iter().zip(jobs) {
            if !jobs.is_empty() {
                let _ = lane.inbox.send(Message::Jobs(jobs)); // a lane that is gone drops them: Reply::Stopped
            }
        }
        Ok((collector, woken))
    }

    /// Whether a request may add to the journal. One that was answered before is only told what was answered.
    fn would_write(&self, tenant: &TenantId, key: &WalletKey, request: &Request) -> bool {
        let Ask::Command(command) = &request.ask else {
            return false;
        };
        let Some(identity) = command.identity() else {
            return true;
        };
        let (store, id) = (
            &self.inner.shared.store,
            IdHash(identity_hash(tenant, &request.customer, &identity)),
        );
        // What is archived was answered; the lane says that it is not at hand.
        !ids::may_have_seen(&**store, id, self.is_sandbox(tenant))
            || ids::find(&**store, key, id).is_ok_and(|found| found.is_empty())
    }

    fn is_sandbox(&self, tenant: &TenantId) -> bool {
        let controls = self.inner.shared.controls.load();
        controls.sandbox_clock(tenant).is_some()
    }

    /// Refuses while the store has no room for new work. What was taken in before is carried out.
    pub fn check_room(&self) -> Result<(), Rejected> {
        match self.inner.shared.store.room() {
            Room::Enough => Ok(()),
            Room::NearlyFull {
                free_bytes,
                free_bytes_min,
            } => Err(Rejected::DiskNearlyFull {
                free_bytes,
                free_bytes_min,
            }),
        }
    }

    /// Room for every command on its lane, or none at all.
    fn reserve(&self, tenant: &TenantId, lanes: &[usize]) -> Result<Vec<Option<Share>>, Rejected> {
        let mut wanted = vec![0; self.inner.lanes.len()];
        for lane in lanes {
            wanted[*lane] += 1;
        }
        let reserve = |(lane, count): (&LaneHandle, usize)| match count {
            0 => Ok(None),
            _ => lane.room.take(tenant, count).map(Some),
        };
        let rooms: Result<_, _> = self.inner.lanes.iter().zip(wanted).map(reserve).collect();
        rooms.map_err(|full| {
            metrics::counter!("farebox_engine_busy_total").increment(1);
            match full {
                Full::All => Rejected::Busy,
                Full::Tenant => Rejected::TenantBusy,
            }
        })
    }

    /// The control planes as last committed.
    pub fn controls(&self) -> Arc<Controls> {
        self.inner.shared.controls.load_full()
    }

    /// Now, for this tenant.
    pub fn now(&self, tenant: &TenantId) -> Timestamp {
        self.inner.shared.now(tenant)
    }

    /// False once the engine has failed or stops.
    pub fn is_running(&self) -> bool {
        !self.inner.shared.has_failed() && !self.inner.stopping.load(Ordering::SeqCst)
    }

    /// Up to `limit` records of a wallet below sequence `before`, newest first. Blocks.
    pub fn history(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Record>, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        let stored = self.inner.shared.store.history(&key, before, limit)?;
        stored
            .iter()
            .map(|s| Record::decode(&s.body).map_err(|e| EngineError::State(e.to_string())))
            .collect()
    }

    /// What a wallet carried forward behind a record whose instant is not before `instant`, with that record's sequence:
    /// the first such up to the record `newest`. None: read back from the newest. Blocks.
    pub fn carried(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        instant: Timestamp,
        newest: u64,
    ) -> Result<Option<(u64, Carried)>, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        let store = &*self.inner.shared.store;
        Ok(crate::carried::first_since(store, &key, instant, newest)?)
    }

    /// The durable record that answers for an identity. Blocks.
    pub fn find(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        identity: &Identity,
    ) -> Result<Option<Record>, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        let id = IdHash(identity_hash(tenant, customer, identity));
        let store = &*self.inner.shared.store;
        if !ids::may_have_seen(store, id, self.is_sandbox(tenant)) {
            return Ok(None);
        }
        for stored in ids::find(store, &key, id)? {
            let record = Record::decode(&stored.body).map_err(|e| EngineError::State(e.to_string()))?;
            if id_hashes(&record).contains(&id) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The newest durable record that answered for an identity that is forgotten. None where there is none, or where the store
    /// does not know of all that are. Blocks.
    pub fn find_past(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        identity: &Identity,
    ) -> Result<Option<Record>, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        let id = IdHash(identity_hash(tenant, customer, identity));
        let found = self.inner.shared.store.find_past(&key, id)?;
        for stored in found.into_iter().flatten().rev() {
            let record = Record::decode(&stored.body).map_err(|e| EngineError::State(e.to_string()))?;
            if id_hashes(&record).contains(&id) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// A durable event as it stands after all corrections: what it took and has not given back. None where no record
    /// charges it: it was never seen, it was denied, or its hold is open or was given back. Blocks.
    pub fn standing(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        event: &EventRef,
    ) -> Result<Option<Standing>, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        Ok(crate::loader::standing(&*self.inner.shared.store, &key, event)?)
    }

    /// Up to `limit` of what waits for a price in a wallet, each with the sequence of the record that kept it: those behind
    /// `after`, in order of arrival. Blocks.
    pub fn unpriced(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, UnpricedState)>, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        Ok(crate::loader::unpriced(
            &*self.inner.shared.store,
            &key,
            after,
            limit,
        )?)
    }

    /// Whether a durable correction of this event was made: a refund, a void, an amendment. Blocks.
    pub fn is_corrected(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        event: &EventRef,
    ) -> Result<bool, EngineError> {
        let key = WalletKey::new(tenant.as_str(), customer.as_str());
        let part = Part::Standing(event.clone()).key();
        Ok(self.inner.shared.store.part(&key, &part)?.is_some())
    }

    /// Up to `limit` customers whose name comes after `after`, in order of name. Blocks.
    pub fn customers(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, EngineError> {
        let keys = self.inner.shared.store.wallets(tenant.as_str(), after, limit)?;
        keys.iter()
            .map(|k| CustomerId::new(k.wallet()).map_err(|e| EngineError::State(e.to_string())))
            .collect()
    }

    /// Takes nothing more in, waits until everything that was taken in is answered, and closes the store. Blocks.
    pub fn stop(&self) -> Result<(), EngineError> {
        if self.inner.stopping.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let is_empty = |lane: &LaneHandle| lane.room.is_unused();
        while !self.inner.shared.has_failed() && !self.inner.lanes.iter().all(is_empty) {
            if !self.settle_by_hand() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for lane in &self.inner.lanes {
            let _ = lane.inbox.send(Message::Stop); // one that is gone has stopped
        }
        drop(self.committer().take());
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                self.inner.shared.fail("a thread panicked while stopping");
            }
        }
        self.inner.shared.store.close()?;
        Ok(())
    }

    pub(crate) fn hands(&self) -> Option<&Hands> {
        self.inner.hands.as_ref()
    }

    pub(crate) fn status(&self) -> &Status {
        &self.inner.status
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn control_lock(&self) -> MutexGuard<'_, ()> {
        self.inner.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committer(&self) -> MutexGuard<'_, Option<Sender<Shipment>>> {
        self.inner
            .committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ship(&self, shipment: Shipment) -> Result<(), ControlError> {
        let guard = self.committer();
        let committer = guard.as_ref().ok_or(ControlError::Stopped)?;
        committer.send(shipment).map_err(|_| ControlError::Stopped)
    }

    /// Takes a tenant's control plane from the store again.
    pub(crate) fn refresh(&self, tenant: &TenantId) -> Result<(), EngineError> {
        refresh(&self.inner.shared, tenant)
    }

    /// A plan changed: what had no price may have one now. In a server the rater notices by itself.
    pub(crate) fn rate_unpriced(&self, command: &ControlCommand) {
        let changes = command.timeline().is_some() || matches!(command, ControlCommand::Quarantine { .. });
        if changes && self.hands().is_some() {
            self.step(Work::Rate);
        }
    }
}

fn refresh(shared: &Shared, tenant: &TenantId) -> Result<(), EngineError> {
    let present = shared.controls.load_full();
    let next = present.reload(tenant, &*shared.store, &shared.runtime)?;
    if next.version(tenant) > present.version(tenant) {
        shared.controls.store(Arc::new(next));
    }
    Ok(())
}

/// Which lane owns a wallet. Need not be stable: no state outlives the process in a lane.
pub(crate) fn lane_of(wallet: &WalletKey, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    wallet.hash(&mut hasher);
    usize::try_from(hasher.finish() % lanes as u64).unwrap_or(0)
}

/// As [`refresh`], in the terms of a loader.
pub(crate) fn refresh_for_loader(shared: &Shared, tenant: &TenantId) -> Result<(), StoreError> {
    match refresh(shared, tenant) {
        Ok(()) => Ok(()),
        Err(EngineError::Store(error)) => Err(error),
        Err(other) => Err(StoreError::State {
            what: other.to_string(),
        }),
    }
}
