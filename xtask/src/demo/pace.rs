//! How fast a trace is replayed, and how much of it.

use std::time::Duration;

use anyhow::ensure;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::trace::Request;

/// Requests a second that are sent on average at most; a denser trace is cut. Server and clients share this machine.
const REQUESTS_PER_SECOND_MAX: u64 = 500;
/// Of the minutes, the part in which requests start; the rest is for those that end late.
const SENDING_PER_CENT: u64 = 90;

/// Trace time against real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many requests of the trace are replayed.
    pub requests: usize,
    /// Thousandths: 60,000 is sixty times as fast as the trace.
    speed_milli: u64,
    /// Trace time of the last request, in microseconds.
    last_us: u64,
}

impl Pace {
    /// With a speed: everything that starts within the minutes. Without one: the whole trace, as fast as the
    /// minutes ask for, or as much of it as is not too dense for one machine.
    pub fn new(trace: &[Request], minutes: Decimal, speed: Option<Decimal>) -> anyhow::Result<Pace> {
        ensure!(!trace.is_empty(), "the trace holds no requests");
        ensure!(minutes > Decimal::ZERO, "--minutes must be more than zero");
        let wall_us = (minutes * Decimal::from(60_000_000)).to_u64().unwrap_or(u64::MAX);
        let sending_us = (u128::from(wall_us) * u128::from(SENDING_PER_CENT) / 100).max(1);
        let most = u128::from(REQUESTS_PER_SECOND_MAX) * sending_us / 1_000_000;
        let requests = trace
            .len()
            .min(usize::try_from(most.max(1)).unwrap_or(usize::MAX));
        let at = |index: usize| trace[index].at_us;
        if let Some(speed) = speed {
            let speed_milli = (speed * Decimal::ONE_THOUSAND).to_u64().unwrap_or(0);
            ensure!(speed_milli > 0, "--speed must be at least 0.001");
            let reached = sending_us * u128::from(speed_milli) / 1000;
            let requests = trace[..requests]
                .partition_point(|r| u128::from(r.at_us) <= reached)
                .max(1);
            return Ok(Pace {
                requests,
                speed_milli,
                last_us: at(requests - 1),
            });
        }
        let last_us = at(requests - 1);
        let speed = (u128::from(last_us) * 1000).div_ceil(sending_us).max(1);
        Ok(Pace {
            requests,
            speed_milli: u64::try_from(speed)?,
            last_us,
        })
    }

    /// When something of the trace happens, after the start.
    pub fn wall_at(&self, trace_us: u64) -> Duration {
        let micros = u128::from(trace_us) * 1000 / u128::from(self.speed_milli);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// When the last request starts.
    pub fn wall(&self) -> Duration {
        self.wall_at(self.last_us)
    }

    /// For people.
    pub fn described(&self) -> String {
        let speed = format!("{}.{}", self.speed_milli / 1000, self.speed_milli % 1000 / 100);
        format!(
            "{speed} times as fast as the trace, for {} s",
            self.wall().as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(count: u64, gap_us: u64) -> Vec<Request> {
        (0..count)
            .map(|i| Request {
                at_us: i * gap_us,
                context: 1,
                generated: 1,
            })
            .collect()
    }

    #[test]
    fn a_trace_fits_the_minutes() {
        let hour = trace(3_601, 1_000_000);
        let pace = Pace::new(&hour, Decimal::ONE, None).unwrap();
        assert_eq!((pace.requests, pace.speed_milli), (3_601, 66_667));
        assert_eq!(pace.wall().as_secs(), 53);
    }

    #[test]
    fn a_speed_cuts_what_does_not_fit() {
        let hour = trace(3_601, 1_000_000);
        let pace = Pace::new(&hour, Decimal::ONE, Some(Decimal::TEN)).unwrap();
        assert_eq!(pace.requests, 541); // 54 s of sending are 540 s of trace
        assert_eq!(pace.wall_at(10_000_000), Duration::from_secs(1));
    }

    #[test]
    fn a_dense_trace_is_cut() {
        let pace = Pace::new(&trace(100_000, 10), Decimal::ONE, None).unwrap();
        assert_eq!(pace.requests, 27_000);
        assert!(Pace::new(&[], Decimal::ONE, None).is_err());
        assert!(Pace::new(&trace(1, 1), Decimal::ZERO, None).is_err());
        assert_eq!(Pace::new(&trace(1, 1), Decimal::ONE, None).unwrap().requests, 1);
    }
}
