//! What a wallet has, per asset.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::outcome::AssetBalance;
use farebox_record::state::{CustomerAccounts, GrantPhase};

use crate::wallet::Wallet;

impl Wallet {
    /// Value per asset, in order of asset.
    pub fn balances(&self) -> Vec<AssetBalance> {
        let mut balances: Vec<AssetBalance> = Vec::with_capacity(self.header.assets.len());
        for (asset, totals) in &self.header.assets {
            let mut available = 0;
            let mut held = totals.overdraft_held.get();
            for grant in self.grants.values().filter(|g| &g.asset == asset) {
                held += grant.held.get();
                if grant.phase == GrantPhase::Active {
                    available += grant.available.get();
                }
            }
            balances.push(AssetBalance {
                asset: asset.clone(),
                available: Nanos::new(available),
                held: Nanos::new(held),
                debt: Nanos::new(-totals.debt.get()),
                receivable: Nanos::new(-totals.receivable.get()),
            });
        }
        balances
    }

    /// What the accounts hold that are the customer's, per asset.
    pub fn customer_accounts(&self) -> BTreeMap<Asset, CustomerAccounts> {
        let mut accounts: BTreeMap<Asset, CustomerAccounts> = (self.header.assets.iter())
            .map(|(asset, totals)| {
                let owed = CustomerAccounts {
                    debt: totals.debt,
                    receivable: totals.receivable,
                    ..CustomerAccounts::default()
                };
                (asset.clone(), owed)
            })
            .collect();
        for grant in self.grants.values() {
            let has = accounts.entry(grant.asset.clone()).or_default();
            has.available = Nanos::new(has.available.get() + grant.available.get());
            has.held = Nanos::new(has.held.get() + grant.held.get());
        }
        accounts
    }
}
