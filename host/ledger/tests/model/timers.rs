//! Timers of subjects, naively. All plans but the first follow the team that an event names.

use std::collections::BTreeMap;

use crate::agenda::Due;
use crate::corrections::Stands;
use crate::reference::{Model, Sums};
use crate::subscriptions::{Asked, Status};
use crate::words::{Labels, Says};

/// Whose timer, its name, and the team that it is about.
pub type Name = (String, &'static str, &'static str);

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    pub at: i64,
    pub set: i64,
    pub plan: usize,
    /// None where one that was taken back set it.
    pub event: Option<String>,
}

/// Whom a plan is asked about: the team, and the event whose timers are set; none of one that was taken back.
pub type About = (&'static str, Option<String>);

impl Model {
    /// Whether the plan that is asked follows teams.
    pub fn follows(&self, asked: &Asked) -> bool {
        let plan = match asked.term {
            Some(number) => Some(self.terms[&(asked.sub.clone(), number)].plan),
            None => self.subs.iter().find(|s| s.id == asked.sub).map(|s| s.plan),
        };
        plan.is_some_and(|plan| plan != 0)
    }

    /// Whom a plan is asked about with an event.
    pub fn about(&self, asked: &Asked, labels: Labels, event: &str) -> Option<About> {
        let team = labels.team.filter(|_| self.follows(asked))?;
        Some((team, Some(event.to_string())))
    }

    /// Whether a timer of a team goes off for nobody: its subscription has ended, or another plan serves.
    pub fn is_for_nobody(&self, (_, _, id, key, about): &Due) -> bool {
        let Some((team, _)) = about else { return false };
        let (_, timer) = self.timer(id, key, team);
        let sub = self.subs.iter().find(|s| s.id == *id);
        let serves = sub.is_some_and(|s| s.plan == timer.plan && !matches!(s.status, Status::Cancelled(_)));
        let since = self.plan_since.get(id).copied();
        !serves || since.is_some_and(|since| timer.set < since)
    }

    fn timer(&self, id: &str, key: &str, team: &str) -> (&Name, &Timer) {
        let mut timers = self.timers.iter();
        timers
            .find(|((sub, name, about), _)| sub == id && *name == key && *about == team)
            .unwrap()
    }

    /// It goes off, and is no more.
    pub fn take_timer(&mut self, id: &str, key: &str, team: &str) {
        let name = self.timer(id, key, team).0.clone();
        self.timers.remove(&name);
    }

    /// What a plan orders when a timer of a team goes off: it belongs to the event that set it, where that still counts.
    pub fn obey_timer(&mut self, says: &Says, sub: &str, at: i64, about: &About) {
        let (_, event) = about;
        let known = event.as_ref().and_then(|event| self.events.get(event));
        let owner = known.filter(|e| e.stands == Stands::Charged).cloned();
        let labels = owner.as_ref().map_or(Labels::default(), |owner| owner.labels);
        let cover = self.cover(&says.charges, labels, BTreeMap::new());
        let slices = self.slices(&cover, &says.charges);
        self.post(&cover);
        if owner.is_some() {
            let mut taken = Sums::new();
            for slice in &slices {
                *taken.entry(slice.asset).or_default() += slice.amount;
            }
            self.count(labels, &taken);
            let event = event.as_ref().unwrap();
            self.events.get_mut(event).unwrap().slices.extend(slices);
        }
        let asked = Asked {
            sub: sub.into(),
            term: None,
        };
        let giver = owner.and(event.as_deref());
        self.carry_out(says, &asked, at, Some(at), giver, Some(about));
    }
}
