//! One spending limit, counted by hand.

use std::collections::BTreeMap;

use farebox_money::Nanos;
use farebox_record::event::Attributes;
use farebox_record::ids::LimitName;
use farebox_record::plan::EventRef;
use farebox_record::spending::{CrossedThreshold, LimitTerms, Scope, Threshold};
use farebox_record::time::Timestamp;

use crate::window::Counter;

/// Whether an event with these attributes counts towards limits of this scope: it has all that the scope names.
pub(super) fn is_within(scope: &Scope, attributes: &Attributes) -> bool {
    let missing = scope
        .0
        .iter()
        .find(|(name, value)| attributes.get(name).is_none_or(|own| own != value));
    missing.is_none()
}

/// A limit, as it counts.
#[derive(Debug)]
pub(super) struct Limit {
    pub terms: LimitTerms,
    /// Since when it counts.
    pub since: Timestamp,
    pub counter: Counter,
    pub announced: Vec<Threshold>,
    /// What events count for by now, those that were charged since the limit is there.
    pub calls: BTreeMap<EventRef, i128>,
}

impl Limit {
    /// Goes on to `at`: what is no longer inside does not count.
    pub fn move_on(&mut self, at: Timestamp) {
        match self.counter.move_on(at) {
            true => self.announced.clear(),
            false if self.counter.is_rolling() => self.forget_unreached(),
            false => {}
        }
    }

    /// Counts something, and announces what that reaches.
    pub fn add(
        &mut self,
        name: &LimitName,
        at: Timestamp,
        amount: i128,
        announced: &mut Vec<CrossedThreshold>,
    ) {
        if amount == 0 {
            return;
        }
        self.counter.add(at, amount);
        if self.counter.is_rolling() {
            self.forget_unreached();
        }
        self.announce(name, at, announced);
    }

    /// The least usage that reaches a threshold, in nanos.
    fn level(&self, threshold: Threshold) -> i128 {
        match threshold {
            Threshold::Amount(amount) => amount.get(),
            Threshold::Percent(percent) => {
                let hundredths = self.terms.amount.get() * i128::from(percent);
                (hundredths + 99) / 100
            }
        }
    }

    fn is_reached(&self, threshold: Threshold) -> bool {
        let used = self.counter.used();
        used > 0 && used >= self.level(threshold)
    }

    /// What was announced and is not reached may be announced again.
    pub fn forget_unreached(&mut self) {
        let announced = std::mem::take(&mut self.announced);
        let still =
            |threshold: &Threshold| self.terms.thresholds.contains(threshold) && self.is_reached(*threshold);
        self.announced = announced.into_iter().filter(still).collect();
    }

    /// Announces what is reached and was not announced, the lowest first.
    pub fn announce(&mut self, name: &LimitName, at: Timestamp, announced: &mut Vec<CrossedThreshold>) {
        let mut new: Vec<Threshold> = self.terms.thresholds.clone();
        new.retain(|threshold| self.is_reached(*threshold) && !self.announced.contains(threshold));
        new.sort_by_key(|threshold| self.level(*threshold));
        let (window_start, window_end) = self.counter.bounds(at);
        for threshold in new {
            self.announced.push(threshold);
            announced.push(CrossedThreshold {
                limit: name.clone(),
                level: self.terms.scope.to_string(),
                asset: self.terms.asset.clone(),
                amount: self.terms.amount,
                threshold,
                at_usage: Nanos::new(self.level(threshold)),
                used: Nanos::new(self.counter.used()),
                window_start,
                window_end,
            });
        }
    }
}
