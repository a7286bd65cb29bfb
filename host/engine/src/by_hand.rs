//! An engine without threads, for whoever decides itself in which order things happen: a simulator.
//!
//! In a server each lane, each siding, the committer, the loaders, the refolder, the sweeper, the rater, the projector and who
//! writes quarantines down are threads that wait for one another's messages. By hand, the same code runs when it is told to, one
//! piece at a time, on the thread that tells it: with no thread there is no chance in the order of things.

use crossbeam_channel::{Receiver, Sender};
use farebox_store::{StoreError, WalletKey};
use parking_lot::Mutex;

use crate::committer::{self, Dead, Shipment};
use crate::crew::Crew;
use crate::engine::{Engine, lane_of, refresh_for_loader};
use crate::lane::{Lane, Message, Shunted, Siding};
use crate::loader::{self, Load};
use crate::projection::Projector;
use crate::quarantine;
use crate::rater::Rater;
use crate::refold;
use crate::sweeper::Sweeper;

/// A piece of work that an engine without threads can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A lane takes in what is queued for it, and carries out what it can. Lanes are counted from 0.
    Lane(usize),
    /// A siding decides about the wallet that was sent to it first, and about those behind it. Sidings are counted from 0.
    Siding(usize),
    /// The committer commits what was shipped to it, and releases the answers.
    Commit,
    /// A loader fetches the one thing that was asked for first.
    Load,
    /// The refolder folds the one term that was asked for first.
    Refold,
    /// The projector reads on until nothing is left to read.
    Follow,
    /// The sweeper wakes wallets that have something due, and has ids forgotten when it is time. Always possible.
    Sweep,
    /// The rater has events looked at again whose plans changed, and all that wait the first time. Always possible.
    Rate,
    /// The projector removes some of what is no longer kept. Always possible.
    Tidy,
    /// What the runtime took out of service is written down. Always possible.
    Quarantine,
}

/// Every part of an engine that is a thread in a server. Gone once one of them has failed, with everything that it held.
pub(crate) struct Hands(Mutex<Option<Parts>>);

struct Parts {
    lanes: Vec<(Lane, Receiver<Message>)>,
    sidings: Vec<(Siding, Receiver<Shunted>)>,
    inboxes: Vec<Sender<Message>>,
    shipments: Receiver<Shipment>,
    loads: Receiver<(usize, Load)>,
    folds: Receiver<(usize, refold::Ask)>,
    dead: Dead,
    followers: Sender<()>,
    woken: Receiver<()>,
    projector: Projector,
    sweeper: Sweeper,
    rater: Rater,
}

impl Hands {
    pub fn new(crew: Crew) -> Hands {
        let (followers, woken) = crew.followers;
        let _ = followers.try_send(()); // a projector begins with what it does not have yet
        Hands(Mutex::new(Some(Parts {
            lanes: crew.lanes,
            sidings: crew.sidings,
            inboxes: crew.inboxes,
            shipments: crew.shipments,
            loads: crew.loads,
            folds: crew.folds,
            dead: Dead::default(),
            followers,
            woken,
            projector: Projector::new(crew.shared, crew.status),
            sweeper: Sweeper::default(),
            rater: Rater::default(),
        })))
    }
}

impl Parts {
    fn waiting(&self) -> Vec<Work> {
        let lanes = self.lanes.iter().enumerate();
        let mut waiting: Vec<Work> = lanes
            .filter(|(_, (_, inbox))| !inbox.is_empty())
            .map(|(index, _)| Work::Lane(index))
            .collect();
        let sidings = self.sidings.iter().enumerate();
        let sidings = sidings.filter(|(_, (_, inbox))| !inbox.is_empty());
        waiting.extend(sidings.map(|(index, _)| Work::Siding(index)));
        waiting.extend((!self.shipments.is_empty()).then_some(Work::Commit));
        waiting.extend((!self.loads.is_empty()).then_some(Work::Load));
        waiting.extend((!self.folds.is_empty()).then_some(Work::Refold));
        waiting.extend((!self.woken.is_empty()).then_some(Work::Follow));
        waiting
    }
}

impl Engine {
    /// What an engine without threads could do now, in a fixed order; what it always can is left out. Empty: everything that
    /// was taken in is answered, and told.
    pub fn waiting(&self) -> Vec<Work> {
        let parts = self.hands().map(|hands| hands.0.lock());
        parts
            .and_then(|parts| parts.as_ref().map(Parts::waiting))
            .unwrap_or_default()
    }

    /// Does a piece of work. What is not waiting does nothing, and so does an engine that has failed or that has threads.
    ///
    /// A failure of the store is the engine's, as in a server: it is told to `on_failure`, and every request that has no
    /// answer gets [`crate::Reply::Stopped`].
    pub fn step(&self, work: Work) {
        let Some(hands) = self.hands() else { return };
        if work == Work::Quarantine {
            // A change like those that a caller makes, so it does steps of its own. That the engine stopped is known.
            let _ = quarantine::write(self);
            return;
        }
        let mut guard = hands.0.lock();
        let Some(parts) = guard.as_mut() else { return };
        if let Err(error) = self.carry_out(parts, work) {
            self.shared().fail(&format!("{work:?}: {error}"));
            // What is queued is dropped, as it is when a thread ends; outside the lock, because answers go out with it.
            let parts = guard.take();
            drop(guard);
            drop(parts);
        }
    }

    fn carry_out(&self, parts: &mut Parts, work: Work) -> Result<(), StoreError> {
        let shared = self.shared();
        match work {
            Work::Lane(index) => {
                if let Some((lane, inbox)) = parts.lanes.get_mut(index)
                    && let Ok(first) = inbox.try_recv()
                {
                    lane.drain(first, inbox);
                }
                Ok(())
            }
            Work::Siding(index) => {
                if let Some((siding, inbox)) = parts.sidings.get_mut(index)
                    && let Ok(first) = inbox.try_recv()
                {
                    siding.drain(first, inbox);
                }
                Ok(())
            }
            Work::Commit => match parts.shipments.try_recv() {
                Ok(first) => committer::drain(
                    &shared.store,
                    first,
                    &parts.shipments,
                    &parts.inboxes,
                    &parts.followers,
                    &mut parts.dead,
                ),
                Err(_) => Ok(()),
            },
            Work::Load => {
                if let Ok((lane, load)) = parts.loads.try_recv() {
                    let again = |tenant: &_| refresh_for_loader(shared, tenant);
                    let message = loader::answer(&shared.store, &again, load)?;
                    let _ = parts.inboxes[lane].send(message); // a lane that has stopped needs no news
                }
                Ok(())
            }
            Work::Refold => {
                if let Ok((lane, ask)) = parts.folds.try_recv() {
                    let message = refold::answer(shared, ask)?;
                    let _ = parts.inboxes[lane].send(message); // a lane that has stopped needs no news
                }
                Ok(())
            }
            Work::Follow => {
                if parts.woken.try_recv().is_ok()
                    && let Err(error) = parts.projector.follow()
                {
                    parts.projector.failed(&error.to_string());
                }
                Ok(())
            }
            Work::Tidy => {
                if let Err(error) = parts.projector.tidy() {
                    parts.projector.failed(&error.to_string());
                }
                Ok(())
            }
            Work::Quarantine => Ok(()),
            Work::Sweep => {
                let count = parts.inboxes.len();
                let lane = |wallet: &WalletKey| lane_of(wallet, count);
                parts.sweeper.round(shared, lane, &parts.inboxes)
            }
            Work::Rate => {
                let count = parts.inboxes.len();
                let lane = |wallet: &WalletKey| lane_of(wallet, count);
                parts.rater.round(shared, lane, &parts.inboxes, || true)
            }
        }
    }

    /// Does everything that waits, until nothing does. False: threads do it.
    pub(crate) fn settle_by_hand(&self) -> bool {
        if self.hands().is_none() {
            return false;
        }
        while let Some(work) = self.waiting().first() {
            self.step(*work);
        }
        true
    }

    /// Commits everything that was shipped, where no thread does.
    pub(crate) fn commit_by_hand(&self) {
        while self.hands().is_some() && self.waiting().contains(&Work::Commit) {
            self.step(Work::Commit);
        }
    }
}
