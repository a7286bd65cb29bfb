//! What a wallet has for a charge, in the order in which it burns.

use farebox_record::event::Attributes;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::ids::GrantId;
use farebox_record::state::{GrantPhase, GrantState};

use crate::limits::PORTIONS_PER_COMMAND_MAX;
use crate::portions::{Portion, are_one};
use crate::wallet::Wallet;

/// What a charge is for: decides which grants it may burn.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    /// Code of the charge.
    pub code: &'a str,
    /// Attributes of the event.
    pub attributes: &'a Attributes,
}

/// What is drawn from one grant.
pub(crate) struct Drawn {
    pub grant: GrantId,
    pub amount: Nanos,
    /// The grant is this portion, which is to be opened first.
    pub portion: Option<Box<Portion>>,
}

/// The free value of a wallet while one command is decided. Drawing from it changes nothing of the wallet: only when
/// the whole command is known to succeed is anything posted.
pub(crate) struct Funds<'w> {
    /// None: there is nothing to draw from.
    wallet: Option<&'w Wallet>,
    drawn: BTreeMap<GrantId, Nanos>,
    /// Grants of which a portion is to be opened.
    opened: Vec<GrantId>,
}

impl<'w> Funds<'w> {
    pub fn of(wallet: &'w Wallet) -> Funds<'w> {
        Funds {
            wallet: Some(wallet),
            drawn: BTreeMap::new(),
            opened: Vec::new(),
        }
    }

    pub fn none() -> Funds<'w> {
        Funds {
            wallet: None,
            drawn: BTreeMap::new(),
            opened: Vec::new(),
        }
    }

    /// Draws up to `need`, grant by grant.
    pub fn draw(&mut self, asset: &Asset, purpose: Purpose<'_>, need: Nanos) -> Vec<Drawn> {
        let Some(wallet) = self.wallet else {
            return Vec::new();
        };
        let unopened: Vec<Portion> = wallet
            .grants
            .iter()
            .filter(|(_, grant)| grant.portions.is_some())
            .filter_map(|(id, grant)| Portion::unopened(wallet, id, grant, purpose.attributes))
            .collect();
        let whole = wallet.grants().map(|(id, grant)| (id, grant, None));
        let portions = unopened.iter().map(|new| (&new.id, &new.state, Some(new)));
        let mut open: Vec<(&GrantId, &GrantState, Option<&Portion>)> = whole
            .chain(portions)
            .filter(|(_, grant, _)| usable(grant, asset, purpose))
            .collect();
        // Where all else is equal, portions that are to be opened burn in the order of what they are of.
        open.sort_by(|a, b| {
            let (of_a, of_b) = (a.2.map_or(a.0, |new| &new.of), b.2.map_or(b.0, |new| &new.of));
            burn_order((of_a, a.1), (of_b, b.1))
        });
        let mut rest = need.get();
        let mut draws = Vec::new();
        for (id, grant, portion) in open {
            if rest == 0 {
                break;
            }
            if portion.is_some_and(|portion| !self.may_open(wallet, portion)) {
                continue;
            }
            let drawn = self.drawn.entry(id.clone()).or_default();
            let take = rest.min(grant.available.get() - drawn.get());
            if take > 0 {
                *drawn = Nanos::new(drawn.get() + take);
                rest -= take;
                if let Some(portion) = portion.filter(|portion| !self.opened.contains(&portion.of)) {
                    self.opened.push(portion.of.clone());
                }
                draws.push(Drawn {
                    grant: id.clone(),
                    amount: Nanos::new(take),
                    portion: portion.cloned().map(Box::new),
                });
            }
        }
        draws
    }

    /// Whether it is among those that are drawn from already, or may be one more of them: of several grants that are one, a
    /// value has one portion.
    fn may_open(&self, wallet: &Wallet, portion: &Portion) -> bool {
        let state = |id: &GrantId| wallet.grants.get(id);
        let Some(of) = state(&portion.of) else {
            return false;
        };
        let is_one = |other: &GrantId| {
            state(other).is_some_and(|grant| are_one(wallet, (&portion.of, of), (other, grant)))
        };
        let count = u32::try_from(self.opened.len()).unwrap_or(u32::MAX);
        self.opened.contains(&portion.of)
            || (!self.opened.iter().any(is_one) && wallet.portions_opened + count < PORTIONS_PER_COMMAND_MAX)
    }
}

fn usable(grant: &GrantState, asset: &Asset, purpose: Purpose<'_>) -> bool {
    grant.asset == *asset
        && grant.phase == GrantPhase::Active
        && grant.portions.is_none()
        && grant.available.is_positive()
        && grant.applies_to.allows(purpose.code, purpose.attributes)
}

/// Priority (low first), specific before general, expiry (soonest first, none last), promotional before included
/// before paid, effective time, id.
pub(crate) fn burn_order(a: (&GrantId, &GrantState), b: (&GrantId, &GrantState)) -> Ordering {
    let expiry = |g: &GrantState| g.expires.map_or((1, 0), |at| (0, at.as_micros()));
    a.1.priority
        .cmp(&b.1.priority)
        .then(
            a.1.applies_to
                .is_everything()
                .cmp(&b.1.applies_to.is_everything()),
        )
        .then_with(|| expiry(a.1).cmp(&expiry(b.1)))
        .then(a.1.category.cmp(&b.1.category))
        .then(a.1.effective.cmp(&b.1.effective))
        .then_with(|| a.0.cmp(b.0))
}
