//! What falls due, naively: one thing after the other.

use farebox_record::state::Cadence;

use crate::corrections::Stands;
use crate::reference::{GRACE, Hold, Model, Told};
use crate::subscriptions::{Change, DueKind, Status, Waits, period, take_plan};
use crate::timers::About;
use crate::words::{Says, TEAMS, Word};

/// What falls due: the instant, the rank within it, whose it is, the name of a timer, and whom that is about.
pub type Due = (i64, u8, String, String, Option<(String, Option<String>)>);

/// What of a late answer still makes sense.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    All,
    /// Charges and grants.
    Value,
    Charges,
}

impl Model {
    /// What falls due next, at `to` at the latest.
    pub fn next_due(&self, to: i64) -> Option<Due> {
        let mut due: Vec<Due> = Vec::new();
        let none = String::new;
        for hold in self.holds.iter().filter(|h| !h.expired && !h.ended) {
            due.push((hold.expires, 0, hold.id.clone(), none(), None));
        }
        // One that was settled in part, once more when its grace is over.
        let parted = |h: &&Hold| h.expired && h.parted.is_some() && !h.ended;
        for hold in self.holds.iter().filter(parted) {
            due.push((hold.expires + GRACE, 0, hold.id.clone(), none(), None));
        }
        for sub in &self.subs {
            if matches!(sub.status, Status::Cancelled(_)) {
                continue;
            }
            for (key, at) in &sub.timers {
                due.push((*at, 1, sub.id.clone(), key.to_string(), None));
            }
            due.push((sub.period.1, 2, sub.id.clone(), none(), None));
        }
        for ((sub, key, team), timer) in &self.timers {
            let about = (team.to_string(), timer.event.clone());
            due.push((timer.at, 1, sub.clone(), key.to_string(), Some(about)));
        }
        for grant in self.grants.iter().filter(|g| !g.dead && !self.spent(g)) {
            match (grant.waiting, grant.until) {
                (true, _) => due.push((grant.from, 4, grant.id.clone(), none(), None)),
                (false, Some(until)) => due.push((until, 3, grant.id.clone(), none(), None)),
                (false, None) => {}
            }
        }
        due.into_iter().min().filter(|(at, ..)| *at <= to)
    }

    /// Handles what falls due. `word` is what the plan says, for a renewal, a timer, or a call that was settled in part.
    pub fn handle(&mut self, due: &Due, word: &Word) {
        let (at, rank, id, key, about) = due;
        let hold = self.holds.iter().position(|h| *rank == 0 && h.id == *id);
        if let Some(index) = hold.filter(|index| self.holds[*index].expired) {
            self.conclude(index, word);
            return;
        }
        self.record();
        match rank {
            0 => {
                let index = hold.unwrap();
                self.give_up(index);
                self.holds[index].expired = true;
            }
            1 => match about {
                None => {
                    self.sub_mut(id).unwrap().timers.remove(key.as_str());
                    self.hear(id, *at, word, (DueKind::Timer, key), None);
                }
                Some((team, event)) => {
                    let is_over = self.is_for_nobody(due);
                    self.take_timer(id, key, team);
                    let team = TEAMS.iter().find(|known| *known == team).unwrap();
                    if !is_over {
                        let about = Some((*team, event.clone()));
                        self.hear(id, *at, word, (DueKind::Timer, key), about);
                    }
                }
            },
            2 => self.renew(id, *at, word),
            3 => self.kill(id),
            _ => {
                self.activate(id);
            }
        }
    }

    /// What a plan says about something that fell due is carried out, or waits.
    fn hear(&mut self, id: &str, at: i64, word: &Word, (kind, key): (DueKind, &str), about: Option<About>) {
        match (word.orders(), about) {
            (Some(says), None) => self.obey(says, id, at, Some(at)),
            (Some(says), Some(about)) => self.obey_timer(says, id, at, &about),
            (None, about) => {
                let sub = id.into();
                let key = key.into();
                let waits = Waits::Due {
                    sub,
                    at,
                    kind,
                    key,
                    about,
                };
                self.unpriced.insert(self.records, waits);
            }
        }
    }

    /// What the end of the present period brings, by what is scheduled for it: the plan that serves then, where it is a
    /// new one.
    pub fn plan_at_end(&self, id: &str) -> Option<(usize, Option<Cadence>)> {
        let sub = self.sub(id);
        let ends = |c: &Change| matches!(c, Change::Pause | Change::Cancel);
        if matches!(sub.status, Status::Paused(_)) || sub.scheduled.iter().any(ends) {
            return None;
        }
        sub.scheduled.iter().find_map(|change| match change {
            Change::Plan(plan, cadence) => Some((*plan, *cadence)),
            _ => None,
        })
    }

    /// Whether a plan is asked at the end of the present period: of a subscription that rests already, only about its end.
    pub fn asks_at_end(&self, id: &str) -> bool {
        let sub = self.sub(id);
        sub.scheduled.contains(&Change::Cancel) || !matches!(sub.status, Status::Paused(_))
    }

    fn renew(&mut self, id: &str, at: i64, word: &Word) {
        let given = self.grants.iter().filter(|g| g.sub.as_deref() == Some(id));
        let over = given.filter(|g| !g.dead && !self.spent(g) && g.until.is_some_and(|until| until <= at));
        let over: Vec<String> = over.map(|g| g.id.clone()).collect();
        over.iter().for_each(|grant| self.kill(grant));
        let new_plan = self.plan_at_end(id);
        let (asks, pauses) = (
            self.asks_at_end(id),
            self.sub(id).scheduled.contains(&Change::Pause),
        );
        // A plan that nobody answers for, or whose types another subscription owns, cannot take over.
        let silent = matches!(word, Word::Silent);
        let stays = new_plan.is_some_and(|(plan, _)| silent || self.is_owned(plan, id));
        self.next_term(id, at);
        let sub = self.subs.iter_mut().find(|s| s.id == id).unwrap();
        let scheduled = std::mem::take(&mut sub.scheduled);
        let cancelled = scheduled.contains(&Change::Cancel);
        // The end is settled for the seats that there were.
        for change in scheduled.iter().filter(|_| !cancelled) {
            if let Change::Seats(seats) = change {
                sub.seats = *seats;
            }
        }
        sub.period = period(sub.anchor, sub.cadence, sub.period.2 + 1);
        match (new_plan, cancelled) {
            (_, true) => {
                sub.status = Status::Cancelled(at);
                sub.timers.clear();
                self.end_included(id);
            }
            (Some((plan, cadence)), _) if !stays => {
                if let Some(cadence) = cadence.filter(|c| *c != sub.cadence) {
                    sub.cadence = cadence;
                    sub.anchor = at;
                    sub.period = period(at, cadence, 0);
                }
                take_plan(sub, plan);
                self.plan_since.insert(id.into(), at);
                self.end_included(id);
            }
            _ => {
                if scheduled.contains(&Change::Pause) && sub.status == Status::Active {
                    sub.status = Status::Paused(at);
                }
                // What could not be carried out, or must not while it is paused, waits for the next end of a period.
                let waits = scheduled.into_iter().filter(|c| matches!(c, Change::Plan(..)));
                sub.scheduled.extend(waits);
            }
        }
        if !asks {
            return;
        }
        let word = if stays { &Word::Silent } else { word };
        if let Some(Says {
            state: Some(state), ..
        }) = word.orders()
        {
            self.sub_mut(id).unwrap().opening = vec![*state];
        }
        let kind = match (cancelled, new_plan) {
            (true, _) => DueKind::End,
            (false, _) if pauses => DueKind::Pause,
            (false, Some(_)) if !stays => DueKind::NewPlan,
            _ => DueKind::Renewal,
        };
        self.hear(id, at, word, (kind, ""), None);
    }

    /// What fell due and was not answered is asked again; of the answer, what still makes sense is carried out.
    pub fn retry(
        &mut self,
        sequence: u64,
        (id, at, kind, key): (&str, i64, DueKind, &str),
        about: Option<&About>,
        word: &Word,
    ) -> Told {
        // A timer goes with the event that set it.
        let is_void = |(_, event): &About| {
            let event = event.as_ref().map(|event| &self.events[event]);
            event.is_some_and(|event| event.stands == Stands::Voided)
        };
        // One that is set again takes its place.
        let is_set = match (kind, about) {
            (DueKind::Timer, None) => self.subs.iter().any(|s| s.id == id && s.timers.contains_key(key)),
            (DueKind::Timer, Some((team, _))) => {
                let mut names = self.timers.keys();
                names.any(|(sub, name, of)| sub == id && *name == key && of == team)
            }
            _ => false,
        };
        let rest = self.still_applies(id, at, kind).filter(|_| !is_set);
        let Some(rest) = rest.filter(|_| !about.is_some_and(is_void)) else {
            self.record();
            self.unpriced.remove(&sequence);
            return Told::new("handled");
        };
        let Word::Says(says) = word else {
            return Told::refused("NotDue");
        };
        let mut says = says.clone();
        if rest != Rest::All {
            says.state = None;
            says.timers.clear();
        }
        if rest == Rest::Charges {
            says.grants.clear();
        }
        if !says.is_postable() {
            return Told::refused("NotDue");
        }
        self.record();
        self.unpriced.remove(&sequence);
        match about {
            None => self.obey(&says, id, at, Some(at)),
            Some(about) => self.obey_timer(&says, id, at, about),
        }
        Told::new("charged")
    }

    /// A subscription that is gone is told nothing, and a timer ends with its subscription and with the plan that set it. To
    /// the end of the subscription itself its plan has the last word. A period that another plan, or the end, cut off as it
    /// began is told nothing either. Else nothing is given any more after the end, or for a plan that another one replaced;
    /// and a renewal whose term is over has handed on state and timers; a timer goes on
    /// from what is known now.
    fn still_applies(&self, id: &str, at: i64, kind: DueKind) -> Option<Rest> {
        let sub = self.subs.iter().find(|s| s.id == id)?;
        let ended = match sub.status {
            Status::Cancelled(since) => Some(since),
            Status::Active | Status::Paused(_) => None,
        };
        let since = self.plan_since.get(id).copied();
        let of_old_plan = since.is_some_and(|since| at < since);
        let gone = match kind {
            // At one instant timers go off before another plan takes over.
            DueKind::Timer => ended.is_some() || of_old_plan || since == Some(at),
            DueKind::Renewal => ended == Some(at) || since == Some(at),
            DueKind::NewPlan => ended == Some(at),
            DueKind::Pause => sub.status != Status::Paused(at),
            DueKind::End => false,
        };
        if gone {
            return None;
        }
        Some(if matches!(kind, DueKind::End | DueKind::Pause) {
            Rest::All
        } else if ended.is_some() || of_old_plan {
            Rest::Charges
        } else if kind != DueKind::Timer && at < sub.since {
            Rest::Value
        } else {
            Rest::All
        })
    }
}
