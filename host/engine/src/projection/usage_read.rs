//! Reading a wallet's usage: rows of minutes, hours or days, summed up by what is asked for.

use std::collections::BTreeMap;

use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;
use farebox_store::Store;

use super::pass::decode;
use super::rows::{self, Every, UsageRow};
use super::usage::Totals;
use crate::error::EngineError;
use crate::limits::USAGE_SCANNED_PER_PAGE_MAX;

/// Rows are read this many at a time.
const CHUNK: usize = 512;

/// What usage is asked for.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// Times that begin at or after this one; cut to the beginning of the minute, hour or day that it is in.
    pub from: Timestamp,
    /// Times that begin before this one.
    pub to: Timestamp,
    /// Summed over which times.
    pub every: Every,
    /// By the values of these attributes; none: all in one.
    pub by: Vec<String>,
    /// At most so many groups.
    pub limit: usize,
    /// Behind this place.
    pub after: Option<UsageCursor>,
}

/// A place among groups: behind one, or before the first of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageCursor {
    /// The time of the group.
    pub time: Timestamp,
    /// The group of that time that comes before; none: none does.
    pub group: Option<Grouped>,
}

/// By what groups of one time are told apart and ordered: whether it is what no row of its own was kept of, and the values.
pub type Grouped = (bool, Vec<Option<String>>);

/// Sums of one time and of one value of each attribute that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageGroup {
    /// When the minute, hour or day begins.
    pub time: Timestamp,
    /// Values, in the order in which they were asked for; none where the events had no such attribute.
    pub values: Vec<Option<String>>,
    /// Whether this sums up usage of which no attributes are kept.
    pub other: bool,
    /// The sums.
    pub totals: Totals,
}

/// A piece of the answer, in order of time, then of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePage {
    /// Groups in which something was used or charged.
    pub groups: Vec<UsageGroup>,
    /// From where to read on; none: that was all.
    pub next: Option<UsageCursor>,
}

/// Reads a page.
pub(crate) fn page(
    store: &dyn Store,
    tenant: &TenantId,
    customer: &CustomerId,
    query: &UsageQuery,
) -> Result<UsagePage, EngineError> {
    let prefix = rows::usage(query.every, tenant, customer);
    let start = match &query.after {
        Some(after) => after.time,
        None => query.every.floor(query.from),
    };
    // No row has the key of its bucket alone, so this is right before the bucket's first.
    let mut after = rows::bucket(query.every, tenant, customer, start);
    let mut sums = Sums {
        query,
        page: UsagePage {
            groups: Vec::new(),
            next: None,
        },
        time: start,
        groups: BTreeMap::new(),
    };
    let mut scanned = 0;
    loop {
        let found = store.projections(&prefix, Some(&after), CHUNK)?;
        let last = found.len() < CHUNK;
        for (key, value) in found {
            let time =
                rows::time_of(&prefix, &key).ok_or_else(|| EngineError::State("a usage key".into()))?;
            if time != sums.time {
                if sums.flush() {
                    return Ok(sums.page);
                }
                if time >= query.to {
                    return Ok(sums.page);
                }
                sums.time = time;
                if scanned >= USAGE_SCANNED_PER_PAGE_MAX {
                    sums.page.next = Some(UsageCursor { time, group: None });
                    return Ok(sums.page);
                }
            }
            if time >= query.to {
                return Ok(sums.page);
            }
            scanned += 1;
            sums.add(&decode(&value)?);
            after = key;
        }
        if last {
            sums.flush();
            return Ok(sums.page);
        }
    }
}

/// Groups of one time under construction.
struct Sums<'q> {
    query: &'q UsageQuery,
    page: UsagePage,
    time: Timestamp,
    groups: BTreeMap<Grouped, Totals>,
}

impl Sums<'_> {
    fn add(&mut self, row: &UsageRow) {
        let group = match (&row.attributes, self.query.by.is_empty()) {
            (_, true) => (false, Vec::new()),
            (None, false) => (true, Vec::new()),
            (Some(attributes), false) => {
                let values = self
                    .query
                    .by
                    .iter()
                    .map(|name| attributes.get(name).map(|value| value.to_string()));
                (false, values.collect())
            }
        };
        self.groups.entry(group).or_default().add(&row.totals);
    }

    /// Hands the groups of a time out. True: the page is full, and says where to read on.
    fn flush(&mut self) -> bool {
        let before = match &self.query.after {
            Some(UsageCursor { time, group }) if *time == self.time => group.clone(),
            _ => None,
        };
        for (group, totals) in std::mem::take(&mut self.groups) {
            if totals.is_empty() || before.as_ref().is_some_and(|before| group <= *before) {
                continue;
            }
            if self.page.groups.len() == self.query.limit {
                let last = self.page.groups.last();
                self.page.next = last.map(|last| UsageCursor {
                    time: last.time,
                    group: Some((last.other, last.values.clone())),
                });
                return true;
            }
            let (other, values) = group;
            self.page.groups.push(UsageGroup {
                time: self.time,
                values,
                other,
                totals,
            });
        }
        false
    }
}
