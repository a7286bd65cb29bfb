//! Calls, naively: what is set aside for them, what they take, what comes back.

use std::collections::BTreeMap;

use crate::cover::Cover;
use crate::reference::{Above, Charge, GRACE, Grant, Hold, Model, Source, Told};

impl Model {
    /// Says no to a call whose customer owes too much, or has not enough.
    fn denied(
        &self,
        charges: &[Charge],
        cover: &Cover,
        credit: &BTreeMap<&'static str, i128>,
    ) -> Option<Told> {
        for link in charges.iter().flat_map(|c| &c.links).filter(|l| !l.invoice) {
            let owed = self.debt.get(link.asset).copied().unwrap_or(0);
            if self
                .lines
                .get(link.asset)
                .unwrap_or(&Some(0))
                .is_some_and(|line| owed > line)
            {
                return Some(Told::new("denied: Debt").with("required", link.asset, owed));
            }
        }
        self.short(cover, credit)
    }

    fn short(&self, cover: &Cover, credit: &BTreeMap<&'static str, i128>) -> Option<Told> {
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
                let drawn = drawn.filter(|((_, a, s), _)| a == asset && *s != Source::Receivable);
                let had = drawn.map(|(_, n)| n).sum::<i128>() + credit;
                return Some(
                    Told::new("denied: InsufficientFunds")
                        .with("required", asset, had + fresh)
                        .with("available", asset, had + left.max(0)),
                );
            }
        }
        None
    }

    pub fn authorize(&mut self, id: &str, charges: &[Charge], ttl: i64, one_shot: bool) -> Told {
        self.record(self.now);
        let cover = self.cover(charges, BTreeMap::new());
        if let Some(denied) = self.denied(charges, &cover, &BTreeMap::new()) {
            return denied;
        }
        let mut told = Told::new("allowed");
        if one_shot {
            self.post(&cover);
            return told;
        }
        let mut hold = Hold {
            id: id.into(),
            expires: self.now + ttl,
            ..Hold::default()
        };
        for ((_, asset, source), amount) in &cover.live {
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
    fn gone(&self, index: usize, until: i64) -> Option<Told> {
        let hold = &self.holds[index];
        if hold.ended {
            return Some(Told::new("gone"));
        }
        (self.now >= until).then(|| Told::new("gone"))
    }

    pub fn release(&mut self, index: usize) -> Told {
        if let Some(gone) = self.gone(index, self.holds[index].expires) {
            return gone;
        }
        self.record(self.now);
        let told = self.give_up(index);
        self.holds[index].ended = true;
        told
    }

    pub fn give_up(&mut self, index: usize) -> Told {
        let mut told = Told::new("released");
        let pins = std::mem::take(&mut self.holds[index].pins);
        self.holds[index].credit.clear();
        let mut pins: Vec<(String, i128)> = pins.into_iter().collect();
        pins.sort_by_key(|(id, _)| self.burns(id));
        for (id, amount) in pins {
            self.unpin(&id, amount, &mut told, "returned");
        }
        told
    }

    fn burns(&self, id: &str) -> (i32, bool, i64, u8, i64, String) {
        self.grants.iter().find(|g| g.id == id).unwrap().burns()
    }

    fn unpin(&mut self, id: &str, amount: i128, told: &mut Told, name: &'static str) {
        let grant = self.grant_mut(id);
        let asset = grant.asset;
        match grant.dead {
            true => *self.breakage.entry(asset).or_default() += amount,
            false => {
                grant.free += amount;
                told.add(name, asset, amount);
                self.pay_debt_with(id, amount);
            }
        }
    }

    pub fn extend(&mut self, index: usize, ttl: i64, charges: Option<&[Charge]>) -> Told {
        if let Some(gone) = self.gone(index, self.holds[index].expires) {
            return gone;
        }
        self.record(self.now);
        if let Some(charges) = charges {
            let cover = self.cover(charges, self.own(index));
            let credit = self.holds[index].credit.clone();
            if let Some(denied) = self.denied(charges, &cover, &credit) {
                return denied;
            }
            for ((_, _, source), amount) in &cover.live {
                if let Source::Grant(id) = source {
                    self.grant_mut(id).free -= amount;
                    *self.holds[index].pins.entry(id.clone()).or_default() += amount;
                }
            }
            let mut missing: BTreeMap<&'static str, i128> = BTreeMap::new();
            for (_, asset, amount) in &cover.missing {
                *missing.entry(asset).or_default() += amount;
            }
            for (asset, amount) in missing {
                let credit = self.holds[index].credit.entry(asset).or_default();
                *credit = (*credit).max(amount);
            }
        }
        let hold = &mut self.holds[index];
        hold.expires = hold.expires.max(self.now + ttl);
        let mut told = Told::new("extended");
        self.tell_held(index, &mut told);
        told
    }

    fn tell_held(&self, index: usize, told: &mut Told) {
        for (id, amount) in &self.holds[index].pins {
            let asset = self.grants.iter().find(|g| g.id == *id).unwrap().asset;
            told.add("held", asset, *amount);
        }
        for (asset, amount) in &self.holds[index].credit {
            told.add("held", asset, *amount);
        }
    }

    /// All that a hold has, taken or pinned.
    fn own(&self, index: usize) -> BTreeMap<(&'static str, Source), i128> {
        let mut own = BTreeMap::new();
        let hold = &self.holds[index];
        for ((_, asset, source), amount) in &hold.taken {
            *own.entry((*asset, source.clone())).or_default() += amount;
        }
        for (id, amount) in &hold.pins {
            let asset = self.grants.iter().find(|g| g.id == *id).unwrap().asset;
            *own.entry((asset, Source::Grant(id.clone()))).or_default() += amount;
        }
        own
    }

    pub fn settle(&mut self, index: usize, charges: &[Charge], last: bool, above: Above) -> Told {
        let late = self.holds[index].expired;
        let until = self.holds[index].expires + if late { GRACE } else { 0 };
        if let Some(gone) = self.gone(index, until) {
            return gone;
        }
        let last = last || late;
        let own = self.own(index);
        let mut cover = self.cover(charges, own.clone());
        if above == Above::Deny && self.is_above(index, charges) {
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
        self.record(self.now);

        let hold = &mut self.holds[index];
        hold.credit = credit;
        let before = renamed(std::mem::take(&mut hold.taken), &hold.codes, charges);
        hold.codes = charges.iter().map(|c| c.code).collect();
        let pins = std::mem::take(&mut hold.pins);
        for ((_, asset, _), amount) in &before {
            told.add("posted", asset, -amount);
            *self.revenue.entry(asset).or_default() -= amount;
        }
        let mut taken = cover.own.clone();
        for ((_, asset, _), amount) in &cover.own {
            *self.revenue.entry(asset).or_default() += amount;
        }
        for (key, amount) in &cover.live {
            *taken.entry(key.clone()).or_default() += amount;
        }
        for (charge, asset, amount) in &cover.missing {
            *taken.entry((*charge, asset, Source::Debt)).or_default() += amount;
            told.add("debt", asset, *amount);
        }
        for ((_, asset, _), amount) in &taken {
            told.add("posted", asset, *amount);
        }
        self.post(&cover);
        self.holds[index].taken = taken;

        // What was owed comes first: value that is freed must not pay what is not owed.
        let (mut values, owed): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|((_, source), _)| matches!(source, Source::Grant(_)));
        values.sort_by_key(|((_, source), _)| match source {
            Source::Grant(id) => Some(self.burns(id)),
            Source::Debt | Source::Receivable => None,
        });
        for ((asset, source), had) in owed.into_iter().chain(values) {
            let used: i128 = cover
                .own
                .iter()
                .filter(|((_, a, s), _)| *a == asset && *s == source)
                .map(|(_, n)| n)
                .sum();
            let left = had - used;
            match source {
                _ if left == 0 => {}
                Source::Grant(id) if last => {
                    // Of what was taken and pinned the caller is told the pinned part alone: the other is in `posted`.
                    let pinned = pins.get(&id).copied().unwrap_or(0);
                    let released = self.released(&before, &cover, &id, pinned);
                    let mut other = Told::default();
                    self.unpin(&id, released, &mut told, "returned");
                    self.unpin(&id, left - released, &mut other, "");
                }
                Source::Grant(id) => {
                    self.holds[index].pins.insert(id, left);
                }
                Source::Receivable => *self.receivable.entry(asset).or_default() -= left,
                Source::Debt => self.return_debt(index, asset, left, last),
            }
        }
        if last {
            self.holds[index].ended = true;
            self.holds[index].pins.clear();
            self.holds[index].credit.clear();
            self.holds[index].taken.clear();
        } else {
            self.holds[index].parted = true;
            self.tell_held(index, &mut told);
        }
        if late {
            told.what.push_str(" late");
        }
        told
    }

    /// Whether the hold alone, with nothing else in the wallet, would not do.
    fn is_above(&self, index: usize, charges: &[Charge]) -> bool {
        let mut alone = self.clone();
        let mut own = self.own(index);
        for (asset, credit) in &self.holds[index].credit {
            *own.entry((asset, Source::Debt)).or_default() += credit;
        }
        alone.grants.iter_mut().for_each(|g| g.free = 0);
        !alone.cover(charges, own).missing.is_empty()
    }

    /// What of a grant's pin is not needed, when each charge keeps what it took itself before it asks for the pin.
    fn released(
        &self,
        before: &BTreeMap<(usize, &'static str, Source), i128>,
        cover: &Cover,
        id: &str,
        pinned: i128,
    ) -> i128 {
        let source = Source::Grant(id.to_string());
        let grown = cover.own.iter().filter(|((_, _, s), _)| *s == source);
        let grown = grown.map(|(key, n)| (n - before.get(key).copied().unwrap_or(0)).max(0));
        (pinned - grown.sum::<i128>()).max(0)
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
        let id = format!("returned:{}:{asset}", self.records);
        self.grants.push(Grant {
            id: id.clone(),
            asset,
            free: if last { paid } else { 0 },
            paid: true,
            category: 2,
            priority: 0,
            from: self.now,
            until: None,
            code: None,
            waiting: false,
            dead: false,
        });
        if !last {
            self.holds[index].pins.insert(id, paid);
        }
    }
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
