//! What fell due happens before somebody looks at all wallets together, as a wallet's own agenda does before anyone looks at it.

use std::collections::BTreeSet;
use std::time::Instant;

use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;
use farebox_store::WalletKey;

use crate::engine::Engine;
use crate::error::{ControlError, EngineError};
use crate::limits::CATCH_UP_WALLETS_MAX;
use crate::request::{Ask, Reply, Request};

/// How far it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    /// Items that were handled for it.
    pub handled: u64,
    /// Whether nothing is left, but for wallets whose agenda cannot go on: their lane has said so in the log.
    pub whole: bool,
}

impl Engine {
    /// Has every wallet of a tenant handle what fell due at or before `until`, until the deadline at most. Blocks.
    ///
    /// # Errors
    /// What the store cannot read, and an engine that has stopped.
    pub fn catch_up(
        &self,
        tenant: &TenantId,
        until: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<CaughtUp, ControlError> {
        let (mut handled, mut asked, mut room) = (0, BTreeSet::new(), CATCH_UP_WALLETS_MAX);
        loop {
            let due = self
                .shared()
                .store
                .due(tenant.as_str(), until.as_micros(), room)?;
            let is_all = due.len() < room;
            let wallets: Vec<WalletKey> = due
                .into_iter()
                .map(|(_, wallet)| wallet)
                .filter(|wallet| asked.insert(wallet.clone()))
                .collect();
            if wallets.is_empty() {
                if is_all {
                    return Ok(CaughtUp { handled, whole: true });
                }
                // In front stand wallets whose agenda cannot go on.
                room += CATCH_UP_WALLETS_MAX;
                continue;
            }
            for wallets in wallets.chunks(CATCH_UP_WALLETS_MAX) {
                if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    return Ok(CaughtUp {
                        handled,
                        whole: false,
                    });
                }
                handled += self.catch_up_with(tenant, wallets)?;
            }
        }
    }

    fn catch_up_with(&self, tenant: &TenantId, wallets: &[WalletKey]) -> Result<u64, ControlError> {
        let request = |wallet: &WalletKey| -> Result<Request, EngineError> {
            let customer = CustomerId::new(wallet.wallet()).map_err(|e| EngineError::State(e.to_string()))?;
            Ok(Request {
                customer,
                ask: Ask::CatchUp,
            })
        };
        let requests: Vec<Request> = wallets.iter().map(request).collect::<Result<_, _>>()?;
        let replies = self.call_patiently(tenant, &requests)?;
        replies.iter().try_fold(0, |sum, reply| match reply {
            Reply::CaughtUp(items) => Ok(sum + items),
            _ => Err(ControlError::Stopped),
        })
    }
}
