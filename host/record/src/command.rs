//! What a wallet is asked to do.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::correction::{Adjust, Amend, Pay, Refund, RefundTarget, Void};
use crate::event::{Attributes, Event, Measures};
use crate::fields::Fields;
use crate::ids::{CallId, EventType, GrantId, LimitName, PlanName, Source, SubscriptionId};
use crate::lifecycle::{ChangeSubscription, SubscriptionChange, TermState};
use crate::plan::{AppliesTo, Category, EventRef};
use crate::portion::Each;
use crate::spending::LimitTerms;
use crate::state::{Cadence, MissedChange, MissedTransition, Shortfall};
use crate::time::{Span, Timestamp};

/// One change of one wallet, as it was asked for. Part of its record, so that a retry can be compared with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Create the customer, or change what is said of it.
    PutCustomer(PutCustomer),
    /// Put value into the wallet.
    Grant(Grant),
    /// Put the customer on a plan.
    Subscribe(Subscribe),
    /// Set the worst case of a call aside, or refuse.
    Authorize(Authorize),
    /// Say what a held call used so far.
    Settle(Settle),
    /// Give a held call more time, or more room.
    Extend(Extend),
    /// Give back what a held call did not use.
    Release(Release),
    /// Price and debit usage that happened.
    Usage(Event),
    /// Price and debit usage that had no price when it came.
    RateUnpriced(RateUnpriced),
    /// Something fell due.
    Due(Due),
    /// Change seats or plan of a subscription, pause it, resume it, end it.
    ChangeSubscription(ChangeSubscription),
    /// Put a balance right.
    Adjust(Adjust),
    /// The customer paid a receivable.
    Pay(Pay),
    /// Give money back.
    Refund(Refund),
    /// Take an event back.
    Void(Void),
    /// Replace an event.
    Amend(Amend),
    /// Ask a plan again about a renewal or a timer that it had no answer to, where it is not known what it was told.
    RetryTransition(RetryTransition),
    /// Make a spending limit, or change one.
    PutLimit(PutLimit),
    /// Take a spending limit away.
    DeleteLimit(DeleteLimit),
    /// Price and debit usage from before the late window, as a part of a backfill.
    Backfill(Backfill),
    /// Keep a term again that was forgotten: events of a backfill belong to it.
    RememberTerm(RememberTerm),
    /// Ask a plan again what it had no answer to.
    RetryChange(RetryChange),
}

/// See [`Command::Backfill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The backfill that it is a part of.
    pub backfill: CallId,
    /// What happened; its time is always said.
    pub event: Event,
}

/// See [`Command::RememberTerm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberTerm {
    /// Whose.
    pub subscription: SubscriptionId,
    /// As the wallet's history says that it stood last.
    pub term: TermState,
}

/// See [`Command::PutCustomer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutCustomer {
    /// The caller's key for this change.
    pub id: CallId,
    /// What people call the customer.
    pub name: Option<String>,
    /// What happens per asset when the wallet cannot cover a charge; assets not named: [`Shortfall::Deny`].
    pub shortfall: BTreeMap<Asset, Shortfall>,
}

/// See [`Command::Grant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Made by the caller; kept as long as the tenant.
    pub id: GrantId,
    /// In which asset.
    pub asset: Asset,
    /// How much; more than zero.
    pub amount: Nanos,
    /// What kind of value it is.
    pub category: Category,
    /// Low burns first; 0 unless told.
    pub priority: i32,
    /// From when; none: at once.
    pub effective: Option<Timestamp>,
    /// Until when; none: for good.
    pub expires: Option<Timestamp>,
    /// What it may pay for.
    pub applies_to: AppliesTo,
    /// What a person reads.
    pub label: Option<String>,
    /// Whether it is taken in portions. Since format 6.
    #[serde(deserialize_with = "codec::since::<6, _, _>")]
    pub each: Option<Each>,
}

/// See [`Command::Subscribe`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Made by the caller.
    pub id: SubscriptionId,
    /// To which plan.
    pub plan: PlanName,
    /// Seats, for plans that count them.
    pub seats: u32,
    /// When the first period starts; none: now.
    pub anchor: Option<Timestamp>,
    /// How long a period is.
    pub cadence: Cadence,
    /// What happens to a price above a hold; [`AboveHold::AsSubscribed`] says nothing of it. Since format 4.
    #[serde(deserialize_with = "codec::since::<4, _, _>")]
    pub above_hold: AboveHold,
}

/// See [`Command::Authorize`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorize {
    /// The call, with maximums as its measures; its id becomes the hold's.
    pub event: Event,
    /// How long the hold lasts.
    pub ttl: Span,
    /// Whether the measures are maximums to hold for, or usage to debit at once.
    pub mode: AuthorizeMode,
}

/// Whether an authorize holds or debits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorizeMode {
    /// The measures are maximums: set the worst case aside.
    Hold,
    /// The measures are known: check and debit at once, or leave no trace.
    Settle,
}

/// See [`Command::Settle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Which hold.
    pub hold: EventRef,
    /// The settlement's own id.
    pub id: CallId,
    /// Usage so far, all of it: cumulative.
    pub measures: Measures,
    /// Attributes that were not known before; they replace those of the authorize.
    pub attributes: Attributes,
    /// Whether more will come.
    pub finality: Finality,
    /// What happens to a price above the hold.
    pub above: AboveHold,
}

/// Whether a settlement ends its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finality {
    /// It does.
    Final,
    /// More will come; the rest stays held.
    Partial,
}

/// What happens to a price above what was held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AboveHold {
    /// The settlement is refused.
    Deny,
    /// What the wallet has is charged; the rest is let go.
    ChargeAvailable,
    /// It happened, so it is charged; what the wallet cannot cover becomes debt.
    AllowDebt,
    /// What the subscription says; where it says nothing: [`AboveHold::AllowDebt`].
    #[default]
    AsSubscribed,
}

/// See [`Command::Extend`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extend {
    /// Which hold.
    pub hold: EventRef,
    /// The extension's own id.
    pub id: CallId,
    /// How long from now.
    pub ttl: Span,
    /// New maximums, all of them; empty: as they were.
    pub measures: Measures,
}

/// See [`Command::Release`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which hold.
    pub hold: EventRef,
    /// The release's own id.
    pub id: CallId,
}

/// See [`Command::RateUnpriced`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateUnpriced {
    /// Sequence of the record that kept it.
    pub sequence: u64,
    /// When it was received.
    pub received: Timestamp,
    /// The event itself.
    pub event: Event,
}

/// See [`Command::RetryTransition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryTransition {
    /// Sequence of the record that kept it.
    pub sequence: u64,
    /// What waits.
    pub missed: MissedTransition,
}

/// See [`Command::RetryChange`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryChange {
    /// Sequence of the record that kept it.
    pub sequence: u64,
    /// What waits.
    pub missed: Box<MissedChange>,
}

/// See [`Command::Due`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The instant at which it fell due, which may be long before it is handled.
    pub instant: Timestamp,
    /// What fell due.
    pub item: DueItem,
}

/// Things that fall due, in the order in which those of one instant are handled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DueItem {
    /// A hold's time is over; of one that was settled in part, once more when its grace is.
    HoldExpiry(EventRef),
    /// A timer that a plan set.
    Timer {
        /// Whose plan.
        subscription: SubscriptionId,
        /// The plan's name for it.
        key: String,
        /// Whom it is about, where the plan follows subjects; none: the subscription. Since format 3.
        #[serde(deserialize_with = "codec::since::<3, _, _>")]
        about: Option<Box<TimerAbout>>,
    },
    /// A period ends and the next begins.
    Renewal(SubscriptionId),
    /// A grant is no longer good.
    GrantExpiry(GrantId),
    /// A grant becomes good.
    GrantEffective(GrantId),
}

/// Whom a timer of a subject is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimerAbout {
    /// The subject.
    pub subject: String,
    /// The event of it that set the timer: what is charged when it goes off is charged for that event. None where the plan set
    /// it because an event was taken back: what is charged then is charged for the subscription. Before format 4 it was there
    /// always.
    #[serde(deserialize_with = "codec::some_before::<4, _, _>")]
    pub event: Option<EventRef>,
}

/// See [`Command::PutLimit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutLimit {
    /// The caller's key for this change.
    pub id: CallId,
    /// Made by the caller.
    pub name: LimitName,
    /// What it says.
    pub terms: LimitTerms,
}

/// See [`Command::DeleteLimit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLimit {
    /// The caller's key for this change.
    pub id: CallId,
    /// Which one.
    pub name: LimitName,
}

/// Under which name a caller may repeat a command. Two commands with equal identities are the same request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Identity {
    /// An event: a usage report or an authorize.
    Event(EventRef),
    /// A settlement of a hold.
    Settle(EventRef, CallId),
    /// An extension of a hold.
    Extend(EventRef, CallId),
    /// A release of a hold.
    Release(EventRef, CallId),
    /// A grant.
    Grant(GrantId),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A change of the customer.
    Customer(CallId),
    /// The end of a hold, however it came: not a caller's id, but looked up like one.
    HoldEnd(EventRef),
    /// The rating of an event that was unpriced at first, or the correction that made an end of its waiting: looked up like an
    /// id too.
    Rated(EventRef),
    /// A change of a subscription.
    Change(SubscriptionId, CallId),
    /// An adjustment.
    Adjustment(CallId),
    /// A payment.
    Payment(CallId),
    /// A refund.
    Refund(CallId),
    /// An event that was taken back.
    Void(EventRef, CallId),
    /// An event that was replaced.
    Amend(EventRef, CallId),
    /// A settlement that came after its hold had expired: not a caller's id, but looked up like one.
    LateSettle(EventRef),
    /// The answer to a transition that the record of this sequence had kept: looked up like an id too.
    Retried(u64),
    /// A change of a spending limit.
    Limit(LimitName, CallId),
    /// An event of a backfill. It is kept for good: by its time alone, nothing would refuse it a second time.
    Backfilled(EventRef),
}

impl Identity {
    /// Whether it is kept as long as the tenant: what gives value or changes terms must never happen twice. The others, of
    /// usage, are kept for the late window and some days: an event that is older is refused by its time.
    pub fn is_for_good(&self) -> bool {
        match self {
            Identity::Grant(_)
            | Identity::Subscription(_)
            | Identity::Customer(_)
            | Identity::Change(..)
            | Identity::Adjustment(_)
            | Identity::Payment(_)
            | Identity::Refund(_)
            | Identity::Void(..)
            | Identity::Amend(..)
            | Identity::Retried(_)
            | Identity::Backfilled(_)
            | Identity::Limit(..) => true,
            Identity::Event(_)
            | Identity::Settle(..)
            | Identity::Extend(..)
            | Identity::Release(..)
            | Identity::HoldEnd(_)
            | Identity::LateSettle(_)
            | Identity::Rated(_) => false,
        }
    }
}

impl Command {
    /// The name under which a caller may repeat it; none for what the host does by itself.
    pub fn identity(&self) -> Option<Identity> {
        Some(match self {
            Command::PutCustomer(put) => Identity::Customer(put.id.clone()),
            Command::Grant(grant) => Identity::Grant(grant.id.clone()),
            Command::Subscribe(subscribe) => Identity::Subscription(subscribe.id.clone()),
            Command::Authorize(authorize) => Identity::Event(authorize.event.reference()),
            Command::Settle(settle) => Identity::Settle(settle.hold.clone(), settle.id.clone()),
            Command::Extend(extend) => Identity::Extend(extend.hold.clone(), extend.id.clone()),
            Command::Release(release) => Identity::Release(release.hold.clone(), release.id.clone()),
            Command::Usage(event) => Identity::Event(event.reference()),
            Command::Backfill(backfill) => Identity::Backfilled(backfill.event.reference()),
            Command::PutLimit(put) => Identity::Limit(put.name.clone(), put.id.clone()),
            Command::DeleteLimit(delete) => Identity::Limit(delete.name.clone(), delete.id.clone()),
            Command::ChangeSubscription(c) => Identity::Change(c.subscription.clone(), c.id.clone()),
            Command::Adjust(adjust) => Identity::Adjustment(adjust.id.clone()),
            Command::Pay(pay) => Identity::Payment(pay.id.clone()),
            Command::Refund(refund) => Identity::Refund(refund.id.clone()),
            Command::Void(void) => Identity::Void(void.event.clone(), void.id.clone()),
            Command::Amend(amend) => Identity::Amend(amend.event.reference(), amend.id.clone()),
            Command::RateUnpriced(_)
            | Command::Due(_)
            | Command::RetryTransition(_)
            | Command::RetryChange(_)
            | Command::RememberTerm(_) => return None,
        })
    }

    /// The renewal or timer that is asked about again, and the sequence of the record that kept it.
    pub fn retried(&self) -> Option<(u64, &MissedTransition)> {
        match self {
            Command::RetryTransition(retry) => Some((retry.sequence, &retry.missed)),
            Command::RetryChange(retry) => Some((retry.sequence, &retry.missed.transition)),
            _ => None,
        }
    }

    /// The first field in which a repeated request differs from the first one, as a caller would name it; none when
    /// the two say the same.
    pub fn difference(&self, first: &Command) -> Option<String> {
        use Command as C;
        match (self, first) {
            (C::PutCustomer(a), C::PutCustomer(b)) => differs("name", &a.name, &b.name)
                .or_else(|| map_differs("shortfall", &a.shortfall, &b.shortfall)),
            (C::Grant(a), C::Grant(b)) => differs("asset", &a.asset, &b.asset)
                .or_else(|| differs("amount", &a.amount, &b.amount))
                .or_else(|| differs("category", &a.category, &b.category))
                .or_else(|| differs("priority", &a.priority, &b.priority))
                .or_else(|| differs("effective_at", &a.effective, &b.effective))
                .or_else(|| differs("expires_at", &a.expires, &b.expires))
                .or_else(|| differs("applies_to", &a.applies_to, &b.applies_to))
                .or_else(|| differs("each", &a.each, &b.each))
                .or_else(|| differs("label", &a.label, &b.label)),
            (C::Subscribe(a), C::Subscribe(b)) => differs("plan", &a.plan, &b.plan)
                .or_else(|| differs("seats", &a.seats, &b.seats))
                .or_else(|| differs("anchor", &a.anchor, &b.anchor))
                .or_else(|| differs("cadence", &a.cadence, &b.cadence))
                .or_else(|| differs("above_hold", &a.above_hold, &b.above_hold)),
            (C::Authorize(a), C::Authorize(b)) => event_differs(&a.event, &b.event)
                .or_else(|| differs("ttl_seconds", &a.ttl, &b.ttl))
                .or_else(|| differs("settle", &a.mode, &b.mode)),
            (C::Settle(a), C::Settle(b)) => fields_differ("measures", &a.measures, &b.measures)
                .or_else(|| fields_differ("attributes", &a.attributes, &b.attributes))
                .or_else(|| differs("final", &a.finality, &b.finality))
                .or_else(|| differs("above_hold", &a.above, &b.above)),
            (C::Extend(a), C::Extend(b)) => differs("ttl_seconds", &a.ttl, &b.ttl)
                .or_else(|| fields_differ("measures", &a.measures, &b.measures)),
            (C::Release(_), C::Release(_)) => None,
            (C::Usage(a), C::Usage(b)) => event_differs(a, b),
            (C::Backfill(a), C::Backfill(b)) => {
                event_differs(&a.event, &b.event).or_else(|| differs("backfill", &a.backfill, &b.backfill))
            }
            (C::ChangeSubscription(a), C::ChangeSubscription(b)) => change_differs(&a.change, &b.change)
                .or_else(|| differs("when", &a.when, &b.when))
                .or_else(|| differs("prorate", &a.proration, &b.proration)),
            (C::Adjust(a), C::Adjust(b)) => differs("asset", &a.asset, &b.asset)
                .or_else(|| differs("amount", &a.amount, &b.amount))
                .or_else(|| differs("target", &a.target, &b.target))
                .or_else(|| differs("reason", &a.reason, &b.reason)),
            (C::Pay(a), C::Pay(b)) => differs("asset", &a.asset, &b.asset)
                .or_else(|| differs("amount", &a.amount, &b.amount))
                .or_else(|| differs("label", &a.label, &b.label)),
            (C::Refund(a), C::Refund(b)) => {
                refund_differs(&a.target, &b.target).or_else(|| differs("reason", &a.reason, &b.reason))
            }
            (C::Void(a), C::Void(b)) => differs("reason", &a.reason, &b.reason),
            (C::Amend(a), C::Amend(b)) => event_differs(&a.event, &b.event),
            (C::PutLimit(a), C::PutLimit(b)) => terms_differ(&a.terms, &b.terms),
            (C::DeleteLimit(_), C::DeleteLimit(_)) => None,
            _ => Some("the kind of request".to_string()),
        }
    }

    /// The event type that an event command is about.
    pub fn event_type(&self) -> Option<&EventType> {
        match self {
            Command::Authorize(authorize) => Some(&authorize.event.event_type),
            Command::Usage(event) => Some(&event.event_type),
            Command::Backfill(backfill) => Some(&backfill.event.event_type),
            Command::RateUnpriced(rate) => Some(&rate.event.event_type),
            Command::Amend(amend) => Some(&amend.event.event_type),
            _ => None,
        }
    }
}

/// The source of events whose caller names none.
pub fn default_source() -> Source {
    #[expect(clippy::expect_used, reason = "a constant that is a valid name")]
    Source::new("api").expect("a name")
}

fn differs<T: PartialEq>(name: &str, a: &T, b: &T) -> Option<String> {
    (a != b).then(|| name.to_string())
}

fn map_differs<K: Ord + std::fmt::Display, V: PartialEq>(
    name: &str,
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
) -> Option<String> {
    let key = a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key))?;
    Some(format!("{name}.{key}"))
}

fn fields_differ<V: PartialEq>(name: &str, a: &Fields<V>, b: &Fields<V>) -> Option<String> {
    let key = a.keys().chain(b.keys()).find(|key| a.get(key) != b.get(key))?;
    Some(format!("{name}.{key}"))
}

fn terms_differ(a: &LimitTerms, b: &LimitTerms) -> Option<String> {
    differs("asset", &a.asset, &b.asset)
        .or_else(|| differs("amount", &a.amount, &b.amount))
        .or_else(|| differs("scope", &a.scope, &b.scope))
        .or_else(|| differs("window", &a.window, &b.window))
        .or_else(|| differs("thresholds", &a.thresholds, &b.thresholds))
        .or_else(|| differs("on_exceed", &a.on_exceed, &b.on_exceed))
}

/// The member that says what changes; where two changes are of different kinds, that of the repeated request.
fn change_differs(a: &SubscriptionChange, b: &SubscriptionChange) -> Option<String> {
    use SubscriptionChange as S;
    if a == b {
        return None;
    }
    let name = match (a, b) {
        (S::Plan { plan, .. }, S::Plan { plan: first, .. }) if plan == first => "cadence",
        (S::Seats(_), _) => "seats",
        (S::Plan { .. }, _) => "plan",
        (S::Pause, _) => "pause",
        (S::Resume, _) => "resume",
        (S::Cancel, _) => "cancel",
        (S::Unschedule, _) => "unschedule",
        (S::AboveHold(_), _) => "above_hold",
    };
    Some(name.to_string())
}

fn refund_differs(a: &RefundTarget, b: &RefundTarget) -> Option<String> {
    use RefundTarget as R;
    match (a, b) {
        (R::Event { event, amount }, R::Event { event: e, amount: b }) => {
            differs("event", event, e).or_else(|| differs("amount", amount, b))
        }
        (R::Grant { grant, amount }, R::Grant { grant: g, amount: b }) => {
            differs("grant", grant, g).or_else(|| differs("amount", amount, b))
        }
        (R::Event { .. }, R::Grant { .. }) => Some("event".to_string()),
        (R::Grant { .. }, R::Event { .. }) => Some("grant".to_string()),
    }
}

fn event_differs(a: &Event, b: &Event) -> Option<String> {
    differs("type", &a.event_type, &b.event_type)
        .or_else(|| differs("time", &a.time, &b.time))
        .or_else(|| fields_differ("measures", &a.measures, &b.measures))
        .or_else(|| fields_differ("attributes", &a.attributes, &b.attributes))
}

impl Event {
    /// The first field in which it differs from what was reported before under its id, as clients name it. Where no time was
    /// reported before, any is the same.
    pub fn differs_from(&self, reported: &Event) -> Option<String> {
        let time = match reported.time {
            Some(_) => differs("time", &self.time, &reported.time),
            None => None,
        };
        differs("type", &self.event_type, &reported.event_type)
            .or(time)
            .or_else(|| fields_differ("measures", &self.measures, &reported.measures))
            .or_else(|| fields_differ("attributes", &self.attributes, &reported.attributes))
    }
}
