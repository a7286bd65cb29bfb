//! What has happened so far: shared by the clients, the screen and the proof.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rust_decimal::Decimal;

use crate::client::Revision;

/// Failures that are kept; more are only counted.
const FAILURES_KEPT: usize = 20;
/// Seconds of the sparkline.
pub const SECONDS_SHOWN: usize = 120;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Refused: which code, and what was asked for and there.
    Denied {
        /// The stable code.
        code: String,
        /// How much would have been needed.
        required: Option<Decimal>,
        /// How much was there.
        available: Option<Decimal>,
    },
    /// Charged: settled, or debited at once.
    Charged {
        /// How much.
        amount: Decimal,
        /// Whether its hold had expired.
        late: bool,
    },
    /// Given back.
    Released,
    /// Left to expire.
    Forgotten,
}

/// What is known of a request in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Index of its turn.
    pub turn: usize,
    /// The revision that quoted it; none where it was refused.
    pub revision: Option<Revision>,
    /// What was held for it; none where nothing was.
    pub held: Option<Decimal>,
    /// What became of it.
    pub fate: Fate,
}

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Of which request.
    pub turn: String,
    /// What happened.
    pub what: String,
}

/// Which call was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// An authorize, or a debit at once.
    Authorize,
    /// A settlement or a release.
    Settle,
}

/// Counters, sums and times.
#[derive(Debug)]
pub struct Tally {
    /// When the replay started.
    pub started: Instant,
    /// Times of authorizes, in microseconds.
    pub authorize_us: Histogram<u64>,
    /// Times of settlements, in microseconds.
    pub settle_us: Histogram<u64>,
    /// Requests that may go ahead.
    pub allowed: u64,
    /// Requests that may not.
    pub denied: u64,
    /// Settlements and debits.
    pub charged: u64,
    /// Settlements after expiry.
    pub late: u64,
    /// Releases.
    pub released: u64,
    /// Holds left to expire.
    pub forgotten: u64,
    /// Requests sent again.
    pub retried: u64,
    /// What was charged.
    pub revenue: Decimal,
    /// Requests by the revision that quoted them.
    pub by_revision: BTreeMap<Revision, u64>,
    /// The newest balance that was answered, by index of the customer.
    pub available: Vec<Option<Decimal>>,
    /// What is known of every request that is over.
    pub records: Vec<Record>,
    /// What must not happen.
    pub failures: Vec<Failure>,
    /// How often it did.
    pub failed: u64,
    /// Decisions in each of the last seconds; the newest last.
    seconds: VecDeque<u64>,
    second: u64,
}

/// A tally that many tasks write to.
#[derive(Debug)]
pub struct SharedTally(Mutex<Tally>);

impl SharedTally {
    /// Empty.
    pub fn new(customers: usize) -> anyhow::Result<SharedTally> {
        // From 1 us to 2 minutes, to three digits.
        let times = || Histogram::new_with_bounds(1, 120_000_000, 3);
        Ok(SharedTally(Mutex::new(Tally {
            started: Instant::now(),
            authorize_us: times()?,
            settle_us: times()?,
            allowed: 0,
            denied: 0,
            charged: 0,
            late: 0,
            released: 0,
            forgotten: 0,
            retried: 0,
            revenue: Decimal::ZERO,
            by_revision: BTreeMap::new(),
            available: vec![None; customers],
            records: Vec::new(),
            failures: Vec::new(),
            failed: 0,
            seconds: VecDeque::from([0]),
            second: 0,
        })))
    }

    /// Exclusive, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// A call took so long.
    pub fn took(&mut self, which: Timed, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        match which {
            Timed::Authorize => self.authorize_us.saturating_record(micros),
            Timed::Settle => self.settle_us.saturating_record(micros),
        }
        if which == Timed::Authorize {
            self.advance();
            if let Some(newest) = self.seconds.back_mut() {
                *newest += 1;
            }
        }
    }

    /// A request is over.
    pub fn over(&mut self, record: Record) {
        match &record.fate {
            Fate::Denied { .. } => self.denied += 1,
            Fate::Charged { amount, late } => {
                self.charged += 1;
                self.late += u64::from(*late);
                self.revenue += *amount;
            }
            Fate::Released => self.released += 1,
            Fate::Forgotten => self.forgotten += 1,
        }
        if let Some(revision) = &record.revision {
            self.allowed += 1;
            *self.by_revision.entry(revision.clone()).or_default() += 1;
        }
        self.records.push(record);
    }

    /// Something happened that must not.
    pub fn failed(&mut self, turn: &str, what: impl Into<String>) {
        self.failed += 1;
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(Failure {
                turn: turn.to_string(),
                what: what.into(),
            });
        }
    }

    /// Decisions so far, refusals included.
    pub fn decisions(&self) -> u64 {
        self.authorize_us.len()
    }

    /// Decisions of each of the last seconds, the present one left out.
    pub fn per_second(&mut self) -> Vec<u64> {
        self.advance();
        let whole = self.seconds.len() - 1;
        self.seconds.iter().take(whole).copied().collect()
    }

    /// Makes room for the seconds that passed.
    fn advance(&mut self) {
        let now = self.started.elapsed().as_secs();
        while self.second < now {
            self.second += 1;
            self.seconds.push_back(0);
            if self.seconds.len() > SECONDS_SHOWN {
                self.seconds.pop_front();
            }
        }
    }
}

/// A time of a histogram: `p50 0.8 ms`.
pub fn milliseconds(times: &Histogram<u64>, quantile: f64) -> String {
    let micros = times.value_at_quantile(quantile);
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_times() {
        let shared = SharedTally::new(1).unwrap();
        let mut tally = shared.lock();
        for micros in 1..=1_000 {
            tally.took(Timed::Authorize, Duration::from_micros(micros * 10));
        }
        assert_eq!(milliseconds(&tally.authorize_us, 0.5), "5.00 ms");
        assert_eq!(milliseconds(&tally.authorize_us, 0.99), "9.90 ms");
        assert_eq!(tally.decisions(), 1_000);
    }

    #[test]
    fn sums_follow_the_records() {
        let shared = SharedTally::new(1).unwrap();
        let mut tally = shared.lock();
        let revision = Revision {
            component: "c".into(),
            parameters: "p".into(),
        };
        let record = |revision: Option<&Revision>, fate| Record {
            turn: 0,
            revision: revision.cloned(),
            held: None,
            fate,
        };
        tally.over(record(
            Some(&revision),
            Fate::Charged {
                amount: Decimal::new(5, 2),
                late: true,
            },
        ));
        tally.over(record(Some(&revision), Fate::Released));
        tally.over(record(
            None,
            Fate::Denied {
                code: "debt".into(),
                required: None,
                available: None,
            },
        ));
        assert_eq!(
            (tally.allowed, tally.denied, tally.charged, tally.late),
            (2, 1, 1, 1)
        );
        assert_eq!(tally.revenue.to_string(), "0.05");
        assert_eq!(tally.by_revision.get(&revision), Some(&2));
    }
}
