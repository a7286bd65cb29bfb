//! Usage by what no rows are kept of: attributes that name one thing of many. A row for each would be a row for each event, so it
//! is found in the wallet's records when it is asked for, with the same arithmetic, as far as that is bounded.

use std::collections::BTreeMap;

use farebox_ledger::limits::EVENT_AHEAD_MAX;
use farebox_record::Record;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::time::Timestamp;
use farebox_store::{Store, StoreError, StoredRecord, WalletKey};

use super::usage::{Counted, Keeps, Sign, Totals, continued, usage_of};
use super::usage_read::{Grouped, UsageCursor, UsageGroup, UsagePage, UsageQuery};
use crate::error::EngineError;
use crate::limits::{USAGE_FOUND_BYTES_MAX, USAGE_FOUND_RECORDS_MAX};

/// Records that are read at once.
const HISTORY_PAGE: usize = 1_000;

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
    let mut records = since(store, tenant, customer, from)?;
    while let Some(stored) = records.pop() {
        let record = Record::decode(&stored.body).map_err(|error| EngineError::State(error.to_string()))?;
        found.take(&record);
    }
    Ok(found.page())
}

/// A wallet's records from the first on that can be about an event of `from` or later, the newest first.
fn since(
    store: &dyn Store,
    tenant: &TenantId,
    customer: &CustomerId,
    from: Timestamp,
) -> Result<Vec<StoredRecord>, EngineError> {
    let key = WalletKey::new(tenant.as_str(), customer.as_str());
    // An event is never reported longer before it happens.
    let first = from.saturating_sub(EVENT_AHEAD_MAX).as_micros();
    let (mut records, mut bytes, mut before) = (Vec::new(), 0, None);
    loop {
        let page = match store.history(&key, before, HISTORY_PAGE) {
            // What is archived happened before the range.
            Err(StoreError::Archived { newest, .. }) if newest < first => return Ok(records),
            page => page?,
        };
        let Some(last) = page.last() else {
            return Ok(records);
        };
        before = Some(last.sequence);
        for stored in page {
            let at = Record::decode(&stored.body)
                .map_err(|error| EngineError::State(error.to_string()))?
                .at;
            if at.as_micros() < first {
                return Ok(records);
            }
            bytes += stored.body.len();
            records.push(stored);
            let limit = match (
                records.len() > USAGE_FOUND_RECORDS_MAX,
                bytes > USAGE_FOUND_BYTES_MAX,
            ) {
                (true, _) => "USAGE_FOUND_RECORDS_MAX",
                (_, true) => "USAGE_FOUND_BYTES_MAX",
                (false, false) => continue,
            };
            return Err(EngineError::TooMuchUsage { since: from, limit });
        }
    }
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
        let value = |name: &String| attributes.and_then(|attributes| attributes.get(name).cloned());
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
