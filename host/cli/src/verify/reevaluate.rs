//! The proof of determinism: every price is computed again, and must be the same.

use std::sync::Arc;

use farebox_engine::ask_again;
use farebox_record::ids::SubscriptionId;
use farebox_record::outcome::Verdict as Recorded;
use farebox_record::plan::SubjectChange;
use farebox_record::state::Part;
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
            Ok(revision) => match again(self.runtime, revision, record, folded) {
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

/// What the plan answers now; none where the command is not one that it prices.
fn again(runtime: &Runtime, revision: &Arc<Revision>, record: &Record, folded: &Folded) -> Option<Verdict> {
    let subjects = |subscription: &SubscriptionId, name: &str| {
        let part = Part::Subject(subscription.clone(), name.to_string()).key();
        let kept = folded.on_demand.get(&part);
        let change = kept.and_then(|bytes| codec::decode::<SubjectChange>(bytes).ok());
        change.map_or_else(Vec::new, |change| change.state)
    };
    ask_again(runtime, revision, record, &folded.wallet, subjects)
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
