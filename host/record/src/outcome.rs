//! What came of a command: what was seen, what was answered, what was posted.

use farebox_money::{Asset, Nanos};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::command::AboveHold;
use crate::correction::{Consequence, GiveBacks, Original, Standing};
use crate::ids::{EventType, GrantId, LimitName, RevisionHash, SubscriptionId};
use crate::lifecycle::{SubscriptionStatus, TermState};
use crate::plan::{ChargeCode, EventRef, Priced, Rejection};
use crate::spending::{CrossedThreshold, ExceededLimit, LimitState};
use crate::state::{
    Customer, GrantState, HoldState, HoldUsage, SubjectState, SubjectTimer, SubscriptionState, TimerState,
    UnpricedState, WriteOffs,
};
use crate::time::{Period, Timestamp};

/// What a decision was based on besides the wallet itself: enough to compute it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Version of the tenant's control plane.
    pub control: u64,
    /// When the event happened, as far as pricing goes.
    pub time: Timestamp,
    /// Who priced it, and how; none for commands that no plan prices.
    pub pricing: Option<Pricing>,
    /// The event that is corrected, as it stood; none for commands that correct none.
    pub original: Option<Box<Original>>,
    /// What the correction means to the plan beyond the event itself; none for other commands, and for plans that price each
    /// event by itself. Since format 2.
    #[serde(deserialize_with = "codec::since::<2, _, _>")]
    pub consequence: Option<Box<Consequence>>,
    /// Events that the plan's answer gives back of, and those that a corrected event gave back of, as they stood, each once.
    /// One that is named and not here is not known. Since format 2.
    #[serde(deserialize_with = "codec::since::<2, _, _>")]
    pub named: Vec<Original>,
}

impl Seen {
    /// Nothing but when it happened: what a command sees that no plan prices, and that corrects nothing.
    pub fn nothing(control: u64, time: Timestamp) -> Seen {
        Seen {
            control,
            time,
            pricing: None,
            original: None,
            consequence: None,
            named: Vec::new(),
        }
    }
}

/// Who priced a command, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    /// Which code with which parameters.
    pub revision: RevisionHash,
    /// Whose state.
    pub subscription: SubscriptionId,
    /// In which period.
    pub period: Period,
    /// The closed term whose state it was priced with; none: the open one.
    pub term: Option<Box<TermState>>,
    /// With how many seats.
    pub seats: u32,
    /// What the provider bills for it, where the plan asked.
    pub cost: Option<Nanos>,
    /// The event types that the plan describes; given where a subscription starts, empty elsewhere.
    pub event_types: Vec<EventType>,
    /// The attribute that names the plan's subject, if it follows one.
    pub subject_attribute: Option<String>,
    /// Version of the plan's state.
    pub state_version: u32,
    /// What the plan answered.
    pub verdict: Verdict,
}

/// What a plan answered for one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// A price, and what comes with it.
    Priced(Priced),
    /// It has no price for this.
    Rejected(Rejection),
    /// It broke: a trap, a limit, an answer that breaks the contract.
    Failed {
        /// Stable code of the fault.
        code: String,
        /// For people.
        message: String,
    },
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What the caller is told, now and at every retry.
    pub answer: Answer,
    /// Codes of charges that entries name and that the plan's answer of this record does not hold: what an earlier
    /// settlement of a hold took, what a correction gives back. Their indices go on behind those of the answer.
    pub earlier: Vec<String>,
    /// What changed, in order.
    pub effects: Vec<Effect>,
}

/// One change of a wallet. Folding the effects of all records gives its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The customer was created or changed.
    CustomerPut(Customer),
    /// A grant was opened; its value comes with the entries behind.
    GrantOpened(GrantId, Box<GrantState>),
    /// A grant became good.
    GrantActivated(GrantId),
    /// A grant is no longer good for new charges.
    GrantExpired(GrantId),
    /// A grant is empty and gone.
    GrantEnded(GrantId),
    /// Value moved. The entries of a record sum to zero per asset.
    Entry(Entry),
    /// A hold was opened or changed.
    HoldPut(EventRef, Box<HoldState>),
    /// A hold ended; it is kept until its grace is over if it expired.
    HoldEnded(EventRef, HoldEnd),
    /// An expired hold's grace is over.
    HoldForgotten(EventRef),
    /// A subscription was started or changed.
    SubscriptionPut(SubscriptionId, Box<SubscriptionState>),
    /// A subject's state changed.
    SubjectPut(SubscriptionId, String, SubjectState),
    /// An event is kept until it has a price. Its number is the sequence of the record.
    UnpricedKept(Box<UnpricedState>),
    /// The event kept by that record was priced.
    UnpricedRated(u64),
    /// A grant that was gone is there again, empty: value comes back to it.
    GrantReopened(GrantId, Box<GrantState>),
    /// A term of a subscription is over, or a late event changed it.
    TermPut(SubscriptionId, Box<TermState>),
    /// No event can be as late as this term any more.
    TermForgotten(SubscriptionId, u32),
    /// A subscription that ended is not remembered any more.
    SubscriptionForgotten(SubscriptionId),
    /// An event stands otherwise than its own record says.
    StandingPut(EventRef, Box<Standing>),
    /// A spending limit was made or changed.
    LimitPut(LimitName, Box<LimitState>),
    /// A spending limit is gone.
    LimitDeleted(LimitName),
    /// Something was used that a spending limit counts, or turned out not to have been.
    LimitCounted {
        /// Which limit.
        limit: LimitName,
        /// When it was posted.
        at: Timestamp,
        /// How much; negative where less was used than was counted. Usage never falls below zero.
        amount: Nanos,
    },
    /// What a hold that is settled in part counts for towards a limit; none: what its own attributes say.
    LimitCountedApart {
        /// Which limit.
        limit: LimitName,
        /// Which hold.
        hold: EventRef,
        /// How much.
        amount: Option<Nanos>,
    },
    /// A threshold of a spending limit was reached. Once for each window; in a rolling one, once each time that usage
    /// comes from below.
    ThresholdCrossed(Box<CrossedThreshold>),
    /// What was written off of an asset is this now.
    WriteOffsPut(Asset, Box<WriteOffs>),
    /// The grant was given for this event: it goes with it.
    GrantGiven(GrantId, EventRef),
    /// Another plan serves the subscription since this instant.
    PlanTaken(SubscriptionId, Timestamp),
    /// A held call used this so far.
    HoldUsed(EventRef, Box<HoldUsage>),
    /// A subscription says what happens to a price above a hold, or nothing any more ([`AboveHold::AsSubscribed`]).
    AboveHoldPut(SubscriptionId, AboveHold),
    /// What an event gives back of others, and which others gave back of it, is this now.
    GiveBacksPut(EventRef, Box<GiveBacks>),
    /// A timer of a subject was set, or is gone.
    SubjectTimerPut(Box<SubjectTimer>, Option<Box<TimerState>>),
}

/// A posting to one account. Positive: to the customer's good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which account.
    pub account: Account,
    /// In which asset.
    pub asset: Asset,
    /// How much; never zero.
    pub amount: Nanos,
    /// The charge that it pays or gives back: an index into the charges of the plan's answer and, behind them, into
    /// [`Outcome::earlier`]. [`crate::record::Record::charge_code`] resolves it.
    pub charge: Option<u16>,
}

/// The accounts of one asset of one wallet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// What of a grant is free.
    Available(GrantId),
    /// What of a grant is pinned by holds.
    Held(GrantId),
    /// What the customer owes for usage.
    Debt,
    /// What the customer owes for fees.
    Receivable,
    /// Contra: what was earned.
    Revenue,
    /// Contra: what expired unused.
    Breakage,
    /// Contra: what was bought.
    Purchases,
    /// Contra: what was given away.
    Promotional,
    /// Contra: what subscriptions included.
    Included,
    /// Contra: what was adjusted.
    Adjustments,
}

/// How a hold ended. It ends once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// The usage is known and charged.
    Settled,
    /// Given back.
    Released,
    /// Nobody came in time.
    Expired,
}

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The customer was created (`true`) or changed.
    Customer {
        /// Whether it is new.
        created: bool,
    },
    /// The grant is in the wallet.
    Granted {
        /// What of it paid debt at once.
        paid_debt: Nanos,
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// The subscription runs.
    Subscribed {
        /// Its first period.
        period: Period,
        /// The revision that started it.
        revision: RevisionHash,
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// The worst case is set aside, or the usage debited at once.
    Allowed(Box<Allowed>),
    /// It is not.
    Denied(Box<Denied>),
    /// Usage is priced and debited.
    Charged {
        /// What was charged.
        charges: Vec<Line>,
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// Usage is kept until it has a price.
    Unpriced(UnpricedReason),
    /// A hold was settled, wholly or in part.
    Settled(Box<Settled>),
    /// A hold has more time or room.
    Extended {
        /// What it holds now.
        held: Vec<(Asset, Nanos)>,
        /// Until when.
        expires: Timestamp,
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// A hold was given back, or its time was over.
    HoldEnded {
        /// How.
        end: HoldEnd,
        /// What went back to the wallet.
        returned: Vec<(Asset, Nanos)>,
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// Something that fell due was handled.
    Handled,
    /// The spending limit is in force.
    LimitPut {
        /// Whether it is new.
        created: bool,
        /// As it is now.
        limit: Box<LimitState>,
    },
    /// The spending limit is gone.
    LimitDeleted(Box<LimitState>),
    /// A subscription was changed, or will be.
    SubscriptionChanged(Box<SubscriptionChanged>),
    /// A balance was put right.
    Adjusted {
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// A receivable was paid.
    Paid {
        /// Afterwards.
        balances: Vec<AssetBalance>,
    },
    /// Money was given back, an event taken back or replaced.
    Corrected(Box<Corrected>),
    /// An event was taken back or replaced, and others were priced again behind it.
    Refolded(Box<Refolded>),
}

/// A correction that reached further than its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refolded {
    /// What became of the event itself.
    pub corrected: Corrected,
    /// How many events were priced again, those that cost the same included.
    pub events: u64,
    /// Those whose price is another one now, in the order in which they arrived.
    pub repriced: Vec<RepricedEvent>,
}

/// What changed about an event behind a corrected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepricedEvent {
    /// Which event.
    pub event: EventRef,
    /// What came back of it.
    pub reversed: Vec<(Asset, Nanos)>,
    /// What was charged in addition.
    pub charged: Vec<(Asset, Nanos)>,
    /// What its plan says now that it costs.
    pub charges: Vec<Line>,
}

/// A subscription after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionChanged {
    /// When the change is in force.
    pub effective: Timestamp,
    /// Whether it runs.
    pub status: SubscriptionStatus,
    /// Seats, as they are now.
    pub seats: u32,
    /// Its present period.
    pub period: Period,
    /// What the plan charged for the change.
    pub charges: Vec<Line>,
    /// Afterwards.
    pub balances: Vec<AssetBalance>,
}

/// What a correction gave back, and what it charged instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// What came back, in all.
    pub reversed: Vec<(Asset, Nanos)>,
    /// What of it paid debt or a receivable.
    pub paid: Vec<(Asset, Nanos)>,
    /// What of it had expired meanwhile; of an event that was replaced, without what pays for the one that takes its place.
    pub expired: Vec<(Asset, Nanos)>,
    /// What is charged instead, for an event that was replaced.
    pub charges: Vec<Line>,
    /// Afterwards.
    pub balances: Vec<AssetBalance>,
}

/// A worst case that is set aside, or usage debited at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// What is held per asset; empty where the usage was debited at once.
    pub held: Vec<(Asset, Nanos)>,
    /// Until when; none where the usage was debited at once.
    pub expires: Option<Timestamp>,
    /// What the plan said.
    pub quote: Vec<Line>,
    /// Which revision.
    pub revision: RevisionHash,
    /// Afterwards.
    pub balances: Vec<AssetBalance>,
}

/// Why nothing was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Which rule said no.
    pub reason: DenialReason,
    /// In which asset, where it is about value.
    pub asset: Option<Asset>,
    /// How much would be needed of it.
    pub required: Nanos,
    /// How much is there for it.
    pub available: Nanos,
}

/// Which rule said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenialReason {
    /// The wallet has not enough.
    InsufficientFunds,
    /// The customer owes more than its shortfall policy allows.
    Debt,
    /// No subscription of the customer prices this type of event.
    NoSubscription,
    /// The plan cannot price it.
    Unpriceable(Rejection),
    /// The subscription is paused.
    Paused,
    /// The customer, or a part of it, would spend more than a limit allows.
    Limit(Box<ExceededLimit>),
}

/// A hold that was settled, wholly or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// What the event costs so far, as a whole.
    pub charges: Vec<Line>,
    /// What this settlement took.
    pub posted: Vec<(Asset, Nanos)>,
    /// What went back to the wallet.
    pub returned: Vec<(Asset, Nanos)>,
    /// What stays held.
    pub held: Vec<(Asset, Nanos)>,
    /// What became debt.
    pub debt: Vec<(Asset, Nanos)>,
    /// What was let go, where the caller asked for that.
    pub waived: Vec<(Asset, Nanos)>,
    /// Whether the hold is over.
    pub ended: bool,
    /// Whether it came after the hold's expiry, within its grace.
    pub late: bool,
    /// Which revision.
    pub revision: RevisionHash,
    /// Afterwards.
    pub balances: Vec<AssetBalance>,
}

/// A charge, as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which charge.
    pub code: ChargeCode,
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Nanos,
    /// In the unit of its code.
    pub quantity: Nanos,
}

/// A wallet's value in one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetBalance {
    /// Which asset.
    pub asset: Asset,
    /// What is free.
    pub available: Nanos,
    /// What holds have set aside.
    pub held: Nanos,
    /// What the customer owes for usage (zero or positive).
    pub debt: Nanos,
    /// What the customer owes for fees (zero or positive).
    pub receivable: Nanos,
}

/// Why a usage event has no price yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnpricedReason {
    /// No subscription of the customer prices its type.
    NoSubscription,
    /// The plan refused it.
    Rejected(Rejection),
    /// The plan broke while pricing it.
    PlanFailed {
        /// Stable code of the fault.
        code: String,
        /// For people.
        message: String,
    },
    /// The subscription's plan has no revision in force, or its code is not at hand.
    NoPlan,
}
