//! Grants: how one opens, pays debt, becomes active and expires.

use std::collections::BTreeSet;

use farebox_money::{Asset, Nanos};
use farebox_record::command::Grant;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::outcome::{Account, Answer, Effect, Outcome};
use farebox_record::plan::{Category, GrantOrder};
use farebox_record::portion::{Each, Portions};
use farebox_record::state::{GrantPhase, GrantState};
use farebox_record::time::Timestamp;

use crate::credit::totals;
use crate::draft::Draft;
use crate::limits;
use crate::refusal::{Refusal, too_many};
use crate::wallet::Wallet;

/// Largest amount that can be granted at once: 10^18 units. Keeps every sum of a wallet far inside 128 bits.
pub(crate) const GRANT_NANOS_MAX: i128 = 1_000_000_000_000_000_000 * farebox_money::NANOS_PER_UNIT;

pub(crate) fn open_grant(wallet: &mut Wallet, grant: &Grant, at: Timestamp) -> Result<Outcome, Refusal> {
    if !grant.amount.is_positive() {
        return Err(Refusal::Amount {
            field: "amount",
            problem: "must be more than zero",
        });
    }
    if grant.amount.get() > GRANT_NANOS_MAX {
        return Err(Refusal::Amount {
            field: "amount",
            problem: "is more than 10^18 (limit GRANT_NANOS_MAX)",
        });
    }
    if !grant.each.iter().all(is_sensible) {
        return Err(Refusal::Amount {
            field: "each.amount",
            problem: "must be more than zero and at most 10^18",
        });
    }
    let effective = grant.effective.unwrap_or(at);
    if grant.expires.is_some_and(|expires| expires <= effective.max(at)) {
        return Err(Refusal::Time {
            field: "expires_at",
            problem: "must be later than effective_at and now".into(),
        });
    }
    if wallet.grants.contains_key(&grant.id) {
        return Err(Refusal::GrantExists(grant.id.clone()));
    }
    check_room(wallet, std::iter::once(&grant.asset), 1)?;
    let state = GrantState {
        asset: grant.asset.clone(),
        amount: grant.amount,
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        category: grant.category,
        priority: grant.priority,
        effective,
        expires: grant.expires,
        applies_to: grant.applies_to.clone(),
        label: grant.label.clone(),
        subscription: None,
        phase: if effective <= at {
            GrantPhase::Active
        } else {
            GrantPhase::Waiting
        },
        portions: portions(grant.each.as_ref()),
        portion_of: None,
    };
    let mut draft = Draft::new(wallet, at);
    let paid_debt = open_grant_state(&mut draft, &grant.id, state);
    Ok(draft.finish(|wallet| Answer::Granted {
        paid_debt,
        balances: wallet.balances(),
    }))
}

/// Opens a grant, lets a paid one pay debt at once, and tells how much of it that took.
pub(crate) fn open_grant_state(draft: &mut Draft<'_>, id: &GrantId, state: GrantState) -> Nanos {
    let (asset, amount, category, phase) = (state.asset.clone(), state.amount, state.category, state.phase);
    let contra = contra(category);
    draft.put(Effect::GrantOpened(id.clone(), Box::new(state)));
    draft.post(Account::Available(id.clone()), &asset, amount, None);
    draft.post(contra, &asset, Nanos::new(-amount.get()), None);
    match phase {
        GrantPhase::Active => pay_debt(draft, id, amount),
        GrantPhase::Waiting | GrantPhase::Expired => Nanos::ZERO,
    }
}

/// The account that value of a category comes from.
pub(crate) fn contra(category: Category) -> Account {
    match category {
        Category::Paid => Account::Purchases,
        Category::Promotional => Account::Promotional,
        Category::Included => Account::Included,
    }
}

/// Bought value that comes into a grant, or comes back to it, pays debt first; included and promotional value never does.
/// Tells how much of at most `came` that took.
pub(crate) fn pay_debt(draft: &mut Draft<'_>, id: &GrantId, came: Nanos) -> Nanos {
    let Some(grant) = draft.wallet.grants.get(id) else {
        return Nanos::ZERO;
    };
    if (grant.category, grant.phase) != (Category::Paid, GrantPhase::Active) {
        return Nanos::ZERO;
    }
    let asset = grant.asset.clone();
    let owed = -totals(draft.wallet, &asset).debt.get();
    let paid = came.get().min(grant.available.get()).min(owed);
    draft.post(Account::Available(id.clone()), &asset, Nanos::new(-paid), None);
    draft.post(Account::Debt, &asset, Nanos::new(paid), None);
    Nanos::new(paid)
}

pub(crate) fn ordered_grant(order: &GrantOrder, subscription: &SubscriptionId, at: Timestamp) -> GrantState {
    let effective = order.effective.unwrap_or(at);
    GrantState {
        asset: order.asset.clone(),
        amount: order.amount,
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        category: order.category,
        priority: order.priority,
        effective,
        expires: order.expires,
        applies_to: order.applies_to.clone(),
        label: Some(order.label.clone()),
        subscription: Some(subscription.clone()),
        phase: if effective <= at {
            GrantPhase::Active
        } else {
            GrantPhase::Waiting
        },
        portions: portions(order.each.as_ref()),
        portion_of: None,
    }
}

/// A grant of which no portion is opened yet.
fn portions(each: Option<&Each>) -> Option<Box<Portions>> {
    each.map(|each| {
        Box::new(Portions {
            each: each.clone(),
            opened: BTreeSet::new(),
        })
    })
}

/// Whether portions of such a size can be.
pub(crate) fn is_sensible(each: &Each) -> bool {
    each.amount.is_positive() && each.amount.get() <= GRANT_NANOS_MAX
}

/// What of the grant is free becomes breakage; what holds have pinned stays good for them.
pub(crate) fn expire_grant(wallet: &mut Wallet, id: &GrantId, at: Timestamp) -> Outcome {
    let mut draft = Draft::new(wallet, at);
    end_grant_value(&mut draft, id);
    draft.finish(|_| Answer::Handled)
}

/// See [`expire_grant`]; as a part of a larger change.
pub(crate) fn end_grant_value(draft: &mut Draft<'_>, id: &GrantId) {
    let Some(grant) = draft.wallet.grants.get(id) else {
        return;
    };
    let (asset, free) = (grant.asset.clone(), grant.available);
    draft.put(Effect::GrantExpired(id.clone()));
    draft.post(
        Account::Available(id.clone()),
        &asset,
        Nanos::new(-free.get()),
        None,
    );
    draft.post(Account::Breakage, &asset, free, None);
    draft.touch(id.clone());
}

pub(crate) fn activate_grant(wallet: &mut Wallet, id: &GrantId, at: Timestamp) -> Outcome {
    let mut draft = Draft::new(wallet, at);
    if let Some(grant) = draft.wallet.grants.get(id) {
        let there = grant.available;
        draft.put(Effect::GrantActivated(id.clone()));
        pay_debt(&mut draft, id, there);
        // All of it may have been paid back while it waited.
        draft.touch(id.clone());
    }
    draft.finish(|_| Answer::Handled)
}

/// Whether the wallet can take so many more grants, and these assets.
pub(crate) fn check_room<'a>(
    wallet: &Wallet,
    assets: impl Iterator<Item = &'a Asset>,
    grants: usize,
) -> Result<(), Refusal> {
    // What has expired in this command, and nobody holds, is gone at its end.
    let is_over = |grant: &&GrantState| grant.phase == GrantPhase::Expired && grant.held.is_zero();
    let over = wallet.grants().map(|(_, grant)| grant).filter(is_over).count();
    if grants > 0 && wallet.grants.len() - over + grants > limits::GRANTS_PER_WALLET_MAX {
        return Err(too_many(
            "grants",
            "GRANTS_PER_WALLET_MAX",
            limits::GRANTS_PER_WALLET_MAX,
        ));
    }
    let known = &wallet.header.assets;
    let new: BTreeSet<&Asset> = assets.filter(|asset| !known.contains_key(*asset)).collect();
    if !new.is_empty() && known.len() + new.len() > limits::ASSETS_PER_WALLET_MAX {
        return Err(too_many(
            "assets",
            "ASSETS_PER_WALLET_MAX",
            limits::ASSETS_PER_WALLET_MAX,
        ));
    }
    Ok(())
}
