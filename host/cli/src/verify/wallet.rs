//! One wallet: folded again from its first record on, and compared with what the store shows.

use std::collections::{BTreeMap, HashMap};

use farebox_engine::limits::ID_WINDOW_DAYS;
use farebox_engine::projection::{BEFORE_ALL, accounts_of, booked, day_of};
use farebox_ledger::{DecidedOtherwise, Wallet};
use farebox_record::correction::{GiveBacks, Noted, Standing};
use farebox_record::identity_hash;
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::{Effect, Outcome};
use farebox_record::state::{Part, SubjectState, UnpricedState};
use farebox_record::time::{Span, Timestamp};
use farebox_record::{Record, codec};
use farebox_store::{IdHash, Image, Keep, ON_DEMAND, PartKey, StoreError, StoredRecord, WalletKey};
use serde::de::DeserializeOwned;

use super::audit::Audit;
use super::{PAGE_NAMES_MAX, Present, Replay, replay};

/// For how long an id of usage is known.
const ID_WINDOW: Span = Span::days(ID_WINDOW_DAYS);

/// A wallet as far as it has been folded.
#[derive(Default)]
pub(super) struct Folded {
    pub wallet: Wallet,
    /// The same, decided again record by record.
    decided: Wallet,
    /// Parts that are read on demand, as they must be in the store.
    pub on_demand: BTreeMap<PartKey, Vec<u8>>,
    /// Each with the time of the newest record that answers for it.
    ids: HashMap<IdHash, Timestamp>,
    /// The day that its history has come to.
    day: Timestamp,
    /// False once a record could not be folded: nothing behind it can be judged.
    whole: bool,
}

impl Audit<'_> {
    /// Checks a wallet of a tenant.
    pub(super) fn wallet(&mut self, key: &WalletKey, present: Present) -> Result<(), StoreError> {
        self.report.wallets += 1;
        let image = self.store.load(key)?;
        let begun = self.begun(key)?;
        let parts = begun.parts.iter();
        let parts = parts.filter(|(name, _)| name.first().is_none_or(|first| *first < ON_DEMAND));
        let wallet = match Wallet::from_parts(parts.map(|(name, value)| (name.as_slice(), value.as_slice())))
        {
            Ok(wallet) => wallet,
            Err(error) => {
                let what = format!("it cannot be read in the snapshot: {error}");
                self.report.found(key, None, "state", what);
                self.whole = false;
                return Ok(());
            }
        };
        let on_demand = begun.parts.into_iter();
        let mut folded = Folded {
            decided: wallet.clone(),
            wallet,
            on_demand: on_demand
                .filter(|(name, _)| name.first().is_some_and(|first| *first >= ON_DEMAND))
                .collect(),
            day: BEFORE_ALL,
            whole: true,
            ..Folded::default()
        };
        let store = self.store;
        replay(store, key, begun.version, image.version, &mut |stored| {
            self.report.records += 1;
            self.tick();
            self.record(key, stored, present, &mut folded)
        })?;
        if folded.whole {
            self.compare(key, &image, &folded)?;
        }
        self.whole &= folded.whole;
        for (asset, accounts) in accounts_of(&folded.wallet) {
            *self.tenant.entry(asset).or_default() += &accounts;
        }
        Ok(())
    }

    /// Checks a record against the wallet before it, and folds it.
    fn record(
        &mut self,
        key: &WalletKey,
        stored: &StoredRecord,
        present: Present,
        folded: &mut Folded,
    ) -> Result<Replay, StoreError> {
        let sequence = Some(stored.sequence);
        let record = match Record::decode(&stored.body) {
            Ok(record) => record,
            Err(error) => {
                self.report.found(key, sequence, "codec", error.to_string());
                folded.whole = false;
                return Ok(Replay::Stop);
            }
        };
        if record.tenant.as_str() != key.tenant() || record.customer.as_str() != key.wallet() {
            let whose = format!("it belongs to {}/{}", record.tenant, record.customer);
            self.report.found(key, sequence, "owner", whose);
        }
        if record.seen.control > present.control {
            let what = format!(
                "it was decided under version {} of the control plane, which has {}",
                record.seen.control, present.control
            );
            self.report.found(key, sequence, "control", what);
        }
        self.ids(key, &record, present, folded)?;
        self.reevaluate(key, &record, folded)?;
        if let Err(violation) = folded.wallet.replay(&record, &stored.body) {
            self.report.found(key, sequence, "replay", violation.to_string());
            folded.whole = false;
            return Ok(Replay::Stop);
        }
        self.decide_again(key, &record, &stored.body, folded);
        for (part, value) in folded.wallet.take_changes() {
            if part.first().is_some_and(|first| *first >= ON_DEMAND) {
                match value {
                    Some(value) => folded.on_demand.insert(part, value),
                    None => folded.on_demand.remove(&part),
                };
            }
        }
        folded.day = day_of(&record, folded.day);
        for (asset, moved) in booked(&record) {
            *self.days.entry((folded.day, asset)).or_default() += &moved;
        }
        let effects = record.outcome.effects.iter();
        let entries = effects.filter(|effect| matches!(effect, Effect::Entry(_)));
        self.report.entries += entries.count() as u64;
        Ok(Replay::On)
    }

    /// What the ledger decides of a record's command is what was recorded. `folded` is the wallet behind the record.
    fn decide_again(&mut self, key: &WalletKey, record: &Record, body: &[u8], folded: &mut Folded) {
        // A release may decide otherwise than those before it, and says so by another format.
        let is_of_this_release = body.first() == Some(&codec::FORMAT);
        let wrong = match is_of_this_release {
            false => {
                let folds = folded.decided.replay(record, body);
                folds.err().map(|violation| violation.to_string())
            }
            true => match folded.decided.decide_again(record, body) {
                Ok(()) => None,
                Err(DecidedOtherwise::Refused(refusal)) => {
                    Some(format!("decided again, its command is refused: {refusal}"))
                }
                Err(DecidedOtherwise::Outcome(now)) => Some(differs(&record.outcome, &now)),
            },
        };
        folded.decided.forget_changes();
        match wrong {
            None => self.report.decided += u64::from(is_of_this_release),
            Some(what) => {
                self.report.found(key, Some(record.sequence), "decision", what);
                // What comes behind it is judged by what was recorded.
                folded.decided = folded.wallet.clone();
                folded.decided.forget_changes();
            }
        }
    }

    /// Each id is answered by one record, and the store finds it; those of usage only within their window.
    fn ids(
        &mut self,
        key: &WalletKey,
        record: &Record,
        present: Present,
        folded: &mut Folded,
    ) -> Result<(), StoreError> {
        let sequence = Some(record.sequence);
        for identity in record.identities() {
            self.report.ids += 1;
            let id = IdHash(identity_hash(&record.tenant, &record.customer, &identity));
            // Whether an id of a record of `then` is still to be known at `now`.
            let known_at = |then: Timestamp, now: Option<Timestamp>| match id.keep() {
                Keep::ForGood => true,
                Keep::Window => now.is_some_and(|now| now < then.saturating_add(ID_WINDOW)),
            };
            let earlier = folded.ids.insert(id, record.at);
            // A sandbox keeps each id of usage a second time, for good; what an older release recorded has none.
            let for_good = id.for_good();
            let is_second = present.ages.is_none()
                && for_good != id
                && earlier.is_some()
                && self.store.may_have_seen(for_good)
                && self.store.find(key, for_good)?.len() > 1;
            if is_second || earlier.is_some_and(|earlier| known_at(earlier, present.ages.map(|_| record.at)))
            {
                let what = format!("an earlier record answers for {identity:?} too");
                self.report.found(key, sequence, "id_once", what);
            }
            let found = self.store.may_have_seen(id)
                && self
                    .store
                    .find(key, id)?
                    .iter()
                    .any(|found| found.sequence == record.sequence);
            if !found && known_at(record.at, present.ages) {
                let what = format!(
                    "the store does not find it under {identity:?}, so a retry would be carried out again"
                );
                self.report.found(key, sequence, "id_found", what);
            }
        }
        Ok(())
    }

    /// The stored wallet is the folded one, and keeps every rule.
    fn compare(&mut self, key: &WalletKey, image: &Image, folded: &Folded) -> Result<(), StoreError> {
        let parts = image
            .parts
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()));
        match Wallet::from_parts(parts) {
            Err(error) => self
                .report
                .found(key, None, "state", format!("it cannot be read: {error}")),
            Ok(stored) => {
                if !stored.same_state(&folded.wallet) {
                    let what = format!(
                        "the stored wallet is not the fold of its {} records",
                        image.version
                    );
                    self.report.found(key, None, "state", what);
                }
                for violation in farebox_ledger::verify(&stored) {
                    self.report.found(key, None, "rule", violation.to_string());
                }
            }
        }
        let stored = self.on_demand(key)?;
        let mut expected = folded.on_demand.clone();
        // What an earlier release recorded carried nothing forward.
        expected.retain(|name, _| {
            stored.contains_key(name) || !matches!(Part::from_key(name), Ok(Part::Carried(_)))
        });
        let same = stored.len() == expected.len()
            && stored
                .iter()
                .zip(&expected)
                .all(|((name, stored), (folded_as, folded))| {
                    name == folded_as && (stored == folded || is_as_before(name, stored, folded))
                });
        if !same {
            let what = "the stored subjects and unpriced events are not what its records leave behind";
            self.report.found(key, None, "state", what);
        }
        Ok(())
    }

    fn on_demand(&self, key: &WalletKey) -> Result<BTreeMap<PartKey, Vec<u8>>, StoreError> {
        let mut parts = BTreeMap::new();
        let mut after: Option<PartKey> = None;
        loop {
            let page = self.store.parts(key, &[], after.as_deref(), PAGE_NAMES_MAX)?;
            let Some((last, _)) = page.last() else {
                return Ok(parts);
            };
            after = Some(last.clone());
            let on_demand =
                |(name, _): &(PartKey, Vec<u8>)| name.first().is_some_and(|first| *first >= ON_DEMAND);
            parts.extend(page.into_iter().filter(on_demand));
        }
    }
}

/// Whether a part that an earlier format wrote says the same as it does now.
fn is_as_before(name: &[u8], stored: &[u8], folded: &[u8]) -> bool {
    fn same<T: DeserializeOwned + PartialEq>(stored: &[u8], folded: &[u8]) -> bool {
        let [stored, folded] = [stored, folded].map(codec::decode::<T>);
        stored.is_ok() && stored == folded
    }
    // By which record something was noted is not said before format 4.
    fn noted<T: DeserializeOwned + PartialEq>(stored: &[u8], folded: &[u8]) -> bool {
        match [stored, folded].map(codec::decode::<Noted<T>>) {
            [Ok(stored), Ok(folded)] => {
                stored.what == folded.what && (stored.by.is_none() || stored.by == folded.by)
            }
            _ => false,
        }
    }
    if stored.first() == Some(&codec::FORMAT) {
        return false;
    }
    match Part::from_key(name) {
        Ok(Part::Subject(..)) => same::<SubjectState>(stored, folded),
        Ok(Part::Unpriced(_)) => same::<UnpricedState>(stored, folded),
        Ok(Part::Term(..)) => same::<TermState>(stored, folded),
        Ok(Part::Standing(_)) => noted::<Standing>(stored, folded),
        Ok(Part::GiveBacks(_)) => noted::<GiveBacks>(stored, folded),
        _ => false,
    }
}

/// Where an outcome is another one now, shortened.
fn differs(then: &Outcome, now: &Outcome) -> String {
    let brief = |what: String| what.chars().take(300).collect::<String>();
    let effects = then.effects.iter().zip(&now.effects);
    let (then, now) = match effects.into_iter().find(|(then, now)| then != now) {
        Some((then, now)) => (format!("{then:?}"), format!("{now:?}")),
        None if then.effects.len() != now.effects.len() => (
            format!("{} effects", then.effects.len()),
            format!("{}", now.effects.len()),
        ),
        None => (format!("{:?}", then.answer), format!("{:?}", now.answer)),
    };
    format!(
        "decided again, its outcome is another one: recorded {}, now {}",
        brief(then),
        brief(now)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_earlier_format_is_compared_by_what_it_says() {
        let name = Part::Subject("s".parse().unwrap(), "c".into()).key();
        let kept = |state: &[u8]| {
            codec::encode(&SubjectState {
                state: state.to_vec(),
                ..SubjectState::default()
            })
        };
        // Format 4 did not say by whom it was kept: in format 5 that is a byte, behind all others.
        let before = |state: &[u8]| {
            let mut bytes = kept(state);
            assert_eq!((bytes[0], bytes.pop()), (codec::FORMAT, Some(0)));
            bytes[0] = 4;
            bytes
        };
        assert!(is_as_before(&name, &before(b"one"), &kept(b"one")));
        assert!(!is_as_before(&name, &before(b"one"), &kept(b"two")));
        assert!(
            !is_as_before(&name, &kept(b"one"), &kept(b"two")),
            "of today, bytes count"
        );
        assert!(
            !is_as_before(&name, &[4], &kept(b"")),
            "what cannot be read says nothing"
        );
        let other = Part::Carried(1).key();
        assert!(!is_as_before(&other, &before(b"one"), &kept(b"one")));
    }
}
