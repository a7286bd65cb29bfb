//! Where to begin when the balances of a time that is past are wanted.

use farebox_ledger::limits::CARRIED_RECORDS;
use farebox_record::codec;
use farebox_record::state::{Carried, Part};
use farebox_record::time::Timestamp;
use farebox_store::{Store, StoreError, WalletKey};

/// The first balances carried forward behind a record whose instant is not before `instant`, among those up to the
/// record `newest`; with the sequence of its record. None: there is none, as in stores of earlier releases.
///
/// Instants go up with the sequence but for what was handled late. Where that leads astray, later ones are found than
/// there might have been, never ones that are too early.
pub(crate) fn first_since(
    store: &dyn Store,
    wallet: &WalletKey,
    instant: Timestamp,
    newest: u64,
) -> Result<Option<(u64, Carried)>, StoreError> {
    let mut found = None;
    let (mut low, mut high) = (1, newest / CARRIED_RECORDS + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sequence = middle * CARRIED_RECORDS;
        match read(store, wallet, sequence)? {
            Some(carried) if carried.instant >= instant => {
                found = Some((sequence, carried));
                high = middle;
            }
            _ => low = middle + 1,
        }
    }
    Ok(found)
}

fn read(store: &dyn Store, wallet: &WalletKey, sequence: u64) -> Result<Option<Carried>, StoreError> {
    let Some(value) = store.part(wallet, &Part::Carried(sequence).key())? else {
        return Ok(None);
    };
    let carried = codec::decode(&value).map_err(|error| StoreError::State {
        what: format!("{wallet:?}: what is carried forward behind record {sequence}: {error}"),
    })?;
    Ok(Some(carried))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets what cannot be has failed")]
mod tests {
    use farebox_store::MemoryStore;
    use farebox_store::conformance::Draft;

    use super::*;

    /// A store with balances carried forward at these instants; none: there is none.
    fn store(instants: &[Option<i64>]) -> (MemoryStore, WalletKey) {
        let (store, wallet) = (MemoryStore::default(), WalletKey::new("acme", "ada"));
        let parts = (1..).zip(instants).filter_map(|(number, instant)| {
            let carried = Carried {
                instant: Timestamp::from_micros((*instant)?),
                assets: [].into(),
            };
            let part = Part::Carried(number * CARRIED_RECORDS);
            Some((part.key(), codec::encode(&carried)))
        });
        let draft = Draft::new(&wallet, 0).record(&[], b"opaque");
        let draft = parts.fold(draft, |draft, (key, value)| draft.set(&key, &value));
        store.commit(vec![draft.commit()]).unwrap();
        (store, wallet)
    }

    fn found(instants: &[Option<i64>], instant: i64, newest: u64) -> Option<u64> {
        let (store, wallet) = store(instants);
        let found = first_since(&store, &wallet, Timestamp::from_micros(instant), newest).unwrap();
        let (sequence, carried) = found?;
        assert!(carried.instant >= Timestamp::from_micros(instant));
        assert_eq!(sequence % CARRIED_RECORDS, 0);
        Some(sequence / CARRIED_RECORDS)
    }

    #[test]
    fn the_first_that_is_not_before_the_instant_is_found() {
        let all = [10, 20, 30, 30, 50].map(Some);
        let newest = 5 * CARRIED_RECORDS + 7;
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
        assert_eq!(found(&all, 31, 5 * CARRIED_RECORDS - 1), None);
        assert_eq!(found(&all, 31, 5 * CARRIED_RECORDS), Some(5));
        assert_eq!(found(&[], 0, 3), None);
    }

    #[test]
    fn one_that_was_handled_late_or_is_missing_leads_to_a_later_one() {
        let newest = 7 * CARRIED_RECORDS;
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
