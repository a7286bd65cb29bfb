//! What is no longer kept goes, a little at a time: items of feeds, and usage by the minute and by the hour.

use farebox_record::ids::TenantId;
use farebox_store::{Position, ProjectionChange, Store, StoreError};

use super::change::Change;
use super::pass::{decode, encode};
use super::rows::{self, Every};
use crate::clock::Clock;
use crate::limits::{CHANGES_KEPT, PROJECTION_UPKEEP_MAX};

/// Kinds of keys whose rows go.
const KINDS: [u8; 3] = [rows::FEED, Every::Hour.key(), Every::Minute.key()];

/// Where the next look begins.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    kind: usize,
    /// Behind every key of the feed or the wallet that was looked at last.
    after: Option<Vec<u8>>,
}

impl Upkeep {
    /// Visits some feeds and wallets, and removes what is too old there. The next look goes on behind them.
    pub(crate) fn step(
        &mut self,
        store: &dyn Store,
        clock: &dyn Clock,
        position: Position,
    ) -> Result<(), StoreError> {
        for _ in 0..PROJECTION_UPKEEP_MAX {
            let kind = KINDS[self.kind];
            let next = store.projections(&[kind], self.after.as_deref(), 1)?;
            let Some((prefix, tenant, _)) = next.first().and_then(|(key, _)| rows::owner(key)) else {
                self.kind = (self.kind + 1) % KINDS.len();
                self.after = None;
                if self.kind == 0 {
                    return Ok(()); // all the way round: enough for now
                }
                continue;
            };
            let old = match kind {
                rows::FEED => old_items(store, clock, &prefix, &tenant)?,
                _ => old_rows(store, clock, &prefix, &tenant)?,
            };
            if !old.is_empty() {
                metrics::counter!("farebox_projection_rows_removed_total").increment(old.len() as u64);
                store.project(position, old)?;
            }
            let mut behind = prefix;
            behind.extend_from_slice(&[0xff; 32]);
            self.after = Some(behind);
        }
        Ok(())
    }
}

/// The oldest items of a feed that are too old, and up to where the feed is cut off then.
fn old_items(
    store: &dyn Store,
    clock: &dyn Clock,
    prefix: &[u8],
    tenant: &TenantId,
) -> Result<Vec<ProjectionChange>, StoreError> {
    let oldest = clock.now(tenant).saturating_sub(CHANGES_KEPT);
    let mut changes = Vec::new();
    let mut cut = None;
    for (key, value) in store.projections(prefix, None, PROJECTION_UPKEEP_MAX)? {
        let change: Change = decode(&value)?;
        if change.at >= oldest {
            break;
        }
        cut = rows::cursor_of(&key).or(cut);
        changes.push((key, None));
    }
    if let Some(cut) = cut {
        let place = (cut.position.0, cut.index);
        changes.push((rows::cut(tenant), Some(encode(&place))));
    }
    Ok(changes)
}

/// The oldest rows of a wallet's usage that are too old.
fn old_rows(
    store: &dyn Store,
    clock: &dyn Clock,
    prefix: &[u8],
    tenant: &TenantId,
) -> Result<Vec<ProjectionChange>, StoreError> {
    let every = match prefix.first() {
        Some(&kind) if kind == Every::Hour.key() => Every::Hour,
        _ => Every::Minute,
    };
    let Some(oldest) = every.oldest_kept(clock.now(tenant)) else {
        return Ok(Vec::new());
    };
    let rows = store.projections(prefix, None, PROJECTION_UPKEEP_MAX)?.into_iter();
    Ok(rows
        .map(|(key, _)| key)
        .take_while(|key| rows::time_of(prefix, key).is_some_and(|time| time < oldest))
        .map(|key| (key, None))
        .collect())
}
