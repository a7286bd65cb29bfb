//! Spending limits, naively: what counts towards them, and which calls they deny.

use farebox_record::ids::LimitName;
use farebox_record::spending::{LimitTerms, OnExceed};

use crate::corrections::Slice;
use crate::reference::{Model, Sums, Told, of};
use crate::words::{Labels, reference};
use crate::world::t;
use crate::world::tally::{Tally, is_within};

/// The naive counter counts seconds from 1970 on.
fn since_1970(at: i64) -> i64 {
    t(at).as_micros() / 1_000_000
}

fn covers(terms: &LimitTerms, labels: Labels) -> bool {
    is_within(&terms.scope, &labels.attributes())
}

impl Model {
    /// Used and held of a limit, now.
    pub fn limit(&self, name: &str) -> (i128, i128) {
        let mut tally = self.limits[name].clone();
        tally.move_on(since_1970(self.now));
        let held = (0..self.holds.len()).filter(|index| covers(&tally.terms, self.holds[*index].labels));
        let held = held.map(|index| of(&self.held_by(index), tally.terms.asset.as_str()));
        (tally.used(), held.sum())
    }

    /// Says no to a call that does not fit: the limit with the least left does, the first by name.
    pub fn unfit(&self, labels: Labels, wanted: &Sums, had: &Sums) -> Option<Told> {
        let mut tightest: Option<(i128, Told)> = None;
        for (name, tally) in &self.limits {
            let terms = &tally.terms;
            if terms.on_exceed == OnExceed::Notify || !covers(terms, labels) {
                continue;
            }
            let asset = terms.asset.as_str();
            let (used, held) = self.limit(name);
            let left = terms.amount.get() - used - held;
            let (wanted, had) = (of(wanted, asset), of(had, asset));
            let fits = wanted - had <= left.max(0);
            if fits || tightest.as_ref().is_some_and(|(least, _)| *least <= left) {
                continue;
            }
            let told = Told::new(&format!("denied: Limit {name}"))
                .with("required", asset, wanted)
                .with("available", asset, (had + left).max(0));
            tightest = Some((left, told));
        }
        tightest.map(|(_, told)| told)
    }

    /// Counts what an event took, or gives back.
    pub fn count(&mut self, labels: Labels, taken: &Sums) {
        let now = since_1970(self.now);
        for (name, tally) in &mut self.limits {
            let amount = of(taken, tally.terms.asset.as_str());
            if covers(&tally.terms, labels) && amount != 0 {
                tally.add(now, amount);
                announce(tally, name, &mut self.announced);
            }
        }
    }

    /// Counts what comes back of an event, or is taken again, towards the limits that counted it in their present window.
    pub fn count_back(&mut self, labels: Labels, sign: i128, slices: &[Slice]) {
        let now = since_1970(self.now);
        for (name, tally) in &mut self.limits {
            let since = self.counted_since[name];
            let counted =
                |slice: &&Slice| slice.posted >= since && tally.reaches(since_1970(slice.posted), now);
            let same = slices
                .iter()
                .filter(|slice| slice.asset == tally.terms.asset.as_str());
            let amount: i128 = same.filter(counted).map(|slice| slice.amount).sum();
            if covers(&tally.terms, labels) && amount != 0 {
                tally.add(now, sign * amount);
                announce(tally, name, &mut self.announced);
            }
        }
    }

    /// Counts what a settlement brought beyond what is counted of its call. `labels`: those of the settlement before it, or of
    /// the authorize, and those of the settlement. Less of a call that was opened before the present window frees nothing.
    pub fn count_call(
        &mut self,
        (id, opened): (&str, i64),
        labels: (Labels, Labels),
        before: &Sums,
        after: &Sums,
    ) {
        let now = since_1970(self.now);
        let call = reference(id);
        for (name, tally) in &mut self.limits {
            let asset = tally.terms.asset.to_string();
            // A limit that is younger than what the call took counts nothing of that, and frees nothing when it comes back.
            let counted = tally.calls.get(&call).copied().unwrap_or(0);
            let counts = match (covers(&tally.terms, labels.0), covers(&tally.terms, labels.1)) {
                (true, true) => (counted + of(after, &asset) - of(before, &asset)).max(0),
                (false, true) => of(after, &asset),
                (_, false) => 0,
            };
            tally.calls.insert(call.clone(), counts);
            if counts > counted || (counts < counted && tally.reaches(since_1970(opened), now)) {
                tally.add(now, counts - counted);
                announce(tally, name, &mut self.announced);
            }
        }
    }

    pub fn put_limit(&mut self, name: &str, terms: &LimitTerms) -> Told {
        self.record();
        let now = since_1970(self.now);
        let told = match self.limits.contains_key(name) {
            true => "limit changed",
            false => "limited",
        };
        let tally = self
            .limits
            .entry(name.into())
            .or_insert_with(|| Tally::new(terms));
        let anew = told == "limited" || !tally.counts_as(terms);
        if anew {
            self.counted_since.insert(name.into(), self.now);
        }
        tally.change(terms, now);
        announce(tally, name, &mut self.announced);
        Told::new(told)
    }

    pub fn delete_limit(&mut self, name: &str) -> Told {
        if !self.limits.contains_key(name) {
            return Told::refused("UnknownLimit");
        }
        self.record();
        self.limits.remove(name);
        Told::new("limit deleted")
    }
}

fn announce(tally: &mut Tally, name: &str, announced: &mut Vec<String>) {
    tally.announce(&LimitName::new(name).unwrap(), announced);
}
