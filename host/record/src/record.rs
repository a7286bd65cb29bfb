//! The unit of history.

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::command::{Command, Identity};
use crate::ids::{CustomerId, Hash, TenantId};
use crate::outcome::{Answer, Effect, Outcome, Seen, Verdict};
use crate::time::Timestamp;

/// One command of one wallet, what it was decided on, and what came of it.
///
/// Its hash covers all of it, the hash of the wallet's previous record included, and nothing that depends on where it is
/// stored: the same history has the same hashes in every store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose organisation.
    pub tenant: TenantId,
    /// Whose wallet.
    pub customer: CustomerId,
    /// 1 for the wallet's first record, then without a gap.
    pub sequence: u64,
    /// Hash of the previous record's bytes; zeros for the first.
    pub previous: Hash,
    /// The store's time.
    pub at: Timestamp,
    /// What was asked.
    pub command: Command,
    /// What it was decided on.
    pub seen: Seen,
    /// What came of it.
    pub outcome: Outcome,
}

impl Record {
    /// The bytes that are kept and hashed.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what [`Record::encode`] made, now or in an earlier release.
    pub fn decode(bytes: &[u8]) -> Result<Record, CodecError> {
        codec::decode(bytes)
    }

    /// When it happened: what fell due happened at its instant, however late it was handled.
    pub fn instant(&self) -> Timestamp {
        match &self.command {
            Command::Due(due) => due.instant.min(self.at),
            _ => self.at,
        }
    }

    /// Every identity under which this record is found again.
    pub fn identities(&self) -> Vec<Identity> {
        let mut identities: Vec<Identity> = self.command.identity().into_iter().collect();
        // A hold ends once: one that is settled late ended when it expired.
        let late = match (&self.command, &self.outcome.answer) {
            (_, Answer::Settled(settled)) => settled.late,
            (Command::Settle(settle), Answer::Unpriced(_)) => {
                let forgotten =
                    |effect: &Effect| matches!(effect, Effect::HoldForgotten(hold) if *hold == settle.hold);
                self.outcome.effects.iter().any(forgotten)
            }
            _ => false,
        };
        for effect in &self.outcome.effects {
            if let Effect::HoldEnded(hold, _) = effect
                && !late
            {
                identities.push(Identity::HoldEnd(hold.clone()));
            }
        }
        if let (true, Command::Settle(settle)) = (late, &self.command) {
            identities.push(Identity::LateSettle(settle.hold.clone()));
        }
        if let Command::Backfill(backfill) = &self.command {
            // While its id is remembered, usage must not come under it either.
            identities.push(Identity::Event(backfill.event.reference()));
        }
        if let Command::RateUnpriced(rate) = &self.command {
            identities.push(Identity::Rated(rate.event.reference()));
        }
        // What waited for a price and was taken back or replaced waits no longer. Its rating may be on its way all the same:
        // it finds this record then, and charges nothing.
        let corrected = match &self.command {
            Command::Void(void) => Some(void.event.clone()),
            Command::Amend(amend) => Some(amend.event.reference()),
            _ => None,
        };
        let rated = |effect: &Effect| matches!(effect, Effect::UnpricedRated(_));
        if let Some(event) = corrected.filter(|_| self.outcome.effects.iter().any(rated)) {
            identities.push(Identity::Rated(event));
        }
        if let Some((sequence, _)) = self.command.retried() {
            identities.push(Identity::Retried(sequence));
        }
        for effect in &self.outcome.effects {
            // A grant that a caller ordered is found by the caller's own id already.
            if let Effect::GrantOpened(grant, _) = effect {
                let identity = Identity::Grant(grant.clone());
                if !identities.contains(&identity) {
                    identities.push(identity);
                }
            }
        }
        identities
    }

    /// Code of the charge that an entry of this record names.
    pub fn charge_code(&self, charge: u16) -> Option<&str> {
        let charges = match self.seen.pricing.as_ref().map(|p| &p.verdict) {
            Some(Verdict::Priced(priced)) => &priced.charges[..],
            _ => &[],
        };
        let index = usize::from(charge);
        match charges.get(index) {
            Some(charge) => Some(&charge.code),
            None => self
                .outcome
                .earlier
                .get(index - charges.len())
                .map(String::as_str),
        }
    }

    /// Whether the event belongs to a period that was over when it was posted.
    pub fn is_late(&self) -> bool {
        self.seen
            .pricing
            .as_ref()
            .is_some_and(|pricing| pricing.term.is_some())
    }
}

/// Hash of an identity within a customer, under which a store finds its record. The lowest bit of its last byte is 1 for an
/// identity that is kept for the window only ([`Identity::is_for_good`]): stores read it there.
pub fn identity_hash(tenant: &TenantId, customer: &CustomerId, identity: &Identity) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&codec::naming(&(tenant, customer, identity)));
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash[15] = hash[15] & !1 | u8::from(!identity.is_for_good());
    hash
}
