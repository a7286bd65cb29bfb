//! The re-fold of a term: where an event of a plan with a memory is corrected, those behind it are priced again.
//!
//! A plan whose price depends on what came before (tiers, running totals) has charged every later event of the period on the
//! strength of the corrected one. So the term's events are folded again in the order in which they arrived, from the state
//! that stood before the corrected event, and what they cost differently is posted. Nothing cascades past a renewal.
//!
//! That takes reading and pricing as many events as came since, so it is done beside the lanes, on one thread of its own: the
//! wallet goes on deciding meanwhile, and only the few events that arrived in that time are folded while it waits. What was
//! charged or granted when the subscription itself changed (seats, a timer, a pause) stands; what the plan remembers of it
//! is folded too.

mod fold;
mod history;
mod replacement;
mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use farebox_ledger::Wallet;
use farebox_record::codec;
use farebox_record::command::Command;
use farebox_record::correction::{Consequence, Refold, Repriced};
use farebox_record::event::Event;
use farebox_record::ids::{GrantId, RevisionHash, TenantId};
use farebox_record::outcome::Pricing;
use farebox_record::plan::{Charge, EventRef};
use farebox_record::record::Record;
use farebox_record::state::GrantState;
use farebox_runtime::{Revision, Runtime, Verdict};
use farebox_store::{Store, StoreError, WalletKey};

use crate::lane::Message;
use crate::shared::Shared;
use replacement::Replacement;

/// What a lane wants to have folded.
pub(crate) struct Ask {
    pub wallet: WalletKey,
    /// The event that is corrected.
    pub event: EventRef,
    /// What it should have been; none: it never happened.
    pub replacement: Option<Event>,
    /// What was folded for this correction already, with less of the history.
    pub begun: Option<Box<Fold>>,
}

/// What came of it.
pub(crate) enum Refolded {
    /// The events behind the correction, priced again.
    Done(Box<Fold>),
    /// They cannot be, and why, for people.
    Cannot(String),
}

/// A term folded again, up to some record of the wallet.
#[derive(Clone)]
pub(crate) struct Fold {
    /// Sequence of the newest record that was read.
    pub up_to: u64,
    /// Version of the control plane that the replacement was priced under.
    pub control: u64,
    /// What it means to the plan and to other events.
    pub refold: Refold,
    /// What the plan says of the replacement, in its place among the others.
    pub pricing: Option<Pricing>,
    /// Grants that the repriced events took from, as they were opened.
    pub ended: BTreeMap<GrantId, GrantState>,
}

impl Fold {
    /// Bytes of the record that carries it, roughly.
    pub fn record_bytes(&self) -> usize {
        record_bytes(&self.refold.repriced)
    }
}

/// Bytes that repriced events take in a record, roughly: each stands in it as it was and as it is, with its entries.
fn record_bytes(repriced: &[Repriced]) -> usize {
    const ENTRY: usize = 160;
    let bytes = |repriced: &Repriced| {
        let moves = repriced.standing.slices.len() + repriced.charges.len();
        3 * codec::encode(repriced).len() + 2 * ENTRY * moves
    };
    repriced.iter().map(bytes).sum()
}

/// Answers until every sender is gone, or the store fails.
pub(crate) fn run(
    shared: &Shared,
    work: &Receiver<(usize, Ask)>,
    lanes: &[Sender<Message>],
) -> Result<(), StoreError> {
    while let Ok((lane, ask)) = work.recv() {
        let message = answer(shared, ask)?;
        let _ = lanes[lane].send(message); // a lane that is gone needs no news
    }
    Ok(())
}

/// Folds what a lane wants to have folded.
pub(crate) fn answer(shared: &Shared, ask: Ask) -> Result<Message, StoreError> {
    let Ask {
        wallet,
        event,
        replacement,
        begun,
    } = ask;
    let controls = shared.controls.load_full();
    let tenant = tenant(&wallet)?;
    let revisions = |hash: &_| controls.revision(hash).cloned();
    let work = Work {
        store: &*shared.store,
        runtime: &shared.runtime,
        wallet: &wallet,
        revisions: &revisions,
    };
    let priced_by = replacement::Controlled {
        tenant: &tenant,
        controls: &controls,
        now: controls.now(&*shared.clock, &tenant),
    };
    let version = controls.version(&tenant);
    let begun = begun.filter(|begun| begun.control == version);
    let folded = match work.fold(&event, replacement.as_ref(), &priced_by, begun) {
        Err(StoreError::Archived { .. }) => {
            let why = "the history that it takes is in an archive that is not at hand; set archive_dir, or refund the event";
            Err(why.to_string())
        }
        other => other?,
    };
    let folded = match folded {
        Ok(mut fold) => {
            fold.control = version;
            Refolded::Done(Box::new(fold))
        }
        Err(why) => Refolded::Cannot(why),
    };
    Ok(Message::Refolded(wallet, event, folded))
}

/// What the re-fold behind a record comes to when it is computed once more from the history before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Again {
    /// How many events were priced.
    pub events: u64,
    /// Those that cost something else, and what.
    pub repriced: Vec<(EventRef, Vec<Charge>)>,
    /// The plan's state behind all of them.
    pub state: Vec<u8>,
    /// What the plan says of the event that takes the corrected one's place.
    pub replaced: Option<Verdict>,
}

/// Folds again what a record says that was folded, for the proof that it is right. `wallet` is as it was before the record.
/// None where the record folded nothing; an error inside says why it cannot be folded now.
///
/// # Errors
/// What the store cannot read.
pub fn refold_again(
    store: &dyn Store,
    runtime: &Runtime,
    record: &Record,
    wallet: &Wallet,
    revisions: &dyn Fn(&RevisionHash) -> Option<Arc<Revision>>,
) -> Result<Option<Result<Again, String>>, StoreError> {
    let Some(Consequence::Refolded(recorded)) = record.seen.consequence.as_deref() else {
        return Ok(None);
    };
    let key = WalletKey::new(record.tenant.as_str(), record.customer.as_str());
    let replacement = match (&record.command, &record.seen.pricing) {
        (Command::Amend(amend), Some(pricing)) => {
            let Some(revision) = revisions(&pricing.revision) else {
                return Ok(Some(Err(format!(
                    "revision {} is not to be had",
                    pricing.revision
                ))));
            };
            Some(Replacement {
                event: amend.event.clone(),
                time: record.seen.time,
                revision,
                period: pricing.period,
                seats: pricing.seats,
            })
        }
        _ => None,
    };
    let (Some(subscription), Some(original)) =
        (wallet.subscription(&recorded.subscription), &record.seen.original)
    else {
        return Ok(Some(Err("its subscription or its event is missing".to_string())));
    };
    let work = Work {
        store,
        runtime,
        wallet: &key,
        revisions,
    };
    let folded = work.fold_before(
        &recorded.subscription,
        subscription.term,
        &original.standing.event.reference(),
        replacement.as_ref(),
        record.sequence,
    )?;
    Ok(Some(folded.map(|folded| {
        Again {
            events: folded.events,
            repriced: folded
                .repriced
                .into_iter()
                .map(|(event, charges, _)| (event, charges))
                .collect(),
            state: folded.state.bytes,
            replaced: folded.replaced,
        }
    })))
}

/// What a fold is computed with.
struct Work<'w> {
    store: &'w dyn Store,
    runtime: &'w Runtime,
    wallet: &'w WalletKey,
    /// Revisions by hash.
    revisions: &'w dyn Fn(&RevisionHash) -> Option<Arc<Revision>>,
}

fn tenant(wallet: &WalletKey) -> Result<TenantId, StoreError> {
    TenantId::new(wallet.tenant()).map_err(|e| state(wallet, &e.to_string()))
}

fn state(wallet: &WalletKey, what: &str) -> StoreError {
    StoreError::State {
        what: format!("{wallet:?}: {what}"),
    }
}
