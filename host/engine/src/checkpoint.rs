//! Where to begin when the balances of a time that is past are wanted.

use farebox_ledger::limits::CHECKPOINT_RECORDS;
use farebox_record::codec;
use farebox_record::state::{Checkpoint, Part};
use farebox_record::time::Timestamp;
use farebox_store::{Store, StoreError, WalletKey};

/// The first checkpoint behind a record whose instant is not before `instant`, among those up to the record `newest`; with the
/// sequence of its record. None: there is none, as in stores of earlier releases.
///
/// Instants go up with the sequence but for what was handled late. Where that leads astray, a later checkpoint is found than
/// there might have been, never one that is too early.
pub(crate) fn first_since(
    store: &dyn Store,
    wallet: &WalletKey,
    instant: Timestamp,
    newest: u64,
) -> Result<Option<(u64, Checkpoint)>, StoreError> {
    let mut found = None;
    let (mut low, mut high) = (1, newest / CHECKPOINT_RECORDS + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sequence = middle * CHECKPOINT_RECORDS;
        match read(store, wallet, sequence)? {
            Some(checkpoint) if checkpoint.instant >= instant => {
                found = Some((sequence, checkpoint));
                high = middle;
            }
            _ => low = middle + 1,
        }
    }
    Ok(found)
}

fn read(store: &dyn Store, wallet: &WalletKey, sequence: u64) -> Result<Option<Checkpoint>, StoreError> {
    let Some(value) = store.part(wallet, &Part::Checkpoint(sequence).key())? else {
        return Ok(None);
    };
    let checkpoint = codec::decode(&value).map_err(|error| StoreError::State {
        what: format!("{wallet:?}: the checkpoint behind record {sequence}: {error}"),
    })?;
    Ok(Some(checkpoint))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what cannot be has failed")]
mod tests {
    use farebox_store::{Commit, MemoryStore, NewRecord};

    use super::*;

    /// A store with checkpoints of these instants; none: there is none.
    fn store(instants: &[Option<i64>]) -> (MemoryStore, WalletKey) {
        let (store, wallet) = (MemoryStore::default(), WalletKey::new("acme", "ada"));
        let parts = (1..).zip(instants).filter_map(|(number, instant)| {
            let checkpoint = Checkpoint {
                instant: Timestamp::from_micros((*instant)?),
                assets: [].into(),
            };
            let part = Part::Checkpoint(number * CHECKPOINT_RECORDS);
            Some((part.key(), Some(codec::encode(&checkpoint))))
        });
        let commit = Commit {
            wallet: wallet.clone(),
            expected: 0,
            control: None,
            records: vec![NewRecord {
                body: vec![1],
                at: 0,
                ids: Vec::new(),
            }],
            parts: parts.collect(),
            due: None,
        };
        store.commit(vec![commit]).unwrap();
        (store, wallet)
    }

    fn found(instants: &[Option<i64>], instant: i64, newest: u64) -> Option<u64> {
        let (store, wallet) = store(instants);
        let found = first_since(&store, &wallet, Timestamp::from_micros(instant), newest).unwrap();
        let (sequence, checkpoint) = found?;
        assert!(checkpoint.instant >= Timestamp::from_micros(instant));
        assert_eq!(sequence % CHECKPOINT_RECORDS, 0);
        Some(sequence / CHECKPOINT_RECORDS)
    }

    #[test]
    fn the_first_that_is_not_before_the_instant_is_found() {
        let all = [10, 20, 30, 30, 50].map(Some);
        let newest = 5 * CHECKPOINT_RECORDS + 7;
        for (instant, expected) in [
            (5, Some(1)),
            (10, Some(1)),
            (11, Some(2)),
            (20, Some(2)),
            (21, Some(3)),
            (30, Some(3)),
            (31, Some(5)),
            (50, Some(5)),
            (51, None),
        ] {
            assert_eq!(found(&all, instant, newest), expected, "{instant}");
        }
        // What the caller has not seen yet is of no use to it.
        assert_eq!(found(&all, 31, 5 * CHECKPOINT_RECORDS - 1), None);
        assert_eq!(found(&all, 31, 5 * CHECKPOINT_RECORDS), Some(5));
        assert_eq!(found(&[], 0, 3), None);
    }

    #[test]
    fn one_that_was_handled_late_or_is_missing_leads_to_a_later_one() {
        let newest = 7 * CHECKPOINT_RECORDS;
        for instants in [
            [10, 20, 15, 40, 50, 45, 60].map(Some),
            [None, None, None, Some(40), None, Some(45), Some(60)],
        ] {
            for instant in 0..=60 {
                let first = (1..)
                    .zip(instants)
                    .find(|(_, at)| *at >= Some(instant))
                    .unwrap()
                    .0;
                assert!(found(&instants, instant, newest).unwrap() >= first, "{instant}");
            }
            assert_eq!(found(&instants, 61, newest), None);
        }
    }
}
