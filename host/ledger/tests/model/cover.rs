//! What charges take from where, naively: fractions of the whole, one source after the other.

use std::collections::BTreeMap;

use crate::fraction::Fraction;
use crate::reference::{Grant, Key, Model, Source};
use crate::words::Charge;

/// What charges are covered by.
#[derive(Default)]
pub struct Cover {
    /// From what the hold has, in the order in which it is taken.
    pub own: Vec<(usize, &'static str, Source, i128)>,
    /// From the wallet, in the order in which it is taken.
    pub live: Vec<(usize, &'static str, Source, i128)>,
    /// By nothing.
    pub missing: Vec<(usize, &'static str, i128)>,
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

impl Model {
    /// Each charge in turn takes of what the hold has, asset by asset; then each in turn of what the wallet has.
    pub fn cover(
        &self,
        charges: &[Charge],
        team: Option<&str>,
        mut own: BTreeMap<(&'static str, Source), i128>,
    ) -> Cover {
        let mut cover = Cover::default();
        let mut order: Vec<&Grant> = self.grants.iter().collect();
        order.sort_by_key(|g| g.burns());
        let mut open: Vec<(Vec<i128>, bool)> =
            charges.iter().map(|c| (vec![0; c.links.len()], false)).collect();
        for (index, charge) in charges.iter().enumerate() {
            for (place, link) in charge.links.iter().enumerate() {
                let (taken, done) = &mut open[index];
                let applies = |g: &&&Grant| g.asset == link.asset && g.pays_for(charge.code, team);
                let mut sources: Vec<Source> = Vec::new();
                if !link.invoice {
                    let grants = order.iter().filter(applies);
                    sources.extend(grants.map(|g| Source::Grant(g.id.clone())));
                    if place + 1 == charge.links.len() {
                        sources.push(Source::Debt);
                    }
                } else {
                    sources.push(Source::Receivable);
                }
                let need = need(charge, taken, place, *done);
                *done |= need == 0;
                let mut rest = need;
                for source in sources {
                    let there = own.entry((link.asset, source.clone())).or_default();
                    let take = rest.min(*there);
                    if take > 0 {
                        *there -= take;
                        rest -= take;
                        cover.own.push((index, link.asset, source, take));
                    }
                }
                taken[place] += need - rest;
                *done |= rest == 0;
                if link.invoice {
                    break; // The statement takes the rest.
                }
            }
        }
        let mut free: BTreeMap<&str, i128> = BTreeMap::new();
        for grant in order.iter().filter(|g| !g.waiting && !g.dead) {
            free.insert(&grant.id, grant.free);
        }
        for (index, charge) in charges.iter().enumerate() {
            let (taken, done) = &mut open[index];
            for (place, link) in charge.links.iter().enumerate() {
                let need = need(charge, taken, place, *done);
                *done |= need == 0;
                let mut rest = need;
                if link.invoice && need > 0 {
                    rest = 0;
                    cover.live.push((index, link.asset, Source::Receivable, need));
                }
                for grant in &order {
                    let applies = grant.asset == link.asset && grant.pays_for(charge.code, team);
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
        cover
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
