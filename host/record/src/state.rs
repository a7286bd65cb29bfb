//! A wallet's state, part by part, as it is kept.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::command::AboveHold;
use crate::correction::PricedBy;
use crate::event::Event;
use crate::ids::{EventType, GrantId, Hash, LimitName, PlanName, RevisionHash, SubscriptionId};
use crate::lifecycle::{PastTerm, Scheduled, SubscriptionStatus};
use crate::outcome::Line;
use crate::plan::{AppliesTo, Category, RemainingGrant};
use crate::portion::Portions;
use crate::time::{Period, Timestamp};

/// What a wallet knows besides its grants, holds and subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// How many records the wallet has.
    pub sequence: u64,
    /// Hash of the newest one.
    pub chain: Hash,
    /// When it was made.
    pub at: Timestamp,
    /// None until the customer is created.
    pub customer: Option<Customer>,
    /// Totals per asset. In boxes: a map has room for eleven at once, and most wallets have one.
    pub assets: BTreeMap<Asset, Box<AssetTotals>>,
    /// How many events wait for a price.
    pub unpriced: u64,
}

/// What is said of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// What people call it.
    pub name: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// What happens per asset when the wallet cannot cover a charge.
    pub shortfall: BTreeMap<Asset, Shortfall>,
}

/// What happens when a wallet cannot cover a charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortfall {
    /// Nothing is authorized beyond what is there.
    #[default]
    Deny,
    /// Debt up to this much is authorized.
    Floor(Nanos),
    /// Post-paid: any debt is authorized.
    Unlimited,
}

/// The balances of the accounts of an asset that are not a grant's. With those of the grants they sum to zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetTotals {
    /// Zero or negative: what the customer owes because the wallet could not cover usage.
    pub debt: Nanos,
    /// Zero or negative: fees that wait for payment.
    pub receivable: Nanos,
    /// What was earned.
    pub revenue: Nanos,
    /// What expired unused.
    pub breakage: Nanos,
    /// Minus what was bought.
    pub purchases: Nanos,
    /// Minus what was given away.
    pub promotional: Nanos,
    /// Minus what subscriptions included.
    pub included: Nanos,
    /// Minus what was adjusted.
    pub adjustments: Nanos,
    /// Part of open holds that no grant covers; counts against the shortfall policy. Not an account.
    pub overdraft_held: Nanos,
}

/// Debt and receivables of one asset that were written off and not taken back since, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOffs {
    /// Of debt.
    pub debt: Vec<WriteOff>,
    /// Of receivables.
    pub receivable: Vec<WriteOff>,
}

/// An amount that was written off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOff {
    /// When.
    pub at: Timestamp,
    /// What of it stands; more than zero.
    pub amount: Nanos,
}

/// A block of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantState {
    /// In which asset.
    pub asset: Asset,
    /// How much it was.
    pub amount: Nanos,
    /// What is free.
    pub available: Nanos,
    /// What open holds have pinned.
    pub held: Nanos,
    /// What kind of value it is.
    pub category: Category,
    /// Low burns first.
    pub priority: i32,
    /// From when it is good.
    pub effective: Timestamp,
    /// Until when; none: for good.
    pub expires: Option<Timestamp>,
    /// What it may pay for.
    pub applies_to: AppliesTo,
    /// What a person reads.
    pub label: Option<String>,
    /// The subscription that gave it, if one did.
    pub subscription: Option<SubscriptionId>,
    /// Whether its value may be used: false until `effective`, when it pays debt first.
    pub phase: GrantPhase,
    /// Whether it is taken in portions, each of which is a grant of its own. Since format 6.
    #[serde(deserialize_with = "codec::since::<6, _, _>")]
    pub portions: Option<Box<Portions>>,
    /// The grant that it is a portion of, if it is one. Since format 6.
    #[serde(deserialize_with = "codec::since::<6, _, _>")]
    pub portion_of: Option<GrantId>,
}

/// Where a grant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantPhase {
    /// Not yet effective.
    Waiting,
    /// Good.
    Active,
    /// Expired; only holds that pinned it before may still use it.
    Expired,
}

/// Value set aside for one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldState {
    /// The call, with its maximums.
    pub event: Event,
    /// When the call happened, as far as pricing goes.
    pub time: Timestamp,
    /// When it was opened.
    pub opened: Timestamp,
    /// The instant from which on it can no longer be settled.
    pub expires: Timestamp,
    /// None while it is open; set when it expired and may still be settled late.
    pub expired: Option<Timestamp>,
    /// The revision that quoted settles.
    pub revision: RevisionHash,
    /// Whose state it was quoted with.
    pub subscription: SubscriptionId,
    /// The period that it was quoted in.
    pub period: Period,
    /// The subscription's term at that time.
    pub term: u32,
    /// What was quoted, per asset, in the order of the chain.
    pub quoted: Vec<(Asset, Nanos)>,
    /// What is still pinned, in the order in which it is used.
    pub pins: Vec<Pin>,
    /// What is held of each asset beyond the grants, on credit.
    pub overdraft: Vec<(Asset, Nanos)>,
    /// What settlements took so far.
    pub taken: Vec<Slice>,
    /// Codes of the charges that `taken` names.
    pub codes: Vec<String>,
}

/// What a call that is still held used so far, as its newest settlement said: what it stands for if no other comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldUsage {
    /// The call with that usage, to be priced as a whole.
    pub event: Event,
    /// What happens to a price above the hold.
    pub above: AboveHold,
    /// Who priced it.
    pub priced: PricedBy,
    /// What the plan said that it costs.
    pub lines: Vec<Line>,
}

/// Part of a grant that a hold set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Of which grant.
    pub grant: GrantId,
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Nanos,
}

/// Part of a charge, and where it was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Index of the charge within the newest answer of the plan.
    pub charge: u16,
    /// In which asset.
    pub asset: Asset,
    /// From where.
    pub from: SliceSource,
    /// How much; more than zero.
    pub amount: Nanos,
}

/// Where a part of a charge is taken from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SliceSource {
    /// A grant.
    Grant(GrantId),
    /// Nothing was there: the customer owes it.
    Debt,
    /// The statement.
    Receivable,
}

/// A customer on a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// Which plan.
    pub plan: PlanName,
    /// When it started.
    pub started: Timestamp,
    /// Periods are counted from here.
    pub anchor: Timestamp,
    /// How long a period is.
    pub cadence: Cadence,
    /// The present one.
    pub period: Period,
    /// Seats.
    pub seats: u32,
    /// Event types that it owns.
    pub event_types: Vec<EventType>,
    /// The plan's own state.
    pub state: Vec<u8>,
    /// Version of `state`.
    pub state_version: u32,
    /// The revision that last changed it.
    pub revision: RevisionHash,
    /// Timers that the plan set.
    pub timers: BTreeMap<String, Timestamp>,
    /// Whether it runs.
    pub status: SubscriptionStatus,
    /// Changes that wait for the end of the period, in the order in which they are carried out.
    pub scheduled: Vec<Scheduled>,
    /// Number of the present term.
    pub term: u32,
    /// When the present term began.
    pub since: Timestamp,
    /// Sequence of the record that began it.
    pub opened: u64,
    /// The plan's state when it began, once the plan had been told.
    pub opening: Vec<u8>,
    /// Terms that are over and that late events may belong to, oldest first.
    pub past: Vec<PastTerm>,
    /// Version of `opening`, where that is not the version of `state`. Since format 5.
    #[serde(deserialize_with = "codec::since::<5, _, _>")]
    pub opening_version: Option<u32>,
}

impl SubscriptionState {
    /// Takes over the state that a plan left behind, in the version in which it keeps it.
    pub fn keep(&mut self, state: &[u8], version: u32, revision: RevisionHash) {
        let opening = self.opening_version.unwrap_or(self.state_version);
        self.state = state.to_vec();
        self.state_version = version;
        self.revision = revision;
        self.opening_version = (opening != version && !self.opening.is_empty()).then_some(opening);
    }

    /// The present term opens with what a plan left behind.
    pub fn open_with(&mut self, state: &[u8], version: u32) {
        self.opening = state.to_vec();
        self.opening_version = (version != self.state_version && !state.is_empty()).then_some(version);
    }
}

/// Which timer of which subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubjectTimer {
    /// Whose plan set it.
    pub subscription: SubscriptionId,
    /// The plan's name for it; it holds no zero byte.
    pub key: String,
    /// The subject.
    pub subject: String,
}

/// A timer of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerState {
    /// When it goes off.
    pub at: Timestamp,
    /// When it was set.
    pub set: Timestamp,
    /// The plan that set it: under another one it goes off for nobody.
    pub plan: PlanName,
    /// The event that set it; none where one that was taken back did. Before format 4 it was there always.
    #[serde(deserialize_with = "codec::some_before::<4, _, _>")]
    pub event: Option<crate::plan::EventRef>,
}

/// How long a period of a subscription is. All in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// A calendar month; an anchor on the 31st means the last day of a shorter month.
    #[default]
    Monthly,
    /// A calendar year; an anchor on 29 February means the 28th in other years.
    Yearly,
    /// Seven days.
    Weekly,
    /// One day.
    Daily,
    /// So many days.
    Days(u16),
}

/// Usage, or a transition of a subscription, that waits for a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpricedState {
    /// When it was received, or should have been carried out.
    pub received: Timestamp,
    /// What waits.
    pub what: Waiting,
    /// Why it has no price.
    pub reason: crate::outcome::UnpricedReason,
}

/// What waits for a plan that has an answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// Usage that happened.
    Event(Event),
    /// A renewal or a timer, of which is not known what the plan was told: its fees and grants.
    Transition(MissedTransition),
    /// A renewal or a timer: its fees and grants.
    Change(Box<MissedChange>),
}

/// A renewal or a timer that its plan had no answer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedTransition {
    /// What fell due, and when.
    pub due: crate::command::Due,
    /// The period that it belongs to: for a renewal, the one that began.
    pub period: Period,
    /// Seats at that time.
    pub seats: u32,
}

/// A renewal or a timer that its plan had no answer to, with what the plan was told: it is told the same when it is asked
/// again, whatever became of the wallet meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedChange {
    /// What fell due.
    pub transition: MissedTransition,
    /// The plan that was asked.
    pub plan: PlanName,
    /// What it was told.
    pub change: DueChange,
}

/// What a plan is told when something falls due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DueChange {
    /// The subscription goes on; what was left of its grants.
    Renewed(Vec<RemainingGrant>),
    /// The subscription goes on under this plan.
    PlanChanged {
        /// The plan before.
        previous: PlanName,
        /// When the last term under it began.
        since: Timestamp,
        /// What was left of its grants.
        remaining: Vec<RemainingGrant>,
    },
    /// The subscription ends; what was left of its grants.
    Cancelled(Vec<RemainingGrant>),
    /// A timer went off; its key.
    Timer(String),
    /// The subscription rests from now on.
    Paused,
}

/// A part of a wallet: what is read and written as a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The [`Header`].
    Header,
    /// A [`GrantState`].
    Grant(GrantId),
    /// A [`HoldState`].
    Hold(crate::plan::EventRef),
    /// A [`SubscriptionState`].
    Subscription(SubscriptionId),
    /// A [`SubjectState`]. On demand.
    Subject(SubscriptionId, String),
    /// An [`UnpricedState`], by the sequence of the record that kept it. On demand.
    Unpriced(u64),
    /// A [`crate::lifecycle::TermState`] by its number. On demand.
    Term(SubscriptionId, u32),
    /// A [`crate::correction::Standing`], for events that were corrected. On demand.
    Standing(crate::plan::EventRef),
    /// A [`crate::spending::LimitState`].
    Limit(LimitName),
    /// The [`HoldUsage`] of a hold that was settled in part.
    HoldUsage(crate::plan::EventRef),
    /// The [`WriteOffs`] of an asset.
    WriteOffs(Asset),
    /// For which event a grant was given: a [`crate::plan::EventRef`].
    Given(GrantId),
    /// Since when a subscription is on its plan, where that is not its first one: a [`Timestamp`].
    PlanSince(SubscriptionId),
    /// What a subscription says happens to a price above a hold, where it says it: an [`AboveHold`].
    AboveHold(SubscriptionId),
    /// The [`crate::correction::GiveBacks`] of an event that gave back of others, or that others gave back of:
    /// [`crate::correction::Noted`]. On demand.
    GiveBacks(crate::plan::EventRef),
    /// A [`TimerState`].
    SubjectTimer(SubjectTimer),
    /// The [`Carried`] behind the record of this sequence. On demand.
    Carried(u64),
}

/// What a plan remembers of a subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectState {
    /// The plan's own; empty for one that is new, and for one that is forgotten.
    pub state: Vec<u8>,
    /// When it may be forgotten.
    pub expires: Timestamp,
    /// Which plan keeps it, and in which version. None where that was before format 5: no revision could keep it in another one
    /// then than those before it.
    #[serde(deserialize_with = "codec::since::<5, _, _>")]
    pub kept_by: Option<KeptBy>,
}

impl SubjectState {
    /// The version in which this plan keeps it. None: it is not known, or the state is another plan's, which makes nothing of it.
    pub fn version_of(&self, plan: &PlanName) -> Option<u32> {
        let own = self.kept_by.as_ref().filter(|by| by.plan == *plan);
        own.map(|by| by.version)
    }
}

/// Who keeps a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBy {
    /// The plan: a subscription may have come from another one.
    pub plan: PlanName,
    /// The version in which it keeps its states.
    pub version: u32,
}

/// What a wallet had behind one of its records, carried forward so that who asks for the balances of a time that is
/// past does not have to read everything that was posted since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The record's [`Record::instant`](crate::Record::instant).
    pub instant: Timestamp,
    /// Per asset, in order of asset.
    pub assets: BTreeMap<Asset, CustomerAccounts>,
}

/// What the accounts of one asset hold that are the customer's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerAccounts {
    /// What grants have free, those that are not effective yet included.
    pub available: Nanos,
    /// What open holds have set aside of grants.
    pub held: Nanos,
    /// Owed for usage: zero or negative.
    pub debt: Nanos,
    /// Owed for fees: zero or negative.
    pub receivable: Nanos,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what cannot be has failed")]
mod tests {
    use super::*;
    use crate::lifecycle::{NO_REVISION, TermState};

    fn subscription() -> SubscriptionState {
        let (at, nothing) = (Timestamp::from_micros(0), Vec::new);
        let period = Period {
            start: at,
            end: at,
            index: 0,
        };
        SubscriptionState {
            plan: PlanName::new("p").unwrap(),
            started: at,
            anchor: at,
            cadence: Cadence::Monthly,
            period,
            seats: 0,
            event_types: Vec::new(),
            state: nothing(),
            state_version: 0,
            revision: NO_REVISION,
            timers: BTreeMap::new(),
            status: SubscriptionStatus::Active,
            scheduled: Vec::new(),
            term: 0,
            since: at,
            opened: 1,
            opening: nothing(),
            past: Vec::new(),
            opening_version: None,
        }
    }

    /// The versions of a subscription's state and of that which its term opened with.
    fn versions(of: &SubscriptionState) -> (u32, u32) {
        (of.state_version, of.opening_version.unwrap_or(of.state_version))
    }

    #[test]
    fn what_a_term_opened_with_stays_in_its_version() {
        let mut open = subscription();
        open.open_with(b"a", 0);
        open.keep(b"b", 0, NO_REVISION);
        assert_eq!((versions(&open), open.opening_version), ((0, 0), None));
        open.keep(b"c", 2, NO_REVISION);
        assert_eq!((versions(&open), &open.opening[..]), ((2, 0), &b"a"[..]));
        open.keep(b"d", 3, NO_REVISION);
        assert_eq!(versions(&open), (3, 0));
        // The renewal's answer is known before it is kept.
        open.open_with(b"e", 4);
        assert_eq!(versions(&open), (3, 4));
        open.keep(b"e", 4, NO_REVISION);
        assert_eq!((versions(&open), open.opening_version), ((4, 4), None));
    }

    #[test]
    fn so_does_that_of_a_closed_one() {
        let open = subscription();
        let term = TermState {
            number: 0,
            plan: open.plan.clone(),
            period: open.period,
            since: open.since,
            until: open.since,
            seats: 0,
            opening: b"a".to_vec(),
            state: b"b".to_vec(),
            state_version: 1,
            revision: NO_REVISION,
            opened: 1,
            opening_version: None,
        };
        let after = term.with_state(b"c", 2, NO_REVISION);
        assert_eq!((after.state_version, after.opening_version), (2, Some(1)));
        let again = after.with_state(b"d", 1, NO_REVISION);
        assert_eq!((&again.state[..], again.opening_version), (&b"d"[..], None));
    }
}
