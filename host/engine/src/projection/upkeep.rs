//! What is no longer kept goes, a little at a time: items of feeds, and usage by the minute and by the hour.

use farebox_record::ids::TenantId;
use farebox_record::time::Timestamp;
use farebox_store::{Position, ProjectionChange, ProjectionRow, Projections, StoreError};

use super::change::Change;
use super::pass::{self, decode, encode};
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
        store: &dyn Projections,
        clock: &dyn Clock,
        position: Position,
    ) -> Result<Round, StoreError> {
        for _ in 0..PROJECTION_UPKEEP_MAX {
            let kind = KINDS[self.kind];
            let next = store.projections(&[kind], self.after.as_deref(), 1)?;
            let Some((first, (prefix, tenant, _))) =
                next.first().and_then(|row| Some((row, rows::owner(&row.0)?)))
            else {
                self.kind = (self.kind + 1) % KINDS.len();
                self.after = None;
                if self.kind == 0 {
                    return Ok(Round::Done); // all the way round: enough for now
                }
                continue;
            };
            let now = pass::now(store, clock, &tenant)?;
            if is_old(first, &prefix, now)? {
                let old = match kind {
                    rows::FEED => old_items(store, &prefix, &tenant, now)?,
                    _ => old_rows(store, &prefix, now)?,
                };
                metrics::counter!("farebox_projection_rows_removed_total").increment(old.len() as u64);
                store.project(position, old)?;
            }
            let mut behind = prefix;
            behind.extend_from_slice(&[0xff; 32]);
            self.after = Some(behind);
        }
        Ok(Round::GoesOn)
    }
}

/// Whether everything was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Up to the last feed or wallet.
    Done,
    /// The next look goes on.
    GoesOn,
}

/// Whether a row is no longer kept.
fn is_old((key, value): &ProjectionRow, prefix: &[u8], now: Timestamp) -> Result<bool, StoreError> {
    let every = match prefix.first() {
        Some(&rows::FEED) => {
            let change: Change = decode(value)?;
            return Ok(change.at < now.saturating_sub(CHANGES_KEPT));
        }
        Some(&kind) if kind == Every::Hour.key() => Every::Hour,
        _ => Every::Minute,
    };
    let oldest = every.oldest_kept(now);
    Ok(oldest.is_some_and(|oldest| rows::time_of(prefix, key).is_some_and(|time| time < oldest)))
}

/// The oldest items of a feed that are too old, and up to where the feed is cut off then.
fn old_items(
    store: &dyn Projections,
    prefix: &[u8],
    tenant: &TenantId,
    now: Timestamp,
) -> Result<Vec<ProjectionChange>, StoreError> {
    let mut changes = old_rows(store, prefix, now)?;
    if let Some(cut) = changes.last().and_then(|(key, _)| rows::cursor_of(key)) {
        let place = (cut.position.0, cut.index);
        changes.push((rows::cut(tenant), Some(encode(&place))));
    }
    Ok(changes)
}

/// The oldest rows of a feed or a wallet that are too old.
fn old_rows(
    store: &dyn Projections,
    prefix: &[u8],
    now: Timestamp,
) -> Result<Vec<ProjectionChange>, StoreError> {
    let mut old = Vec::new();
    for row in store.projections(prefix, None, PROJECTION_UPKEEP_MAX)? {
        if !is_old(&row, prefix, now)? {
            break;
        }
        old.push((row.0, None));
    }
    Ok(old)
}
