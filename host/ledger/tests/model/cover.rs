//! What charges take from where, naively: fractions of the whole, one source after the other.

use std::collections::BTreeMap;

use crate::fraction::Fraction;
use crate::parts::Part;
use crate::reference::{Grant, Key, Model, Source};
use crate::words::{Charge, Labels};

/// What charges are covered by.
#[derive(Default)]
pub struct Cover {
    /// From what the hold has, in the order in which it is taken.
    pub own: Vec<(usize, &'static str, Source, i128)>,
    /// From what came back to grants that are over, in the order in which it is taken.
    pub lost: Vec<(usize, &'static str, Source, i128)>,
    /// From the wallet, in the order in which it is taken.
    pub live: Vec<(usize, &'static str, Source, i128)>,
    /// By nothing.
    pub missing: Vec<(usize, &'static str, i128)>,
    /// Parts of grants that may be among what is taken from the wallet.
    pub parts: Vec<Part>,
}

impl Cover {
    /// What is taken of the hold, by charge and source.
    pub fn owned(&self) -> BTreeMap<Key, i128> {
        let mut sums = BTreeMap::new();
        for (charge, asset, source, amount) in &self.own {
            *sums.entry((*charge, *asset, source.clone())).or_default() += amount;
        }
        sums
    }
}

/// What is there already, in the order in which it is drawn; each source of an asset once.
pub type Owned = Vec<(&'static str, Source, i128)>;

impl Model {
    /// Each charge in turn takes of what the hold has, asset by asset; then each in turn of what the wallet has.
    pub fn cover(
        &self,
        charges: &[Charge],
        labels: Labels,
        own: BTreeMap<(&'static str, Source), i128>,
    ) -> Cover {
        let place = |source: &Source| match source {
            Source::Grant(id) => (0, Some(self.grant_of(id).burns())),
            Source::Debt | Source::Receivable => (1, None),
        };
        let mut own: Owned = own
            .into_iter()
            .map(|((asset, source), n)| (asset, source, n))
            .collect();
        own.sort_by_key(|(_, source, _)| place(source));
        let mut cover = Cover::default();
        let mut round = Round::new(charges);
        cover.own = round.draw(self, labels, own);
        round.draw_live(self, labels, &mut cover);
        cover
    }

    /// What an event costs behind a correction: what refunds gave back of it covers it as if it were still taken, then what
    /// it took, then what came back to grants that are over; and only then, if at all, what is free.
    pub fn cover_again(
        &self,
        charges: &[Charge],
        labels: Labels,
        [refunded, taken, lost]: [Owned; 3],
        is_live: bool,
    ) -> Cover {
        let mut cover = Cover::default();
        let mut round = Round::new(charges);
        round.draw(self, labels, refunded);
        cover.own = round.draw(self, labels, taken);
        cover.lost = round.draw(self, labels, lost);
        let without;
        let model = match is_live {
            true => self,
            false => {
                without = self.without_free();
                &without
            }
        };
        round.draw_live(model, labels, &mut cover);
        cover
    }
}

/// Charges that are being covered.
struct Round<'c> {
    charges: &'c [Charge],
    /// What each link of each charge has taken, and whether the charge is wholly covered.
    open: Vec<(Vec<i128>, bool)>,
}

impl<'c> Round<'c> {
    fn new(charges: &'c [Charge]) -> Round<'c> {
        let open = charges.iter().map(|c| (vec![0; c.links.len()], false));
        Round {
            charges,
            open: open.collect(),
        }
    }

    /// Of what is there already. Tells what was taken, in order.
    fn draw(
        &mut self,
        model: &Model,
        labels: Labels,
        mut own: Owned,
    ) -> Vec<(usize, &'static str, Source, i128)> {
        let mut drawn = Vec::new();
        if own.is_empty() {
            // Nobody is asked, so nothing is found to be too little to be asked for.
            return drawn;
        }
        for (index, charge) in self.charges.iter().enumerate() {
            for (place, link) in charge.links.iter().enumerate() {
                let (taken, done) = &mut self.open[index];
                let is_last = place + 1 == charge.links.len();
                let may_pay = |source: &Source| match source {
                    Source::Grant(id) => !link.invoice && model.grant_of(id).pays_for(charge.code, labels),
                    Source::Debt => !link.invoice && is_last,
                    Source::Receivable => link.invoice,
                };
                let need = need(charge, taken, place, *done);
                *done |= need == 0;
                let mut rest = need;
                for (asset, source, there) in &mut own {
                    let take = rest.min(*there);
                    if *asset == link.asset && may_pay(source) && take > 0 {
                        *there -= take;
                        rest -= take;
                        drawn.push((index, link.asset, source.clone(), take));
                    }
                }
                taken[place] += need - rest;
                *done |= rest == 0;
                if link.invoice {
                    break; // The statement takes the rest.
                }
            }
        }
        drawn
    }

    /// Of what is free in the wallet; what nothing covers is missing.
    fn draw_live(&mut self, model: &Model, labels: Labels, cover: &mut Cover) {
        let parts = model.parts(labels);
        cover.parts.clone_from(&parts);
        let parts = parts.iter().map(|(_, part)| part);
        let mut order: Vec<&Grant> = model.grants.iter().chain(parts).collect();
        // A part that is not there yet goes by the name of what it is of.
        order.sort_by_key(|g| match cover.parts.iter().find(|(_, part)| part.id == g.id) {
            Some((of, part)) => Grant {
                id: of.clone(),
                ..part.clone()
            }
            .burns(),
            None => g.burns(),
        });
        let mut free: BTreeMap<&str, i128> = BTreeMap::new();
        for grant in order.iter().filter(|g| !g.waiting && !g.dead) {
            free.insert(&grant.id, grant.free);
        }
        for (index, charge) in self.charges.iter().enumerate() {
            let (taken, done) = &mut self.open[index];
            for (place, link) in charge.links.iter().enumerate() {
                let need = need(charge, taken, place, *done);
                *done |= need == 0;
                let mut rest = need;
                if link.invoice && need > 0 {
                    rest = 0;
                    cover.live.push((index, link.asset, Source::Receivable, need));
                }
                for grant in &order {
                    if model.has_another(cover, grant) {
                        continue;
                    }
                    let applies = grant.asset == link.asset && grant.pays_for(charge.code, labels);
                    let there = free
                        .get_mut(grant.id.as_str())
                        .filter(|_| applies && !link.invoice);
                    let take = there.as_ref().map_or(0, |there| rest.min(**there));
                    if take > 0 {
                        *there.unwrap() -= take;
                        rest -= take;
                        let source = Source::Grant(grant.id.clone());
                        cover.live.push((index, link.asset, source, take));
                    }
                }
                taken[place] += need - rest;
                *done |= rest == 0;
                if place + 1 == charge.links.len() && rest > 0 {
                    cover.missing.push((index, link.asset, rest));
                }
            }
        }
    }
}

/// What one link has to pay on top of what it paid, were it the last: the uncovered part of the whole charge in its
/// asset, half to even.
fn need(charge: &Charge, taken: &[i128], place: usize, done: bool) -> i128 {
    if done || charge.links[0].amount == 0 {
        return 0;
    }
    let mut uncovered = Fraction::new(1, 1);
    for (other, link) in charge.links.iter().enumerate().filter(|(i, _)| *i != place) {
        uncovered = uncovered.minus(Fraction::new(taken[other], link.amount));
    }
    uncovered.times(charge.links[place].amount).half_to_even() - taken[place]
}
