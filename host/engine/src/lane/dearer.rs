//! What is held where a plan gave two quotes for one call: enough for both.
//!
//! The call will settle at a state between the two that were quoted, so whatever either of them needs has to be there. Sums
//! cannot be compared across assets (80 credits are not more than 6 usd), and neither quote may be right: a plan with a pool
//! quotes 80 credits at the committed state, and 20 credits and 6 usd behind the open holds. If the call settles first it
//! needs all 80 credits; if it settles last, the 6 usd. So, in this order:
//!
//! 1. A quote that has, charge by charge, at least what the other one has is held as the plan stated it. A charge is
//!    compared with the one of the same code and the same chain of assets, link by link.
//! 2. Otherwise, where only assets matter, it is decided for each of them: its charges are those of the quote that needs
//!    more of it, as the plan stated them. So tiers with codes of their own (80 in the first; or 20 in the first and 120 in
//!    the second) are held as the dearer one and not as both.
//! 3. More than assets matter where a charge has an `otherwise`, because what one asset does not cover moves to another, and
//!    where a grant is good for some codes only. There each charge is held at the larger of its two amounts, link by link,
//!    and one that only one quote has is held too. Such a hold covers either quote, whatever the wallet has of each asset,
//!    and may be more than either.
//!
//! Every amount that is held is one that the plan stated for this call. Where it comes out of both quotes it may be more than
//! a single state of the plan can need, and never is it less.

use farebox_ledger::Wallet;
use farebox_money::Asset;
use farebox_record::plan::{Charge, Collect, Price, Priced};

/// What covers both quotes of a call. Ties go to the committed one. What a quote gives back is left out: a hold does not rely
/// on it.
pub(super) fn covering_both(mut committed: Priced, mut folded: Priced, wallet: &Wallet) -> Priced {
    for quote in [&mut committed, &mut folded] {
        quote.charges.retain(|charge| !charge.price.amount.is_negative());
    }
    if covers(&committed.charges, &folded.charges) {
        return committed;
    }
    if covers(&folded.charges, &committed.charges) {
        return folded;
    }
    let charges = match only_assets_matter(&committed, &folded, wallet) {
        true => by_asset(&committed.charges, &folded.charges),
        false => by_charge(&committed.charges, &folded.charges),
    };
    Priced { charges, ..folded }
}

/// Whether each charge of `less` is in `more` with at least the same amounts.
fn covers(more: &[Charge], less: &[Charge]) -> bool {
    less.iter().enumerate().all(|(index, charge)| {
        charge.price.amount.is_zero()
            || partner(less, index, more).is_some_and(|partner| is_at_least(partner, charge))
    })
}

fn is_at_least(more: &Charge, less: &Charge) -> bool {
    prices(more)
        .zip(prices(less))
        .all(|(more, less)| more.amount >= less.amount)
}

/// Whether a hold of an amount of an asset covers any charges of that amount in it.
fn only_assets_matter(committed: &Priced, folded: &Priced, wallet: &Wallet) -> bool {
    let mut charges = committed.charges.iter().chain(&folded.charges);
    charges.all(|charge| charge.otherwise.is_empty())
        && wallet
            .grants()
            .all(|(_, grant)| grant.applies_to.codes.is_empty())
}

/// Of each asset, the charges of the quote that needs more of it.
fn by_asset(committed: &[Charge], folded: &[Charge]) -> Vec<Charge> {
    let need = |charges: &[Charge], of: (&Asset, Collect)| -> i128 {
        let same = charges.iter().filter(|charge| drawn_from(charge) == of);
        same.map(|charge| charge.price.amount.get()).sum()
    };
    let committed_decides = |charge: &Charge| {
        let of = drawn_from(charge);
        need(committed, of) >= need(folded, of)
    };
    let of_committed = committed.iter().filter(|charge| committed_decides(charge));
    let of_folded = folded.iter().filter(|charge| !committed_decides(charge));
    of_committed.chain(of_folded).cloned().collect()
}

/// Each charge that either has, at the larger of its amounts.
fn by_charge(committed: &[Charge], folded: &[Charge]) -> Vec<Charge> {
    let both = folded.iter().enumerate();
    let mut charges: Vec<Charge> = both
        .map(|(index, charge)| match partner(folded, index, committed) {
            Some(partner) => larger(partner, charge),
            None => charge.clone(),
        })
        .collect();
    let alone = committed.iter().enumerate().filter(|(index, charge)| {
        !charge.price.amount.is_zero() && partner(committed, *index, folded).is_none()
    });
    charges.extend(alone.map(|(_, charge)| charge.clone()));
    charges
}

/// The charge at the larger of two amounts, link by link. Its quantity is that of the larger first amount.
fn larger(committed: &Charge, folded: &Charge) -> Charge {
    let (more, less) = match folded.price.amount > committed.price.amount {
        true => (folded, committed),
        false => (committed, folded),
    };
    let mut charge = more.clone();
    for (price, other) in charge.otherwise.iter_mut().zip(&less.otherwise) {
        price.amount = price.amount.max(other.amount);
    }
    charge
}

/// The charge among `others` that is the same one at another state: of the same code and chain, and of several such the one
/// in the same place among them.
fn partner<'c>(charges: &[Charge], index: usize, others: &'c [Charge]) -> Option<&'c Charge> {
    let charge = &charges[index];
    let nth = charges[..index].iter().filter(|c| is_same(c, charge)).count();
    others.iter().filter(|other| is_same(other, charge)).nth(nth)
}

fn is_same(one: &Charge, other: &Charge) -> bool {
    let chain = |price: &Price| (price.asset.clone(), price.collect);
    one.code == other.code && prices(one).map(chain).eq(prices(other).map(chain))
}

fn prices(charge: &Charge) -> impl Iterator<Item = &Price> {
    std::iter::once(&charge.price).chain(&charge.otherwise)
}

fn drawn_from(charge: &Charge) -> (&Asset, Collect) {
    (&charge.price.asset, charge.price.collect)
}

#[cfg(test)]
mod tests;
