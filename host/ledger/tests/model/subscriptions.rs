//! Subscriptions, naively: their periods, what changes about them, what falls due, and the terms that late events belong
//! to.

use std::collections::BTreeMap;

use farebox_record::state::Cadence;

use crate::calls::Call;
use crate::reference::{Above, Model, Told};
use crate::timers::{About, Timer};
use crate::words::{Labels, PLANS, Says, Word};
use crate::world::START;
use crate::world::dates::{DAY, date, days};

/// Whether a subscription runs, and since when not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Paused(i64),
    Cancelled(i64),
}

/// What changes about a subscription; a plan by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Seats(u32),
    Plan(usize, Option<Cadence>),
    Pause,
    Resume,
    Cancel,
    Unschedule,
    /// What happens above a hold; `Subscribed`: nothing is said any more.
    Above(Above),
}

/// A customer on a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sub {
    pub id: String,
    pub plan: usize,
    pub started: i64,
    pub anchor: i64,
    pub cadence: Cadence,
    /// Start, end, number.
    pub period: (i64, i64, u32),
    pub seats: u32,
    /// The plan whose event types it owns.
    pub owns: usize,
    pub state: Vec<u8>,
    pub timers: BTreeMap<&'static str, i64>,
    pub status: Status,
    pub scheduled: Vec<Change>,
    pub term: u32,
    pub since: i64,
    pub opened: u64,
    pub opening: Vec<u8>,
    /// Number, since, until.
    pub past: Vec<(u32, i64, i64)>,
}

/// A term that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub plan: usize,
    pub period: (i64, i64, u32),
    pub since: i64,
    pub until: i64,
    pub seats: u32,
    pub opening: Vec<u8>,
    pub state: Vec<u8>,
    pub opened: u64,
}

/// Who prices something: a subscription, and its closed term where it is late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub sub: String,
    pub term: Option<u32>,
}

/// What a plan is told when something falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueKind {
    Renewal,
    NewPlan,
    End,
    Pause,
    Timer,
}

/// What waits for a price.
#[derive(Debug, Clone)]
pub enum Waits {
    /// Usage, and when it happened.
    Event(Call, i64),
    /// What fell due for a subscription, when, and about whom.
    Due {
        sub: String,
        at: i64,
        kind: DueKind,
        /// The name of a timer.
        key: String,
        about: Option<About>,
    },
}

/// For how long a term is kept after its end.
const KEPT: i64 = 36 * DAY;

/// The boundary with this number, counted from the anchor.
pub fn boundary(anchor: i64, cadence: Cadence, number: u32) -> i64 {
    let number = i64::from(number);
    let start = START.as_micros() / 1_000_000;
    let length = match cadence {
        Cadence::Daily => 1,
        Cadence::Weekly => 7,
        Cadence::Days(length) => i64::from(length),
        Cadence::Monthly | Cadence::Yearly => {
            let (year, month, day) = date((anchor + start).div_euclid(DAY));
            let months = if cadence == Cadence::Monthly {
                number
            } else {
                12 * number
            };
            let month = month - 1 + months;
            let day = days(year + month / 12, month % 12 + 1, day);
            return day * DAY + (anchor + start).rem_euclid(DAY) - start;
        }
    };
    anchor + number * length * DAY
}

pub fn period(anchor: i64, cadence: Cadence, number: u32) -> (i64, i64, u32) {
    (
        boundary(anchor, cadence, number),
        boundary(anchor, cadence, number + 1),
        number,
    )
}

/// The period that holds an instant; the first one for what is before it.
pub fn period_at(anchor: i64, cadence: Cadence, at: i64) -> (i64, i64, u32) {
    let holds = |number: &u32| boundary(anchor, cadence, number + 1) > at;
    period(anchor, cadence, (0..).find(holds).unwrap())
}

impl Model {
    pub fn sub(&self, id: &str) -> &Sub {
        self.subs.iter().find(|s| s.id == id).unwrap()
    }

    pub fn sub_mut(&mut self, id: &str) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.id == id)
    }

    /// Who prices an event of this type that happened then.
    pub fn asked(&self, kind: &str, time: i64) -> Option<Asked> {
        let sub = self.owner_at(kind, time)?;
        let closed = if time >= sub.since {
            None
        } else {
            let mut begun = sub.past.iter().rev().filter(|past| past.1 <= time);
            begun.next().or(sub.past.first()).map(|past| past.0)
        };
        Some(Asked {
            sub: sub.id.clone(),
            term: closed,
        })
    }

    /// The one that ran then; else the one whose first period had begun by then; else the one that runs now.
    fn owner_at(&self, kind: &str, time: i64) -> Option<&Sub> {
        let mut owners: Vec<&Sub> = self.subs.iter().collect();
        owners.retain(|s| PLANS[s.owns].1.contains(&kind));
        owners.sort_by_key(|s| &s.id);
        let mut best: Option<(u8, &Sub)> = None;
        for sub in owners {
            let begun = sub.past.first().map_or(sub.since, |past| past.1);
            let over = matches!(sub.status, Status::Cancelled(since) if since <= time);
            let rank = match sub.status {
                _ if !over && sub.started <= time => 0,
                _ if !over && begun <= time => 1,
                Status::Cancelled(_) => continue,
                Status::Active | Status::Paused(_) => 2,
            };
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, sub));
            }
        }
        best.map(|(_, sub)| sub)
    }

    /// Who prices what a hold was opened for.
    pub fn asked_of_hold(&self, index: usize) -> Asked {
        let hold = &self.holds[index];
        let sub = self.subs.iter().find(|s| s.id == hold.sub);
        let past = sub.is_some_and(|s| s.term != hold.term);
        let key = (hold.sub.clone(), hold.term);
        Asked {
            sub: hold.sub.clone(),
            term: (past && self.terms.contains_key(&key)).then_some(hold.term),
        }
    }

    pub fn is_owned(&self, plan: usize, but: &str) -> bool {
        let wanted = PLANS[plan].1;
        self.subs
            .iter()
            .filter(|s| s.id != but && !matches!(s.status, Status::Cancelled(_)))
            .any(|s| PLANS[s.owns].1.iter().any(|kind| wanted.contains(kind)))
    }

    /// Grants, state and timers that a plan orders; it was asked at `base`, because of something that fell due then where
    /// `due` says so. What is given for `event` goes with it; timers are those of the team that it is `about`.
    pub fn carry_out(
        &mut self,
        says: &Says,
        asked: &Asked,
        base: i64,
        due: Option<i64>,
        event: Option<&str>,
        about: Option<&About>,
    ) {
        for (index, order) in says.grants.iter().enumerate() {
            // One record may carry out what two plans say.
            let names = [&asked.sub[..], "plan"].map(|of| format!("{of}:{}:{index}", self.records));
            let unused = |id: &&String| !self.grants.iter().any(|g| g.id == **id);
            let Some(id) = names.iter().find(unused).cloned() else {
                continue;
            };
            self.open(&id, order, Some(asked.sub.clone()), base);
            self.grant_mut(&id).event = event.map(String::from);
        }
        let team = about.filter(|_| self.subs.iter().any(|s| s.id == asked.sub));
        if let (Some(state), Some((team, _))) = (says.subject, team) {
            let state = state.map(|state| (asked.sub.clone(), *team, state));
            self.subjects
                .retain(|(sub, of, _)| *sub != asked.sub || of != team);
            self.subjects.extend(state);
        }
        let term = asked.term.map(|number| (asked.sub.clone(), number));
        let late_plan = term.as_ref().map(|key| self.terms[key].plan);
        let Some(sub) = self.subs.iter_mut().find(|s| s.id == asked.sub) else {
            return;
        };
        if let Some(state) = says.state {
            match &term {
                Some(key) => self.terms.get_mut(key).unwrap().state = vec![state],
                None => sub.state = vec![state],
            }
        }
        if late_plan.is_some_and(|plan| plan != sub.plan) {
            return;
        }
        for (key, after) in &says.timers {
            if let Some((team, event)) = about {
                let name = (asked.sub.clone(), *key, *team);
                let timer = after.map(|after| Timer {
                    at: due.map_or(base + after, |due| (base + after).max(due + 1)),
                    set: self.now,
                    plan: sub.plan,
                    event: event.clone(),
                });
                match timer {
                    Some(timer) => self.timers.insert(name, timer),
                    None => self.timers.remove(&name),
                };
                continue;
            }
            match (after, due) {
                (Some(after), Some(due)) => sub.timers.insert(key, (base + after).max(due + 1)),
                (Some(after), None) => sub.timers.insert(key, base + after),
                (None, _) => sub.timers.remove(key),
            };
        }
    }

    /// What a plan orders about its subscription: charges are for no event, and count towards no limit.
    pub fn obey(&mut self, says: &Says, sub: &str, base: i64, due: Option<i64>) {
        let cover = self.cover(&says.charges, Labels::default(), BTreeMap::new());
        self.post(&cover);
        let asked = Asked {
            sub: sub.into(),
            term: None,
        };
        self.carry_out(says, &asked, base, due, None, None);
    }

    pub fn subscribe(
        &mut self,
        id: &str,
        (plan, seats): (usize, u32),
        anchor: Option<i64>,
        cadence: Cadence,
        above: Above,
        word: &Word,
    ) -> Told {
        if matches!(word, Word::Silent) {
            return Told::refused("NoPlan");
        }
        if let Some(refused) = unwilling(word) {
            return refused;
        }
        if self.is_owned(plan, id) {
            return Told::refused("EventTypeOwned");
        }
        let Some(says) = word.orders() else {
            return Told::refused(match word {
                Word::Negative => "PlanFailed",
                _ => "Amount",
            });
        };
        self.record();
        let old = |sub: &Sub| matches!(sub.status, Status::Cancelled(since) if since + KEPT < self.now);
        let gone: Vec<String> = self
            .subs
            .iter()
            .filter(|s| old(s))
            .map(|s| s.id.clone())
            .collect();
        self.subs.retain(|s| !gone.contains(&s.id));
        self.terms.retain(|(sub, _), _| !gone.contains(sub));
        self.plan_since.retain(|sub, _| !gone.contains(sub));
        self.above.retain(|sub, _| !gone.contains(sub));
        if above != Above::Subscribed {
            self.above.insert(id.into(), above);
        }
        let anchor = anchor.unwrap_or(self.now);
        let period = period_at(anchor, cadence, self.now);
        self.subs.push(Sub {
            id: id.into(),
            plan,
            started: self.now,
            anchor,
            cadence,
            period,
            seats,
            owns: plan,
            state: Vec::new(),
            timers: BTreeMap::new(),
            status: Status::Active,
            scheduled: Vec::new(),
            term: 0,
            since: period.0.min(self.now),
            opened: self.records,
            opening: says.state.into_iter().collect(),
            past: Vec::new(),
        });
        self.obey(says, id, self.now, None);
        Told::new(&format!("subscribed {period:?}"))
    }

    /// Why a change cannot be.
    fn impossible(&self, sub: &Sub, change: &Change, at_end: bool) -> Option<Told> {
        let paused = matches!(sub.status, Status::Paused(_));
        if let Status::Cancelled(_) = sub.status {
            return Some(Told::refused("SubscriptionEnded"));
        }
        let senseless = match change {
            Change::Pause => paused,
            Change::Resume => !paused || at_end,
            Change::Unschedule => sub.scheduled.is_empty(),
            Change::Plan(plan, cadence) => {
                let same = *plan == sub.plan && cadence.is_none_or(|cadence| cadence == sub.cadence);
                same || (paused && !at_end)
            }
            Change::Above(_) => at_end,
            Change::Seats(_) | Change::Cancel => false,
        };
        senseless.then(|| Told::refused("ChangeNotPossible"))
    }

    pub fn change(&mut self, id: &str, change: &Change, at_end: bool, word: &Word) -> Told {
        let sub = self.sub(id).clone();
        if let Some(refused) = self.impossible(&sub, change, at_end) {
            return refused;
        }
        if let Change::Plan(plan, _) = change {
            if matches!(word, Word::Silent) {
                return Told::refused("NoPlan");
            }
            if self.is_owned(*plan, id) {
                return Told::refused("EventTypeOwned");
            }
        }
        if let Change::Above(above) = change {
            self.record();
            match above {
                Above::Subscribed => self.above.remove(id),
                said => self.above.insert(id.into(), *said),
            };
            return self.changed(id, self.now);
        }
        if *change == Change::Unschedule {
            self.record();
            self.sub_mut(id).unwrap().scheduled.clear();
            return self.changed(id, self.now);
        }
        if at_end {
            self.record();
            let sub = self.sub_mut(id).unwrap();
            sub.scheduled
                .retain(|c| std::mem::discriminant(c) != std::mem::discriminant(change));
            sub.scheduled.push(change.clone());
            return self.changed(id, sub_end(&self.subs, id));
        }
        if *change == Change::Seats(sub.seats) {
            self.record();
            return self.changed(id, self.now);
        }
        if matches!(word, Word::Silent) {
            return Told::refused("NoPlan");
        }
        if let Some(refused) = unwilling(word) {
            return refused;
        }
        let Some(says) = word.orders() else {
            return Told::refused(match word {
                Word::Negative => "PlanFailed",
                _ => "Amount",
            });
        };
        self.record();
        self.carry_out_change(id, change, says);
        self.obey(says, id, self.now, None);
        self.changed(id, self.now)
    }

    fn carry_out_change(&mut self, id: &str, change: &Change, says: &Says) {
        let now = self.now;
        match change {
            Change::Seats(seats) => self.sub_mut(id).unwrap().seats = *seats,
            Change::Pause => self.sub_mut(id).unwrap().status = Status::Paused(now),
            Change::Resume => self.sub_mut(id).unwrap().status = Status::Active,
            Change::Cancel => {
                let sub = self.sub_mut(id).unwrap();
                sub.status = Status::Cancelled(now);
                sub.timers.clear();
                sub.scheduled.clear();
                self.end_included(id);
            }
            Change::Plan(plan, cadence) => {
                self.next_term(id, now);
                self.plan_since.insert(id.into(), now);
                let sub = self.sub_mut(id).unwrap();
                take_plan(sub, *plan);
                if let Some(cadence) = cadence.filter(|c| *c != sub.cadence) {
                    sub.cadence = cadence;
                    sub.anchor = now;
                    sub.period = period(now, cadence, 0);
                }
                sub.opening.extend(says.state);
                self.end_included(id);
            }
            Change::Unschedule | Change::Above(_) => unreachable!("no plan is asked"),
        }
    }

    fn changed(&self, id: &str, effective: i64) -> Told {
        let sub = self.sub(id);
        let Sub {
            status,
            seats,
            period,
            ..
        } = sub;
        Told::new(&format!("changed {status:?} {seats} {period:?} at {effective}"))
    }

    /// Everything that a subscription included ends with it, or with its plan.
    pub fn end_included(&mut self, id: &str) {
        let given = self
            .grants
            .iter()
            .filter(|g| g.sub.as_deref() == Some(id) && g.category == 1 && !g.dead && !self.spent(g));
        let ends: Vec<String> = given.map(|g| g.id.clone()).collect();
        ends.iter().for_each(|grant| self.kill(grant));
    }

    /// Closes the present term, and forgets those that nothing can be as late as.
    pub fn next_term(&mut self, id: &str, until: i64) {
        let (now, opened) = (self.now, self.records);
        let sub = self.subs.iter_mut().find(|s| s.id == id).unwrap();
        let term = Term {
            plan: sub.plan,
            period: sub.period,
            since: sub.since,
            until,
            seats: sub.seats,
            opening: sub.opening.clone(),
            state: sub.state.clone(),
            opened: sub.opened,
        };
        self.terms.insert((id.into(), sub.term), term);
        sub.past.push((sub.term, sub.since, until));
        sub.past.retain(|past| past.2 + KEPT >= now);
        sub.term += 1;
        sub.since = until;
        sub.opened = opened;
        sub.opening = sub.state.clone();
        let kept: Vec<u32> = sub.past.iter().map(|past| past.0).collect();
        self.terms
            .retain(|(sub, number), _| sub != id || kept.contains(number));
    }
}

fn sub_end(subs: &[Sub], id: &str) -> i64 {
    subs.iter().find(|s| s.id == id).unwrap().period.1
}

/// Why a plan does not go along with what is done to its subscription.
fn unwilling(word: &Word) -> Option<Told> {
    match word {
        Word::Invalid | Word::Cannot => Some(Told::refused("PlanRefused")),
        Word::Breaks => Some(Told::refused("PlanFailed")),
        Word::Says(_) | Word::Negative | Word::Silent => None,
    }
}

/// A new plan begins with nothing.
pub fn take_plan(sub: &mut Sub, plan: usize) {
    sub.plan = plan;
    sub.owns = plan;
    sub.state.clear();
    sub.opening.clear();
    sub.timers.clear();
}
