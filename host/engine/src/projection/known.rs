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
