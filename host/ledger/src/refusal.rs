//! Why a command is refused: each reason, in words that say what to do.

use farebox_money::{Asset, Nanos};
use farebox_record::ids::{EventType, GrantId, SubscriptionId};
use farebox_record::outcome::HoldEnd;
use farebox_record::plan::Rejection;

/// Why a command is refused without a trace: nothing changed, and its id is not used up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The customer was never created.
    #[error("the customer does not exist; create it with PUT /v1/customers/{{customer}}")]
    UnknownCustomer,
    /// No such hold, now or ever.
    #[error("there is no such hold; authorize first")]
    UnknownHold,
    /// No such spending limit.
    #[error("there is no such limit; create it with PUT /v1/customers/{{customer}}/limits/{{name}}")]
    UnknownLimit,
    /// A hold of this id is open, or expired and within its grace, and what opened it is too long ago to be answered
    /// again.
    #[error("a hold of this id is open already; take another id")]
    HoldExists,
    /// A hold ends once.
    #[error("the hold has ended already: it is {end:?}")]
    HoldEnded {
        /// How it ended.
        end: HoldEnd,
    },
    /// Its price is above the hold, and the caller asked to be told.
    #[error("the usage costs {missing} {asset} more than was held for it; settle with another `above_hold`")]
    AboveHold {
        /// In which asset.
        asset: Asset,
        /// How much more.
        missing: Nanos,
    },
    /// The plan cannot read the event. The caller can correct it and send it again under the same id.
    #[error("the event cannot be priced: {0:?}")]
    InvalidEvent(Rejection),
    /// The plan broke. The caller can send the request again later, under the same id.
    #[error("the plan failed: {message}")]
    PlanFailed {
        /// Stable code of the fault.
        code: String,
        /// For people.
        message: String,
    },
    /// Two plans of one customer cannot both price one type of event.
    #[error("events of type {event_type} belong to subscription {owner}; end it first")]
    EventTypeOwned {
        /// Which type.
        event_type: EventType,
        /// Whose it is.
        owner: SubscriptionId,
    },
    /// No plan answered: there is none of that name, or its code is not at hand.
    #[error("no plan answers for it; activate a revision of the plan")]
    NoPlan,
    /// A plan's grant has the id that a caller chose for its own.
    #[error("the wallet has a grant {0} already; take another id")]
    GrantExists(GrantId),
    /// The subscription's plan refused to start.
    #[error("the plan refused: {0:?}")]
    PlanRefused(Rejection),
    /// A time that makes no sense.
    #[error("{field} {problem}")]
    Time {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An amount that makes no sense.
    #[error("{field} {problem}")]
    Amount {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than a named limit.
    #[error("the wallet would have more than {max} {what} (limit {limit})")]
    Limit {
        /// Of what.
        what: &'static str,
        /// Name of the limit.
        limit: &'static str,
        /// How many it may have.
        max: usize,
    },
    /// What would be kept of it is more than a record may hold. Where it fell due by itself, it waits.
    #[error(
        "what is kept of it would be {bytes} bytes, of at most {max} (limit RECORD_BYTES_MAX); nothing was done. Split it, or \
         have the plan keep less"
    )]
    RecordTooLarge {
        /// How much it would be.
        bytes: usize,
        /// How much it may be.
        max: usize,
    },
    /// More than there is.
    #[error("amount {problem}: at most {most}")]
    TooMuch {
        /// What it is more than.
        problem: &'static str,
        /// How much it may be.
        most: Nanos,
    },
    /// No such grant in the wallet.
    #[error("the wallet has no grant {0}, or none any more")]
    UnknownGrant(GrantId),
    /// Only bought value can be paid back to the customer.
    #[error("grant {0} was not bought, so there is nothing to pay back; take it away with an adjustment")]
    NotRefundable(GrantId),
    /// No record charges an event of this name.
    #[error("there is no such event, or none that was charged")]
    UnknownEvent,
    /// What is held is not charged yet.
    #[error("the call is still held; release the hold, or settle it first")]
    StillHeld,
    /// It was taken back before.
    #[error("the event was voided before; send what should be charged as a new event")]
    EventVoided,
    /// All that it took came back before, or it never took anything.
    #[error("the event holds nothing that could be given back")]
    NothingToGiveBack,
    /// The price of an event depends on those before it, and the correction cannot be carried through all of them.
    #[error("the correction cannot be carried out: {0}")]
    CannotRefold(String),
    /// No such subscription.
    #[error("the customer has no subscription {0}")]
    UnknownSubscription(SubscriptionId),
    /// A subscription ends once.
    #[error("the subscription was cancelled; start a new one under another id")]
    SubscriptionEnded,
    /// It is so already, or cannot be so now.
    #[error("the subscription cannot be changed so: {0}")]
    ChangeNotPossible(&'static str),
    /// Already handled: an instant that is no longer on the wallet's agenda.
    #[error("not on the agenda any more")]
    NotDue,
}

pub(crate) fn too_many(what: &'static str, limit: &'static str, max: usize) -> Refusal {
    Refusal::Limit { what, limit, max }
}
