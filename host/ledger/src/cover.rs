//! How charges are covered: first by what their hold already took or pinned, then by what the wallet has, asset by
//! asset along the `otherwise` chain, in exact proportion and rounded once.

use farebox_record::event::Attributes;
use std::collections::BTreeMap;

use ethnum::U256;
use farebox_money::{Asset, Nanos};
use farebox_record::ids::GrantId;
use farebox_record::outcome::Line;
use farebox_record::plan::{Charge, Collect, Price};
use farebox_record::state::{GrantState, HoldState, Slice, SliceSource};
use farebox_record::time::Timestamp;

use crate::funds::{Funds, Purpose, burn_order};
use crate::limits::CHAIN_PRICES_MAX;
use crate::portions::Portion;
use crate::wallet::Wallet;

/// Where a slice comes from, as far as posting it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An earlier settlement of the same hold took it already, for the charge with this index: where that is the same
    /// charge, nothing moves.
    Taken(u16),
    /// The hold pinned it.
    Pinned,
    /// It is free in the wallet, or debt, or a receivable.
    Live,
    /// A refund gave it back, and that stands: it covers as if it were still taken, and nothing moves.
    Refunded,
    /// It came back to a grant that is over in this record, so that it is breakage: it goes the same way back.
    Lost,
}

/// A slice with its origin.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    pub slice: Slice,
    pub origin: Origin,
    /// It is taken from this portion, which nobody has opened yet.
    pub portion: Option<Box<Portion>>,
}

/// What nothing covers of a charge.
#[derive(Debug, Clone)]
pub(crate) struct Uncovered {
    pub charge: u16,
    /// The last asset of the chain.
    pub asset: Asset,
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
    /// All but [`Origin::Live`].
    pub origin: Origin,
}

/// Why charges cannot be covered by this ledger at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncoverable {
    /// The chain is longer than [`CHAIN_PRICES_MAX`], or a link costs nothing or less.
    Chain,
}

/// Everything that the hold owns, in the order in which the grants burn, debt and receivables behind. Taken or pinned
/// makes no difference to that order: how much is taken of each is the same whatever partial settlements came before.
pub(crate) fn owned_by(wallet: &Wallet, hold: &HoldState) -> Vec<Owned> {
    let taken = hold.taken.iter().map(|slice| Owned {
        from: slice.from.clone(),
        asset: slice.asset.clone(),
        amount: slice.amount,
        origin: Origin::Taken(slice.charge),
    });
    let pins = hold.pins.iter().map(|pin| Owned {
        from: SliceSource::Grant(pin.grant.clone()),
        asset: pin.asset.clone(),
        amount: pin.amount,
        origin: Origin::Pinned,
    });
    let mut owned: Vec<Owned> = taken.chain(pins).collect();
    let grant = |own: &Owned| match &own.from {
        SliceSource::Grant(id) => {
            let known = wallet.grants.get_key_value(id);
            known.map(|(id, grant)| (id, &**grant))
        }
        SliceSource::Debt | SliceSource::Receivable => None,
    };
    owned.sort_by(|a, b| {
        let burns = match (grant(a), grant(b)) {
            (Some(a), Some(b)) => burn_order(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        burns
            .then_with(|| a.from.cmp(&b.from))
            .then_with(|| a.asset.cmp(&b.asset))
    });
    owned
}

/// Covers `charges` as far as it goes, in two rounds over all of them: what their hold has, then what the wallet has.
/// So a charge that shrank frees value for one that grew before the wallet is asked for more.
pub(crate) fn cover(
    wallet: &Wallet,
    charges: &[Charge],
    attributes: &Attributes,
    owned: Vec<Owned>,
) -> Result<Covered, Uncoverable> {
    let grants = Grants::of(wallet);
    cover_from(grants, charges, attributes, &mut [owned], Funds::of(wallet))
}

/// Covers `charges` as far as what their hold has goes, and never by what is free in the wallet.
pub(crate) fn cover_by_hold(
    wallet: &Wallet,
    charges: &[Charge],
    attributes: &Attributes,
    owned: Vec<Owned>,
) -> Result<Covered, Uncoverable> {
    let grants = Grants::of(wallet);
    cover_from(grants, charges, attributes, &mut [owned], Funds::none())
}

/// What covers an event behind a correction before the wallet is asked, each in the order in which it was taken.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What refunds gave back of it.
    pub refunded: Vec<Owned>,
    /// What it took.
    pub taken: Vec<Owned>,
    /// What the correction gave back to grants that are over.
    pub lost: Vec<Owned>,
}

/// Covers what an event costs behind a correction: one after the other by what is known, then by `funds`.
pub(crate) fn cover_again(
    grants: Grants<'_>,
    charges: &[Charge],
    attributes: &Attributes,
    known: Known,
    funds: Funds<'_>,
) -> Result<Covered, Uncoverable> {
    let mut known = [known.refunded, known.taken, known.lost];
    cover_from(grants, charges, attributes, &mut known, funds)
}

/// Grants that a charge may have been taken from: those of the wallet, and some that it no longer has.
#[derive(Clone, Copy)]
pub(crate) struct Grants<'w> {
    wallet: &'w Wallet,
    ended: Option<&'w BTreeMap<GrantId, GrantState>>,
}

impl<'w> Grants<'w> {
    pub fn of(wallet: &'w Wallet) -> Grants<'w> {
        Grants { wallet, ended: None }
    }

    pub fn with_ended(wallet: &'w Wallet, ended: &'w BTreeMap<GrantId, GrantState>) -> Grants<'w> {
        Grants {
            wallet,
            ended: Some(ended),
        }
    }

    /// When what is taken from there ends, if it does.
    pub fn expires(&self, from: &SliceSource) -> Option<Timestamp> {
        match from {
            SliceSource::Grant(id) => self.get(id)?.expires,
            SliceSource::Debt | SliceSource::Receivable => None,
        }
    }

    fn get(&self, id: &GrantId) -> Option<&'w GrantState> {
        let ended = || self.ended.and_then(|ended| ended.get(id));
        self.wallet.grant(id).or_else(ended)
    }
}

/// What of `charges` a hold cannot cover alone, with what it took, pinned and has on credit: what is above the hold.
pub(crate) fn above_hold(
    wallet: &Wallet,
    charges: &[Charge],
    attributes: &Attributes,
    hold: &HoldState,
) -> Result<Vec<Uncovered>, Uncoverable> {
    let mut owned = owned_by(wallet, hold);
    owned.extend(hold.overdraft.iter().map(|(asset, amount)| Owned {
        from: SliceSource::Debt,
        asset: asset.clone(),
        amount: *amount,
        origin: Origin::Pinned,
    }));
    let grants = Grants::of(wallet);
    Ok(cover_from(grants, charges, attributes, &mut [owned], Funds::none())?.uncovered)
}

/// What is owned comes in groups: each is used up before the next is asked.
fn cover_from(
    grants: Grants<'_>,
    charges: &[Charge],
    attributes: &Attributes,
    owned: &mut [Vec<Owned>],
    mut funds: Funds<'_>,
) -> Result<Covered, Uncoverable> {
    let mut open: Vec<Open<'_>> = Vec::with_capacity(charges.len());
    for (index, charge) in charges.iter().enumerate() {
        // A give-back is no matter of covering.
        if charge.price.amount.is_positive() {
            open.push(Open::new(
                u16::try_from(index).map_err(|_| Uncoverable::Chain)?,
                charge,
            )?);
        }
    }
    let mut covered = Covered::default();
    for group in owned.iter_mut().filter(|group| !group.is_empty()) {
        for charge in &mut open {
            charge.draw_owned(grants, attributes, group, &mut covered.draws);
        }
    }
    for charge in &mut open {
        let purpose = Purpose {
            code: &charge.charge.code,
            attributes,
        };
        covered
            .uncovered
            .extend(charge.draw_live(&mut funds, purpose, &mut covered.draws));
    }
    let owned = owned.iter_mut().flat_map(std::mem::take);
    covered.left = owned.filter(|o| o.amount.is_positive()).collect();
    Ok(covered)
}

/// A charge that is not wholly covered yet.
struct Open<'c> {
    index: u16,
    charge: &'c Charge,
    links: Vec<Link<'c>>,
    /// The product of the amounts of all links: the whole charge, in units in which every link is a whole number.
    whole: U256,
    /// Whether nothing is left to cover.
    done: bool,
}

/// One price of a charge.
struct Link<'c> {
    price: &'c Price,
    /// The product of the amounts of all other links: what one nano of this one is worth of [`Open::whole`].
    worth: U256,
    taken: U256,
}

impl<'c> Open<'c> {
    fn new(index: u16, charge: &'c Charge) -> Result<Open<'c>, Uncoverable> {
        let prices = || std::iter::once(&charge.price).chain(&charge.otherwise);
        if charge.otherwise.len() >= CHAIN_PRICES_MAX {
            return Err(Uncoverable::Chain);
        }
        let mut amounts = [U256::ONE; CHAIN_PRICES_MAX];
        for (amount, price) in amounts.iter_mut().zip(prices()) {
            // 63 bits each: the product of four fits in 256 with room for rounding.
            let whole = price.amount.to_plan().filter(|a| *a > 0);
            *amount = U256::from(whole.ok_or(Uncoverable::Chain)?.unsigned_abs());
        }
        let product_without = |skipped: usize| {
            let others = amounts.iter().enumerate().filter(|(i, _)| *i != skipped);
            others.fold(U256::ONE, |product, (_, amount)| product * *amount)
        };
        let links = prices()
            .enumerate()
            .map(|(i, price)| Link {
                price,
                worth: product_without(i),
                taken: U256::ZERO,
            })
            .collect();
        Ok(Open {
            index,
            charge,
            links,
            whole: product_without(amounts.len()),
            done: false,
        })
    }

    /// What is still to be taken of one link if it is the last to be asked. What it takes **in all** is rounded (half
    /// to even), never a part of it: so it makes no difference in how many parts it is taken.
    fn need(&self, link: usize) -> Nanos {
        if self.done {
            return Nanos::ZERO;
        }
        let elsewhere = self.links.iter().enumerate().filter(|(i, _)| *i != link);
        let elsewhere = elsewhere.fold(U256::ZERO, |sum, (_, l)| sum + l.taken * l.worth);
        let Link { worth, taken, .. } = self.links[link];
        // Until it is done, no more was taken than the whole: a link's total is rounded up only by its last part.
        let exact = self.whole - elsewhere;
        // A price that stands alone, as most do: nothing is divided, and nothing rounded.
        if worth == U256::ONE {
            return Nanos::new((exact - taken).as_i128());
        }
        let (quotient, remainder) = (exact / worth, exact % worth);
        let up = match (remainder + remainder).cmp(&worth) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => quotient % U256::from(2_u8) == U256::ONE,
        };
        // At most the link's own 63 bits.
        Nanos::new((quotient + U256::from(u8::from(up)) - taken).as_i128())
    }

    fn took(&mut self, link: usize, amount: Nanos) {
        self.done = amount == self.need(link);
        self.links[link].taken += U256::from(amount.get().unsigned_abs());
    }

    fn draw_owned(
        &mut self,
        grants: Grants<'_>,
        attributes: &Attributes,
        owned: &mut [Owned],
        draws: &mut Vec<Draw>,
    ) {
        for link in 0..self.links.len() {
            if self.need(link).is_zero() {
                self.done = true;
                return;
            }
            for same in owned.chunk_by_mut(|a, b| a.from == b.from && a.asset == b.asset) {
                if same[0].asset == self.links[link].price.asset
                    && self.may_take(link, &same[0].from, grants, attributes)
                {
                    self.draw_one_source(link, same, draws);
                }
            }
            if self.links[link].price.collect == Collect::Invoice {
                return; // A statement takes any amount: what stands behind it in the chain is never asked.
            }
        }
    }

    fn may_take(&self, link: usize, from: &SliceSource, grants: Grants<'_>, attributes: &Attributes) -> bool {
        let collect = self.links[link].price.collect;
        match from {
            SliceSource::Grant(id) => {
                let grant = grants.get(id);
                collect == Collect::Balance
                    && grant.is_some_and(|g| g.applies_to.allows(&self.charge.code, attributes))
            }
            SliceSource::Debt => collect == Collect::Balance && link + 1 == self.links.len(),
            SliceSource::Receivable => collect == Collect::Invoice,
        }
    }

    /// Of one source, first what the charge itself took, then what is pinned, then what other charges took and have no
    /// use for any more.
    fn draw_one_source(&mut self, link: usize, same: &mut [Owned], draws: &mut Vec<Draw>) {
        let index = self.index;
        let rank = |origin: Origin| match origin {
            Origin::Taken(charge) if charge == index => 0,
            Origin::Pinned | Origin::Live | Origin::Refunded | Origin::Lost => 1,
            Origin::Taken(_) => 2,
        };
        for wanted in 0..=2 {
            for own in same.iter_mut().filter(|own| rank(own.origin) == wanted) {
                let take = self.need(link).min(own.amount);
                if take.is_positive() {
                    own.amount = Nanos::new(own.amount.get() - take.get());
                    self.took(link, take);
                    draws.push(self.slice(own.from.clone(), own.asset.clone(), take, own.origin));
                }
            }
        }
    }

    fn draw_live(
        &mut self,
        funds: &mut Funds<'_>,
        purpose: Purpose<'_>,
        draws: &mut Vec<Draw>,
    ) -> Option<Uncovered> {
        for link in 0..self.links.len() {
            let need = self.need(link);
            if need.is_zero() {
                return None;
            }
            let Price { asset, collect, .. } = self.links[link].price;
            if *collect == Collect::Invoice {
                self.took(link, need);
                draws.push(self.slice(SliceSource::Receivable, asset.clone(), need, Origin::Live));
                return None;
            }
            for drawn in funds.draw(asset, purpose, need) {
                self.took(link, drawn.amount);
                let from = SliceSource::Grant(drawn.grant);
                let mut draw = self.slice(from, asset.clone(), drawn.amount, Origin::Live);
                draw.portion = drawn.portion;
                draws.push(draw);
            }
            if link + 1 == self.links.len() {
                let missing = self.need(link);
                return missing.is_positive().then(|| Uncovered {
                    charge: self.index,
                    asset: asset.clone(),
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
            portion: None,
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
