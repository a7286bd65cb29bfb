//! What one verification carries along.

use std::collections::BTreeMap;

use farebox_engine::DEFAULT_TENANT;
use farebox_engine::projection::{Closing, Days, days_of_all};
use farebox_record::ids::TenantId;
use farebox_runtime::Runtime;
use farebox_store::{Base, Store, StoreError, WalletKey};

use super::report::Report;
use super::revisions::Revisions;

/// A verification on its way.
pub(super) struct Audit<'a> {
    pub store: &'a dyn Store,
    /// Where histories begin whose first records are archived and not at hand.
    pub base: Option<&'a Base>,
    pub runtime: &'a Runtime,
    pub revisions: Revisions,
    pub report: Report,
    /// What the wallets of the tenant that is looked at come to.
    pub tenant: Closing,
    /// What their records post, by day: nothing of those before the base.
    pub days: Days,
    /// Whether all of those wallets could be folded: else their sum says nothing.
    pub whole: bool,
    /// What the server has added up for each tenant; none where it cannot be told.
    pub kept: Option<BTreeMap<TenantId, Days>>,
    progress: &'a dyn Fn(u64, u64),
}

impl<'a> Audit<'a> {
    pub fn new(
        store: &'a dyn Store,
        base: Option<&'a Base>,
        runtime: &'a Runtime,
        progress: &'a dyn Fn(u64, u64),
    ) -> Audit<'a> {
        let (kept, unreadable) = match days_of_all(store) {
            // They are made of records that are not at hand: nothing can be said of them.
            Err(StoreError::Archived { .. }) => (None, None),
            // What ails the store as a whole is met again, and what ails a record is told of its wallet.
            Err(error) => (None, Some(error)),
            Ok(kept) => (Some(kept), None),
        };
        let mut audit = Audit {
            store,
            base,
            runtime,
            revisions: Revisions::default(),
            report: Report {
                from: base.map(Base::position),
                books_compared: kept.is_some(),
                ..Report::default()
            },
            tenant: Closing::new(),
            days: Days::new(),
            whole: true,
            kept,
            progress,
        };
        if let Some(error) = unreadable {
            let what = format!("they cannot be read: {error}");
            audit
                .report
                .found(&WalletKey::control(DEFAULT_TENANT), None, "books", what);
        }
        audit
    }

    /// Tells how far it is; now and then, since a record takes microseconds.
    pub fn tick(&self) {
        if self.report.records.is_multiple_of(1_000) {
            (self.progress)(self.report.wallets, self.report.records);
        }
    }
}
