//! Subscriptions: how one starts, and which event types it owns.

use farebox_record::command::{AboveHold, Subscribe};
use farebox_record::ids::{EventType, SubscriptionId};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, Effect, Outcome, Seen, Verdict};
use farebox_record::state::{Cadence, SubscriptionState};
use farebox_record::time::Timestamp;

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
    wallet.check_unowned(event_types, &subscribe.id)?;
    let forgotten = forgettable(wallet, at);
    if wallet.subscriptions.len() - forgotten.len() >= limits::SUBSCRIPTIONS_PER_WALLET_MAX {
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
        status: SubscriptionStatus::Active,
        scheduled: Vec::new(),
        term: 0,
        since: pricing.period.start.min(at),
        opened: wallet.header.sequence + 1,
        opening: priced.state.clone().unwrap_or_default(),
        past: Vec::new(),
        opening_version: None,
    };
    let ready = Ready::new(wallet, priced, pricing, Cause::Start)?;
    let mut draft = Draft::new(wallet, at);
    for gone in forgotten {
        forget(&mut draft, gone);
    }
    draft.put(Effect::SubscriptionPut(
        subscribe.id.clone(),
        Box::new(subscription),
    ));
    if subscribe.above_hold != AboveHold::AsSubscribed {
        draft.put(Effect::AboveHoldPut(subscribe.id.clone(), subscribe.above_hold));
    }
    ready.post(&mut draft, pricing, Cause::Start, at);
    let (period, revision) = (pricing.period, pricing.revision);
    Ok(draft.finish(|wallet| Answer::Subscribed {
        period,
        revision,
        balances: wallet.balances(),
    }))
}

impl Wallet {
    /// The subscription that prices events of this type: one that has not ended.
    pub fn owner(&self, event_type: &EventType) -> Option<(&SubscriptionId, &SubscriptionState)> {
        self.subscriptions()
            .find(|(_, s)| !has_ended(s) && s.event_types.contains(event_type))
    }

    /// The subscription that an event of this time belongs to: the one that ran then, ended or not; else one whose first
    /// period had begun by then, though it did not run yet; else the owner.
    pub fn owner_at(
        &self,
        event_type: &EventType,
        time: Timestamp,
    ) -> Option<(&SubscriptionId, &SubscriptionState)> {
        let ran = |subscription: &SubscriptionState, first: Timestamp| {
            let ended = match subscription.status {
                SubscriptionStatus::Cancelled(since) => since <= time,
                SubscriptionStatus::Active | SubscriptionStatus::Paused(_) => false,
            };
            first <= time && !ended && subscription.event_types.contains(event_type)
        };
        let first_term = |subscription: &SubscriptionState| {
            let past = subscription.past.first();
            past.map_or(subscription.since, |past| past.since)
        };
        let mut subscriptions = self.subscriptions();
        subscriptions
            .find(|(_, s)| ran(s, s.started))
            .or_else(|| self.subscriptions().find(|(_, s)| ran(s, first_term(s))))
            .or_else(|| self.owner(event_type))
    }

    /// A subscription other than `but` that owns one of these event types, and which one.
    pub(crate) fn owner_of_any(
        &self,
        event_types: &[EventType],
        but: &SubscriptionId,
    ) -> Option<(&SubscriptionId, &EventType)> {
        let others = self
            .subscriptions
            .iter()
            .filter(|(id, s)| *id != but && !has_ended(s));
        others
            .filter_map(|(id, s)| Some((id, s.event_types.iter().find(|t| event_types.contains(t))?)))
            .next()
    }

    pub(crate) fn check_unowned(
        &self,
        event_types: &[EventType],
        but: &SubscriptionId,
    ) -> Result<(), Refusal> {
        match self.owner_of_any(event_types, but) {
            None => Ok(()),
            Some((owner, event_type)) => Err(Refusal::EventTypeOwned {
                event_type: event_type.clone(),
                owner: owner.clone(),
            }),
        }
    }
}

fn has_ended(subscription: &SubscriptionState) -> bool {
    matches!(subscription.status, SubscriptionStatus::Cancelled(_))
}

/// A subscription is not remembered any more, and its terms with it: nothing else names them.
fn forget(draft: &mut Draft<'_>, id: SubscriptionId) {
    let past = draft.wallet.subscription(&id).map(|s| s.past.clone());
    for term in past.unwrap_or_default() {
        draft.put(Effect::TermForgotten(id.clone(), term.number));
    }
    draft.put(Effect::SubscriptionForgotten(id));
}

/// Subscriptions that ended so long ago that no late event can belong to them.
fn forgettable(wallet: &Wallet, at: Timestamp) -> Vec<SubscriptionId> {
    let old = |subscription: &SubscriptionState| match subscription.status {
        SubscriptionStatus::Cancelled(since) => since.saturating_add(limits::TERM_KEPT) < at,
        SubscriptionStatus::Active | SubscriptionStatus::Paused(_) => false,
    };
    let subscriptions = wallet.subscriptions.iter();
    subscriptions
        .filter(|(_, s)| old(s))
        .map(|(id, _)| id.clone())
        .collect()
}
