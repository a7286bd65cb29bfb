//! The only clock. Everything else is told the time. A sandbox's time is no clock: it stands in its tenant's control plane,
//! see [`crate::Controls::sandbox_clock`].

use std::sync::atomic::{AtomicI64, Ordering};

use farebox_record::ids::TenantId;
use farebox_record::time::{Span, Timestamp};

/// Tells a live tenant's time. Never steps back.
pub trait Clock: Send + Sync + 'static {
    /// Now, for this tenant.
    fn now(&self, tenant: &TenantId) -> Timestamp;
}

/// The machine's wall clock, held where it is whenever the machine's steps back.
#[derive(Debug, Default)]
pub struct SystemClock {
    latest: AtomicI64,
}

impl Clock for SystemClock {
    fn now(&self, _: &TenantId) -> Timestamp {
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Timestamp::from_micros(self.latest.fetch_max(wall, Ordering::Relaxed).max(wall))
    }
}

/// A clock that stands still until it is told to move: for tests, and for anything that replays.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> ManualClock {
        ManualClock {
            now: AtomicI64::new(start.as_micros()),
        }
    }

    /// Moves on by `span`.
    pub fn advance(&self, span: Span) {
        self.now.fetch_add(span.as_micros(), Ordering::SeqCst);
    }

    /// Moves on to `instant`; an earlier one changes nothing.
    pub fn advance_to(&self, instant: Timestamp) {
        self.now.fetch_max(instant.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self, _: &TenantId) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }
}
