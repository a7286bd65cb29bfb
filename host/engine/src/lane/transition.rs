//! What happens to subscriptions besides usage: asks their plans at once. All of it is rare.

use farebox_ledger::{
    NextKind, Retold, Wallet, is_of_old_plan, next_period, period_at, period_with_index, remaining, retold,
};
use farebox_money::Nanos;
use farebox_record::command::{Command, Due, DueItem, Subscribe};
use farebox_record::correction::{Standing, TakenSlice};
use farebox_record::ids::{PlanName, SubscriptionId, TenantId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, TermState, When};
use farebox_record::outcome::{Line, Pricing};
use farebox_record::state::{DueChange, SubjectState};
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Change, Context, Replacement, ReversedCharge, Runtime, Subject};

use crate::controls::Controls;
use crate::lane::pricing::{balances, newest_of, pricing};

/// What a command means to a plan besides usage; none where no plan is told. `original` is the event that a void
/// takes back or an amendment replaces.
pub(crate) fn change_of(command: &Command, wallet: &Wallet, original: Option<&Standing>) -> Option<Change> {
    match command {
        Command::Subscribe(_) => Some(Change::Started),
        Command::Due(due) => match &due.item {
            DueItem::Renewal(id) => boundary(wallet, id, next_period(wallet.subscription(id)?).kind),
            DueItem::Timer { key, .. } => Some(Change::Due { key: key.clone() }),
            DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => None,
        },
        Command::RetryTransition(_) | Command::RetryChange(_) => {
            retold(wallet, command).map(|again| told_then(&again.change))
        }
        Command::ChangeSubscription(asked) => subscription_changed(asked, wallet),
        Command::Void(_) => Some(reversed_change(original?, Replacement::None)),
        Command::Amend(_) => Some(reversed_change(original?, Replacement::Follows)),
        _ => None,
    }
}

/// What the plan is told at the end of a period.
fn boundary(wallet: &Wallet, id: &SubscriptionId, kind: NextKind) -> Option<Change> {
    match kind {
        NextKind::Paused => None,
        NextKind::Pauses => Some(Change::Paused),
        NextKind::Renewed => Some(renewed(wallet, id)),
        NextKind::Cancelled => Some(cancelled(wallet, id)),
        NextKind::PlanChanged => plan_changed(wallet, id, Proration::None),
    }
}

/// What a plan was told and had no answer to.
pub(crate) fn told_then(change: &DueChange) -> Change {
    match change {
        DueChange::Timer(key) => Change::Due { key: key.clone() },
        DueChange::Renewed(remaining) => Change::Renewed {
            remaining: remaining.clone(),
        },
        DueChange::Cancelled(remaining) => Change::Cancelled {
            remaining: remaining.clone(),
        },
        DueChange::Paused => Change::Paused,
        DueChange::PlanChanged {
            previous,
            since,
            remaining,
        } => Change::PlanChanged {
            previous_plan: previous.to_string(),
            previous_since: *since,
            remaining: remaining.clone(),
            proration: wanted(Proration::None),
        },
    }
}

fn reversed_change(standing: &Standing, replacement: Replacement) -> Change {
    Change::Reversed {
        event: standing.event.reference(),
        time: standing.time,
        charges: reversed_charges(standing),
        replacement,
    }
}

/// A change that waits for the end of the period tells nobody but a new plan, for the event types that it would own.
fn subscription_changed(asked: &ChangeSubscription, wallet: &Wallet) -> Option<Change> {
    let id = &asked.subscription;
    let now = asked.when == When::Now;
    match &asked.change {
        SubscriptionChange::Plan { .. } => plan_changed(wallet, id, asked.proration),
        SubscriptionChange::Seats(seats) if now => Some(Change::SeatsChanged {
            before: wallet.subscription(id)?.seats,
            after: *seats,
            proration: wanted(asked.proration),
        }),
        SubscriptionChange::Pause if now => Some(Change::Paused),
        SubscriptionChange::Resume if now => Some(Change::Resumed),
        SubscriptionChange::Cancel if now => Some(cancelled(wallet, id)),
        _ => None,
    }
}

fn renewed(wallet: &Wallet, id: &SubscriptionId) -> Change {
    Change::Renewed {
        remaining: remaining(wallet, id),
    }
}

fn cancelled(wallet: &Wallet, id: &SubscriptionId) -> Change {
    Change::Cancelled {
        remaining: remaining(wallet, id),
    }
}

fn plan_changed(wallet: &Wallet, id: &SubscriptionId, proration: Proration) -> Option<Change> {
    let before = wallet.subscription(id)?;
    Some(Change::PlanChanged {
        previous_plan: before.plan.to_string(),
        previous_since: before.since,
        remaining: remaining(wallet, id),
        proration: wanted(proration),
    })
}

/// A subscription as its plan is told of a change.
struct Telling<'a> {
    id: &'a SubscriptionId,
    plan: &'a PlanName,
    period: Period,
    seats: u32,
    /// By which instant's revision it answers.
    at: Timestamp,
    /// When it happened, as it is told.
    time: Timestamp,
    /// The closed term that it is about; none: the present one.
    term: Option<&'a TermState>,
}

impl<'a> Telling<'a> {
    /// As the subscription stands.
    fn of(wallet: &'a Wallet, id: &'a SubscriptionId, at: Timestamp) -> Option<Telling<'a>> {
        let subscription = wallet.subscription(id)?;
        Some(Telling {
            id,
            plan: &subscription.plan,
            period: subscription.period,
            seats: subscription.seats,
            at,
            time: at,
            term: None,
        })
    }

    fn tell(&self, wallet: &Wallet, told: &Told<'_>, command: &Command, change: &Change) -> Option<Pricing> {
        let (kept, state) = state_before(wallet, self.id, command, change, self.term);
        let oldest = told
            .controls
            .pricing_now(told.tenant, self.plan, self.at, told.now)?;
        let subject = told.subject.map(|(_, kept)| kept);
        let later = told.controls.reading(
            told.tenant,
            self.plan,
            newest_of(self.plan, kept, state, subject),
            oldest,
            told.now,
        );
        let revision = later.unwrap_or(oldest);
        let context = Context {
            prepared: None,
            state,
            period: self.period,
            seats: self.seats,
            balances: &balances(wallet, revision.description()),
        };
        let subject = told.subject.map(|(name, kept)| {
            let state = &kept.state[..];
            (kept.version_of(self.plan), Subject { name, state })
        });
        let answer = told.runtime.transition_from(
            revision,
            (kept, &context),
            subject.as_ref().map(|(kept, subject)| (*kept, subject)),
            self.time,
            change,
        );
        let mut pricing = pricing(
            revision,
            self.id.clone(),
            self.period,
            self.seats,
            None,
            answer.verdict,
        );
        if matches!(change, Change::Started | Change::PlanChanged { .. }) {
            pricing
                .event_types
                .clone_from(&revision.description().event_types);
        }
        pricing.term = self.term.map(|term| Box::new(term.clone()));
        Some(pricing)
    }
}

/// Who is told: what does not depend on the subscription.
pub(crate) struct Told<'a> {
    pub runtime: &'a Runtime,
    pub tenant: &'a TenantId,
    pub controls: &'a Controls,
    /// What time it is.
    pub now: Timestamp,
    /// What the plan follows, where the change is about one.
    pub subject: Option<(&'a str, &'a SubjectState)>,
}

/// The state that a plan is told with, and the version that it is kept in: one that starts or takes over begins with nothing.
/// Where it is told again, it has what it has made of usage since, or, about a closed `term`, what that term opened with.
pub(crate) fn state_before<'w>(
    wallet: &'w Wallet,
    id: &SubscriptionId,
    command: &Command,
    change: &Change,
    term: Option<&'w TermState>,
) -> (Option<u32>, &'w [u8]) {
    if let (Some(term), Some(_)) = (term, command.retried()) {
        return (
            Some(term.opening_version.unwrap_or(term.state_version)),
            &term.opening,
        );
    }
    match change {
        Change::Started | Change::PlanChanged { .. } if command.retried().is_none() => (None, &[]),
        _ => match wallet.subscription(id) {
            Some(open) => (Some(open.state_version), &open.state),
            None => (None, &[]),
        },
    }
}

/// Starts a subscription. None where there is no such plan, or no calendar for it.
pub(crate) fn start(
    command: &Command,
    subscribe: &Subscribe,
    wallet: &Wallet,
    told: &Told<'_>,
    now: Timestamp,
) -> Option<Pricing> {
    let anchor = subscribe.anchor.unwrap_or(now);
    let telling = Telling {
        id: &subscribe.id,
        plan: &subscribe.plan,
        period: period_at(anchor, subscribe.cadence, now).ok()?,
        seats: subscribe.seats,
        at: now,
        time: now,
        term: None,
    };
    telling.tell(wallet, told, command, &Change::Started)
}

/// A renewal or a timer. None where nobody has to be asked, or nobody can answer.
pub(crate) fn due(command: &Command, due: &Due, wallet: &Wallet, told: &Told<'_>) -> Option<Pricing> {
    let change = change_of(command, wallet, None)?;
    match &due.item {
        DueItem::Renewal(id) => {
            let next = next_period(wallet.subscription(id)?);
            let telling = Telling {
                plan: &next.plan,
                period: next.period,
                seats: next.seats,
                ..Telling::of(wallet, id, due.instant)?
            };
            telling.tell(wallet, told, command, &change)
        }
        DueItem::Timer { subscription: id, .. } => {
            Telling::of(wallet, id, due.instant)?.tell(wallet, told, command, &change)
        }
        DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => None,
    }
}

/// A renewal or a timer that was not answered: tells the plan the same again, of a renewal about the period that it belongs to,
/// of a change of plan as of its instant ([`retried_at`]), by what is in force now. `again` is what it is told, and `term`
/// the closed term that it names, where that is still there. None where nobody can answer.
pub(crate) fn retry(
    command: &Command,
    again: &Retold,
    term: Option<&TermState>,
    wallet: &Wallet,
    told: &Told<'_>,
    now: Timestamp,
) -> Option<Pricing> {
    let (_, missed) = command.retried()?;
    let id = &again.subscription;
    if term.is_none() && is_of_old_plan(wallet, id, missed) {
        return None;
    }
    let present = Telling::of(wallet, id, now)?;
    let telling = match again.change {
        // It goes on from what is known now.
        DueChange::Timer(_) => present,
        _ => Telling {
            plan: term.map_or(present.plan, |term| &term.plan),
            period: missed.period,
            seats: missed.seats,
            time: retried_at(command).unwrap_or(now),
            term,
            ..present
        },
    };
    telling.tell(wallet, told, command, &told_then(&again.change))
}

/// When what is told again happened, where that does not go by now: a plan that takes over as a period begins would else take it
/// for a period that goes on, which was paid to another. Everything else goes on from what is known now.
pub(crate) fn retried_at(command: &Command) -> Option<Timestamp> {
    match command {
        Command::RetryChange(retry) if matches!(retry.missed.change, DueChange::PlanChanged { .. }) => {
            Some(retry.missed.transition.due.instant)
        }
        _ => None,
    }
}

/// A change of a subscription that a caller asked for.
pub(crate) fn change(
    command: &Command,
    asked: &ChangeSubscription,
    wallet: &Wallet,
    told: &Told<'_>,
    now: Timestamp,
) -> Option<Pricing> {
    let change = change_of(command, wallet, None)?;
    let id = &asked.subscription;
    let mut telling = Telling::of(wallet, id, now)?;
    match &asked.change {
        SubscriptionChange::Plan { plan, cadence } => {
            telling.plan = plan;
            let present = wallet.subscription(id)?.cadence;
            if let Some(cadence) = cadence.filter(|new| *new != present) {
                telling.period = period_with_index(now, cadence, 0).ok()?;
            }
        }
        SubscriptionChange::Seats(seats) => telling.seats = *seats,
        _ => {}
    }
    telling.tell(wallet, told, command, &change)
}

/// An event of a subject that was taken back.
pub(crate) fn reversed(
    command: &Command,
    standing: &Standing,
    wallet: &Wallet,
    told: &Told<'_>,
    now: Timestamp,
) -> Option<Pricing> {
    let change = change_of(command, wallet, Some(standing))?;
    let id = &standing.priced.as_ref()?.subscription;
    Telling::of(wallet, id, now)?.tell(wallet, told, command, &change)
}

/// What an event took and has not given back, per code and asset.
fn reversed_charges(standing: &Standing) -> Vec<ReversedCharge> {
    let mut sums: Vec<ReversedCharge> = Vec::new();
    for slice in &standing.slices {
        let same = |sum: &&mut ReversedCharge| sum.code == slice.code && sum.asset == slice.asset;
        match sums.iter_mut().find(same) {
            Some(sum) => sum.amount = Nanos::new(sum.amount.get() + slice.amount.get()),
            None => sums.push(ReversedCharge {
                code: slice.code.to_string(),
                asset: slice.asset.clone(),
                amount: slice.amount,
                quantity: quantity_of(standing, slice),
            }),
        }
    }
    sums
}

/// What the plan counted of a charge, in the asset in which it stated it.
fn quantity_of(standing: &Standing, slice: &TakenSlice) -> Nanos {
    let same = |line: &&Line| line.code == slice.code && line.asset == slice.asset;
    let counted = standing.lines.iter().filter(same).map(|line| line.quantity.get());
    Nanos::new(counted.sum())
}

/// Whether a plan is asked for proration.
pub(crate) fn wanted(proration: Proration) -> farebox_runtime::Proration {
    match proration {
        Proration::Prorate => farebox_runtime::Proration::Wanted,
        Proration::None => farebox_runtime::Proration::Unwanted,
    }
}
