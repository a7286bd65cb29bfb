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
mod slots;
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

use crate::bell::Bell;
use crate::committer::{Landed, Shipment};
use crate::engine::{Round, lane_of};
use crate::limits::{BELL_COMMANDS_MAX, UNPRICED_RATED_MAX, WALLETS_IN_MEMORY_MAX};
use crate::loader::Load;
use crate::refold::{self, Refolded};
use crate::shared::Shared;

pub(crate) use folded::WorstCase;
pub(crate) use job::{Job, Task, id_hashes};
pub(crate) use pricing::{balances, balances_for, pricing};
pub(crate) use siding::{Shunted, Siding};
use slot::Slot;
use slots::{SlotId, Slots};
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
    /// Commands that it brings, which may change something.
    fn changes(&self) -> usize {
        match self {
            Message::Jobs(jobs) => jobs.iter().filter(|job| job.command().is_some()).count(),
            _ => 0,
        }
    }

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
    /// The committer's.
    pub bell: Arc<Bell>,
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
    shunted: Vec<(SlotId, usize)>,
    /// What came for wallets that are on a siding.
    away: FastMap<WalletKey, Vec<Message>>,
    slots: Slots,
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
            slots: Slots::default(),
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
            if stopping && self.away.is_empty() && self.slots.iter().all(Slot::is_idle) {
                return;
            }
        }
    }

    /// Takes in a message and what is queued behind it, up to a round's worth, and carries out what can be. True: it was
    /// told to stop.
    pub fn drain(&mut self, first: Message, inbox: &Receiver<Message>) -> bool {
        let mut stopping = false;
        let mut next = Some(first);
        let (mut taken, mut changes) = (0, 0);
        while let Some(message) = next {
            stopping |= matches!(message, Message::Stop);
            changes += message.changes();
            taken += self.take(message);
            next = if taken < self.round.commands {
                inbox.try_recv().ok()
            } else {
                None
            };
        }
        // What many make takes longer than anybody looks out for it, and what is only read makes nothing.
        if (1..=BELL_COMMANDS_MAX).contains(&changes) {
            self.ways.bell.ring(&self.ways.committer);
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
                    self.wakes(&job.wallet.clone(), |slot| slot.take_in(job));
                }
                return count;
            }
            Message::Touch(key) => self.wakes(&key, |slot| slot.touched = true),
            Message::Rate(key) => self.want_unpriced(&key),
            Message::Loaded(key, wallet) => {
                let mut rates = false;
                self.wakes(&key, |slot| {
                    slot.loaded(*wallet);
                    rates = slot.rate_when_loaded();
                });
                if rates {
                    self.want_unpriced(&key);
                }
            }
            Message::Found(key, id, record) => self.wakes(&key, |slot| slot.found(id, record)),
            Message::Subject(key, subscription, subject, state) => {
                self.wakes(&key, |slot| slot.subject_loaded(subscription, subject, state));
            }
            Message::Subjects(key, subscription, states) => self.wakes(&key, |slot| {
                for (subject, state) in states {
                    slot.subject_loaded(subscription.clone(), subject, state);
                }
            }),
            Message::Term(key, subscription, number, term) => {
                self.wakes(&key, |slot| slot.term_loaded(subscription, number, term));
            }
            Message::Original(key, event, original, named) => {
                self.wakes(&key, |slot| slot.original_loaded(event, original, named));
            }
            Message::Named(key, events, named) => self.wakes(&key, |slot| slot.named_loaded(events, named)),
            Message::Refolded(key, event, folded) => self.wakes(&key, |slot| slot.refolded(&event, folded)),
            Message::Archived(key, sought) => self.wakes(&key, |slot| slot.is_archived(sought)),
            Message::Unpriced(key, waiting) => self.take_unpriced(&key, waiting),
            Message::Landed(flights) => {
                for flight in flights {
                    self.landed(flight);
                }
            }
            Message::Back(key, slot) => self.came_back(&key, slot),
            Message::Stop => {}
        }
        0
    }

    /// Changes the slot of a wallet by what came for it, and has the wallet go on.
    fn wakes(&mut self, key: &WalletKey, change: impl FnOnce(&mut Slot)) {
        let (id, slot) = self.slot(key);
        change(slot);
        self.slots.wake(id);
    }

    /// Takes in events of a wallet that wait for a price, and asks for more of them where there may be more.
    fn take_unpriced(&mut self, key: &WalletKey, waiting: Vec<(u64, UnpricedState)>) {
        let last = waiting.last().map(|(sequence, _)| *sequence);
        let more = waiting.len() == UNPRICED_RATED_MAX;
        self.wakes(key, |slot| {
            for (sequence, unpriced) in waiting {
                slot.queue.push_back(Job::retry(key, sequence, unpriced));
            }
            if !more {
                slot.unpriced_arrived();
            }
        });
        if more {
            self.ask(Load::Unpriced {
                wallet: key.clone(),
                after: last,
            });
        }
    }

    /// The slot of a wallet; asks for the wallet where it is not here.
    fn slot(&mut self, key: &WalletKey) -> (SlotId, &mut Slot) {
        let id = match self.slots.id(key) {
            Some(id) => id,
            None => {
                self.load(key, false);
                self.slots.insert(key, Box::default())
            }
        };
        let drain = self.drain;
        #[expect(
            clippy::expect_used,
            reason = "slots are out only within a round, which takes nothing in"
        )]
        let slot = self.slots.get_mut(id).expect("a slot is here between rounds");
        slot.used = drain;
        (id, slot)
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
        if self.slot(key).1.wants_unpriced() {
            self.ask(Load::Unpriced {
                wallet: key.clone(),
                after: None,
            });
        }
    }

    fn landed(&mut self, flight: Landed) {
        let key = flight.wallet.clone();
        let plan_changed = flight.plan_changed;
        let (id, slot) = self.slot(&key);
        let arrived = slot.take_arrived();
        if slot.landed(flight) {
            self.load(&key, true);
        }
        if plan_changed || arrived {
            self.want_unpriced(&key);
        }
        self.slots.wake(id);
    }

    /// Carries out everything that can be carried out now, and ships it.
    fn work(&mut self) {
        self.drain += 1;
        let controls = self.shared.controls.load_full();
        loop {
            let ids = self.slots.take_runnable();
            if ids.is_empty() {
                break;
            }
            self.round(&controls, &ids);
            for id in ids {
                self.slots.flies(id);
            }
            if self.room_bytes == 0 {
                self.ship();
            }
        }
        self.ship();
        self.shunt();
        if self.slots.len() > WALLETS_IN_MEMORY_MAX / self.lanes {
            self.let_go();
        }
    }

    /// Hands what was decided since the last time to the committer.
    fn ship(&mut self) {
        let flying = self.slots.take_flying();
        let mut flights = Vec::with_capacity(flying.len());
        for id in flying {
            let key = self.slots.owner(id).map(|owner| owner.key.clone());
            if let (Some(key), Some(slot)) = (key, self.slots.get_mut(id)) {
                flights.extend(slot.take_off(&key));
            }
        }
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
        let resting = self.slots.iter().filter(|slot| slot.is_idle());
        let mut resting: Vec<u64> = resting.map(|slot| slot.used).collect();
        resting.sort_unstable();
        let Some(&edge) = resting.get(resting.len() / 8) else {
            return;
        };
        self.slots.retain(|slot| !slot.is_idle() || slot.used > edge);
    }
}
