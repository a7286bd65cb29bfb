//! The machine's time, which live tenants go by. It may be set back over a restart; what was changed or written before then is
//! never in the future for whoever comes later.

use anyhow::{Context as _, ensure};
use farebox_engine::Engine;
use farebox_record::control::ControlRecord;
use farebox_record::ids::TenantId;
use farebox_record::time::Timestamp;

use crate::history::History;

/// What the machine's clock says and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Where it stands.
    pub now: Timestamp,
    /// The latest that it ever showed.
    pub latest: Timestamp,
}

impl Machine {
    /// Checks a live tenant: its time is the machine's, or that of its newest change where that is later; and each record of
    /// its wallets is from then or later. That none is from before the one before it is the agenda's.
    ///
    /// # Errors
    /// What is from another time.
    pub fn check(
        &self,
        engine: &Engine,
        tenant: &TenantId,
        control: &[ControlRecord],
        histories: &[History],
    ) -> anyhow::Result<()> {
        let changed = control.last().map_or(self.now, |record| record.at);
        let (now, expected) = (engine.now(tenant), self.now.max(changed));
        ensure!(
            now == expected,
            "its time is {now}; the machine's is {}, and its newest change is from {changed}",
            self.now
        );
        for history in histories {
            for record in &history.records {
                let seen = match usize::try_from(record.seen.control)?.checked_sub(1) {
                    Some(index) => control.get(index).context("a change that is not there")?.at,
                    None => record.at,
                };
                ensure!(
                    (seen..=self.latest).contains(&record.at),
                    "{:?}: record {} is from {}, behind a change from {seen}, and it was never later than {}",
                    history.owner,
                    record.sequence,
                    record.at,
                    self.latest
                );
            }
        }
        Ok(())
    }
}
