//! What does an engine's work: in a server each part has a thread, by hand none has.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use farebox_runtime::Runtime;
use farebox_store::{Store, StoreError};

use crate::bell::Bell;
use crate::clock::Clock;
use crate::committer::{self, Shipment};
use crate::controls::Controls;
use crate::engine::{Config, lane_of, refresh_for_loader};
use crate::error::EngineError;
use crate::lane::{Lane, Message, Shunted, Siding, Ways};
use crate::limits::{LOADER_THREADS, SIDINGS};
use crate::loader::{self, Load};
use crate::projection::{self, Status};
use crate::rater;
use crate::refold;
use crate::shared::Shared;
use crate::sweeper;

/// What an engine's threads do, before there are any.
pub(crate) struct Crew {
    pub shared: Arc<Shared>,
    pub inboxes: Vec<Sender<Message>>,
    pub lanes: Vec<(Lane, Receiver<Message>)>,
    pub sidings: Vec<(Siding, Receiver<Shunted>)>,
    pub shipments: Receiver<Shipment>,
    /// The committer's.
    pub bell: Arc<Bell>,
    pub loads: Receiver<(usize, Load)>,
    pub folds: Receiver<(usize, refold::Ask)>,
    pub status: Arc<Status>,
    /// Wakes what follows the records, and is woken.
    pub followers: (Sender<()>, Receiver<()>),
}

impl Crew {
    /// Loads the control planes. Blocks.
    pub fn gather(
        config: Config,
        store: Arc<dyn Store>,
        runtime: Runtime,
        clock: Arc<dyn Clock>,
    ) -> Result<(Crew, Sender<Shipment>), EngineError> {
        let controls = Controls::load(&*store, &runtime)?;
        let shared = Arc::new(Shared::new(store, runtime, clock, controls, config.on_failure));
        let (lanes, round) = (config.lanes.max(1), config.round.within_limits());
        let (inboxes, outboxes): (Vec<_>, Vec<_>) = (0..lanes).map(|_| unbounded::<Message>()).unzip();
        let (committer, shipments) = unbounded::<Shipment>();
        let (loader, loads) = unbounded::<(usize, Load)>();
        let (refolder, folds) = unbounded::<(usize, refold::Ask)>();
        let (sidings, shunted): (Vec<_>, Vec<_>) = (0..SIDINGS).map(|_| unbounded::<Shunted>()).unzip();
        let bell = Arc::<Bell>::default();
        let to_sidings = Ways {
            committer: committer.clone(),
            bell: Arc::clone(&bell),
            loader,
            refolder,
            sidings,
        };
        // A siding sends to none, so that all of them end when the lanes have.
        let of_siding = Ways {
            sidings: Vec::new(),
            ..to_sidings.clone()
        };
        let lane = |index, ways: &Ways| {
            let ways = ways.clone();
            Lane::new((index, lanes), round, Arc::clone(&shared), ways)
        };
        let sidings = shunted.into_iter().map(|inbox| {
            let siding = Siding::new(lane(0, &of_siding), inboxes.clone());
            (siding, inbox)
        });
        let sidings = sidings.collect();
        let lanes = outboxes
            .into_iter()
            .enumerate()
            .map(|(index, inbox)| (lane(index, &to_sidings), inbox));
        let crew = Crew {
            lanes: lanes.collect(),
            sidings,
            shared: Arc::clone(&shared),
            inboxes,
            shipments,
            bell,
            loads,
            folds,
            status: Arc::new(Status::new()),
            followers: bounded(1),
        };
        Ok((crew, committer))
    }

    /// What the engine itself keeps of it.
    pub fn known(&self) -> (Arc<Shared>, Vec<Sender<Message>>, Arc<Status>) {
        let status = Arc::clone(&self.status);
        (Arc::clone(&self.shared), self.inboxes.clone(), status)
    }

    /// Gives each of them a thread.
    pub fn start(self, stopping: &Arc<AtomicBool>) -> Result<Vec<JoinHandle<()>>, EngineError> {
        let (shared, inboxes) = (self.shared, self.inboxes);
        let (followers, woken) = self.followers;
        let mut threads = Vec::new();
        for (index, (lane, inbox)) in self.lanes.into_iter().enumerate() {
            threads.push(spawn(&shared, format!("lane-{index}"), move || {
                lane.run(&inbox);
                Ok(())
            })?);
        }
        for (index, (siding, inbox)) in self.sidings.into_iter().enumerate() {
            threads.push(spawn(&shared, format!("siding-{index}"), move || {
                siding.run(&inbox);
                Ok(())
            })?);
        }
        threads.push(start_committer(
            &shared,
            &inboxes,
            (self.shipments, self.bell),
            followers,
        )?);
        for index in 0..LOADER_THREADS {
            threads.push(start_loader(&shared, &inboxes, &self.loads, index)?);
        }
        threads.push(start_refolder(&shared, &inboxes, self.folds)?);
        threads.push(start_sweeper(&shared, &inboxes, stopping)?);
        threads.push(start_rater(&shared, &inboxes, stopping)?);
        threads.push(start_projector(&shared, self.status, stopping, woken)?);
        Ok(threads)
    }
}

/// Starts a thread whose failure is the engine's.
fn spawn(
    shared: &Arc<Shared>,
    name: String,
    work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
) -> Result<JoinHandle<()>, EngineError> {
    let shared = Arc::clone(shared);
    let title = name.clone();
    let body = move || {
        // A panic leaves state that cannot be trusted: stop, and recover from what is durable.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.fail(&format!("{title}: {error}")),
            Err(_) => shared.fail(&format!("{title} panicked")),
        }
    };
    Ok(std::thread::Builder::new().name(name).spawn(body)?)
}

fn start_committer(
    shared: &Arc<Shared>,
    inboxes: &[Sender<Message>],
    (shipments, bell): (Receiver<Shipment>, Arc<Bell>),
    followers: Sender<()>,
) -> Result<JoinHandle<()>, EngineError> {
    let (store, lanes) = (Arc::clone(&shared.store), inboxes.to_vec());
    spawn(shared, "committer".into(), move || {
        committer::run(&store, &shipments, &bell, &lanes, &followers)
    })
}

fn start_loader(
    shared: &Arc<Shared>,
    inboxes: &[Sender<Message>],
    loads: &Receiver<(usize, Load)>,
    index: usize,
) -> Result<JoinHandle<()>, EngineError> {
    let (store, lanes, loads) = (Arc::clone(&shared.store), inboxes.to_vec(), loads.clone());
    let world = Arc::clone(shared);
    spawn(shared, format!("loader-{index}"), move || {
        loader::run(
            &store,
            &|tenant| refresh_for_loader(&world, tenant),
            &loads,
            &lanes,
        )
    })
}

/// Corrections that reach further than their event are rare and may be long, so one thread does them, and no loader waits.
fn start_refolder(
    shared: &Arc<Shared>,
    inboxes: &[Sender<Message>],
    folds: Receiver<(usize, refold::Ask)>,
) -> Result<JoinHandle<()>, EngineError> {
    let (world, lanes) = (Arc::clone(shared), inboxes.to_vec());
    spawn(shared, "refolder".into(), move || {
        refold::run(&world, &folds, &lanes)
    })
}

/// Its failures are its own: it reports them, and billing goes on.
fn start_projector(
    shared: &Arc<Shared>,
    status: Arc<Status>,
    stopping: &Arc<AtomicBool>,
    woken: Receiver<()>,
) -> Result<JoinHandle<()>, EngineError> {
    let (world, stop) = (Arc::clone(shared), Arc::clone(stopping));
    Ok(std::thread::Builder::new()
        .name("projector".into())
        .spawn(move || projection::run(world, status, &stop, &woken))?)
}

fn start_sweeper(
    shared: &Arc<Shared>,
    inboxes: &[Sender<Message>],
    stopping: &Arc<AtomicBool>,
) -> Result<JoinHandle<()>, EngineError> {
    let (lanes, stop, world) = (inboxes.to_vec(), Arc::clone(stopping), Arc::clone(shared));
    spawn(shared, "sweeper".into(), move || {
        let count = lanes.len();
        sweeper::run(&world, &stop, |wallet| lane_of(wallet, count), &lanes)
    })
}

fn start_rater(
    shared: &Arc<Shared>,
    inboxes: &[Sender<Message>],
    stopping: &Arc<AtomicBool>,
) -> Result<JoinHandle<()>, EngineError> {
    let (lanes, stop, world) = (inboxes.to_vec(), Arc::clone(stopping), Arc::clone(shared));
    spawn(shared, "rater".into(), move || {
        let count = lanes.len();
        rater::run(&world, &stop, |wallet| lane_of(wallet, count), &lanes)
    })
}
