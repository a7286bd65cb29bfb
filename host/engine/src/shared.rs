//! What all threads of the engine share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use farebox_runtime::Runtime;
use farebox_store::Store;

use crate::clock::Clock;
use crate::controls::Controls;

/// See the module.
pub(crate) struct Shared {
    pub store: Arc<dyn Store>,
    pub runtime: Runtime,
    pub clock: Arc<dyn Clock>,
    pub controls: ArcSwap<Controls>,
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
            failed: AtomicBool::new(false),
            on_failure,
        }
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
