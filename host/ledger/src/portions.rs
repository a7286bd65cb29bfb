//! Grants that are taken in portions: one for each value of an attribute, opened when an event first burns it.
//!
//! A portion is a grant of its own, to which its value moves; from then on it burns, is held, comes back and expires like any
//! other, and applies to events of its value only. The grant itself pays for nothing. So no value takes more than its portion,
//! whatever happens to what was taken, and whoever comes when all is given out finds nothing.
//!
//! What a plan gives for some seats and later for more are several grants: of those of a subscription that have the same label
//! and asset and end at the same time, a value has one portion. So they stay in the wallet until then, empty or not.

use farebox_money::Nanos;
use farebox_record::event::Attributes;
use farebox_record::ids::GrantId;
use farebox_record::outcome::{Account, Effect};
use farebox_record::portion::PortionKey;
use farebox_record::state::{GrantPhase, GrantState};

use crate::draft::Draft;
use crate::limits::{GRANTS_BEFORE_PORTIONS_MAX, PORTIONS_PER_GRANT_MAX};
use crate::wallet::Wallet;

/// A portion that nobody has opened yet.
#[derive(Debug, Clone)]
pub(crate) struct Portion {
    /// Of which grant.
    pub of: GrantId,
    /// Its own id.
    pub id: GrantId,
    /// As it will be, with all of its value free.
    pub state: GrantState,
}

impl Portion {
    /// The portion of a grant that an event with these attributes would open, if it is usable: it is in the same phase, and has
    /// what is left of it.
    pub fn unopened(
        wallet: &Wallet,
        of: &GrantId,
        grant: &GrantState,
        attributes: &Attributes,
    ) -> Option<Portion> {
        let portions = grant.portions.as_ref()?;
        if portions.opened.len() >= PORTIONS_PER_GRANT_MAX
            || wallet.grants.len() >= GRANTS_BEFORE_PORTIONS_MAX
        {
            return None;
        }
        let attribute = &portions.each.attribute;
        let value = attributes.get(attribute)?;
        let wanted = grant.applies_to.attributes.get(attribute);
        if wanted.is_some_and(|wanted| wanted != value) {
            return None; // It is for another value alone.
        }
        let key = PortionKey::new(of, value);
        let id = key.id();
        let had = |(id, other): (&GrantId, &GrantState)| {
            let opened = other.portions.as_ref().map(|portions| &portions.opened);
            opened.is_some_and(|opened| opened.contains(&PortionKey::new(id, value)))
        };
        if wallet.grants.contains_key(&id)
            || had((of, grant))
            || (wallet.grants())
                .filter(|other| are_one(wallet, (of, grant), *other))
                .any(had)
        {
            return None;
        }
        let amount = Nanos::new(portions.each.amount.get().min(grant.available.get()));
        let mut applies_to = grant.applies_to.clone();
        applies_to.attributes.insert(attribute.clone(), value.to_string());
        let state = GrantState {
            asset: grant.asset.clone(),
            amount,
            available: amount,
            held: Nanos::ZERO,
            category: grant.category,
            priority: grant.priority,
            effective: grant.effective,
            expires: grant.expires,
            applies_to,
            label: grant.label.clone(),
            subscription: grant.subscription.clone(),
            phase: grant.phase,
            portions: None,
            portion_of: Some(of.clone()),
        };
        let of = of.clone();
        Some(Portion { of, id, state })
    }
}

/// Whether a value that has a portion of one has none of the other. What was given for an event stands alone: it goes with it.
pub(crate) fn are_one(
    wallet: &Wallet,
    (a_id, a): (&GrantId, &GrantState),
    (b_id, b): (&GrantId, &GrantState),
) -> bool {
    if [a_id, b_id].iter().any(|id| wallet.given.contains_key(*id)) {
        return false;
    }
    let named = |grant: &GrantState| (grant.subscription.is_some(), grant.expires.is_some());
    named(a) == (true, true)
        && (&a.subscription, &a.asset, &a.label, a.expires)
            == (&b.subscription, &b.asset, &b.label, b.expires)
        && a.portions.as_ref().map(|a| &a.each.attribute) == b.portions.as_ref().map(|b| &b.each.attribute)
}

/// Whether a grant says who has had a portion, also when nothing is left of it.
pub(crate) fn is_remembered(wallet: &Wallet, id: &GrantId, grant: &GrantState) -> bool {
    !wallet.given.contains_key(id)
        && grant.portions.is_some()
        && grant.subscription.is_some()
        && grant.expires.is_some()
        && grant.phase != GrantPhase::Expired
}

impl Draft<'_> {
    /// Opens a portion, unless this command has done so already.
    pub fn open_portion(&mut self, portion: &Portion) {
        let Portion { of, id, state } = portion;
        if self.wallet.grants.contains_key(id) {
            return;
        }
        let opened = GrantState {
            available: Nanos::ZERO,
            ..state.clone()
        };
        self.put(Effect::GrantOpened(id.clone(), Box::new(opened)));
        let taken = Nanos::new(-state.amount.get());
        self.post(Account::Available(of.clone()), &state.asset, taken, None);
        self.post(Account::Available(id.clone()), &state.asset, state.amount, None);
        // What was given for an event goes with it.
        if let Some(event) = self.wallet.given.get(of).cloned() {
            self.put(Effect::GrantGiven(id.clone(), event));
        }
    }
}
