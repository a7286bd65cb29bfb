//! What is made of the records, in a tree of its own beside the state.
//!
//! Each call is one atomic batch with the position that it reaches, and sled writes the batches of a process in order, so
//! that after a crash the tree is as some earlier call left it. It may be behind the journal, never ahead of it.

use parking_lot::RwLock;

use super::{Done, keys, rows, unusable};
use crate::contract::StoreError;
use crate::projections::{Position, ProjectionChange, ProjectionRow, check_forward};

const TREE: &str = "projections";

/// See the module.
#[derive(Debug)]
pub(crate) struct ProjectionTree {
    tree: sled::Tree,
    /// Held by readers while they look, so that none sees a value of which another row is being changed.
    gate: RwLock<()>,
}

impl ProjectionTree {
    /// Opens it. Rows without a position are what a crash left of forgetting, and go too.
    pub(crate) fn open(db: &sled::Db) -> Result<ProjectionTree, StoreError> {
        let tree = ProjectionTree {
            tree: db.open_tree(TREE).map_err(|error| unusable(&error))?,
            gate: RwLock::new(()),
        };
        if tree.row(keys::META)?.is_none() {
            tree.tree.clear().map_err(|error| unusable(&error))?;
        }
        Ok(tree)
    }

    pub(crate) fn position(&self) -> Result<Position, StoreError> {
        let Some(row) = self.row(keys::META)? else {
            return Ok(Position::default());
        };
        let row = row
            .try_into()
            .map_err(|_| rows::broken("how far the projections are cannot be read"))?;
        Ok(Position(u64::from_le_bytes(row)))
    }

    pub(crate) fn apply(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        let _gate = self.gate.write();
        check_forward(self.position()?, position)?;
        let mut batch = sled::Batch::default();
        let mut set = |key: Vec<u8>, row: &[u8]| {
            let sealed = rows::seal(&key, row);
            batch.insert(key, sealed);
        };
        set(keys::META.to_vec(), &position.0.to_le_bytes());
        // The last change of a key counts, and only it may say which rows go.
        let changes: std::collections::BTreeMap<_, _> = changes.into_iter().collect();
        let mut gone = Vec::new();
        for (key, value) in &changes {
            let before = match self.row(&keys::projection_row(key, 0))? {
                Some(first) => rows::PartRows::begin(&first)?.rows(),
                None => 0,
            };
            let mut now = 0;
            for piece in value.iter().flat_map(|value| rows::cut(value)) {
                set(keys::projection_row(key, now), &piece);
                now += 1;
            }
            gone.extend((now..before).map(|row| keys::projection_row(key, row)));
        }
        for key in gone {
            batch.remove(key);
        }
        self.tree.apply_batch(batch).map_err(|error| unusable(&error))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _gate = self.gate.read();
        let Some(first) = self.row(&keys::projection_row(key, 0))? else {
            return Ok(None);
        };
        let mut value = rows::PartRows::begin(&first)?;
        for row in 1..value.rows() {
            let row = self.row(&keys::projection_row(key, row))?;
            value.add(&row.ok_or_else(|| rows::broken("a projection lacks a row"))?)?;
        }
        value.finish().map(Some)
    }

    pub(crate) fn range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
        let _gate = self.gate.read();
        let front = keys::projection_rows(prefix);
        let from = after.map_or_else(
            || front.clone(),
            |after| keys::after_projection(after).max(front.clone()),
        );
        let mut found: Vec<ProjectionRow> = Vec::new();
        let mut open: Option<(Vec<u8>, rows::PartRows)> = None;
        for row in self.tree.range(from..) {
            let (key, sealed) = row.map_err(|error| unusable(&error))?;
            if found.len() == limit || !key.starts_with(&front) {
                break;
            }
            let bytes = rows::unseal(&key, &sealed)?;
            let (name, row) =
                keys::projection_of(&key).ok_or_else(|| rows::broken("a projection has no readable key"))?;
            let (name, mut value) = match (open.take(), row) {
                (None, 0) => (name, rows::PartRows::begin(bytes)?),
                (Some((begun, mut value)), _) if begun == name => {
                    value.add(bytes)?;
                    (name, value)
                }
                _ => return Err(rows::broken("a projection lacks a row")),
            };
            match value.is_whole() {
                true => found.push((name, value.take()?)),
                false => open = Some((name, value)),
            }
        }
        match open {
            Some(_) if found.len() < limit => Err(rows::broken("a projection lacks its last row")),
            _ => Ok(found),
        }
    }

    /// Every row as it is, its seal checked.
    pub(crate) fn rows(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> Done) -> Result<(), StoreError> {
        let _gate = self.gate.read();
        for row in self.tree.iter() {
            let (key, sealed) = row.map_err(|error| unusable(&error))?;
            rows::unseal(&key, &sealed)?;
            visit(&key, &sealed)?;
        }
        Ok(())
    }

    /// Puts rows as [`ProjectionTree::rows`] shows them, in one batch; the one that says how far they are must come last.
    pub(crate) fn put_rows(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        let _gate = self.gate.write();
        let mut batch = sled::Batch::default();
        for (key, sealed) in rows {
            rows::unseal(&key, &sealed)?;
            batch.insert(key, sealed);
        }
        self.tree.apply_batch(batch).map_err(|error| unusable(&error))
    }

    /// Whether this is the row that says how far they are.
    pub(crate) fn is_position(key: &[u8]) -> bool {
        key == keys::META
    }

    /// The position goes first: rows without one are as good as gone.
    pub(crate) fn forget(&self) -> Result<(), StoreError> {
        let _gate = self.gate.write();
        self.tree.remove(keys::META).map_err(|error| unusable(&error))?;
        self.tree.clear().map_err(|error| unusable(&error))
    }

    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.tree.get(key).map_err(|error| unusable(&error))? {
            Some(sealed) => Ok(Some(rows::unseal(key, &sealed)?.to_vec())),
            None => Ok(None),
        }
    }
}
