//! The lines of a statement.

use farebox_money::Nanos;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::plan::{Category, EventRef};
use farebox_record::time::{Period, Timestamp};

use crate::moved::Moved;

/// A line of a statement, in one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub kind: LineKind,
    /// The plan's code, where it is about a charge.
    pub code: Option<String>,
    /// What a person reads: a grant's label, the reason of a correction, what a payment says.
    pub label: Option<String>,
    /// The grant that was opened or expired.
    pub grant: Option<GrantId>,
    /// What kind of value that grant is; none where nobody knows any more.
    pub category: Option<Category>,
    /// Why that grant was opened.
    pub cause: Option<Cause>,
    /// Whose charge, or whose grant.
    pub subscription: Option<SubscriptionId>,
    /// The period that it belongs to, where a plan charged it.
    pub period: Option<Period>,
    /// The event that is corrected.
    pub event: Option<EventRef>,
    /// When; none where a line sums up what happened at many times.
    pub at: Option<Timestamp>,
    /// In the unit of the code. A call that is settled in parts counts when it is settled for good.
    pub quantity: Option<Nanos>,
    /// What moved in the customer's accounts.
    pub moved: Moved,
}

/// What a line is about, in the order in which a statement shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// Value came in; a line for each grant.
    Grant,
    /// Events, summed up per subscription, period and code.
    Usage,
    /// Events of a period that was over when they were posted, summed up likewise.
    Late,
    /// What a plan charges by itself or puts on the statement, summed up likewise.
    Fee,
    /// An event was taken back.
    Void,
    /// An event was replaced: one line for what came back, one for what is charged instead.
    Amendment,
    /// Events behind a corrected one cost something else: summed up for each correction.
    Repriced,
    /// Money was given back: for an event, or unused bought value.
    Refund,
    /// A receivable was paid.
    Payment,
    /// A balance was put right.
    Adjustment,
    /// Bought value paid debt. It moves value and changes no total.
    DebtPaid,
    /// Value of a grant expired unused.
    Expiry,
    /// What holds set aside, less what they gave back. It moves value and changes no total; what calls took of their
    /// holds is usage.
    Holds,
}

/// Why a grant was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A caller ordered it.
    Order,
    /// The subscription started.
    Start,
    /// The subscription was renewed: what is included anew, and what is rolled over.
    Renewal,
    /// The subscription was changed.
    Change,
    /// The plan had set a timer.
    Timer,
    /// The plan gave it for an event.
    Event,
    /// Bought value came back with a correction.
    Correction,
}

impl LineKind {
    /// As programs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            LineKind::Grant => "grant",
            LineKind::Usage => "usage",
            LineKind::Late => "late_usage",
            LineKind::Fee => "fee",
            LineKind::Void => "void",
            LineKind::Amendment => "amendment",
            LineKind::Repriced => "repriced",
            LineKind::Refund => "refund",
            LineKind::Payment => "payment",
            LineKind::Adjustment => "adjustment",
            LineKind::DebtPaid => "debt_paid",
            LineKind::Expiry => "expiry",
            LineKind::Holds => "holds",
        }
    }
}

impl Cause {
    /// As programs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Order => "order",
            Cause::Start => "start",
            Cause::Renewal => "renewal",
            Cause::Change => "change",
            Cause::Timer => "timer",
            Cause::Event => "event",
            Cause::Correction => "correction",
        }
    }
}

/// Which line something goes into. Things with equal keys are summed up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub kind: LineKind,
    /// The record, for what has a line of its own; 0 for what is summed up.
    pub sequence: u64,
    /// Tells two lines of one record apart.
    pub part: Part,
    pub subscription: Option<SubscriptionId>,
    pub period: Option<(Timestamp, Timestamp, u32)>,
    pub code: Option<String>,
    pub grant: Option<GrantId>,
}

/// Which side of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What came back.
    Back,
    /// What is charged, or all there is.
    Charged,
}

impl Key {
    /// For what is summed up under its kind.
    pub fn of(kind: LineKind) -> Key {
        Key {
            kind,
            sequence: 0,
            part: Part::Charged,
            subscription: None,
            period: None,
            code: None,
            grant: None,
        }
    }

    /// For a grant's line.
    pub fn of_grant(kind: LineKind, grant: &GrantId) -> Key {
        Key {
            grant: Some(grant.clone()),
            ..Key::of(kind)
        }
    }

    /// An empty line.
    pub fn line(&self) -> Line {
        Line {
            kind: self.kind,
            code: self.code.clone(),
            label: None,
            grant: self.grant.clone(),
            category: None,
            cause: None,
            subscription: self.subscription.clone(),
            period: self
                .period
                .map(|(start, end, index)| Period { start, end, index }),
            event: None,
            at: None,
            quantity: None,
            moved: Moved::default(),
        }
    }
}
