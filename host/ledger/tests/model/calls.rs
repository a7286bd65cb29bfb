//! Calls, naively: what is set aside for them, what they take, what comes back.

use std::collections::BTreeMap;

use crate::corrections::Slice;
use crate::cover::Cover;
use crate::giving::Given;
use crate::reference::{Hold, Model, Source, Sums, Told, of};
use crate::settle::first_asked;
use crate::subscriptions::{Asked, Status};
use crate::words::{Charge, Labels, Says, Word};

/// A call, or usage, as it is reported.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: String,
    /// The type of its event.
    pub kind: &'static str,
    pub labels: Labels,
    /// What its event measures, which no rule of the ledger reads.
    pub tokens: Option<u32>,
    /// When it happened, where that is said.
    pub time: Option<i64>,
}

impl Model {
    /// Says no to a call whose customer owes too much.
    fn indebted(&self, charges: &[Charge]) -> Option<Told> {
        for link in charges.iter().flat_map(|c| &c.links).filter(|l| !l.invoice) {
            let owed = of(&self.debt, link.asset);
            if self
                .lines
                .get(link.asset)
                .unwrap_or(&Some(0))
                .is_some_and(|line| owed > line)
            {
                return Some(Told::new("denied: Debt").with("required", link.asset, owed));
            }
        }
        None
    }

    /// Says no to a call for which there is not enough.
    fn short(&self, cover: &Cover, credit: &Sums) -> Option<Told> {
        let mut unused = credit.clone();
        let mut fresh: Vec<(&'static str, i128)> = Vec::new();
        for (_, asset, missing) in &cover.missing {
            let unused = unused.entry(asset).or_default();
            let used = (*missing).min(*unused);
            *unused -= used;
            match fresh.iter_mut().find(|(a, _)| a == asset) {
                Some((_, sum)) => *sum += missing - used,
                None if *missing > used => fresh.push((asset, missing - used)),
                None => {}
            }
        }
        for (asset, fresh) in &fresh {
            let credit = credit.get(asset).copied().unwrap_or(0);
            let Some(left) = self.credit_left(asset) else {
                continue;
            };
            if *fresh > left {
                let drawn = cover.own.iter().chain(&cover.live);
                let drawn = drawn.filter(|(_, a, s, _)| a == asset && *s != Source::Receivable);
                let had = drawn.map(|(_, _, _, n)| n).sum::<i128>() + credit;
                return Some(
                    Told::new("denied: InsufficientFunds")
                        .with("required", asset, had + fresh)
                        .with("available", asset, had + left.max(0)),
                );
            }
        }
        None
    }

    /// Too far ahead, or so long ago that its id may be forgotten.
    pub fn out_of_time(&self, time: Option<i64>) -> Option<Told> {
        let time = time?;
        let sensible = time <= self.now + 300 && time >= self.now - 35 * 86_400;
        (!sensible).then(|| Told::refused("Time"))
    }

    fn deny(&mut self, told: Told) -> Told {
        self.record();
        told
    }

    pub fn authorize(&mut self, call: &Call, word: &Word, ttl: i64, one_shot: bool) -> Told {
        if let Some(refused) = self.out_of_time(call.time) {
            return refused;
        }
        let asked = self.asked(call.kind, call.time.unwrap_or(self.now));
        let (Some(asked), true) = (asked, !matches!(word, Word::Silent)) else {
            return self.deny(Told::new("denied: NoSubscription"));
        };
        if matches!(self.sub(&asked.sub).status, Status::Paused(_)) {
            return self.deny(Told::new("denied: Paused"));
        }
        let says = match word {
            Word::Says(says) => says,
            Word::Invalid => return Told::refused("InvalidEvent"),
            Word::Breaks | Word::Negative => return Told::refused("PlanFailed"),
            Word::Cannot | Word::Silent => return self.deny(Told::new("denied: Unpriceable")),
        };
        if one_shot && !says.gives.is_empty() {
            return self.shoot(call, says, &asked);
        }
        if let Some(denied) = self.indebted(&says.charges) {
            return self.deny(denied);
        }
        if !says.is_postable() {
            return Told::refused("Amount");
        }
        let cover = self.cover(&says.charges, call.labels, BTreeMap::new());
        if let Some(denied) = self.short(&cover, &BTreeMap::new()) {
            return self.deny(denied);
        }
        let mut wanted = Sums::new();
        for (asset, amount) in taken_of(&cover) {
            *wanted.entry(asset).or_default() += amount;
        }
        if let Some(denied) = self.unfit(call.labels, &wanted, &Sums::new()) {
            return self.deny(denied);
        }
        self.record();
        match one_shot {
            true => {
                self.charge(call, says, &asked);
                Told::new("allowed")
            }
            false => self.hold(call, &says.charges, &cover, &asked, ttl),
        }
    }

    /// A one-shot that gives back first: all of it is tried out.
    fn shoot(&mut self, call: &Call, says: &Says, asked: &Asked) -> Told {
        if !self.can_give(&call.id, &says.gives) {
            return Told::refused("PlanFailed");
        }
        let mut tried = self.clone();
        tried.record();
        let given = tried.give(&call.id, &says.gives);
        let cover = tried.cover(&says.charges, call.labels, BTreeMap::new());
        let mut wanted = Sums::new();
        for (asset, amount) in taken_of(&cover) {
            *wanted.entry(asset).or_default() += amount;
        }
        let denied = (tried.indebted(&says.charges))
            .or_else(|| tried.short(&cover, &BTreeMap::new()))
            .or_else(|| tried.unfit(call.labels, &wanted, &Sums::new()));
        if let Some(denied) = denied {
            return self.deny(denied);
        }
        if !says.is_postable() {
            return Told::refused("Amount");
        }
        tried.charge_behind(call, says, asked, given);
        *self = tried;
        Told::new("allowed")
    }

    fn hold(&mut self, call: &Call, charges: &[Charge], cover: &Cover, asked: &Asked, ttl: i64) -> Told {
        let mut told = Told::new("allowed");
        let mut hold = Hold {
            id: call.id.clone(),
            kind: call.kind,
            labels: call.labels,
            time: call.time.unwrap_or(self.now),
            opened: self.now,
            sub: asked.sub.clone(),
            term: asked.term.unwrap_or(self.sub(&asked.sub).term),
            expires: self.now + ttl,
            ..Hold::default()
        };
        hold.quoted = first_asked(charges);
        self.open_parts(cover);
        for (_, asset, source, amount) in &cover.live {
            if let Source::Grant(id) = source {
                self.grant_mut(id).free -= amount;
                *hold.pins.entry(id.clone()).or_default() += amount;
                told.add("held", asset, *amount);
            }
        }
        for (_, asset, amount) in &cover.missing {
            *hold.credit.entry(asset).or_default() += amount;
            told.add("held", asset, *amount);
        }
        self.holds.push(hold);
        told
    }

    /// Why nothing can be done to a hold.
    pub fn gone(&self, index: usize, until: i64) -> Option<Told> {
        let hold = &self.holds[index];
        if hold.ended {
            return Some(Told::new("gone"));
        }
        (self.now >= until).then(|| Told::new("gone"))
    }

    /// `word`: what the plan says of a call that was settled in part.
    pub fn release(&mut self, index: usize, word: &Word) -> Told {
        if let Some(gone) = self.gone(index, self.holds[index].expires) {
            return gone;
        }
        if self.holds[index].parted.is_some() {
            return self.conclude(index, word);
        }
        self.record();
        let told = self.give_up(index);
        self.holds[index].ended = true;
        told
    }

    pub fn give_up(&mut self, index: usize) -> Told {
        let mut told = Told::new("released");
        let pins = std::mem::take(&mut self.holds[index].pins);
        self.holds[index].credit.clear();
        let mut pins: Vec<(String, i128)> = pins.into_iter().collect();
        pins.sort_by_key(|(id, _)| self.grant_of(id).burns());
        for (id, amount) in pins {
            self.unpin(&id, amount, &mut told, "returned");
        }
        told
    }

    pub fn unpin(&mut self, id: &str, amount: i128, told: &mut Told, name: &'static str) {
        let grant = self.grant_mut(id);
        let asset = grant.asset;
        match grant.dead {
            true => *self.breakage.entry(asset).or_default() += amount,
            false => {
                grant.free += amount;
                told.add(name, asset, amount);
                self.pay_debt(id, amount);
            }
        }
    }

    /// With a word, so that the plan is asked, more room too.
    pub fn extend(&mut self, index: usize, ttl: i64, word: Option<&Word>) -> Told {
        if let Some(gone) = self.gone(index, self.holds[index].expires) {
            return gone;
        }
        if let Some(word) = word {
            let mut subs = self.subs.iter();
            let sub = subs.find(|sub| sub.id == self.holds[index].sub);
            if sub.is_some_and(|sub| matches!(sub.status, Status::Paused(_))) {
                return self.deny(Told::new("denied: Paused"));
            }
            let says = match (word, sensible(word)) {
                (Word::Says(says), _) => says,
                (_, Err(refused)) => return refused,
                (_, Ok(_)) => unreachable!("a price is said"),
            };
            if let Some(denied) = self.indebted(&says.charges) {
                return self.deny(denied);
            }
            if !says.is_postable() {
                return Told::refused("Amount");
            }
            let labels = self.holds[index].labels;
            let cover = self.cover(&says.charges, labels, self.own(index));
            let credit = self.holds[index].credit.clone();
            if let Some(denied) = self.short(&cover, &credit) {
                return self.deny(denied);
            }
            let had = self.held_by(index);
            let grants = self.grants.clone();
            self.open_parts(&cover);
            let mut grown = self.holds[index].clone();
            grown.quoted = first_asked(&says.charges);
            for (_, _, source, amount) in &cover.live {
                if let Source::Grant(id) = source {
                    *grown.pins.entry(id.clone()).or_default() += amount;
                }
            }
            let mut missing = Sums::new();
            for (_, asset, amount) in &cover.missing {
                *missing.entry(asset).or_default() += amount;
            }
            for (asset, amount) in missing {
                let credit = grown.credit.entry(asset).or_default();
                *credit = (*credit).max(amount);
            }
            let before = std::mem::replace(&mut self.holds[index], grown);
            let mut wanted = self.held_by(index);
            for (_, asset, source, amount) in &cover.live {
                if *source == Source::Receivable {
                    *wanted.entry(asset).or_default() += amount;
                }
            }
            let grown = std::mem::replace(&mut self.holds[index], before);
            if let Some(denied) = self.unfit(labels, &wanted, &had) {
                self.grants = grants;
                return self.deny(denied);
            }
            self.holds[index] = grown;
            for (_, _, source, amount) in &cover.live {
                if let Source::Grant(id) = source {
                    self.grant_mut(id).free -= amount;
                }
            }
        }
        self.record();
        let hold = &mut self.holds[index];
        hold.expires = hold.expires.max(self.now + ttl);
        let mut told = Told::new("extended");
        self.tell_held(index, &mut told);
        told
    }

    /// What a hold has set aside.
    pub fn held_by(&self, index: usize) -> Sums {
        let hold = &self.holds[index];
        let mut held = hold.credit.clone();
        for (id, amount) in &hold.pins {
            *held.entry(self.grant_of(id).asset).or_default() += amount;
        }
        held
    }

    pub fn tell_held(&self, index: usize, told: &mut Told) {
        for (asset, amount) in self.held_by(index) {
            told.add("held", asset, amount);
        }
    }

    /// Usage that happened, with a price: charged, counted, and everything that comes with it. Its record is there.
    pub fn charge(&mut self, call: &Call, says: &Says, asked: &Asked) {
        let given = self.give(&call.id, &says.gives);
        self.charge_behind(call, says, asked, given);
    }

    /// The same where what it gives back came back already; what it gives no more is taken again first.
    pub fn charge_behind(
        &mut self,
        call: &Call,
        says: &Says,
        asked: &Asked,
        (gave, gone): (Vec<Given>, Vec<Given>),
    ) {
        self.take_again(&gone);
        let cover = self.cover(&says.charges, call.labels, BTreeMap::new());
        let slices = self.slices(&cover, &says.charges);
        self.post(&cover);
        self.charged_with(call, says, asked, slices, gave);
    }

    /// Its charges are posted: counted, and everything that comes with it.
    pub fn charged_with(
        &mut self,
        call: &Call,
        says: &Says,
        asked: &Asked,
        slices: Vec<Slice>,
        gave: Vec<Given>,
    ) {
        let mut taken = Sums::new();
        for slice in &slices {
            *taken.entry(slice.asset).or_default() += slice.amount;
        }
        self.count(call.labels, &taken);
        self.charged(call, slices, asked);
        self.note_given(&call.id, gave);
        let about = self.about(asked, call.labels, &call.id);
        self.carry_out(says, asked, self.now, None, Some(&call.id), about.as_ref());
    }

    pub fn usage(&mut self, call: &Call, word: &Word) -> Told {
        match self.out_of_time(call.time) {
            Some(refused) => refused,
            None => self.used(call, word),
        }
    }

    /// Usage that is too old to be reported as such; nothing else is.
    pub fn backfill(&mut self, call: &Call, word: &Word) -> Told {
        match call.time {
            Some(time) if time < self.now - 35 * 86_400 => self.used(call, word),
            _ => Told::refused("Time"),
        }
    }

    fn used(&mut self, call: &Call, word: &Word) -> Told {
        let asked = self.asked(call.kind, call.time.unwrap_or(self.now));
        self.record();
        match (asked, word.orders()) {
            (Some(asked), Some(says)) if self.can_give(&call.id, &says.gives) => {
                self.charge(call, says, &asked);
                Told::new("charged")
            }
            _ => {
                self.keep(call);
                Told::new("unpriced")
            }
        }
    }

    /// What waits for a price gets one.
    pub fn rate(&mut self, sequence: u64, call: &Call, time: i64, word: &Word) -> Told {
        let (Some(asked), Some(says)) = (self.asked(call.kind, time), word.orders()) else {
            return Told::refused("NotDue");
        };
        if !self.can_give(&call.id, &says.gives) {
            return Told::refused("NotDue");
        }
        self.record();
        self.unpriced.remove(&sequence);
        let call = Call {
            time: Some(time),
            ..call.clone()
        };
        self.charge(&call, says, &asked);
        Told::new("charged")
    }
}

/// A price for a call that is held; what is none is refused.
pub fn sensible(word: &Word) -> Result<&Says, Told> {
    match word {
        Word::Silent => Err(Told::refused("NoPlan")),
        Word::Invalid | Word::Cannot => Err(Told::refused("InvalidEvent")),
        Word::Breaks => Err(Told::refused("PlanFailed")),
        Word::Negative => Err(Told::refused("PlanFailed")),
        Word::Says(_) => word.orders().ok_or_else(|| Told::refused("Amount")),
    }
}

/// Everything that charges take, by asset.
fn taken_of(cover: &Cover) -> impl Iterator<Item = (&'static str, i128)> {
    let live = cover.live.iter().map(|(_, asset, _, amount)| (*asset, *amount));
    live.chain(cover.missing.iter().map(|(_, asset, amount)| (*asset, *amount)))
}
