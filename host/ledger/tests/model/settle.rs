//! Settlements, naively: what a call really used is covered anew, as a whole.

use std::collections::BTreeMap;

use crate::calls::{Call, sensible};
use crate::cover::Cover;
use crate::reference::{Above, GRACE, Key, Model, Parted, Source, Sums, Told};
use crate::words::{Charge, Labels, Says, Word};

/// What a settlement does not need any more is among this.
struct Freed {
    own: BTreeMap<(&'static str, Source), i128>,
    pins: BTreeMap<String, i128>,
    /// What was taken before.
    before: BTreeMap<Key, i128>,
    /// The call is over.
    last: bool,
}

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

    /// `labels` come with the settlement, where any do; they take the place of those of the authorize.
    pub fn settle(&mut self, index: usize, word: &Word, labels: Labels, last: bool, above: Above) -> Told {
        let late = self.holds[index].expired;
        let until = self.holds[index].expires + if late { GRACE } else { 0 };
        if let Some(gone) = self.gone(index, until) {
            return gone;
        }
        let last = last || late;
        let above = match above {
            Above::Subscribed => self
                .above
                .get(&self.holds[index].sub)
                .copied()
                .unwrap_or(Above::Debt),
            said => said,
        };
        let labels = self.holds[index].labels.with(labels);
        let says = match (word, sensible(word)) {
            // Parts give nothing back; a last settlement that cannot is kept.
            (_, Ok(says)) if !says.gives.is_empty() && !last => return Told::refused("PlanFailed"),
            (_, Ok(says)) if !self.can_give(&self.holds[index].id, &says.gives) => {
                return self.wait(index, labels);
            }
            (_, Ok(says)) => says,
            // What its caller can put right is refused; else the usage is known for good, and waits for a price.
            (Word::Invalid, Err(refused)) => return refused,
            (_, Err(_)) if last => return self.wait(index, labels),
            (_, Err(refused)) => return refused,
        };
        if above == Above::Deny && self.is_above(index, &says.charges, labels) {
            return Told::new("above hold");
        }
        self.record();
        let mut told = Told::new(if last { "settled" } else { "part" });
        let id = self.holds[index].id.clone();
        let (gave, _) = self.give(&id, &says.gives);
        self.reckon(index, says, (labels, above, last), &mut told);
        if !gave.is_empty() {
            self.note_given(&id, gave);
        }
        if late {
            told.what.push_str(" late");
        }
        told
    }

    /// A call that was settled in part is over without a last settlement: what it used so far is what it used, priced once
    /// more as a whole where its plan answers. Nobody is left to refuse it, and what was let go stays let go.
    pub fn conclude(&mut self, index: usize, word: &Word) -> Told {
        self.record();
        let Parted { labels, above } = self.holds[index].parted.unwrap();
        let above = match above {
            Above::Debt | Above::Subscribed => Above::Debt,
            Above::Available | Above::Deny | Above::HeldAlone => Above::HeldAlone,
        };
        let Some(says) = word.orders().filter(|says| says.gives.is_empty()) else {
            let told = self.give_up(index);
            self.end_call(index, labels);
            return told;
        };
        let mut told = Told::new("released");
        self.reckon(index, says, (labels, above, true), &mut told);
        told.amounts.retain(|(name, _), _| *name == "returned");
        told
    }

    /// A call ends whose usage has no price: all that parts of it took comes back, and it waits.
    fn wait(&mut self, index: usize, labels: Labels) -> Told {
        self.record();
        let own = self.own(index);
        let earlier = self.taken_by(index);
        let hold = &mut self.holds[index];
        let pins = std::mem::take(&mut hold.pins);
        let taken = std::mem::take(&mut hold.taken);
        hold.order.clear();
        for ((_, asset, _), amount) in &taken {
            *self.revenue.entry(asset).or_default() -= amount;
        }
        let freed = Freed {
            own,
            pins,
            before: taken,
            last: true,
        };
        self.let_go(index, freed, &Cover::default(), &mut Told::default());
        self.count_settlement(index, labels, &earlier);
        self.end_call(index, labels);
        let hold = &self.holds[index];
        let call = Call {
            id: hold.id.clone(),
            kind: hold.kind,
            labels,
            tokens: None,
            time: Some(hold.time),
        };
        self.keep(&call);
        Told::new("unpriced")
    }

    /// Covers what a call used so far as a whole, and posts the difference.
    fn reckon(
        &mut self,
        index: usize,
        says: &Says,
        (labels, above, last): (Labels, Above, bool),
        told: &mut Told,
    ) {
        let charges = &says.charges[..];
        let own = self.own(index);
        let mut cover = match above {
            Above::HeldAlone => self.without_free().cover(charges, labels, own.clone()),
            _ => self.cover(charges, labels, own.clone()),
        };
        // What goes beyond the hold's credit, charge by charge.
        let mut credit = self.holds[index].credit.clone();
        for (_, asset, missing) in &mut cover.missing {
            let credit = credit.entry(asset).or_default();
            let covered = (*missing).min(*credit);
            *credit -= covered;
            let beyond = *missing - covered;
            if matches!(above, Above::Available | Above::HeldAlone) {
                told.add("waived", asset, beyond);
                *missing = covered;
            }
        }
        cover.missing.retain(|(_, _, missing)| *missing > 0);

        let earlier = self.taken_by(index);
        let hold = &mut self.holds[index];
        hold.credit = credit;
        let new_key = |(place, asset, source): Key| (new_place(place, &hold.codes, charges), asset, source);
        let taken = std::mem::take(&mut hold.taken).into_iter();
        let before: BTreeMap<Key, i128> = taken.map(|(key, amount)| (new_key(key), amount)).collect();
        let order = std::mem::take(&mut hold.order).into_iter();
        let mut order: Vec<Key> = order.map(new_key).collect();
        hold.codes = charges.iter().map(|c| c.code).collect();
        let pins = std::mem::take(&mut hold.pins);
        for ((_, asset, _), amount) in &before {
            told.add("posted", asset, -amount);
            *self.revenue.entry(asset).or_default() -= amount;
        }
        for (_, asset, _, amount) in &cover.own {
            *self.revenue.entry(asset).or_default() += amount;
        }
        let mut taken: BTreeMap<Key, i128> = BTreeMap::new();
        let mut take = |key: Key, amount: i128| {
            *taken.entry(key.clone()).or_default() += amount;
            // What is taken first stands first, and stays there.
            if !order.contains(&key) {
                order.push(key);
            }
        };
        for (charge, asset, source, amount) in cover.own.iter().chain(&cover.live) {
            take((*charge, asset, source.clone()), *amount);
        }
        for (charge, asset, amount) in &cover.missing {
            take((*charge, asset, Source::Debt), *amount);
            told.add("debt", asset, *amount);
        }
        order.retain(|key| taken.contains_key(key));
        for ((_, asset, _), amount) in &taken {
            told.add("posted", asset, *amount);
        }
        self.post(&cover);
        self.holds[index].taken = taken;
        self.holds[index].order = order;

        let freed = Freed {
            own,
            pins,
            before,
            last,
        };
        self.let_go(index, freed, &cover, told);
        self.count_settlement(index, labels, &earlier);
        if last {
            self.end_call(index, labels);
            let asked = self.asked_of_hold(index);
            let id = self.holds[index].id.clone();
            let about = self.about(&asked, labels, &id);
            self.carry_out(says, &asked, self.now, None, Some(&id), about.as_ref());
        } else {
            self.holds[index].parted = Some(Parted { labels, above });
            self.tell_held(index, told);
        }
    }

    /// Gives back what a hold had and does not need: first what was owed, so that value that is freed does not pay it.
    fn let_go(&mut self, index: usize, freed: Freed, cover: &Cover, told: &mut Told) {
        let used = |asset: &str, source: &Source| -> i128 {
            let same = cover.own.iter().filter(|(_, a, s, _)| *a == asset && s == source);
            same.map(|(_, _, _, n)| n).sum()
        };
        // Credit that was held is none of it: only what parts of it took.
        let all = |asset: &str, source: &Source| -> i128 {
            let same = freed
                .before
                .iter()
                .filter(|((_, a, s), _)| *a == asset && s == source);
            same.map(|(_, amount)| amount).sum()
        };
        let left = freed.own.into_iter().map(|((asset, source), had)| {
            let left = had - used(asset, &source);
            (source, asset, left)
        });
        let left = left.filter(|(_, _, left)| *left > 0);
        let (mut values, mut owed): (Vec<_>, Vec<_>) =
            left.partition(|(source, ..)| matches!(source, Source::Grant(_)));
        owed.sort();
        let since = self.holds[index].opened;
        let mut relieved = Vec::new();
        for (source, asset, left) in &owed {
            relieved.push(self.relieve(source, asset, (since, all(asset, source)), *left));
        }
        for ((source, asset, _), relieved) in owed.iter().zip(&relieved) {
            let Some((id, paid_debt)) = self.return_paid(asset, relieved.paid) else {
                continue;
            };
            let rest = relieved.paid - paid_debt;
            if *source == Source::Debt && !freed.last && rest > 0 {
                self.grant_mut(&id).free -= rest;
                self.holds[index].pins.insert(id, rest);
            }
        }
        for ((source, asset, _), relieved) in owed.iter().zip(&relieved) {
            if *source == Source::Debt && !freed.last {
                let unpaid = relieved.unpaid;
                let restored = self
                    .credit_left(asset)
                    .map_or(unpaid, |free| free.clamp(0, unpaid));
                *self.holds[index].credit.entry(asset).or_default() += restored;
            }
        }
        values.sort_by_key(|(source, ..)| match source {
            Source::Grant(id) => Some(self.grant_of(id).burns()),
            Source::Debt | Source::Receivable => None,
        });
        for (source, _, left) in values {
            let Source::Grant(id) = source else { continue };
            if !freed.last {
                self.holds[index].pins.insert(id, left);
                continue;
            }
            // Of what was taken and pinned the caller is told the pinned part alone: the other is in `posted`.
            let pinned = freed.pins.get(&id).copied().unwrap_or(0);
            let released = released(&freed.before, cover, &id, pinned);
            self.unpin(&id, released, told, "returned");
            self.unpin(&id, left - released, &mut Told::default(), "");
        }
    }

    fn count_settlement(&mut self, index: usize, labels: Labels, earlier: &Sums) {
        let hold = &self.holds[index];
        let (id, before) = (
            hold.id.clone(),
            hold.parted.map_or(hold.labels, |parted| parted.labels),
        );
        let opened = hold.opened;
        self.count_call((&id, opened), (before, labels), earlier, &self.taken_by(index));
    }

    /// A call is over, and stands as what it took.
    fn end_call(&mut self, index: usize, labels: Labels) {
        self.remember(&self.holds[index].clone(), labels);
        let hold = &mut self.holds[index];
        hold.ended = true;
        hold.pins.clear();
        hold.credit.clear();
        hold.taken.clear();
        hold.order.clear();
    }

    /// Whether the hold alone, with nothing else in the wallet, would not do.
    fn is_above(&self, index: usize, charges: &[Charge], labels: Labels) -> bool {
        if self.holds[index].expired {
            // Nothing is held any more: what was asked for at most counts.
            let most = &self.holds[index].quoted;
            let beyond = |(asset, n): (&&str, &i128)| *n > most.get(asset).copied().unwrap_or(0);
            return first_asked(charges).iter().any(beyond);
        }
        let mut own = self.own(index);
        for (asset, credit) in &self.holds[index].credit {
            *own.entry((asset, Source::Debt)).or_default() += credit;
        }
        !self.without_free().cover(charges, labels, own).missing.is_empty()
    }

    /// The same wallet with nothing free in it.
    pub fn without_free(&self) -> Model {
        let mut alone = self.clone();
        alone.grants.iter_mut().for_each(|g| g.free = 0);
        alone
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

/// What charges come to in the assets that they ask first.
pub fn first_asked(charges: &[Charge]) -> Sums {
    let mut sums = Sums::new();
    for charge in charges {
        *sums.entry(charge.links[0].asset).or_default() += charge.links[0].amount;
    }
    sums
}

/// What of a grant's pin is not needed, when each charge keeps what it took itself before it asks for the pin.
fn released(before: &BTreeMap<Key, i128>, cover: &Cover, id: &str, pinned: i128) -> i128 {
    let source = Source::Grant(id.to_string());
    let own = cover.owned();
    let grown = own.iter().filter(|((_, _, s), _)| *s == source);
    let grown = grown.map(|(key, n)| (n - before.get(key).copied().unwrap_or(0)).max(0));
    (pinned - grown.sum::<i128>()).max(0)
}

/// The place that a charge has in the present answer: the k-th of a code then is the k-th of that code now, and what has no
/// such place any more stands far behind.
fn new_place(old: usize, codes: &[&'static str], charges: &[Charge]) -> usize {
    let kth = codes[..=old].iter().filter(|c| **c == codes[old]).count();
    let same = charges.iter().enumerate().filter(|(_, c)| c.code == codes[old]);
    same.map(|(place, _)| place).nth(kth - 1).unwrap_or(1_000 + old)
}
