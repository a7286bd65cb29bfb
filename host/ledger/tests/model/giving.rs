//! What a plan gives back of earlier events, naively.

use std::collections::BTreeMap;

use crate::corrections::{Event, Owing, Slice, Stands, owing, split};
use crate::owed::WriteOff;
use crate::reference::{Model, Source, Told};
use crate::words::{Charge, Give, Link};

/// A slice of another event that came back because of this one.
#[derive(Debug, Clone)]
pub struct Given {
    pub event: String,
    pub slice: Slice,
    /// What of it the customer did not get.
    pub lost: i128,
}

/// What give-backs are told apart by.
type Key = (String, &'static str, &'static str);

/// What an event gives in place of what it gave before.
#[derive(Default)]
pub struct Giving {
    kept: Vec<Given>,
    /// Given no more.
    gone: Vec<Given>,
    /// What comes back in addition, in the order in which it is said.
    more: Vec<(Key, i128)>,
}

impl Giving {
    fn of(before: &[Given], gives: &[Give]) -> Giving {
        let mut giving = Giving::default();
        for give in gives {
            let key = (give.event.clone(), give.code, give.asset);
            match giving.more.iter_mut().find(|(known, _)| *known == key) {
                Some((_, sum)) => *sum += give.amount,
                None => giving.more.push((key, give.amount)),
            }
        }
        for given in before {
            let key = (given.event.clone(), given.slice.code, given.slice.asset);
            let wanted = giving.more.iter_mut().find(|(known, _)| *known == key);
            let mut keep = 0;
            if let Some((_, wanted)) = wanted {
                keep = given.slice.amount.min(*wanted);
                *wanted -= keep;
            }
            let got = given.slice.amount - given.lost;
            let lost_and_kept = if keep > got { keep - got } else { 0 };
            let mut part = |amount: i128, lost: i128, list: fn(&mut Giving) -> &mut Vec<Given>| {
                if amount > 0 {
                    let mut part = given.clone();
                    (part.slice.amount, part.lost) = (amount, lost);
                    list(&mut giving).push(part);
                }
            };
            part(keep, lost_and_kept, |giving| &mut giving.kept);
            let gone = given.slice.amount - keep;
            part(gone, given.lost - lost_and_kept, |giving| &mut giving.gone);
        }
        giving.more.retain(|(_, amount)| *amount > 0);
        giving
    }
}

impl Model {
    fn giving(&self, giver: &str, gives: &[Give]) -> Giving {
        let before = self.events.get(giver).map_or(&[][..], |event| &event.gave);
        Giving::of(before, gives)
    }

    /// Whether all of it can be given back.
    pub fn can_give(&self, giver: &str, gives: &[Give]) -> bool {
        let giving = self.giving(giver, gives);
        giving.more.iter().all(|((event, code, asset), amount)| {
            let Some(of) = self.events.get(event).filter(|_| event != giver) else {
                return false;
            };
            let same = of.slices.iter().filter(|s| s.code == *code && s.asset == *asset);
            of.stands == Stands::Charged && same.map(|s| s.amount).sum::<i128>() >= *amount
        })
    }

    /// Gives back, event by event. Tells what the giver gave then, and what of it is to be taken again.
    pub fn give(&mut self, giver: &str, gives: &[Give]) -> (Vec<Given>, Vec<Given>) {
        let Giving {
            mut kept,
            gone,
            mut more,
        } = self.giving(giver, gives);
        more.sort_by(|((a, ..), _), ((b, ..), _)| a.cmp(b)); // stable
        let mut all: BTreeMap<String, Owing> = BTreeMap::new();
        for ((name, code, asset), amount) in more {
            let event = self.events[&name].clone();
            let is_it = |slice: &Slice| slice.code == code && slice.asset == asset;
            let (back, stays) = split(&event.slices, Some(amount), is_it);
            self.count_back(event.labels, -1, &back);
            for slice in back {
                let owing = all.entry(name.clone()).or_insert_with(|| owing(&event));
                let lost = self.back(&slice, owing, &mut Told::default());
                kept.push(Given {
                    event: name.clone(),
                    slice,
                    lost,
                });
            }
            self.events.get_mut(&name).unwrap().slices = stays;
        }
        (kept, gone)
    }

    /// Takes again what was given: what the customer got, from what it has now.
    pub fn take_again(&mut self, gone: &[Given]) {
        let mut names: Vec<&String> = Vec::new();
        for given in gone {
            if !names.contains(&&given.event) {
                names.push(&given.event);
            }
        }
        for name in names {
            let event = self.events[name].clone();
            if event.stands == Stands::Charged {
                self.take_again_of(name, &event, gone);
            }
        }
    }

    fn take_again_of(&mut self, name: &str, event: &Event, gone: &[Given]) {
        let mut taken: Vec<Slice> = Vec::new();
        let mut charges: Vec<Charge> = Vec::new();
        for Given { slice, lost, .. } in gone.iter().filter(|given| given.event == name) {
            if *lost > 0 {
                self.lose_again(slice, *lost);
                taken.push(Slice {
                    amount: *lost,
                    ..slice.clone()
                });
            }
            let (amount, invoice) = (slice.amount - lost, slice.source == Source::Receivable);
            if amount == 0 {
                continue;
            }
            let same = |c: &&mut Charge| {
                c.code == slice.code && c.links[0].asset == slice.asset && c.links[0].invoice == invoice
            };
            match charges.iter_mut().find(same) {
                Some(charge) => charge.links[0].amount += amount,
                None => charges.push(Charge {
                    code: slice.code,
                    links: vec![Link {
                        asset: slice.asset,
                        amount,
                        invoice,
                    }],
                }),
            }
        }
        let cover = self.cover(&charges, event.labels, BTreeMap::new());
        self.post(&cover);
        taken.extend(self.slices(&cover, &charges));
        self.count_back(event.labels, 1, &taken);
        self.events.get_mut(name).unwrap().slices.extend(taken);
    }

    /// The customer did not get it: it goes back where it had gone.
    pub fn lose_again(&mut self, slice: &Slice, lost: i128) {
        *self.revenue.entry(slice.asset).or_default() += lost;
        match &slice.source {
            Source::Grant(_) => *self.breakage.entry(slice.asset).or_default() -= lost,
            of => {
                *self.adjusted.entry(slice.asset).or_default() -= lost;
                self.written_off.push(WriteOff {
                    of: of.clone(),
                    asset: slice.asset,
                    at: self.now,
                    amount: lost,
                });
            }
        }
    }

    /// Notes what an event has given.
    pub fn note_given(&mut self, giver: &str, gave: Vec<Given>) {
        for event in self.events.values_mut() {
            event.by.retain(|by| by != giver);
        }
        for given in &gave {
            let event = self.events.get_mut(&given.event).unwrap();
            if !event.by.iter().any(|by| by == giver) {
                event.by.push(giver.to_string());
            }
        }
        self.events.get_mut(giver).unwrap().gave = gave;
    }
}
