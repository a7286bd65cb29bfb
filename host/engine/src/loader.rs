//! Loader threads: what the lanes wait for without waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use farebox_record::codec;
use farebox_record::correction::{GiveBacks, Original, Standing, TakenSlice};
use farebox_record::ids::{GrantId, SubscriptionId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::state::{GrantState, Part, SubjectState, UnpricedState};
use farebox_record::time::Timestamp;
use farebox_store::{IdHash, Store, StoreError, WalletKey};

mod original;

use crate::ids;
use crate::lane::{Message, Sought};
use crate::limits::UNPRICED_RATED_MAX;

/// What a lane wants to know.
pub(crate) enum Load {
    /// A wallet.
    Wallet {
        /// Whose.
        wallet: WalletKey,
        /// Whose control plane to look at too: the wallet was lost to another process, which may have changed prices.
        control: Option<TenantId>,
    },
    /// The record that answers for an id.
    Find {
        /// Whose.
        wallet: WalletKey,
        /// Which id.
        id: IdHash,
    },
    /// A subject's state.
    Subject {
        /// Whose.
        wallet: WalletKey,
        /// Whose plan.
        subscription: SubscriptionId,
        /// Which subject.
        subject: String,
    },
    /// States of several subjects, at most [`crate::limits::SUBJECTS_PER_LOAD_MAX`].
    Subjects {
        /// Whose.
        wallet: WalletKey,
        /// Whose plan.
        subscription: SubscriptionId,
        /// Which subjects.
        subjects: Vec<String>,
    },
    /// A closed term of a subscription.
    Term {
        /// Whose.
        wallet: WalletKey,
        /// Whose plan.
        subscription: SubscriptionId,
        /// Its number.
        number: u32,
    },
    /// An event as it stands. Asked for only when everything that was decided before is durable.
    Original {
        /// Whose.
        wallet: WalletKey,
        /// Which event.
        event: EventRef,
    },
    /// Events that a plan's answer gives back of, at most [`farebox_ledger::limits::GIVE_BACKS_PER_ANSWER_MAX`], or the one
    /// that a timer charges for.
    Named {
        /// Whose.
        wallet: WalletKey,
        /// Which events.
        events: Vec<EventRef>,
        /// Events that will be asked for next, at most [`crate::limits::EVENTS_AHEAD_MAX`], each with when a timer was set for
        /// it: often the time of its record. They may be left out.
        ahead: Vec<(EventRef, Timestamp)>,
        /// Records that were decided and that the store does not have, the newest first.
        behind: Vec<Arc<Record>>,
    },
    /// What waits for a price.
    Unpriced {
        /// Whose.
        wallet: WalletKey,
        /// Behind the one that this record kept; none: from the first.
        after: Option<u64>,
    },
}

impl Load {
    /// Whose it is.
    pub fn wallet(&self) -> &WalletKey {
        match self {
            Load::Wallet { wallet, .. }
            | Load::Find { wallet, .. }
            | Load::Subject { wallet, .. }
            | Load::Subjects { wallet, .. }
            | Load::Term { wallet, .. }
            | Load::Original { wallet, .. }
            | Load::Named { wallet, .. }
            | Load::Unpriced { wallet, .. } => wallet,
        }
    }
}

/// An event as it stands; none where no record charges it.
pub(crate) fn standing(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<Option<Standing>, StoreError> {
    original::standing(store, wallet, event)
}

/// What an event gave back, and who gave back of it.
pub(crate) fn give_backs(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<GiveBacks, StoreError> {
    original::give_backs(store, wallet, event)
}

/// An event as it stands, with the grants that it took from; none where no record charges it.
pub(crate) fn original(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<Option<Original>, StoreError> {
    original::find(store, wallet, event)
}

/// Grants that slices were taken from, as they were opened.
pub(crate) fn sources(
    store: &dyn Store,
    wallet: &WalletKey,
    slices: &[TakenSlice],
) -> Result<BTreeMap<GrantId, GrantState>, StoreError> {
    original::sources(store, wallet, slices)
}

/// Up to `limit` of what waits for a price, each with the sequence of the record that kept it: those behind `after`.
pub(crate) fn unpriced(
    store: &dyn Store,
    wallet: &WalletKey,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, UnpricedState)>, StoreError> {
    let after = after.map(|sequence| Part::Unpriced(sequence).key());
    let mut waiting = Vec::new();
    for (key, value) in store.parts(wallet, Part::UNPRICED_PREFIX, after.as_deref(), limit)? {
        let Ok(Part::Unpriced(sequence)) = Part::from_key(&key) else {
            continue;
        };
        let kept = codec::decode(&value).map_err(|error| StoreError::State {
            what: format!("{wallet:?}: {error}"),
        })?;
        waiting.push((sequence, kept));
    }
    Ok(waiting)
}

/// Answers loads until every sender is gone, or the store fails.
pub(crate) fn run(
    store: &Arc<dyn Store>,
    refresh: &(dyn Fn(&TenantId) -> Result<(), StoreError> + Send + Sync),
    work: &Receiver<(usize, Load)>,
    lanes: &[Sender<Message>],
) -> Result<(), StoreError> {
    while let Ok((lane, load)) = work.recv() {
        let message = answer(store, refresh, load)?;
        let _ = lanes[lane].send(message); // a lane that is gone needs no news
    }
    Ok(())
}

/// Fetches what a lane wants to know.
pub(crate) fn answer(
    store: &Arc<dyn Store>,
    refresh: &dyn Fn(&TenantId) -> Result<(), StoreError>,
    load: Load,
) -> Result<Message, StoreError> {
    let state = |wallet: &WalletKey, what: String| StoreError::State {
        what: format!("{wallet:?}: {what}"),
    };
    Ok(match load {
        Load::Wallet { wallet, control } => {
            if let Some(tenant) = control {
                refresh(&tenant)?;
            }
            let image = store.load(&wallet)?;
            let loaded = crate::fold::wallet_of(&image).map_err(|what| state(&wallet, what))?;
            Message::Loaded(wallet, Box::new(loaded))
        }
        Load::Find { wallet, id } => {
            let mut found = None;
            let records = match ids::find(&**store, &wallet, id) {
                Err(StoreError::Archived { .. }) => {
                    return Ok(Message::Archived(wallet, Sought::Record(id)));
                }
                found => found?,
            };
            for stored in records {
                let record = Record::decode(&stored.body).map_err(|e| state(&wallet, e.to_string()))?;
                let matches = crate::lane::id_hashes(&record).contains(&id);
                found = found.or(matches.then(|| Arc::new(record)));
            }
            Message::Found(wallet, id, found)
        }
        Load::Subject {
            wallet,
            subscription,
            subject,
        } => {
            let known = subject_state(&**store, &wallet, &subscription, &subject)?;
            Message::Subject(wallet, subscription, subject, known)
        }
        Load::Subjects {
            wallet,
            subscription,
            subjects,
        } => {
            let mut states = Vec::with_capacity(subjects.len());
            for subject in subjects {
                let known = subject_state(&**store, &wallet, &subscription, &subject)?;
                states.push((subject, known));
            }
            Message::Subjects(wallet, subscription, states)
        }
        Load::Term {
            wallet,
            subscription,
            number,
        } => {
            let part = Part::Term(subscription.clone(), number);
            let term = match store.part(&wallet, &part.key())? {
                None => None,
                Some(value) => Some(codec::decode(&value).map_err(|e| state(&wallet, e.to_string()))?),
            };
            Message::Term(wallet, subscription, number, term)
        }
        Load::Original { wallet, event } => match original::find(&**store, &wallet, &event) {
            Err(StoreError::Archived { .. }) => Message::Archived(wallet, Sought::Original(event)),
            found => {
                let found = found?;
                let gave = found.iter().flat_map(|original| &original.give_backs.gave);
                let mut events: Vec<EventRef> = gave.map(|given| given.event.clone()).collect();
                events.sort_unstable();
                events.dedup();
                match original::find_all(&**store, &wallet, &events, &[], &[])? {
                    Ok(named) => Message::Original(wallet, event, found.map(Box::new), named),
                    Err(_) => Message::Archived(wallet, Sought::Original(event)),
                }
            }
        },
        Load::Named {
            wallet,
            mut events,
            ahead,
            behind,
        } => match original::find_all(&**store, &wallet, &events, &ahead, &behind)? {
            Ok(mut named) => {
                let others = ahead.iter().filter(|(event, _)| !events.contains(event));
                let found = original::find_ahead(&**store, &wallet, others, &behind)?;
                events.extend(found.iter().map(|original| original.standing.event.reference()));
                named.extend(found);
                Message::Named(wallet, events, named)
            }
            Err(archived) => Message::Archived(wallet, Sought::Original(archived)),
        },
        Load::Unpriced { wallet, after } => {
            let waiting = unpriced(&**store, &wallet, after, UNPRICED_RATED_MAX)?;
            Message::Unpriced(wallet, waiting)
        }
    })
}

/// What is kept of a subject; empty where it is new.
fn subject_state(
    store: &dyn Store,
    wallet: &WalletKey,
    subscription: &SubscriptionId,
    subject: &str,
) -> Result<SubjectState, StoreError> {
    let part = Part::Subject(subscription.clone(), subject.to_string());
    let Some(value) = store.part(wallet, &part.key())? else {
        return Ok(SubjectState::default());
    };
    codec::decode(&value).map_err(|e| StoreError::State {
        what: format!("{wallet:?}: {e}"),
    })
}
