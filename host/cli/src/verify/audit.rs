//! What one verification carries along.

use farebox_runtime::Runtime;
use farebox_store::Store;

use super::report::Report;
use super::revisions::Revisions;

/// A verification on its way.
pub(super) struct Audit<'a> {
    pub store: &'a dyn Store,
    pub runtime: &'a Runtime,
    pub revisions: Revisions,
    pub report: Report,
    progress: &'a dyn Fn(u64, u64),
}

impl<'a> Audit<'a> {
    pub fn new(store: &'a dyn Store, runtime: &'a Runtime, progress: &'a dyn Fn(u64, u64)) -> Audit<'a> {
        Audit {
            store,
            runtime,
            revisions: Revisions::default(),
            report: Report::default(),
            progress,
        }
    }

    /// Tells how far it is; now and then, since a record takes microseconds.
    pub fn tick(&self) {
        if self.report.records.is_multiple_of(1_000) {
            (self.progress)(self.report.wallets, self.report.records);
        }
    }
}
