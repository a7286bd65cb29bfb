//! What a plan says, as plain data. The runtime lifts it out of a component; the ledger carries it out.

use std::collections::BTreeMap;
use std::fmt;

use farebox_money::{Asset, Nanos};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::codec;
use crate::event::Attributes;
use crate::ids::{EventId, EventType, Source};
use crate::portion::Each;
use crate::time::Timestamp;

/// What a plan is and what it reads; see `description` in `wit/plan.wit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The plan's own name.
    pub name: String,
    /// The plan's own version, for people.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Assets that it charges in or grants.
    pub assets: Vec<AssetDescription>,
    /// Types of events that it rates.
    pub event_types: Vec<EventType>,
    /// Measures that it reads, in the order in which they are sent.
    pub measures: Vec<String>,
    /// Attributes that it reads, in the order in which they are sent.
    pub attributes: Vec<String>,
    /// Charges that it makes.
    pub charges: Vec<ChargeDescription>,
    /// JSON Schema of its parameters, as text.
    pub parameters_schema: String,
    /// The attribute that names the subject.
    pub subject_attribute: Option<String>,
    /// Version of its state.
    pub state_version: u32,
    /// How a price depends on what came before.
    pub order: Order,
    /// Whether triggers carry the provider's cost.
    pub wants_cost: bool,
    /// Whether contexts carry balances.
    pub wants_balances: bool,
}

/// An asset as a plan describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetDescription {
    /// Its name.
    pub asset: Asset,
    /// What people call it.
    pub label: String,
}

/// A charge as a plan describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeDescription {
    /// Stable, in every statement and export.
    pub code: String,
    /// What a person reads.
    pub label: String,
    /// What the quantity counts.
    pub unit: String,
}

/// How the price of an event depends on the events before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// On nothing but the event.
    Independent,
    /// On running totals.
    Cumulative,
    /// On the exact sequence.
    Sequential,
}

/// What a plan answers for one trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// What is owed.
    pub charges: Vec<Charge>,
    /// What is given.
    pub grants: Vec<GrantOrder>,
    /// When to be woken.
    pub timers: Vec<TimerOrder>,
    /// The subscription's state afterwards; none when it did not change.
    pub state: Option<Vec<u8>>,
    /// The subject's state afterwards; none when it did not change.
    pub subject: Option<SubjectChange>,
}

/// The code of a charge: `input-tokens`. Copying a usual one (at most 23 bytes) allocates nothing: each charge of each event
/// names its code several times.
pub type ChargeCode = SmolStr;

/// What a plan says is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// One of the described codes.
    pub code: ChargeCode,
    /// What it costs in the first asset; negative for a give-back.
    pub price: Price,
    /// In the unit of its code.
    pub quantity: Nanos,
    /// What the **whole** charge would cost in other assets, for the part that the ones before cannot cover.
    pub otherwise: Vec<Price>,
    /// For a negative charge: the earlier event that it takes back from.
    pub gives_back: Option<EventRef>,
}

/// An amount of an asset, and how it is collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Nanos,
    /// From where.
    pub collect: Collect,
}

/// How a charge is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collect {
    /// From the wallet: it burns grants.
    Balance,
    /// On the statement, as a receivable.
    Invoice,
}

/// Identifies an event of one customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventRef {
    /// Where it came from.
    pub source: Source,
    /// Its id there.
    pub id: EventId,
}

/// A grant that a plan orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantOrder {
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Nanos,
    /// What kind of value it is.
    pub category: Category,
    /// Low burns first.
    pub priority: i32,
    /// From when; none: at once.
    pub effective: Option<Timestamp>,
    /// Until when; none: for good.
    pub expires: Option<Timestamp>,
    /// What it may pay for.
    pub applies_to: AppliesTo,
    /// What a person reads.
    pub label: String,
    /// Whether it is taken in portions. Since format 6.
    #[serde(deserialize_with = "codec::since::<6, _, _>")]
    pub each: Option<Each>,
}

/// Where granted value comes from. Paid and promotional value never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Given away. Burns first.
    Promotional,
    /// Part of a subscription.
    Included,
    /// Bought.
    Paid,
}

/// What a grant may pay for: all of its conditions must hold. Empty: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliesTo {
    /// Codes of charges; empty: any.
    pub codes: Vec<String>,
    /// Attributes of the event and the value that each must have.
    pub attributes: BTreeMap<String, String>,
}

impl AppliesTo {
    /// Whether there is no condition.
    pub fn is_everything(&self) -> bool {
        self.codes.is_empty() && self.attributes.is_empty()
    }

    /// Whether a charge of `code` for an event with `attributes` may burn the grant.
    pub fn allows(&self, code: &str, attributes: &Attributes) -> bool {
        (self.codes.is_empty() || self.codes.iter().any(|c| c == code))
            && self
                .attributes
                .iter()
                .all(|(name, value)| attributes.get(name).is_some_and(|own| own == value))
    }
}

/// A timer that a plan sets, replaces or takes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerOrder {
    /// The plan's own name for it.
    pub key: String,
    /// When; none takes it away.
    pub at: Option<Timestamp>,
}

/// What becomes of a subject's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectChange {
    /// Afterwards; empty forgets the subject.
    pub state: Vec<u8>,
    /// When it may be forgotten.
    pub expires: Timestamp,
}

/// What is left of a grant of a subscription, as its plan is told. Grants in assets that the plan does not describe are not
/// shown to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemainingGrant {
    /// In which asset.
    pub asset: Asset,
    /// What kind of value it is.
    pub category: Category,
    /// What a person reads.
    pub label: String,
    /// How much was granted.
    pub granted: Nanos,
    /// How much is left, without what open holds keep.
    pub remaining: Nanos,
    /// Until when it is good; none: for good.
    pub expires: Option<Timestamp>,
}

/// Why a plan has no price for a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// A measure or an attribute is missing or makes no sense.
    InvalidEvent {
        /// The measure or attribute.
        field: String,
        /// What is wrong with it.
        problem: FieldProblem,
        /// What would have been right.
        message: String,
    },
    /// Nothing in the parameters prices it.
    Unpriceable {
        /// Why, for people.
        message: String,
    },
    /// The amounts leave the range of the contract.
    Overflow,
    /// The subscription's state does not allow it.
    NotAllowed {
        /// Why, for people.
        message: String,
    },
}

/// In words, for the person who sent the event.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::InvalidEvent { field, message, .. } => write!(f, "{field}: {message}"),
            Rejection::Unpriceable { message } | Rejection::NotAllowed { message } => f.write_str(message),
            Rejection::Overflow => f.write_str("the amounts leave the range of the plan contract"),
        }
    }
}

/// What is wrong with a measure or an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldProblem {
    /// It is needed, and the event does not carry it.
    Missing,
    /// The plan has no meaning for the value.
    Unknown,
    /// It is outside the range that makes sense.
    OutOfRange,
}

/// A step of how an amount came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Index into the charges of the outcome; none: about the event.
    pub charge: Option<u32>,
    /// What was done: "rate".
    pub what: String,
    /// With which value.
    pub value: String,
    /// For which reason.
    pub why: String,
}
