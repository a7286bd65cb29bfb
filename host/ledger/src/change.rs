//! Changes of a subscription: seats, plan, pause, resume, cancel; at once, or at the end of the period.

use farebox_record::lifecycle::{
    ChangeSubscription, Scheduled, SubscriptionChange, SubscriptionStatus, When,
};
use farebox_record::outcome::{Answer, Effect, Line, Outcome, Pricing, Seen, SubscriptionChanged, Verdict};
use farebox_record::plan::Priced;
use farebox_record::state::{Cadence, SubscriptionState};
use farebox_record::time::Timestamp;

use crate::cover::lines;
use crate::draft::{Draft, attempt};
use crate::orders::{Cause, Ready};
use crate::refusal::Refusal;
use crate::renewal::{Ending, end_included, first_period, take_plan};
use crate::term::next_term;
use crate::wallet::Wallet;

/// Carries a change out, or schedules it.
pub(crate) fn change_subscription(
    wallet: &mut Wallet,
    asked: &ChangeSubscription,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let id = &asked.subscription;
    let before = wallet
        .subscription(id)
        .cloned()
        .ok_or_else(|| Refusal::UnknownSubscription(id.clone()))?;
    check_possible(&before, asked)?;
    if let SubscriptionChange::Plan { .. } = asked.change {
        let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
        wallet.check_unowned(&pricing.event_types, id)?;
    }
    if let SubscriptionChange::AboveHold(above) = asked.change {
        let mut draft = Draft::new(wallet, at);
        draft.put(Effect::AboveHoldPut(id.clone(), above));
        return Ok(draft.finish(|wallet| answer(wallet, asked, at, Vec::new())));
    }
    if asked.change == SubscriptionChange::Unschedule {
        let changed = SubscriptionState {
            scheduled: Vec::new(),
            ..before
        };
        return Ok(put(wallet, asked, changed, at, at));
    }
    if asked.when == When::PeriodEnd {
        let effective = before.period.end;
        return Ok(put(wallet, asked, scheduled(before, asked, at), effective, at));
    }
    carry_out(wallet, asked, before, seen, at)
}

fn check_possible(before: &SubscriptionState, asked: &ChangeSubscription) -> Result<(), Refusal> {
    use SubscriptionChange as C;
    let not_possible = |why| Err(Refusal::ChangeNotPossible(why));
    match (&asked.change, before.status) {
        (_, SubscriptionStatus::Cancelled(_)) => Err(Refusal::SubscriptionEnded),
        (C::Pause, SubscriptionStatus::Paused(_)) => not_possible("it is paused already"),
        (C::Resume, SubscriptionStatus::Active) => not_possible("it is not paused"),
        (C::Resume, _) if asked.when == When::PeriodEnd => {
            not_possible("a subscription is resumed at once; leave `when` out")
        }
        (C::AboveHold(_), _) if asked.when == When::PeriodEnd => {
            not_possible("what happens above a hold changes at once; leave `when` out")
        }
        (C::Unschedule, _) if before.scheduled.is_empty() => not_possible("nothing is scheduled"),
        (C::Plan { plan, cadence }, _)
            if *plan == before.plan && cadence.is_none_or(|cadence| cadence == before.cadence) =>
        {
            not_possible("it is on that plan already")
        }
        (
            C::Plan {
                cadence: Some(Cadence::Days(0)),
                ..
            },
            _,
        ) => not_possible("a period has at least one day"),
        (C::Plan { .. }, SubscriptionStatus::Paused(_)) if asked.when == When::Now => {
            not_possible("it is paused; resume it first")
        }
        _ => Ok(()),
    }
}

/// The subscription with the change on its list; a later one of the same kind takes the place of an earlier one.
fn scheduled(before: SubscriptionState, asked: &ChangeSubscription, at: Timestamp) -> SubscriptionState {
    let mut changed = before;
    let kind = std::mem::discriminant(&asked.change);
    changed
        .scheduled
        .retain(|scheduled| std::mem::discriminant(&scheduled.change) != kind);
    changed.scheduled.push(Scheduled {
        change: asked.change.clone(),
        asked: at,
    });
    changed
}

/// A change that no plan is asked about.
fn put(
    wallet: &mut Wallet,
    asked: &ChangeSubscription,
    changed: SubscriptionState,
    effective: Timestamp,
    at: Timestamp,
) -> Outcome {
    let mut draft = Draft::new(wallet, at);
    let id = asked.subscription.clone();
    draft.put(Effect::SubscriptionPut(id, Box::new(changed)));
    draft.finish(|wallet| answer(wallet, asked, effective, Vec::new()))
}

fn carry_out(
    wallet: &mut Wallet,
    asked: &ChangeSubscription,
    before: SubscriptionState,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let id = &asked.subscription;
    let mut changed = before;
    if asked.change == SubscriptionChange::Seats(changed.seats) {
        return Ok(put(wallet, asked, changed, at, at));
    }
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
    let priced = accepted(pricing)?;
    attempt(wallet, |wallet| {
        let mut draft = Draft::new(wallet, at);
        match &asked.change {
            SubscriptionChange::Seats(seats) => changed.seats = *seats,
            SubscriptionChange::Pause => changed.status = SubscriptionStatus::Paused(at),
            SubscriptionChange::Resume => changed.status = SubscriptionStatus::Active,
            SubscriptionChange::Cancel => {
                changed.status = SubscriptionStatus::Cancelled(at);
                changed.timers.clear();
                changed.scheduled.clear();
                end_included(&mut draft, id, at, Ending::All);
            }
            SubscriptionChange::Plan { plan, cadence } => {
                next_term(&mut draft, id, &mut changed, at, at);
                take_plan(&mut draft, id, &mut changed, plan, pricing, at);
                if let Some(cadence) = cadence.filter(|new| *new != changed.cadence) {
                    (changed.anchor, changed.cadence) = (at, cadence);
                    changed.period = first_period(at, cadence);
                }
                if let Some(state) = &priced.state {
                    changed.open_with(state, pricing.state_version);
                }
                end_included(&mut draft, id, at, Ending::All);
            }
            SubscriptionChange::Unschedule | SubscriptionChange::AboveHold(_) => {}
        }
        draft.put(Effect::SubscriptionPut(id.clone(), Box::new(changed)));
        let ready = Ready::new(draft.wallet, priced, pricing, Cause::Start)?;
        ready.post(&mut draft, pricing, Cause::Start, at);
        let charges = lines(&priced.charges);
        Ok(draft.finish(|wallet| answer(wallet, asked, at, charges)))
    })
}

fn accepted(pricing: &Pricing) -> Result<&Priced, Refusal> {
    match &pricing.verdict {
        Verdict::Priced(priced) => Ok(priced),
        Verdict::Rejected(rejection) => Err(Refusal::PlanRefused(rejection.clone())),
        Verdict::Failed { code, message } => Err(Refusal::PlanFailed {
            code: code.clone(),
            message: message.clone(),
        }),
    }
}

fn answer(wallet: &Wallet, asked: &ChangeSubscription, effective: Timestamp, charges: Vec<Line>) -> Answer {
    let Some(now) = wallet.subscription(&asked.subscription) else {
        return Answer::Handled;
    };
    Answer::SubscriptionChanged(Box::new(SubscriptionChanged {
        effective,
        status: now.status,
        seats: now.seats,
        period: now.period,
        charges,
        balances: wallet.balances(),
    }))
}
