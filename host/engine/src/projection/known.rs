//! What the projector knows from the passes before: rows of usage and the days of wallets, as they stand. A busy wallet counts in
//! the same rows with each pass, and reading a row takes longer than adding to it.
//!
//! Nobody else changes these rows but the upkeep, which removes old ones: so all of it is forgotten there, and when a pass fails.

use farebox_record::codec;
use farebox_store::{FastMap, ProjectionChange, Projections, StoreError};

use super::books::Reached;
use super::pass::read;
use super::rows::UsageRow;
use crate::limits::PROJECTION_KNOWN_MAX;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Known {
    usage: FastMap<Vec<u8>, Row>,
    /// Keys of rows that changed since they were written.
    changed: Vec<Vec<u8>>,
    pub days: Reached,
}

#[derive(Debug)]
struct Row {
    row: UsageRow,
    changed: bool,
}

impl Known {
    /// Whether there is a row of this key, which is known then.
    pub fn has(&mut self, store: &dyn Projections, key: &[u8]) -> Result<bool, StoreError> {
        if self.usage.contains_key(key) {
            return Ok(true);
        }
        let found: Option<UsageRow> = read(store, key)?;
        let is_there = found.is_some();
        let found = found.map(|row| (key.to_vec(), Row { row, changed: false }));
        self.usage.extend(found);
        Ok(is_there)
    }

    /// A row that is about to change; one that is not known begins as `fresh`.
    pub fn row(&mut self, key: Vec<u8>, fresh: impl FnOnce() -> UsageRow) -> &mut UsageRow {
        let (changed, next) = (&mut self.changed, &key);
        if self.usage.get(next).is_none_or(|known| !known.changed) {
            changed.push(next.clone());
        }
        let known = self.usage.entry(key).or_insert_with(|| Row {
            row: fresh(),
            changed: true,
        });
        known.changed = true;
        &mut known.row
    }

    /// What has changed since this was last asked, as it is to be written.
    pub fn changes(&mut self) -> Vec<ProjectionChange> {
        let mut changes = Vec::with_capacity(self.changed.len());
        for key in std::mem::take(&mut self.changed) {
            if let Some(known) = self.usage.get_mut(&key) {
                known.changed = false;
                changes.push((key, Some(codec::encode(&known.row))));
            }
        }
        changes.extend(self.days.changes());
        changes
    }

    /// What of it is kept for the next pass: nothing once it is a great deal.
    pub fn bounded(self) -> Known {
        match self.usage.len().max(self.days.len()) > PROJECTION_KNOWN_MAX {
            true => Known::default(),
            false => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use farebox_store::{MemoryStore, Position};

    use super::*;

    fn row(events: i64) -> UsageRow {
        let mut row = UsageRow::default();
        row.totals.events = events;
        row
    }

    fn events(changes: Vec<ProjectionChange>) -> Vec<(Vec<u8>, i64)> {
        let read = |bytes: Option<Vec<u8>>| codec::decode::<UsageRow>(&bytes.unwrap()).unwrap();
        let told = changes.into_iter();
        told.map(|(key, row)| (key, read(row).totals.events)).collect()
    }

    #[test]
    fn a_row_is_read_once_and_told_once_after_each_pass_that_changed_it() {
        let store = MemoryStore::new();
        store
            .project(Position(1), vec![(b"a".to_vec(), Some(codec::encode(&row(3))))])
            .unwrap();
        let mut known = Known::default();
        assert!(known.has(&store, b"a").unwrap() && !known.has(&store, b"b").unwrap());
        known.row(b"a".to_vec(), || row(100)).totals.events += 1;
        known.row(b"b".to_vec(), || row(10)).totals.events += 1;
        known.row(b"a".to_vec(), || row(100)).totals.events += 1;
        assert_eq!(events(known.changes()), [(b"a".to_vec(), 5), (b"b".to_vec(), 11)]);
        // Written or not: what is known is what stands.
        assert!(known.has(&store, b"b").unwrap());
        known.row(b"b".to_vec(), || row(100)).totals.events += 1;
        assert_eq!(events(known.changes()), [(b"b".to_vec(), 12)]);
        assert!(known.changes().is_empty());
    }

    #[test]
    fn a_great_deal_is_not_kept() {
        let store = MemoryStore::new();
        let mut known = Known::default();
        for n in 0..=PROJECTION_KNOWN_MAX {
            known.row(n.to_be_bytes().to_vec(), || row(1));
        }
        assert_eq!(known.changes().len(), PROJECTION_KNOWN_MAX + 1);
        assert!(!known.bounded().has(&store, &0_usize.to_be_bytes()).unwrap());
    }
}
