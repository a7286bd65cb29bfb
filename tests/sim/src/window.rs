//! What is used in a window of time, naively: each part with the microsecond at which it was posted.

use std::collections::VecDeque;

use farebox_record::spending::{CalendarUnit, Window};
use farebox_record::time::Timestamp;

use crate::calendar::{DAY, date, days};

/// See the module.
#[derive(Debug)]
pub struct Counter {
    window: Window,
    /// Beginning of the window of the calendar that is counted.
    start: Timestamp,
    /// Oldest first.
    parts: VecDeque<(i64, i128)>,
}

impl Counter {
    /// Nothing is used yet.
    pub fn new(window: Window, at: Timestamp) -> Counter {
        let start = bounds(window, at).0;
        Counter {
            window,
            start,
            parts: VecDeque::new(),
        }
    }

    /// Whether it has no end that all of it shares.
    pub fn is_rolling(&self) -> bool {
        matches!(self.window, Window::Rolling { .. })
    }

    /// What is used in the window that was moved to last.
    pub fn used(&self) -> i128 {
        self.parts.iter().map(|(_, amount)| amount).sum()
    }

    /// Beginning and end of the window that holds an instant.
    pub fn bounds(&self, at: Timestamp) -> (Timestamp, Option<Timestamp>) {
        bounds(self.window, at)
    }

    /// Forgets what is no longer inside. True: a new window of the calendar began.
    pub fn move_on(&mut self, at: Timestamp) -> bool {
        let start = bounds(self.window, at).0;
        match self.window {
            Window::Calendar(_) => {
                let is_new = self.start != start;
                if is_new {
                    self.start = start;
                    self.parts.clear();
                }
                is_new
            }
            Window::Rolling { .. } => {
                self.parts.retain(|(then, _)| *then >= start.as_micros());
                false
            }
        }
    }

    /// Counts something in the window that holds `at`; what is taken back leaves with the oldest, and no more than there is.
    pub fn add(&mut self, at: Timestamp, amount: i128) {
        if amount > 0 {
            self.parts.push_back((at.as_micros(), amount));
            return;
        }
        let mut back = -amount;
        while let Some((_, part)) = self.parts.front_mut() {
            let taken = back.min(*part);
            *part -= taken;
            back -= taken;
            if *part > 0 {
                break;
            }
            self.parts.pop_front();
        }
    }

    /// When so much is free that is not at `at`, or all is that ever will be. None: no time frees anything.
    pub fn fits(&self, at: Timestamp, missing: i128) -> Option<Timestamp> {
        let Window::Rolling { step, steps } = self.window else {
            return bounds(self.window, at).1;
        };
        let leaves = |then: i64| {
            let step = step.as_micros();
            (then.div_euclid(step) + i64::from(steps) + 1) * step
        };
        let mut freed = 0;
        let mut when = None;
        let mut parts = self.parts.iter().peekable();
        while let Some((then, amount)) = parts.next() {
            freed += amount;
            when = Some(Timestamp::from_micros(leaves(*then)));
            let is_same_step = parts
                .peek()
                .is_some_and(|(next, _)| leaves(*next) == leaves(*then));
            if freed >= missing && !is_same_step {
                break;
            }
        }
        when
    }
}

fn bounds(window: Window, at: Timestamp) -> (Timestamp, Option<Timestamp>) {
    let micros = at.as_micros();
    let unit = match window {
        Window::Calendar(unit) => unit,
        Window::Rolling { step, steps } => {
            let step = step.as_micros();
            let oldest = micros.div_euclid(step) - i64::from(steps);
            return (Timestamp::from_micros(oldest * step), None);
        }
    };
    let even = |length: i64, origin: i64| {
        let start = micros - (micros - origin).rem_euclid(length);
        (start, start + length)
    };
    let (year, month, _) = date(micros.div_euclid(DAY));
    let (start, end) = match unit {
        CalendarUnit::Hour => even(DAY / 24, 0),
        CalendarUnit::Day => even(DAY, 0),
        // 5 January 1970 was a Monday.
        CalendarUnit::Week => even(7 * DAY, 4 * DAY),
        CalendarUnit::Month => {
            let next = if month == 12 {
                days(year + 1, 1, 1)
            } else {
                days(year, month + 1, 1)
            };
            (days(year, month, 1) * DAY, next * DAY)
        }
        CalendarUnit::Year => (days(year, 1, 1) * DAY, days(year + 1, 1, 1) * DAY),
    };
    (Timestamp::from_micros(start), Some(Timestamp::from_micros(end)))
}
