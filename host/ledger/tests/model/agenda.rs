//! What falls due, naively: one thing after the other.

use farebox_record::state::Cadence;

use crate::reference::{Model, Told};
use crate::subscriptions::{Change, Status, Waits, period, take_plan};
use crate::words::{Says, Word};

/// What falls due: the instant, the rank within it, whose it is, and the name of a timer.
pub type Due = (i64, u8, String, String);

impl Model {
    /// What falls due next, at `to` at the latest.
    pub fn next_due(&self, to: i64) -> Option<Due> {
        let mut due: Vec<Due> = Vec::new();
        let none = String::new;
        for hold in self.holds.iter().filter(|h| !h.expired && !h.ended) {
            due.push((hold.expires, 0, hold.id.clone(), none()));
        }
        for sub in &self.subs {
            if matches!(sub.status, Status::Cancelled(_)) {
                continue;
            }
            for (key, at) in &sub.timers {
                due.push((*at, 1, sub.id.clone(), key.to_string()));
            }
            due.push((sub.period.1, 2, sub.id.clone(), none()));
        }
        for grant in self.grants.iter().filter(|g| !g.dead && !self.spent(g)) {
            match (grant.waiting, grant.until) {
                (true, _) => due.push((grant.from, 4, grant.id.clone(), none())),
                (false, Some(until)) => due.push((until, 3, grant.id.clone(), none())),
                (false, None) => {}
            }
        }
        due.into_iter().min().filter(|(at, ..)| *at <= to)
    }

    /// Handles what falls due. `word` is what the plan says, for a renewal or a timer.
    pub fn handle(&mut self, (at, rank, id, key): &Due, word: &Word) {
        self.record();
        match rank {
            0 => {
                let index = self.holds.iter().position(|h| h.id == *id).unwrap();
                self.give_up(index);
                self.holds[index].expired = true;
            }
            1 => {
                self.sub_mut(id).unwrap().timers.remove(key.as_str());
                self.hear(id, *at, word);
            }
            2 => self.renew(id, *at, word),
            3 => self.kill(id),
            _ => {
                self.activate(id);
            }
        }
    }

    /// What a plan says about something that fell due is carried out, or waits.
    fn hear(&mut self, id: &str, at: i64, word: &Word) {
        match word.orders() {
            Some(says) => self.obey(says, id, at, Some(at)),
            None => {
                let waits = Waits::Due { sub: id.into(), at };
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

    /// Whether a plan is asked at the end of the present period.
    pub fn asks_at_end(&self, id: &str) -> bool {
        let sub = self.sub(id);
        let paused = matches!(sub.status, Status::Paused(_)) || sub.scheduled.contains(&Change::Pause);
        sub.scheduled.contains(&Change::Cancel) || !paused
    }

    fn renew(&mut self, id: &str, at: i64, word: &Word) {
        let given = self.grants.iter().filter(|g| g.sub.as_deref() == Some(id));
        let over = given.filter(|g| !g.dead && !self.spent(g) && g.until.is_some_and(|until| until <= at));
        let over: Vec<String> = over.map(|g| g.id.clone()).collect();
        over.iter().for_each(|grant| self.kill(grant));
        let new_plan = self.plan_at_end(id);
        let asks = self.asks_at_end(id);
        // A plan that nobody answers for, or whose types another subscription owns, cannot take over.
        let silent = matches!(word, Word::Silent);
        let stays = new_plan.is_some_and(|(plan, _)| silent || self.is_owned(plan, id));
        self.next_term(id, at);
        let sub = self.subs.iter_mut().find(|s| s.id == id).unwrap();
        let scheduled = std::mem::take(&mut sub.scheduled);
        // In the order in which they were asked for, up to the end of the subscription.
        for change in &scheduled {
            match change {
                Change::Seats(seats) => sub.seats = *seats,
                Change::Cancel => break,
                _ => {}
            }
        }
        sub.period = period(sub.anchor, sub.cadence, sub.period.2 + 1);
        let cancelled = scheduled.contains(&Change::Cancel);
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
        self.hear(id, at, word);
    }

    /// What fell due and was not answered is asked again.
    pub fn retry(&mut self, sequence: u64, id: &str, at: i64, word: &Word) -> Told {
        let Some(says) = word.orders() else {
            return Told::refused("NotDue");
        };
        self.record();
        self.unpriced.remove(&sequence);
        self.obey(says, id, at, Some(at));
        Told::new("charged")
    }
}
