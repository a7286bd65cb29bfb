//! Folds of open holds that a wallet keeps from one quote to the next, so that n calls at once cost n prices and not n².
//!
//! A stale fold would hold too little. So a fold is of **one** wallet: the one whose newest record has a hash that the fold
//! names. It goes on to the next record only if that record names the same hash as its previous one and each of its effects
//! either has nothing to do with the fold, or opens a hold behind all that it knows, which is then folded with the next
//! quote. With anything else (the subscription, its term or a subject of it changed; a hold ended, was raised, or opened
//! before another one) the fold is gone, and so it is after a record that nobody showed it or that turned out to be lost:
//! the hash tells. What a quote brings with it (revision, period, seats, balances) is compared when it is used.

use std::collections::BTreeMap;

use farebox_ledger::Wallet;
use farebox_record::ids::{Hash, SubscriptionId};
use farebox_record::outcome::Effect;
use farebox_record::record::Record;

use crate::lane::folded::{Fold, Place, WorstCase};

/// One for each subscription whose plan has a memory.
#[derive(Default)]
pub(crate) struct Folds(BTreeMap<SubscriptionId, Fold>);

impl Folds {
    /// The fold behind the open holds of a wallet: the kept one where it is that, or a new one. It is taken out.
    pub fn take(&mut self, worst: &WorstCase<'_>, wallet: &Wallet) -> Fold {
        let basis = worst.basis(wallet);
        let fits = |fold: &Fold| fold.fits(worst, &basis, wallet);
        if self.0.get(worst.subscription).is_some_and(fits)
            && let Some(kept) = self.0.remove(worst.subscription)
        {
            return kept;
        }
        Fold::new(worst, basis, wallet)
    }

    /// Keeps a fold for the next quote. One that leaves a hold out, because that is to be raised, serves no other.
    pub fn keep(&mut self, fold: Fold) {
        if fold.basis.without.is_none() {
            self.0.insert(fold.basis.subscription.clone(), fold);
        }
    }

    /// The wallet has one more record, and `newest` is its hash.
    pub fn follow(&mut self, record: &Record, newest: Hash) {
        self.0.retain(|_, fold| fold.follow(record, newest));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Fold {
    /// Goes on to the wallet's next record. False: it is not what the open holds leave behind any more.
    fn follow(&mut self, record: &Record, newest: Hash) -> bool {
        let is_next = record.previous == self.wallet;
        self.wallet = newest;
        is_next && record.outcome.effects.iter().all(|effect| self.outlives(effect))
    }

    fn outlives(&mut self, effect: &Effect) -> bool {
        let id = &self.basis.subscription;
        match effect {
            Effect::HoldPut(event, hold) if hold.subscription == *id => {
                let place = (hold.opened, event.clone());
                let is_new = self.end().is_none_or(|end| place > *end) && self.basis.takes_in(hold);
                if is_new {
                    self.rest.push_back(place);
                }
                is_new
            }
            // Whose hold it was is not said here.
            Effect::HoldEnded(..) | Effect::HoldUsed(..) => false,
            Effect::SubscriptionPut(changed, _)
            | Effect::SubscriptionForgotten(changed)
            | Effect::PlanTaken(changed, _)
            | Effect::SubjectPut(changed, ..) => changed != id,
            // Closed terms are not folded, and a hold that expired is none of the open ones.
            Effect::HoldPut(..)
            | Effect::HoldForgotten(_)
            | Effect::TermPut(..)
            | Effect::TermForgotten(..)
            // What is free is compared where the plan wants to know it.
            | Effect::GrantOpened(..)
            | Effect::GrantReopened(..)
            | Effect::GrantActivated(_)
            | Effect::GrantExpired(_)
            | Effect::GrantEnded(_)
            | Effect::GrantGiven(..)
            | Effect::Entry(_)
            // No plan sees these.
            | Effect::CustomerPut(_)
            | Effect::UnpricedKept(_)
            | Effect::UnpricedRated(_)
            | Effect::SubjectTimerPut(..)
            | Effect::StandingPut(..)
            | Effect::GiveBacksPut(..)
            | Effect::WriteOffsPut(..)
            | Effect::AboveHoldPut(..)
            | Effect::LimitPut(..)
            | Effect::LimitDeleted(_)
            | Effect::LimitCounted { .. }
            | Effect::LimitCountedApart { .. }
            | Effect::ThresholdCrossed(_) => true,
        }
    }

    /// The last open hold that it knows.
    fn end(&self) -> Option<&Place> {
        self.rest.back().or(self.last.as_ref())
    }
}
