//! Instants and periods, as the host hands them over. A plan has no clock.

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::{Overflow, Share};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instant(i64);

impl Instant {
    /// So many microseconds after 1970 began.
    pub const fn from_micros(micros: i64) -> Instant {
        Instant(micros)
    }

    /// Microseconds since 1970 began.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// So many seconds later (earlier, if negative). Stays at the end of time rather than wrap.
    pub const fn plus_seconds(self, seconds: i64) -> Instant {
        Instant(self.0.saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    /// So many times 24 hours later (earlier, if negative). Stays at the end of time rather than wrap.
    pub const fn plus_days(self, days: i64) -> Instant {
        Instant(self.0.saturating_add(days.saturating_mul(MICROS_PER_DAY)))
    }

    /// 00:00 UTC of its day.
    pub const fn start_of_day(self) -> Instant {
        Instant(self.0.saturating_sub(self.0.rem_euclid(MICROS_PER_DAY)))
    }
}

/// A billing period of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first instant of it.
    pub start: Instant,
    /// Exclusive: an event at `end` belongs to the next period.
    pub end: Instant,
    /// 0 for the period in which the subscription started.
    pub index: u32,
}

impl Period {
    /// The part of `amount` that the rest of the period from `at` on is worth, rounded once, half to even.
    pub fn prorate(&self, amount: Nanos, at: Instant) -> Result<Nanos, Overflow> {
        self.rest(at).of(amount)
    }

    /// How much of the period is left at `at`, exactly: all of it before its start, nothing at its end.
    pub fn rest(&self, at: Instant) -> Share {
        self.between(at, self.end)
    }

    /// How much of the period lies between two instants, exactly; what lies outside of it does not count.
    pub fn between(&self, from: Instant, until: Instant) -> Share {
        let length = |from: Instant, until: Instant| i128::from(until.0) - i128::from(from.0);
        let (from, until) = (from.max(self.start), until.min(self.end));
        Share::new(length(from, until), length(self.start, self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_utc() {
        let noon = Instant::from_micros(MICROS_PER_DAY * 3 / 2);
        assert_eq!(noon.start_of_day(), Instant::from_micros(MICROS_PER_DAY));
        assert_eq!(
            Instant::from_micros(-1).start_of_day(),
            Instant::from_micros(-MICROS_PER_DAY)
        );
        assert_eq!(noon.plus_days(1).plus_seconds(-86_400), noon);
    }

    #[test]
    fn proration_by_hand() {
        let start = Instant::from_micros(0);
        let period = Period {
            start,
            end: start.plus_days(30),
            index: 0,
        };
        let prorate = |days| {
            period
                .prorate(Nanos::units(20), start.plus_days(days))
                .unwrap()
                .to_string()
        };
        assert_eq!(
            [prorate(0), prorate(15), prorate(20), prorate(30), prorate(31)],
            ["20", "10", "6.666666667", "0", "0"]
        );
        assert_eq!(prorate(-1), "20");
    }
}
