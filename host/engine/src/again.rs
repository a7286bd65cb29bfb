//! The proof of determinism: a plan is asked again what it was asked then.
//!
//! A record names the revision, the period, the seats and the time that its price was computed from; state and balances
//! are those of the wallet folded up to the record before. So the question is complete without any clock, timeline or
//! control plane, and the answer must be equal, charge by charge and byte by byte of state.

use std::sync::Arc;

use farebox_ledger::Wallet;
use farebox_record::Record;
use farebox_record::command::{AuthorizeMode, Command};
use farebox_record::event::Event;
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::Pricing;
use farebox_record::plan::Order;
use farebox_runtime::{Batch, Context, Purpose, Revision, Runtime, Subject, Trigger, Verdict};

use crate::lane::{WorstCase, balances, change_of, state_before};

/// The plan's answer to the question behind a record; none where there is no such question. `wallet` is as it was before
/// the record, and `subjects` gives the states of subjects as they were then (empty for those that were new).
pub fn ask_again(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    record: &Record,
    wallet: &Wallet,
    subjects: impl Fn(&SubscriptionId, &str) -> Vec<u8>,
) -> Option<Verdict> {
    let pricing = record.seen.pricing.as_ref()?;
    let original = record.seen.original.as_ref().map(|original| &original.standing);
    let followed = |event: &Event| -> Option<(String, Vec<u8>)> {
        let name = event.attributes.get(pricing.subject_attribute.as_ref()?)?;
        Some((name.clone(), subjects(&pricing.subscription, name)))
    };
    let free = match record.command {
        // A subscription that starts is asked about nothing but itself.
        Command::Subscribe(_) => Vec::new(),
        _ => balances(wallet, revision.description()),
    };
    let context = |state| Context {
        prepared: None,
        state,
        period: pricing.period,
        seats: pricing.seats,
        balances: &free,
    };
    if let Some((event, purpose)) = priced_event(&record.command, wallet) {
        let open = wallet.subscription(&pricing.subscription);
        let state = match &pricing.term {
            Some(term) => &term.state[..],
            None => open.map_or(&[][..], |s| &s.state),
        };
        let followed = followed(&event);
        let subject = followed.as_ref().map(|(name, state)| Subject { name, state });
        if purpose == Purpose::WorstCase && pricing.term.is_none() && !is_independent(revision) {
            let worst = WorstCase {
                revision,
                subscription: &pricing.subscription,
                period: pricing.period,
                seats: pricing.seats,
                time: record.seen.time,
                event: &event,
                cost: pricing.cost,
                subject,
            };
            return Some(worst.quote(runtime, wallet));
        }
        return event_again(
            runtime,
            revision,
            record,
            pricing,
            &context(state),
            &event,
            purpose,
            subject,
        );
    }
    let change = change_of(&record.command, wallet, original)?;
    let time = match &record.command {
        Command::Due(due) => due.instant,
        _ => record.seen.time,
    };
    let state = state_before(wallet, &pricing.subscription, &change);
    let subject = original.and_then(|standing| followed(&standing.event));
    let subject = subject.as_ref().map(|(name, state)| Subject { name, state });
    Some(
        runtime
            .transition(revision, &context(state), subject.as_ref(), time, &change)
            .verdict,
    )
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
    context: &Context<'_>,
    event: &Event,
    purpose: Purpose,
    subject: Option<Subject<'_>>,
) -> Option<Verdict> {
    let mut batch = Batch::new(revision);
    let context = batch.context(context);
    let subject = subject.map(|subject| batch.subject(&subject));
    batch.push(&Trigger {
        purpose,
        event_type: &event.event_type,
        context,
        subject,
        time: record.seen.time,
        cost: pricing.cost,
        measures: &event.measures,
        attributes: &event.attributes,
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
            event.attributes.extend(settle.attributes.clone());
            Some((event, Purpose::Usage))
        }
        Command::Extend(extend) => {
            let mut event = wallet.hold(&extend.hold)?.event.clone();
            event.measures.clone_from(&extend.measures);
            Some((event, Purpose::WorstCase))
        }
        _ => None,
    }
}
