//! The sweeper wakes wallets that have something due, so that a hold ends and a period begins without a caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use farebox_record::ids::TenantId;
use farebox_store::{StoreError, WalletKey};

use crate::lane::Message;
use crate::limits::{SWEEP_INTERVAL, SWEEP_WALLETS_MAX};
use crate::shared::Shared;

/// Sweeps until told to stop, or the store fails.
pub(crate) fn run(
    shared: &Arc<Shared>,
    stop: &AtomicBool,
    lane_of: impl Fn(&WalletKey) -> usize,
    lanes: &[Sender<Message>],
) -> Result<(), StoreError> {
    while !stop.load(Ordering::Relaxed) && !shared.has_failed() {
        std::thread::park_timeout(SWEEP_INTERVAL);
        sweep(shared, &lane_of, lanes)?;
    }
    Ok(())
}

/// Wakes the wallets that have something due now.
pub(crate) fn sweep(
    shared: &Shared,
    lane_of: impl Fn(&WalletKey) -> usize,
    lanes: &[Sender<Message>],
) -> Result<(), StoreError> {
    let tenants: Vec<TenantId> = shared.controls.load().tenants().cloned().collect();
    let Some(latest) = tenants.iter().map(|tenant| shared.clock.now(tenant)).max() else {
        return Ok(());
    };
    for (_, wallet) in shared.store.due(latest.as_micros(), SWEEP_WALLETS_MAX)? {
        let _ = lanes[lane_of(&wallet)].send(Message::Touch(wallet)); // a lane that is gone needs no waking
    }
    Ok(())
}
