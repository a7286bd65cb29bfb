//! `farebox ledger verify`: everything that a store holds, proved from its own history.
//!
//! Each wallet is folded again from its first record on, and what comes out is compared with what the store shows; each
//! price is asked for again from the very code and parameters that its record names. Nothing is taken over from a
//! running server, so what is proved is what a restart would find.
//!
//! Where the first records are in an archive that is not at hand, wallets are folded from the newest snapshot on instead.

mod audit;
mod books;
mod control;
#[cfg(test)]
mod falsified_tests;
mod reevaluate;
mod report;
mod revisions;
#[cfg(test)]
mod tests;
mod wallet;

use farebox_record::ids::TenantId;
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;
use farebox_store::{Base, BaseWallet, Store, StoreError, StoredRecord, Version, WalletKey};

use audit::Audit;
pub use report::Report;

/// Records that are read at once.
const PAGE_RECORDS_MAX: Version = 256;
/// Names that are read at once.
const PAGE_NAMES_MAX: usize = 1_000;

/// Checks every wallet and every control plane of a store, from `base` on where there is one. `now` is the machine's time: ids
/// of usage that are older than their window by then may be forgotten, and may have come again. `progress` is told the wallets
/// and records behind it.
///
/// Memory: one wallet with its on-demand parts and 24 bytes for each of its ids, and the books of all days. Where a server of an
/// older release has not made those yet, a day for each wallet beside it.
///
/// # Errors
/// What the store cannot read. What it can read and what is wrong is in the report.
pub fn verify(
    store: &dyn Store,
    base: Option<&Base>,
    runtime: &Runtime,
    now: Timestamp,
    progress: &dyn Fn(u64, u64),
) -> Result<Report, StoreError> {
    let mut audit = Audit::new(store, base, runtime, progress);
    let mut tenants: Option<String> = None;
    loop {
        let names = store.tenants(tenants.as_deref(), PAGE_NAMES_MAX)?;
        let Some(last) = names.last() else {
            audit.books_of_nobody();
            return Ok(audit.report);
        };
        tenants = Some(last.clone());
        for name in &names {
            audit.tenant(name, now)?;
        }
    }
}

impl Audit<'_> {
    /// A wallet as it was before the first record that can be read.
    fn begun(&self, key: &WalletKey) -> Result<BaseWallet, StoreError> {
        match self.base {
            Some(base) => base.wallet(key),
            None => Ok(BaseWallet::default()),
        }
    }

    fn tenant(&mut self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        self.report.tenants += 1;
        if let Err(error) = TenantId::new(name) {
            self.report
                .found(&WalletKey::control(name), None, "name", error.to_string());
        }
        let present = self.control(&WalletKey::control(name), now)?;
        let mut after: Option<String> = None;
        loop {
            let keys = self.store.wallets(name, after.as_deref(), PAGE_NAMES_MAX)?;
            let Some(last) = keys.last() else {
                self.books(name);
                return Ok(());
            };
            after = Some(last.wallet().to_string());
            for key in &keys {
                self.wallet(key, present)?;
            }
        }
    }
}

/// Calls `visit` with each record of a wallet behind `begun`, oldest first, until it says that the rest cannot be judged.
fn replay(
    store: &dyn Store,
    key: &WalletKey,
    begun: Version,
    newest: Version,
    visit: &mut dyn FnMut(&StoredRecord) -> Result<Replay, StoreError>,
) -> Result<(), StoreError> {
    let mut first = begun + 1;
    while first <= newest {
        let last = newest.min(first + PAGE_RECORDS_MAX - 1);
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let page = store.history(key, Some(last + 1), count)?;
        if page.len() != count {
            let what = format!(
                "{key:?}: the store shows {} records of {count} before {}",
                page.len(),
                last + 1
            );
            return Err(StoreError::State { what });
        }
        for stored in page.iter().rev() {
            if visit(stored)? == Replay::Stop {
                return Ok(());
            }
        }
        first = last + 1;
    }
    Ok(())
}

/// A tenant as it is now.
#[derive(Debug, Clone, Copy)]
struct Present {
    /// Newest version of its control plane.
    control: u64,
    /// The time by which its ids of usage age. None for a sandbox, whose records stand in a time of their own: how long ago
    /// they were made cannot be told, but its ids are kept for good.
    ages: Option<Timestamp>,
}

/// Whether a history can be judged further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    /// It can.
    On,
    /// What follows has nothing to stand on.
    Stop,
}
