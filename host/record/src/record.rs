//! The unit of history.

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::command::{Command, Identity};
use crate::ids::{CustomerId, Hash, TenantId};
use crate::outcome::{Answer, Effect, Outcome, Seen};
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

    /// Reads what [`Record::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Record, CodecError> {
        codec::decode(bytes)
    }

    /// Every identity under which this record is found again.
    pub fn identities(&self) -> Vec<Identity> {
        let mut identities: Vec<Identity> = self.command.identity().into_iter().collect();
        // A hold ends once: one that is settled late ended when it expired.
        let late = matches!(&self.outcome.answer, Answer::Settled(settled) if settled.late);
        for effect in &self.outcome.effects {
            if let Effect::HoldEnded(hold, _) = effect
                && !late
            {
                identities.push(Identity::HoldEnd(hold.clone()));
            }
        }
        if let Command::RateUnpriced(rate) = &self.command {
            identities.push(Identity::Rated(rate.event.reference()));
        }
        identities
    }
}

/// Hash of an identity within a customer, under which a store finds its record. The lowest bit of its last byte is 1 for an
/// identity that is kept for the window only ([`Identity::is_for_good`]): stores read it there.
pub fn identity_hash(tenant: &TenantId, customer: &CustomerId, identity: &Identity) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&codec::encode(&(tenant, customer, identity)));
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash[15] = hash[15] & !1 | u8::from(!identity.is_for_good());
    hash
}
