//! Usage by what no rows are kept of: attributes that name one thing of many. A row for each would be a row for each event, so it
//! is found in the wallet's records when it is asked for, with the same arithmetic, as far as that is bounded.

use std::collections::BTreeMap;
use std::ops::Range;

use farebox_ledger::limits::EVENT_AHEAD_MAX;
use farebox_record::Record;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::time::Timestamp;
use farebox_store::{Store, StoreError, StoredRecord, WalletKey};

use super::usage::{Counted, Keeps, Sign, Totals, continued, usage_of};
use super::usage_read::{Grouped, UsageCursor, UsageGroup, UsagePage, UsageQuery};
use crate::error::EngineError;
use crate::limits::USAGE_FOUND_RECORDS_MAX;

/// Records that are read at once.
const PAGE: usize = 1_000;

/// Reads a page.
pub(crate) fn page(
    store: &dyn Store,
    tenant: &TenantId,
    customer: &CustomerId,
    query: &UsageQuery,
) -> Result<UsagePage, EngineError> {
    let from = query.every.floor(query.from);
    let mut found = Found {
        query,
        from,
        notes: BTreeMap::new(),
        groups: BTreeMap::new(),
    };
    let key = WalletKey::new(tenant.as_str(), customer.as_str());
    let mut rest = since(store, &key, from)?;
    // Backwards to the first and forwards from it, a page at a time, so that no request holds all of them.
    while !rest.is_empty() {
        let end = rest.end.min(rest.start + PAGE as u64);
        let count = usize::try_from(end - rest.start).unwrap_or(usize::MAX);
        for stored in store.history(&key, Some(end), count)?.iter().rev() {
            found.take(&decoded(stored)?);
        }
        rest.start = end;
    }
    Ok(found.page())
}

/// The records of a wallet that can be about an event of `from` or later, by sequence.
fn since(store: &dyn Store, key: &WalletKey, from: Timestamp) -> Result<Range<u64>, EngineError> {
    // An event is never reported longer before it happens.
    let at_least = from.saturating_sub(EVENT_AHEAD_MAX);
    let mut found: Option<Range<u64>> = None;
    loop {
        let before = found.as_ref().map(|found| found.start);
        let page = match store.history(key, before, PAGE) {
            // What is archived happened before the range.
            Err(StoreError::Archived { newest, .. }) if newest < at_least.as_micros() => Vec::new(),
            page => page?,
        };
        for stored in &page {
            if decoded(stored)?.at < at_least {
                return Ok(found.unwrap_or_default());
            }
            let end = found.as_ref().map_or(stored.sequence + 1, |found| found.end);
            found = Some(stored.sequence..end);
            if end - stored.sequence > USAGE_FOUND_RECORDS_MAX {
                return Err(EngineError::TooMuchUsage { since: from });
            }
        }
        if page.is_empty() {
            return Ok(found.unwrap_or_default());
        }
    }
}

fn decoded(stored: &StoredRecord) -> Result<Record, EngineError> {
    Record::decode(&stored.body).map_err(|error| EngineError::State(error.to_string()))
}

/// Sums under construction.
struct Found<'q> {
    query: &'q UsageQuery,
    from: Timestamp,
    /// What events count for of which more may be said later.
    notes: BTreeMap<EventRef, Counted>,
    groups: BTreeMap<(Timestamp, Grouped), Totals>,
}

impl Found<'_> {
    /// Takes a record in; the oldest comes first.
    fn take(&mut self, record: &Record) {
        let before = continued(record).and_then(|event| self.notes.get(&event).cloned());
        let usage = usage_of(record, before, &Keeps::All);
        for (event, note) in usage.notes {
            match note {
                Some(counted) => drop(self.notes.insert(event, counted)),
                None => drop(self.notes.remove(&event)),
            }
        }
        for (sign, counted) in [(Sign::Minus, &usage.taken), (Sign::Plus, &usage.added)] {
            if let Some(counted) = counted {
                self.change(sign, counted);
            }
        }
        for (before, now) in &usage.others {
            self.change(Sign::Minus, before);
            self.change(Sign::Plus, now);
        }
    }

    fn change(&mut self, sign: Sign, counted: &Counted) {
        let time = self.query.every.floor(counted.time);
        if time < self.from || time >= self.query.to {
            return;
        }
        let attributes = counted.attributes.as_ref();
        let value = |name: &String| Some(attributes?.get(name)?.to_string());
        let group = (false, self.query.by.iter().map(value).collect());
        let totals = self.groups.entry((time, group)).or_default();
        totals.change(sign, &counted.totals);
    }

    fn page(self) -> UsagePage {
        let query = self.query;
        let is_behind = |time: Timestamp, group: &Grouped| match &query.after {
            None => true,
            Some(UsageCursor {
                time: at,
                group: None,
            }) => time >= *at,
            Some(UsageCursor {
                time: at,
                group: Some(last),
            }) => (time, group) > (*at, last),
        };
        let groups = self.groups.into_iter();
        let mut groups =
            groups.filter(|((time, group), totals)| !totals.is_empty() && is_behind(*time, group));
        let mut page = UsagePage {
            groups: Vec::new(),
            next: None,
        };
        for ((time, (other, values)), totals) in groups.by_ref().take(query.limit) {
            page.groups.push(UsageGroup {
                time,
                values,
                other,
                totals,
            });
        }
        if groups.next().is_some() {
            page.next = page.groups.last().map(|last| UsageCursor {
                time: last.time,
                group: Some((last.other, last.values.clone())),
            });
        }
        page
    }
}
