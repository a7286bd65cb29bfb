//! A tenant's control plane: its chain, and that its state follows from it.

use farebox_record::codec;
use farebox_record::control::{ControlRecord, ControlState};
use farebox_record::ids::Hash;
use farebox_record::time::Timestamp;
use farebox_store::{StoreError, WalletKey};

use super::audit::Audit;
use super::{Present, Replay, replay};

impl Audit<'_> {
    /// Checks it, and tells what is to be known of its tenant. `now` is the machine's time.
    pub(super) fn control(&mut self, key: &WalletKey, now: Timestamp) -> Result<Present, StoreError> {
        let image = self.store.load(key)?;
        let begun = self.begun(key)?;
        let parts = begun.parts.iter();
        let mut state =
            match ControlState::from_parts(parts.map(|(name, value)| (name.as_slice(), value.as_slice()))) {
                Ok(state) => state,
                Err(error) => {
                    let what = format!("it cannot be read in the snapshot: {error}");
                    self.report.found(key, None, "state", what);
                    // Whether it is a sandbox cannot be told either.
                    return Ok(Present {
                        control: image.version,
                        ages: None,
                    });
                }
            };
        let store = self.store;
        replay(store, key, begun.version, image.version, &mut |stored| {
            self.report.control_records += 1;
            let wrong = match codec::decode::<ControlRecord>(&stored.body) {
                Err(error) => Some(format!("it cannot be read: {error}")),
                Ok(record) => {
                    let wrong = misplaced(&record, &state, key);
                    if wrong.is_none() {
                        state.fold(&record, &stored.body);
                    }
                    wrong.map(str::to_string)
                }
            };
            Ok(match wrong {
                None => Replay::On,
                Some(what) => {
                    self.report.found(key, Some(stored.sequence), "chain", what);
                    Replay::Stop
                }
            })
        })?;
        let parts = image
            .parts
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()));
        match ControlState::from_parts(parts) {
            Ok(stored) if stored == state => {}
            Ok(_) => self.report.found(
                key,
                None,
                "state",
                "the stored control plane is not the fold of its records",
            ),
            Err(error) => self
                .report
                .found(key, None, "state", format!("it cannot be read: {error}")),
        }
        Ok(Present {
            control: image.version,
            ages: state.sandbox_clock().is_none().then_some(now),
        })
    }
}

/// Why a record does not follow on the state before it.
fn misplaced(record: &ControlRecord, state: &ControlState, key: &WalletKey) -> Option<&'static str> {
    if record.tenant.as_str() != key.tenant() {
        return Some("it belongs to another tenant");
    }
    if record.sequence != state.header.sequence + 1 {
        return Some("its sequence does not follow on the one before");
    }
    if record.previous != state.header.chain {
        return Some("the hash of the record before it is another");
    }
    (state.header.chain != Hash::default() && record.at < state.header.at).then_some("its time steps back")
}
