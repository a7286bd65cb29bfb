//! A spending limit, counted without any of the ledger's code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use farebox_record::event::Attributes;
use farebox_record::ids::LimitName;
use farebox_record::plan::EventRef;
use farebox_record::spending::{CalendarUnit, LimitTerms, Scope, Threshold, Window};

use super::dates::{DAY, date};

/// One limit, counted naively.
#[derive(Debug, Clone)]
pub struct Tally {
    pub terms: LimitTerms,
    /// What is in the present window, oldest first, with its time.
    parts: VecDeque<(i64, i128)>,
    /// What each call counts for.
    pub calls: BTreeMap<EventRef, i128>,
    announced: BTreeSet<String>,
    /// The window of the calendar that was counted last.
    window: Option<i64>,
}

impl Tally {
    pub fn new(terms: &LimitTerms) -> Tally {
        Tally {
            terms: terms.clone(),
            parts: VecDeque::new(),
            calls: BTreeMap::new(),
            announced: BTreeSet::new(),
            window: None,
        }
    }

    pub fn change(&mut self, terms: &LimitTerms, at: i64) {
        if !self.counts_as(terms) {
            *self = Tally::new(terms);
            return;
        }
        self.move_on(at);
        self.terms = terms.clone();
        self.forget_unreached();
    }

    /// Whether it counts the same under other terms.
    pub fn counts_as(&self, terms: &LimitTerms) -> bool {
        let same = (&self.terms.asset, &self.terms.scope, self.terms.window);
        same == (&terms.asset, &terms.scope, terms.window)
    }

    /// Whether the window that holds `now` began at `then` or before, both in seconds.
    pub fn reaches(&self, then: i64, now: i64) -> bool {
        match self.terms.window {
            Window::Calendar(unit) => calendar(unit, then) >= calendar(unit, now),
            Window::Rolling { step, steps } => {
                let step = step.as_micros() / 1_000_000;
                then / step + i64::from(steps) >= now / step
            }
        }
    }

    pub fn used(&self) -> i128 {
        self.parts.iter().map(|(_, amount)| amount).sum()
    }

    pub fn add(&mut self, at: i64, change: i128) {
        if change == 0 {
            return;
        }
        self.move_on(at);
        if change > 0 {
            self.parts.push_back((at, change));
            return;
        }
        let mut back = -change;
        while let Some((_, amount)) = self.parts.front_mut() {
            let taken = back.min(*amount);
            *amount -= taken;
            back -= taken;
            if *amount > 0 {
                break;
            }
            self.parts.pop_front();
        }
        self.arm();
    }

    /// Forgets what is outside of the window that holds `at`, in seconds.
    pub fn move_on(&mut self, at: i64) {
        match self.terms.window {
            Window::Calendar(unit) => {
                let window = Some(calendar(unit, at));
                if self.window != window {
                    self.window = window;
                    self.parts.clear();
                    self.announced.clear();
                }
            }
            Window::Rolling { step, steps } => {
                let step = step.as_micros() / 1_000_000;
                let inside = |then: i64| then / step + i64::from(steps) >= at / step;
                self.parts.retain(|(then, _)| inside(*then));
                self.arm();
            }
        }
    }

    /// A rolling window announces again what usage fell below.
    fn arm(&mut self) {
        if matches!(self.terms.window, Window::Rolling { .. }) {
            self.forget_unreached();
        }
    }

    /// Forgets the announcements of thresholds that are not there any more, or are not reached.
    fn forget_unreached(&mut self) {
        let levels = self.levels();
        let reached: BTreeSet<&String> = levels.iter().filter(|l| l.2).map(|(text, ..)| text).collect();
        self.announced.retain(|text| reached.contains(text));
    }

    /// Thresholds, each with its level in hundredths of a nano, and whether it is reached.
    fn levels(&self) -> Vec<(String, i128, bool)> {
        let used = self.used();
        let level = |threshold: &Threshold| match threshold {
            Threshold::Percent(percent) => (
                format!("{percent}%"),
                self.terms.amount.get() * i128::from(*percent),
            ),
            Threshold::Amount(amount) => (amount.to_string(), amount.get() * 100),
        };
        let levels = self.terms.thresholds.iter().map(level);
        levels
            .map(|(text, level)| (text, level, used > 0 && used * 100 >= level))
            .collect()
    }

    pub fn announce(&mut self, name: &LimitName, announced: &mut Vec<String>) {
        let mut levels = self.levels();
        // A part of a nano counts as a whole one.
        levels.sort_by_key(|(_, level, _)| (level + 99) / 100);
        for (text, _, reached) in levels {
            if reached && self.announced.insert(text.clone()) {
                let used = farebox_money::Nanos::new(self.used());
                announced.push(format!("{name} {text} at {used}"));
            }
        }
    }
}

/// Whether an event with `attributes` counts towards a limit of this scope.
pub fn is_within(scope: &Scope, attributes: &Attributes) -> bool {
    for (name, value) in &scope.0 {
        match attributes.get(name) {
            Some(said) if said == value => {}
            _ => return false,
        }
    }
    true
}

/// A number for the window of the calendar that holds `at`.
fn calendar(unit: CalendarUnit, at: i64) -> i64 {
    let day = at.div_euclid(DAY);
    let (year, month, _) = date(day);
    match unit {
        CalendarUnit::Hour => at / 3_600,
        CalendarUnit::Day => day,
        // 1 January 1970 was a Thursday, three days after a Monday.
        CalendarUnit::Week => (day + 3) / 7,
        CalendarUnit::Month => year * 12 + month,
        CalendarUnit::Year => year,
    }
}
