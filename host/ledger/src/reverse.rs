//! Value that an event took and that comes back: first to what it made the customer owe, then to the grants that it came
//! from. What has expired meanwhile becomes breakage, never cash.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::correction::TakenSlice;
use farebox_record::event::Event;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::{Category, EventRef};
use farebox_record::state::{GrantPhase, GrantState, SliceSource};
use farebox_record::time::Timestamp;

use crate::credit::totals;
use crate::draft::Draft;
use crate::pins::per_asset;
use crate::spending::count_back;

/// What became of reversed value, per asset.
#[derive(Debug, Default)]
pub(crate) struct Reversed {
    /// All of it.
    pub total: Vec<(Asset, Nanos)>,
    /// What of it made up for debt and receivables that nobody had paid yet.
    pub paid: Vec<(Asset, Nanos)>,
    /// What of it became breakage.
    pub expired: Vec<(Asset, Nanos)>,
}

/// Splits slices into what comes back and what stays: up to `amount` of one asset, or everything. Debt comes back first,
/// then receivables, then the grants, the last one burnt first.
pub(crate) fn split(
    slices: &[TakenSlice],
    amount: Option<&(Asset, Nanos)>,
) -> (Vec<TakenSlice>, Vec<TakenSlice>) {
    let Some((asset, amount)) = amount else {
        return (by_rank(slices), Vec::new());
    };
    let mut rest = *amount;
    let (mut back, mut stays) = (Vec::new(), Vec::new());
    for slice in by_rank(slices) {
        let take = match slice.asset == *asset {
            true => rest.min(slice.amount),
            false => Nanos::ZERO,
        };
        rest = Nanos::new(rest.get() - take.get());
        let left = Nanos::new(slice.amount.get() - take.get());
        for (part, to) in [(take, &mut back), (left, &mut stays)] {
            if part.is_positive() {
                to.push(TakenSlice {
                    amount: part,
                    ..slice.clone()
                });
            }
        }
    }
    // What stays keeps the order in which it was taken.
    stays.reverse();
    stays.sort_by_key(|slice| std::cmp::Reverse(rank(slice)));
    (back, stays)
}

fn rank(slice: &TakenSlice) -> u8 {
    match slice.from {
        SliceSource::Debt => 0,
        SliceSource::Receivable => 1,
        SliceSource::Grant(_) => 2,
    }
}

fn by_rank(slices: &[TakenSlice]) -> Vec<TakenSlice> {
    let mut ordered: Vec<TakenSlice> = slices.iter().rev().cloned().collect();
    ordered.sort_by_key(rank);
    ordered
}

/// Gives back slices that `event` took. The codes of their charges are noted in the record. `ended` are grants that the
/// wallet no longer has, as they were opened.
pub(crate) fn give_back(
    draft: &mut Draft<'_>,
    event: &Event,
    slices: &[TakenSlice],
    ended: &BTreeMap<GrantId, GrantState>,
    at: Timestamp,
) -> Reversed {
    let name = event.reference();
    let (mut paid, mut expired) = (Vec::new(), Vec::new());
    for slice in slices {
        let charge = Some(draft.earlier_charge(&slice.code));
        let (asset, amount) = (&slice.asset, slice.amount);
        draft.post(Account::Revenue, asset, Nanos::new(-amount.get()), charge);
        match &slice.from {
            SliceSource::Grant(id) => match home_of(draft, id, ended, at) {
                Some(account) => draft.post(account, asset, amount, charge),
                None => {
                    expired.push((asset, amount));
                    draft.post(Account::Breakage, asset, amount, charge);
                }
            },
            SliceSource::Debt => {
                let owed = -totals(draft.wallet, asset).debt.get();
                paid.push((asset, settle_owed(draft, &name, Account::Debt, owed, slice, at)));
            }
            SliceSource::Receivable => {
                let owed = -totals(draft.wallet, asset).receivable.get();
                paid.push((
                    asset,
                    settle_owed(draft, &name, Account::Receivable, owed, slice, at),
                ));
            }
        }
    }
    count_back(draft, event, slices, at);
    Reversed {
        total: per_asset(slices.iter().map(|s| (&s.asset, s.amount))),
        paid: per_asset(paid.into_iter()),
        expired: per_asset(expired.into_iter()),
    }
}

/// Takes back what is still owed; what was paid meanwhile was paid with bought value, and comes back as such. Tells how
/// much was still owed.
fn settle_owed(
    draft: &mut Draft<'_>,
    event: &EventRef,
    account: Account,
    owed: i128,
    slice: &TakenSlice,
    at: Timestamp,
) -> Nanos {
    let charge = Some(draft.earlier_charge(&slice.code));
    let unpaid = Nanos::new(owed.min(slice.amount.get()));
    let paid = Nanos::new(slice.amount.get() - unpaid.get());
    draft.post(account, &slice.asset, unpaid, charge);
    if paid.is_positive() {
        draft.open_returned(event, &slice.asset, paid, at);
    }
    unpaid
}

/// The account of a grant that can take its value back; none where it has expired, or ended with its subscription.
fn home_of(
    draft: &mut Draft<'_>,
    id: &GrantId,
    ended: &BTreeMap<GrantId, GrantState>,
    at: Timestamp,
) -> Option<Account> {
    let account = Account::Available(id.clone());
    if let Some(grant) = draft.wallet.grants.get(id) {
        return (grant.phase != GrantPhase::Expired).then_some(account);
    }
    let opened = ended.get(id)?;
    let is_over = |id: &SubscriptionId| draft.wallet.has_ended(id);
    let included = opened.category == Category::Included;
    if opened.expires.is_some_and(|expires| expires <= at)
        || (included && opened.subscription.as_ref().is_some_and(is_over))
    {
        return None;
    }
    let again = GrantState {
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        phase: GrantPhase::Active,
        ..opened.clone()
    };
    draft.put(Effect::GrantReopened(id.clone(), Box::new(again)));
    Some(account)
}
