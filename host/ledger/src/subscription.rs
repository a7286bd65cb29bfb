//! Subscriptions: how one starts, and how it moves on at a renewal or a timer.

use farebox_record::command::{Due, Subscribe};
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::{Answer, Effect, Outcome, Seen, Verdict};
use farebox_record::state::{Cadence, SubscriptionState};
use farebox_record::time::{Period, Timestamp};

use crate::calendar::period_with_index;
use crate::draft::Draft;
use crate::limits;
use crate::orders::{Cause, Ready};
use crate::refusal::{Refusal, too_many};
use crate::wallet::Wallet;

pub(crate) fn start_subscription(
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

/// The next period; at the end of the calendar one that never ends.
pub(crate) fn period_after(subscription: &SubscriptionState) -> Period {
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

/// A renewal or a timer: the subscription moves on whatever the plan says, and even where no plan answers, so that
/// nothing can stop a wallet's time.
pub(crate) fn transition(
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
