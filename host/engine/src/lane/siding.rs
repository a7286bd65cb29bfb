//! Sidings: where a wallet goes on while a plan of it is slow, so that no other wallet of its lane waits behind it.
//!
//! What a plan may take is bounded for each call, and a customer may make many. So a lane asks quick plans only. A wallet that
//! has a [slow](farebox_runtime::Revision::is_slow) one to ask leaves the lane, as it is, for the siding of that revision and
//! tenant: a thread that does the same work as a lane, for a few commands, and sends the wallet back. What comes for it
//! meanwhile is kept, and nothing about it is done twice or in another order. A revision that has answered nothing yet is
//! asked on its siding too: nobody knows how long it takes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crossbeam_channel::{Receiver, Sender};
use farebox_record::command::Command;
use farebox_record::ids::{PlanName, TenantId};
use farebox_record::lifecycle::SubscriptionChange;
use farebox_runtime::Revision;
use farebox_store::{FastMap, WalletKey};

use crate::controls::Controls;
use crate::engine::lane_of;
use crate::lane::pricing::Asking;
use crate::lane::slot::Slot;
use crate::lane::turn::Turn;
use crate::lane::{Lane, Message};
use crate::limits::{SIDING_COMMANDS_MAX, SIDINGS};

/// How little of a processor a siding gets where lanes want it too.
#[cfg(target_os = "linux")]
const NICENESS: libc::c_int = 10;

/// A wallet on its way to a siding.
pub(crate) struct Shunted {
    pub key: WalletKey,
    pub slot: Box<Slot>,
}

/// One siding's world.
pub(crate) struct Siding {
    lane: Lane,
    lanes: Vec<Sender<Message>>,
}

/// On which siding a revision is asked for a tenant.
pub(super) fn of(tenant: &TenantId, revision: &Revision) -> usize {
    let mut hasher = DefaultHasher::new();
    (tenant, revision.hash()).hash(&mut hasher);
    usize::try_from(hasher.finish() % SIDINGS as u64).unwrap_or(0)
}

impl Siding {
    /// `lane`, which has no sidings itself, does the work, and `lanes` get their wallets back.
    pub fn new(lane: Lane, lanes: Vec<Sender<Message>>) -> Siding {
        Siding { lane, lanes }
    }

    /// Runs until every lane is gone.
    pub fn run(mut self, inbox: &Receiver<Shunted>) {
        step_back();
        while let Ok(first) = inbox.recv() {
            self.drain(first, inbox);
        }
    }

    /// Takes in a wallet and those that are queued behind it, up to a round's worth, carries out what can be, and sends them
    /// back.
    pub fn drain(&mut self, first: Shunted, inbox: &Receiver<Shunted>) {
        let (mut ids, mut commands) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(Shunted { key, slot }) = next {
            commands += slot.queue.len().max(1);
            ids.push(self.lane.slots.insert(&key, slot));
            next = match commands < SIDING_COMMANDS_MAX {
                true => inbox.try_recv().ok(),
                false => None,
            };
        }
        let controls = self.lane.shared.controls.load_full();
        self.lane.room_commands = SIDING_COMMANDS_MAX;
        self.lane.room_bytes = self.lane.round.bytes;
        self.lane.round(&controls, &ids);
        // Its lane sees for itself what can go on.
        self.lane.slots.take_runnable();
        for id in ids {
            let key = self.lane.slots.owner(id).map(|owner| owner.key.clone());
            if let (Some(key), Some(slot)) = (key, self.lane.slots.remove(id)) {
                let lane = lane_of(&key, self.lanes.len());
                let _ = self.lanes[lane].send(Message::Back(key, slot)); // gone: the engine has stopped
            }
        }
    }
}

impl Lane {
    /// Whether others wait behind what it does. Without sidings it is one, or somebody's own, and asks whoever is to be asked.
    fn has_sidings(&self) -> bool {
        !self.ways.sidings.is_empty()
    }

    /// How this lane asks plans.
    pub(super) fn asking(&self) -> Asking<'_> {
        Asking {
            runtime: &self.shared.runtime,
            at_once: self.has_sidings(),
        }
    }

    /// Where a plan is asked; none: here.
    pub(super) fn siding_of(&self, tenant: &TenantId, revision: &Revision) -> Option<usize> {
        (self.has_sidings() && revision.is_slow()).then(|| of(tenant, revision))
    }

    /// Where a command is decided that asks a plan at once, without a [question](super::pricing::Question) of its own; none:
    /// here.
    pub(super) fn siding_for(&self, turn: &Turn, command: &Command, controls: &Controls) -> Option<usize> {
        let named = match command {
            Command::Subscribe(subscribe) => Some(&subscribe.plan),
            Command::ChangeSubscription(change) => match &change.change {
                SubscriptionChange::Plan { plan, .. } => Some(plan),
                _ => None,
            },
            Command::RetryTransition(_)
            | Command::RetryChange(_)
            | Command::Refund(_)
            | Command::Void(_)
            | Command::Amend(_) => None,
            _ => return None,
        };
        self.siding_of_wallet(turn, named, controls)
    }

    /// Where a wallet goes on whose plans are asked, or this one; none: here.
    pub(super) fn siding_of_wallet(
        &self,
        turn: &Turn,
        named: Option<&PlanName>,
        controls: &Controls,
    ) -> Option<usize> {
        if !self.has_sidings() {
            return None;
        }
        let subscriptions = turn.slot.wallet.iter().flat_map(|wallet| wallet.subscriptions());
        let plans = subscriptions.map(|(_, subscription)| &subscription.plan);
        plans.chain(named).find_map(|plan| {
            let revision = controls.pricing(&turn.tenant, plan, turn.now)?;
            self.siding_of(&turn.tenant, revision)
        })
    }

    /// Sends wallets to their sidings, with nothing of theirs left to ship.
    pub(super) fn shunt(&mut self) {
        for (id, siding) in std::mem::take(&mut self.shunted) {
            // What it waits for wakes it, and it comes here again.
            if !self.slots.get(id).is_some_and(Slot::can_run) {
                continue;
            }
            let key = self.slots.owner(id).map(|owner| owner.key.clone());
            let (Some(key), Some(slot)) = (key, self.slots.remove(id)) else {
                continue;
            };
            metrics::counter!("farebox_engine_shunted_total").increment(1);
            self.away.insert(key.clone(), Vec::new());
            let _ = self.ways.sidings[siding].send(Shunted { key, slot }); // gone: the engine has stopped
        }
    }

    /// A wallet is back: what was decided about it is shipped before anything else about it is taken in.
    pub(super) fn came_back(&mut self, key: &WalletKey, slot: Box<Slot>) {
        let id = self.slots.insert(key, slot);
        self.slots.flies(id);
        self.ship();
        for message in self.away.remove(key).unwrap_or_default() {
            self.take(message);
        }
        self.slots.wake(id);
    }

    /// Keeps what is about wallets that are away, and gives back the rest; none: that was all.
    pub(super) fn kept_for_away(&mut self, message: Message) -> Option<Message> {
        let away = &mut self.away;
        if away.is_empty() {
            return Some(message);
        }
        match message {
            Message::Jobs(jobs) => {
                let here = keep(away, jobs, |job| &job.wallet, |job| Message::Jobs(vec![job]));
                Some(Message::Jobs(here))
            }
            Message::Landed(flights) => {
                let of = |flight| Message::Landed(vec![flight]);
                Some(Message::Landed(keep(away, flights, |flight| &flight.wallet, of)))
            }
            message => match message.wallet().and_then(|key| away.get_mut(key)) {
                Some(kept) => {
                    kept.push(message);
                    None
                }
                None => Some(message),
            },
        }
    }
}

/// Keeps those that are about wallets that are away, each as a message of its own, and gives back the others.
fn keep<T>(
    away: &mut FastMap<WalletKey, Vec<Message>>,
    all: Vec<T>,
    wallet: impl Fn(&T) -> &WalletKey,
    message: impl Fn(T) -> Message,
) -> Vec<T> {
    let mut here = Vec::with_capacity(all.len());
    for one in all {
        match away.get_mut(wallet(&one)) {
            Some(kept) => kept.push(message(one)),
            None => here.push(one),
        }
    }
    here
}

/// Has the lanes, the committer and those who answer go first where the processors are busy.
fn step_back() {
    // Elsewhere the priority would be the whole process's.
    #[cfg(target_os = "linux")]
    {
        // SAFETY: takes numbers only; 0 is the thread that calls.
        let changed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
        if changed != 0 {
            let error = std::io::Error::last_os_error();
            tracing::warn!(%error, "a siding has the priority of a lane");
        }
    }
}
