//! A store above another one that goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use farebox_store::conformance::{Draft, id};
use farebox_store::{Fate, MemoryStore, ON_DEMAND, OverlayStore, Store, WalletKey};

fn commit(store: &dyn Store, draft: &Draft) -> Fate {
    store.commit(vec![draft.commit()]).unwrap()[0]
}

/// Whether a record's body, which says besides what it changes, has these bytes.
fn says(body: &[u8], bytes: &[u8]) -> bool {
    body.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn a_pinned_wallet_stands_still_while_the_store_below_goes_on() {
    let key = WalletKey::new("a", "w");
    let below: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = Draft::new(&key, 0)
        .record(&[id(1)], b"one")
        .set(&[1], b"then")
        .due(5);
    assert_eq!(commit(&*below, &first), Fate::Committed);
    let above = OverlayStore::new(Arc::clone(&below)).unwrap();
    above.pin(&key).unwrap();
    let then = (above.load(&key).unwrap(), above.history(&key, None, 9).unwrap());

    let second = Draft::new(&key, 1)
        .record(&[id(2)], b"two")
        .set(&[1], b"now")
        .due(7);
    assert_eq!(commit(&*below, &second), Fate::Committed);
    assert_eq!(
        (above.load(&key).unwrap(), above.history(&key, None, 9).unwrap()),
        then
    );
    assert_eq!(then.0.version, 1);
    assert_eq!(above.part(&key, &[1]).unwrap().as_deref(), Some(&b"then"[..]));
    assert!(above.find(&key, id(2)).unwrap().is_empty());
    assert_eq!(above.find(&key, id(1)).unwrap().len(), 1);
    // Nothing was written here, so what is due, and who is there, is said below.
    assert_eq!(above.due("a", 9, 9).unwrap(), [(7, key.clone())]);
    assert_eq!(above.wallets("a", None, 9).unwrap(), std::slice::from_ref(&key));

    // What is built on the wallet as it was pinned is taken here, and nobody below hears of it.
    let third = Draft::new(&key, 1)
        .record(&[id(3)], b"three")
        .set(&[ON_DEMAND, 1], b"x")
        .due(6);
    assert_eq!(commit(&above, &third), Fate::Committed);
    assert_eq!(above.load(&key).unwrap().version, 2);
    assert_eq!(above.due("a", 9, 9).unwrap(), [(6, key.clone())]);
    let bodies = |store: &dyn Store| -> Vec<Vec<u8>> {
        let records = store.history(&key, None, 9).unwrap().into_iter();
        records.map(|record| record.body).collect()
    };
    let (here, there) = (bodies(&above), bodies(&*below));
    assert!(says(&here[0], b"three") && says(&here[1], b"one"), "{here:?}");
    assert!(says(&there[0], b"two") && says(&there[1], b"one"), "{there:?}");
    assert!(below.find(&key, id(3)).unwrap().is_empty());
    assert_eq!(below.part(&key, &[ON_DEMAND, 1]).unwrap(), None);
}

#[test]
fn a_wallet_that_moved_on_before_it_was_written_is_lost_once() {
    let key = WalletKey::new("a", "w");
    let below: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let above = OverlayStore::new(Arc::clone(&below)).unwrap();
    assert_eq!(above.load(&key).unwrap().version, 0);
    assert_eq!(
        commit(&*below, &Draft::new(&key, 0).record(&[], b"one")),
        Fate::Committed
    );
    assert_eq!(
        commit(&above, &Draft::new(&key, 0).record(&[], b"two")),
        Fate::Lost
    );
    assert_eq!(above.load(&key).unwrap().version, 1);
    assert_eq!(
        commit(&above, &Draft::new(&key, 1).record(&[], b"two")),
        Fate::Committed
    );
}
