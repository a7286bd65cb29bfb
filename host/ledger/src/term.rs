//! Terms: stretches of time under one plan within one period. A closed term is kept for as long as late events may belong
//! to it, with the plan's state in it.

use farebox_record::command::RememberTerm;
use farebox_record::ids::SubscriptionId;
use farebox_record::lifecycle::{PastTerm, TermState};
use farebox_record::outcome::{Answer, Effect, Outcome};
use farebox_record::state::SubscriptionState;
use farebox_record::time::Timestamp;

use crate::draft::Draft;
use crate::limits::TERM_KEPT;
use crate::refusal::Refusal;
use crate::wallet::Wallet;

/// The present term of a subscription, as it stands, closed at `until`.
pub(crate) fn closed(subscription: &SubscriptionState, until: Timestamp) -> TermState {
    TermState {
        number: subscription.term,
        plan: subscription.plan.clone(),
        period: subscription.period,
        since: subscription.since,
        until,
        seats: subscription.seats,
        opening: subscription.opening.clone(),
        state: subscription.state.clone(),
        state_version: subscription.state_version,
        revision: subscription.revision,
        opened: subscription.opened,
        opening_version: subscription.opening_version,
    }
}

/// Closes the present term at `until`, begins the next one, and forgets terms that no event can be as late as.
/// `changed` becomes the subscription of the new term; the caller puts it.
pub(crate) fn next_term(
    draft: &mut Draft<'_>,
    id: &SubscriptionId,
    changed: &mut SubscriptionState,
    until: Timestamp,
    at: Timestamp,
) {
    let term = closed(changed, until);
    changed.past.push(PastTerm {
        number: term.number,
        since: term.since,
        until: term.until,
    });
    draft.put(Effect::TermPut(id.clone(), Box::new(term)));
    let gone = |past: &PastTerm| past.until.saturating_add(TERM_KEPT) < at;
    for past in changed.past.iter().filter(|past| gone(past)) {
        draft.put(Effect::TermForgotten(id.clone(), past.number));
    }
    changed.past.retain(|past| !gone(past));
    changed.term = changed.term.saturating_add(1);
    changed.since = until;
    changed.opened = draft.wallet.header.sequence + 1;
    changed.opening = changed.state.clone();
    changed.opening_version = None;
}

/// Keeps a term again that was forgotten, until the next period begins.
pub(crate) fn remember_term(
    wallet: &mut Wallet,
    remember: &RememberTerm,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let (id, term) = (&remember.subscription, &remember.term);
    let unknown = || Refusal::UnknownSubscription(id.clone());
    let mut changed = wallet.subscription(id).cloned().ok_or_else(unknown)?;
    let is_known = |past: &PastTerm| past.number == term.number;
    if term.number >= changed.term || changed.past.iter().any(is_known) {
        return Err(Refusal::NotDue);
    }
    let place = changed.past.partition_point(|past| past.number < term.number);
    changed.past.insert(
        place,
        PastTerm {
            number: term.number,
            since: term.since,
            until: term.until,
        },
    );
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::TermPut(id.clone(), Box::new(term.clone())));
    draft.put(Effect::SubscriptionPut(id.clone(), Box::new(changed)));
    Ok(draft.finish(|_| Answer::Handled))
}

/// The closed term that an event of this time belongs to; none: the open one. What is earlier than the oldest term that
/// is remembered belongs to that one.
pub fn term_of(subscription: &SubscriptionState, time: Timestamp) -> Option<&PastTerm> {
    if time >= subscription.since {
        return None;
    }
    let mut latest_first = subscription.past.iter().rev();
    latest_first
        .find(|past| past.since <= time)
        .or_else(|| subscription.past.first())
}
