//! What must hold whenever nothing is on its way.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use farebox_ledger::{Wallet, verify};
use farebox_record::command::{Command, Identity};
use farebox_record::ids::Hash;
use farebox_record::outcome::Answer;
use farebox_record::record::Record;
use farebox_record::state::Part;
use farebox_store::{JournalStore, Store as _, WalletKey};

use crate::books::Books;
use crate::history::History;
use crate::log::{Log, Owner, REMEMBERED};

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
    history: &History,
    before: Option<(u64, Hash)>,
) -> anyhow::Result<[u8; 32]> {
    let (owner, shown) = (&history.owner, &*history.shown);
    let mut folded = Wallet::default();
    let mut books = Books::default();
    let mut identities: BTreeMap<Identity, u64> = BTreeMap::new();
    for (stored, record) in history.stored.iter().zip(&history.records) {
        folded
            .replay(record, &stored.body)
            .with_context(|| format!("{owner:?}"))?;
        books
            .enter(record)
            .map_err(|what| anyhow::anyhow!("{owner:?}: {what}"))?;
        for identity in record.identities() {
            let first = *identities.entry(identity.clone()).or_insert(record.sequence);
            if first != record.sequence && !was_forgotten(history, first, record) {
                bail!(
                    "{owner:?}: records {first} and {} both answer for {identity:?}",
                    record.sequence
                );
            }
        }
    }
    ensure!(
        folded.same_state(shown),
        "{owner:?}: the wallet is not the fold of its {} records",
        history.records.len()
    );
    wallet(owner, &folded)?;
    books
        .compare(shown)
        .map_err(|what| anyhow::anyhow!("{owner:?}: {what}"))?;
    if let Some((sequence, chain)) = before.filter(|(sequence, _)| *sequence > 0) {
        let record = usize::try_from(sequence)
            .ok()
            .and_then(|sequence| history.stored.get(sequence - 1));
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
            .and_then(|sequence| history.records.get(sequence - 1));
        let is_it =
            record.is_some_and(|record| record.outcome.answer == told.answer && record.command == *command);
        ensure!(
            is_it,
            "{owner:?}: record {} is not what {identity:?} was answered for",
            told.sequence
        );
    }
    let key = WalletKey::new(owner.0.as_str(), owner.1.as_str());
    let waiting = store.parts(&key, Part::UNPRICED_PREFIX, None, usize::MAX)?;
    ensure!(
        waiting.len() as u64 == shown.header().unpriced,
        "{owner:?}: {} events wait, not {}",
        waiting.len(),
        shown.header().unpriced
    );
    Ok(shown.header().chain.0)
}

/// Whether an id was free again: that of a call of which nothing was ever settled, posted by a backfill long after.
fn was_forgotten(history: &History, first: u64, again: &Record) -> bool {
    let Command::Backfill(posted) = &again.command else {
        return false;
    };
    let event = posted.event.reference();
    let first = history.records.iter().find(|record| record.sequence == first);
    let is_call = first.is_some_and(|first| {
        matches!(first.command, Command::Authorize(_)) && first.at.saturating_add(REMEMBERED) < again.at
    });
    let is_settled = history.records.iter().any(|record| {
        matches!(&record.command, Command::Settle(settle) if settle.hold == event)
            && matches!(record.outcome.answer, Answer::Settled(_) | Answer::Unpriced(_))
    });
    is_call && !is_settled
}

/// Checks that a customer was charged what it was told, to the nano: for those whose plan charges in one asset.
///
/// # Errors
/// How much the two differ.
pub fn told(history: &History) -> anyhow::Result<()> {
    let mut books = Books::default();
    for record in &history.records {
        let entered = books.enter(record);
        entered.map_err(|what| anyhow::anyhow!("{:?}: {what}", history.owner))?;
    }
    books
        .compare_told("usd")
        .map_err(|what| anyhow::anyhow!("{:?}: {what}", history.owner))
}
