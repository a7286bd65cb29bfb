//! Renewals and timers that their plan had no answer to, asked again: what of the answer still applies is carried out.

use farebox_record::command::{Command, DueItem};
use farebox_record::ids::SubscriptionId;
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, Effect, Outcome, Seen, Verdict};
use farebox_record::plan::Priced;
use farebox_record::state::{DueChange, MissedTransition, SubscriptionState};
use farebox_record::time::Timestamp;

use crate::cover::lines;
use crate::draft::Draft;
use crate::missed::remaining;
use crate::orders::Ready;
use crate::refusal::Refusal;
use crate::term::term_of;
use crate::timer::{cause_of, is_void, timer_of};
use crate::timers::subject_timer;
use crate::wallet::Wallet;

/// What a plan that had no answer is to be told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retold {
    /// Which subscription.
    pub subscription: SubscriptionId,
    /// What the plan is told: what it was told then, as far as that was kept.
    pub change: DueChange,
    /// The closed term that the renewal began, by its number: its plan answers, by the state that the term opened with. None: the
    /// plan that serves the subscription now, by its present state.
    pub term: Option<u32>,
}

/// What a command that asks a plan again is to tell it. None where nothing applies any more, and for every other command.
pub fn retold(wallet: &Wallet, command: &Command) -> Option<Retold> {
    let (_, missed) = command.retried()?;
    let asked = Missed::of(wallet, command, missed)?;
    if asked.applies() == Applies::Nothing {
        return None;
    }
    // A timer goes on from the present state, and so does a rest.
    let begun = match (&missed.due.item, &asked.change) {
        (_, DueChange::Paused) => None,
        (DueItem::Renewal(_), _) => term_of(asked.subscription, asked.instant),
        _ => None,
    };
    let begun = begun.filter(|past| past.since <= asked.instant);
    Some(Retold {
        subscription: asked.id.clone(),
        change: asked.change,
        term: begun.map(|past| past.number),
    })
}

/// Whether a plan serves a subscription no more, that is to be told again what it had no answer to: without the term that it
/// served, nobody can answer for it.
pub fn is_of_old_plan(wallet: &Wallet, id: &SubscriptionId, missed: &MissedTransition) -> bool {
    let taken = wallet.plan_since.get(id);
    taken.is_some_and(|taken| missed.due.instant < *taken)
}

/// A missed renewal or timer beside its subscription as it stands now.
struct Missed<'w> {
    id: SubscriptionId,
    subscription: &'w SubscriptionState,
    /// When the subscription ended.
    ended: Option<Timestamp>,
    /// Since when its plan serves it; none: from the start.
    taken: Option<Timestamp>,
    /// When it fell due.
    instant: Timestamp,
    /// A timer of this key is set, of the same subject: that takes the place of one that went off.
    is_set_again: bool,
    change: DueChange,
}

impl<'w> Missed<'w> {
    fn of(wallet: &'w Wallet, command: &Command, missed: &MissedTransition) -> Option<Missed<'w>> {
        let (DueItem::Renewal(id) | DueItem::Timer { subscription: id, .. }) = &missed.due.item else {
            return None;
        };
        let subscription = wallet.subscription(id)?;
        let is_set_again = match &missed.due.item {
            DueItem::Timer { key, about: None, .. } => subscription.timers.contains_key(key),
            item => subject_timer(item).is_some_and(|timer| wallet.timers.get(&timer).is_some()),
        };
        let ended = match subscription.status {
            SubscriptionStatus::Cancelled(since) => Some(since),
            SubscriptionStatus::Active | SubscriptionStatus::Paused(_) => None,
        };
        let taken = wallet.plan_since.get(id).copied();
        let instant = missed.due.instant;
        let change = match command {
            Command::RetryChange(retry) => retry.missed.change.clone(),
            // The first format did not say: it is what the boundary looks like from here.
            _ => match &missed.due.item {
                DueItem::Timer { key, .. } => DueChange::Timer(key.clone()),
                _ if ended == Some(instant) => DueChange::Cancelled(remaining(wallet, id)),
                _ if taken == Some(instant) => DueChange::PlanChanged {
                    previous: subscription.plan.clone(),
                    since: subscription.since,
                    remaining: remaining(wallet, id),
                },
                _ => DueChange::Renewed(remaining(wallet, id)),
            },
        };
        Some(Missed {
            id: id.clone(),
            subscription,
            ended,
            taken,
            instant,
            is_set_again,
            change,
        })
    }

    fn applies(&self) -> Applies {
        let replaced = self.taken.is_some_and(|taken| self.instant < taken);
        let same_instant = |since: Option<Timestamp>| since == Some(self.instant);
        match self.change {
            // Timers end with their subscription and with their plan (at one instant they go off before another one takes over),
            // and where they are set again. Until then the plan answers by what is known now, all of which it may change.
            DueChange::Timer(_)
                if self.ended.is_some() || self.is_set_again || replaced || same_instant(self.taken) =>
            {
                Applies::Nothing
            }
            DueChange::Timer(_) => Applies::All,
            // At the very instant something else came of it, and nothing was served in between.
            DueChange::Renewed(_) if same_instant(self.ended) || same_instant(self.taken) => Applies::Nothing,
            DueChange::PlanChanged { .. } if same_instant(self.ended) => Applies::Nothing,
            // As long as it rests since then.
            DueChange::Paused if self.subscription.status == SubscriptionStatus::Paused(self.instant) => {
                Applies::All
            }
            DueChange::Paused => Applies::Nothing,
            DueChange::Renewed(_) | DueChange::PlanChanged { .. } if self.ended.is_some() || replaced => {
                Applies::Charges
            }
            _ if self.instant < self.subscription.since => Applies::Value,
            // What the plan says to the end itself is its last word.
            _ => Applies::All,
        }
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

/// A timer goes with the event that set it, also one that went off already and has no answer.
fn is_voided(command: &Command, seen: &Seen) -> bool {
    let event = timer_of(command).and_then(|about| about.event.as_ref());
    event.is_some_and(|event| is_void(seen, event))
}

/// A renewal or a timer that its plan had no answer to is asked again; without an answer it stays kept, unless nothing of it
/// applies any more.
pub(crate) fn retry(
    wallet: &mut Wallet,
    command: &Command,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let (sequence, missed) = command.retried().ok_or(Refusal::NotDue)?;
    let applies = Missed::of(wallet, command, missed).map_or(Applies::Nothing, |missed| missed.applies());
    if applies == Applies::Nothing || is_voided(command, seen) {
        let mut draft = Draft::new(wallet, at);
        draft.put(Effect::UnpricedRated(sequence));
        return Ok(draft.finish(|_| Answer::Handled));
    }
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NotDue)?;
    let Verdict::Priced(priced) = &pricing.verdict else {
        return Err(Refusal::NotDue);
    };
    let priced = applies.part_of(priced);
    let (owner, cause) = cause_of(missed.due.instant, timer_of(command), seen);
    let ready = Ready::new(wallet, &priced, pricing, cause).map_err(|_| Refusal::NotDue)?;
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::UnpricedRated(sequence));
    ready.post_for(&mut draft, pricing, cause, owner, at);
    let charges = lines(&priced.charges);
    Ok(draft.finish(|wallet| Answer::Charged {
        charges,
        balances: wallet.balances(),
    }))
}
