//! A lane: one OS thread that owns a share of the wallets. Per wallet, everything happens in one order, without a lock.
//!
//! A lane never waits for a disk: commands for a wallet (or a subject, or an id) that is not in memory stay in the wallet's
//! queue while a loader fetches it. What it decides becomes visible only when the committer has made it durable.

mod agenda;
mod correct;
mod dearer;
mod folded;
mod folds;
mod job;
mod limit_bytes;
mod pricing;
mod quoting;
mod siding;
mod slot;
mod stage;
mod transition;
mod turn;

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use farebox_ledger::Wallet;
use farebox_record::correction::Original;
use farebox_record::ids::SubscriptionId;
use farebox_record::lifecycle::TermState;
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::state::{SubjectState, UnpricedState};
use farebox_store::{FastMap, IdHash, WalletKey};

use crate::committer::{Landed, Shipment};
use crate::engine::{Round, lane_of};
use crate::limits::{UNPRICED_RATED_MAX, WALLETS_PER_LANE_MAX};
use crate::loader::Load;
use crate::refold::{self, Refolded};
use crate::shared::Shared;

pub(crate) use folded::WorstCase;
pub(crate) use job::{Job, Task, id_hashes};
pub(crate) use pricing::{balances, balances_for, pricing};
pub(crate) use siding::{Shunted, Siding};
use slot::Slot;
pub(crate) use transition::{change_of, state_before, told_then, wanted};

/// What a lane is told.
pub(crate) enum Message {
    /// New work.
    Jobs(Vec<Job>),
    /// Something of this wallet is due.
    Touch(WalletKey),
    /// Events of this wallet may have a price now.
    Rate(WalletKey),
    /// A wallet is here.
    Loaded(WalletKey, Box<Wallet>),
    /// A record is here, or there is none.
    Found(WalletKey, IdHash, Option<Arc<Record>>),
    /// A subject's state is here.
    Subject(WalletKey, SubscriptionId, String, SubjectState),
    /// States of several subjects are here.
    Subjects(WalletKey, SubscriptionId, Vec<(String, SubjectState)>),
    /// A closed term is here, or is forgotten.
    Term(WalletKey, SubscriptionId, u32, Option<TermState>),
    /// An event as it stands is here, or there is none; with those that it gave back of.
    Original(WalletKey, EventRef, Option<Box<Original>>, Vec<Original>),
    /// Of these events, those that are known are here as they stand.
    Named(WalletKey, Vec<EventRef>, Vec<Original>),
    /// The events behind a corrected one are folded again.
    Refolded(WalletKey, EventRef, Refolded),
    /// What was looked for is there, in an archive that is not at hand.
    Archived(WalletKey, Sought),
    /// What waits for a price is here.
    Unpriced(WalletKey, Vec<(u64, UnpricedState)>),
    /// Flights came back.
    Landed(Vec<Landed>),
    /// A wallet came back from a siding.
    Back(WalletKey, Box<Slot>),
    /// Finish what is here, and end.
    Stop,
}

impl Message {
    /// The one wallet that it is about, where it is about one.
    fn wallet(&self) -> Option<&WalletKey> {
        match self {
            Message::Touch(key)
            | Message::Rate(key)
            | Message::Loaded(key, _)
            | Message::Found(key, ..)
            | Message::Subject(key, ..)
            | Message::Subjects(key, ..)
            | Message::Term(key, ..)
            | Message::Original(key, ..)
            | Message::Named(key, ..)
            | Message::Refolded(key, ..)
            | Message::Archived(key, _)
            | Message::Unpriced(key, _) => Some(key),
            Message::Jobs(_) | Message::Landed(_) | Message::Back(..) | Message::Stop => None,
        }
    }
}

/// What a loader was asked to look for.
pub(crate) enum Sought {
    /// The record of an id.
    Record(IdHash),
    /// An event as it stands.
    Original(EventRef),
}

/// Where a lane sends what it does not do itself.
#[derive(Clone)]
pub(crate) struct Ways {
    pub committer: Sender<Shipment>,
    /// With the lane that owns the wallet, and gets what is found.
    pub loader: Sender<(usize, Load)>,
    pub refolder: Sender<(usize, refold::Ask)>,
    /// None for a lane that asks slow plans itself.
    pub sidings: Vec<Sender<Shunted>>,
}

/// One lane's world.
pub(crate) struct Lane {
    index: usize,
    /// How many there are.
    lanes: usize,
    shared: Arc<Shared>,
    ways: Ways,
    /// Wallets that leave for a siding once what they decided is shipped.
    shunted: Vec<(WalletKey, usize)>,
    /// What came for wallets that are on a siding.
    away: FastMap<WalletKey, Vec<Message>>,
    /// Each leaves and comes back in every round of its wallet, and is large.
    slots: FastMap<WalletKey, Box<Slot>>,
    /// Wallets with commands that can go on.
    runnable: Vec<WalletKey>,
    /// Counts drains: tells which wallets rest.
    drain: u64,
    /// Questions to plans, kept for their memory.
    calls: pricing::Calls,
    /// Bytes of records, estimated, that may still be made before they are shipped.
    room_bytes: usize,
    /// Commands that may still be staged. A lane has no bound here: messages have one.
    room_commands: usize,
    round: Round,
}

impl Lane {
    /// `index` of `lanes`.
    pub fn new((index, lanes): (usize, usize), round: Round, shared: Arc<Shared>, ways: Ways) -> Lane {
        Lane {
            index,
            lanes,
            shared,
            ways,
            shunted: Vec::new(),
            away: FastMap::default(),
            slots: FastMap::default(),
            runnable: Vec::new(),
            drain: 0,
            calls: pricing::Calls::default(),
            room_bytes: round.bytes,
            room_commands: usize::MAX,
            round,
        }
    }

    /// Runs until it is told to stop and nothing is left in flight.
    pub fn run(mut self, inbox: &Receiver<Message>) {
        let mut stopping = false;
        while let Ok(first) = inbox.recv() {
            stopping |= self.drain(first, inbox);
            if stopping && self.away.is_empty() && self.slots.values().all(|slot| slot.is_idle()) {
                return;
            }
        }
    }

    /// Takes in a message and what is queued behind it, up to a round's worth, and carries out what can be. True: it was
    /// told to stop.
    pub fn drain(&mut self, first: Message, inbox: &Receiver<Message>) -> bool {
        let mut stopping = false;
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(message) = next {
            stopping |= matches!(message, Message::Stop);
            taken += self.take(message);
            next = if taken < self.round.commands {
                inbox.try_recv().ok()
            } else {
                None
            };
        }
        self.work();
        stopping
    }

    /// Takes a message in; tells how many commands it brought.
    fn take(&mut self, message: Message) -> usize {
        let Some(message) = self.kept_for_away(message) else {
            return 0;
        };
        match message {
            Message::Jobs(jobs) => {
                let count = jobs.len();
                for job in jobs {
                    let key = job.wallet.clone();
                    self.slot(&key).take_in(job);
                    self.runnable.push(key);
                }
                return count;
            }
            Message::Touch(key) => {
                self.slot(&key).touched = true;
                self.runnable.push(key);
            }
            Message::Rate(key) => self.want_unpriced(&key),
            Message::Loaded(key, wallet) => {
                let slot = self.slot(&key);
                slot.loaded(*wallet);
                if slot.rate_when_loaded() {
                    self.want_unpriced(&key);
                }
                self.runnable.push(key);
            }
            Message::Found(key, id, record) => {
                self.slot(&key).found(id, record);
                self.runnable.push(key);
            }
            Message::Subject(key, subscription, subject, state) => {
                self.slot(&key).subject_loaded(subscription, subject, state);
                self.runnable.push(key);
            }
            Message::Subjects(key, subscription, states) => {
                let slot = self.slot(&key);
                for (subject, state) in states {
                    slot.subject_loaded(subscription.clone(), subject, state);
                }
                self.runnable.push(key);
            }
            Message::Term(key, subscription, number, term) => {
                self.slot(&key).term_loaded(subscription, number, term);
                self.runnable.push(key);
            }
            Message::Original(key, event, original, named) => {
                self.slot(&key).original_loaded(event, original, named);
                self.runnable.push(key);
            }
            Message::Named(key, events, named) => {
                self.slot(&key).named_loaded(events, named);
                self.runnable.push(key);
            }
            Message::Refolded(key, event, folded) => {
                self.slot(&key).refolded(&event, folded);
                self.runnable.push(key);
            }
            Message::Archived(key, sought) => {
                self.slot(&key).is_archived(sought);
                self.runnable.push(key);
            }
            Message::Unpriced(key, waiting) => {
                let slot = self.slot(&key);
                let last = waiting.last().map(|(sequence, _)| *sequence);
                let more = waiting.len() == UNPRICED_RATED_MAX;
                for (sequence, unpriced) in waiting {
                    slot.queue.push_back(Job::retry(&key, sequence, unpriced));
                }
                match more {
                    true => self.ask(Load::Unpriced {
                        wallet: key.clone(),
                        after: last,
                    }),
                    false => slot.unpriced_arrived(),
                }
                self.runnable.push(key);
            }
            Message::Landed(flights) => {
                for flight in flights {
                    self.landed(flight);
                }
            }
            Message::Back(key, slot) => self.came_back(key, slot),
            Message::Stop => {}
        }
        0
    }

    /// The slot of a wallet; asks for the wallet where it is not here.
    fn slot(&mut self, key: &WalletKey) -> &mut Slot {
        if !self.slots.contains_key(key) {
            self.load(key, false);
            self.slots.insert(key.clone(), Box::default());
        }
        let drain = self.drain;
        let slot = self.slots.entry(key.clone()).or_default();
        slot.used = drain;
        slot
    }

    fn load(&self, key: &WalletKey, lost: bool) {
        let control = if lost { job::tenant_of(key) } else { None };
        self.ask(Load::Wallet {
            wallet: key.clone(),
            control,
        });
    }

    fn ask(&self, load: Load) {
        let lane = lane_of(load.wallet(), self.lanes);
        let _ = self.ways.loader.send((lane, load)); // loaders that are gone mean that the engine has stopped
    }

    fn ask_fold(&self, ask: refold::Ask) {
        let lane = lane_of(&ask.wallet, self.lanes);
        let _ = self.ways.refolder.send((lane, ask)); // gone: the engine has stopped
    }

    /// Asks for the events of a wallet that wait for a price, if it has any.
    fn want_unpriced(&mut self, key: &WalletKey) {
        let slot = self.slot(key);
        if slot.wants_unpriced() {
            self.ask(Load::Unpriced {
                wallet: key.clone(),
                after: None,
            });
        }
    }

    fn landed(&mut self, flight: Landed) {
        let key = flight.wallet.clone();
        let plan_changed = flight.plan_changed;
        let slot = self.slot(&key);
        let arrived = slot.take_arrived();
        if slot.landed(flight) {
            self.load(&key, true);
        }
        if plan_changed || arrived {
            self.want_unpriced(&key);
        }
        self.runnable.push(key);
    }

    /// Carries out everything that can be carried out now, and ships it.
    fn work(&mut self) {
        self.drain += 1;
        let controls = self.shared.controls.load_full();
        let mut flying: Vec<WalletKey> = Vec::new();
        while !self.runnable.is_empty() {
            let mut keys = std::mem::take(&mut self.runnable);
            keys.sort_unstable();
            keys.dedup();
            self.round(&controls, &keys);
            flying.extend(keys);
            if self.room_bytes == 0 {
                self.ship(&mut flying);
            }
        }
        self.ship(&mut flying);
        self.shunt();
        if self.slots.len() > WALLETS_PER_LANE_MAX {
            self.let_go();
        }
    }

    /// Hands what these wallets decided to the committer.
    fn ship(&mut self, flying: &mut Vec<WalletKey>) {
        flying.sort_unstable();
        flying.dedup();
        let flights: Vec<_> = flying
            .drain(..)
            .filter_map(|key| self.slots.get_mut(&key).and_then(|slot| slot.take_off(&key)))
            .collect();
        if !flights.is_empty() {
            let _ = self.ways.committer.send(Shipment::Lane {
                lane: self.index,
                flights,
            }); // gone: the engine has stopped
        }
        self.room_bytes = self.round.bytes;
    }

    /// Lets go of the wallets that rest longest, an eighth at a time.
    fn let_go(&mut self) {
        let mut resting: Vec<u64> = self
            .slots
            .values()
            .filter(|s| s.is_idle())
            .map(|s| s.used)
            .collect();
        resting.sort_unstable();
        let Some(&edge) = resting.get(resting.len() / 8) else {
            return;
        };
        self.slots
            .retain(|_, slot| !(slot.is_idle() && slot.used <= edge));
    }
}
