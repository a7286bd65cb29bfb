//! The proof of determinism: a plan is asked again what it was asked then.
//!
//! A record names the revision, the period, the seats and the time that its price was computed from; state and balances
//! are those of the wallet folded up to the record before. So the question is complete without any clock, timeline or
//! control plane, and the answer must be equal, charge by charge and byte by byte of state.

use std::sync::Arc;

use farebox_ledger::{Wallet, timer_of};
use farebox_record::Record;
use farebox_record::command::{AuthorizeMode, Command, DueItem};
use farebox_record::correction::Consequence;
use farebox_record::event::Event;
use farebox_record::ids::{PlanName, SubscriptionId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::{Pricing, Verdict as Recorded};
use farebox_record::plan::{Order, Priced};
use farebox_record::state::{KeptBy, SubjectState};
use farebox_runtime::{Batch, Context, Purpose, Revision, Runtime, Subject, Trigger, Verdict};

use crate::lane::{WorstCase, balances, balances_for, change_of, state_before};

/// The plan's answer to the question behind a record; none where there is no such question. `wallet` is as it was before
/// the record, and `subjects` gives the states of subjects as they were then (a default for those that were new).
pub fn ask_again(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    record: &Record,
    wallet: &Wallet,
    subjects: impl Fn(&SubscriptionId, &str) -> SubjectState,
) -> Option<Verdict> {
    let pricing = record.seen.pricing.as_ref()?;
    let original = record.seen.original.as_ref().map(|original| &original.standing);
    let followed = |event: &Event| -> Option<(String, SubjectState)> {
        let name = event.attributes.get(pricing.subject_attribute.as_ref()?)?;
        Some((name.to_string(), subjects(&pricing.subscription, name)))
    };
    let asked = priced_event(&record.command, wallet);
    let free = match (&record.command, &asked) {
        // A subscription that starts is asked about nothing but itself.
        (Command::Subscribe(_), _) => Vec::new(),
        (_, Some((event, _))) => balances_for(wallet, revision.description(), &event.reference()),
        (_, None) => balances(wallet, revision.description()),
    };
    let context = |state| Context {
        prepared: None,
        state,
        period: pricing.period,
        seats: pricing.seats,
        balances: &free,
    };
    if let Some((event, purpose)) = asked {
        let open = wallet.subscription(&pricing.subscription);
        let behind = Behind::of(record, pricing, wallet);
        let (kept, state) = match (&pricing.term, behind.state(), open) {
            (Some(term), _, _) => (Some(term.state_version), &term.state[..]),
            (None, Some((version, state)), _) => (Some(version), state),
            (None, None, Some(open)) => (Some(open.state_version), &open.state[..]),
            (None, None, None) => (None, &[][..]),
        };
        if purpose == Purpose::WorstCase && pricing.term.is_none() && !is_independent(revision) {
            let worst = WorstCase {
                revision,
                subscription: &pricing.subscription,
                period: pricing.period,
                seats: pricing.seats,
                time: record.seen.time,
                event: &event,
                cost: pricing.cost,
            };
            let states = |name: &str| subjects(&pricing.subscription, name);
            return Some(worst.quote(runtime, wallet, &states));
        }
        let followed = followed(&event).map(|(name, state)| {
            let state = behind.subject_state(&name).unwrap_or(state);
            (name, state)
        });
        return event_again(
            runtime,
            revision,
            record,
            pricing,
            (kept, &context(state)),
            &event,
            purpose,
            followed.as_ref().map(|(name, state)| {
                let plan = plan_of(wallet, &pricing.subscription, pricing.term.as_deref());
                kept_subject(name, state, plan)
            }),
        );
    }
    let change = change_of(&record.command, wallet, original)?;
    let time = match &record.command {
        Command::Due(due) => due.instant,
        _ => record.seen.time,
    };
    let term = pricing.term.as_deref();
    let (kept, state) = state_before(wallet, &pricing.subscription, &record.command, &change, term);
    let subject = match timer_of(&record.command) {
        Some(about) => Some((
            about.subject.clone(),
            subjects(&pricing.subscription, &about.subject),
        )),
        None => original.and_then(|standing| followed(&standing.event)),
    };
    let plan = plan_of(wallet, &pricing.subscription, term);
    let subject = subject
        .as_ref()
        .map(|(name, state)| kept_subject(name, state, plan));
    let subject = subject.as_ref().map(|(kept, subject)| (*kept, subject));
    let told = runtime.transition_from(revision, (kept, &context(state)), subject, time, &change);
    Some(told.verdict)
}

/// The plan's answer to the end of an event that is replaced, asked again; none where the plan was not told. The arguments
/// are those of [`ask_again`], with the revision that was told.
pub fn reversal_again(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    record: &Record,
    wallet: &Wallet,
    subjects: impl Fn(&SubscriptionId, &str) -> SubjectState,
) -> Option<Verdict> {
    let Some(Consequence::Reversed(reversal)) = record.seen.consequence.as_deref() else {
        return None;
    };
    let standing = &record.seen.original.as_ref()?.standing;
    let change = change_of(&record.command, wallet, Some(standing))?;
    let free = balances(wallet, revision.description());
    let (kept, state) = state_before(wallet, &reversal.subscription, &record.command, &change, None);
    let context = Context {
        prepared: None,
        state,
        period: reversal.period,
        seats: reversal.seats,
        balances: &free,
    };
    let attribute = reversal.subject_attribute.as_ref();
    let name = attribute.and_then(|attribute| standing.event.attributes.get(attribute));
    let state = name.map(|name| subjects(&reversal.subscription, name));
    let plan = plan_of(wallet, &reversal.subscription, None);
    let subject = (name.zip(state.as_ref())).map(|(name, state)| kept_subject(name, state, plan));
    let subject = subject.as_ref().map(|(kept, subject)| (*kept, subject));
    let told = runtime.transition_from(revision, (kept, &context), subject, record.at, &change);
    Some(told.verdict)
}

/// A subject as it is kept, with the version in which this plan keeps its state.
fn kept_subject<'s>(
    name: &'s str,
    kept: &'s SubjectState,
    plan: Option<&PlanName>,
) -> (Option<u32>, Subject<'s>) {
    let state = &kept.state[..];
    let version = plan.and_then(|plan| kept.version_of(plan));
    (version, Subject { name, state })
}

/// Whose plan a subscription's subjects are asked about: that of a closed term, or the present one.
fn plan_of<'w>(wallet: &'w Wallet, id: &SubscriptionId, term: Option<&'w TermState>) -> Option<&'w PlanName> {
    match term {
        Some(term) => Some(&term.plan),
        None => wallet.subscription(id).map(|subscription| &subscription.plan),
    }
}

/// What a plan left behind when it was told that the event before is taken back.
struct Behind<'r> {
    answered: Option<&'r Priced>,
    /// Who keeps its states.
    kept_by: Option<KeptBy>,
    /// Whether the question is about the same subscription.
    same: bool,
    /// What the event before was about.
    subject: Option<&'r str>,
}

impl<'r> Behind<'r> {
    fn of(record: &'r Record, pricing: &Pricing, wallet: &Wallet) -> Behind<'r> {
        let reversal = match record.seen.consequence.as_deref() {
            Some(Consequence::Reversed(reversal)) => Some(reversal),
            Some(Consequence::Refolded(_)) | None => None,
        };
        let answered = reversal.and_then(|reversal| match &reversal.verdict {
            Recorded::Priced(priced) => Some(priced),
            Recorded::Rejected(_) | Recorded::Failed { .. } => None,
        });
        let attribute = reversal.and_then(|reversal| reversal.subject_attribute.as_ref());
        let standing = record.seen.original.as_ref().map(|original| &original.standing);
        Behind {
            answered,
            kept_by: reversal.and_then(|reversal| {
                Some(KeptBy {
                    plan: wallet.subscription(&reversal.subscription)?.plan.clone(),
                    version: reversal.state_version,
                })
            }),
            same: reversal.is_some_and(|reversal| reversal.subscription == pricing.subscription),
            subject: attribute
                .zip(standing)
                .and_then(|(attribute, standing)| standing.event.attributes.get(attribute))
                .map(|name| name.as_str()),
        }
    }

    fn state(&self) -> Option<(u32, &'r [u8])> {
        let state = self.answered.filter(|_| self.same)?.state.as_deref()?;
        Some((self.kept_by.as_ref()?.version, state))
    }

    fn subject_state(&self, name: &str) -> Option<SubjectState> {
        let same = self.same && self.subject.is_some_and(|subject| subject == name);
        let change = self.answered.filter(|_| same)?.subject.as_ref()?;
        Some(SubjectState {
            state: change.state.clone(),
            expires: change.expires,
            kept_by: self.kept_by.clone(),
        })
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "a question to a plan has that many parts"
)]
fn event_again(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    record: &Record,
    pricing: &Pricing,
    (kept, context): (Option<u32>, &Context<'_>),
    event: &Event,
    purpose: Purpose,
    subject: Option<(Option<u32>, Subject<'_>)>,
) -> Option<Verdict> {
    let mut batch = Batch::new(revision);
    let context = batch.context_from(kept, context);
    let subject = subject.map(|(kept, subject)| batch.subject_from(kept, &subject));
    batch.push(&Trigger {
        purpose,
        event_type: &event.event_type,
        context,
        subject,
        time: record.seen.time,
        cost: pricing.cost,
        measures: &event.measures,
        attributes: &event.attributes,
        source: event.source.as_str(),
        id: event.id.as_str(),
    });
    runtime.evaluate(&batch).verdicts.pop()
}

fn is_independent(revision: &Revision) -> bool {
    let description = revision.description();
    description.order == Order::Independent && !description.wants_balances
}

/// The event that a command had priced, and for what; none where it is about none.
fn priced_event(command: &Command, wallet: &Wallet) -> Option<(Event, Purpose)> {
    match command {
        Command::Usage(event) => Some((event.clone(), Purpose::Usage)),
        Command::Backfill(backfill) => Some((backfill.event.clone(), Purpose::Usage)),
        Command::RateUnpriced(rate) => Some((rate.event.clone(), Purpose::Usage)),
        Command::Amend(amend) => Some((amend.event.clone(), Purpose::Usage)),
        Command::Authorize(authorize) => {
            let purpose = match authorize.mode {
                AuthorizeMode::Hold => Purpose::WorstCase,
                AuthorizeMode::Settle => Purpose::Usage,
            };
            Some((authorize.event.clone(), purpose))
        }
        Command::Settle(settle) => {
            let mut event = wallet.hold(&settle.hold)?.event.clone();
            event.measures.clone_from(&settle.measures);
            event.attributes.extend(&settle.attributes);
            Some((event, Purpose::Usage))
        }
        Command::Extend(extend) => {
            let mut event = wallet.hold(&extend.hold)?.event.clone();
            event.measures.clone_from(&extend.measures);
            Some((event, Purpose::WorstCase))
        }
        // The end of a call that was settled in part.
        Command::Release(release) => Some((wallet.used(&release.hold)?.event.clone(), Purpose::Usage)),
        Command::Due(due) => match &due.item {
            DueItem::HoldExpiry(hold) => Some((wallet.used(hold)?.event.clone(), Purpose::Usage)),
            _ => None,
        },
        _ => None,
    }
}
