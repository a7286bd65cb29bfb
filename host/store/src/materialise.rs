//! The thread that brings the state after the journal, behind the answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::contract::StoreError;
use crate::latch::Latch;
use crate::limits::STATE_PASS_INTERVAL_MS;
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

impl Materialiser {
    pub(crate) fn run(mut self) {
        let latch = self.latch.clone();
        let _guard = latch.guard("materialiser");
        if let Err(error) = self.passes() {
            let _ = latch.stop(error.to_string());
        }
    }

    /// Each pass is synced at once, so that a restart goes on behind it; between two of them changes coalesce.
    fn passes(&mut self) -> Result<(), StoreError> {
        let interval = Duration::from_millis(STATE_PASS_INTERVAL_MS);
        loop {
            match self.pending.take(interval) {
                Taken::Pass(pass) => {
                    self.apply(&pass)?;
                    drop(pass);
                    self.state.sync()?;
                    self.pending.pause(interval);
                }
                Taken::Nothing if self.state.projection().is_old() => self.state.sync()?,
                Taken::Nothing => {}
                Taken::End => return Ok(()),
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
