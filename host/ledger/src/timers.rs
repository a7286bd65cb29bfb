//! The timers of a wallet's subjects. There may be tens of thousands, and a wallet is copied for each reader and for each
//! command that may fail half-way: copies share what there was, and keep apart what changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farebox_record::command::DueItem;
use farebox_record::state::{SubjectTimer, TimerState};
use farebox_record::time::Timestamp;

use crate::wallet::Wallet;

/// Changes that a copy keeps apart; with more it takes a whole table of its own.
const CHANGES_MAX: usize = 1_024;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers {
    /// What copies share. Changed only where nobody else has it.
    base: Arc<Table<TimerState>>,
    /// What was set since, and taken away (none).
    changes: Table<Option<TimerState>>,
}

/// Timers, and the order in which they go off.
#[derive(Debug, Clone)]
struct Table<T> {
    timers: BTreeMap<SubjectTimer, T>,
    due: BTreeSet<(Timestamp, DueItem)>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }
}

impl Timers {
    pub fn get(&self, timer: &SubjectTimer) -> Option<&TimerState> {
        match self.changes.timers.get(timer) {
            Some(changed) => changed.as_ref(),
            None => self.base.timers.get(timer),
        }
    }

    /// Sets a timer, or takes it away.
    pub fn put(&mut self, timer: &SubjectTimer, state: Option<&TimerState>) {
        self.changes.put(timer, state);
        let apart = self.changes.timers.len() > CHANGES_MAX;
        let base = match Arc::get_mut(&mut self.base) {
            Some(base) => base,
            None if apart => Arc::make_mut(&mut self.base),
            None => return,
        };
        for (timer, state) in std::mem::take(&mut self.changes).timers {
            base.put(&timer, state.as_ref());
        }
    }

    pub fn len(&self) -> usize {
        let changes = self.changes.timers.iter();
        let news = changes.filter(|(timer, state)| state.is_some() && !self.base.timers.contains_key(*timer));
        let changes = self.changes.timers.iter();
        let gone = changes.filter(|(timer, state)| state.is_none() && self.base.timers.contains_key(*timer));
        self.base.timers.len() + news.count() - gone.count()
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&SubjectTimer, &TimerState)> {
        let changes = &self.changes.timers;
        let kept = self.base.timers.iter();
        let kept = kept.filter(|(timer, _)| changes.is_empty() || !changes.contains_key(*timer));
        let changed = changes
            .iter()
            .filter_map(|(timer, state)| Some((timer, state.as_ref()?)));
        kept.chain(changed)
    }

    /// What goes off first.
    pub fn next_due(&self) -> Option<&(Timestamp, DueItem)> {
        let kept = self.base.due.iter().find(|due| self.is_kept(due));
        kept.into_iter().chain(self.changes.due.first()).min()
    }

    /// Up to `most` of those that go off at or before `until`, in order.
    pub fn due_until(&self, until: Timestamp, most: usize) -> Vec<&(Timestamp, DueItem)> {
        let is_due = |due: &&(Timestamp, DueItem)| due.0 <= until;
        let kept = self
            .base
            .due
            .iter()
            .take_while(is_due)
            .filter(|due| self.is_kept(due));
        let changed = self.changes.due.iter().take_while(is_due);
        let mut all: Vec<_> = kept.take(most).chain(changed.take(most)).collect();
        all.sort_unstable();
        all.truncate(most);
        all
    }

    /// Whether a timer is as it is in the base.
    fn is_kept(&self, (_, item): &(Timestamp, DueItem)) -> bool {
        self.changes.timers.is_empty()
            || !subject_timer(item).is_some_and(|t| self.changes.timers.contains_key(&t))
    }
}

impl PartialEq for Timers {
    fn eq(&self, other: &Timers) -> bool {
        self.len() == other.len() && self.iter().all(|(timer, state)| other.get(timer) == Some(state))
    }
}

impl Eq for Timers {}

impl Table<TimerState> {
    fn put(&mut self, timer: &SubjectTimer, state: Option<&TimerState>) {
        let before = match state {
            Some(state) => self.timers.insert(timer.clone(), state.clone()),
            None => self.timers.remove(timer),
        };
        self.reorder(timer, before.as_ref(), state);
    }
}

impl Table<Option<TimerState>> {
    fn put(&mut self, timer: &SubjectTimer, state: Option<&TimerState>) {
        let before = self.timers.insert(timer.clone(), state.cloned()).flatten();
        self.reorder(timer, before.as_ref(), state);
    }
}

impl<T> Table<T> {
    fn reorder(&mut self, timer: &SubjectTimer, before: Option<&TimerState>, after: Option<&TimerState>) {
        if let Some(before) = before {
            self.due.remove(&Wallet::timer_due(timer, before));
        }
        if let Some(after) = after {
            self.due.insert(Wallet::timer_due(timer, after));
        }
    }
}

/// The timer of a subject that an item on the agenda is about.
pub(crate) fn subject_timer(item: &DueItem) -> Option<SubjectTimer> {
    match item {
        DueItem::Timer {
            subscription,
            key,
            about: Some(about),
        } => Some(SubjectTimer {
            subscription: subscription.clone(),
            key: key.clone(),
            subject: about.subject.clone(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use farebox_record::plan::EventRef;
    use proptest::prelude::*;

    use super::*;

    fn timer(index: u8) -> SubjectTimer {
        SubjectTimer {
            subscription: "s".parse().unwrap(),
            key: "k".into(),
            subject: format!("c{index}"),
        }
    }

    fn state(at: u8) -> TimerState {
        let at = Timestamp::from_micros(i64::from(at));
        let event = EventRef {
            source: "api".parse().unwrap(),
            id: "e".parse().unwrap(),
        };
        TimerState {
            at,
            set: at,
            plan: "p".parse().unwrap(),
            event: Some(event),
        }
    }

    /// What a plain map says of the same.
    fn check(timers: &Timers, plain: &BTreeMap<u8, u8>) -> Result<(), TestCaseError> {
        prop_assert_eq!(timers.len(), plain.len());
        for index in 0..6 {
            let known = plain.get(&index).map(|at| state(*at));
            prop_assert_eq!(timers.get(&timer(index)), known.as_ref());
        }
        let mut order: Vec<_> = plain.iter().map(|(index, at)| (*at, *index)).collect();
        order.sort_unstable();
        let due = |(at, index): &(u8, u8)| Wallet::timer_due(&timer(*index), &state(*at));
        let next = order.first().map(due);
        prop_assert_eq!(timers.next_due(), next.as_ref());
        let first: Vec<_> = order
            .iter()
            .filter(|(at, _)| *at <= 10)
            .take(3)
            .map(due)
            .collect();
        let until = timers.due_until(Timestamp::from_micros(10), 3);
        prop_assert_eq!(until, first.iter().collect::<Vec<_>>());
        Ok(())
    }

    proptest! {
        /// Copies are taken and dropped at any time, and each goes on by itself.
        #[test]
        fn copies_change_apart(steps in prop::collection::vec((0..4_u8, 0..6_u8, prop::option::of(0..20_u8)), 1..60)) {
            let mut copies = vec![(Timers::default(), BTreeMap::new())];
            for (kind, index, at) in steps {
                let which = usize::from(index) % copies.len();
                match kind {
                    0 if copies.len() < 4 => copies.push(copies[which].clone()),
                    1 if copies.len() > 1 => {
                        copies.swap_remove(which);
                    }
                    _ => {
                        let (timers, plain) = &mut copies[which];
                        timers.put(&timer(index), at.map(state).as_ref());
                        match at {
                            Some(at) => plain.insert(index, at),
                            None => plain.remove(&index),
                        };
                    }
                }
                for (timers, plain) in &copies {
                    check(timers, plain)?;
                }
                let same = copies.iter().all(|(timers, plain)| (*timers == copies[0].0) == (*plain == copies[0].1));
                prop_assert!(same);
            }
        }
    }

    #[test]
    fn a_copy_with_many_changes_has_a_table_of_its_own() {
        let mut timers = Timers::default();
        timers.put(&timer(0), Some(&state(1)));
        let reader = timers.clone();
        let other = |index: usize| SubjectTimer {
            subject: index.to_string(),
            ..timer(0)
        };
        for index in 0..CHANGES_MAX {
            timers.put(&other(index), Some(&state(2)));
            assert!(
                Arc::ptr_eq(&timers.base, &reader.base),
                "{index} changes are kept apart"
            );
        }
        for index in CHANGES_MAX..2 * CHANGES_MAX {
            timers.put(&other(index), Some(&state(2)));
            assert_eq!(
                timers.changes.timers.len(),
                0,
                "nobody else has the table of its own"
            );
        }
        assert_eq!((timers.len(), reader.len()), (2 * CHANGES_MAX + 1, 1));
    }
}
