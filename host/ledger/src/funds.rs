//! What a wallet has for a charge, in the order in which it burns.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::ids::GrantId;
use farebox_record::state::{GrantPhase, GrantState};

use crate::limits::GRANTS_PER_WALLET_MAX;
use crate::portions::Portion;
use crate::wallet::Wallet;

/// What a charge is for: decides which grants it may burn.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    /// Code of the charge.
    pub code: &'a str,
    /// Attributes of the event.
    pub attributes: &'a BTreeMap<String, String>,
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
}

impl<'w> Funds<'w> {
    pub fn of(wallet: &'w Wallet) -> Funds<'w> {
        Funds {
            wallet: Some(wallet),
            drawn: BTreeMap::new(),
        }
    }

    pub fn none() -> Funds<'w> {
        Funds {
            wallet: None,
            drawn: BTreeMap::new(),
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
            .take(GRANTS_PER_WALLET_MAX.saturating_sub(wallet.grants.len()))
            .collect();
        let whole = wallet.grants.iter().map(|(id, grant)| (id, grant, None));
        let portions = unopened.iter().map(|new| (&new.id, &new.state, Some(new)));
        let mut open: Vec<(&GrantId, &GrantState, Option<&Portion>)> = whole
            .chain(portions)
            .filter(|(_, grant, _)| usable(grant, asset, purpose))
            .collect();
        open.sort_by(|a, b| burn_order((a.0, a.1), (b.0, b.1)));
        let mut rest = need.get();
        let mut draws = Vec::new();
        for (id, grant, portion) in open {
            if rest == 0 {
                break;
            }
            let drawn = self.drawn.entry(id.clone()).or_default();
            let take = rest.min(grant.available.get() - drawn.get());
            if take > 0 {
                *drawn = Nanos::new(drawn.get() + take);
                rest -= take;
                draws.push(Drawn {
                    grant: id.clone(),
                    amount: Nanos::new(take),
                    portion: portion.cloned().map(Box::new),
                });
            }
        }
        draws
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
