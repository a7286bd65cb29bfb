//! Credit: how much a wallet may use that no grant covers.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::outcome::{DenialReason, Denied};
use farebox_record::plan::{Charge, Collect};
use farebox_record::state::{AssetTotals, Shortfall, SliceSource};

use crate::cover::{Covered, Uncovered};
use crate::hold::denied;
use crate::pins::per_asset;
use crate::wallet::Wallet;

pub(crate) fn totals(wallet: &Wallet, asset: &Asset) -> AssetTotals {
    wallet
        .header
        .assets
        .get(asset)
        .map(|totals| **totals)
        .unwrap_or_default()
}

fn shortfall(wallet: &Wallet, asset: &Asset) -> Shortfall {
    wallet
        .header
        .customer
        .as_ref()
        .and_then(|c| c.shortfall.get(asset))
        .copied()
        .unwrap_or_default()
}

/// The first asset of the charges, those that give back left out, in which the customer owes more than its policy allows.
pub(crate) fn asset_in_debt(wallet: &Wallet, charges: &[Charge]) -> Option<Asset> {
    let prices = charges
        .iter()
        .filter(|charge| !charge.price.amount.is_negative())
        .flat_map(|c| std::iter::once(&c.price).chain(&c.otherwise));
    let mut balance = prices.filter(|p| p.collect == Collect::Balance);
    let beyond = |asset: &Asset| {
        let owed = -totals(wallet, asset).debt.get();
        match shortfall(wallet, asset) {
            Shortfall::Deny => owed > 0,
            Shortfall::Floor(floor) => owed > floor.get(),
            Shortfall::Unlimited => false,
        }
    };
    balance
        .find(|price| beyond(&price.asset))
        .map(|price| price.asset.clone())
}

/// Why the shortfall policies do not allow what no grant covers, beyond what a hold has on credit already; none: they do.
pub(crate) fn too_short(wallet: &Wallet, covered: &Covered, overdraft: &[(Asset, Nanos)]) -> Option<Denied> {
    let fresh = beyond(overdraft, &covered.uncovered);
    for (asset, missing) in per_asset(fresh.iter().map(|u| (&u.asset, u.missing))) {
        let Some(free) = credit(wallet, &asset) else {
            continue;
        };
        if missing.get() > free {
            let drawn = covered.draws.iter().map(|d| &d.slice);
            let drawn = drawn.filter(|s| s.asset == asset && s.from != SliceSource::Receivable);
            let had: i128 = drawn.map(|s| s.amount.get()).sum::<i128>()
                + overdraft
                    .iter()
                    .filter(|(a, _)| *a == asset)
                    .map(|(_, n)| n.get())
                    .sum::<i128>();
            return Some(Denied {
                asset: Some(asset),
                required: Nanos::new(had + missing.get()),
                available: Nanos::new(had + free.max(0)),
                ..denied(DenialReason::InsufficientFunds)
            });
        }
    }
    None
}

/// How much more of an asset can be used without a grant; none: any amount.
pub(crate) fn credit(wallet: &Wallet, asset: &Asset) -> Option<i128> {
    let totals = totals(wallet, asset);
    let line = match shortfall(wallet, asset) {
        Shortfall::Deny => 0,
        Shortfall::Floor(floor) => floor.get(),
        Shortfall::Unlimited => return None,
    };
    Some(line + totals.debt.get() - totals.overdraft_held.get())
}

/// What of `uncovered` goes beyond what the hold has on credit already.
pub(crate) fn beyond(overdraft: &[(Asset, Nanos)], uncovered: &[Uncovered]) -> Vec<Uncovered> {
    let mut credit: BTreeMap<&Asset, i128> = overdraft.iter().map(|(a, n)| (a, n.get())).collect();
    let mut rest = Vec::new();
    for short in uncovered {
        let credit = credit.entry(&short.asset).or_default();
        let used = short.missing.get().min(*credit);
        *credit -= used;
        if short.missing.get() > used {
            rest.push(Uncovered {
                missing: Nanos::new(short.missing.get() - used),
                ..short.clone()
            });
        }
    }
    rest
}
