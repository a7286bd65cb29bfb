//! Usage that happened: it is charged, or kept until it has a price.

use farebox_record::command::RateUnpriced;
use farebox_record::event::Event;
use farebox_record::outcome::{Answer, Effect, Outcome, Pricing, Seen, UnpricedReason, Verdict};
use farebox_record::plan::Priced;
use farebox_record::state::{UnpricedState, Waiting};
use farebox_record::time::Timestamp;

use crate::cover::lines;
use crate::draft::Draft;
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
