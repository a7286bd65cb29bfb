//! The sweeper wakes wallets that have something due, so that a hold ends and a period begins without a caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use farebox_ledger::limits::{EVENT_AHEAD_MAX, LATE_WINDOW};
use farebox_record::ids::TenantId;
use farebox_store::{Room, StoreError, WalletKey};

use crate::lane::Message;
use crate::limits::{ID_FORGET_INTERVAL, ID_WINDOW_DAYS, SWEEP_INTERVAL, SWEEP_WALLETS_MAX};
use crate::shared::Shared;

/// Sweeps until told to stop, or the store fails.
pub(crate) fn run(
    shared: &Arc<Shared>,
    stop: &AtomicBool,
    lane_of: impl Fn(&WalletKey) -> usize,
    lanes: &[Sender<Message>],
) -> Result<(), StoreError> {
    let mut forgot = i64::MIN;
    while !stop.load(Ordering::Relaxed) && !shared.has_failed() {
        std::thread::park_timeout(SWEEP_INTERVAL);
        // What falls due waits for room, too: it is handled by its own time when there is some, or when it is asked for.
        if shared.store.room() != Room::Enough {
            continue;
        }
        let tenants: Vec<TenantId> = shared.controls.load().tenants().cloned().collect();
        if let Some(before) = horizon(shared, &tenants, forgot) {
            shared.store.forget_ids(before);
            forgot = before;
        }
        let Some(latest) = tenants.iter().map(|tenant| shared.clock.now(tenant)).max() else {
            continue;
        };
        for (_, wallet) in shared.store.due(latest.as_micros(), SWEEP_WALLETS_MAX)? {
            let _ = lanes[lane_of(&wallet)].send(Message::Touch(wallet)); // a lane that is gone needs no waking
        }
    }
    Ok(())
}

/// The instant before which ids of usage may be forgotten, where it moved on enough since the last time. The tenant whose
/// clock is furthest back decides: its events are still within their window.
fn horizon(shared: &Shared, tenants: &[TenantId], last: i64) -> Option<i64> {
    let earliest = tenants.iter().map(|tenant| shared.clock.now(tenant)).min()?;
    let before = earliest.as_micros().saturating_sub(ID_WINDOW_MICROS);
    let step = i64::try_from(ID_FORGET_INTERVAL.as_micros()).unwrap_or(i64::MAX);
    (before >= last.saturating_add(step)).then_some(before)
}

const ID_WINDOW_MICROS: i64 = ID_WINDOW_DAYS * 24 * 3_600 * 1_000_000;
const _: () = assert!(
    ID_WINDOW_MICROS > LATE_WINDOW.as_micros() + EVENT_AHEAD_MAX.as_micros(),
    "an id is kept for as long as its event can be reported"
);
