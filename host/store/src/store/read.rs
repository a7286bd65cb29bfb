//! Reading: what is pending over what the state has, and history along the positions in the journal.

use super::JournalStore;
use crate::contract::{IdHash, Image, ON_DEMAND, PartKey, StoreError, StoredRecord, Version, WalletKey};
use crate::heads::Head;
use crate::journal::place::Damage;
use crate::journal::segments::Segments;
use crate::pending::overlay;

impl JournalStore {
    /// The wallet's newest durable end.
    pub(super) fn head(&self, wallet: &WalletKey) -> Result<Head, StoreError> {
        let _state = self.pending.hold_state();
        match self.pending.head(wallet) {
            Some(head) => Ok(head),
            None => Ok(self.state.head(wallet)?.unwrap_or_default()),
        }
    }

    pub(super) fn load_wallet(&self, wallet: &WalletKey) -> Result<Image, StoreError> {
        let loaded = |key: &[u8]| key.first().is_none_or(|&byte| byte < ON_DEMAND);
        let _state = self.pending.hold_state();
        let changed = self.pending.parts(wallet, &loaded);
        let version = match changed.head.version() {
            0 => self.state.head(wallet)?.unwrap_or_default().version(),
            version => version,
        };
        let mut parts = Vec::new();
        self.state.parts(wallet, &[], None, &mut |key, value| {
            let more = loaded(&key);
            if more {
                parts.push((key, value));
            }
            more
        })?;
        Ok(Image {
            version,
            parts: overlay(parts, changed.parts),
        })
    }

    pub(super) fn part_of(&self, wallet: &WalletKey, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _state = self.pending.hold_state();
        match self.pending.part(wallet, key) {
            Some(newest) => Ok(newest),
            None => self.state.part(wallet, key),
        }
    }

    pub(super) fn parts_of(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(PartKey, Vec<u8>)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let wanted = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let _state = self.pending.hold_state();
        let changed = self.pending.parts(wallet, &wanted).parts;
        // Each pending change removes at most one that is read, so what is left reaches as far as the page does.
        let enough = limit.saturating_add(changed.len());
        let mut parts = Vec::new();
        self.state.parts(wallet, prefix, after, &mut |key, value| {
            parts.push((key, value));
            parts.len() < enough
        })?;
        let mut parts = overlay(parts, changed);
        parts.truncate(limit);
        Ok(parts)
    }

    pub(super) fn find_records(
        &self,
        wallet: &WalletKey,
        id: IdHash,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.answering(wallet, id, self.ids.find(id, &self.segments)?)
    }

    pub(super) fn find_past_records(
        &self,
        wallet: &WalletKey,
        id: IdHash,
    ) -> Result<Option<Vec<StoredRecord>>, StoreError> {
        match self.ids.find_past(id)? {
            Some(positions) => self.answering(wallet, id, positions).map(Some),
            None => Ok(None),
        }
    }

    /// The records at these positions that answer for the id in this wallet, oldest first.
    fn answering(
        &self,
        wallet: &WalletKey,
        id: IdHash,
        positions: Vec<u64>,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let mut records = Vec::new();
        for position in positions {
            let record = self.segments.record(position, |envelope| {
                let answers = envelope.is_of(wallet) && envelope.ids.iter().any(|held| held == id);
                Ok(answers.then(|| envelope.to_record()))
            });
            records.extend(record.map_err(|error| self.of_tenant(error, wallet))?);
        }
        records.sort_by_key(|record| record.sequence);
        Ok(records)
    }

    fn of_tenant(&self, error: StoreError, wallet: &WalletKey) -> StoreError {
        self.segments.elsewhere().of_tenant(error, wallet.tenant())
    }

    pub(super) fn records_before(
        &self,
        wallet: &WalletKey,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let head = self.head(wallet)?;
        history(&self.segments, &head, wallet, before, limit).map_err(|error| self.of_tenant(error, wallet))
    }

    pub(super) fn due_until(
        &self,
        tenant: &str,
        until: i64,
        limit: usize,
    ) -> Result<Vec<(i64, WalletKey)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let _state = self.pending.hold_state();
        let mut dues = Vec::new();
        self.state.due(tenant, until, &mut |instant, wallet| {
            if !self.pending.knows(&wallet) {
                dues.push((instant, wallet));
            }
            dues.len() < limit
        })?;
        self.pending.overlay_dues(tenant, until, &mut dues);
        dues.sort_unstable();
        dues.truncate(limit);
        Ok(dues)
    }

    pub(super) fn wallets_of(
        &self,
        tenant: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WalletKey>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let _state = self.pending.hold_state();
        // One more, as the control plane may be among them.
        let mut wallets = self.pending.wallets_of(tenant, after, limit.saturating_add(1));
        wallets.retain(|wallet| !wallet.is_control());
        let mut found = 0;
        self.state.wallets(tenant, after, &mut |wallet| {
            if !wallet.is_control() {
                wallets.push(wallet);
                found += 1;
            }
            found < limit
        })?;
        wallets.sort_unstable();
        wallets.dedup();
        wallets.truncate(limit);
        Ok(wallets)
    }

    pub(super) fn tenants_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let _state = self.pending.hold_state();
        let mut tenants = self.pending.tenants(after);
        let mut at = after.map(str::to_string);
        for _ in 0..limit {
            let Some(tenant) = self.state.tenant_after(at.as_deref())? else {
                break;
            };
            tenants.push(tenant.clone());
            at = Some(tenant);
        }
        tenants.sort_unstable();
        tenants.dedup();
        tenants.truncate(limit);
        Ok(tenants)
    }
}

/// See [`crate::Store::history`].
pub(super) fn history(
    segments: &Segments,
    head: &Head,
    wallet: &WalletKey,
    before: Option<Version>,
    limit: usize,
) -> Result<Vec<StoredRecord>, StoreError> {
    let newest = head
        .version()
        .min(before.map_or(u64::MAX, |before| before.saturating_sub(1)));
    let mut records = Vec::new();
    let Some((mut sequence, mut position)) = head.nearest(newest.max(1)) else {
        return Ok(records);
    };
    while records.len() < limit && sequence > 0 && newest > 0 {
        let read = segments.record(position, |envelope| {
            if !envelope.is_of(wallet) || envelope.sequence != sequence {
                return Err(Damage::new(format!(
                    "this is not record {sequence} of {wallet:?}"
                )));
            }
            let record = (sequence <= newest).then(|| envelope.to_record());
            Ok((record, (envelope.previous, envelope.skip)))
        });
        let (record, links) = match read {
            // What can be read is shown; whoever asks for what comes before it is told.
            Err(StoreError::Archived { .. }) if !records.is_empty() => break,
            read => read?,
        };
        records.extend(record);
        let skipped = sequence & (sequence - 1);
        (sequence, position) = if skipped >= newest {
            (skipped, links.1)
        } else {
            (sequence - 1, links.0)
        };
    }
    Ok(records)
}
