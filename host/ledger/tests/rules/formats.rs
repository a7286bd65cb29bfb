//! Wallets that older releases wrote, kept as text: their records, and their parts as a store kept them. What is read of them
//! is what it was, and it goes on from there.
//!
//! For each older format, the ledger of its time wrote `tests/fixtures/records-v*.hex` once, and nobody can write them again:
//! `record` and a sequence, the hashes of its ids, and its bytes; then `part`, its key, and its bytes. It is one story in all of
//! them, as far as the format could tell it. Only format 1 kept of a renewal or a timer that had no answer what fell due, and
//! not what the plan was told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;

use farebox_ledger::{Wallet, append, retold, verify};
use farebox_record::codec::{self, CodecError};
use farebox_record::command::{Command, DueItem, RetryChange, RetryTransition};
use farebox_record::correction::{Consequence, GiveBacks, Noted, Standing};
use farebox_record::ids::Hash;
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::{Effect, Seen};
use farebox_record::state::{DueChange, Part, SubjectState, UnpricedState, Waiting};
use farebox_record::{Record, identity_hash};

use crate::world::make::*;

type Parts = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is kept of a wallet.
#[derive(Default)]
struct Kept {
    records: Vec<KeptRecord>,
    parts: Parts,
}

#[derive(Default)]
struct KeptRecord {
    bytes: Vec<u8>,
    /// Under which hashes a store finds it.
    ids: Vec<Vec<u8>>,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn kept(format: u8) -> Kept {
    let file = format!("tests/fixtures/records-v{format}.hex");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let mut kept = Kept::default();
    let mut part: Option<Vec<u8>> = None;
    for line in text.lines() {
        match (line.split_once(' '), &part) {
            (Some(("record", sequence)), _) => {
                kept.records.push(KeptRecord::default());
                assert_eq!(sequence, kept.records.len().to_string());
            }
            (Some(("id", hash)), _) => kept.records.last_mut().unwrap().ids.push(bytes(hash)),
            (Some(("part", key)), _) => part = Some(bytes(key)),
            (Some(other), _) => panic!("{other:?}"),
            (None, Some(key)) => kept.parts.entry(key.clone()).or_default().extend(bytes(line)),
            (None, None) => kept.records.last_mut().unwrap().bytes.extend(bytes(line)),
        }
    }
    kept
}

/// The name of a kind, as it is declared.
fn name(kind: &impl Debug) -> String {
    let text = format!("{kind:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The wallet that the records make, and its parts.
fn replayed(kept: &Kept, format: u8) -> (Wallet, Parts) {
    let (mut wallet, mut parts) = (Wallet::default(), Parts::new());
    for KeptRecord { bytes, ids } in &kept.records {
        assert_eq!(bytes[0], format);
        let record = Record::decode(bytes).unwrap();
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        let hash = |identity| identity_hash(&record.tenant, &record.customer, &identity).to_vec();
        let found: BTreeSet<_> = record.identities().into_iter().map(hash).collect();
        for id in ids {
            assert!(found.contains(id), "record {} under another id", record.sequence);
        }
        wallet.replay(&record, bytes).unwrap();
        assert_eq!(verify(&wallet), [], "after {record:#?}");
        for (key, value) in wallet.take_changes() {
            match value {
                Some(value) => parts.insert(key, value),
                None => parts.remove(&key),
            };
        }
    }
    (wallet, parts)
}

type Decode<T> = fn(&[u8]) -> Result<T, CodecError>;

fn same<T: PartialEq + Debug>(old: &[u8], new: &[u8], decode: Decode<T>) {
    assert_eq!(decode(old).unwrap(), decode(new).unwrap());
}

/// What is noted of an event, and by which record: since format 4.
fn same_noted<T: PartialEq + Debug>(old: &[u8], new: &[u8], decode: Decode<Noted<T>>) {
    let said = old[0] >= 4;
    let [old, new] = [old, new].map(|bytes| decode(bytes).unwrap());
    assert_eq!((old.what, old.by), (new.what, new.by.filter(|_| said)));
    assert!(new.by.is_some());
}

/// The parts that the older release kept are those that its records make today.
fn check_parts(kept: &Kept, format: u8, wallet: &Wallet, parts: &Parts) {
    let stored = kept.parts.iter().map(|(key, value)| (&key[..], &value[..]));
    assert!(Wallet::from_parts(stored).unwrap().same_state(wallet));
    assert_eq!(
        kept.parts.keys().collect::<Vec<_>>(),
        parts.keys().collect::<Vec<_>>()
    );
    for (key, old) in &kept.parts {
        assert_eq!(old[0], format);
        let new = &parts[key];
        match Part::from_key(key).unwrap() {
            Part::Subject(..) => same(old, new, codec::decode::<SubjectState>),
            Part::Unpriced(_) => same(old, new, codec::decode::<UnpricedState>),
            Part::Term(..) => same(old, new, codec::decode::<TermState>),
            Part::Standing(_) => same_noted(old, new, codec::decode::<Noted<Standing>>),
            Part::GiveBacks(_) => same_noted(old, new, codec::decode::<Noted<GiveBacks>>),
            _ => {} // it is in the wallet
        }
    }
}

/// Kinds of commands, the consequences of corrections among them, and how often each was recorded.
fn kinds(kept: &Kept) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for kept in &kept.records {
        let record = Record::decode(&kept.bytes).unwrap();
        let consequence = record
            .seen
            .consequence
            .as_deref()
            .map(|consequence| match consequence {
                Consequence::Reversed(_) => "reversed",
                Consequence::Refolded(_) => "refolded",
            });
        for kind in [name(&record.command)]
            .into_iter()
            .chain(consequence.map(str::to_string))
        {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let each = kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

/// What waits for its plan, as a lane asks again.
fn waiting(kept: &Kept) -> Command {
    let records = kept
        .records
        .iter()
        .map(|kept| Record::decode(&kept.bytes).unwrap());
    let waits = records.flat_map(|record| {
        let sequence = record.sequence;
        let effects = record.outcome.effects.into_iter();
        effects.filter_map(move |effect| match effect {
            Effect::UnpricedKept(kept) => Some((sequence, kept.what)),
            _ => None,
        })
    });
    match waits.last().unwrap() {
        (sequence, Waiting::Transition(missed)) => {
            Command::RetryTransition(RetryTransition { sequence, missed })
        }
        (sequence, Waiting::Change(missed)) => Command::RetryChange(RetryChange { sequence, missed }),
        other => panic!("{other:?}"),
    }
}

/// Available, held, debt and receivable in dollars.
fn dollars(wallet: &Wallet) -> String {
    let balances = wallet.balances();
    let usd = balances.iter().find(|balance| balance.asset == asset("usd"));
    let usd = usd.unwrap();
    [usd.available, usd.held, usd.debt, usd.receivable]
        .map(|amount| amount.to_string())
        .join(" ")
}

/// 100 are bought. Events take 8 (`a`), 3 (`b`), 2 (`said`) and 1.5, calls 5 and 1: 79.5 are left. 0.5 are taken away, 1 of `a`
/// comes back, and 10 leave: 70. A timer takes 0.25, a late event 0.75, and a call that is open holds 7: 62, before `a` is taken
/// back and `b` replaced. On the statement are 12 for seats and a fee of 20; another fee of 20 was paid, or forgiven.
fn opens(format: u8, dollars_then: &str, kinds_then: &str) {
    let kept = kept(format);
    assert_eq!(kinds(&kept), kinds_then);
    let (mut wallet, parts) = replayed(&kept, format);
    check_parts(&kept, format, &wallet, &parts);
    assert_eq!(dollars(&wallet), dollars_then);
    assert_eq!(wallet.header().unpriced, 2, "an event and a renewal wait");

    // The plan that had no answer to the renewal has one now: its fee is due as it would have been.
    let retry = waiting(&kept);
    let (_, missed) = retry.retried().unwrap();
    assert!(matches!(missed.due.item, DueItem::Renewal(_)));
    let again = retold(&wallet, &retry).unwrap();
    assert!(
        matches!(&again.change, DueChange::Renewed(_)),
        "{:?}",
        again.change
    );
    let newest = &kept.records.last().unwrap().bytes;
    let last = Record::decode(newest).unwrap();
    let seen = Seen {
        pricing: Some(pricing(priced(&[fee("base", "usd", "20")]))),
        ..Seen::nothing(1, last.at)
    };
    let (record, bytes) = append(&mut wallet, &last.tenant, &last.customer, retry, seen, last.at).unwrap();
    assert_eq!((record.previous, bytes[0]), (Hash::of(newest), codec::FORMAT));
    assert_eq!(verify(&wallet), []);
    assert_eq!(wallet.header().unpriced, 1);
    let owed = dollars_then.replace(" 32", " 52");
    assert_eq!(dollars(&wallet), owed);
    // And what it made follows on the old records for who reads them.
    let (mut again, _) = replayed(&kept, format);
    again.replay(&Record::decode(&bytes).unwrap(), &bytes).unwrap();
    assert!(again.same_state(&wallet));
}

#[test]
fn a_wallet_of_format_1_goes_on() {
    // The other 7 of `a` come back, and `b` is 3.5.
    opens(
        1,
        "68.5 7 0 32",
        "Adjust 2, Amend 1, Authorize 7, ChangeSubscription 5, DeleteLimit 1, Due 5, Extend 1, Grant 2, Pay 1, PutCustomer 1, \
         PutLimit 2, RateUnpriced 1, Refund 2, Release 1, RetryTransition 1, Settle 2, Subscribe 1, Usage 7, Void 1",
    );
}

/// Kinds of the story since it has corrections with consequences, a backfill and give-backs.
fn since_format_2(due: usize, usage: usize) -> String {
    format!(
        "Adjust 2, Amend 2, Authorize 7, Backfill 1, ChangeSubscription 6, DeleteLimit 1, Due {due}, Extend 1, Grant 2, \
         Pay 1, PutCustomer 1, PutLimit 2, RateUnpriced 1, Refund 2, Release 1, RetryChange 1, Settle 2, Subscribe 1, \
         Usage {usage}, Void 1, refolded 1, reversed 1"
    )
}

#[test]
fn a_wallet_of_format_2_goes_on() {
    // As in format 1, and `said` is 1, a backfill takes 0.5, and one more event 2, which gives 5 credits back of another.
    opens(2, "67 7 0 32", &since_format_2(5, 8));
}

#[test]
fn a_wallet_of_format_3_goes_on() {
    // As in format 2, and the deadline of a conversation takes 0.3.
    opens(3, "66.7 7 0 32", &since_format_2(6, 9));
}

#[test]
fn a_wallet_of_format_4_goes_on() {
    opens(4, "66.7 7 0 32", &since_format_2(6, 9));
}
