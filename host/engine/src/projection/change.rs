//! What the change feed says: one item for everything that happened to a tenant's wallets and plans that somebody may want
//! to act on.

use farebox_money::{Asset, Nanos};
use farebox_record::ids::{CustomerId, EventType, GrantId, PlanName, RevisionHash, SubscriptionId};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{DenialReason, Line, RepricedEvent, UnpricedReason};
use farebox_record::plan::{Category, EventRef};
use farebox_record::spending::CrossedThreshold;
use farebox_record::time::{Period, Timestamp};
use farebox_store::Position;
use serde::{Deserialize, Serialize};

/// One item of the feed. Postcard keeps it: fields are only ever added behind, kinds at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose wallet; none for what happened to the tenant's plans.
    pub customer: Option<CustomerId>,
    /// Sequence of its record within the wallet, or within the control plane.
    pub sequence: u64,
    /// The store's time.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// An authorize, or the raise of a hold, was told no.
    Denied {
        /// Which call.
        event: EventRef,
        /// Its type; none for the raise of a hold, whose event has said it.
        event_type: Option<EventType>,
        /// Which rule said no.
        reason: DenialReason,
        /// In which asset, where it is about value.
        asset: Option<Asset>,
        /// How much would have been needed of it.
        required: Nanos,
        /// How much was there for it.
        available: Nanos,
    },
    /// A customer was put on a plan.
    SubscriptionStarted(Subscribed),
    /// A period of a subscription ended, and the next began. One that ends or pauses with it is [`What::SubscriptionChanged`].
    SubscriptionRenewed(Subscribed),
    /// A grant is in the wallet.
    GrantReceived {
        /// Which.
        grant: GrantId,
        /// In which asset.
        asset: Asset,
        /// How much.
        amount: Nanos,
        /// What kind of value.
        category: Category,
        /// From when it is good.
        effective: Timestamp,
        /// Until when; none: for good.
        expires: Option<Timestamp>,
        /// The subscription that gave it, if one did.
        subscription: Option<SubscriptionId>,
    },
    /// A grant is no longer good, and what was free of it went to breakage.
    GrantExpired {
        /// Which.
        grant: GrantId,
        /// In which asset; none where nothing was free of it.
        asset: Option<Asset>,
        /// How much went to breakage.
        breakage: Nanos,
    },
    /// What a hold had kept of an expired grant came back, and went to breakage.
    BreakagePosted {
        /// Which grant.
        grant: GrantId,
        /// In which asset.
        asset: Asset,
        /// How much.
        amount: Nanos,
    },
    /// Nobody settled or released a hold in time.
    HoldExpired {
        /// Which.
        event: EventRef,
        /// What went back to the wallet.
        returned: Vec<(Asset, Nanos)>,
    },
    /// The customer owes more than before.
    DebtIncurred {
        /// In which asset.
        asset: Asset,
        /// How much more.
        amount: Nanos,
    },
    /// Debt was paid.
    DebtPaid {
        /// In which asset.
        asset: Asset,
        /// How much of it.
        amount: Nanos,
    },
    /// Debt turned out not to be owed: its call cost less, its event was corrected, or it was written off.
    DebtCancelled {
        /// In which asset.
        asset: Asset,
        /// How much of it.
        amount: Nanos,
    },
    /// Usage is kept until it has a price.
    UsageUnpriced {
        /// Which event.
        event: EventRef,
        /// Its type.
        event_type: EventType,
        /// Why.
        reason: UnpricedReason,
    },
    /// Usage that was kept has a price now.
    UsageRated {
        /// Which event.
        event: EventRef,
        /// Its type.
        event_type: EventType,
        /// What was charged for it.
        charges: Vec<Line>,
    },
    /// A revision was put on a plan's timeline.
    RevisionActivated(Revised),
    /// The revision before the present one was put back.
    RevisionRolledBack(Revised),
    /// A revision broke too often or leaked, and prices nothing any more where another one can.
    RevisionQuarantined {
        /// Of which plan.
        plan: PlanName,
        /// Which.
        revision: RevisionHash,
        /// Why.
        reason: String,
    },
    /// A threshold of a spending limit was reached.
    ThresholdCrossed(CrossedThreshold),
    /// Seats, plan or status of a subscription changed, or will at the end of the period.
    SubscriptionChanged(Changed),
    /// A renewal or a timer that its plan had no answer to waits, with its fees and grants.
    TransitionUnanswered {
        /// Of which subscription.
        subscription: SubscriptionId,
        /// When it fell due.
        due: Timestamp,
        /// Why.
        reason: UnpricedReason,
    },
    /// Money went back: an event was refunded, voided or amended, or bought value was paid back.
    Corrected {
        /// Which event; none for bought value.
        event: Option<EventRef>,
        /// What came back.
        reversed: Vec<(Asset, Nanos)>,
        /// What was charged instead.
        charges: Vec<Line>,
    },
    /// An event costs something else because one before it was corrected.
    Repriced {
        /// The event that was corrected.
        behind: EventRef,
        /// The event that costs something else, and how.
        repriced: RepricedEvent,
    },
    /// A renewal or a timer that its plan had no answer to waits no longer.
    TransitionAnswered {
        /// Of which subscription.
        subscription: SubscriptionId,
        /// When it fell due.
        due: Timestamp,
        /// What was charged; nothing where nothing of it applied any more.
        charges: Vec<Line>,
    },
}

/// A subscription after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Where it stands.
    pub now: Subscribed,
    /// Whether it runs.
    pub status: SubscriptionStatus,
    /// When the change is in force.
    pub effective: Timestamp,
}

/// Where a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Which.
    pub subscription: SubscriptionId,
    /// To which plan.
    pub plan: PlanName,
    /// Its present period.
    pub period: Period,
    /// Its seats.
    pub seats: u32,
}

/// Where a timeline stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revised {
    /// Which plan.
    pub plan: PlanName,
    /// What was put on its timeline.
    pub revision: RevisionHash,
    /// From which event time on.
    pub effective: Timestamp,
}

macro_rules! kinds {
    ($($kind:ident $text:literal $pattern:pat => $doc:literal;)*) => {
        /// The kinds of changes, as programs name them. Stable: a new version only adds to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $doc] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// As programs name it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Kind::$kind => $text,)* }
            }
        }

        impl What {
            /// Which kind it is.
            pub fn kind(&self) -> Kind {
                match self { $($pattern => Kind::$kind,)* }
            }
        }
    };
}

kinds! {
    Denied "denied" What::Denied { .. } => "An authorize, or the raise of a hold, was told no.";
    SubscriptionStarted "subscription_started" What::SubscriptionStarted(_) => "A customer was put on a plan.";
    SubscriptionRenewed "subscription_renewed" What::SubscriptionRenewed(_) => "A period ended, and the next began.";
    GrantReceived "grant_received" What::GrantReceived { .. } => "A grant is in the wallet.";
    GrantExpired "grant_expired" What::GrantExpired { .. } => "A grant is no longer good.";
    BreakagePosted "breakage_posted" What::BreakagePosted { .. } => "What a hold had kept of an expired grant expired.";
    HoldExpired "hold_expired" What::HoldExpired { .. } => "Nobody settled or released a hold in time.";
    DebtIncurred "debt_incurred" What::DebtIncurred { .. } => "The customer owes more than before.";
    DebtPaid "debt_paid" What::DebtPaid { .. } => "Debt was paid.";
    DebtCancelled "debt_cancelled" What::DebtCancelled { .. } => "Debt turned out not to be owed.";
    UsageUnpriced "usage_unpriced" What::UsageUnpriced { .. } => "Usage is kept until it has a price.";
    UsageRated "usage_rated" What::UsageRated { .. } => "Usage that was kept has a price now.";
    RevisionActivated "revision_activated" What::RevisionActivated(_) => "A revision was put on a plan's timeline.";
    RevisionRolledBack "revision_rolled_back" What::RevisionRolledBack(_) => "The revision before was put back.";
    RevisionQuarantined "revision_quarantined" What::RevisionQuarantined { .. } => "A revision broke too often or leaked.";
    ThresholdCrossed "threshold_crossed" What::ThresholdCrossed(_) => "A threshold of a spending limit was reached.";
    SubscriptionChanged "subscription_changed" What::SubscriptionChanged(_) => "Seats, plan or status changed.";
    TransitionUnanswered "transition_unanswered" What::TransitionUnanswered { .. } => "A renewal or a timer waits for its plan.";
    Corrected "corrected" What::Corrected { .. } => "Money went back.";
    TransitionAnswered "transition_answered" What::TransitionAnswered { .. } => "A plan answered a renewal or a timer late.";
    Repriced "repriced" What::Repriced { .. } => "An event costs something else behind a corrected one.";
}

/// A place in a tenant's feed: behind one item, or behind everything of a place in the store's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedCursor {
    /// Where its record is.
    pub position: Position,
    /// Which item of that record.
    pub index: u16,
}

impl FeedCursor {
    /// Behind everything of the record at `position`, and of all before.
    pub fn behind(position: Position) -> FeedCursor {
        FeedCursor {
            position,
            index: u16::MAX,
        }
    }
}
