//! What all threads of the engine share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use farebox_record::ids::{CallId, TenantId};
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;
use farebox_store::Store;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::controls::Controls;

/// See the module.
pub(crate) struct Shared {
    pub store: Arc<dyn Store>,
    pub runtime: Runtime,
    pub clock: Arc<dyn Clock>,
    pub controls: ArcSwap<Controls>,
    /// Sandboxes whose clock is being advanced by this process.
    advancing: Mutex<BTreeSet<TenantId>>,
    /// Backfills that are being carried out by this process.
    backfilling: Mutex<BTreeSet<(TenantId, CallId)>>,
    failed: AtomicBool,
    on_failure: Box<dyn Fn(&str) + Send + Sync>,
}

impl Shared {
    pub fn new(
        store: Arc<dyn Store>,
        runtime: Runtime,
        clock: Arc<dyn Clock>,
        controls: Controls,
        on_failure: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Shared {
        let controls = ArcSwap::from_pointee(controls);
        Shared {
            store,
            runtime,
            clock,
            controls,
            advancing: Mutex::default(),
            backfilling: Mutex::default(),
            failed: AtomicBool::new(false),
            on_failure,
        }
    }

    /// The same, with a store whose commits are only tried out.
    pub fn rehearsing(&self, store: Arc<dyn Store>) -> Shared {
        let controls = Controls::clone(&self.controls.load());
        let (runtime, clock) = (self.runtime.clone(), Arc::clone(&self.clock));
        Shared::new(store, runtime, clock, controls, Box::new(|_| {}))
    }

    /// Now, for this tenant.
    pub fn now(&self, tenant: &TenantId) -> Timestamp {
        self.controls.load().now(&*self.clock, tenant)
    }

    /// Reserves the clock of a sandbox for one advance, until what is returned is dropped; none: another has it.
    pub fn begin_advance(self: &Arc<Shared>, tenant: &TenantId) -> Option<Advancing> {
        self.advancing.lock().insert(tenant.clone()).then(|| Advancing {
            shared: Arc::clone(self),
            tenant: tenant.clone(),
        })
    }

    /// Reserves a backfill for one request, until what is returned is dropped; none: another has it.
    pub fn begin_backfill(self: &Arc<Shared>, tenant: &TenantId, id: &CallId) -> Option<Backfilling> {
        let name = (tenant.clone(), id.clone());
        self.backfilling.lock().insert(name.clone()).then(|| Backfilling {
            shared: Arc::clone(self),
            name,
        })
    }

    /// Whether an advance has this tenant's clock, and does what falls due itself.
    pub fn is_advancing(&self, tenant: &TenantId) -> bool {
        self.advancing.lock().contains(tenant)
    }

    /// Fail-stop: nothing is accepted any more. Told once.
    pub fn fail(&self, why: &str) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            tracing::error!(
                reason = why,
                "Farebox stops; it recovers to the last durable answer at the next start"
            );
            (self.on_failure)(why);
        }
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}

/// A backfill, reserved for one request.
pub(crate) struct Backfilling {
    shared: Arc<Shared>,
    name: (TenantId, CallId),
}

impl Drop for Backfilling {
    fn drop(&mut self) {
        self.shared.backfilling.lock().remove(&self.name);
    }
}

/// A sandbox's clock, reserved for one advance.
pub(crate) struct Advancing {
    shared: Arc<Shared>,
    tenant: TenantId,
}

impl Drop for Advancing {
    fn drop(&mut self) {
        self.shared.advancing.lock().remove(&self.tenant);
    }
}
