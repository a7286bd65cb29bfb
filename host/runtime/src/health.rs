//! How a revision behaves in service, and when it is taken out of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::limits::Limits;

/// Why a revision is quarantined. It stays so for good: the code will not become another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quarantine {
    /// A trigger had another answer alone than within its batch: something leaked from one trigger to another.
    Differs {
        /// The two answers, shortened.
        detail: String,
    },
    /// It failed too often.
    Faults {
        /// The last failure.
        last: String,
        /// How many were too many (`faults_tolerated`).
        tolerated: u32,
    },
}

impl std::fmt::Display for Quarantine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Quarantine::Differs { detail } => {
                write!(
                    f,
                    "a trigger was answered differently alone than within its batch: {detail}"
                )
            }
            Quarantine::Faults { last, tolerated } => {
                write!(
                    f,
                    "it failed too often (faults_tolerated = {tolerated}); last: {last}"
                )
            }
        }
    }
}

/// What a revision did since it was prepared in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Triggers that it answered, with a price or a rejection.
    pub answered: u64,
    /// Batches and single calls.
    pub calls: u64,
    /// Batches that had to be evaluated one trigger at a time.
    pub alone: u64,
    /// Failures that were the plan's.
    pub faults: u64,
    /// Calls that the machine kept from an answer.
    pub interrupted: u64,
    /// Triggers that were evaluated again alone to compare.
    pub samples: u64,
    /// Fuel of all calls.
    pub fuel: u64,
    /// Why it is quarantined, if it is.
    pub quarantine: Option<Quarantine>,
}

/// The counters behind [`Health`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    answered: AtomicU64,
    calls: AtomicU64,
    alone: AtomicU64,
    faults: AtomicU64,
    interrupted: AtomicU64,
    samples: AtomicU64,
    fuel: AtomicU64,
    /// Triggers that shared a batch: what the choice of samples counts.
    shared: AtomicU64,
    /// Grows with each fault, shrinks with each answer, never below zero for long.
    strikes: AtomicI64,
    quarantine: OnceLock<Quarantine>,
}

impl Counters {
    pub(crate) fn health(&self) -> Health {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Health {
            answered: read(&self.answered),
            calls: read(&self.calls),
            alone: read(&self.alone),
            faults: read(&self.faults),
            interrupted: read(&self.interrupted),
            samples: read(&self.samples),
            fuel: read(&self.fuel),
            quarantine: self.quarantine.get().cloned(),
        }
    }

    pub(crate) fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.get()
    }

    pub(crate) fn called(&self, fuel: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    pub(crate) fn went_alone(&self) {
        self.alone.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn interrupted(&self) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
    }

    /// `triggers` were answered, which makes up for some faults.
    pub(crate) fn answered(&self, triggers: usize) {
        let triggers = triggers as u64;
        self.answered.fetch_add(triggers, Ordering::Relaxed);
        if self.strikes.load(Ordering::Relaxed) > 0 {
            self.strikes
                .fetch_sub(i64::try_from(triggers).unwrap_or(i64::MAX), Ordering::Relaxed);
        } else {
            // Good behaviour is not saved up against later faults.
            self.strikes.store(0, Ordering::Relaxed);
        }
    }

    /// A trigger failed, and the plan is to blame.
    pub(crate) fn failed(&self, fault: &dyn std::fmt::Display, limits: &Limits) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        let weight = i64::from(limits.fault_forgiven_after_triggers);
        let strikes = self
            .strikes
            .fetch_add(weight, Ordering::Relaxed)
            .max(0)
            .saturating_add(weight);
        if strikes > weight.saturating_mul(i64::from(limits.faults_tolerated)) {
            self.take_out(Quarantine::Faults {
                last: fault.to_string(),
                tolerated: limits.faults_tolerated,
            });
        }
    }

    /// Quarantines for good; the first reason stands.
    pub(crate) fn take_out(&self, reason: Quarantine) {
        let mut first = false;
        let reason = self.quarantine.get_or_init(|| {
            first = true;
            reason
        });
        if first {
            tracing::error!(%reason, "a revision of a plan is quarantined");
        }
    }

    /// Which of the `triggers` of a shared batch is to be evaluated again, if it is this batch's turn.
    ///
    /// By a counter, not by chance, so that a run can be repeated; scattered within the batch, so that a plan cannot
    /// know which position is looked at.
    pub(crate) fn sample(&self, triggers: usize, every: u64) -> Option<usize> {
        let shared = triggers as u64;
        if every == 0 || triggers < 2 {
            return None;
        }
        let before = self.shared.fetch_add(shared, Ordering::Relaxed);
        let turn = (before + shared) / every;
        if turn == before / every {
            return None;
        }
        self.samples.fetch_add(1, Ordering::Relaxed);
        usize::try_from(scatter(turn) % shared).ok()
    }
}

/// Spreads consecutive numbers (the finaliser of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trigger_in_so_many_is_sampled_whatever_the_size_of_the_batches() {
        for size in [2, 16, 100, 256] {
            let counters = Counters::default();
            let mut positions = std::collections::BTreeSet::new();
            let batches = 25_600 / size;
            let samples = (0..batches)
                .filter_map(|_| counters.sample(size, 256))
                .map(|i| positions.insert(i))
                .count();
            assert!((99..=101).contains(&samples), "{samples} of batches of {size}");
            assert!(positions.iter().all(|i| *i < size));
            assert!(positions.len() > 1, "always the same position of {size}");
        }
    }

    #[test]
    fn a_single_trigger_has_nobody_to_leak_to() {
        let counters = Counters::default();
        assert!((0..1_000).all(|_| counters.sample(1, 1).is_none()));
    }

    #[test]
    fn faults_add_up_and_are_forgiven() {
        let limits = Limits {
            faults_tolerated: 2,
            fault_forgiven_after_triggers: 10,
            ..Limits::default()
        };
        let counters = Counters::default();
        for _ in 0..50 {
            counters.failed(&"x", &limits);
            counters.answered(10);
        }
        assert_eq!(counters.quarantine(), None, "one in ten is forgiven each time");
        for _ in 0..3 {
            counters.failed(&"x", &limits);
        }
        assert!(matches!(
            counters.quarantine(),
            Some(Quarantine::Faults { tolerated: 2, .. })
        ));
    }
}
