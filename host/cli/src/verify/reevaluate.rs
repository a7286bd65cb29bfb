//! The proof of determinism: every price is computed again, and must be the same.

use std::cell::RefCell;
use std::sync::Arc;

use farebox_engine::{Again, ask_again, refold_again, reversal_again};
use farebox_record::correction::{Consequence, Refold};
use farebox_record::ids::{RevisionHash, SubscriptionId};
use farebox_record::outcome::{Pricing, Verdict as Recorded};
use farebox_record::plan::{Charge, EventRef};
use farebox_record::state::{Part, SubjectState};
use farebox_record::{Record, codec};
use farebox_runtime::{Revision, Runtime, Verdict};
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
        if let Some(Consequence::Refolded(recorded)) = record.seen.consequence.as_deref() {
            return self.refold(key, record, recorded, folded);
        }
        if let Some(Consequence::Reversed(reversal)) = record.seen.consequence.as_deref() {
            self.asked_again(key, record, reversal, &|runtime, revision| {
                let subjects = subjects_of(folded);
                reversal_again(runtime, revision, record, &folded.wallet, subjects)
            })?;
        }
        let Some(pricing) = &record.seen.pricing else {
            return Ok(());
        };
        self.asked_again(key, record, pricing, &|runtime, revision| {
            ask_again(runtime, revision, record, &folded.wallet, subjects_of(folded))
        })
    }

    /// Asks a plan again, and compares.
    fn asked_again(
        &mut self,
        key: &WalletKey,
        record: &Record,
        pricing: &Pricing,
        ask: &dyn Fn(&Runtime, &Arc<Revision>) -> Option<Verdict>,
    ) -> Result<(), StoreError> {
        self.report.priced += 1;
        if matches!(pricing.verdict, Recorded::Failed { .. }) {
            // Some failures are the machine's, so another answer now would prove nothing.
            self.report.failures += 1;
            return Ok(());
        }
        let wrong = match self.revisions.get(pricing.revision, self.store, self.runtime)? {
            Err(why) => Some(format!("revision {} is not to be had: {why}", pricing.revision)),
            Ok(revision) => match ask(self.runtime, revision) {
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

impl Audit<'_> {
    /// Folds a term again that a correction folded, and compares every price and the state behind them.
    fn refold(
        &mut self,
        key: &WalletKey,
        record: &Record,
        recorded: &Refold,
        folded: &Folded,
    ) -> Result<(), StoreError> {
        self.report.priced += 1;
        let again = {
            let revisions = RefCell::new(&mut self.revisions);
            let failed = RefCell::new(None);
            let revision = |hash: &RevisionHash| {
                let mut revisions = revisions.borrow_mut();
                match revisions.get(*hash, self.store, self.runtime) {
                    Ok(revision) => revision.as_ref().ok().cloned(),
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        None
                    }
                }
            };
            let again = refold_again(self.store, self.runtime, record, &folded.wallet, &revision)?;
            if let Some(error) = failed.into_inner() {
                return Err(error);
            }
            again
        };
        let wrong = match again {
            None => Some("it says that events were folded, and is no correction".to_string()),
            Some(Err(why)) => Some(format!("the term cannot be folded again: {why}")),
            Some(Ok(again)) => refold_differs(record, recorded, &again),
        };
        match wrong {
            None => self.report.reevaluated += 1,
            Some(what) => self.report.found(key, Some(record.sequence), "price", what),
        }
        Ok(())
    }
}

/// What of a fold is different now; none where it is the same.
fn refold_differs(record: &Record, recorded: &Refold, again: &Again) -> Option<String> {
    if let (Some(pricing), Some(verdict)) = (&record.seen.pricing, &again.replaced)
        && let Some(what) = difference(&pricing.verdict, verdict)
    {
        return Some(what);
    }
    let then: Vec<_> = (recorded.repriced.iter())
        .map(|repriced| (repriced.standing.event.reference(), &repriced.charges))
        .collect();
    let now: Vec<_> = (again.repriced.iter())
        .map(|(event, charges)| (event.clone(), charges))
        .collect();
    if then != now {
        let ids = |events: &[(EventRef, &Vec<Charge>)]| {
            let ids = events.iter().take(20).map(|(event, _)| event.id.as_str());
            ids.collect::<Vec<_>>().join(", ")
        };
        return Some(format!(
            "other events, or at other prices, stand behind the correction now: recorded [{}], now [{}]",
            ids(&then),
            ids(&now)
        ));
    }
    if recorded.state != again.state || recorded.events != again.events {
        return Some(format!(
            "the plan's state behind {} events is another one now (recorded: {} events)",
            again.events, recorded.events
        ));
    }
    None
}

/// States of subjects as a wallet keeps them; a default for those that it does not know.
fn subjects_of(folded: &Folded) -> impl Fn(&SubscriptionId, &str) -> SubjectState {
    |subscription: &SubscriptionId, name: &str| {
        let part = Part::Subject(subscription.clone(), name.to_string()).key();
        let kept = folded.on_demand.get(&part);
        let kept = kept.and_then(|bytes| codec::decode(bytes).ok());
        kept.unwrap_or_default()
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
