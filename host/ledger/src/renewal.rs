//! What happens at the end of a period: the next one begins, with what was scheduled for it.

use farebox_record::command::Due;
use farebox_record::correction::Standing;
use farebox_record::ids::{PlanName, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange, SubscriptionStatus};
use farebox_record::outcome::{Answer, Effect, Outcome, Pricing, Seen, UnpricedReason, Verdict};
use farebox_record::plan::Category;
use farebox_record::state::{
    Cadence, DueChange, GrantPhase, MissedChange, MissedTransition, SubscriptionState, UnpricedState, Waiting,
};
use farebox_record::time::{Period, Timestamp};

use crate::calendar::period_with_index;
use crate::draft::{Draft, attempt};
use crate::grant::end_grant_value;
use crate::missed::told_at_the_end;
use crate::orders::{Cause, Ready};
use crate::refusal::Refusal;
use crate::term::next_term;
use crate::wallet::Wallet;

/// What the end of the present period brings. The engine asks the plan about it, and the ledger carries it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextPeriod {
    /// What the plan is told.
    pub kind: NextKind,
    /// Which plan serves it.
    pub plan: PlanName,
    /// Seats in it.
    pub seats: u32,
    /// The period itself.
    pub period: Period,
    /// Counted from here.
    pub anchor: Timestamp,
    /// How long it is.
    pub cadence: Cadence,
}

/// What a plan is told at the end of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextKind {
    /// The subscription goes on.
    Renewed,
    /// It goes on under a new plan, which is told what is left from the old one.
    PlanChanged,
    /// It ends.
    Cancelled,
    /// It rests from then on.
    Pauses,
    /// It is paused: the period passes, and nobody is told.
    Paused,
}

/// What the end of the subscription's present period brings.
pub fn next_period(subscription: &SubscriptionState) -> NextPeriod {
    let kind = next_kind(subscription);
    let mut next = NextPeriod {
        kind,
        plan: subscription.plan.clone(),
        seats: subscription.seats,
        period: period_after(subscription),
        anchor: subscription.anchor,
        cadence: subscription.cadence,
    };
    for scheduled in &subscription.scheduled {
        match &scheduled.change {
            // The end is settled for the seats that there were.
            SubscriptionChange::Seats(seats) if kind != NextKind::Cancelled => next.seats = *seats,
            // Another plan neither settles what it did not serve, nor takes over while it would not be asked.
            SubscriptionChange::Plan { plan, cadence } if kind == NextKind::PlanChanged => {
                next.plan = plan.clone();
                if let Some(cadence) = cadence.filter(|new| *new != subscription.cadence) {
                    next.cadence = cadence;
                    next.anchor = subscription.period.end;
                    next.period = first_period(next.anchor, cadence);
                }
            }
            _ => {}
        }
    }
    next
}

/// The end goes before a pause, and a pause before another plan, in whichever order they were asked for.
fn next_kind(subscription: &SubscriptionState) -> NextKind {
    let scheduled = |wanted: fn(&SubscriptionChange) -> bool| {
        let mut changes = subscription.scheduled.iter();
        changes.any(|scheduled| wanted(&scheduled.change))
    };
    let paused = matches!(subscription.status, SubscriptionStatus::Paused(_));
    if scheduled(|change| *change == SubscriptionChange::Cancel) {
        NextKind::Cancelled
    } else if paused {
        NextKind::Paused
    } else if scheduled(|change| *change == SubscriptionChange::Pause) {
        NextKind::Pauses
    } else if scheduled(|change| matches!(change, SubscriptionChange::Plan { .. })) {
        NextKind::PlanChanged
    } else {
        NextKind::Renewed
    }
}

/// The first period from an anchor; at the end of the calendar one that never ends.
pub(crate) fn first_period(anchor: Timestamp, cadence: Cadence) -> Period {
    period_with_index(anchor, cadence, 0).unwrap_or(Period {
        start: anchor,
        end: Timestamp::from_micros(i64::MAX),
        index: 0,
    })
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

/// Ends the present period. The subscription moves on whatever the plan says, and even where no plan answers, so that
/// nothing can stop a wallet's time; what the plan did not answer waits, and is asked again.
pub(crate) fn renew(
    wallet: &mut Wallet,
    id: &SubscriptionId,
    due: &Due,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let before = wallet.subscription(id).cloned().ok_or(Refusal::NotDue)?;
    let next = next_period(&before);
    let told = told_at_the_end(wallet, id, &before, next.kind);
    attempt(wallet, |wallet| {
        let mut draft = Draft::new(wallet, at);
        end_included(&mut draft, id, due.instant, Ending::Expiring);
        let mut changed = before.clone();
        next_term(&mut draft, id, &mut changed, due.instant, at);
        changed.seats = next.seats;
        changed.period = next.period;
        changed.status = match next.kind {
            NextKind::Pauses => SubscriptionStatus::Paused(due.instant),
            NextKind::Cancelled => SubscriptionStatus::Cancelled(due.instant),
            NextKind::Paused | NextKind::Renewed | NextKind::PlanChanged => before.status,
        };
        let stays = next.kind == NextKind::PlanChanged && !serves(draft.wallet, id, seen);
        // A new plan waits until it is asked: nobody is, while the subscription is paused.
        let waits = stays || matches!(next.kind, NextKind::Pauses | NextKind::Paused);
        changed
            .scheduled
            .retain(|scheduled| waits && matches!(scheduled.change, SubscriptionChange::Plan { .. }));
        match (next.kind, &seen.pricing) {
            // The new plan is gone, or another subscription took its event types meanwhile: the old one serves on, and
            // the change waits for the next end of a period.
            (NextKind::PlanChanged, _) if stays => changed.period = period_after(&before),
            (NextKind::PlanChanged, Some(pricing)) => {
                take_plan(&mut draft, id, &mut changed, &next.plan, pricing, due.instant);
                (changed.anchor, changed.cadence) = (next.anchor, next.cadence);
                end_included(&mut draft, id, due.instant, Ending::All);
            }
            (NextKind::Cancelled, _) => {
                changed.timers.clear();
                end_included(&mut draft, id, due.instant, Ending::All);
            }
            _ => {}
        }
        let cause = Cause::Due(due.instant);
        // Where the old plan serves on, it is its renewal that waits.
        let (answer, told) = match (stays, told) {
            (true, DueChange::PlanChanged { remaining, .. }) => (
                Answered::Missed(UnpricedReason::NoPlan),
                DueChange::Renewed(remaining),
            ),
            (_, told) if next.kind == NextKind::Paused => (Answered::Nobody, told),
            (_, told) => (answered(draft.wallet, seen, cause), told),
        };
        let fell = FellDue {
            due,
            told,
            cause,
            owner: None,
        };
        finish(draft, id, changed, answer, fell, at)
    })
}

/// What a plan answered to a transition: an order to carry out, nothing because nobody was asked, or a reason to ask again.
pub(crate) enum Answered<'s> {
    Orders(Ready<'s>, &'s Pricing),
    Nobody,
    Missed(UnpricedReason),
}

/// What the plan answered, fit to be posted.
pub(crate) fn answered<'s>(wallet: &Wallet, seen: &'s Seen, cause: Cause<'_>) -> Answered<'s> {
    let Some(pricing) = &seen.pricing else {
        return Answered::Missed(UnpricedReason::NoPlan);
    };
    match &pricing.verdict {
        Verdict::Priced(priced) => match Ready::new(wallet, priced, pricing, cause) {
            Ok(ready) => Answered::Orders(ready, pricing),
            Err(refusal) => Answered::Missed(UnpricedReason::PlanFailed {
                code: "unpostable".into(),
                message: refusal.to_string(),
            }),
        },
        Verdict::Rejected(rejection) => Answered::Missed(UnpricedReason::Rejected(rejection.clone())),
        Verdict::Failed { code, message } => Answered::Missed(UnpricedReason::PlanFailed {
            code: code.clone(),
            message: message.clone(),
        }),
    }
}

/// What fell due, and what its plan was told.
pub(crate) struct FellDue<'d> {
    pub due: &'d Due,
    pub told: DueChange,
    pub cause: Cause<'d>,
    /// The event that the charges belong to, as it stands.
    pub owner: Option<&'d Standing>,
}

/// Carries an answer out, or keeps what has none.
pub(crate) fn finish(
    mut draft: Draft<'_>,
    id: &SubscriptionId,
    mut changed: SubscriptionState,
    answer: Answered<'_>,
    fell: FellDue<'_>,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let missed = |changed: &SubscriptionState| MissedChange {
        transition: MissedTransition {
            due: fell.due.clone(),
            period: changed.period,
            seats: changed.seats,
        },
        plan: changed.plan.clone(),
        change: fell.told,
    };
    let begins = draft
        .wallet
        .subscription(id)
        .is_some_and(|s| s.term != changed.term);
    if let (true, Answered::Orders(_, pricing)) = (begins, &answer)
        && let Verdict::Priced(priced) = &pricing.verdict
        && let Some(state) = &priced.state
    {
        // A term opens with what the plan made of the renewal.
        changed.open_with(state, pricing.state_version);
    }
    let kept = match &answer {
        Answered::Missed(reason) => Some(UnpricedState {
            received: at,
            what: Waiting::Change(Box::new(missed(&changed))),
            reason: reason.clone(),
        }),
        Answered::Nobody | Answered::Orders(..) => None,
    };
    if draft.wallet.subscription(id) != Some(&changed) {
        draft.put(Effect::SubscriptionPut(id.clone(), Box::new(changed)));
    }
    if let Answered::Orders(ready, pricing) = answer {
        ready.post_for(&mut draft, pricing, fell.cause, fell.owner, at);
    }
    if let Some(kept) = kept {
        draft.put(Effect::UnpricedKept(Box::new(kept)));
    }
    Ok(draft.finish(|_| Answer::Handled))
}

/// Whether the plan that answered can take the subscription over: no other owns its event types.
fn serves(wallet: &Wallet, id: &SubscriptionId, seen: &Seen) -> bool {
    let Some(pricing) = &seen.pricing else {
        return false;
    };
    wallet.owner_of_any(&pricing.event_types, id).is_none()
}

/// The subscription under a new plan, which begins with an empty state. The caller puts it.
pub(crate) fn take_plan(
    draft: &mut Draft<'_>,
    id: &SubscriptionId,
    changed: &mut SubscriptionState,
    plan: &PlanName,
    pricing: &Pricing,
    since: Timestamp,
) {
    draft.put(Effect::PlanTaken(id.clone(), since));
    changed.plan = plan.clone();
    changed.event_types.clone_from(&pricing.event_types);
    changed.state.clear();
    changed.opening.clear();
    changed.opening_version = None;
    changed.state_version = pricing.state_version;
    changed.revision = pricing.revision;
    changed.timers.clear();
}

/// Which of a subscription's grants end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Those that expire at the instant.
    Expiring,
    /// All that the subscription included.
    All,
}

/// Ends grants that a subscription included: what of them is free becomes breakage.
pub(crate) fn end_included(draft: &mut Draft<'_>, id: &SubscriptionId, instant: Timestamp, ending: Ending) {
    let ends = draft.wallet.grants.iter().filter(|(_, grant)| {
        let given = grant.subscription.as_ref() == Some(id) && grant.phase != GrantPhase::Expired;
        let expires = grant.expires.is_some_and(|expires| expires <= instant);
        given
            && match ending {
                Ending::Expiring => expires,
                Ending::All => grant.category == Category::Included,
            }
    });
    let ends: Vec<_> = ends.map(|(grant, _)| grant.clone()).collect();
    for grant in ends {
        end_grant_value(draft, &grant);
    }
}
