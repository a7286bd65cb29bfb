//! What falls due for a wallet, in order of instant; at one instant in the order of [`DueItem`]'s variants.

use farebox_record::command::{Due, DueItem, TimerAbout};
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::plan::EventRef;
use farebox_record::state::{GrantPhase, GrantState, SubjectTimer, SubscriptionState, TimerState};
use farebox_record::time::Timestamp;

use crate::timers::subject_timer;
use crate::wallet::Wallet;

impl Wallet {
    /// The next thing that is due at or before `until`. Handled by a [`farebox_record::command::Command::Due`] of its
    /// own, before any other command of that time: an event exactly at a boundary comes after it.
    pub fn overdue(&self, until: Timestamp) -> Option<Due> {
        let (instant, item) = self.next_due()?;
        (*instant <= until).then(|| Due {
            instant: *instant,
            item: item.clone(),
        })
    }

    /// Up to `most` events that the timers of subjects which are due at or before `until` were set for, in the order in which
    /// they go off, each with when its timer was set.
    pub fn overdue_events(&self, until: Timestamp, most: usize) -> Vec<(EventRef, Timestamp)> {
        let due = self.timers.due_until(until, most).into_iter();
        let set = due.filter_map(|(_, item)| self.timers.get(&subject_timer(item)?));
        set.filter_map(|state| Some((state.event.clone()?, state.set)))
            .collect()
    }

    /// Whether handling this item needs the plan.
    pub fn needs_plan(item: &DueItem) -> bool {
        matches!(item, DueItem::Renewal(_) | DueItem::Timer { .. })
    }

    /// What the next step of a grant's life is.
    pub(crate) fn grant_due(id: &GrantId, grant: &GrantState) -> Option<(Timestamp, DueItem)> {
        match grant.phase {
            GrantPhase::Waiting => Some((grant.effective, DueItem::GrantEffective(id.clone()))),
            GrantPhase::Active => Some((grant.expires?, DueItem::GrantExpiry(id.clone()))),
            GrantPhase::Expired => None,
        }
    }

    /// When a timer of a subject goes off.
    pub(crate) fn timer_due(timer: &SubjectTimer, state: &TimerState) -> (Timestamp, DueItem) {
        let about = TimerAbout {
            subject: timer.subject.clone(),
            event: state.event.clone(),
        };
        let item = DueItem::Timer {
            subscription: timer.subscription.clone(),
            key: timer.key.clone(),
            about: Some(Box::new(about)),
        };
        (state.at, item)
    }

    /// What falls due for a subscription: its timers, and the end of its period.
    pub(crate) fn subscription_due(
        id: &SubscriptionId,
        subscription: &SubscriptionState,
    ) -> Vec<(Timestamp, DueItem)> {
        if let SubscriptionStatus::Cancelled(_) = subscription.status {
            return Vec::new();
        }
        let timers = subscription.timers.iter().map(|(key, at)| {
            (
                *at,
                DueItem::Timer {
                    subscription: id.clone(),
                    key: key.clone(),
                    about: None,
                },
            )
        });
        let renewal = (subscription.period.end, DueItem::Renewal(id.clone()));
        timers.chain([renewal]).collect()
    }
}
