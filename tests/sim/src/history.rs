//! A history, read once and looked at from many sides.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use farebox_ledger::Wallet;
use farebox_record::codec;
use farebox_record::command::{Command, DueItem};
use farebox_record::control::ControlRecord;
use farebox_record::correction::Standing;
use farebox_record::ids::{Hash, TenantId};
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_store::{JournalStore, Store as _, StoredRecord, WalletKey};

use crate::log::Owner;

/// Records that are read at once.
const PAGE: usize = 500;

/// All records of a wallet, and the wallet as it was shown behind the last of them.
#[derive(Debug)]
pub struct History {
    /// Whose.
    pub owner: Owner,
    /// As it was shown.
    pub shown: Arc<Wallet>,
    /// As they are kept, oldest first.
    pub stored: Vec<StoredRecord>,
    /// What they say.
    pub records: Vec<Record>,
}

impl History {
    /// Reads everything.
    ///
    /// # Errors
    /// A record that is missing, that is another's, or that nobody can read.
    pub fn read(store: &JournalStore, owner: &Owner, shown: Arc<Wallet>) -> anyhow::Result<History> {
        let stored = read(store, &WalletKey::new(owner.0.as_str(), owner.1.as_str()))?;
        let mut records = Vec::with_capacity(stored.len());
        for stored in &stored {
            let record = Record::decode(&stored.body)
                .with_context(|| format!("{owner:?}: record {}", stored.sequence))?;
            ensure!(
                (&record.tenant, &record.customer) == (&owner.0, &owner.1),
                "{owner:?} has a record of another"
            );
            records.push(record);
        }
        Ok(History {
            owner: owner.clone(),
            shown,
            stored,
            records,
        })
    }
}

/// All records of a tenant's control plane, oldest first; each follows on the one before, and none is from before it.
///
/// # Errors
/// A record that does not fit.
pub fn control(store: &JournalStore, tenant: &TenantId) -> anyhow::Result<Vec<ControlRecord>> {
    let mut records: Vec<ControlRecord> = Vec::new();
    let mut chain = Hash::default();
    for stored in read(store, &WalletKey::control(tenant.as_str()))? {
        let record: ControlRecord =
            codec::decode(&stored.body).with_context(|| format!("{tenant}: control record"))?;
        let place = (record.sequence, record.previous, &record.tenant);
        ensure!(
            place == (stored.sequence, chain, tenant),
            "{tenant}: control record {} does not follow on the one before",
            record.sequence
        );
        ensure!(
            records.last().is_none_or(|before| before.at <= record.at),
            "{tenant}: control record {} is from before the one before",
            record.sequence
        );
        chain = Hash::of(&stored.body);
        records.push(record);
    }
    Ok(records)
}

/// All records under a key, oldest first.
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
    for (record, sequence) in records.iter().zip(1..) {
        ensure!(
            record.sequence == sequence,
            "{key:?}: record {} stands at {sequence}",
            record.sequence
        );
    }
    Ok(records)
}

/// The held call that a record ends without a last settlement.
pub fn concluded(record: &Record) -> Option<&EventRef> {
    match &record.command {
        Command::Release(release) => Some(&release.hold),
        Command::Due(due) => match &due.item {
            DueItem::HoldExpiry(hold) => Some(hold),
            _ => None,
        },
        _ => None,
    }
}

/// The event that set the deadline which a record says has passed.
pub fn set_by(record: &Record) -> Option<&EventRef> {
    let due = match &record.command {
        Command::Due(due) => due,
        other => &other.retried()?.1.due,
    };
    match &due.item {
        DueItem::Timer { about, .. } => about.as_ref()?.event.as_ref(),
        _ => None,
    }
}

/// What an effect earns.
pub fn revenue(effect: &Effect) -> i128 {
    match effect {
        Effect::Entry(entry) if entry.account == Account::Revenue => entry.amount.get(),
        _ => 0,
    }
}

/// Events as a record leaves them.
pub fn standings(record: &Record) -> BTreeMap<&EventRef, &Standing> {
    let effects = record.outcome.effects.iter();
    let standings = effects.filter_map(|effect| match effect {
        Effect::StandingPut(event, standing) => Some((event, &**standing)),
        _ => None,
    });
    standings.collect()
}
