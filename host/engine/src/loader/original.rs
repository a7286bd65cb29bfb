//! Finds an event as it stands, in the wallet's history.

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_ledger::standing_of;
use farebox_record::codec;
use farebox_record::command::Identity;
use farebox_record::correction::{GiveBacks, Noted, Original, Standing, TakenSlice};
use farebox_record::ids::{CustomerId, GrantId, TenantId};
use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;
use farebox_record::record::{Record, identity_hash};
use farebox_record::state::{GrantState, Part, SliceSource};
use farebox_record::time::Timestamp;
use farebox_store::{IdHash, Store, StoreError, WalletKey};
use serde::de::DeserializeOwned;

use crate::ids;
use crate::limits::CORRECTION_RECORDS_MAX;

/// Records that are read at once.
const HISTORY_PAGE: usize = 1_000;
/// Records that are read at once from the instant on at which a timer was set.
const SAME_INSTANT_PAGE: usize = 32;

/// The event, with the grants that it took from; none where no record charges it.
pub(super) fn find(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<Option<Original>, StoreError> {
    let history = History {
        store,
        wallet,
        behind: &[],
    };
    history.find(event, None)
}

/// The events, each as it stands behind records that the store does not have yet; those that no record charges are left out.
/// An event that is archived, and not at hand, is given as an error. `set` says of events when a timer was set for them.
pub(super) fn find_all(
    store: &dyn Store,
    wallet: &WalletKey,
    events: &[EventRef],
    set: &[(EventRef, Timestamp)],
    behind: &[Arc<Record>],
) -> Result<Result<Vec<Original>, EventRef>, StoreError> {
    let history = History {
        store,
        wallet,
        behind,
    };
    let mut found = Vec::with_capacity(events.len());
    for event in events {
        let set = set.iter().find(|(of, _)| of == event).map(|(_, set)| *set);
        match history.find(event, set) {
            Err(StoreError::Archived { .. }) => return Ok(Err(event.clone())),
            original => found.extend(original?),
        }
    }
    Ok(Ok(found))
}

/// Those of the events that are found at once, as [`find_all`] finds them.
pub(super) fn find_ahead<'e>(
    store: &dyn Store,
    wallet: &WalletKey,
    events: impl Iterator<Item = &'e (EventRef, Timestamp)>,
    behind: &[Arc<Record>],
) -> Result<Vec<Original>, StoreError> {
    let history = History {
        store,
        wallet,
        behind,
    };
    let mut found = Vec::new();
    for (event, set) in events {
        let standing = match history.standing_at_hand(event, Some(*set)) {
            Err(StoreError::Archived { .. }) => continue,
            standing => standing?,
        };
        let Some(standing) = standing else { continue };
        match history.original(event, standing) {
            Err(StoreError::Archived { .. }) => continue,
            original => found.push(original?),
        }
    }
    Ok(found)
}

/// What the event gave back, and who gave back of it.
pub(super) fn give_backs(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<GiveBacks, StoreError> {
    let history = History {
        store,
        wallet,
        behind: &[],
    };
    history.give_backs(event)
}

/// Grants that slices were taken from, as they were opened.
pub(super) fn sources(
    store: &dyn Store,
    wallet: &WalletKey,
    slices: &[TakenSlice],
) -> Result<BTreeMap<GrantId, GrantState>, StoreError> {
    let history = History {
        store,
        wallet,
        behind: &[],
    };
    history.sources(slices)
}

/// The event as it stands; none where no record charges it.
pub(super) fn standing(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<Option<Standing>, StoreError> {
    let history = History {
        store,
        wallet,
        behind: &[],
    };
    history.standing(event, None)
}

struct History<'s> {
    store: &'s dyn Store,
    wallet: &'s WalletKey,
    /// Records that the store does not have yet, the newest first.
    behind: &'s [Arc<Record>],
}

impl History<'_> {
    fn find(&self, event: &EventRef, set: Option<Timestamp>) -> Result<Option<Original>, StoreError> {
        match self.standing(event, set)? {
            Some(standing) => self.original(event, standing).map(Some),
            None => Ok(None),
        }
    }

    /// What an event's standing is known with.
    fn original(&self, event: &EventRef, standing: Standing) -> Result<Original, StoreError> {
        let ended = self.sources(&standing.slices)?;
        Ok(Original {
            standing,
            ended,
            give_backs: self.give_backs(event)?,
        })
    }

    /// Grants that slices were taken from, as they were opened.
    fn sources(&self, slices: &[TakenSlice]) -> Result<BTreeMap<GrantId, GrantState>, StoreError> {
        let mut opened = BTreeMap::new();
        for slice in slices {
            let SliceSource::Grant(grant) = &slice.from else {
                continue;
            };
            // The ledger asks for those that the wallet no longer has; which ones these are is known only there.
            if !opened.contains_key(grant)
                && let Some(state) = self.opened(grant)?
            {
                opened.insert(grant.clone(), state);
            }
        }
        Ok(opened)
    }

    /// What the newest correction says; else what the record that charged the event says. `set` is when a timer was set for
    /// it.
    fn standing(&self, event: &EventRef, set: Option<Timestamp>) -> Result<Option<Standing>, StoreError> {
        if let Some(standing) = self.standing_at_hand(event, set)? {
            return Ok(Some(standing));
        }
        match self.standing_in_past(event)? {
            Some(standing) => Ok(standing),
            None => self.standing_in_history(event),
        }
    }

    /// The same without reading the whole history. The order tells a hold's end from its beginning, and a late settlement
    /// from the expiry before it.
    fn standing_at_hand(
        &self,
        event: &EventRef,
        set: Option<Timestamp>,
    ) -> Result<Option<Standing>, StoreError> {
        for record in self.behind {
            let said = said_of(record, event);
            let own = || standing_of(record).filter(|standing| standing.event.reference() == *event);
            if let Some(standing) = said.or_else(own) {
                return Ok(Some(standing));
            }
        }
        let came = self.came(event)?;
        if let Some(standing) = self.noted(&Part::Standing(event.clone()), came)? {
            return Ok(Some(standing));
        }
        for identity in charged_under(event) {
            let record = self.record(&identity)?;
            let about_it = record.filter(|record| came.is_none_or(|came| came <= record.sequence));
            if let Some(standing) = about_it.as_ref().and_then(standing_of) {
                return Ok(Some(standing));
            }
        }
        match set {
            Some(set) => self.standing_since(event, set),
            None => Ok(None),
        }
    }

    /// Ids of usage are forgotten after the late window, and a timer may go off later. The event set it when it was charged,
    /// most often, so its record is looked for at that instant.
    fn standing_since(&self, event: &EventRef, set: Timestamp) -> Result<Option<Standing>, StoreError> {
        let Some(newest) = self.store.history(self.wallet, None, 1)?.pop() else {
            return Ok(None);
        };
        // The first record that is not before the instant. What is archived and not at hand is older.
        let (mut low, mut high) = (1, newest.sequence + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(middle, 1) {
                Ok(page) if page.iter().any(|record| record.at >= set) => high = middle,
                Ok(_) | Err(StoreError::Archived { .. }) => low = middle + 1,
                Err(error) => return Err(error),
            }
        }
        let mut from = low;
        while from <= newest.sequence {
            let page = self.page(from, SAME_INSTANT_PAGE)?;
            for record in &page {
                let standing = standing_of(record).filter(|s| s.event.reference() == *event);
                if standing.is_some() || record.at > set {
                    return Ok(standing);
                }
            }
            from += SAME_INSTANT_PAGE as u64;
        }
        Ok(None)
    }

    /// Up to `limit` records from this one on, oldest first.
    fn page(&self, from: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        let page = self
            .store
            .history(self.wallet, Some(from + limit as u64), limit)?;
        let at_least = page.iter().rev().filter(|stored| stored.sequence >= from);
        let decoded =
            at_least.map(|stored| Record::decode(&stored.body).map_err(|e| self.state(&e.to_string())));
        decoded.collect()
    }

    /// Ids of usage are forgotten after the late window; where their records are is not. The newest that charges the event
    /// says it: its id may have come again since, for another one. None: the store does not have all of the past.
    fn standing_in_past(&self, event: &EventRef) -> Result<Option<Option<Standing>>, StoreError> {
        let mut newest: Option<(u64, Standing)> = None;
        for identity in charged_under(event) {
            let id = self.id(&identity)?;
            let Some(found) = self.store.find_past(self.wallet, id)? else {
                return Ok(None);
            };
            for stored in found {
                if newest
                    .as_ref()
                    .is_some_and(|(known, _)| *known >= stored.sequence)
                {
                    continue;
                }
                let record = Record::decode(&stored.body).map_err(|e| self.state(&e.to_string()))?;
                let standing = standing_of(&record).filter(|s| s.event.reference() == *event);
                newest = standing.map(|standing| (stored.sequence, standing)).or(newest);
            }
        }
        Ok(Some(newest.map(|(_, standing)| standing)))
    }

    /// The wallet's history is read backwards, as far as [`CORRECTION_RECORDS_MAX`] goes.
    fn standing_in_history(&self, event: &EventRef) -> Result<Option<Standing>, StoreError> {
        let mut before = None;
        let mut read = 0;
        while read < CORRECTION_RECORDS_MAX {
            let page = self.store.history(self.wallet, before, HISTORY_PAGE)?;
            let Some(oldest) = page.last() else { break };
            before = Some(oldest.sequence);
            read += page.len();
            for stored in &page {
                let record = Record::decode(&stored.body).map_err(|e| self.state(&e.to_string()))?;
                let standing = standing_of(&record).filter(|s| s.event.reference() == *event);
                if standing.is_some() {
                    return Ok(standing);
                }
            }
        }
        Ok(None)
    }

    /// What the event gave back, and who gave back of it.
    fn give_backs(&self, event: &EventRef) -> Result<GiveBacks, StoreError> {
        let behind = self.behind.iter().find_map(|record| {
            let mut effects = record.outcome.effects.iter().rev();
            effects.find_map(|effect| match effect {
                Effect::GiveBacksPut(name, give_backs) if name == event => Some((**give_backs).clone()),
                _ => None,
            })
        });
        if let Some(give_backs) = behind {
            return Ok(give_backs);
        }
        let came = self.came(event)?;
        let noted = self.noted(&Part::GiveBacks(event.clone()), came)?;
        Ok(noted.unwrap_or_default())
    }

    /// Sequence of the record with which the event came, while its id is remembered. An id that was forgotten may have come
    /// again, for another event: nothing from before is about that one.
    fn came(&self, event: &EventRef) -> Result<Option<u64>, StoreError> {
        match self.record(&Identity::Event(event.clone())) {
            // An id that came again came lately.
            Err(StoreError::Archived { .. }) => Ok(None),
            record => Ok(record?.map(|record| record.sequence)),
        }
    }

    /// What the wallet keeps of an event, where it was noted since the event came.
    fn noted<T: DeserializeOwned>(&self, part: &Part, came: Option<u64>) -> Result<Option<T>, StoreError> {
        let Some(value) = self.store.part(self.wallet, &part.key())? else {
            return Ok(None);
        };
        let noted: Noted<T> = codec::decode(&value).map_err(|e| self.state(&e.to_string()))?;
        let about_it = noted.by.zip(came).is_none_or(|(by, came)| came <= by);
        Ok(about_it.then_some(noted.what))
    }

    /// A grant as it was opened.
    fn opened(&self, grant: &GrantId) -> Result<Option<GrantState>, StoreError> {
        let behind = self.behind.iter().find_map(|record| {
            record.outcome.effects.iter().find_map(|effect| match effect {
                Effect::GrantOpened(id, state) if id == grant => Some((**state).clone()),
                _ => None,
            })
        });
        if behind.is_some() {
            return Ok(behind);
        }
        let record = match self.record(&Identity::Grant(grant.clone())) {
            // Of a grant that the wallet has still, nobody asks.
            Err(StoreError::Archived { .. })
                if self
                    .store
                    .part(self.wallet, &Part::Grant(grant.clone()).key())?
                    .is_some() =>
            {
                None
            }
            record => record?,
        };
        let effects = record.into_iter().flat_map(|record| record.outcome.effects);
        let mut opened = effects.filter_map(|effect| match effect {
            Effect::GrantOpened(id, state) if id == *grant => Some(*state),
            _ => None,
        });
        Ok(opened.next())
    }

    fn record(&self, identity: &Identity) -> Result<Option<Record>, StoreError> {
        let id = self.id(identity)?;
        // Whether it is a sandbox is not known here, and no other tenant has ids of usage that are kept for good.
        if !ids::may_have_seen(self.store, id, true) {
            return Ok(None);
        }
        for stored in ids::find(self.store, self.wallet, id)? {
            let record = Record::decode(&stored.body).map_err(|e| self.state(&e.to_string()))?;
            if record.identities().contains(identity) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn id(&self, identity: &Identity) -> Result<IdHash, StoreError> {
        let tenant = TenantId::new(self.wallet.tenant()).map_err(|e| self.state(&e.to_string()))?;
        let customer = CustomerId::new(self.wallet.wallet()).map_err(|e| self.state(&e.to_string()))?;
        Ok(IdHash(identity_hash(&tenant, &customer, identity)))
    }

    fn state(&self, what: &str) -> StoreError {
        StoreError::State {
            what: format!("{:?}: {what}", self.wallet),
        }
    }
}

/// What a record answers for that charges an event; of several the first has the last word.
fn charged_under(event: &EventRef) -> [Identity; 5] {
    [
        Identity::Rated(event.clone()),
        Identity::LateSettle(event.clone()),
        Identity::HoldEnd(event.clone()),
        Identity::Event(event.clone()),
        Identity::Backfilled(event.clone()),
    ]
}

/// What a record says that an event stands for now.
fn said_of(record: &Record, event: &EventRef) -> Option<Standing> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::StandingPut(name, standing) if name == event => Some((**standing).clone()),
        _ => None,
    })
}
