//! The thread that brings the state after the journal, behind the answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::contract::StoreError;
use crate::latch::Latch;
use crate::limits::{STATE_PASS_INTERVAL_MS, STATE_SYNC_BYTES, STATE_SYNC_INTERVAL_MS};
use crate::pending::{Pass, Pending, Taken};
use crate::state::{Meta, State};

/// Applies pending changes, one atomic pass after another, until told to end.
#[derive(Debug)]
pub(crate) struct Materialiser {
    pub state: Arc<State>,
    pub pending: Arc<Pending>,
    pub latch: Arc<Latch>,
    pub meta: Meta,
}

/// What was applied and not synced.
struct Unsynced {
    bytes: usize,
    since: Instant,
}

impl Materialiser {
    pub(crate) fn run(mut self) {
        let latch = self.latch.clone();
        let _guard = latch.guard("materialiser");
        if let Err(error) = self.passes() {
            let _ = latch.stop(error.to_string());
        }
    }

    fn passes(&mut self) -> Result<(), StoreError> {
        let interval = Duration::from_millis(STATE_SYNC_INTERVAL_MS);
        let mut unsynced: Option<Unsynced> = None;
        loop {
            match self.pending.take(interval) {
                Taken::Pass(pass) => {
                    self.apply(&pass)?;
                    let bytes = unsynced.as_ref().map_or(0, |unsynced| unsynced.bytes) + pass.bytes;
                    let since = unsynced.map_or_else(Instant::now, |unsynced| unsynced.since);
                    unsynced = Some(Unsynced { bytes, since });
                    drop(pass);
                    self.pending.pause(Duration::from_millis(STATE_PASS_INTERVAL_MS));
                }
                Taken::Nothing => {}
                Taken::End => return Ok(()),
            }
            let is_due = |unsynced: &Unsynced| {
                unsynced.bytes >= STATE_SYNC_BYTES || unsynced.since.elapsed() >= interval
            };
            if unsynced.as_ref().is_some_and(is_due) || self.state.projection().is_old() {
                self.state.sync()?;
                unsynced = None;
            }
        }
    }

    /// One pass over what is pending now, without waiting for more. False: nothing is.
    pub(crate) fn pass(&mut self) -> Result<bool, StoreError> {
        match self.pending.take(Duration::ZERO) {
            Taken::Pass(pass) => self.apply(&pass).map(|()| true),
            Taken::Nothing | Taken::End => Ok(false),
        }
    }

    fn apply(&mut self, pass: &Pass) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.meta.applied = pass.applied;
        self.meta.durable = pass.applied;
        {
            let _gate = self.pending.change_state();
            self.state.apply(&pass.changes, &self.meta)?;
            self.pending.applied();
        }
        metrics::histogram!("farebox_store_pass_seconds").record(begun.elapsed().as_secs_f64());
        metrics::counter!("farebox_store_pass_wallets_total").increment(pass.changes.len() as u64);
        Ok(())
    }
}
