//! Whether a revision is slow: what tells whoever has others to serve to ask it where nobody else waits.
//!
//! A call may take [`Limits::quick_fuel_per_call`], and [`Limits::quick_fuel_per_trigger`] for each trigger; what a revision
//! takes beyond that it owes, and what it takes less it makes good. One that owes more than [`Limits::owed_fuel_tolerated`] is
//! slow. By fuel and not by the clock, so that the same calls are judged alike on each machine, and a run can be repeated.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::limits::Limits;
use crate::plan::Plan;

/// What a revision owes.
#[derive(Debug)]
pub(crate) struct Pace {
    owed: AtomicI64,
}

impl Pace {
    /// That of a revision which has answered nothing yet. A first trigger that is quick makes it so.
    pub(crate) fn unknown(limits: &Limits) -> Pace {
        Pace {
            owed: AtomicI64::new(fuel(limits.owed_fuel_tolerated).saturating_add(1)),
        }
    }

    pub(crate) fn is_slow(&self, limits: &Limits) -> bool {
        self.owed.load(Ordering::Relaxed) > fuel(limits.owed_fuel_tolerated)
    }

    /// A call of a plan took so much.
    pub(crate) fn took(&self, taken: u64, plan: &Plan) {
        let was_slow = self.is_slow(&plan.limits);
        self.owe(taken, &plan.limits);
        if !was_slow && self.is_slow(&plan.limits) {
            let (name, component) = (&plan.description.name, plan.hash);
            tracing::info!(name, %component, "a plan takes long, and is asked where nobody else waits for it");
        }
    }

    fn owe(&self, taken: u64, limits: &Limits) {
        let (most, allowed) = (fuel(limits.owed_fuel_max), fuel(limits.quick_fuel_per_call));
        self.change(|owed| {
            owed.saturating_add(fuel(taken))
                .saturating_sub(allowed)
                .clamp(0, most)
        });
    }

    /// So many triggers were answered.
    pub(crate) fn answered(&self, triggers: usize, limits: &Limits) {
        let allowed = fuel(limits.quick_fuel_per_trigger.saturating_mul(triggers as u64));
        // Nothing is saved up: what is quick for a day must not stall anybody the day after.
        self.change(|owed| owed.saturating_sub(allowed).max(0));
    }

    fn change(&self, change: impl Fn(i64) -> i64) {
        let update = |owed| Some(change(owed));
        let _ = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update); // always has a next
    }
}

fn fuel(fuel: u64) -> i64 {
    i64::try_from(fuel).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            quick_fuel_per_call: 10,
            quick_fuel_per_trigger: 100,
            owed_fuel_tolerated: 1_000,
            owed_fuel_max: 3_000,
            ..Limits::default()
        }
    }

    /// A call of so many triggers.
    fn call(pace: &Pace, fuel: u64, triggers: usize) {
        pace.owe(fuel, &limits());
        pace.answered(triggers, &limits());
    }

    #[test]
    fn one_that_has_answered_nothing_is_slow_until_it_answers_quickly() {
        let pace = Pace::unknown(&limits());
        assert!(pace.is_slow(&limits()));
        call(&pace, 109, 1);
        assert!(!pace.is_slow(&limits()));
    }

    #[test]
    fn quick_triggers_save_nothing_up() {
        let pace = Pace::unknown(&limits());
        call(&pace, 0, 1_000);
        call(&pace, 1_010, 0);
        assert!(!pace.is_slow(&limits()));
        call(&pace, 11, 0);
        assert!(pace.is_slow(&limits()));
    }

    #[test]
    fn it_owes_so_much_and_no_more() {
        let pace = Pace::unknown(&limits());
        call(&pace, 1_000_000, 0);
        // 3,000 are owed. A first trigger takes 50 beyond what a call may, which are more than can be owed, and makes good
        // 100; 37 further ones make good 50 each: 1,050 are left.
        for _ in 0..38 {
            call(&pace, 60, 1);
        }
        assert!(pace.is_slow(&limits()));
        call(&pace, 60, 1);
        assert!(!pace.is_slow(&limits()), "1,000 are tolerated");
    }

    #[test]
    fn what_takes_as_much_as_it_may_on_average_is_never_slow() {
        let pace = Pace::unknown(&limits());
        call(&pace, 0, 1);
        for _ in 0..10_000 {
            call(&pace, 910, 9);
        }
        assert!(!pace.is_slow(&limits()));
    }

    #[test]
    fn two_calls_that_run_to_their_limit_are_tolerated() {
        let limits = Limits::default();
        let pace = Pace::unknown(&limits);
        pace.answered(1_000_000, &limits);
        let mut calls = 0;
        while !pace.is_slow(&limits) {
            pace.owe(limits.fuel_per_call, &limits);
            pace.answered(1, &limits);
            calls += 1;
        }
        assert_eq!(calls, 3);
    }
}
