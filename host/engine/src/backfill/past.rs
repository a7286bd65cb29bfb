//! What a wallet's history knows of events from before the late window: which are there already (their ids may be forgotten), and
//! the terms that they belong to.

use std::collections::{BTreeMap, HashMap};

use farebox_ledger::standing_of;
use farebox_record::Record;
use farebox_record::command::Command;
use farebox_record::event::Event;
use farebox_record::ids::{CallId, SubscriptionId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;
use farebox_store::{Store, StoreError, WalletKey};

use crate::error::{ControlError, EngineError};
use crate::fold::wallet_of;
use crate::limits::{BACKFILL_LATER_MAX, BACKFILL_RECORDS_MAX};

/// Records that are read at once.
const HISTORY_PAGE: usize = 1_000;

/// See the module.
pub(super) struct Past {
    /// Events that the history has, each with the field in which what it has differs, if it does.
    pub known: HashMap<EventRef, Option<String>>,
    /// Closed terms that the wallet does not remember and that some of the events belong to, as they stood last.
    pub terms: Vec<(SubscriptionId, TermState)>,
}

/// Reads back as far as the oldest of the events can be, a day more: an event that was reported without a time has that of its
/// receipt, and a log that is found later may say another. Events that the backfill `own` posted are not known.
pub(super) fn read(
    store: &dyn Store,
    key: &WalletKey,
    events: &[&Event],
    own: Option<&CallId>,
) -> Result<Past, ControlError> {
    let image = store.load(key)?;
    let wallet = wallet_of(&image).map_err(|what| state(key, &what))?;
    let times = || events.iter().filter_map(|event| event.time);
    let Some(oldest) = times().min() else {
        return Ok(Past {
            known: HashMap::new(),
            terms: Vec::new(),
        });
    };
    // Of two under one id the first counts.
    let wanted: HashMap<EventRef, &&Event> = events
        .iter()
        .rev()
        .map(|event| (event.reference(), event))
        .collect();
    let mut known: HashMap<EventRef, Option<String>> = HashMap::new();
    let mut terms: BTreeMap<(SubscriptionId, u32), TermState> = BTreeMap::new();
    each(store, key, image.version, BACKFILL_RECORDS_MAX, |record| {
        if record.at < oldest.saturating_sub(BACKFILL_LATER_MAX) {
            return false;
        }
        if let Some(reported) = reported(record) {
            let event = reported.reference();
            let is_own =
                matches!(&record.command, Command::Backfill(posted) if Some(&posted.backfill) == own);
            match wanted.get(&event) {
                // What corrected or rated it since came behind it, and made it no other's.
                Some(_) if is_own => drop(known.remove(&event)),
                // Before it was amended it may have been what it is now said to be.
                Some(said) if known.get(&event) != Some(&None) => {
                    known.insert(event, said.differs_from(&reported));
                }
                Some(_) | None => {}
            }
        }
        for effect in record.outcome.effects.iter().rev() {
            if let Effect::TermPut(subscription, term) = effect {
                let name = (subscription.clone(), term.number);
                // Read backwards: what comes first is how it stood last.
                terms.entry(name).or_insert_with(|| (**term).clone());
            }
        }
        true
    })?;
    terms.retain(|(id, number), term| {
        let is_forgotten = wallet.subscription(id).is_some_and(|subscription| {
            *number < subscription.term && subscription.past.iter().all(|past| past.number != *number)
        });
        is_forgotten && times().any(|time| term.since <= time && time < term.until)
    });
    let terms = terms.into_iter().map(|((id, _), term)| (id, term)).collect();
    Ok(Past { known, terms })
}

/// The event that a record charges, or puts in the place of one that was charged.
fn reported(record: &Record) -> Option<Event> {
    match &record.command {
        Command::Amend(amend) => Some(amend.event.clone()),
        _ => standing_of(record).map(|standing| standing.event),
    }
}

/// Visits records, the newest first, until told to stop; more than `most` are an error.
fn each(
    store: &dyn Store,
    key: &WalletKey,
    newest: u64,
    most: usize,
    mut visit: impl FnMut(&Record) -> bool,
) -> Result<(), ControlError> {
    let (mut before, mut read) = (Some(newest + 1), 0);
    loop {
        let page = match store.history(key, before, HISTORY_PAGE) {
            Err(StoreError::Archived { .. }) => {
                return Err(ControlError::Backfill(format!(
                    "the history of customer {} at the time of its oldest event is in an archive that is not at hand; set \
                     archive_dir",
                    key.wallet()
                )));
            }
            page => page?,
        };
        let Some(oldest) = page.last() else { return Ok(()) };
        before = Some(oldest.sequence);
        for stored in &page {
            let record = Record::decode(&stored.body).map_err(|e| state(key, &e.to_string()))?;
            if !visit(&record) {
                return Ok(());
            }
            read += 1;
            if read > most {
                return Err(ControlError::Backfill(format!(
                    "the history of customer {} has more than {most} records since its oldest event (limit \
                     BACKFILL_RECORDS_MAX)",
                    key.wallet()
                )));
            }
        }
    }
}

fn state(key: &WalletKey, what: &str) -> ControlError {
    let error = StoreError::State {
        what: format!("{key:?}: {what}"),
    };
    ControlError::Engine(EngineError::Store(error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what cannot be has failed")]
mod tests {
    use farebox_record::command::PutCustomer;
    use farebox_record::ids::{CustomerId, TenantId};
    use farebox_record::outcome::Seen;
    use farebox_record::time::Timestamp;
    use farebox_store::{Commit, MemoryStore, NewRecord};

    use super::*;

    /// A wallet of so many records, one a second.
    fn store(records: i64) -> (MemoryStore, WalletKey) {
        let (store, key) = (MemoryStore::new(), WalletKey::new("acme", "ada"));
        let (tenant, customer) = (TenantId::new("acme").unwrap(), CustomerId::new("ada").unwrap());
        let mut wallet = farebox_ledger::Wallet::default();
        let records = (1..=records).map(|second| {
            let put = PutCustomer {
                id: CallId::new(&format!("put-{second}")).unwrap(),
                name: None,
                shortfall: BTreeMap::new(),
            };
            let at = Timestamp::from_micros(second * 1_000_000);
            let seen = Seen::nothing(0, at);
            let command = Command::PutCustomer(put);
            let (_, body) =
                farebox_ledger::append(&mut wallet, &tenant, &customer, command, seen, at).unwrap();
            NewRecord {
                body,
                at: at.as_micros(),
                ids: Vec::new(),
                origin: Default::default(),
            }
        });
        let commit = Commit {
            wallet: key.clone(),
            expected: 0,
            control: None,
            records: records.collect(),
            parts: Vec::new(),
            due: None,
        };
        store.commit(vec![commit]).unwrap();
        (store, key)
    }

    #[test]
    fn a_history_is_read_as_far_as_the_limit_and_no_further() {
        let (store, key) = store(5);
        let read = |most, until: i64| {
            let mut seen = Vec::new();
            let read = each(&store, &key, 5, most, |record| {
                seen.push(record.sequence);
                record.at >= Timestamp::from_micros(until * 1_000_000)
            });
            (seen, read.map_err(|error| error.to_string()))
        };
        assert_eq!(read(5, 0), (vec![5, 4, 3, 2, 1], Ok(())));
        let (seen, refused) = read(4, 0);
        assert_eq!(seen, [5, 4, 3, 2, 1]);
        let said = refused.unwrap_err();
        assert!(
            said.contains("more than 4 records") && said.contains("BACKFILL_RECORDS_MAX"),
            "{said}"
        );
        // The one that says that nothing older matters is not one too many.
        assert_eq!(read(2, 4), (vec![5, 4, 3], Ok(())));
    }
}
