//! Usage that happened: it is charged, or kept until it has a price.

use farebox_record::command::RateUnpriced;
use farebox_record::correction::GiveBacks;
use farebox_record::event::Event;
use farebox_record::outcome::{Answer, Effect, Outcome, Pricing, Seen, UnpricedReason, Verdict};
use farebox_record::plan::Priced;
use farebox_record::state::{UnpricedState, Waiting};
use farebox_record::time::Timestamp;

use crate::cover::lines;
use crate::draft::{Draft, attempt};
use crate::giving::{Giving, UNPOSTABLE, gives_back};
use crate::orders::{Cause, Ready};
use crate::refusal::Refusal;
use crate::wallet::Wallet;

/// Usage happened: whatever can be said of it, it is kept.
pub(crate) fn charge_usage(
    wallet: &mut Wallet,
    event: &Event,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    match charge(wallet, event, None, seen, at) {
        Ok(outcome) => Ok(outcome),
        Err(reason) => {
            let mut draft = Draft::new(wallet, at);
            let kept = UnpricedState {
                received: at,
                what: Waiting::Event(event.clone()),
                reason: reason.clone(),
            };
            draft.put(Effect::UnpricedKept(Box::new(kept)));
            Ok(draft.finish(|_| Answer::Unpriced(reason)))
        }
    }
}

/// What was kept without a price gets one; without one it stays kept, and nothing is written.
pub(crate) fn rate_unpriced(
    wallet: &mut Wallet,
    rate: &RateUnpriced,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    charge(wallet, &rate.event, Some(rate.sequence), seen, at).map_err(|_| Refusal::NotDue)
}

/// Carries out what the plan says of an event, which `waited` under this number; or says why it cannot be.
fn charge(
    wallet: &mut Wallet,
    event: &Event,
    waited: Option<u64>,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, UnpricedReason> {
    let (pricing, priced) = priced_or_reason(seen)?;
    if gives_back(&priced.charges) {
        // What is charged depends on what was given back, so only behind that is it known whether it can be.
        let decide = |wallet: &mut Wallet| {
            let mut draft = begin(wallet, waited, at);
            post_event(&mut draft, event, pricing, priced, seen, at)?;
            Ok(charged(draft, priced))
        };
        return attempt(wallet, decide).map_err(unpostable);
    }
    let cause = Cause::Event(event);
    let ready = Ready::new(wallet, priced, pricing, cause).map_err(unpostable)?;
    let mut draft = begin(wallet, waited, at);
    ready.post(&mut draft, pricing, cause, at);
    Ok(charged(draft, priced))
}

fn begin(wallet: &mut Wallet, waited: Option<u64>, at: Timestamp) -> Draft<'_> {
    let mut draft = Draft::new(wallet, at);
    if let Some(sequence) = waited {
        draft.put(Effect::UnpricedRated(sequence));
    }
    draft
}

fn charged(draft: Draft<'_>, priced: &Priced) -> Outcome {
    let charges = lines(&priced.charges);
    draft.finish(|wallet| Answer::Charged {
        charges,
        balances: wallet.balances(),
    })
}

/// Posts what a plan says of an event: give-backs, charges, grants, and what it remembers.
pub(crate) fn post_event(
    draft: &mut Draft<'_>,
    event: &Event,
    pricing: &Pricing,
    priced: &Priced,
    seen: &Seen,
    at: Timestamp,
) -> Result<(), Refusal> {
    let (giver, nothing) = (event.reference(), GiveBacks::default());
    let mut giving = Giving::of(draft.wallet, &giver, &nothing, &priced.charges, &seen.named)?;
    draft.answer_holds(priced.charges.len());
    giving.give(draft, at);
    giving.take_again(draft, at)?;
    let cause = Cause::Event(event);
    let ready = Ready::behind_give_backs(draft.wallet, priced, pricing, cause)?;
    ready.post(draft, pricing, cause, at);
    Ok(())
}

fn priced_or_reason(seen: &Seen) -> Result<(&Pricing, &Priced), UnpricedReason> {
    let pricing = seen.pricing.as_ref().ok_or(UnpricedReason::NoSubscription)?;
    match &pricing.verdict {
        Verdict::Priced(priced) => Ok((pricing, priced)),
        Verdict::Rejected(rejection) => Err(UnpricedReason::Rejected(rejection.clone())),
        Verdict::Failed { code, message } => Err(UnpricedReason::PlanFailed {
            code: code.clone(),
            message: message.clone(),
        }),
    }
}

fn unpostable(refusal: Refusal) -> UnpricedReason {
    UnpricedReason::PlanFailed {
        code: UNPOSTABLE.into(),
        message: match refusal {
            Refusal::PlanFailed { message, .. } => message,
            other => other.to_string(),
        },
    }
}
