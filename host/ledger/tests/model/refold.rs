//! Events behind a corrected one that cost something else, naively; and terms that are kept again.

use std::collections::BTreeMap;

use crate::corrections::{Event, Lost, Slice, owing, split};
use crate::cover::{Cover, Owned};
use crate::reference::{Model, Source, Sums, Told};
use crate::subscriptions::Term;
use crate::words::Charge;

/// A term that is priced again.
#[derive(Debug, Clone)]
pub struct Refold {
    pub sub: String,
    /// The open term, as whoever folded it saw it.
    pub open: u32,
    /// The one that was folded, where it is over.
    pub closed: Option<u32>,
    /// Events that cost something else, and what.
    pub behind: Vec<(String, Vec<Charge>)>,
    /// The plan's state behind all of them.
    pub state: u8,
}

/// What an event that is priced again keeps.
pub struct Kept {
    slices: Vec<Slice>,
    /// It costs more than that.
    grows: bool,
}

impl Model {
    /// Whether it is of what the wallet has by now.
    pub fn fits(&self, refold: &Refold) -> bool {
        let sub = self.subs.iter().find(|s| s.id == refold.sub);
        sub.is_some_and(|s| match refold.closed {
            None => s.term == refold.open,
            Some(closed) => closed < s.term,
        })
    }

    /// What the events cost less comes back, event by event.
    pub fn cost_less(&mut self, refold: &Refold, lost: &mut Lost, told: &mut Told) -> Vec<Kept> {
        told.what = "refolded".into();
        let mut all = Vec::new();
        for (id, charges) in &refold.behind {
            let event = self.events[id].clone();
            let mut kept = Kept {
                slices: Vec::new(),
                grows: false,
            };
            let mut left = Vec::new();
            for code in codes(&event, charges) {
                let cover = self.cover_of(&event, code, charges, None);
                kept.grows |= !cover.live.is_empty() || !cover.missing.is_empty();
                let mut taken: Vec<Slice> = event.slices.iter().filter(|s| s.code == code).cloned().collect();
                for (_, asset, source, amount) in cover.own {
                    keep(&mut taken, asset, &source, amount, &mut kept.slices);
                }
                left.extend(taken);
            }
            let (back, _) = split(&left, None, |_| true);
            let mut owing = owing(&event);
            for slice in &back {
                told.add("cheaper", slice.asset, slice.amount);
                self.back(slice, &mut owing, &mut Told::default());
            }
            for (asset, source, amount) in self.lost(&back) {
                match lost.behind.iter_mut().find(|(_, known, _)| *known == source) {
                    Some((.., sum)) => *sum += amount,
                    None => lost.behind.push((asset, source, amount)),
                }
            }
            self.count_back(event.labels, -1, &back);
            self.events.get_mut(id).unwrap().slices = kept.slices.clone();
            all.push(kept);
        }
        all
    }

    /// What they cost more is charged: first what each took and still needs, then what would be lost, then what the wallet has,
    /// then debt.
    pub fn cost_more(
        &mut self,
        refold: &Refold,
        before: &[Event],
        all: Vec<Kept>,
        lost: &mut Lost,
        told: &mut Told,
    ) {
        for (((id, charges), event), mut kept) in refold.behind.iter().zip(before).zip(all) {
            for code in codes(event, charges).into_iter().filter(|_| kept.grows) {
                let cover = self.cover_of(event, code, charges, Some(lost));
                let same = of_code(charges, code);
                let mut new = self.save(&same, &cover.lost, lost, told);
                self.post(&cover);
                new.extend(self.slices(&cover, &same));
                let mut taken = Sums::new();
                for slice in new {
                    told.add("dearer", slice.asset, slice.amount);
                    *taken.entry(slice.asset).or_default() += slice.amount;
                    kept.slices.push(slice);
                }
                self.count(event.labels, &taken);
            }
            self.events.get_mut(id).unwrap().slices = kept.slices;
        }
        let key = refold.closed.map(|closed| (refold.sub.clone(), closed));
        match key {
            Some(key) => self.terms.get_mut(&key).unwrap().state = vec![refold.state],
            None => self.sub_mut(&refold.sub).unwrap().state = vec![refold.state],
        }
    }

    /// The events behind, as they stand.
    pub fn before(&self, refold: &Refold) -> Vec<Event> {
        let events = refold.behind.iter().map(|(id, _)| self.events[id].clone());
        events.collect()
    }

    /// With what would be lost, and what is free, where that is said; else with what it took alone.
    fn cover_of(&self, event: &Event, code: &str, charges: &[Charge], lost: Option<&Lost>) -> Cover {
        let (refunded, taken) = (owned(&event.refunded, code), owned(&event.slices, code));
        let known = [
            refunded,
            taken,
            lost.map_or(Vec::new(), |lost| lost.then(self, event.time)),
        ];
        self.cover_again(&of_code(charges, code), event.labels, known, lost.is_some())
    }

    /// A term that was forgotten is kept again, as it stood last.
    pub fn remember_term(&mut self, id: &str, number: u32, term: &Term) -> Told {
        let Some(sub) = self.subs.iter_mut().find(|s| s.id == id) else {
            return Told::refused("UnknownSubscription");
        };
        if number >= sub.term || sub.past.iter().any(|past| past.0 == number) {
            return Told::refused("NotDue");
        }
        sub.past.push((number, term.since, term.until));
        sub.past.sort();
        self.terms.insert((id.into(), number), term.clone());
        self.record();
        Told::new("handled")
    }
}

/// Codes of what an event costs now, and behind them those that it took something for before.
fn codes(event: &Event, charges: &[Charge]) -> Vec<&'static str> {
    let taken = event.slices.iter().chain(&event.refunded).map(|s| s.code);
    let mut codes: Vec<&str> = Vec::new();
    for code in charges.iter().map(|c| c.code).chain(taken) {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes
}

fn of_code(charges: &[Charge], code: &str) -> Vec<Charge> {
    charges.iter().filter(|c| c.code == code).cloned().collect()
}

/// Each source of an asset where it was asked first, with all that was taken of it.
fn owned(slices: &[Slice], code: &str) -> Owned {
    let mut sums: BTreeMap<(&str, &Source), i128> = BTreeMap::new();
    let mut order: Vec<(&'static str, &Source)> = Vec::new();
    for slice in slices.iter().filter(|s| s.code == code) {
        let key = (slice.asset, &slice.source);
        *sums.entry(key).or_default() += slice.amount;
        if !order.contains(&key) {
            order.push(key);
        }
    }
    let all = order.into_iter();
    all.map(|(asset, source)| (asset, source.clone(), sums[&(asset, source)]))
        .collect()
}

/// So much of one source is still needed, what was posted first before the rest.
fn keep(taken: &mut Vec<Slice>, asset: &str, source: &Source, mut rest: i128, kept: &mut Vec<Slice>) {
    for slice in taken
        .iter_mut()
        .filter(|s| s.asset == asset && s.source == *source)
    {
        let part = rest.min(slice.amount);
        rest -= part;
        slice.amount -= part;
        let part = Slice {
            amount: part,
            ..slice.clone()
        };
        let alike = |s: &&mut Slice| {
            Slice {
                amount: 0,
                ..(**s).clone()
            } == Slice {
                amount: 0,
                ..part.clone()
            }
        };
        match kept.iter_mut().find(alike) {
            Some(known) => known.amount += part.amount,
            None if part.amount > 0 => kept.push(part),
            None => {}
        }
    }
    taken.retain(|slice| slice.amount > 0);
}
