//! What follows from the records alone: every balance is the sum of its entries, every answered id stands once.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::command::Identity;
use farebox_record::outcome::{Account, Effect};
use proptest::prelude::*;

use crate::told::balances;
use crate::world::World;

/// Sums of all entries, and the place of the record that answers for each id.
#[derive(Default)]
pub struct Books {
    read: usize,
    sums: BTreeMap<(Asset, Account), i128>,
    pub answered: BTreeMap<Identity, usize>,
}

impl Books {
    /// Reads the records that are new, and compares.
    pub fn keep(&mut self, world: &World) -> Result<(), TestCaseError> {
        for (place, record) in world.records.iter().enumerate().skip(self.read) {
            self.read(place, record)?;
        }
        let newest = world.records.last().filter(|_| self.read < world.records.len());
        if let Some(told) = newest.and_then(|record| balances(&record.outcome.answer)) {
            prop_assert_eq!(told, &world.wallet.balances()[..], "the balances that were told");
        }
        self.read = world.records.len();
        self.compare(world)
    }

    fn read(&mut self, place: usize, record: &Record) -> Result<(), TestCaseError> {
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect {
                let key = (entry.asset.clone(), entry.account.clone());
                *self.sums.entry(key).or_default() += entry.amount.get();
                if let Some(charge) = entry.charge {
                    prop_assert!(record.charge_code(charge).is_some(), "{:?} names nothing", entry);
                }
            }
        }
        for identity in record.identities() {
            let first = self.answered.insert(identity.clone(), place);
            prop_assert_eq!(first, None, "{:?} is answered twice", identity);
        }
        Ok(())
    }

    fn compare(&self, world: &World) -> Result<(), TestCaseError> {
        let mut stored: BTreeMap<(Asset, Account), Nanos> = BTreeMap::new();
        for (id, grant) in world.wallet.grants() {
            let asset = || grant.asset.clone();
            stored.insert((asset(), Account::Available(id.clone())), grant.available);
            stored.insert((asset(), Account::Held(id.clone())), grant.held);
        }
        for (asset, totals) in &world.wallet.header().assets {
            for (account, balance) in [
                (Account::Debt, totals.debt),
                (Account::Receivable, totals.receivable),
                (Account::Revenue, totals.revenue),
                (Account::Breakage, totals.breakage),
                (Account::Purchases, totals.purchases),
                (Account::Promotional, totals.promotional),
                (Account::Included, totals.included),
                (Account::Adjustments, totals.adjustments),
            ] {
                stored.insert((asset.clone(), account), balance);
            }
        }
        stored.retain(|_, balance| !balance.is_zero());
        let sums = self.sums.iter().filter(|(_, sum)| **sum != 0);
        let sums: BTreeMap<_, _> = sums.map(|(key, sum)| (key.clone(), Nanos::new(*sum))).collect();
        prop_assert_eq!(stored, sums, "balances and the sums of their entries");
        Ok(())
    }
}
