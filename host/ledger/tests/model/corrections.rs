//! What puts money right, naively: adjustments, payments, refunds, events that are taken back or replaced.

use std::collections::BTreeMap;

use farebox_record::correction::AdjustTarget;

use crate::calls::Call;
use crate::cover::Owned;
use crate::giving::Given;
use crate::reference::{Grant, Hold, Key, Model, Source, Sums, Told, of};
use crate::refold::Refold;
use crate::subscriptions::{Asked, Status, Waits};
use crate::words::{Charge, Labels, Says, Word};

/// Part of a charge, and where it was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub code: &'static str,
    pub asset: &'static str,
    pub source: Source,
    pub amount: i128,
    /// When it was posted; of a call, when that was opened.
    pub posted: i64,
}

/// Whether an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Charged,
    /// It waits for a price, by the number of its record.
    Unpriced(u64),
    Voided,
}

/// An event as it stands.
#[derive(Debug, Clone)]
pub struct Event {
    pub labels: Labels,
    /// When it happened.
    pub time: i64,
    /// Who priced it.
    pub sub: Option<String>,
    pub stands: Stands,
    /// What it took and has not given back, in the order in which it was taken.
    pub slices: Vec<Slice>,
    /// What it gave back of other events.
    pub gave: Vec<Given>,
    /// Events that gave back of it.
    pub by: Vec<String>,
    /// What refunds gave back of it since it has its price.
    pub refunded: Vec<Slice>,
}

impl Grant {
    /// An adjustment is for no charge, and leaves alone what pays for certain usage only.
    fn is_free(&self, asset: &str) -> bool {
        self.asset == asset && !self.waiting && !self.dead && self.pays_for("", Labels::default())
    }
}

impl Model {
    /// A call that is over, with what it took by then.
    pub fn remember(&mut self, hold: &Hold, labels: Labels) {
        let slice = |key: &Key| Slice {
            code: hold.codes[key.0],
            asset: key.1,
            source: key.2.clone(),
            amount: hold.taken[key],
            posted: hold.opened,
        };
        let event = Event {
            labels,
            time: hold.time,
            sub: Some(hold.sub.clone()),
            stands: Stands::Charged,
            slices: hold.order.iter().map(slice).collect(),
            gave: Vec::new(),
            by: Vec::new(),
            refunded: Vec::new(),
        };
        self.events.insert(hold.id.clone(), event);
    }

    /// An event with a price.
    pub fn charged(&mut self, call: &Call, slices: Vec<Slice>, asked: &Asked) {
        let event = Event {
            labels: call.labels,
            time: call.time.unwrap_or(self.now),
            sub: Some(asked.sub.clone()),
            stands: Stands::Charged,
            slices,
            gave: Vec::new(),
            by: self.events.get(&call.id).map_or(Vec::new(), |e| e.by.clone()),
            refunded: Vec::new(),
        };
        self.events.insert(call.id.clone(), event);
    }

    /// An event that waits for a price.
    pub fn keep(&mut self, call: &Call) {
        let time = call.time.unwrap_or(self.now);
        self.unpriced
            .insert(self.records, Waits::Event(call.clone(), time));
        let event = Event {
            labels: call.labels,
            time,
            sub: None,
            stands: Stands::Unpriced(self.records),
            slices: Vec::new(),
            gave: Vec::new(),
            by: Vec::new(),
            refunded: Vec::new(),
        };
        self.events.insert(call.id.clone(), event);
    }

    /// All that can be adjusted.
    pub fn adjustable(&self, target: AdjustTarget, asset: &'static str) -> i128 {
        match target {
            AdjustTarget::Balance => {
                let free = self.grants.iter().filter(|g| g.is_free(asset));
                free.map(|g| g.free).sum()
            }
            AdjustTarget::Debt => of(&self.debt, asset),
            AdjustTarget::Receivable => of(&self.receivable, asset),
        }
    }

    pub fn adjust(&mut self, target: AdjustTarget, asset: &'static str, amount: i128) -> Told {
        if amount <= 0 {
            return Told::refused("Amount");
        }
        let most = self.adjustable(target, asset);
        if amount > most {
            return Told::refused("TooMuch");
        }
        self.record();
        match target {
            AdjustTarget::Balance => {
                let mut burnt: Vec<Grant> =
                    self.grants.iter().filter(|g| g.is_free(asset)).cloned().collect();
                burnt.sort_by_key(|g| g.burns());
                let mut rest = amount;
                for grant in burnt {
                    let taken = rest.min(grant.free);
                    self.grant_mut(&grant.id).free -= taken;
                    rest -= taken;
                }
                *self.adjusted.entry(asset).or_default() += amount;
            }
            AdjustTarget::Debt => self.write_off(Source::Debt, asset, amount),
            AdjustTarget::Receivable => self.write_off(Source::Receivable, asset, amount),
        }
        Told::new("adjusted")
    }

    pub fn pay(&mut self, asset: &'static str, amount: i128) -> Told {
        if amount <= 0 {
            return Told::refused("Amount");
        }
        if amount > of(&self.receivable, asset) {
            return Told::refused("TooMuch");
        }
        self.record();
        *self.receivable.entry(asset).or_default() -= amount;
        *self.given[2].entry(asset).or_default() += amount;
        Told::new("paid")
    }

    /// Unused bought value leaves the wallet.
    pub fn refund_grant(&mut self, id: &str, amount: Option<i128>) -> Told {
        let there = self.grants.iter().find(|g| g.id == id && !self.spent(g));
        let Some(grant) = there.cloned() else {
            return Told::refused("UnknownGrant");
        };
        if grant.category != 2 {
            return Told::refused("NotRefundable");
        }
        let amount = amount.unwrap_or(grant.free);
        if amount <= 0 {
            return Told::refused("Amount");
        }
        if amount > grant.free {
            return Told::refused("TooMuch");
        }
        self.record();
        self.grant_mut(id).free -= amount;
        *self.given[2].entry(grant.asset).or_default() -= amount;
        Told::new("corrected").with("reversed", grant.asset, amount)
    }

    pub fn refund_event(&mut self, id: &str, amount: Option<(&'static str, i128)>) -> Told {
        let event = match self.stands(id) {
            Ok(event) => event,
            Err(refused) => return refused,
        };
        if let Stands::Unpriced(_) = event.stands {
            return Told::refused("NothingToGiveBack");
        }
        if let Some((asset, amount)) = amount {
            let taken = event.slices.iter().filter(|s| s.asset == asset);
            if amount <= 0 {
                return Told::refused("Amount");
            }
            if amount > taken.map(|s| s.amount).sum::<i128>() {
                return Told::refused("TooMuch");
            }
        }
        if event.slices.is_empty() {
            return Told::refused("NothingToGiveBack");
        }
        self.record();
        let most = amount.map(|(_, amount)| amount);
        let (back, stays) = split(&event.slices, most, |slice| {
            amount.is_none_or(|(asset, _)| slice.asset == asset)
        });
        let refunded = self.events.get_mut(id).unwrap();
        refunded.slices = stays;
        refunded.refunded.extend(back.clone());
        self.give_back(&event, &back).0
    }

    /// `word`: what a plan that follows subjects says to it. `refold`: what events behind it cost without it.
    pub fn void(&mut self, id: &str, word: &Word, refold: Option<&Refold>) -> Told {
        let event = match self.stands(id) {
            Ok(event) => event,
            Err(refused) => return refused,
        };
        let says = match word {
            Word::Silent => None,
            word => match reversal(word) {
                Ok(says) => Some(says),
                Err(refused) => return refused,
            },
        };
        if refold.is_some_and(|refold| !self.fits(refold)) {
            return Told::refused("CannotRefold");
        }
        self.record();
        let (mut told, mut lost) = self.take_back(id, &event);
        self.take_given(id);
        let behind = refold.map(|refold| {
            (
                refold,
                self.before(refold),
                self.cost_less(refold, &mut lost, &mut told),
            )
        });
        if let Some(says) = says {
            self.reverse(id, &event, says);
        }
        self.take_again(&event.gave);
        self.note_given(id, Vec::new());
        let event = self.events.get_mut(id).unwrap();
        event.stands = Stands::Voided;
        event.slices.clear();
        if let Some((refold, before, kept)) = behind {
            self.cost_more(refold, &before, kept, &mut lost, &mut told);
        }
        told
    }

    /// What a plan that follows subjects says to an event that is taken back is carried out.
    fn reverse(&mut self, id: &str, event: &Event, says: &Says) {
        let cover = self.cover(&says.charges, event.labels, BTreeMap::new());
        self.post(&cover);
        let mut taken = Sums::new();
        for slice in self.slices(&cover, &says.charges) {
            *taken.entry(slice.asset).or_default() += slice.amount;
        }
        self.count(event.labels, &taken);
        let asked = Asked {
            sub: event.sub.clone().unwrap(),
            term: None,
        };
        // What is given because it was taken back does not go with it.
        let about = self.about(&asked, event.labels, id);
        let about = about.map(|(team, _)| (team, None));
        self.carry_out(says, &asked, self.now, None, None, about.as_ref());
    }

    /// `reversed`: what its plan says to the event that is replaced, where it follows subjects. `refold`: what events behind it
    /// cost once it is what it should have been.
    pub fn amend(
        &mut self,
        call: &Call,
        word: &Word,
        reversed: Option<&Word>,
        refold: Option<&Refold>,
    ) -> Told {
        // Without a time of its own it happened when the event that it replaces did.
        let happened = call.time.or(self.events.get(&call.id).map(|e| e.time));
        if let Some(refused) = self.out_of_time(happened) {
            return refused;
        }
        let event = match self.stands(&call.id) {
            Ok(event) => event,
            Err(refused) => return refused,
        };
        let call = &Call {
            time: happened,
            ..call.clone()
        };
        let asked = self.asked(call.kind, call.time.unwrap_or(self.now));
        let (Some(asked), true) = (asked, !matches!(word, Word::Silent)) else {
            return Told::refused("NoPlan");
        };
        let says = match word {
            Word::Invalid | Word::Cannot => return Told::refused("InvalidEvent"),
            Word::Breaks => return Told::refused("PlanFailed"),
            // Who gave back of it did so of what it was.
            _ if !event.by.is_empty() => return Told::refused("CannotRefold"),
            Word::Says(says) if refold.is_some_and(|refold| gives_of(says, refold)) => {
                return Told::refused("CannotRefold");
            }
            // It gives back of nothing.
            Word::Negative => return Told::refused("PlanFailed"),
            Word::Says(says) if !self.can_give(&call.id, &says.gives) => return Told::refused("PlanFailed"),
            word => word,
        };
        let reversed = match reversed.map(reversal).transpose() {
            Ok(says) => says,
            Err(refused) => return refused,
        };
        let Some(says) = says.orders() else {
            return Told::refused("Amount");
        };
        self.record();
        let (mut told, mut lost) = self.take_back(&call.id, &event);
        let Some(refold) = refold else {
            let given = self.give(&call.id, &says.gives);
            if let Some(says) = reversed {
                self.reverse(&call.id, &event, says);
            }
            self.take_given(&call.id);
            self.charge_in_place(call, says, &asked, given, &mut lost, &mut told);
            return told;
        };
        let (before, kept) = (self.before(refold), self.cost_less(refold, &mut lost, &mut told));
        let given = self.give(&call.id, &says.gives);
        // What it gives it gave before, and the state is the one behind all of them.
        let charges = Says {
            charges: says.charges.clone(),
            ..Says::default()
        };
        self.charge_in_place(call, &charges, &asked, given, &mut lost, &mut told);
        self.cost_more(refold, &before, kept, &mut lost, &mut told);
        told
    }

    fn stands(&self, id: &str) -> Result<Event, Told> {
        // What a call used is not known for good while it may still be settled, late or not.
        let parted = |h: &&Hold| h.id == id && h.parted.is_some() && !h.ended;
        if self.holds.iter().find(parted).is_some() {
            return Err(Told::refused("StillHeld"));
        }
        match self.events.get(id) {
            None => Err(Told::refused("UnknownEvent")),
            Some(event) if event.stands == Stands::Voided => Err(Told::refused("EventVoided")),
            Some(event) => Ok(event.clone()),
        }
    }

    /// Tells what came back, and what of it came back to grants that are over, in the order in which it was taken.
    fn take_back(&mut self, id: &str, event: &Event) -> (Told, Lost) {
        self.timers.retain(|_, timer| timer.event.as_deref() != Some(id));
        if let Stands::Unpriced(sequence) = event.stands {
            self.unpriced.remove(&sequence);
        }
        let (back, _) = split(&event.slices, None, |_| true);
        self.give_back(event, &back)
    }

    /// Whether a grant takes nothing back any more. One that is still there, because a hold has some of it, is over when it
    /// has expired or was ended. One that is gone opens again, unless its time is over, or its subscription or the plan that
    /// included it.
    fn is_over(&self, grant: &Grant) -> bool {
        if !self.is_gone(grant) {
            return grant.dead;
        }
        let ended = |id: &String| {
            let sub = self.subs.iter().find(|s| s.id == *id);
            sub.is_none_or(|s| matches!(s.status, Status::Cancelled(_)))
        };
        let expired = grant.until.is_some_and(|until| until <= self.now);
        let replaced = |id: &String| self.plan_since.get(id).is_some_and(|since| grant.from < *since);
        let over = |id: &String| ended(id) || replaced(id);
        expired || (grant.category == 1 && grant.sub.as_ref().is_some_and(over))
    }

    /// What was taken comes back, slice by slice.
    fn give_back(&mut self, event: &Event, slices: &[Slice]) -> (Told, Lost) {
        let mut told = Told::new("corrected");
        let mut owing = owing(event);
        for slice in slices {
            told.add("reversed", slice.asset, slice.amount);
            self.back(slice, &mut owing, &mut told);
        }
        self.count_back(event.labels, -1, slices);
        let own = self.lost(slices);
        let behind = Vec::new();
        (told, Lost { own, behind })
    }

    /// What of these comes back to grants that are over, in the order in which it was burnt.
    pub fn lost(&self, back: &[Slice]) -> Owned {
        let mut lost: Owned = Vec::new();
        for slice in back {
            let over = matches!(&slice.source, Source::Grant(id) if self.is_over(self.grant_of(id)));
            let same = lost
                .iter_mut()
                .find(|(asset, source, _)| *asset == slice.asset && *source == slice.source);
            match same {
                _ if !over => {}
                Some((.., sum)) => *sum += slice.amount,
                None => lost.insert(0, (slice.asset, slice.source.clone(), slice.amount)),
            }
        }
        lost
    }

    /// What is paid with what would be lost. Tells from where.
    pub fn save(
        &mut self,
        charges: &[Charge],
        paid: &[(usize, &'static str, Source, i128)],
        lost: &mut Lost,
        told: &mut Told,
    ) -> Vec<Slice> {
        let mut slices = Vec::new();
        for (charge, asset, source, amount) in paid {
            let slice = Slice {
                code: charges[*charge].code,
                asset,
                source: source.clone(),
                amount: *amount,
                posted: self.now,
            };
            self.lose_again(&slice, *amount);
            slices.push(slice);
            let is_it = |(a, s, _): &&mut (&str, Source, i128)| a == asset && s == source;
            let own = lost.own.iter_mut().find(is_it);
            let of_own = own.map_or(0, |(.., left)| {
                let part = (*left).min(*amount);
                *left -= part;
                part
            });
            told.add("expired", asset, -of_own);
            let mut rest = amount - of_own;
            for (.., left) in lost.behind.iter_mut().filter(|lost| is_it(lost)) {
                let part = rest.min(*left);
                *left -= part;
                rest -= part;
            }
            assert_eq!(rest, 0);
        }
        slices
    }

    /// What takes the place of an event is covered first by what would be lost.
    fn charge_in_place(
        &mut self,
        call: &Call,
        says: &Says,
        asked: &Asked,
        (gave, gone): (Vec<Given>, Vec<Given>),
        lost: &mut Lost,
        told: &mut Told,
    ) {
        self.take_again(&gone);
        let known = [
            Vec::new(),
            Vec::new(),
            lost.then(self, call.time.unwrap_or(self.now)),
        ];
        let cover = self.cover_again(&says.charges, call.labels, known, true);
        let mut slices = self.save(&says.charges, &cover.lost, lost, told);
        slices.extend(self.slices(&cover, &says.charges));
        self.post(&cover);
        self.charged_with(call, says, asked, slices, gave);
    }

    /// One slice comes back. Tells what of it the customer does not get.
    pub fn back(&mut self, slice: &Slice, owing: &mut Owing, told: &mut Told) -> i128 {
        let (asset, amount) = (slice.asset, slice.amount);
        *self.revenue.entry(asset).or_default() -= amount;
        match &slice.source {
            Source::Grant(id) => {
                let over = self.is_over(self.grant_of(id));
                let gone = self.is_gone(self.grant_of(id));
                let grant = self.grant_mut(id);
                if gone {
                    // Nobody knows any more what it was given for.
                    grant.event = None;
                }
                if over {
                    told.add("expired", asset, amount);
                    *self.breakage.entry(asset).or_default() += amount;
                    return amount;
                }
                grant.dead = false;
                grant.free += amount;
                let paid = self.pay_debt(id, amount);
                told.add("paid", asset, paid);
                0
            }
            source => {
                let all = owing.entry((source.clone(), asset)).or_default();
                let relieved = self.relieve(source, asset, (slice.posted, *all), amount);
                *all -= amount;
                let other = self.return_paid(asset, relieved.paid);
                let other = other.map_or(0, |(_, paid)| paid);
                told.add("paid", asset, relieved.unpaid + relieved.written_off + other);
                relieved.written_off
            }
        }
    }
}

/// What a correction gives back to grants that are over.
pub struct Lost {
    /// Of the corrected event.
    pub own: Owned,
    /// Of events behind it.
    pub behind: Owned,
}

impl Lost {
    /// What was good then.
    pub fn then(&self, model: &Model, time: i64) -> Owned {
        let mut all = [&self.own[..], &self.behind].concat();
        all.retain(|(_, source, _)| match source {
            Source::Grant(id) => model.grant_of(id).until.is_none_or(|until| time < until),
            Source::Debt | Source::Receivable => true,
        });
        all
    }
}

/// What an event made the customer owe, as it stands.
pub type Owing = BTreeMap<(Source, &'static str), i128>;

pub fn owing(event: &Event) -> Owing {
    let mut owing = Owing::new();
    for slice in &event.slices {
        *owing.entry((slice.source.clone(), slice.asset)).or_default() += slice.amount;
    }
    owing
}

/// What can be carried out of what a plan says to an event that is taken back; it cannot give back of others.
fn reversal(word: &Word) -> Result<&Says, Told> {
    match word {
        Word::Invalid | Word::Cannot => Err(Told::refused("PlanRefused")),
        Word::Breaks | Word::Negative | Word::Silent => Err(Told::refused("PlanFailed")),
        Word::Says(says) if !says.gives.is_empty() => Err(Told::refused("PlanFailed")),
        Word::Says(says) if !says.is_postable() => Err(Told::refused("Amount")),
        Word::Says(says) => Ok(says),
    }
}

/// Whether an event would give back of one that is priced again with it.
fn gives_of(says: &Says, refold: &Refold) -> bool {
    let is_behind = |event: &String| refold.behind.iter().any(|(id, _)| id == event);
    says.gives.iter().any(|give| is_behind(&give.event))
}

/// What comes back and what stays: debt first, then receivables, then grants, of each the last one taken first.
pub fn split(
    slices: &[Slice],
    amount: Option<i128>,
    is_meant: impl Fn(&Slice) -> bool,
) -> (Vec<Slice>, Vec<Slice>) {
    let mut order: Vec<usize> = (0..slices.len()).rev().collect();
    order.sort_by_key(|index| match slices[*index].source {
        Source::Debt => 0,
        Source::Receivable => 1,
        Source::Grant(_) => 2,
    });
    let mut stays: Vec<Slice> = slices.to_vec();
    let mut back = Vec::new();
    let mut rest = amount.unwrap_or(i128::MAX);
    for index in order {
        let slice = &mut stays[index];
        if !is_meant(slice) {
            continue;
        }
        let taken = rest.min(slice.amount);
        rest -= taken;
        slice.amount -= taken;
        if taken > 0 {
            back.push(Slice {
                amount: taken,
                ..slice.clone()
            });
        }
    }
    stays.retain(|slice| slice.amount > 0);
    (back, stays)
}
