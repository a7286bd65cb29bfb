//! Where an id is looked for.
//!
//! Ids of usage age by the machine's time and are forgotten, because an event that is older than the late window is refused by
//! its time. A sandbox can stand still at any instant for as long as it likes, and its events stay young with it, so its ids of
//! usage are kept twice: as everybody's, and for good.

use farebox_store::{IdHash, Store, StoreError, StoredRecord, WalletKey};

/// False: no durable record answers for this id. True: see [`find`].
pub(crate) fn may_have_seen(store: &dyn Store, id: IdHash, is_sandbox: bool) -> bool {
    store.may_have_seen(id) || is_sandbox && store.may_have_seen(id.for_good())
}

/// The wallet's records that answer for this id, as [`Store::find`] has them.
pub(crate) fn find(
    store: &dyn Store,
    wallet: &WalletKey,
    id: IdHash,
) -> Result<Vec<StoredRecord>, StoreError> {
    let found = store.find(wallet, id)?;
    let for_good = id.for_good();
    if !found.is_empty() || for_good == id || !store.may_have_seen(for_good) {
        return Ok(found);
    }
    store.find(wallet, for_good)
}
