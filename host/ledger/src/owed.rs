//! Debt and receivables that turn out not to be owed. What nobody has paid yet is owed no more; what was written off is
//! written off no more; what was paid was paid with bought value, and comes back as such.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::ids::GrantId;
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::EventRef;
use farebox_record::state::{SliceSource, WriteOff, WriteOffs};
use farebox_record::time::Timestamp;

use crate::credit::totals;
use crate::draft::Draft;
use crate::grant::pay_debt;
use crate::limits::WRITE_OFFS_PER_ASSET_MAX;

/// What a customer may owe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owed {
    /// For usage that the wallet could not cover.
    Debt,
    /// For fees.
    Receivable,
}

/// What one event made the customer owe, as far as it still costs that.
pub(crate) struct Owing(BTreeMap<(Owed, Asset), i128>);

impl Owing {
    /// By what it took.
    pub fn of<'s>(taken: impl Iterator<Item = (&'s SliceSource, &'s Asset, Nanos)>) -> Owing {
        let mut owing = Owing(BTreeMap::new());
        for (from, asset, amount) in taken {
            if let Some(what) = Owed::of(from) {
                *owing.0.entry((what, asset.clone())).or_default() += amount.get();
            }
        }
        owing
    }
}

impl Owed {
    /// None for value, which is not owed.
    pub fn of(from: &SliceSource) -> Option<Owed> {
        match from {
            SliceSource::Grant(_) => None,
            SliceSource::Debt => Some(Owed::Debt),
            SliceSource::Receivable => Some(Owed::Receivable),
        }
    }

    fn account(self) -> Account {
        match self {
            Owed::Debt => Account::Debt,
            Owed::Receivable => Account::Receivable,
        }
    }

    fn list(self, write_offs: &WriteOffs) -> &[WriteOff] {
        match self {
            Owed::Debt => &write_offs.debt,
            Owed::Receivable => &write_offs.receivable,
        }
    }

    fn list_mut(self, write_offs: &mut WriteOffs) -> &mut Vec<WriteOff> {
        match self {
            Owed::Debt => &mut write_offs.debt,
            Owed::Receivable => &mut write_offs.receivable,
        }
    }

    /// How much of it the customer owes now.
    fn open(self, draft: &Draft<'_>, asset: &Asset) -> Nanos {
        let totals = totals(draft.wallet, asset);
        let balance = match self {
            Owed::Debt => totals.debt,
            Owed::Receivable => totals.receivable,
        };
        Nanos::new(-balance.get())
    }
}

/// An amount that an event made the customer owe, and that it does not cost after all.
pub(crate) struct NotOwed<'a> {
    pub what: Owed,
    /// When it was posted: what was written off before then was not owed for it.
    pub since: Timestamp,
    pub asset: &'a Asset,
    pub amount: Nanos,
    /// The charge that its entries name.
    pub charge: Option<u16>,
}

/// What became of an amount that is not owed.
#[derive(Default)]
pub(crate) struct Relieved {
    /// What nobody had paid yet.
    pub unpaid: Nanos,
    /// What had been written off: nothing comes back of it.
    pub written_off: Nanos,
    /// What had been paid: it comes back by [`give_back_paid`].
    pub paid: Nanos,
}

/// Takes back what is not owed, as far as nobody has paid it. What is open by now may be owed for other events: of this one no
/// more is open than it made the customer owe and was not written off since. Else what was written off of it would come back as
/// value once those others are taken back.
pub(crate) fn relieve(draft: &mut Draft<'_>, not: &NotOwed<'_>, owing: &mut Owing) -> Relieved {
    let of_it = owing.0.entry((not.what, not.asset.clone())).or_default();
    let open_of_it = Nanos::new((*of_it - written_off_since(draft, not)).max(0));
    *of_it -= not.amount.get();
    let unpaid = not.what.open(draft, not.asset).min(not.amount).min(open_of_it);
    draft.post(not.what.account(), not.asset, unpaid, not.charge);
    let rest = Nanos::new(not.amount.get() - unpaid.get());
    let written_off = take_back_write_offs(draft, not, rest);
    draft.post(Account::Adjustments, not.asset, written_off, not.charge);
    Relieved {
        unpaid,
        written_off,
        paid: Nanos::new(rest.get() - written_off.get()),
    }
}

/// Bought value that came back.
pub(crate) struct Returned {
    /// In which grant.
    pub grant: GrantId,
    /// How much.
    pub amount: Nanos,
    /// What of it paid other debt at once.
    pub paid_debt: Nanos,
}

/// Gives back what was paid and is not owed, each part under its charge, in one grant of bought value.
pub(crate) fn give_back_paid(
    draft: &mut Draft<'_>,
    event: &EventRef,
    asset: &Asset,
    parts: &[(Option<u16>, Nanos)],
    at: Timestamp,
) -> Option<Returned> {
    let amount = Nanos::new(parts.iter().map(|(_, amount)| amount.get()).sum());
    if !amount.is_positive() {
        return None;
    }
    let grant = draft.open_returned(event, asset, amount, at)?;
    for (charge, amount) in parts {
        draft.post(Account::Available(grant.clone()), asset, *amount, *charge);
    }
    let paid_debt = pay_debt(draft, &grant, amount);
    Some(Returned {
        grant,
        amount,
        paid_debt,
    })
}

/// All that stands written off since an amount was posted.
fn written_off_since(draft: &Draft<'_>, not: &NotOwed<'_>) -> i128 {
    let write_offs = draft.wallet.write_offs.get(not.asset);
    let all = write_offs.map_or(&[][..], |write_offs| not.what.list(write_offs));
    let since = all.iter().filter(|write_off| write_off.at >= not.since);
    since.map(|write_off| write_off.amount.get()).sum()
}

/// Which write-offs an amount was written off by is not known of each event: it was by those since it was posted, as far as
/// they stand.
fn take_back_write_offs(draft: &mut Draft<'_>, not: &NotOwed<'_>, most: Nanos) -> Nanos {
    let Some(mut write_offs) = draft.wallet.write_offs.get(not.asset).cloned() else {
        return Nanos::ZERO;
    };
    let mut taken = 0;
    let list = not.what.list_mut(&mut write_offs);
    for write_off in list.iter_mut().filter(|w| w.at >= not.since) {
        let take = write_off.amount.get().min(most.get() - taken);
        write_off.amount = Nanos::new(write_off.amount.get() - take);
        taken += take;
    }
    list.retain(|write_off| write_off.amount.is_positive());
    if taken > 0 {
        draft.put(Effect::WriteOffsPut(not.asset.clone(), Box::new(write_offs)));
    }
    Nanos::new(taken)
}

/// Notes that an amount was written off. Beyond [`WRITE_OFFS_PER_ASSET_MAX`] the two oldest are one from then on, as old as
/// the older: of what was posted between them nothing counts as written off by it, so that nobody loses what they paid.
pub(crate) fn note_write_off(draft: &mut Draft<'_>, what: Owed, asset: &Asset, amount: Nanos, at: Timestamp) {
    let mut write_offs = draft.wallet.write_offs.get(asset).cloned().unwrap_or_default();
    let list = what.list_mut(&mut write_offs);
    list.push(WriteOff { at, amount });
    if list.len() > WRITE_OFFS_PER_ASSET_MAX {
        let next = list.remove(1).amount;
        list[0].amount = Nanos::new(list[0].amount.get() + next.get());
    }
    draft.put(Effect::WriteOffsPut(asset.clone(), Box::new(write_offs)));
}
