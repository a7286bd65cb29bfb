//! The sweeper wakes wallets that have something due, so that a hold ends and a period begins without a caller.
//!
//! Each tenant is asked by its own clock. A sandbox stands still, so once nothing of it is due at an instant it is left alone
//! until its clock moves; while an advance moves it, the advance does the work.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use farebox_ledger::limits::{EVENT_AHEAD_MAX, LATE_WINDOW};
use farebox_record::ids::TenantId;
use farebox_record::time::{Span, Timestamp};
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
    let mut sweeper = Sweeper::default();
    while !stop.load(Ordering::Relaxed) && !shared.has_failed() {
        std::thread::park_timeout(SWEEP_INTERVAL);
        sweeper.round(shared, &lane_of, lanes)?;
    }
    Ok(())
}

/// The instant before which ids of usage may be forgotten, where it moved on enough since the last time. The live tenant whose
/// clock is furthest back decides: its events are still within their window. What a sandbox needs, wherever its clock stands, is
/// kept for good.
fn horizon(shared: &Shared, last: i64) -> Option<i64> {
    let controls = shared.controls.load();
    let clocks = controls.tenants().map(|tenant| shared.clock.now(tenant));
    let before = clocks.min()?.as_micros().saturating_sub(ID_WINDOW.as_micros());
    let step = i64::try_from(ID_FORGET_INTERVAL.as_micros()).unwrap_or(i64::MAX);
    (before >= last.saturating_add(step)).then_some(before)
}

const ID_WINDOW: Span = Span::days(ID_WINDOW_DAYS);
const _: () = assert!(
    ID_WINDOW.as_micros() > LATE_WINDOW.as_micros() + EVENT_AHEAD_MAX.as_micros(),
    "an id is kept for as long as its event can be reported"
);

/// What is remembered from one sweep to the next.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// The tenant with which the last sweep began; the next one begins behind it.
    first: Option<TenantId>,
    /// Sandboxes that had nothing due, by the instant at which they stood.
    resting: HashMap<TenantId, Timestamp>,
    /// Ids of usage before this instant were given up.
    forgot: i64,
}

impl Default for Sweeper {
    fn default() -> Sweeper {
        Sweeper {
            first: None,
            resting: HashMap::new(),
            forgot: i64::MIN,
        }
    }
}

impl Sweeper {
    /// Wakes the wallets that have something due now, and has ids forgotten when it is time.
    pub(crate) fn round(
        &mut self,
        shared: &Arc<Shared>,
        lane_of: impl Fn(&WalletKey) -> usize,
        lanes: &[Sender<Message>],
    ) -> Result<(), StoreError> {
        // What falls due waits for room, too: it is handled by its own time when there is some, or when it is asked for.
        if shared.store.room() != Room::Enough {
            return Ok(());
        }
        if let Some(before) = horizon(shared, self.forgot) {
            shared.store.forget_ids(before);
            self.forgot = before;
        }
        for wallet in self.sweep(shared)? {
            let _ = lanes[lane_of(&wallet)].send(Message::Touch(wallet)); // a lane that is gone needs no waking
        }
        Ok(())
    }

    /// Wallets to wake now.
    fn sweep(&mut self, shared: &Arc<Shared>) -> Result<Vec<WalletKey>, StoreError> {
        let controls = shared.controls.load_full();
        let mut room = SWEEP_WALLETS_MAX;
        let mut wallets = Vec::new();
        let turn = in_turn(controls.tenants(), self.first.as_ref());
        self.first = turn.first().map(|tenant| (*tenant).clone());
        for tenant in turn {
            let sandbox = controls.sandbox_clock(tenant);
            let rests = sandbox.is_some() && self.resting.get(tenant).copied() == sandbox;
            if rests || shared.is_advancing(tenant) {
                continue;
            }
            // Half of what is left: whoever has much due leaves some to those behind, and is first another time.
            let share = room.div_ceil(2);
            let until = controls.now(&*shared.clock, tenant).as_micros();
            let due = shared.store.due(tenant.as_str(), until, share)?;
            if let (Some(stands), true) = (sandbox, due.is_empty()) {
                self.resting.insert(tenant.clone(), stands);
            }
            room -= due.len();
            wallets.extend(due.into_iter().map(|(_, wallet)| wallet));
            if room == 0 {
                break;
            }
        }
        Ok(wallets)
    }
}

/// All of them, beginning behind `last`.
fn in_turn<'t>(tenants: impl Iterator<Item = &'t TenantId>, last: Option<&TenantId>) -> Vec<&'t TenantId> {
    let (before, mut turn): (Vec<_>, Vec<_>) =
        tenants.partition(|tenant| last.is_some_and(|last| *tenant <= last));
    turn.extend(before);
    turn
}

#[cfg(test)]
#[path = "sweeper_tests.rs"]
mod tests;
