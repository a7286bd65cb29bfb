//! From a command to its outcome.

use std::collections::BTreeSet;

use farebox_money::{Asset, Nanos};
use farebox_record::command::{Command, Due, DueItem, Grant, PutCustomer, RateUnpriced, Subscribe};
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, EventType, GrantId, Hash, SubscriptionId, TenantId};
use farebox_record::outcome::{
    Account, Answer, Effect, HoldEnd, Outcome, Pricing, Seen, UnpricedReason, Verdict,
};
use farebox_record::plan::{Category, Charge, GrantOrder, Priced, Rejection};
use farebox_record::record::Record;
use farebox_record::state::{
    Cadence, Customer, GrantPhase, GrantState, Shortfall, SubscriptionState, UnpricedState,
};
use farebox_record::time::{Period, Span, Timestamp};

use crate::calendar::period_with_index;
use crate::cover::{Origin, Uncoverable, Uncovered, cover, lines};
use crate::draft::Draft;
use crate::hold;
use crate::limits;
use crate::wallet::Wallet;

/// Why a command is refused without a trace: nothing changed, and its id is not used up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The customer was never created.
    #[error("the customer does not exist; create it with PUT /v1/customers/{{customer}}")]
    UnknownCustomer,
    /// No such hold, now or ever.
    #[error("there is no such hold; authorize first")]
    UnknownHold,
    /// A hold of this id is open, or expired and within its grace, and what opened it is too long ago to be answered again.
    #[error("a hold of this id is open already; take another id")]
    HoldExists,
    /// A hold ends once.
    #[error("the hold has ended already: it is {end:?}")]
    HoldEnded {
        /// How it ended.
        end: HoldEnd,
    },
    /// Its price is above the hold, and the caller asked to be told.
    #[error("the usage costs {missing} {asset} more than is held; settle with another `above_hold`")]
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
    /// Already handled: an instant that is no longer on the wallet's agenda.
    #[error("not on the agenda any more")]
    NotDue,
}

/// Largest amount that can be granted at once: 10^18 units. Keeps every sum of a wallet far inside 128 bits.
const GRANT_NANOS_MAX: i128 = 1_000_000_000_000_000_000 * farebox_money::NANOS_PER_UNIT;

/// Decides `command` and carries it out, all of it or nothing.
///
/// `at` is the store's time and never before the wallet's newest record. Everything on the wallet's agenda up to the
/// command's time has been handled before, by commands of its own.
pub fn apply(wallet: &mut Wallet, command: &Command, seen: &Seen, at: Timestamp) -> Result<Outcome, Refusal> {
    if wallet.header.customer.is_none() && !matches!(command, Command::PutCustomer(_)) {
        return Err(Refusal::UnknownCustomer);
    }
    match command {
        Command::PutCustomer(put) => put_customer(wallet, put, at),
        Command::Grant(grant) => open_grant(wallet, grant, at),
        Command::Subscribe(subscribe) => start_subscription(wallet, subscribe, seen, at),
        Command::Usage(event) => {
            check_event_time(event, at)?;
            charge_usage(wallet, event, seen, at)
        }
        Command::RateUnpriced(rate) => rate_unpriced(wallet, rate, seen, at),
        Command::Authorize(authorize) => {
            check_event_time(&authorize.event, at)?;
            hold::authorize(wallet, authorize, seen, at)
        }
        Command::Settle(settle) => hold::settle(wallet, settle, seen, at),
        Command::Extend(extend) => hold::extend(wallet, extend, seen, at),
        Command::Release(release) => hold::release(wallet, release, at),
        Command::Due(due) => handle_due(wallet, due, seen, at),
    }
}

/// Decides `command` and makes its record: the wallet is one record further. The bytes are what is kept and hashed.
pub fn append(
    wallet: &mut Wallet,
    tenant: &TenantId,
    customer: &CustomerId,
    command: Command,
    seen: Seen,
    at: Timestamp,
) -> Result<(Record, Vec<u8>), Refusal> {
    assert!(at >= wallet.header.at, "the store's time stepped back");
    let outcome = apply(wallet, &command, &seen, at)?;
    let record = Record {
        tenant: tenant.clone(),
        customer: customer.clone(),
        sequence: wallet.header.sequence + 1,
        previous: wallet.header.chain,
        at,
        command,
        seen,
        outcome,
    };
    let bytes = record.encode();
    wallet.seal(Hash::of(&bytes), at);
    Ok((record, bytes))
}

fn put_customer(wallet: &mut Wallet, put: &PutCustomer, at: Timestamp) -> Result<Outcome, Refusal> {
    let created = wallet.header.customer.as_ref().map(|c| c.created);
    if put.shortfall.len() > limits::ASSETS_PER_WALLET_MAX {
        return Err(too_many(
            "assets",
            "ASSETS_PER_WALLET_MAX",
            limits::ASSETS_PER_WALLET_MAX,
        ));
    }
    let negative =
        |shortfall: &Shortfall| matches!(shortfall, Shortfall::Floor(floor) if floor.is_negative());
    if put.shortfall.values().any(negative) {
        return Err(Refusal::Amount {
            field: "shortfall",
            problem: "must allow a debt of zero or more",
        });
    }
    let customer = Customer {
        name: put.name.clone(),
        created: created.unwrap_or(at),
        shortfall: put.shortfall.clone(),
    };
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::CustomerPut(customer));
    Ok(draft.finish(|_| Answer::Customer {
        created: created.is_none(),
    }))
}

fn open_grant(wallet: &mut Wallet, grant: &Grant, at: Timestamp) -> Result<Outcome, Refusal> {
    if !grant.amount.is_positive() {
        return Err(Refusal::Amount {
            field: "amount",
            problem: "must be more than zero",
        });
    }
    if grant.amount.get() > GRANT_NANOS_MAX {
        return Err(Refusal::Amount {
            field: "amount",
            problem: "is more than 10^18 (limit GRANT_NANOS_MAX)",
        });
    }
    let effective = grant.effective.unwrap_or(at);
    if grant.expires.is_some_and(|expires| expires <= effective.max(at)) {
        return Err(Refusal::Time {
            field: "expires_at",
            problem: "must be later than effective_at and now".into(),
        });
    }
    if wallet.grants.contains_key(&grant.id) {
        return Err(Refusal::GrantExists(grant.id.clone()));
    }
    check_room(wallet, std::iter::once(&grant.asset), 1)?;
    let state = GrantState {
        asset: grant.asset.clone(),
        amount: grant.amount,
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        category: grant.category,
        priority: grant.priority,
        effective,
        expires: grant.expires,
        applies_to: grant.applies_to.clone(),
        label: grant.label.clone(),
        subscription: None,
        phase: if effective <= at {
            GrantPhase::Active
        } else {
            GrantPhase::Waiting
        },
    };
    let mut draft = Draft::new(wallet, at);
    let paid_debt = open_grant_state(&mut draft, &grant.id, state);
    Ok(draft.finish(|wallet| Answer::Granted {
        paid_debt,
        balances: wallet.balances(),
    }))
}

/// Opens a grant, lets a paid one pay debt at once, and tells how much of it that took.
fn open_grant_state(draft: &mut Draft<'_>, id: &GrantId, state: GrantState) -> Nanos {
    let (asset, amount, category, phase) = (state.asset.clone(), state.amount, state.category, state.phase);
    let contra = match category {
        Category::Paid => Account::Purchases,
        Category::Promotional => Account::Promotional,
        Category::Included => Account::Included,
    };
    draft.put(Effect::GrantOpened(id.clone(), Box::new(state)));
    draft.post(Account::Available(id.clone()), &asset, amount, None);
    draft.post(contra, &asset, Nanos::new(-amount.get()), None);
    match phase {
        GrantPhase::Active => pay_debt(draft, id, &asset, category),
        GrantPhase::Waiting | GrantPhase::Expired => Nanos::ZERO,
    }
}

/// Bought value pays debt first; included and promotional value never does.
fn pay_debt(draft: &mut Draft<'_>, id: &GrantId, asset: &Asset, category: Category) -> Nanos {
    let owed = draft
        .wallet
        .header
        .assets
        .get(asset)
        .map_or(0, |totals| -totals.debt.get());
    let there = draft
        .wallet
        .grants
        .get(id)
        .map_or(0, |grant| grant.available.get());
    let paid = match category {
        Category::Paid => owed.min(there),
        Category::Promotional | Category::Included => 0,
    };
    draft.post(Account::Available(id.clone()), asset, Nanos::new(-paid), None);
    draft.post(Account::Debt, asset, Nanos::new(paid), None);
    Nanos::new(paid)
}

fn start_subscription(
    wallet: &mut Wallet,
    subscribe: &Subscribe,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    if subscribe.cadence == Cadence::Days(0) {
        return Err(Refusal::Time {
            field: "cadence",
            problem: "must be at least one day".into(),
        });
    }
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
    let priced = match &pricing.verdict {
        Verdict::Priced(priced) => priced,
        Verdict::Rejected(rejection) => return Err(Refusal::PlanRefused(rejection.clone())),
        Verdict::Failed { code, message } => {
            return Err(Refusal::PlanFailed {
                code: code.clone(),
                message: message.clone(),
            });
        }
    };
    let event_types = &pricing.event_types;
    for (owner, other) in &wallet.subscriptions {
        if let Some(event_type) = other.event_types.iter().find(|t| event_types.contains(t)) {
            return Err(Refusal::EventTypeOwned {
                event_type: event_type.clone(),
                owner: owner.clone(),
            });
        }
    }
    if wallet.subscriptions.len() >= limits::SUBSCRIPTIONS_PER_WALLET_MAX {
        let max = limits::SUBSCRIPTIONS_PER_WALLET_MAX;
        return Err(too_many("subscriptions", "SUBSCRIPTIONS_PER_WALLET_MAX", max));
    }
    let subscription = SubscriptionState {
        plan: subscribe.plan.clone(),
        started: at,
        anchor: subscribe.anchor.unwrap_or(at),
        cadence: subscribe.cadence,
        period: pricing.period,
        seats: subscribe.seats,
        event_types: event_types.clone(),
        state: Vec::new(),
        state_version: pricing.state_version,
        revision: pricing.revision,
        timers: Default::default(),
    };
    let ready = Ready::new(wallet, priced, &Default::default())?;
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::SubscriptionPut(
        subscribe.id.clone(),
        Box::new(subscription),
    ));
    ready.post(&mut draft, pricing, Cause::Start, at);
    let (period, revision) = (pricing.period, pricing.revision);
    Ok(draft.finish(|wallet| Answer::Subscribed {
        period,
        revision,
        balances: wallet.balances(),
    }))
}

/// Usage happened: whatever can be said of it, it is kept.
pub(crate) fn charge_usage(
    wallet: &mut Wallet,
    event: &Event,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    match priced_or_reason(wallet, event, seen) {
        Ok((pricing, priced, ready)) => {
            let mut draft = Draft::new(wallet, at);
            ready.post(&mut draft, pricing, Cause::Event(event), at);
            let charges = lines(&priced.charges);
            Ok(draft.finish(|wallet| Answer::Charged {
                charges,
                balances: wallet.balances(),
            }))
        }
        Err(reason) => {
            let mut draft = Draft::new(wallet, at);
            let kept = UnpricedState {
                received: at,
                event: event.clone(),
                reason: reason.clone(),
            };
            draft.put(Effect::UnpricedKept(Box::new(kept)));
            Ok(draft.finish(|_| Answer::Unpriced(reason)))
        }
    }
}

/// What was kept without a price gets one; without one it stays kept, and nothing is written.
fn rate_unpriced(
    wallet: &mut Wallet,
    rate: &RateUnpriced,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let (pricing, priced, ready) =
        priced_or_reason(wallet, &rate.event, seen).map_err(|_| Refusal::NotDue)?;
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::UnpricedRated(rate.sequence));
    ready.post(&mut draft, pricing, Cause::Event(&rate.event), at);
    let charges = lines(&priced.charges);
    Ok(draft.finish(|wallet| Answer::Charged {
        charges,
        balances: wallet.balances(),
    }))
}

fn priced_or_reason<'s>(
    wallet: &Wallet,
    event: &Event,
    seen: &'s Seen,
) -> Result<(&'s Pricing, &'s Priced, Ready<'s>), UnpricedReason> {
    let pricing = seen.pricing.as_ref().ok_or(UnpricedReason::NoSubscription)?;
    let priced = match &pricing.verdict {
        Verdict::Priced(priced) => priced,
        Verdict::Rejected(rejection) => return Err(UnpricedReason::Rejected(rejection.clone())),
        Verdict::Failed { code, message } => {
            return Err(UnpricedReason::PlanFailed {
                code: code.clone(),
                message: message.clone(),
            });
        }
    };
    let ready =
        Ready::new(wallet, priced, &event.attributes).map_err(|refusal| UnpricedReason::PlanFailed {
            code: "unpostable".into(),
            message: refusal.to_string(),
        })?;
    Ok((pricing, priced, ready))
}

/// A plan's answer that is known to fit the wallet: every charge has its slices.
pub(crate) struct Ready<'p> {
    priced: &'p Priced,
    draws: Vec<crate::cover::Draw>,
}

impl<'p> Ready<'p> {
    /// Covers the charges; what the wallet lacks becomes debt, because it happened.
    pub fn new(
        wallet: &Wallet,
        priced: &'p Priced,
        attributes: &std::collections::BTreeMap<String, String>,
    ) -> Result<Ready<'p>, Refusal> {
        check_priced(wallet, priced)?;
        let covered = cover(wallet, &priced.charges, attributes, Vec::new()).map_err(unpostable)?;
        let mut draws = covered.draws;
        draws.extend(covered.uncovered.into_iter().map(debt));
        Ok(Ready { priced, draws })
    }

    /// Posts charges, then grants, then the plan's state, its subject's state and its timers.
    pub fn post(self, draft: &mut Draft<'_>, pricing: &Pricing, cause: Cause<'_>, at: Timestamp) {
        draft.take(&self.draws);
        carry_out(draft, self.priced, pricing, cause, at);
    }
}

/// What a plan was asked about.
#[derive(Clone, Copy)]
pub(crate) enum Cause<'e> {
    /// An event.
    Event(&'e Event),
    /// The start of its subscription.
    Start,
    /// Something that fell due at this instant.
    Due(Timestamp),
}

/// Whether the wallet has room for what a plan answered, and the grants in it make sense.
pub(crate) fn check_priced(wallet: &Wallet, priced: &Priced) -> Result<(), Refusal> {
    let sensible = |order: &GrantOrder| order.amount.is_positive() && order.amount.get() <= GRANT_NANOS_MAX;
    if !priced.grants.iter().all(sensible) {
        let problem = "of a grant that the plan gives must be more than zero and at most 10^18";
        return Err(Refusal::Amount {
            field: "amount",
            problem,
        });
    }
    let charges = priced.charges.iter();
    let prices = charges.flat_map(|c| std::iter::once(&c.price).chain(&c.otherwise));
    let charged = prices.filter(|p| !p.amount.is_zero()).map(|p| &p.asset);
    let granted = priced.grants.iter().map(|order| &order.asset);
    check_room(wallet, charged.chain(granted), priced.grants.len())
}

/// What a plan orders besides charges.
pub(crate) fn carry_out(
    draft: &mut Draft<'_>,
    priced: &Priced,
    pricing: &Pricing,
    cause: Cause<'_>,
    at: Timestamp,
) {
    for (index, order) in priced.grants.iter().enumerate() {
        let sequence = draft.wallet.header.sequence + 1;
        // A subscription's name may take all of the room; its grants then go by the record alone.
        let wanted = [
            format!("{}:{sequence}:{index}", pricing.subscription),
            format!("plan:{sequence}:{index}"),
        ];
        let Some(id) = draft.unused_grant_id(&wanted) else {
            continue;
        };
        open_grant_state(draft, &id, ordered_grant(order, &pricing.subscription, at));
    }
    let Some(subscription) = draft.wallet.subscription(&pricing.subscription) else {
        return;
    };
    let mut changed = subscription.clone();
    if let Some(state) = &priced.state {
        changed.state.clone_from(state);
        changed.state_version = pricing.state_version;
        changed.revision = pricing.revision;
    }
    for timer in &priced.timers {
        match (timer.at, cause) {
            // A plan that is woken can only ask for a later time: else it would be woken for ever at one instant.
            (Some(at), Cause::Due(instant)) => {
                let later = at.max(instant.saturating_add(limits::TIMER_STEP_MIN));
                changed.timers.insert(timer.key.clone(), later)
            }
            (Some(at), _) => changed.timers.insert(timer.key.clone(), at),
            (None, _) => changed.timers.remove(&timer.key),
        };
    }
    if changed != *subscription {
        draft.put(Effect::SubscriptionPut(
            pricing.subscription.clone(),
            Box::new(changed),
        ));
    }
    if let (Some(change), Cause::Event(event), Some(name)) =
        (&priced.subject, cause, &pricing.subject_attribute)
        && let Some(subject) = event.attributes.get(name)
    {
        draft.put(Effect::SubjectPut(
            pricing.subscription.clone(),
            subject.clone(),
            change.clone(),
        ));
    }
}

fn ordered_grant(order: &GrantOrder, subscription: &SubscriptionId, at: Timestamp) -> GrantState {
    let effective = order.effective.unwrap_or(at);
    GrantState {
        asset: order.asset.clone(),
        amount: order.amount,
        available: Nanos::ZERO,
        held: Nanos::ZERO,
        category: order.category,
        priority: order.priority,
        effective,
        expires: order.expires,
        applies_to: order.applies_to.clone(),
        label: Some(order.label.clone()),
        subscription: Some(subscription.clone()),
        phase: if effective <= at {
            GrantPhase::Active
        } else {
            GrantPhase::Waiting
        },
    }
}

/// What nothing covers is owed.
pub(crate) fn debt(uncovered: Uncovered) -> crate::cover::Draw {
    crate::cover::Draw {
        slice: farebox_record::state::Slice {
            charge: uncovered.charge,
            asset: uncovered.asset,
            from: farebox_record::state::SliceSource::Debt,
            amount: uncovered.missing,
        },
        origin: Origin::Live,
    }
}

pub(crate) fn unpostable(why: Uncoverable) -> Refusal {
    let problem = match why {
        Uncoverable::Chain => {
            "of every price in an `otherwise` chain must be more than zero, in at most 4 prices"
        }
        Uncoverable::GiveBack => "must not be negative: a give-back needs the event that it takes back from",
    };
    Refusal::Amount {
        field: "charge",
        problem,
    }
}

fn handle_due(wallet: &mut Wallet, due: &Due, seen: &Seen, at: Timestamp) -> Result<Outcome, Refusal> {
    let listed = wallet
        .next_due()
        .is_some_and(|(instant, item)| *instant == due.instant && *item == due.item);
    if !listed || due.instant > at {
        return Err(Refusal::NotDue);
    }
    match &due.item {
        DueItem::HoldExpiry(hold) => hold::expire(wallet, hold, at),
        DueItem::GrantExpiry(id) => Ok(expire_grant(wallet, id, at)),
        DueItem::GrantEffective(id) => Ok(activate_grant(wallet, id, at)),
        DueItem::Renewal(id) => transition(wallet, id, due, seen, at, |changed| {
            changed.period = period_after(changed);
        }),
        DueItem::Timer { subscription, key } => transition(wallet, subscription, due, seen, at, |changed| {
            changed.timers.remove(key);
        }),
    }
}

/// The next period; at the end of the calendar one that never ends.
fn period_after(subscription: &SubscriptionState) -> Period {
    let Period { end, index, .. } = subscription.period;
    let index = index.saturating_add(1);
    match period_with_index(subscription.anchor, subscription.cadence, index) {
        Ok(next) if next.end > end => next,
        _ => Period {
            start: end,
            end: Timestamp::from_micros(i64::MAX),
            index,
        },
    }
}

/// A renewal or a timer: the subscription moves on whatever the plan says, and even where no plan answers, so that nothing
/// can stop a wallet's time.
fn transition(
    wallet: &mut Wallet,
    id: &SubscriptionId,
    due: &Due,
    seen: &Seen,
    at: Timestamp,
    change: impl FnOnce(&mut SubscriptionState),
) -> Result<Outcome, Refusal> {
    let mut changed = wallet.subscription(id).cloned().ok_or(Refusal::NotDue)?;
    let ready = match &seen.pricing {
        Some(pricing) => match &pricing.verdict {
            Verdict::Priced(priced) => Ready::new(wallet, priced, &Default::default())
                .ok()
                .map(|ready| (ready, pricing)),
            Verdict::Rejected(_) | Verdict::Failed { .. } => None,
        },
        None => None,
    };
    change(&mut changed);
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::SubscriptionPut(id.clone(), Box::new(changed)));
    if let Some((ready, pricing)) = ready {
        ready.post(&mut draft, pricing, Cause::Due(due.instant), at);
    }
    Ok(draft.finish(|_| Answer::Handled))
}

/// What of the grant is free becomes breakage; what holds have pinned stays good for them.
fn expire_grant(wallet: &mut Wallet, id: &GrantId, at: Timestamp) -> Outcome {
    let mut draft = Draft::new(wallet, at);
    if let Some(grant) = draft.wallet.grants.get(id) {
        let (asset, free) = (grant.asset.clone(), grant.available);
        draft.put(Effect::GrantExpired(id.clone()));
        draft.post(
            Account::Available(id.clone()),
            &asset,
            Nanos::new(-free.get()),
            None,
        );
        draft.post(Account::Breakage, &asset, free, None);
        draft.touch(id.clone());
    }
    draft.finish(|_| Answer::Handled)
}

fn activate_grant(wallet: &mut Wallet, id: &GrantId, at: Timestamp) -> Outcome {
    let mut draft = Draft::new(wallet, at);
    if let Some(grant) = draft.wallet.grants.get(id) {
        let (asset, category) = (grant.asset.clone(), grant.category);
        draft.put(Effect::GrantActivated(id.clone()));
        pay_debt(&mut draft, id, &asset, category);
    }
    draft.finish(|_| Answer::Handled)
}

/// Not in the future, and not so old that its id may be forgotten.
fn check_event_time(event: &Event, at: Timestamp) -> Result<(), Refusal> {
    let Some(time) = event.time else { return Ok(()) };
    if time > at.saturating_add(limits::EVENT_AHEAD_MAX) {
        let problem = format!(
            "{time} is more than 5 minutes ahead of the server's clock, {at} (limit EVENT_AHEAD_MAX)"
        );
        return Err(Refusal::Time {
            field: "time",
            problem,
        });
    }
    if time < at.saturating_sub(limits::LATE_WINDOW) {
        let problem = format!("{time} is more than 35 days ago (limit LATE_WINDOW); use a backfill");
        return Err(Refusal::Time {
            field: "time",
            problem,
        });
    }
    Ok(())
}

pub(crate) fn check_ttl(ttl: Span) -> Result<(), Refusal> {
    match (limits::HOLD_TTL_MIN..=limits::HOLD_TTL_MAX).contains(&ttl) {
        true => Ok(()),
        false => Err(Refusal::Time {
            field: "ttl_seconds",
            problem: "must be 1 to 86400".into(),
        }),
    }
}

/// Whether the wallet can take so many more grants, and these assets.
fn check_room<'a>(
    wallet: &Wallet,
    assets: impl Iterator<Item = &'a Asset>,
    grants: usize,
) -> Result<(), Refusal> {
    if grants > 0 && wallet.grants.len() + grants > limits::GRANTS_PER_WALLET_MAX {
        return Err(too_many(
            "grants",
            "GRANTS_PER_WALLET_MAX",
            limits::GRANTS_PER_WALLET_MAX,
        ));
    }
    let known = &wallet.header.assets;
    let new: BTreeSet<&Asset> = assets.filter(|asset| !known.contains_key(*asset)).collect();
    if !new.is_empty() && known.len() + new.len() > limits::ASSETS_PER_WALLET_MAX {
        return Err(too_many(
            "assets",
            "ASSETS_PER_WALLET_MAX",
            limits::ASSETS_PER_WALLET_MAX,
        ));
    }
    Ok(())
}

pub(crate) fn too_many(what: &'static str, limit: &'static str, max: usize) -> Refusal {
    Refusal::Limit { what, limit, max }
}

/// Whether the charges hold a give-back, which no quote and no hold can contain.
pub(crate) fn has_give_back(charges: &[Charge]) -> bool {
    charges.iter().any(|charge| charge.price.amount.is_negative())
}
