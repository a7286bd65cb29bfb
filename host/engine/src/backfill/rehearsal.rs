//! Tells what commands would come to, by the code that carries them out: a lane, a loader and a committer, on a store above
//! the real one whose records go nowhere. So one command sees what those before it did, as in truth.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use farebox_record::ids::TenantId;
use farebox_store::{OverlayStore, Store, WalletKey};

use crate::committer::{self, Dead, Shipment};
use crate::engine::Round;
use crate::engine::refresh_for_loader;
use crate::error::ControlError;
use crate::lane::{Job, Lane, Message, Task, Ways};
use crate::loader::{self, Load};
use crate::refold;
use crate::request::{Ask, Collector, Reply, ReplyTo, Request};
use crate::shared::Shared;

/// A lane that is driven by whoever asks it.
pub(super) struct Rehearsal {
    shared: Arc<Shared>,
    tenant: TenantId,
    store: Arc<dyn Store>,
    lane: Lane,
    inbox: Sender<Message>,
    messages: Receiver<Message>,
    shipments: Receiver<Shipment>,
    loads: Receiver<(usize, Load)>,
    folds: Receiver<(usize, refold::Ask)>,
}

impl Rehearsal {
    /// Of what these requests ask of a tenant. Their wallets stand still from now on: one that went on meanwhile would be folded
    /// up to records that the lane has not seen.
    pub(super) fn new(
        shared: &Shared,
        tenant: &TenantId,
        requests: &[Request],
    ) -> Result<Rehearsal, ControlError> {
        let store = OverlayStore::new(Arc::clone(&shared.store))?;
        for request in requests {
            store.pin(&WalletKey::new(tenant.as_str(), request.customer.as_str()))?;
        }
        let store: Arc<dyn Store> = Arc::new(store);
        let shared = Arc::new(shared.rehearsing(Arc::clone(&store)));
        let (committer, shipments) = unbounded();
        let (loader, loads) = unbounded();
        let (refolder, folds) = unbounded();
        let (inbox, messages) = unbounded();
        // No caller waits behind it, so it asks slow plans itself.
        let ways = Ways {
            committer,
            bell: Arc::default(),
            loader,
            refolder,
            sidings: Vec::new(),
        };
        Ok(Rehearsal {
            lane: Lane::new((0, 1), Round::default(), Arc::clone(&shared), ways),
            shared,
            tenant: tenant.clone(),
            store,
            inbox,
            messages,
            shipments,
            loads,
            folds,
        })
    }

    /// What the requests would be answered, in order, behind those that were asked before.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(super) fn call(&mut self, requests: &[Request]) -> Result<Vec<Reply>, ControlError> {
        let (collector, _woken) = Collector::new(requests.len());
        let jobs = requests.iter().enumerate().map(|(index, request)| {
            let key = WalletKey::new(self.tenant.as_str(), request.customer.as_str());
            let task = match &request.ask {
                Ask::Command(command) => Task::Command(command.clone()),
                Ask::Read => Task::Read,
                Ask::ReadHold(hold) => Task::ReadHold(hold.clone()),
                Ask::CatchUp => Task::CatchUp,
            };
            Job::new(key, task, ReplyTo::new(&collector, index, None))
        });
        let _ = self.inbox.send(Message::Jobs(jobs.collect())); // its receiver is here
        let lanes = [self.inbox.clone()];
        let (followers, _nobody) = bounded(1);
        let mut dead = Dead::default();
        let shared = Arc::clone(&self.shared);
        let again = |tenant: &_| refresh_for_loader(&shared, tenant);
        while let Ok(message) = self.messages.try_recv() {
            self.lane.drain(message, &self.messages);
            while let Ok(first) = self.shipments.try_recv() {
                committer::drain(&self.store, first, &self.shipments, &lanes, &followers, &mut dead)?;
            }
            while let Ok((_, load)) = self.loads.try_recv() {
                let _ = self.inbox.send(loader::answer(&self.store, &again, load)?);
            }
            while let Ok((_, ask)) = self.folds.try_recv() {
                let _ = self.inbox.send(refold::answer(&self.shared, ask)?);
            }
        }
        Ok(collector.take())
    }
}
