//! The books that the server keeps, compared with what all wallets come to.

use std::collections::{BTreeMap, BTreeSet};

use farebox_engine::projection::{Accounts, BookAccount, Closing, Days};
use farebox_money::{Asset, Nanos};
use farebox_record::ids::TenantId;
use farebox_record::time::Timestamp;
use farebox_store::WalletKey;

use super::audit::Audit;

impl Audit<'_> {
    /// Each day of a tenant's books sums to zero, and is what the records of that day post; where the first records are not at
    /// hand, all days together are what the wallets have.
    pub(super) fn books(&mut self, tenant: &str) {
        let (wallets, days) = (std::mem::take(&mut self.tenant), std::mem::take(&mut self.days));
        for (asset, accounts) in &wallets {
            *self.report.books.entry(asset.clone()).or_default() += accounts;
        }
        let whole = std::mem::replace(&mut self.whole, true);
        let kept = self.kept.as_mut().zip(TenantId::new(tenant).ok());
        let Some(kept) = kept.map(|(kept, name)| kept.remove(&name).unwrap_or_default()) else {
            return;
        };
        let mut wrong = unbalanced(&kept);
        match (whole, self.base) {
            (false, _) => self.report.books_compared = false,
            (true, None) => wrong.extend(differing(&days, &kept, |(day, asset)| {
                (format!("{asset} on {}", date(*day)), "its records post")
            })),
            (true, Some(_)) => wrong.extend(differing(&wallets, &closing(&kept), |asset| {
                (asset.to_string(), "the wallets sum to")
            })),
        }
        for what in wrong {
            self.report
                .found(&WalletKey::control(tenant), None, "books", what);
        }
    }

    /// Books that belong to no tenant that there is.
    pub(super) fn books_of_nobody(&mut self) {
        for (tenant, days) in std::mem::take(&mut self.kept).unwrap_or_default() {
            if !days.is_empty() {
                let what = "there are books of it, and no such tenant".to_string();
                self.report
                    .found(&WalletKey::control(tenant.as_str()), None, "books", what);
            }
        }
    }
}

fn unbalanced(kept: &Days) -> Vec<String> {
    let rows = kept.iter().filter(|(_, accounts)| accounts.sum() != 0);
    let told = rows.map(|((day, asset), accounts)| {
        let sum = Nanos::new(accounts.sum());
        format!(
            "the books of {asset} on {} sum to {sum} instead of zero",
            date(*day)
        )
    });
    told.collect()
}

/// Every account that is another one in the books than it should be.
fn differing<K: Ord>(
    should: &BTreeMap<K, Accounts>,
    kept: &BTreeMap<K, Accounts>,
    named: impl Fn(&K) -> (String, &'static str),
) -> Vec<String> {
    let keys: BTreeSet<&K> = should.keys().chain(kept.keys()).collect();
    let mut wrong = Vec::new();
    for key in keys {
        let of = |books: &BTreeMap<K, Accounts>| books.get(key).copied().unwrap_or_default();
        let (should, kept) = (of(should), of(kept));
        for account in BookAccount::ALL {
            if should.get(account) != kept.get(account) {
                let (what, by) = named(key);
                let (account, should, kept) = (account.as_str(), should.get(account), kept.get(account));
                wrong.push(format!(
                    "{account} of {what} is {kept} in the books, and {by} {should}"
                ));
            }
        }
    }
    wrong
}

fn closing(days: &Days) -> Closing {
    let mut closing = Closing::new();
    for ((_, asset), accounts) in days {
        *closing.entry(Asset::clone(asset)).or_default() += accounts;
    }
    closing
}

fn date(day: Timestamp) -> String {
    day.to_string().chars().take(10).collect()
}
