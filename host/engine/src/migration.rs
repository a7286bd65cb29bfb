//! States of another version: whether a revision takes all of them over that its plan keeps.
//!
//! A state is taken over when it is first read by a revision that keeps it in another version, and kept in that one when the
//! plan changes it: nothing is written for subscriptions that nothing happens to. So that no customer finds out then that a
//! plan cannot read its state, all of them are tried before a revision goes on the timeline. What is still written meanwhile by
//! the revision before is of the version that was tried.
//!
//! **Rejected:** writing all states anew at the activation. Each wallet would have a record that no customer caused, and a
//! rollback would find no state that it can read.

use farebox_ledger::Wallet;
use farebox_record::codec;
use farebox_record::ids::{PlanName, SubscriptionId, TenantId};
use farebox_record::lifecycle::TermState;
use farebox_record::state::{Part, SubjectState};
use farebox_record::time::Timestamp;
use farebox_runtime::Revision;
use farebox_store::{StoreError, WalletKey};
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::error::{ControlError, EngineError, Unreadable};
use crate::fold::wallet_of;

/// Wallets, and parts of one, that are read at once.
const PAGE: usize = 1_000;

impl Engine {
    /// Tries a revision that is to be in force from `effective` on (none: from now) on every state that its plan keeps of a
    /// tenant's customers, where some revision of the timeline keeps its states in another version. Blocks, for as long as
    /// there are wallets.
    pub(crate) fn check_states(
        &self,
        tenant: &TenantId,
        plan: &PlanName,
        new: &Revision,
        effective: Option<Timestamp>,
    ) -> Result<(), ControlError> {
        let controls = self.shared().controls.load_full();
        let timeline = controls.plan(tenant, plan).map(|known| &known.timeline);
        let version = new.description().state_version;
        // What is to come writes states, too, and until then what is in force: versions only go up with time.
        let now = self.now(tenant);
        let from = effective.unwrap_or(now);
        let present = controls.plan(tenant, plan).and_then(|known| known.in_force(now));
        let until_then = present.filter(|_| from > now);
        let to_come = timeline
            .into_iter()
            .flatten()
            .filter(|other| other.effective > now);
        for other in to_come.chain(until_then) {
            let of = controls
                .revision(&other.revision)
                .map(|of| of.description().state_version);
            let (first, second) = match other.effective > from {
                true => (Some(version), of),
                false => (of, Some(version)),
            };
            if first > second {
                return Err(ControlError::VersionOrder {
                    new: version,
                    effective: other.effective,
                    other: of.unwrap_or_default(),
                });
            }
        }
        let differs = timeline.into_iter().flatten().any(|activation| {
            let revision = controls.revision(&activation.revision);
            revision.is_none_or(|revision| revision.description().state_version != version)
        });
        if !differs {
            return Ok(());
        }
        let store = &self.shared().store;
        let mut after: Option<WalletKey> = None;
        loop {
            let last = after.as_ref().map(WalletKey::wallet);
            let keys = store
                .wallets(tenant.as_str(), last, PAGE)
                .map_err(EngineError::Store)?;
            for key in &keys {
                self.check_wallet(key, plan, new)?;
            }
            match keys.into_iter().next_back() {
                Some(key) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    fn check_wallet(&self, key: &WalletKey, plan: &PlanName, new: &Revision) -> Result<(), ControlError> {
        let image = self.shared().store.load(key).map_err(EngineError::Store)?;
        let wallet: Wallet = wallet_of(&image).map_err(|what| state(key, &what))?;
        for (id, subscription) in wallet.subscriptions() {
            let tried = |kept, bytes: &[u8], of: &str| tried(new, key, id, kept, bytes, of);
            if subscription.plan == *plan {
                tried(
                    Some(subscription.state_version),
                    &subscription.state,
                    "the subscription",
                )?;
                self.check_subjects(key, id, plan, &tried)?;
            }
            for past in &subscription.past {
                let part = Part::Term(id.clone(), past.number);
                let Some(term) = self
                    .part::<TermState>(key, &part)?
                    .filter(|term| term.plan == *plan)
                else {
                    continue;
                };
                let of = format!("its term of {}", term.since);
                tried(Some(term.state_version), &term.state, &of)?;
                let opening = term.opening_version.unwrap_or(term.state_version);
                tried(Some(opening), &term.opening, &of)?;
            }
        }
        Ok(())
    }

    fn check_subjects(
        &self,
        key: &WalletKey,
        id: &SubscriptionId,
        plan: &PlanName,
        tried: &Tried<'_>,
    ) -> Result<(), ControlError> {
        let prefix = Part::subjects_of(id);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let store = &self.shared().store;
            let page = store.parts(key, &prefix, after.as_deref(), PAGE);
            let page = page.map_err(EngineError::Store)?;
            for (name, value) in &page {
                let kept: SubjectState =
                    codec::decode(value).map_err(|error| state(key, &error.to_string()))?;
                let subject = match Part::from_key(name) {
                    Ok(Part::Subject(_, subject)) => subject,
                    _ => continue,
                };
                // What another plan has left behind is nobody's.
                let kept_by = match &kept.kept_by {
                    Some(by) if by.plan != *plan => continue,
                    kept_by => kept_by.as_ref().map(|by| by.version),
                };
                tried(kept_by, &kept.state, &format!("its subject {subject}"))?;
            }
            match page.into_iter().next_back() {
                Some((name, _)) => after = Some(name),
                None => return Ok(()),
            }
        }
    }

    fn part<T: DeserializeOwned>(&self, key: &WalletKey, part: &Part) -> Result<Option<T>, ControlError> {
        let value = self
            .shared()
            .store
            .part(key, &part.key())
            .map_err(EngineError::Store)?;
        let decoded =
            value.map(|value| codec::decode(&value).map_err(|error| state(key, &error.to_string())));
        decoded.transpose()
    }
}

/// Tries a state that is kept in a version, and says of what it is.
type Tried<'t> = dyn Fn(Option<u32>, &[u8], &str) -> Result<(), ControlError> + 't;

/// Whether a revision takes a state over.
fn tried(
    new: &Revision,
    key: &WalletKey,
    subscription: &SubscriptionId,
    kept: Option<u32>,
    bytes: &[u8],
    of: &str,
) -> Result<(), ControlError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let refused = match kept {
        Some(_) => match new.up_to_date(kept, bytes) {
            Ok(_) => return Ok(()),
            Err(fault) => fault.to_string(),
        },
        None => "an earlier release noted no version of it; it has one behind its next event".into(),
    };
    Err(ControlError::StateVersion(Box::new(Unreadable {
        customer: key.wallet().to_string(),
        subscription: subscription.to_string(),
        of: of.to_string(),
        why: refused,
    })))
}

fn state(key: &WalletKey, what: &str) -> ControlError {
    let error = StoreError::State {
        what: format!("{key:?}: {what}"),
    };
    ControlError::Engine(EngineError::Store(error))
}
