//! Settlements, naively: what a call really used is covered anew, as a whole.

use std::collections::BTreeMap;

use crate::calls::sensible;
use crate::cover::Cover;
use crate::reference::{Above, GRACE, Key, Model, Source, Sums, Told};
use crate::words::{Charge, Word};

impl Model {
    /// All that a hold has, taken or pinned.
    pub fn own(&self, index: usize) -> BTreeMap<(&'static str, Source), i128> {
        let mut own = BTreeMap::new();
        let hold = &self.holds[index];
        for ((_, asset, source), amount) in &hold.taken {
            *own.entry((*asset, source.clone())).or_default() += amount;
        }
        for (id, amount) in &hold.pins {
            let asset = self.grant_of(id).asset;
            *own.entry((asset, Source::Grant(id.clone()))).or_default() += amount;
        }
        own
    }

    /// `team` comes with the settlement, where one does; it takes the place of that of the authorize.
    pub fn settle(
        &mut self,
        index: usize,
        word: &Word,
        team: Option<&'static str>,
        last: bool,
        above: Above,
    ) -> Told {
        let late = self.holds[index].expired;
        let until = self.holds[index].expires + if late { GRACE } else { 0 };
        if let Some(gone) = self.gone(index, until) {
            return gone;
        }
        let says = match sensible(word) {
            Ok(says) => says,
            Err(refused) => return refused,
        };
        let charges = &says.charges[..];
        let last = last || late;
        let team = team.or(self.holds[index].team);
        let own = self.own(index);
        let mut cover = self.cover(charges, team, own.clone());
        if above == Above::Deny && self.is_above(index, charges, team) {
            return Told::new("above hold");
        }
        let mut told = Told::new(if last { "settled" } else { "part" });
        // What goes beyond the hold's credit, charge by charge.
        let mut credit = self.holds[index].credit.clone();
        for (_, asset, missing) in &mut cover.missing {
            let credit = credit.entry(asset).or_default();
            let covered = (*missing).min(*credit);
            *credit -= covered;
            let beyond = *missing - covered;
            if above == Above::Available {
                told.add("waived", asset, beyond);
                *missing = covered;
            }
        }
        cover.missing.retain(|(_, _, missing)| *missing > 0);
        self.record();

        let earlier = self.taken_by(index);
        let hold = &mut self.holds[index];
        hold.credit = credit;
        let before = renamed(std::mem::take(&mut hold.taken), &hold.codes, charges);
        hold.codes = charges.iter().map(|c| c.code).collect();
        let pins = std::mem::take(&mut hold.pins);
        for ((_, asset, _), amount) in &before {
            told.add("posted", asset, -amount);
            *self.revenue.entry(asset).or_default() -= amount;
        }
        // Charge by charge, in the order in which it is taken.
        let mut slices: Vec<(Key, i128)> = Vec::new();
        for (_, asset, _, amount) in &cover.own {
            *self.revenue.entry(asset).or_default() += amount;
        }
        for (charge, asset, source, amount) in cover.own.iter().chain(&cover.live) {
            slices.push(((*charge, asset, source.clone()), *amount));
        }
        for (charge, asset, amount) in &cover.missing {
            slices.push(((*charge, asset, Source::Debt), *amount));
            told.add("debt", asset, *amount);
        }
        slices.sort_by_key(|((charge, ..), _)| *charge);
        let mut taken: BTreeMap<Key, i128> = BTreeMap::new();
        for (key, amount) in &slices {
            *taken.entry(key.clone()).or_default() += amount;
        }
        for ((_, asset, _), amount) in &taken {
            told.add("posted", asset, *amount);
        }
        self.post(&cover);
        self.holds[index].taken = taken;

        let mut debts = Vec::new();
        for ((asset, source), had) in own {
            let used: i128 = cover
                .own
                .iter()
                .filter(|(_, a, s, _)| *a == asset && *s == source)
                .map(|(_, _, _, n)| n)
                .sum();
            let left = had - used;
            match source {
                _ if left == 0 => {}
                Source::Grant(id) if last => {
                    // Of what was taken and pinned the caller is told the pinned part alone: the other is in `posted`.
                    let pinned = pins.get(&id).copied().unwrap_or(0);
                    let released = released(&before, &cover, &id, pinned);
                    let mut other = Told::default();
                    self.unpin(&id, released, &mut told, "returned");
                    self.unpin(&id, left - released, &mut other, "");
                }
                Source::Grant(id) => {
                    self.holds[index].pins.insert(id, left);
                }
                Source::Receivable => {
                    // What was paid of it meanwhile comes back as bought value.
                    let owed = self.receivable.entry(asset).or_default();
                    let unpaid = left.min(*owed);
                    *owed -= unpaid;
                    if left > unpaid {
                        self.open_returned(asset, left - unpaid);
                    }
                }
                Source::Debt => debts.push((asset, left)),
            }
        }
        for (asset, left) in debts {
            self.return_debt(index, asset, left, last);
        }
        let id = self.holds[index].id.clone();
        self.count_call(
            &id,
            (self.holds[index].team, team),
            &earlier,
            &self.taken_by(index),
        );
        if last {
            self.holds[index].ended = true;
            self.holds[index].pins.clear();
            self.holds[index].credit.clear();
            self.holds[index].taken.clear();
            self.remember(&self.holds[index].clone(), team, &slices, charges);
            let asked = self.asked_of_hold(index);
            self.carry_out(says, &asked, self.now, None);
        } else {
            self.tell_held(index, &mut told);
        }
        if late {
            told.what.push_str(" late");
        }
        told
    }

    /// Whether the hold alone, with nothing else in the wallet, would not do.
    fn is_above(&self, index: usize, charges: &[Charge], team: Option<&str>) -> bool {
        let mut alone = self.clone();
        let mut own = self.own(index);
        for (asset, credit) in &self.holds[index].credit {
            *own.entry((asset, Source::Debt)).or_default() += credit;
        }
        alone.grants.iter_mut().for_each(|g| g.free = 0);
        !alone.cover(charges, team, own).missing.is_empty()
    }

    fn return_debt(&mut self, index: usize, asset: &'static str, left: i128, last: bool) {
        let owed = self.debt.entry(asset).or_default();
        let unpaid = left.min(*owed);
        *owed -= unpaid;
        if !last {
            let restored = self
                .credit_left(asset)
                .map_or(unpaid, |free| free.clamp(0, unpaid));
            *self.holds[index].credit.entry(asset).or_default() += restored;
        }
        let paid = left - unpaid;
        if paid == 0 {
            return;
        }
        let id = self.open_returned(asset, paid);
        if !last {
            self.grant_mut(&id).free = 0;
            self.holds[index].pins.insert(id, paid);
        }
    }

    /// What a hold took so far, by asset.
    fn taken_by(&self, index: usize) -> Sums {
        let mut sums = Sums::new();
        for ((_, asset, _), amount) in &self.holds[index].taken {
            *sums.entry(asset).or_default() += amount;
        }
        sums
    }
}

/// What of a grant's pin is not needed, when each charge keeps what it took itself before it asks for the pin.
fn released(before: &BTreeMap<Key, i128>, cover: &Cover, id: &str, pinned: i128) -> i128 {
    let source = Source::Grant(id.to_string());
    let own = cover.owned();
    let grown = own.iter().filter(|((_, _, s), _)| *s == source);
    let grown = grown.map(|(key, n)| (n - before.get(key).copied().unwrap_or(0)).max(0));
    (pinned - grown.sum::<i128>()).max(0)
}

/// What was taken before, under the places that its charges have in the present answer: the k-th of a code then is the
/// k-th of that code now, and what has no such place any more stands far behind.
fn renamed(
    taken: BTreeMap<(usize, &'static str, Source), i128>,
    codes: &[&'static str],
    charges: &[Charge],
) -> BTreeMap<(usize, &'static str, Source), i128> {
    let place = |old: usize| {
        let kth = codes[..=old].iter().filter(|c| **c == codes[old]).count();
        let mut seen = 0;
        for (place, charge) in charges.iter().enumerate() {
            seen += usize::from(charge.code == codes[old]);
            if seen == kth && charge.code == codes[old] {
                return place;
            }
        }
        1_000 + old
    };
    let place = |((old, asset, source), amount)| ((place(old), asset, source), amount);
    taken.into_iter().map(place).collect()
}
