//! Records of format 1, which says nothing of what a correction means to a plan, or of what a plan gave back of earlier
//! events: both were refused then.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::command::Command;
use crate::correction::{self, GiveBacks, Standing};
use crate::ids::{CustomerId, GrantId, Hash, TenantId};
use crate::outcome::{self, Outcome, Pricing};
use crate::state::GrantState;
use crate::time::Timestamp;

/// The byte that such a record begins with.
pub(super) const FORMAT: u8 = 1;

#[derive(Deserialize)]
pub(super) struct Record {
    tenant: TenantId,
    customer: CustomerId,
    sequence: u64,
    previous: Hash,
    at: Timestamp,
    command: Command,
    seen: Seen,
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Seen {
    control: u64,
    time: Timestamp,
    pricing: Option<Pricing>,
    original: Option<Box<Original>>,
}

#[derive(Deserialize)]
struct Original {
    standing: Standing,
    ended: BTreeMap<GrantId, GrantState>,
}

impl From<Original> for correction::Original {
    fn from(old: Original) -> correction::Original {
        correction::Original {
            standing: old.standing,
            ended: old.ended,
            give_backs: GiveBacks::default(),
        }
    }
}

impl From<Record> for super::Record {
    fn from(old: Record) -> super::Record {
        super::Record {
            tenant: old.tenant,
            customer: old.customer,
            sequence: old.sequence,
            previous: old.previous,
            at: old.at,
            command: old.command,
            seen: outcome::Seen {
                control: old.seen.control,
                time: old.seen.time,
                pricing: old.seen.pricing,
                original: old.seen.original.map(|original| Box::new((*original).into())),
                consequence: None,
                named: Vec::new(),
            },
            outcome: old.outcome,
        }
    }
}
