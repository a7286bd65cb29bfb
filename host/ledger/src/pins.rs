//! What a hold has set aside: its pins, and its sums per asset.

use farebox_money::{Asset, Nanos};
use farebox_record::outcome::Account;
use farebox_record::state::{HoldState, Pin};

use crate::cover::{Draw, Origin, owned_by};
use crate::draft::{Draft, grant_of};

/// Moves pins' value from free to held.
pub(crate) fn pin(draft: &mut Draft<'_>, pins: &[Pin]) {
    for pin in pins {
        let taken = Nanos::new(-pin.amount.get());
        draft.post(Account::Available(pin.grant.clone()), &pin.asset, taken, None);
        draft.post(Account::Held(pin.grant.clone()), &pin.asset, pin.amount, None);
    }
}

/// Gives back all that a hold has pinned, in the order in which it would have been used. Tells what the wallet got.
pub(crate) fn unpin_all(draft: &mut Draft<'_>, hold: &HoldState) -> Vec<(Asset, Nanos)> {
    let mut returned = Vec::with_capacity(hold.pins.len());
    for own in owned_by(draft.wallet, hold) {
        if let (Origin::Pinned, Some(grant)) = (own.origin, grant_of(&own.from)) {
            let got = draft.unpin(&grant, &own.asset, own.amount);
            returned.push((own.asset, got));
        }
    }
    per_asset(returned.iter().map(|(asset, amount)| (asset, *amount)))
}

/// The grants' part of draws; receivables and debt cannot be pinned.
pub(crate) fn pins(draws: &[Draw]) -> Vec<Pin> {
    merged(draws.iter().filter_map(|draw| {
        let grant = grant_of(&draw.slice.from)?;
        Some(Pin {
            grant,
            asset: draw.slice.asset.clone(),
            amount: draw.slice.amount,
        })
    }))
}

/// One pin per grant, in the order in which the grants first appear: the order in which they burn.
pub(crate) fn merged(pins: impl IntoIterator<Item = Pin>) -> Vec<Pin> {
    let mut merged: Vec<Pin> = Vec::new();
    for pin in pins {
        match merged.iter_mut().find(|p| p.grant == pin.grant) {
            Some(same) => same.amount = Nanos::new(same.amount.get() + pin.amount.get()),
            None => merged.push(pin),
        }
    }
    merged
}

/// What a hold holds per asset, on credit included.
pub(crate) fn held(hold: &HoldState) -> Vec<(Asset, Nanos)> {
    let pins = hold.pins.iter().map(|pin| (&pin.asset, pin.amount));
    per_asset(pins.chain(hold.overdraft.iter().map(|(asset, amount)| (asset, *amount))))
}

/// Sums per asset, in order of first appearance; sums of nothing are left out.
pub(crate) fn per_asset<'a>(amounts: impl Iterator<Item = (&'a Asset, Nanos)>) -> Vec<(Asset, Nanos)> {
    let mut sums: Vec<(Asset, Nanos)> = Vec::new();
    for (asset, amount) in amounts {
        match sums.iter_mut().find(|(a, _)| a == asset) {
            Some((_, sum)) => *sum = Nanos::new(sum.get() + amount.get()),
            None => sums.push((asset.clone(), amount)),
        }
    }
    sums.retain(|(_, sum)| !sum.is_zero());
    sums
}
