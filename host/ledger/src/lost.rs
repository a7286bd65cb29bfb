//! What a correction gives back to grants that are over. It is breakage, unless something that is charged in the same record is
//! paid with it: value of one period goes on paying for what happened in that period.

use farebox_money::{Asset, Nanos};
use farebox_record::state::SliceSource;
use farebox_record::time::Timestamp;

use crate::cover::{Draw, Grants, Origin, Owned};
use crate::pins::per_asset;

/// What would be lost, in the order in which it was burnt.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// By the event that is corrected.
    of_event: Vec<Owned>,
    /// By events behind it that cost something else now.
    of_others: Vec<Owned>,
}

impl Lost {
    /// Notes what came back of one source to a grant that is over: before what is there, because value comes back the other way
    /// around.
    pub fn add_before(&mut self, from: &SliceSource, asset: &Asset, amount: Nanos) {
        // A grant is of one asset.
        match self.of_event.iter_mut().find(|own| own.from == *from) {
            Some(own) => own.amount = Nanos::new(own.amount.get() + amount.get()),
            None => self.of_event.insert(
                0,
                Owned {
                    from: from.clone(),
                    asset: asset.clone(),
                    amount,
                    origin: Origin::Lost,
                },
            ),
        }
    }

    /// Adds what another event would lose: each grant stands there once, however many events there are.
    pub fn join(&mut self, other: Lost) {
        for own in other.of_event {
            match self.of_others.iter_mut().find(|known| known.from == own.from) {
                Some(known) => known.amount = Nanos::new(known.amount.get() + own.amount.get()),
                None => self.of_others.push(own),
            }
        }
    }

    /// What can pay for an event that happened then, the corrected event's own first: a grant that had expired by then would not
    /// have paid for it either.
    pub fn good_at(&self, time: Timestamp, grants: Grants<'_>) -> Vec<Owned> {
        let all = self.of_event.iter().chain(&self.of_others);
        let is_good = |own: &&Owned| {
            // What is nothing, or spent, must not be asked: a charge whose rest is rounded to nothing is done where it is asked.
            own.amount.is_positive() && grants.expires(&own.from).is_none_or(|expires| time < expires)
        };
        all.filter(is_good).cloned().collect()
    }

    /// What pays for something is not lost.
    pub fn spend(&mut self, draws: &[Draw]) {
        for Draw { slice, .. } in draws.iter().filter(|draw| draw.origin == Origin::Lost) {
            let mut rest = slice.amount.get();
            let all = self.of_event.iter_mut().chain(&mut self.of_others);
            for own in all.filter(|own| own.from == slice.from) {
                let part = own.amount.get().min(rest);
                own.amount = Nanos::new(own.amount.get() - part);
                rest -= part;
            }
        }
    }

    /// What is lost of the event that is corrected, per asset.
    pub fn expired(&self) -> Vec<(Asset, Nanos)> {
        per_asset(self.of_event.iter().rev().map(|own| (&own.asset, own.amount)))
    }
}
