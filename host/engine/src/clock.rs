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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what cannot be has failed")]
mod tests {
    use super::*;

    #[test]
    fn it_stands_where_it_was_while_the_machines_time_is_earlier() {
        let tenant = TenantId::new("default").unwrap();
        let clock = SystemClock::default();
        let before = clock.now(&tenant);
        // The machine's clock was an hour ahead, and was put right.
        let ahead = before.saturating_add(Span::seconds(3_600));
        clock.latest.store(ahead.as_micros(), Ordering::Relaxed);
        assert_eq!((clock.now(&tenant), clock.now(&tenant)), (ahead, ahead));
        // It goes on with the machine's time once that is later.
        clock.latest.store(before.as_micros(), Ordering::Relaxed);
        assert!(clock.now(&tenant) >= before);
    }
}
