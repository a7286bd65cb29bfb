//! What must hold whenever nothing is on its way.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use farebox_ledger::{Wallet, verify};
use farebox_record::command::Identity;
use farebox_record::ids::Hash;
use farebox_record::record::Record;
use farebox_record::state::Part;
use farebox_store::{JournalStore, Store as _, StoredRecord, WalletKey};

use crate::books::Books;
use crate::log::{Log, Owner};

/// Records that are read at once.
const PAGE: usize = 500;

/// Checks a wallet as it is shown: its own rules.
///
/// # Errors
/// What it breaks.
pub fn wallet(owner: &Owner, wallet: &Wallet) -> anyhow::Result<()> {
    let violations = verify(wallet);
    ensure!(violations.is_empty(), "{owner:?}: {violations:?}");
    Ok(())
}

/// Checks a wallet against all of its history, and both against what callers were told; `before` is what an earlier read
/// showed, as sequence and hash of the newest record. Gives the history's hash.
///
/// # Errors
/// What does not fit.
pub fn history(
    store: &JournalStore,
    log: &Log,
    owner: &Owner,
    shown: &Wallet,
    before: Option<(u64, Hash)>,
) -> anyhow::Result<[u8; 32]> {
    let key = WalletKey::new(owner.0.as_str(), owner.1.as_str());
    let records = read(store, &key)?;
    let mut folded = Wallet::default();
    let mut books = Books::default();
    let mut identities: BTreeMap<Identity, u64> = BTreeMap::new();
    let mut decoded = Vec::with_capacity(records.len());
    for (stored, sequence) in records.iter().zip(1..) {
        ensure!(
            stored.sequence == sequence,
            "{owner:?}: record {} stands at {sequence}",
            stored.sequence
        );
        let record = Record::decode(&stored.body).with_context(|| format!("{owner:?}: record {sequence}"))?;
        ensure!(
            (&record.tenant, &record.customer) == (&owner.0, &owner.1),
            "{owner:?} has a record of another"
        );
        folded
            .replay(&record, &stored.body)
            .with_context(|| format!("{owner:?}"))?;
        books
            .enter(&record)
            .map_err(|what| anyhow::anyhow!("{owner:?}: {what}"))?;
        for identity in record.identities() {
            if let Some(first) = identities.insert(identity.clone(), sequence) {
                bail!("{owner:?}: records {first} and {sequence} both answer for {identity:?}");
            }
        }
        decoded.push(record);
    }
    ensure!(
        folded.same_state(shown),
        "{owner:?}: the wallet is not the fold of its {} records",
        records.len()
    );
    wallet(owner, &folded)?;
    books
        .compare(shown)
        .map_err(|what| anyhow::anyhow!("{owner:?}: {what}"))?;
    if let Some((sequence, chain)) = before.filter(|(sequence, _)| *sequence > 0) {
        let record = usize::try_from(sequence)
            .ok()
            .and_then(|sequence| records.get(sequence - 1));
        let is_kept = record.is_some_and(|record| Hash::of(&record.body) == chain);
        ensure!(
            is_kept,
            "{owner:?}: a read showed record {sequence}, which is not there any more"
        );
    }
    for (identity, command, told) in log.of(owner) {
        let sequence = identities.get(identity);
        ensure!(
            sequence == Some(&told.sequence),
            "{owner:?}: {identity:?} was answered as {}, and is {sequence:?}",
            told.sequence
        );
        let record = usize::try_from(told.sequence)
            .ok()
            .and_then(|sequence| decoded.get(sequence - 1));
        let is_it =
            record.is_some_and(|record| record.outcome.answer == told.answer && record.command == *command);
        ensure!(
            is_it,
            "{owner:?}: record {} is not what {identity:?} was answered for",
            told.sequence
        );
    }
    let waiting = store.parts(&key, Part::UNPRICED_PREFIX, None, usize::MAX)?;
    ensure!(
        waiting.len() as u64 == shown.header().unpriced,
        "{owner:?}: {} events wait, not {}",
        waiting.len(),
        shown.header().unpriced
    );
    Ok(shown.header().chain.0)
}

/// Checks that a customer was charged what it was told, to the nano: for those whose plan charges in one asset.
///
/// # Errors
/// How much the two differ.
pub fn told(store: &JournalStore, owner: &Owner) -> anyhow::Result<()> {
    let mut books = Books::default();
    for stored in read(store, &WalletKey::new(owner.0.as_str(), owner.1.as_str()))? {
        let entered = books.enter(&Record::decode(&stored.body)?);
        entered.map_err(|what| anyhow::anyhow!("{owner:?}: {what}"))?;
    }
    books
        .compare_told("usd")
        .map_err(|what| anyhow::anyhow!("{owner:?}: {what}"))
}

/// All records of a wallet, oldest first.
fn read(store: &JournalStore, key: &WalletKey) -> anyhow::Result<Vec<StoredRecord>> {
    let mut records = Vec::new();
    let mut before = None;
    loop {
        let page = store.history(key, before, PAGE)?;
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        let is_all = last.sequence == 1;
        records.extend(page);
        if is_all {
            break;
        }
    }
    records.reverse();
    Ok(records)
}
