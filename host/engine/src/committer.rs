//! The committer: everything that all lanes produced while the last sync ran becomes one frame; once it is durable, the
//! answers are released. Group commit without a timer.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use farebox_store::{Commit, FastMap, Fate, IdHash, Store, StoreError, WalletKey};

use crate::bell::Bell;
use crate::lane::{Job, Message};
use crate::limits::FRAME_BYTES_SOFT_MAX;
use crate::request::Reply;

/// Work for the committer.
pub(crate) enum Shipment {
    /// What a lane made of the commands that it had.
    Lane {
        /// Which lane.
        lane: usize,
        /// In order.
        flights: Vec<Flight>,
    },
    /// A change of a control plane.
    Control {
        /// The change.
        commit: Commit,
        /// Run when it is durable, before anything behind it is answered.
        then: Box<dyn FnOnce() + Send>,
        /// Told what became of it.
        done: Sender<Fate>,
    },
    /// Nothing yet, but one is on its way: see [`Bell`].
    Soon,
}

/// One wallet's commands on their way to the disk, with their answers.
pub(crate) struct Flight {
    /// Whose.
    pub wallet: WalletKey,
    /// Counts how often the lane had to load the wallet again. When a flight is lost, all of its epoch behind it are.
    pub epoch: u64,
    /// What changes; none where there are only answers that must wait for what they show, and once it is with the store.
    pub commit: Option<Commit>,
    /// Ids that its records answer for.
    pub ids: Vec<IdHash>,
    /// Whether the commit was handed to the store.
    pub sent: bool,
    /// The commands with the answers that they get when this is durable.
    pub answered: Vec<(Job, Option<Reply>)>,
}

/// A flight that came back to its lane.
pub(crate) struct Landed {
    /// Whose.
    pub wallet: WalletKey,
    /// Of which epoch.
    pub epoch: u64,
    /// Ids that are durable now, for the lane to look up in the store from now on.
    pub ids: Vec<IdHash>,
    /// The commands, where the flight was lost and they must be carried out again.
    pub lost: Option<Vec<Job>>,
    /// Whether an event type got a new owner, so that unpriced events may have a price.
    pub plan_changed: bool,
}

/// Runs until every sender is gone, or the store fails. What follows the records is woken after each frame.
pub(crate) fn run(
    store: &Arc<dyn Store>,
    work: &Receiver<Shipment>,
    bell: &Bell,
    lanes: &[Sender<Message>],
    followers: &Sender<()>,
) -> Result<(), StoreError> {
    let mut dead = Dead::default();
    while let Some(first) = bell.next(work) {
        drain(store, first, work, lanes, followers, &mut dead)?;
    }
    Ok(())
}

/// Wallets of which a flight was lost, and up to which epoch everything of theirs is.
pub(crate) type Dead = FastMap<WalletKey, u64>;

/// Commits a shipment and what is queued behind it, up to a frame's worth, lands it, and wakes what follows the records.
pub(crate) fn drain(
    store: &Arc<dyn Store>,
    first: Shipment,
    work: &Receiver<Shipment>,
    lanes: &[Sender<Message>],
    followers: &Sender<()>,
    dead: &mut Dead,
) -> Result<(), StoreError> {
    let shipments = gather(first, work);
    metrics::histogram!("farebox_committer_shipments").record(count(shipments.len()));
    commit(store, shipments, lanes, dead)?;
    let _ = followers.try_send(()); // full: they are woken already; gone: they need no waking
    Ok(())
}

/// What is queued now, up to a frame's worth.
fn gather(first: Shipment, work: &Receiver<Shipment>) -> Vec<Shipment> {
    let mut bytes = first.bytes();
    let mut shipments = vec![first];
    while bytes < FRAME_BYTES_SOFT_MAX {
        match work.try_recv() {
            Ok(Shipment::Soon) => {}
            Ok(shipment) => {
                bytes += shipment.bytes();
                shipments.push(shipment);
            }
            Err(_) => break,
        }
    }
    shipments
}

fn commit(
    store: &Arc<dyn Store>,
    mut shipments: Vec<Shipment>,
    lanes: &[Sender<Message>],
    dead: &mut Dead,
) -> Result<(), StoreError> {
    let mut commits = Vec::new();
    for shipment in &mut shipments {
        match shipment {
            Shipment::Lane { flights, .. } => {
                let alive = flights
                    .iter_mut()
                    .filter(|f| dead.get(&f.wallet).is_none_or(|d| f.epoch > *d));
                for flight in alive {
                    flight.sent = flight.commit.is_some();
                    commits.extend(flight.commit.take());
                }
            }
            Shipment::Control { commit, .. } => commits.push(commit.clone()),
            Shipment::Soon => {} // nothing to commit
        }
    }
    let mut fates = match commits.is_empty() {
        true => Vec::new(),
        false => store.commit(commits)?,
    }
    .into_iter();
    for shipment in shipments {
        match shipment {
            Shipment::Control { then, done, .. } => {
                let fate = fates.next().unwrap_or(Fate::Lost);
                if fate == Fate::Committed {
                    then();
                }
                let _ = done.send(fate); // the caller may have gone away; the change stands
            }
            Shipment::Lane { lane, flights } => {
                let landed = flights
                    .into_iter()
                    .map(|flight| land(flight, &mut fates, dead))
                    .collect();
                let _ = lanes[lane].send(Message::Landed(landed)); // a lane that is gone needs no news
            }
            Shipment::Soon => {}
        }
    }
    Ok(())
}

/// Releases a flight's answers, or gives its commands back to be carried out again.
fn land(flight: Flight, fates: &mut impl Iterator<Item = Fate>, dead: &mut Dead) -> Landed {
    let Flight {
        wallet,
        epoch,
        ids,
        sent,
        answered,
        ..
    } = flight;
    let fate = match sent {
        true => fates.next().unwrap_or(Fate::Lost),
        false if dead.get(&wallet).is_some_and(|d| epoch <= *d) => Fate::Lost,
        false => Fate::Committed,
    };
    if fate == Fate::Lost {
        dead.insert(wallet.clone(), epoch);
        let lost = answered.into_iter().map(|(job, _)| job).collect();
        return Landed {
            wallet,
            epoch,
            ids,
            lost: Some(lost),
            plan_changed: false,
        };
    }
    let mut plan_changed = false;
    for (job, reply) in answered {
        plan_changed |= job.brings_a_plan();
        job.answer(reply);
    }
    Landed {
        wallet,
        epoch,
        ids,
        lost: None,
        plan_changed,
    }
}

impl Shipment {
    fn bytes(&self) -> usize {
        let of = |commit: &Commit| commit.records.iter().map(|r| r.body.len()).sum::<usize>();
        match self {
            Shipment::Lane { flights, .. } => flights.iter().filter_map(|f| f.commit.as_ref()).map(of).sum(),
            Shipment::Control { commit, .. } => of(commit),
            Shipment::Soon => 0,
        }
    }
}

/// Counts are small; metrics want floats.
#[expect(clippy::cast_precision_loss, reason = "a count for a metric")]
fn count(n: usize) -> f64 {
    n as f64
}
