//! Finds an event as it stands, in the wallet's history.

use std::collections::BTreeMap;

use farebox_ledger::standing_of;
use farebox_record::codec;
use farebox_record::command::Identity;
use farebox_record::correction::{Original, Standing};
use farebox_record::ids::{CustomerId, GrantId, TenantId};
use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;
use farebox_record::record::{Record, identity_hash};
use farebox_record::state::{GrantState, Part, SliceSource};
use farebox_store::{IdHash, Store, StoreError, WalletKey};

use crate::limits::CORRECTION_RECORDS_MAX;

/// Records that are read at once.
const HISTORY_PAGE: usize = 1_000;

/// The event, with the grants that it took from; none where no record charges it.
pub(super) fn find(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<Option<Original>, StoreError> {
    let history = History { store, wallet };
    let Some(standing) = history.standing(event)? else {
        return Ok(None);
    };
    let mut ended = BTreeMap::new();
    for slice in &standing.slices {
        let SliceSource::Grant(grant) = &slice.from else {
            continue;
        };
        // The ledger asks for those that the wallet no longer has; which ones these are is known only there.
        if !ended.contains_key(grant)
            && let Some(opened) = history.opened(grant)?
        {
            ended.insert(grant.clone(), opened);
        }
    }
    Ok(Some(Original { standing, ended }))
}

/// The event as it stands; none where no record charges it.
pub(super) fn standing(
    store: &dyn Store,
    wallet: &WalletKey,
    event: &EventRef,
) -> Result<Option<Standing>, StoreError> {
    History { store, wallet }.standing(event)
}

struct History<'s> {
    store: &'s dyn Store,
    wallet: &'s WalletKey,
}

impl History<'_> {
    /// What the newest correction says; else what the record that charged the event says. The order tells a hold's end
    /// from its beginning, and a late settlement from the expiry before it.
    fn standing(&self, event: &EventRef) -> Result<Option<Standing>, StoreError> {
        if let Some(value) = self
            .store
            .part(self.wallet, &Part::Standing(event.clone()).key())?
        {
            return codec::decode(&value)
                .map(Some)
                .map_err(|e| self.state(&e.to_string()));
        }
        let identities = [
            Identity::Rated(event.clone()),
            Identity::LateSettle(event.clone()),
            Identity::HoldEnd(event.clone()),
            Identity::Event(event.clone()),
            Identity::Backfilled(event.clone()),
        ];
        for identity in identities {
            if let Some(standing) = self.record(&identity)?.as_ref().and_then(standing_of) {
                return Ok(Some(standing));
            }
        }
        self.standing_in_history(event)
    }

    /// Ids of usage are forgotten after the late window; the wallet's history is not. So it is read backwards, as far as
    /// [`CORRECTION_RECORDS_MAX`] goes.
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

    /// A grant as it was opened.
    fn opened(&self, grant: &GrantId) -> Result<Option<GrantState>, StoreError> {
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
        let tenant = TenantId::new(self.wallet.tenant()).map_err(|e| self.state(&e.to_string()))?;
        let customer = CustomerId::new(self.wallet.wallet()).map_err(|e| self.state(&e.to_string()))?;
        let id = IdHash(identity_hash(&tenant, &customer, identity));
        if !self.store.may_have_seen(id) {
            return Ok(None);
        }
        for stored in self.store.find(self.wallet, id)? {
            let record = Record::decode(&stored.body).map_err(|e| self.state(&e.to_string()))?;
            if record.identities().contains(identity) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn state(&self, what: &str) -> StoreError {
        StoreError::State {
            what: format!("{:?}: {what}", self.wallet),
        }
    }
}
