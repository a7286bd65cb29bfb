//! The proof of determinism: the plan is asked again what it was asked then, and must answer the same.
//!
//! A record names the revision, the period, the seats and the time that its price was computed from; state and balances
//! are those of the wallet folded up to the record before. So the question is complete without any clock, timeline or
//! control plane, and the answer must be equal, charge by charge and byte by byte of state.

use std::sync::Arc;

use farebox_ledger::Wallet;
use farebox_money::Nanos;
use farebox_record::command::{AuthorizeMode, Command, DueItem};
use farebox_record::event::Event;
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::{Pricing, Verdict as Recorded};
use farebox_record::plan::{Description, SubjectChange};
use farebox_record::state::{GrantPhase, Part};
use farebox_record::{Record, codec};
use farebox_runtime::{
    Batch, Change, Context, Purpose, RemainingGrant, Revision, Runtime, Subject, Trigger, Verdict,
};
use farebox_store::{StoreError, WalletKey};

use super::audit::Audit;
use super::wallet::Folded;

impl Audit<'_> {
    /// Asks the plan of a record again, where a plan answered. `folded` is the wallet before the record.
    pub(super) fn reevaluate(
        &mut self,
        key: &WalletKey,
        record: &Record,
        folded: &Folded,
    ) -> Result<(), StoreError> {
        let Some(pricing) = &record.seen.pricing else {
            return Ok(());
        };
        self.report.priced += 1;
        if matches!(pricing.verdict, Recorded::Failed { .. }) {
            // Some failures are the machine's, so another answer now would prove nothing.
            self.report.failures += 1;
            return Ok(());
        }
        let wrong = match self.revisions.get(pricing.revision, self.store, self.runtime)? {
            Err(why) => Some(format!("revision {} is not to be had: {why}", pricing.revision)),
            Ok(revision) => match ask(self.runtime, revision, record, pricing, folded) {
                None => Some("its command is not one that a plan prices in this state".to_string()),
                Some(again) => difference(&pricing.verdict, &again),
            },
        };
        match wrong {
            None => self.report.reevaluated += 1,
            Some(what) => self.report.found(key, Some(record.sequence), "price", what),
        }
        Ok(())
    }
}

/// What differs, shortened; none where the answers are equal.
fn difference(recorded: &Recorded, again: &Verdict) -> Option<String> {
    let equal = match (recorded, again) {
        (Recorded::Priced(then), Verdict::Priced(now)) => then == now,
        (Recorded::Rejected(then), Verdict::Rejected(now)) => then == now,
        _ => false,
    };
    let brief = |verdict: String| verdict.chars().take(400).collect::<String>();
    (!equal).then(|| {
        format!(
            "the plan answers differently now: recorded {}, now {}",
            brief(format!("{recorded:?}")),
            brief(format!("{again:?}"))
        )
    })
}

/// The plan's answer to the question behind a record; none where there is no such question.
fn ask(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    record: &Record,
    pricing: &Pricing,
    folded: &Folded,
) -> Option<Verdict> {
    let wallet = &folded.wallet;
    let started = matches!(record.command, Command::Subscribe(_));
    // A subscription that starts has neither state nor balances yet.
    let (state, balances) = match wallet.subscription(&pricing.subscription) {
        Some(subscription) if !started => (&subscription.state[..], balances(wallet, revision.description())),
        _ => (&[][..], Vec::new()),
    };
    let context = Context {
        prepared: None,
        state,
        period: pricing.period,
        seats: pricing.seats,
        balances: &balances,
    };
    if let Some((event, purpose)) = event(&record.command, wallet) {
        return event_again(
            runtime, revision, record, pricing, folded, &context, &event, purpose,
        );
    }
    let (change, time) = match &record.command {
        Command::Subscribe(_) => (Change::Started, record.seen.time),
        Command::Due(due) => match &due.item {
            DueItem::Renewal(id) => (
                Change::Renewed {
                    remaining: remaining(wallet, id),
                },
                due.instant,
            ),
            DueItem::Timer { key, .. } => (Change::Due { key: key.clone() }, due.instant),
            DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => return None,
        },
        _ => return None,
    };
    Some(
        runtime
            .transition(revision, &context, None, time, &change)
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
    folded: &Folded,
    context: &Context<'_>,
    event: &Event,
    purpose: Purpose,
) -> Option<Verdict> {
    let mut batch = Batch::new(revision);
    let context = batch.context(context);
    let name = pricing
        .subject_attribute
        .as_ref()
        .and_then(|attribute| event.attributes.get(attribute));
    let subject = name.map(|name| {
        let part = Part::Subject(pricing.subscription.clone(), name.clone()).key();
        let kept = folded
            .on_demand
            .get(&part)
            .and_then(|bytes| codec::decode::<SubjectChange>(bytes).ok());
        batch.subject(&Subject {
            name,
            state: kept.as_ref().map_or(&[], |change| &change.state),
        })
    });
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

/// The event that a command had priced, and for what; none where it is about none.
fn event(command: &Command, wallet: &Wallet) -> Option<(Event, Purpose)> {
    match command {
        Command::Usage(event) => Some((event.clone(), Purpose::Usage)),
        Command::RateUnpriced(rate) => Some((rate.event.clone(), Purpose::Usage)),
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
        Command::PutCustomer(_)
        | Command::Grant(_)
        | Command::Subscribe(_)
        | Command::Release(_)
        | Command::PutLimit(_)
        | Command::DeleteLimit(_)
        | Command::Due(_) => None,
    }
}

/// What was left of the grants that a subscription gave.
fn remaining(wallet: &Wallet, id: &SubscriptionId) -> Vec<RemainingGrant> {
    let given = wallet
        .grants()
        .filter(|(_, grant)| grant.subscription.as_ref() == Some(id));
    given
        .map(|(_, grant)| RemainingGrant {
            asset: grant.asset.clone(),
            category: grant.category,
            label: grant.label.clone().unwrap_or_default(),
            granted: grant.amount,
            remaining: Nanos::new(grant.available.get() + grant.held.get()),
            expires: grant.expires,
        })
        .collect()
}

/// What was free of each described asset, for plans that want to know.
fn balances(wallet: &Wallet, description: &Description) -> Vec<Nanos> {
    if !description.wants_balances {
        return Vec::new();
    }
    let free = |asset: &farebox_money::Asset| {
        let active = wallet
            .grants()
            .filter(|(_, g)| g.asset == *asset && g.phase == GrantPhase::Active);
        Nanos::new(active.map(|(_, grant)| grant.available.get()).sum())
    };
    description
        .assets
        .iter()
        .map(|described| free(&described.asset))
        .collect()
}

#[cfg(test)]
mod tests {
    use farebox_record::plan::{Priced, Rejection};

    use super::*;

    #[test]
    fn only_the_same_answer_is_a_proof() {
        let priced = |state: &[u8]| Priced {
            state: Some(state.to_vec()),
            ..Priced::default()
        };
        let recorded = Recorded::Priced(priced(b"one"));
        assert_eq!(difference(&recorded, &Verdict::Priced(priced(b"one"))), None);
        let others = [
            Verdict::Priced(priced(b"two")),
            Verdict::Rejected(Rejection::Overflow),
        ];
        for other in others {
            let what = difference(&recorded, &other).unwrap();
            assert!(what.contains("recorded Priced"), "{what}");
        }
        let rejected = Recorded::Rejected(Rejection::Overflow);
        assert_eq!(
            difference(&rejected, &Verdict::Rejected(Rejection::Overflow)),
            None
        );
    }
}
