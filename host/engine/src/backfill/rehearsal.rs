//! Tells what commands would come to, by the code that carries them out: a lane, a loader and a committer, on a store above
//! the real one whose records go nowhere. So one command sees what those before it did, as in truth.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crossbeam_channel::{bounded, unbounded};
use farebox_record::ids::TenantId;
use farebox_store::{OverlayStore, Store, WalletKey};

use crate::committer::{self, Dead};
use crate::engine::refresh_for_loader;
use crate::error::ControlError;
use crate::lane::{Job, Lane, Message, Task};
use crate::loader;
use crate::refold;
use crate::request::{Ask, Collector, Reply, ReplyTo, Request};
use crate::shared::Shared;

/// What the requests would be answered, in order.
///
/// # Errors
/// What the store cannot read.
pub(super) fn rehearse(
    shared: &Shared,
    tenant: &TenantId,
    requests: &[Request],
) -> Result<Vec<Reply>, ControlError> {
    let store = OverlayStore::new(Arc::clone(&shared.store))?;
    // Or a wallet that goes on meanwhile would be folded up to records that the lane has not seen.
    for request in requests {
        store.pin(&WalletKey::new(tenant.as_str(), request.customer.as_str()))?;
    }
    let store: Arc<dyn Store> = Arc::new(store);
    let shared = Arc::new(shared.rehearsing(Arc::clone(&store)));
    let (committer, shipments) = unbounded();
    let (loader, loads) = unbounded();
    let (refolder, folds) = unbounded();
    let (inbox, messages) = unbounded();
    let (followers, _nobody) = bounded(1);
    let mut lane = Lane::new(0, Arc::clone(&shared), committer, loader, refolder);
    let lanes = [inbox.clone()];
    let mut dead = Dead::new();
    let room = Arc::new(AtomicUsize::new(0));
    let (collector, _woken) = Collector::new(requests.len());
    let jobs = requests.iter().enumerate().map(|(index, request)| {
        let key = WalletKey::new(tenant.as_str(), request.customer.as_str());
        let task = match &request.ask {
            Ask::Command(command) => Task::Command(command.clone()),
            Ask::Read => Task::Read,
            Ask::ReadHold(hold) => Task::ReadHold(hold.clone()),
            Ask::CatchUp => Task::CatchUp,
        };
        Job::new(key, task, ReplyTo::new(&collector, index, &room))
    });
    let _ = inbox.send(Message::Jobs(jobs.collect())); // its receiver is here
    let again = |tenant: &_| refresh_for_loader(&shared, tenant);
    while let Ok(message) = messages.try_recv() {
        lane.drain(message, &messages);
        while let Ok(first) = shipments.try_recv() {
            committer::drain(&store, first, &shipments, &lanes, &followers, &mut dead)?;
        }
        while let Ok((_, load)) = loads.try_recv() {
            let _ = inbox.send(loader::answer(&store, &again, load)?);
        }
        while let Ok((_, ask)) = folds.try_recv() {
            let _ = inbox.send(refold::answer(&shared, ask)?);
        }
    }
    Ok(collector.take())
}
