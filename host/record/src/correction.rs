//! Money that is put right: adjustments, payments, refunds, and events that are taken back or replaced.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::event::Event;
use crate::ids::{CallId, GrantId, RevisionHash, SubscriptionId};
use crate::lifecycle::TermState;
use crate::outcome::{Line, Pricing};
use crate::plan::{Charge, ChargeCode, EventRef};
use crate::state::{GrantState, SliceSource};
use crate::time::{Period, Timestamp};

/// See [`crate::command::Command::Adjust`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjust {
    /// Made by the caller; kept as long as the tenant.
    pub id: CallId,
    /// In which asset.
    pub asset: Asset,
    /// How much; more than zero.
    pub amount: Nanos,
    /// What is put right.
    pub target: AdjustTarget,
    /// Why, for the people who read the statement.
    pub reason: String,
}

/// What an adjustment puts right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustTarget {
    /// Value is taken away, in the order in which grants burn. Never more than is free.
    Balance,
    /// Debt is written off.
    Debt,
    /// A receivable is written off.
    Receivable,
}

/// See [`crate::command::Command::Pay`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pay {
    /// Made by the caller; kept as long as the tenant.
    pub id: CallId,
    /// In which asset.
    pub asset: Asset,
    /// How much; more than zero, and no more than the receivable.
    pub amount: Nanos,
    /// What a person reads: the number of an invoice.
    pub label: Option<String>,
}

/// See [`crate::command::Command::Refund`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Made by the caller; kept as long as the tenant.
    pub id: CallId,
    /// What is given back.
    pub target: RefundTarget,
    /// Why, for the people who read the statement.
    pub reason: String,
}

/// What a refund gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundTarget {
    /// What an event took, to where it came from.
    Event {
        /// Which event.
        event: EventRef,
        /// How much of which asset; none: all of it.
        amount: Option<(Asset, Nanos)>,
    },
    /// Unused bought value, to the customer: it leaves the wallet.
    Grant {
        /// Which grant.
        grant: GrantId,
        /// How much; none: all that is free.
        amount: Option<Nanos>,
    },
}

/// See [`crate::command::Command::Void`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// Which event.
    pub event: EventRef,
    /// The caller's key for this change.
    pub id: CallId,
    /// Why, for the people who read the statement.
    pub reason: Option<String>,
}

/// See [`crate::command::Command::Amend`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    /// The event as it should have been, under the source and id of the one that it replaces.
    pub event: Event,
    /// The caller's key for this change.
    pub id: CallId,
}

/// An event as it stands: what it took and has not given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its content, amended where it was.
    pub event: Event,
    /// When it happened, as far as pricing goes.
    pub time: Timestamp,
    /// Whether it counts.
    pub status: StandingStatus,
    /// Who priced it; none while nobody has.
    pub priced: Option<PricedBy>,
    /// What its plan said that it costs.
    pub lines: Vec<Line>,
    /// What it took and has not given back, in the order in which it was taken.
    pub slices: Vec<TakenSlice>,
}

/// Who priced an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedBy {
    /// Which code with which parameters.
    pub revision: RevisionHash,
    /// Whose state.
    pub subscription: SubscriptionId,
    /// In which period.
    pub period: Period,
}

/// Whether an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandingStatus {
    /// It does.
    Charged,
    /// It waits for a price, kept under this number.
    Unpriced(u64),
    /// It was taken back.
    Voided,
}

/// Part of a charge, and where it was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenSlice {
    /// Code of the charge.
    pub code: ChargeCode,
    /// In which asset.
    pub asset: Asset,
    /// From where.
    pub from: SliceSource,
    /// How much; more than zero.
    pub amount: Nanos,
    /// When; of a call, when it was opened. None where a record before format 3 says so: then when the event happened.
    #[serde(deserialize_with = "codec::since::<3, _, _>")]
    pub posted: Option<Timestamp>,
}

/// What a correction was decided on: read from the wallet's history beside the lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The event as it stands.
    pub standing: Standing,
    /// Grants that it took from and that the wallet no longer has, as they were opened; where other events are priced
    /// again, those that they took from too.
    pub ended: BTreeMap<GrantId, GrantState>,
    /// What it gave back of other events, and which others gave back of it. Since format 2.
    #[serde(deserialize_with = "codec::since::<2, _, _>")]
    pub give_backs: GiveBacks,
}

/// What a wallet keeps of an event. An id may come again for another event when it was forgotten; what was noted before that
/// event came is not about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted<T> {
    /// What is kept: how it stands, or what was given back.
    pub what: T,
    /// Sequence of the record that noted it; none where that was before format 4.
    #[serde(deserialize_with = "codec::since::<4, _, _>")]
    pub by: Option<u64>,
}

impl<T: Serialize> Noted<T> {
    /// As it is kept, noted by the record of this sequence.
    pub fn encode(what: T, by: u64) -> Vec<u8> {
        codec::encode(&Noted { what, by: Some(by) })
    }
}

/// How an event stands to others by what their plan gave back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBacks {
    /// What it gave back of earlier events and has not taken again, in the order in which it was given.
    pub gave: Vec<GivenBack>,
    /// Events that gave back of it, and whose giving stands.
    pub by: Vec<EventRef>,
}

/// A slice of an earlier event that came back because a plan said so when it priced a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    /// The earlier event.
    pub event: EventRef,
    /// What came back, and from where it had been taken.
    pub slice: TakenSlice,
    /// What of it was the customer's no more: its grant had expired, or it had been written off.
    pub lost: Nanos,
}

/// What a correction means to the plan beyond the event itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consequence {
    /// The plan follows subjects: it was told that the event is taken back before it priced the one that replaces it.
    Reversed(Box<Pricing>),
    /// The plan's prices depend on what came before: the events behind the corrected one were priced again.
    Refolded(Box<Refold>),
}

/// A term's events, priced again in the order in which they arrived, from the corrected one on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refold {
    /// Whose events.
    pub subscription: SubscriptionId,
    /// Number of the term.
    pub term: u32,
    /// The term as it stood, where it is closed; none: it is the open one.
    pub closed: Option<Box<TermState>>,
    /// Sequence of the record whose state the fold began with.
    pub checkpoint: u64,
    /// How many events were priced again.
    pub events: u64,
    /// Those whose price is another one now, in the order in which they arrived.
    pub repriced: Vec<Repriced>,
    /// The plan's state behind all of them.
    pub state: Vec<u8>,
    /// Version of `state`.
    pub state_version: u32,
    /// The revision that last changed it.
    pub revision: RevisionHash,
}

/// An event whose price changed because one before it was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repriced {
    /// As it stood.
    pub standing: Standing,
    /// What refunds gave back of it: it stays given back.
    pub refunded: Vec<TakenSlice>,
    /// What its plan says that it costs behind the correction.
    pub charges: Vec<Charge>,
}
