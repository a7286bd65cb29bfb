//! A lane whose records go nowhere: tells what commands would come to, by the code that carries them out.
//!
//! It begins with what is durable, decides as any lane does, and answers at once; what it decided stays in its memory, so the
//! next command sees it, and goes with it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crossbeam_channel::{Receiver, unbounded};
use farebox_record::ids::TenantId;
use farebox_store::WalletKey;

use crate::committer::Shipment;
use crate::engine::refresh_for_loader;
use crate::error::ControlError;
use crate::lane::{Job, Lane, Message, Task};
use crate::loader::{self, Load};
use crate::refold;
use crate::request::{Ask, Collector, Reply, ReplyTo, Request};
use crate::shared::Shared;

/// What the requests would be answered, in order.
///
/// # Errors
/// What the store cannot read.
pub(super) fn rehearse(
    shared: &Arc<Shared>,
    tenant: &TenantId,
    requests: &[Request],
) -> Result<Vec<Reply>, ControlError> {
    let (committer, shipments) = unbounded();
    let (loader, loads) = unbounded();
    let (refolder, folds) = unbounded();
    let (inbox, messages) = unbounded();
    let mut lane = Lane::new(0, Arc::clone(shared), committer, loader, refolder).rehearsing();
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
    let again = |tenant: &_| refresh_for_loader(shared, tenant);
    while let Ok(message) = messages.try_recv() {
        lane.drain(message, &messages);
        release(&shipments);
        while let Ok((_, load)) = loads.try_recv() {
            let _ = inbox.send(answer(shared, &again, load)?);
        }
        while let Ok((_, ask)) = folds.try_recv() {
            let _ = inbox.send(refold::answer(shared, ask)?);
        }
    }
    Ok(collector.take())
}

fn answer(
    shared: &Arc<Shared>,
    again: &dyn Fn(&TenantId) -> Result<(), farebox_store::StoreError>,
    load: Load,
) -> Result<Message, ControlError> {
    Ok(loader::answer(&shared.store, again, load)?)
}

/// Gives out the answers that would wait for the disk. Their flights never land.
fn release(shipments: &Receiver<Shipment>) {
    while let Ok(shipment) = shipments.try_recv() {
        let Shipment::Lane { flights, .. } = shipment else {
            continue;
        };
        for flight in flights {
            for (job, reply) in flight.answered {
                job.answer(reply);
            }
        }
    }
}
