//! Telling a plan everything that can happen to a subscription.

use farebox_money::Nanos;
use farebox_record::event::Event;
use farebox_record::plan::{Category, RemainingGrant};
use farebox_record::time::Timestamp;
use farebox_runtime::{Change, Proration, Replacement, Verdict};

use super::super::report::Rule;
use super::Examiner;
use crate::probe::Probe;

impl Examiner<'_> {
    /// Something happens to the subscription before this event.
    pub(super) fn change(&mut self, event: &Event) {
        let at = event.time.unwrap_or(self.customer.period().start);
        let seats = self.customer.seats();
        let proration = match self.made.below(2) {
            0 => Proration::Wanted,
            _ => Proration::Unwanted,
        };
        for after in [
            seats.saturating_add(1),
            seats.saturating_sub(1).max(1),
            seats.saturating_mul(100),
        ] {
            let mut changed = self.customer.clone();
            changed.set_seats(after);
            let change = Change::SeatsChanged {
                before: seats,
                after,
                proration,
            };
            self.tell(&changed, at, &change, None);
        }
        let remaining = self.remaining(at);
        let renewed = Change::Renewed {
            remaining: remaining.clone(),
        };
        self.tell(&self.customer.clone(), at, &renewed, None);
        let replaced = Change::PlanChanged {
            previous_plan: "another".into(),
            previous_since: self.customer.period().start,
            remaining: remaining.clone(),
            proration,
        };
        self.tell(&self.customer.clone(), at, &replaced, None);
        let mut rests = self.customer.clone();
        self.tell(&rests, at, &Change::Paused, None);
        rests.change(at, &Change::Paused, None);
        self.tell(&rests, at, &Change::Resumed, None);
        self.tell(&self.customer.clone(), at, &Change::Cancelled { remaining }, None);
        self.tell_timers(at);
        self.tell_reversals(at);
        self.go_on(at, seats, proration);
    }

    /// One of them is kept, so that prices are asked for behind it.
    fn go_on(&mut self, at: Timestamp, seats: u32, proration: Proration) {
        match self.made.below(4) {
            0 => {
                let after = 1 + u32::try_from(self.made.below(20)).unwrap_or(0);
                self.customer.set_seats(after);
                let change = Change::SeatsChanged {
                    before: seats,
                    after,
                    proration,
                };
                self.customer.change(at, &change, None);
            }
            1 => {
                self.customer.change(at, &Change::Paused, None);
                self.customer.change(at, &Change::Resumed, None);
            }
            _ => {}
        }
    }

    fn tell(&mut self, customer: &Probe<'_>, at: Timestamp, change: &Change, subject: Option<&str>) {
        let first = customer.told(at, change, subject);
        let second = customer.told(at, change, subject);
        let what = change_in_words(change);
        let failed = match &first.verdict {
            Verdict::Failed(fault) => Some(format!("{what}: {fault}")),
            Verdict::Priced(priced) => {
                // The ledger posts give-backs of events alone.
                let gives = priced.charges.iter().find(|charge| charge.gives_back.is_some());
                gives.map(|charge| {
                    format!(
                        "{what}: {} gives back, and only the answer to an event may",
                        charge.code
                    )
                })
            }
            Verdict::Rejected(_) => None,
        };
        self.report.tried(Rule::Changes, None, failed);
        let differs = (first != second).then(|| format!("{what} has another answer the second time"));
        self.report.tried(Rule::SameTwice, None, differs);
    }

    /// Timers that the plan set, and one that it did not.
    fn tell_timers(&mut self, at: Timestamp) {
        let mut timers: Vec<(String, Option<String>)> =
            std::mem::take(&mut self.timers).into_iter().collect();
        timers.truncate(32);
        timers.push(("nobody-set-it".into(), None));
        for (key, subject) in timers {
            let due = Change::Due { key };
            self.tell(&self.customer.clone(), at, &due, subject.as_deref());
            // Some go off in fact.
            if self.made.below(2) == 0 {
                self.customer.change(at, &due, subject.as_deref());
            }
        }
    }

    /// Events that were charged are taken back, and told to a plan that follows subjects.
    fn tell_reversals(&mut self, at: Timestamp) {
        for taken in self.of_subjects.clone() {
            let reversed = Change::Reversed {
                event: taken.event,
                time: taken.time,
                charges: taken.charges,
                replacement: match self.made.below(2) {
                    0 => Replacement::None,
                    _ => Replacement::Follows,
                },
            };
            self.tell(&self.customer.clone(), at, &reversed, Some(&taken.subject));
        }
    }

    /// Grants of each asset of the plan, partly used.
    fn remaining(&mut self, at: Timestamp) -> Vec<RemainingGrant> {
        let assets = self.revision.description().assets.clone();
        let categories = [Category::Included, Category::Promotional, Category::Paid];
        let grants = assets.into_iter().zip(categories.into_iter().cycle());
        let grants = grants.map(|(asset, category)| {
            let granted = Nanos::units(100);
            let left = i64::try_from(self.made.below(101)).unwrap_or(0);
            RemainingGrant {
                asset: asset.asset,
                category,
                label: "Included".into(),
                granted,
                remaining: Nanos::units(left),
                expires: Some(at),
            }
        });
        grants.collect()
    }
}

fn change_in_words(change: &Change) -> String {
    match change {
        Change::Started => "the start of a subscription".into(),
        Change::Renewed { .. } => "the beginning of a period".into(),
        Change::SeatsChanged { before, after, .. } => format!("seats from {before} to {after}"),
        Change::PlanChanged { .. } => "a subscription that it takes over".into(),
        Change::Paused => "a pause".into(),
        Change::Resumed => "the end of a pause".into(),
        Change::Cancelled { .. } => "the end of a subscription".into(),
        Change::Due { key } => format!("the timer {key:?}"),
        Change::Reversed { event, .. } => format!("event {} that is taken back", event.id),
    }
}
