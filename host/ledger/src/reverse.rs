//! Value that an event took and that comes back: first to what it made the customer owe, then to the grants that it came
//! from. What has expired meanwhile becomes breakage, never cash.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::correction::{Standing, TakenSlice};
use farebox_record::ids::GrantId;
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::{Category, EventRef};
use farebox_record::state::{GrantPhase, GrantState, SliceSource, SubscriptionState};
use farebox_record::time::Timestamp;

use crate::draft::Draft;
use crate::grant::{contra, pay_debt};
use crate::lost::Lost;
use crate::owed::{NotOwed, Owed, Owing, give_back_paid, relieve};
use crate::pins::per_asset;
use crate::spending::count_back;
use crate::wallet::Wallet;

/// What of the grants that an event gave is still free goes with it; what of them was used stays used. A timer of the
/// subscription that the event set stays: its plan may have set it again since, under the same key, for another event.
pub(crate) fn take_back_given(draft: &mut Draft<'_>, event: &EventRef) {
    let given = draft.wallet.given.iter().filter(|(_, of)| *of == event);
    let given: Vec<GrantId> = given.map(|(grant, _)| grant.clone()).collect();
    for id in given {
        let Some(grant) = draft.wallet.grants.get(&id) else {
            continue;
        };
        let (asset, free, contra) = (grant.asset.clone(), grant.available, contra(grant.category));
        draft.post(
            Account::Available(id.clone()),
            &asset,
            Nanos::new(-free.get()),
            None,
        );
        draft.post(contra, &asset, free, None);
    }
}

/// What became of reversed value, per asset.
#[derive(Debug, Default)]
pub(crate) struct Reversed {
    /// All of it.
    pub total: Vec<(Asset, Nanos)>,
    /// What of it paid debt and receivables: those of its own that nobody had paid yet, write-offs of them, and what is owed
    /// besides where bought value comes back.
    pub paid: Vec<(Asset, Nanos)>,
    /// What of it became breakage.
    pub lost: Lost,
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
    split_some(slices, *amount, |slice| slice.asset == *asset)
}

/// The same of the slices that are meant, up to `amount` of them together.
pub(crate) fn split_some(
    slices: &[TakenSlice],
    amount: Nanos,
    is_meant: impl Fn(&TakenSlice) -> bool,
) -> (Vec<TakenSlice>, Vec<TakenSlice>) {
    let mut rest = amount;
    let (mut back, mut stays) = (Vec::new(), Vec::new());
    for slice in by_rank(slices) {
        let take = match is_meant(&slice) {
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

/// Gives back slices that an event took, as it stood before. The codes of their charges are noted in the record. `ended`
/// are grants that the wallet no longer has, as they were opened.
pub(crate) fn give_back(
    draft: &mut Draft<'_>,
    standing: &Standing,
    slices: &[TakenSlice],
    ended: &BTreeMap<GrantId, GrantState>,
    at: Timestamp,
) -> Reversed {
    let mut paid = Vec::new();
    let mut owing = owing(standing);
    let mut lost = Lost::default();
    for slice in slices {
        let charge = draft.earlier_charge(&slice.code);
        let back = give_back_slice(draft, standing, slice, charge, (ended, &mut owing), at);
        paid.push((&slice.asset, back.paid));
        lost.add_before(&slice.from, &slice.asset, back.expired);
    }
    count_back(draft, standing, slices, at);
    Reversed {
        total: per_asset(slices.iter().map(|s| (&s.asset, s.amount))),
        paid: per_asset(paid.into_iter()),
        lost,
    }
}

/// What an event made the customer owe, as it stands.
pub(crate) fn owing(standing: &Standing) -> Owing {
    Owing::of(
        standing
            .slices
            .iter()
            .map(|slice| (&slice.from, &slice.asset, slice.amount)),
    )
}

/// When a slice was posted.
pub(crate) fn posted(slice: &TakenSlice, standing: &Standing) -> Timestamp {
    slice.posted.unwrap_or(standing.time)
}

/// What became of one slice.
pub(crate) struct SliceBack {
    /// What of it paid debt and receivables, write-offs of them included.
    paid: Nanos,
    /// What of it became breakage.
    pub expired: Nanos,
    /// What of it had been written off.
    pub written_off: Nanos,
}

/// Gives one slice back, under this charge.
pub(crate) fn give_back_slice(
    draft: &mut Draft<'_>,
    standing: &Standing,
    slice: &TakenSlice,
    charge: u16,
    (ended, owing): (&BTreeMap<GrantId, GrantState>, &mut Owing),
    at: Timestamp,
) -> SliceBack {
    let charge = Some(charge);
    let (asset, amount) = (&slice.asset, slice.amount);
    draft.post(Account::Revenue, asset, Nanos::new(-amount.get()), charge);
    let what = match &slice.from {
        SliceSource::Debt => Owed::Debt,
        SliceSource::Receivable => Owed::Receivable,
        SliceSource::Grant(id) => {
            let home = home_of(draft, id, ended, at);
            let (account, expired) = match home {
                Some(account) => (account, Nanos::ZERO),
                None => (Account::Breakage, amount),
            };
            draft.post(account, asset, amount, charge);
            let paid = match expired.is_zero() {
                true => pay_debt(draft, id, amount),
                false => Nanos::ZERO,
            };
            return SliceBack {
                paid,
                expired,
                written_off: Nanos::ZERO,
            };
        }
    };
    let not = NotOwed {
        what,
        since: posted(slice, standing),
        asset,
        amount,
        charge,
    };
    let relieved = relieve(draft, &not, owing);
    let name = standing.event.reference();
    let back = give_back_paid(draft, &name, asset, &[(charge, relieved.paid)], at);
    let other = back.map_or(Nanos::ZERO, |back| back.paid_debt);
    let paid = [relieved.unpaid, relieved.written_off, other];
    SliceBack {
        paid: Nanos::new(paid.iter().map(|amount| amount.get()).sum()),
        expired: Nanos::ZERO,
        written_off: relieved.written_off,
    }
}

/// The account of a grant that can take its value back; none where it has expired, or its subscription ended it.
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
    if opened.expires.is_some_and(|expires| expires <= at) || ended_with_its_plan(draft.wallet, opened) {
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

/// Whether a grant that the wallet no longer has was a subscription's, and ended with it, or with the plan that gave it.
fn ended_with_its_plan(wallet: &Wallet, grant: &GrantState) -> bool {
    let (Category::Included, Some(id)) = (grant.category, &grant.subscription) else {
        return false;
    };
    let runs = |subscription: &SubscriptionState| match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::Paused(_) => true,
        SubscriptionStatus::Cancelled(_) => false,
    };
    let of_an_old_plan = || {
        wallet
            .plan_since
            .get(id)
            .is_some_and(|since| grant.effective < *since)
    };
    !wallet.subscription(id).is_some_and(runs) || of_an_old_plan()
}
