//! The rater has events looked at again that had no price and may have one now: when a tenant's plans answer otherwise than
//! before, and once after each start, because the process that changed a plan may have ended before it got to that.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use farebox_record::codec;
use farebox_record::control::ControlState;
use farebox_record::ids::TenantId;
use farebox_record::state::{Header, Part};
use farebox_record::time::Timestamp;
use farebox_store::{Room, Store, StoreError, WalletKey};

use crate::lane::Message;
use crate::limits::{RATE_INTERVAL, RATE_PAGE_PAUSE, RATE_WALLETS_PER_PAGE};
use crate::shared::Shared;

/// Rates until told to stop, or the store fails.
pub(crate) fn run(
    shared: &Arc<Shared>,
    stop: &AtomicBool,
    lane_of: impl Fn(&WalletKey) -> usize,
    lanes: &[Sender<Message>],
) -> Result<(), StoreError> {
    let mut rater = Rater::default();
    let goes_on = || !stop.load(Ordering::Relaxed) && !shared.has_failed();
    while goes_on() {
        std::thread::park_timeout(RATE_INTERVAL);
        let pause = || {
            std::thread::park_timeout(RATE_PAGE_PAUSE);
            goes_on()
        };
        rater.round(shared, &lane_of, lanes, pause)?;
    }
    Ok(())
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Rater(HashMap<TenantId, Looked>);

/// What a tenant's plans were like when its wallets were last looked at.
#[derive(Debug)]
struct Looked {
    /// Of its control plane.
    version: u64,
    /// When a revision comes into force that was activated ahead.
    until: Option<Timestamp>,
    /// Hash of what answers.
    answers: u64,
}

impl Rater {
    /// Has lanes ask again for what waits in wallets of tenants whose plans changed. `pause` is called behind each page of
    /// wallets, and says whether to go on.
    pub fn round(
        &mut self,
        shared: &Shared,
        lane_of: impl Fn(&WalletKey) -> usize,
        lanes: &[Sender<Message>],
        pause: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        // What is rated is written, so it waits for room.
        if shared.store.room() != Room::Enough {
            return Ok(());
        }
        for tenant in self.changed(shared) {
            let touch = |wallet: WalletKey| {
                let _ = lanes[lane_of(&wallet)].send(Message::Rate(wallet)); // a lane that is gone needs no waking
            };
            if !look(&*shared.store, &tenant, touch, &pause)? {
                // It was told to stop; whoever comes next begins anew.
                self.0.remove(&tenant);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Tenants whose plans may answer otherwise than when they were last looked at. Told once.
    fn changed(&mut self, shared: &Shared) -> Vec<TenantId> {
        let controls = shared.controls.load_full();
        let mut changed = Vec::new();
        for tenant in controls.tenants() {
            let Some(state) = controls.tenant(tenant) else {
                continue;
            };
            let (version, now) = (state.header.sequence, controls.now(&*shared.clock, tenant));
            let known = self.0.get(tenant);
            let is_as_it_was = known.is_some_and(|looked| {
                looked.version == version && looked.until.is_none_or(|until| now < until)
            });
            if is_as_it_was {
                continue;
            }
            let looked = Looked {
                version,
                until: waits(state, now),
                answers: answers(state, now),
            };
            if known.is_none_or(|known| known.answers != looked.answers) {
                changed.push(tenant.clone());
            }
            self.0.insert(tenant.clone(), looked);
        }
        changed
    }
}

/// When the next revision comes into force.
fn waits(state: &ControlState, now: Timestamp) -> Option<Timestamp> {
    let timelines = state.plans.values().flat_map(|plan| &plan.timeline);
    let ahead = timelines
        .map(|activation| activation.effective)
        .filter(|effective| *effective > now);
    ahead.min()
}

/// A hash of what is in force: which revisions answer for which plan, since when, and which are out of service.
fn answers(state: &ControlState, now: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (plan, known) in &state.plans {
        plan.as_str().hash(&mut hasher);
        for activation in known
            .timeline
            .iter()
            .filter(|activation| activation.effective <= now)
        {
            (activation.revision, activation.effective.as_micros()).hash(&mut hasher);
        }
        // A plan answers for events from before it as soon as it has any revision.
        known.timeline.is_empty().hash(&mut hasher);
    }
    for (plan, revision) in state.quarantines.keys() {
        (plan.as_str(), revision).hash(&mut hasher);
    }
    hasher.finish()
}

/// Calls `touch` with each wallet of the tenant in which something waits for a price. False: `pause` said to stop.
fn look(
    store: &dyn Store,
    tenant: &TenantId,
    touch: impl Fn(WalletKey),
    pause: &impl Fn() -> bool,
) -> Result<bool, StoreError> {
    let header = Part::Header.key();
    let mut after: Option<String> = None;
    loop {
        let keys = store.wallets(tenant.as_str(), after.as_deref(), RATE_WALLETS_PER_PAGE)?;
        let Some(last) = keys.last() else { return Ok(true) };
        after = Some(last.wallet().to_string());
        for key in keys {
            let Some(bytes) = store.part(&key, &header)? else {
                continue;
            };
            match codec::decode::<Header>(&bytes) {
                Ok(header) if header.unpriced > 0 => touch(key),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(wallet = ?key, %error, "a wallet cannot be read; what waits in it is left")
                }
            }
        }
        if !pause() {
            return Ok(false);
        }
    }
}
