//! What one verification carries along.

use farebox_runtime::Runtime;
use farebox_store::{Base, Store};

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
    progress: &'a dyn Fn(u64, u64),
}

impl<'a> Audit<'a> {
    pub fn new(
        store: &'a dyn Store,
        base: Option<&'a Base>,
        runtime: &'a Runtime,
        progress: &'a dyn Fn(u64, u64),
    ) -> Audit<'a> {
        Audit {
            store,
            base,
            runtime,
            revisions: Revisions::default(),
            report: Report {
                from: base.map(Base::position),
                ..Report::default()
            },
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
