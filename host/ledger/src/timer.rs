//! Timers that plans set: of a subscription, or of a subject that the plan follows. What is charged when a subject's timer
//! goes off belongs to the event that set it: it has its attributes, is found with it, and comes back with it.

use farebox_record::command::{Command, Due, DueItem, TimerAbout};
use farebox_record::correction::{Original, Standing, StandingStatus};
use farebox_record::event::Event;
use farebox_record::ids::SubscriptionId;
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, Effect, Line, Outcome, Seen};
use farebox_record::plan::{EventRef, TimerOrder};
use farebox_record::state::{DueChange, SubjectTimer, TimerState};
use farebox_record::time::Timestamp;

use crate::draft::Draft;
use crate::limits::{TIMED_SLICES_PER_EVENT_MAX, TIMERS_PER_SUBSCRIPTION_MAX, TIMERS_PER_WALLET_MAX};
use crate::orders::{Cause, Ready};
use crate::refusal::{Refusal, too_many};
use crate::renewal::{FellDue, answered, finish};
use crate::wallet::Wallet;

impl Wallet {
    /// Whether a timer of a subject has nobody to go off for: its subscription has ended, or has had another plan since.
    pub fn is_over(&self, subscription: &SubscriptionId, key: &str, about: &TimerAbout) -> bool {
        let timer = name(subscription, key, &about.subject);
        let Some(state) = self.timers.get(&timer) else {
            return true;
        };
        let serves = self
            .subscription(subscription)
            .is_some_and(|s| s.plan == state.plan && !matches!(s.status, SubscriptionStatus::Cancelled(_)));
        let taken = self.plan_since.get(subscription);
        !serves || taken.is_some_and(|taken| state.set < *taken)
    }
}

/// The event that set the timer which a command is about: what is charged then belongs to it. None for every other command.
pub fn timer_of(command: &Command) -> Option<&TimerAbout> {
    let due = match command {
        Command::Due(due) => due,
        other => &other.retried()?.1.due,
    };
    match &due.item {
        DueItem::Timer { about, .. } => about.as_deref(),
        _ => None,
    }
}

/// A timer goes off.
pub(crate) fn wake(
    wallet: &mut Wallet,
    id: &SubscriptionId,
    key: &str,
    about: Option<&TimerAbout>,
    due: &Due,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    if let Some(about) = about
        && wallet.is_over(id, key, about)
    {
        let mut draft = Draft::new(wallet, at);
        put_timer(&mut draft, id, key, &about.subject, None);
        return Ok(draft.finish(|_| Answer::Handled));
    }
    let mut changed = wallet.subscription(id).cloned().ok_or(Refusal::NotDue)?;
    let (owner, cause) = cause_of(due.instant, about, seen);
    let answer = answered(wallet, seen, cause);
    let mut draft = Draft::new(wallet, at);
    match about {
        Some(about) => put_timer(&mut draft, id, key, &about.subject, None),
        None => {
            changed.timers.remove(key);
        }
    }
    let fell = FellDue {
        due,
        told: DueChange::Timer(key.to_string()),
        cause,
        owner,
    };
    finish(draft, id, changed, answer, fell, at)
}

/// What a plan that was woken is asked about, and the event that its charges belong to: the one that set the timer, where it
/// is known and still counts.
pub(crate) fn cause_of<'s>(
    instant: Timestamp,
    about: Option<&'s TimerAbout>,
    seen: &'s Seen,
) -> (Option<&'s Standing>, Cause<'s>) {
    let Some(about) = about else {
        return (None, Cause::Due(instant));
    };
    let event = about.event.as_ref();
    let owner = event
        .and_then(|event| original(seen, event))
        .map(|original| &original.standing);
    let has_room =
        |standing: &Standing| standing.slices.len().max(standing.lines.len()) < TIMED_SLICES_PER_EVENT_MAX;
    let owner = owner.filter(|standing| standing.status == StandingStatus::Charged && has_room(standing));
    let event: Option<&Event> = owner.map(|standing| &standing.event);
    (owner, Cause::Timer(instant, about, event))
}

/// Notes what a timer charged with the event that it belongs to.
pub(crate) fn note_charged(draft: &mut Draft<'_>, owner: &Standing, ready: &Ready<'_>, at: Timestamp) {
    let lines = ready.lines();
    if lines.is_empty() {
        return;
    }
    let mut after = owner.clone();
    for line in lines {
        add_line(&mut after.lines, line);
    }
    after.slices.extend(ready.slices(at));
    draft.put(Effect::StandingPut(after.event.reference(), Box::new(after)));
}

/// Lines of one code in one asset are one.
fn add_line(lines: &mut Vec<Line>, line: Line) {
    let same = |known: &&mut Line| known.code == line.code && known.asset == line.asset;
    if let Some(known) = lines.iter_mut().find(same)
        && let Some(amount) = known.amount.checked_add(line.amount)
        && let Some(quantity) = known.quantity.checked_add(line.quantity)
    {
        (known.amount, known.quantity) = (amount, quantity);
    } else {
        lines.push(line);
    }
}

/// Sets a timer of a subject, or takes it away where it is set.
pub(crate) fn put_timer(
    draft: &mut Draft<'_>,
    subscription: &SubscriptionId,
    key: &str,
    subject: &str,
    state: Option<TimerState>,
) {
    let timer = name(subscription, key, subject);
    if draft.wallet.timers.get(&timer) != state.as_ref() {
        draft.put(Effect::SubjectTimerPut(Box::new(timer), state.map(Box::new)));
    }
}

/// Takes away the timers that an event set, because it does not count any more.
pub(crate) fn take_away_timers(draft: &mut Draft<'_>, event: &EventRef) {
    let set = draft
        .wallet
        .timers
        .iter()
        .filter(|(_, state)| state.event.as_ref() == Some(event));
    let mut set: Vec<SubjectTimer> = set.map(|(timer, _)| timer.clone()).collect();
    set.sort_unstable();
    for timer in set {
        draft.put(Effect::SubjectTimerPut(Box::new(timer), None));
    }
}

/// Whether the wallet, and the subscription whose plan answers, have room for the timers that the answer sets: `subject` is
/// the one that it is about, whose timers stand in the wallet by themselves.
pub(crate) fn check_timers(
    wallet: &Wallet,
    subscription: &SubscriptionId,
    subject: Option<&str>,
    orders: &[TimerOrder],
) -> Result<(), Refusal> {
    let set = || orders.iter().filter(|order| order.at.is_some());
    if set().next().is_none() {
        return Ok(());
    }
    if subject.is_none() {
        let known = wallet.subscriptions.get(subscription).map(|own| &own.timers);
        let is_new = |order: &&TimerOrder| known.is_none_or(|known| !known.contains_key(&order.key));
        if known.map_or(0, |known| known.len()) + set().filter(is_new).count() > TIMERS_PER_SUBSCRIPTION_MAX {
            return Err(too_many(
                "timers of one subscription",
                "TIMERS_PER_SUBSCRIPTION_MAX",
                TIMERS_PER_SUBSCRIPTION_MAX,
            ));
        }
    }
    let others = wallet
        .subscriptions
        .values()
        .map(|subscription| subscription.timers.len());
    let all = wallet.timers.len() + others.sum::<usize>() + set().count();
    match all > TIMERS_PER_WALLET_MAX {
        true => Err(too_many("timers", "TIMERS_PER_WALLET_MAX", TIMERS_PER_WALLET_MAX)),
        false => Ok(()),
    }
}

/// Whether an event was taken back.
pub(crate) fn is_void(seen: &Seen, event: &EventRef) -> bool {
    original(seen, event).is_some_and(|original| original.standing.status == StandingStatus::Voided)
}

fn original<'s>(seen: &'s Seen, event: &EventRef) -> Option<&'s Original> {
    let mut known = seen.named.iter();
    known.find(|original| original.standing.event.reference() == *event)
}

fn name(subscription: &SubscriptionId, key: &str, subject: &str) -> SubjectTimer {
    SubjectTimer {
        subscription: subscription.clone(),
        key: key.to_string(),
        subject: subject.to_string(),
    }
}
