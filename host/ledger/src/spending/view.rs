//! A limit as it is at some instant.

use farebox_money::Nanos;
use farebox_record::spending::{LimitState, Threshold};
use farebox_record::time::Timestamp;

use crate::spending::window::{bounds, move_on, used_at};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// What is used in the window that holds the instant.
    pub used: Nanos,
    /// What open holds have set aside.
    pub held: Nanos,
    /// What is left; zero where more is used and held than the limit allows.
    pub available: Nanos,
    /// When the window began; of a rolling one, the oldest instant that may still count.
    pub window_start: Timestamp,
    /// When the window ends; none for a rolling one.
    pub window_end: Option<Timestamp>,
    /// Thresholds that were announced in it.
    pub crossed: Vec<Threshold>,
}

impl LimitView {
    /// The limit at `at`, which is not before the newest event that it counted.
    pub fn at(limit: &LimitState, at: Timestamp) -> LimitView {
        let mut present = limit.clone();
        move_on(&mut present, at);
        let used = used_at(&present, at);
        let left = limit.terms.amount.get() - used.get() - limit.held.get();
        let (window_start, window_end) = bounds(limit.terms.window, at);
        LimitView {
            used,
            held: limit.held,
            available: Nanos::new(left.max(0)),
            window_start,
            window_end,
            crossed: present.crossed,
        }
    }
}
