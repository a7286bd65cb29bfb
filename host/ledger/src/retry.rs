//! Renewals and timers that their plan had no answer to, asked again: what of the answer still applies is carried out.

use farebox_record::command::{DueItem, RetryTransition};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, Effect, Outcome, Seen, Verdict};
use farebox_record::plan::Priced;
use farebox_record::state::MissedTransition;
use farebox_record::time::Timestamp;

use crate::cover::lines;
use crate::draft::Draft;
use crate::orders::{Cause, Ready};
use crate::refusal::Refusal;
use crate::renewal::NextKind;
use crate::wallet::Wallet;

/// What a plan that missed a transition is to be asked now. The engine asks it, and the ledger carries out what applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryKind {
    /// The renewal, under the plan that serves the subscription now.
    Renewal(NextKind),
    /// The renewal of a plan that another one has replaced since: only that plan can answer for it.
    RenewalOfOldPlan,
    /// The timer.
    Timer,
    /// Nothing any more: it waits no longer.
    Nothing,
}

/// What a missed transition means by now.
pub fn retry_kind(wallet: &Wallet, missed: &MissedTransition) -> RetryKind {
    let (DueItem::Renewal(id) | DueItem::Timer { subscription: id, .. }) = &missed.due.item else {
        return RetryKind::Nothing;
    };
    let Some(subscription) = wallet.subscription(id) else {
        return RetryKind::Nothing;
    };
    let ended = match subscription.status {
        SubscriptionStatus::Cancelled(since) => Some(since),
        SubscriptionStatus::Active | SubscriptionStatus::Paused(_) => None,
    };
    let instant = missed.due.instant;
    let taken = wallet.plan_since.get(id).copied();
    match &missed.due.item {
        // Timers end with their plan and with their subscription.
        DueItem::Timer { .. } if ended.is_some() || taken.is_some_and(|taken| instant < taken) => {
            RetryKind::Nothing
        }
        DueItem::Timer { .. } => RetryKind::Timer,
        _ if ended == Some(instant) => RetryKind::Renewal(NextKind::Cancelled),
        _ if taken == Some(instant) => RetryKind::Renewal(NextKind::PlanChanged),
        _ if taken.is_some_and(|taken| instant < taken) => RetryKind::RenewalOfOldPlan,
        _ => RetryKind::Renewal(NextKind::Renewed),
    }
}

/// How much of a late answer applies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Applies {
    /// All of it: its term is the present one.
    All,
    /// Charges and grants: a later term has begun, with a state and timers of its own.
    Value,
    /// Charges: what was included has ended.
    Charges,
    /// Nothing.
    Nothing,
}

impl Applies {
    fn of(wallet: &Wallet, missed: &MissedTransition) -> Applies {
        let (DueItem::Renewal(id) | DueItem::Timer { subscription: id, .. }) = &missed.due.item else {
            return Applies::Nothing;
        };
        let Some(subscription) = wallet.subscription(id) else {
            return Applies::Nothing;
        };
        let ended = matches!(subscription.status, SubscriptionStatus::Cancelled(_));
        match retry_kind(wallet, missed) {
            RetryKind::Nothing => Applies::Nothing,
            RetryKind::RenewalOfOldPlan => Applies::Charges,
            // What the plan says to the end itself is its last word.
            RetryKind::Renewal(NextKind::Cancelled) => Applies::All,
            RetryKind::Renewal(_) if ended => Applies::Charges,
            RetryKind::Renewal(_) | RetryKind::Timer if missed.due.instant < subscription.since => {
                Applies::Value
            }
            RetryKind::Renewal(_) | RetryKind::Timer => Applies::All,
        }
    }

    fn part_of(self, priced: &Priced) -> Priced {
        match self {
            Applies::All => priced.clone(),
            Applies::Value => Priced {
                charges: priced.charges.clone(),
                grants: priced.grants.clone(),
                ..Priced::default()
            },
            Applies::Charges => Priced {
                charges: priced.charges.clone(),
                ..Priced::default()
            },
            Applies::Nothing => Priced::default(),
        }
    }
}

/// A renewal or a timer that its plan had no answer to is asked again; without an answer it stays kept, unless none
/// applies any more.
pub(crate) fn retry_transition(
    wallet: &mut Wallet,
    retry: &RetryTransition,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let applies = Applies::of(wallet, &retry.missed);
    if applies == Applies::Nothing {
        let mut draft = Draft::new(wallet, at);
        draft.put(Effect::UnpricedRated(retry.sequence));
        return Ok(draft.finish(|_| Answer::Handled));
    }
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NotDue)?;
    let Verdict::Priced(priced) = &pricing.verdict else {
        return Err(Refusal::NotDue);
    };
    let priced = applies.part_of(priced);
    let ready = Ready::new(wallet, &priced, &Default::default()).map_err(|_| Refusal::NotDue)?;
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::UnpricedRated(retry.sequence));
    ready.post(&mut draft, pricing, Cause::Due(retry.missed.due.instant), at);
    let charges = lines(&priced.charges);
    Ok(draft.finish(|wallet| Answer::Charged {
        charges,
        balances: wallet.balances(),
    }))
}
