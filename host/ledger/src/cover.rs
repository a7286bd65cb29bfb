//! How charges are covered: first by what their hold already took or pinned, then by what the wallet has, asset by asset
//! along the `otherwise` chain, in exact proportion and rounded once.

use ethnum::U256;
use farebox_money::{Asset, Nanos};
use farebox_record::outcome::Line;
use farebox_record::plan::{Charge, Collect, Price};
use farebox_record::state::{HoldState, Slice, SliceSource};

use crate::funds::{Funds, Purpose};
use crate::limits::CHAIN_PRICES_MAX;
use crate::wallet::Wallet;

/// Where a slice comes from, as far as posting it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An earlier settlement of the same hold took it already: nothing moves.
    Taken,
    /// The hold pinned it.
    Pinned,
    /// It is free in the wallet, or debt, or a receivable.
    Live,
}

/// A slice with its origin.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    pub slice: Slice,
    pub origin: Origin,
}

/// What of a charge nothing covers.
#[derive(Debug, Clone)]
pub(crate) struct Uncovered {
    pub charge: u16,
    pub asset: Asset,
    /// What the last asset of the chain had to cover.
    pub required: Nanos,
    /// What of it is missing.
    pub missing: Nanos,
}

/// What charges are covered by.
#[derive(Debug, Default)]
pub(crate) struct Covered {
    pub draws: Vec<Draw>,
    pub uncovered: Vec<Uncovered>,
    /// What the hold has left: taken or pinned before, and not needed.
    pub left: Vec<Owned>,
}

/// Value that a hold has: a slice that it took, or a pin.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub from: SliceSource,
    pub asset: Asset,
    pub amount: Nanos,
    pub origin: Origin,
    /// The charge that it was taken for; none for a pin.
    pub charge: Option<u16>,
}

/// Why charges cannot be covered by this ledger at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncoverable {
    /// The chain is longer than [`CHAIN_PRICES_MAX`], or a link costs nothing or less.
    Chain,
    /// A negative charge: it is no matter of covering.
    GiveBack,
}

/// Everything that the hold owns, taken slices before pins.
pub(crate) fn owned_by(hold: &HoldState) -> Vec<Owned> {
    let taken = hold.taken.iter().map(|slice| Owned {
        from: slice.from.clone(),
        asset: slice.asset.clone(),
        amount: slice.amount,
        origin: Origin::Taken,
        charge: Some(slice.charge),
    });
    let pins = hold.pins.iter().map(|pin| Owned {
        from: SliceSource::Grant(pin.grant.clone()),
        asset: pin.asset.clone(),
        amount: pin.amount,
        origin: Origin::Pinned,
        charge: None,
    });
    taken.chain(pins).collect()
}

/// Covers `charges` as far as it goes, in three rounds over all of them: what each charge itself took before; what the
/// hold has besides; what the wallet has. So a charge that shrank frees value for one that grew before the wallet is
/// asked for more.
pub(crate) fn cover(
    wallet: &Wallet,
    charges: &[Charge],
    attributes: &std::collections::BTreeMap<String, String>,
    mut owned: Vec<Owned>,
) -> Result<Covered, Uncoverable> {
    let mut open: Vec<Open<'_>> = Vec::with_capacity(charges.len());
    for (index, charge) in charges.iter().enumerate() {
        if charge.price.amount.is_negative() {
            return Err(Uncoverable::GiveBack);
        }
        if !charge.price.amount.is_zero() {
            open.push(Open::new(
                u16::try_from(index).map_err(|_| Uncoverable::Chain)?,
                charge,
            )?);
        }
    }
    let mut covered = Covered::default();
    for charge in &mut open {
        let mine = Some(charge.index);
        charge.draw_owned(
            wallet,
            attributes,
            &mut owned,
            |o| o.charge == mine,
            &mut covered.draws,
        );
    }
    for charge in &mut open {
        charge.draw_owned(wallet, attributes, &mut owned, |_| true, &mut covered.draws);
    }
    let mut funds = Funds::of(wallet);
    for charge in &mut open {
        let purpose = Purpose {
            code: &charge.charge.code,
            attributes,
        };
        covered
            .uncovered
            .extend(charge.draw_live(&mut funds, purpose, &mut covered.draws));
    }
    covered.left = owned.into_iter().filter(|o| o.amount.is_positive()).collect();
    Ok(covered)
}

/// A charge that is not wholly covered yet.
struct Open<'c> {
    index: u16,
    charge: &'c Charge,
    prices: Vec<&'c Price>,
    /// For each price, the product of the amounts of all other prices. The uncovered fraction of the charge is
    /// `rest / (product of all amounts)`, so what it costs in asset i is `rest / others[i]`, exactly.
    others: Vec<U256>,
    rest: U256,
}

impl<'c> Open<'c> {
    fn new(index: u16, charge: &'c Charge) -> Result<Open<'c>, Uncoverable> {
        let prices: Vec<&Price> = std::iter::once(&charge.price).chain(&charge.otherwise).collect();
        if prices.len() > CHAIN_PRICES_MAX {
            return Err(Uncoverable::Chain);
        }
        let mut amounts = Vec::with_capacity(prices.len());
        for price in &prices {
            // 63 bits each: the product of four fits in 256 with room for rounding.
            let amount = price
                .amount
                .to_plan()
                .filter(|a| *a > 0)
                .ok_or(Uncoverable::Chain)?;
            amounts.push(U256::from(amount.unsigned_abs()));
        }
        let others = (0..amounts.len())
            .map(|i| {
                amounts
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != i)
                    .fold(U256::ONE, |p, (_, a)| p * *a)
            })
            .collect();
        let rest = amounts.iter().fold(U256::ONE, |p, a| p * *a);
        Ok(Open {
            index,
            charge,
            prices,
            others,
            rest,
        })
    }

    /// What the uncovered part costs in the asset of one price: half to even, the only rounding of a charge.
    fn need(&self, price: usize) -> Nanos {
        let divisor = self.others[price];
        let (quotient, remainder) = (self.rest / divisor, self.rest % divisor);
        let up = match (remainder + remainder).cmp(&divisor) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => quotient % U256::from(2_u8) == U256::ONE,
        };
        // The rest never grows, so the quotient is at most the price's own 63 bits.
        Nanos::new((quotient + U256::from(u8::from(up))).as_i128())
    }

    fn took(&mut self, price: usize, amount: Nanos) {
        self.rest = match amount == self.need(price) {
            true => U256::ZERO,
            false => self.rest - U256::from(amount.get().unsigned_abs()) * self.others[price],
        };
    }

    fn draw_owned(
        &mut self,
        wallet: &Wallet,
        attributes: &std::collections::BTreeMap<String, String>,
        owned: &mut [Owned],
        which: impl Fn(&Owned) -> bool,
        draws: &mut Vec<Draw>,
    ) {
        for price in 0..self.prices.len() {
            let last = price + 1 == self.prices.len();
            let asset = self.prices[price].asset.clone();
            for own in owned.iter_mut().filter(|o| o.asset == asset && which(o)) {
                let need = self.need(price);
                if need.is_zero() {
                    return;
                }
                let fits = match &own.from {
                    SliceSource::Grant(id) => wallet
                        .grants
                        .get(id)
                        .is_some_and(|grant| grant.applies_to.allows(&self.charge.code, attributes)),
                    SliceSource::Debt => last,
                    SliceSource::Receivable => self.prices[price].collect == Collect::Invoice,
                };
                let take = need.min(own.amount);
                if !fits || !take.is_positive() {
                    continue;
                }
                own.amount = Nanos::new(own.amount.get() - take.get());
                self.took(price, take);
                draws.push(self.slice(own.from.clone(), own.asset.clone(), take, own.origin));
            }
        }
    }

    fn draw_live(
        &mut self,
        funds: &mut Funds<'_>,
        purpose: Purpose<'_>,
        draws: &mut Vec<Draw>,
    ) -> Option<Uncovered> {
        for price in 0..self.prices.len() {
            let need = self.need(price);
            if need.is_zero() {
                return None;
            }
            let Price { asset, collect, .. } = self.prices[price];
            if *collect == Collect::Invoice {
                self.took(price, need);
                draws.push(self.slice(SliceSource::Receivable, asset.clone(), need, Origin::Live));
                return None;
            }
            for (grant, amount) in funds.draw(asset, purpose, need) {
                self.took(price, amount);
                draws.push(self.slice(SliceSource::Grant(grant), asset.clone(), amount, Origin::Live));
            }
            if price + 1 == self.prices.len() {
                let missing = self.need(price);
                return missing.is_positive().then(|| Uncovered {
                    charge: self.index,
                    asset: asset.clone(),
                    required: need,
                    missing,
                });
            }
        }
        None
    }

    fn slice(&self, from: SliceSource, asset: Asset, amount: Nanos, origin: Origin) -> Draw {
        Draw {
            slice: Slice {
                charge: self.index,
                asset,
                from,
                amount,
            },
            origin,
        }
    }
}

/// Charges as a caller sees them.
pub(crate) fn lines(charges: &[Charge]) -> Vec<Line> {
    charges
        .iter()
        .map(|charge| Line {
            code: charge.code.clone(),
            asset: charge.price.asset.clone(),
            amount: charge.price.amount,
            quantity: charge.quantity,
        })
        .collect()
}
