//! The product on the simulated disk: one store, one engine, a clock, and the callers' calls.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, ensure};
use farebox_engine::{Ask, Config, Engine, LedgerFold, ManualClock, Rejected, Reply, Request, Round, Work};
use farebox_record::command::Command;
use farebox_record::ids::TenantId;
use farebox_record::time::{Span, Timestamp};
use farebox_store::{Chore, JournalStore, Options, Packing, StoreError};
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::disk::{Ending, SimDisk};
use crate::log::{Asked, Owner};
use crate::plans;

/// When every episode begins.
const START: &str = "2026-01-01T00:00:00Z";
/// Below, the store has no room for new work; above its largest two segments.
const FREE_BYTES_MIN: u64 = 4 << 20;
/// Older copies of the state that are kept, to come back after a crash.
const COPIES_MAX: usize = 3;

/// See the module.
pub struct World {
    /// The journal and the blobs are on it; state and ids, which follow from them, lie in `folder`.
    pub disk: SimDisk,
    /// The machine's only clock.
    clock: Arc<ManualClock>,
    /// Where it stands.
    stands: Timestamp,
    /// The latest that it ever showed: it may have been set back since.
    latest: Timestamp,
    /// How many lanes the engine has.
    lanes: usize,
    folder: tempfile::TempDir,
    copies: Vec<PathBuf>,
    copied: usize,
    running: Option<Running>,
}

struct Running {
    engine: Engine,
    store: Arc<JournalStore>,
    calls: Vec<Call>,
    failure: Arc<Mutex<Option<String>>>,
}

/// A call that has no answer yet.
struct Call {
    asked: Vec<Item>,
    replies: Pin<Box<dyn Future<Output = Result<Vec<Reply>, Rejected>>>>,
}

/// One request of a call.
#[derive(Debug, Clone)]
pub struct Item {
    /// Of whom.
    pub owner: Owner,
    /// What; none: to be shown the wallet.
    pub command: Option<Command>,
    /// Why.
    pub asked: Asked,
}

/// How fast the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as anything else.
    Usual,
    /// A sync lasts until further notice, while everything else goes on.
    Slow,
}

/// How much room the disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskIs {
    /// All that anybody may want.
    Empty,
    /// Less than what new work wants.
    NearlyFull,
}

/// What becomes of the files that follow from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    /// They are as they were left.
    Kept,
    /// They are as they were at an earlier end.
    Older,
    /// They are gone.
    Gone,
}

impl World {
    /// A world without a past. `seed` is the disk's.
    ///
    /// # Errors
    /// If there is no folder to be had.
    pub fn new(seed: u64, lanes: usize) -> anyhow::Result<World> {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::TempDir::new_in(memory),
            false => tempfile::TempDir::new(),
        };
        let stands = START.parse()?;
        Ok(World {
            disk: SimDisk::new(seed),
            clock: Arc::new(ManualClock::at(stands)),
            stands,
            latest: stands,
            lanes,
            folder: folder.context("a folder for the state")?,
            copies: Vec::new(),
            copied: 0,
            running: None,
        })
    }

    /// Opens the store and starts the engine. Limits that only cost speed are drawn small, so that what is behind them
    /// is used too.
    ///
    /// # Errors
    /// What the store or the engine say.
    pub fn start(&mut self, random: &mut SmallRng) -> anyhow::Result<()> {
        let segment_bytes = [256 << 10, 256 << 10, 1 << 20][random.random_range(0..3)];
        let pending_bytes_max = [4 << 10, 64 << 20][random.random_range(0..2)];
        let memory = random.random_range(0..2);
        let options = Options {
            segment_bytes,
            state_cache_bytes: 2 << 20,
            pending_bytes_max,
            heads_cached_max: [2, 1_000][memory],
            replay_batch_bytes: [1, 64 << 20][memory],
            id_filter_bytes_max: [0, 1 << 20][random.random_range(0..2)],
            packing: [Packing::On, Packing::On, Packing::Off][random.random_range(0..3)],
            disk_free_bytes_min: FREE_BYTES_MIN,
            archive_dir: None,
        };
        self.disk.set_free_bytes(u64::MAX);
        let disk = Arc::new(self.disk.clone());
        let store = JournalStore::open_by_hand(disk, &self.dir(), options, Arc::new(LedgerFold))?;
        let store = Arc::new(store);
        let failure = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failure);
        let config = Config {
            lanes: self.lanes,
            round: Round {
                commands: [1, 5, 4_096][random.random_range(0..3)],
                bytes: [1, 10_000, 4 << 20][random.random_range(0..3)],
            },
            on_failure: Box::new(move |why| {
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(why.to_string());
            }),
        };
        let clock = Arc::clone(&self.clock);
        let engine = Engine::by_hand(config, Arc::clone(&store) as _, plans::runtime()?, clock)?;
        self.running = Some(Running {
            engine,
            store,
            calls: Vec::new(),
            failure,
        });
        Ok(())
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The disk says that there is hardly room, or enough again, and the store has looked.
    ///
    /// # Errors
    /// If nothing runs.
    pub fn fill(&mut self, disk: DiskIs) -> anyhow::Result<()> {
        self.disk.set_free_bytes(match disk {
            DiskIs::Empty => u64::MAX,
            DiskIs::NearlyFull => FREE_BYTES_MIN - 1,
        });
        // A store that has stopped says so to whoever asks next.
        let _ = self.store()?.work(Chore::Room);
        Ok(())
    }

    /// The engine, while there is one.
    ///
    /// # Errors
    /// If it was not started.
    pub fn engine(&self) -> anyhow::Result<&Engine> {
        Ok(&self.running.as_ref().context("nothing runs")?.engine)
    }

    /// The store, while there is one.
    ///
    /// # Errors
    /// If it was not opened.
    pub fn store(&self) -> anyhow::Result<&Arc<JournalStore>> {
        Ok(&self.running.as_ref().context("nothing runs")?.store)
    }

    /// The machine's time. A sandbox has its own.
    pub fn now(&self) -> Timestamp {
        self.stands
    }

    /// The latest time that the machine ever had.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Time passes.
    pub fn pass(&mut self, span: Span) {
        self.clock.advance(span);
        self.stands = self.stands.saturating_add(span);
        self.latest = self.latest.max(self.stands);
    }

    /// The machine comes back with a clock that was set back. Only while nothing runs: a process that runs holds its time.
    ///
    /// # Errors
    /// If something runs.
    pub fn set_back(&mut self, span: Span) -> anyhow::Result<()> {
        ensure!(self.running.is_none(), "a clock is set back between two programs");
        self.stands = self.stands.saturating_sub(span);
        self.clock = Arc::new(ManualClock::at(self.stands));
        Ok(())
    }

    /// Why the engine has stopped by itself, if it has.
    pub fn failure(&self) -> Option<String> {
        let failure = &self.running.as_ref()?.failure;
        failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests without an answer.
    pub fn calls(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.calls.len())
    }

    /// Makes a call. Nothing happens to it before work is done.
    ///
    /// # Errors
    /// If nothing runs.
    pub fn call(&mut self, tenant: &TenantId, items: Vec<Item>) -> anyhow::Result<()> {
        let running = self.running.as_mut().context("nothing runs")?;
        let requests = items.iter().map(|item| Request {
            customer: item.owner.1.clone(),
            ask: match &item.command {
                Some(command) => Ask::Command(Box::new(command.clone())),
                None => Ask::Read,
            },
        });
        let (engine, tenant, requests) = (running.engine.clone(), tenant.clone(), requests.collect());
        running.calls.push(Call {
            asked: items,
            replies: Box::pin(async move { engine.call(&tenant, requests).await }),
        });
        Ok(())
    }

    /// The replies that have come, and with `all` also word of those that never will.
    pub fn replies(&mut self) -> Vec<(Item, Reply)> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let mut came = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        running.calls.retain_mut(|call| {
            let replies = match call.replies.as_mut().poll(&mut context) {
                Poll::Pending => return true,
                Poll::Ready(Ok(replies)) => replies,
                // Nothing of it was taken in: whoever asked may ask again.
                Poll::Ready(Err(_)) => vec![Reply::Stopped; call.asked.len()],
            };
            came.extend(std::mem::take(&mut call.asked).into_iter().zip(replies));
            false
        });
        came
    }

    /// Does one piece of the work that there is, drawn at random; nothing is committed while the disk is slow.
    ///
    /// # Errors
    /// If nothing runs.
    pub fn work(&mut self, pace: Pace, random: &mut SmallRng) -> anyhow::Result<()> {
        let running = self.running.as_ref().context("nothing runs")?;
        let mut waiting = running.engine.waiting();
        waiting.retain(|work| pace == Pace::Usual || *work != Work::Commit);
        match random.random_range(0..12) {
            0 => {
                let always = [
                    Work::Sweep,
                    Work::Sweep,
                    Work::Sweep,
                    Work::Tidy,
                    Work::Quarantine,
                    Work::Rate,
                ];
                running.engine.step(always[random.random_range(0..always.len())]);
            }
            1 => {
                let chores = [
                    Chore::State,
                    Chore::State,
                    Chore::SyncState,
                    Chore::Segment,
                    Chore::Ids,
                    Chore::Pack,
                    Chore::Pack,
                    Chore::Room,
                ];
                // A store that fails here has stopped, and says so to whoever asks next. Damage is another matter: what is
                // packed was durable, and nothing spoils that.
                let done = running.store.work(chores[random.random_range(0..chores.len())]);
                if let Err(error @ StoreError::Damaged { .. }) = done {
                    return Err(error.into());
                }
            }
            _ if waiting.is_empty() => {}
            _ => running
                .engine
                .step(waiting[random.random_range(0..waiting.len())]),
        }
        Ok(())
    }

    /// Does everything that waits, in a random order, until nothing does.
    ///
    /// # Errors
    /// If nothing runs.
    pub fn settle(&mut self, random: &mut SmallRng) -> anyhow::Result<Vec<(Item, Reply)>> {
        let mut came = self.replies();
        loop {
            let engine = self.engine()?;
            let waiting = engine.waiting();
            if waiting.is_empty() {
                return Ok(came);
            }
            engine.step(waiting[random.random_range(0..waiting.len())]);
            came.extend(self.replies());
        }
    }

    /// Stops in order: everything is answered, the store is closed.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stop(&mut self) -> anyhow::Result<Vec<(Item, Reply)>> {
        self.engine()?.stop()?;
        let came = self.replies();
        self.running = None;
        self.disk.end(Ending::Program);
        self.copy()?;
        Ok(came)
    }

    /// Ends without order. What had no answer gets [`Reply::Stopped`].
    ///
    /// # Errors
    /// If the state cannot be copied.
    pub fn crash(&mut self, ending: Ending) -> anyhow::Result<Vec<(Item, Reply)>> {
        let mut came = self.replies();
        if let Some(running) = self.running.take() {
            for call in running.calls {
                came.extend(call.asked.into_iter().map(|item| (item, Reply::Stopped)));
            }
        }
        self.disk.end(ending);
        self.copy()?;
        Ok(came)
    }

    /// Keeps a copy of what follows from the journal, to bring back later.
    fn copy(&mut self) -> anyhow::Result<()> {
        if self.copies.len() == COPIES_MAX {
            fs::remove_dir_all(self.copies.remove(0))?;
        }
        let copy = self.folder.path().join(format!("copy-{}", self.copied));
        self.copied += 1;
        for part in ["state", "ids"] {
            copy_folder(&self.dir().join(part), &copy.join(part))?;
        }
        self.copies.push(copy);
        Ok(())
    }

    /// Before a start: what follows from the journal is older than it, or gone.
    ///
    /// # Errors
    /// If the folders cannot be changed.
    pub fn derive(&mut self, part: &str, derived: Derived, random: &mut SmallRng) -> anyhow::Result<()> {
        let place = self.dir().join(part);
        if derived == Derived::Kept || !place.exists() {
            return Ok(());
        }
        fs::remove_dir_all(&place)?;
        if derived == Derived::Older && !self.copies.is_empty() {
            let copy = &self.copies[random.random_range(0..self.copies.len())];
            copy_folder(&copy.join(part), &place)?;
        }
        Ok(())
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
