//! Reading a tenant's change feed.

use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;
use farebox_store::{Store, StoreError};

use super::change::{Change, FeedCursor, Kind};
use super::pass::{decode, read};
use super::rows;
use crate::error::EngineError;
use crate::limits::{CHANGES_KEPT, CHANGES_SCANNED_PER_PAGE_MAX};

/// Items are read this many at a time.
const CHUNK: usize = 256;

/// What of a feed is asked for.
#[derive(Debug, Clone, Default)]
pub struct FeedQuery {
    /// Behind this place; none: from the oldest item that is kept.
    pub after: Option<FeedCursor>,
    /// At most so many items.
    pub limit: usize,
    /// Of this customer alone.
    pub customer: Option<CustomerId>,
    /// Of this kind alone.
    pub kind: Option<Kind>,
}

/// A piece of a feed, in commit order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// Items, each with its place.
    pub changes: Vec<(FeedCursor, Change)>,
    /// From where to read on. Everything before it was looked at.
    pub next: FeedCursor,
    /// Whether there is more behind `next` now, or may be.
    pub more: bool,
}

/// Why a feed cannot be read from a place.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Items behind the place are no longer kept.
    #[error("changes behind this cursor are older than 35 days and no longer kept (limit CHANGES_KEPT)")]
    Expired,
    /// The place is behind everything that was ever committed here.
    #[error(
        "this cursor is ahead of everything that happened here: it is of another Farebox, or of one before it was restored"
    )]
    Ahead,
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> FeedError {
        FeedError::Engine(error.into())
    }
}

/// Reads a page, `now` by the tenant's own clock. A place behind which something is gone is refused, never passed over in
/// silence.
pub(crate) fn page(
    store: &dyn Store,
    now: Timestamp,
    tenant: &TenantId,
    query: &FeedQuery,
) -> Result<FeedPage, FeedError> {
    let end = store.projected()?;
    let durable = store.end()?.max(end);
    if query.after.is_some_and(|after| after.position > durable) {
        return Err(FeedError::Ahead);
    }
    let oldest = now.saturating_sub(CHANGES_KEPT);
    let cut: Option<(u64, u16)> = read(store, &rows::cut(tenant))?;
    if let (Some(after), Some(cut)) = (query.after, cut)
        && (after.position.0, after.index) < cut
    {
        return Err(FeedError::Expired);
    }
    let prefix = rows::feed(tenant);
    let mut page = FeedPage {
        changes: Vec::new(),
        next: query.after.unwrap_or_else(|| FeedCursor::behind(end)),
        more: true,
    };
    let mut after = query.after.map(|after| rows::item(tenant, after));
    let mut scanned = 0;
    loop {
        let items = store.projections(&prefix, after.as_deref(), CHUNK)?;
        let last = items.len() < CHUNK;
        for (key, value) in items {
            let cursor = rows::cursor_of(&key).ok_or_else(|| EngineError::State("a feed's key".into()))?;
            let change: Change = decode(&value)?;
            let expired = change.at < oldest;
            if expired && query.after.is_some() && scanned == 0 {
                return Err(FeedError::Expired);
            }
            scanned += 1;
            page.next = cursor;
            after = Some(key);
            if !expired && query.wants(&change) {
                page.changes.push((cursor, change));
            }
            if page.changes.len() == query.limit || scanned >= CHANGES_SCANNED_PER_PAGE_MAX {
                return Ok(page);
            }
        }
        if last {
            // Everything up to `end` was looked at, also where none of it is news.
            page.next = page.next.max(FeedCursor::behind(end));
            page.more = false;
            return Ok(page);
        }
    }
}

impl FeedQuery {
    fn wants(&self, change: &Change) -> bool {
        let of_customer =
            (self.customer.as_ref()).is_none_or(|customer| change.customer.as_ref() == Some(customer));
        of_customer && self.kind.is_none_or(|kind| change.what.kind() == kind)
    }
}
