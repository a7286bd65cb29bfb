//! The proof of determinism: every answer of a plan is asked for once more, from the records before it alone, and must be the
//! same. So is every fold of a term.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail, ensure};
use farebox_engine::{Controls, Engine, ask_again, refold_again, reversal_again};
use farebox_ledger::Wallet;
use farebox_record::correction::{Consequence, Refold};
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::{Effect, Pricing, Verdict};
use farebox_record::record::Record;
use farebox_record::state::SubjectState;
use farebox_runtime::{Runtime, Verdict as Again};
use farebox_store::JournalStore;

use crate::history::History;
use crate::log::Owner;
use crate::plans;

/// What was proved so far of each wallet: a record never changes, so each is asked about once.
#[derive(Debug, Default)]
pub struct Proofs(BTreeMap<Owner, Proved>);

/// A wallet, folded up to where all is proved.
#[derive(Debug, Default)]
struct Proved {
    records: usize,
    answers: u64,
    /// Answers from a state that an earlier version kept.
    taken_over: u64,
    wallet: Wallet,
    /// The same, decided again.
    decided: Wallet,
    /// What plans remember of subjects.
    subjects: BTreeMap<(SubscriptionId, String), SubjectState>,
}

impl Proofs {
    /// Proves what is new of a history; tells how many answers of it were given again, all in all, and how many of them
    /// took a state over.
    ///
    /// # Errors
    /// The first that is another now.
    pub fn check(
        &mut self,
        engine: &Engine,
        store: &JournalStore,
        history: &History,
    ) -> anyhow::Result<(u64, u64)> {
        let runtime = plans::runtime()?;
        let controls = engine.controls();
        let proved = self.0.entry(history.owner.clone()).or_default();
        let all = history.stored.iter().zip(&history.records);
        for (stored, record) in all.skip(proved.records) {
            let named = || format!("the answer behind record {}", record.sequence);
            proved.taken_over += u64::from(proved.takes_over(&controls, record));
            let answers = proved.prove(&controls, &runtime, store, record);
            proved.answers += answers
                .with_context(|| format!("{:?}", history.owner))
                .with_context(named)?;
            for effect in &record.outcome.effects {
                if let Effect::SubjectPut(subscription, name, change) = effect {
                    let subject = (subscription.clone(), name.clone());
                    proved.subjects.insert(subject, change.clone());
                }
            }
            let decided = proved.decided.decide_again(record, &stored.body);
            decided.map_err(|now| {
                anyhow!(
                    "{:?} record {}: decided again {now:?}",
                    history.owner,
                    record.sequence
                )
            })?;
            proved.decided.forget_changes();
            proved.wallet.replay(record, &stored.body)?;
            proved.records += 1;
        }
        Ok((proved.answers, proved.taken_over))
    }
}

impl Proved {
    /// Whether the plan that a record asked finds the subscription's state in an earlier version than its own.
    fn takes_over(&self, controls: &Controls, record: &Record) -> bool {
        let Some(pricing) = &record.seen.pricing else {
            return false;
        };
        let revision = controls.revision(&pricing.revision);
        let before = self.wallet.subscription(&pricing.subscription);
        revision.zip(before).is_some_and(|(revision, before)| {
            !before.state.is_empty() && before.state_version < revision.description().state_version
        })
    }

    /// How many answers the record has.
    fn prove(
        &self,
        controls: &Controls,
        runtime: &Runtime,
        store: &JournalStore,
        record: &Record,
    ) -> anyhow::Result<u64> {
        let mut answers = 0;
        let subjects = |subscription: &SubscriptionId, name: &str| {
            let subject = (subscription.clone(), name.to_string());
            self.subjects.get(&subject).cloned().unwrap_or_default()
        };
        let revision = |pricing: &Pricing| {
            let revision = controls.revision(&pricing.revision);
            revision.with_context(|| format!("{} is not to be had", pricing.revision))
        };
        match record.seen.consequence.as_deref() {
            Some(Consequence::Refolded(folded)) => {
                return self.fold(controls, runtime, store, record, folded).map(|()| 1);
            }
            Some(Consequence::Reversed(told)) => {
                let again = reversal_again(runtime, revision(told)?, record, &self.wallet, subjects);
                same(told, again.as_ref())?;
                answers += 1;
            }
            None => {}
        }
        if let Some(pricing) = &record.seen.pricing {
            if let Verdict::Failed { code, message } = &pricing.verdict {
                bail!("a plan that never fails did: {code}: {message}");
            }
            let again = ask_again(runtime, revision(pricing)?, record, &self.wallet, subjects);
            same(pricing, again.as_ref())?;
            answers += 1;
        }
        Ok(answers)
    }

    fn fold(
        &self,
        controls: &Controls,
        runtime: &Runtime,
        store: &JournalStore,
        record: &Record,
        folded: &Refold,
    ) -> anyhow::Result<()> {
        let revisions = |hash: &_| controls.revision(hash).cloned();
        let again = refold_again(store, runtime, record, &self.wallet, &revisions)?;
        let again = again.context("it folds nothing now")?;
        let again = again.map_err(|why| anyhow::anyhow!("it cannot be folded now: {why}"))?;
        if let (Some(pricing), Some(replaced)) = (&record.seen.pricing, again.replaced) {
            same(pricing, Some(&replaced))?;
        }
        let repriced = folded.repriced.iter();
        let repriced: Vec<_> = repriced
            .map(|repriced| (repriced.standing.event.reference(), repriced.charges.clone()))
            .collect();
        ensure!(
            (folded.events, &repriced, &folded.state) == (again.events, &again.repriced, &again.state),
            "{folded:?} is {} events now, {:?} repriced, and {:?} remembered",
            again.events,
            again.repriced,
            again.state
        );
        Ok(())
    }
}

/// An answer that failed proves nothing: the machine may be the reason.
fn same(pricing: &Pricing, again: Option<&Again>) -> anyhow::Result<()> {
    let is_same = match (&pricing.verdict, again) {
        (Verdict::Failed { .. }, _) => true,
        (Verdict::Priced(then), Some(Again::Priced(now))) => then == now,
        (Verdict::Rejected(then), Some(Again::Rejected(now))) => then == now,
        _ => false,
    };
    ensure!(is_same, "it was {:?}, and is {again:?}", pricing.verdict);
    Ok(())
}
