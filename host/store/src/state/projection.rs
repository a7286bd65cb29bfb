//! What is made of the records, in a tree of its own beside the state.
//!
//! Each call is one atomic step with the position that it reaches. Steps are gathered in memory ([`Ahead`]) and written to
//! sled together, as one atomic batch with the position of the last: usage of a busy customer changes the same rows with
//! every step. sled writes the batches of a process in order, so that after a crash the tree is as some earlier step left it.
//! It may be behind the journal, never ahead of it.

mod ahead;

use parking_lot::RwLock;

use self::ahead::Ahead;
use super::{Done, keys, rows, unusable};
use crate::contract::StoreError;
use crate::projections::{Position, ProjectionChange, ProjectionRow, check_forward};

const TREE: &str = "projections";

/// See the module.
#[derive(Debug)]
pub(crate) struct ProjectionTree {
    tree: sled::Tree,
    /// Held by readers while they look, so that none sees a value of which another row is being changed.
    ahead: RwLock<Ahead>,
}

impl ProjectionTree {
    /// Opens it. Rows without a position are what a crash left of forgetting, and go too.
    pub(crate) fn open(db: &sled::Db) -> Result<ProjectionTree, StoreError> {
        let tree = ProjectionTree {
            tree: db.open_tree(TREE).map_err(|error| unusable(&error))?,
            ahead: RwLock::default(),
        };
        match tree.written()? {
            Some(position) => tree.ahead.write().position = position,
            None => tree.tree.clear().map_err(|error| unusable(&error))?,
        }
        Ok(tree)
    }

    pub(crate) fn position(&self) -> Position {
        self.ahead.read().position
    }

    /// Up to where the rows are that sled has. None: it has none.
    fn written(&self) -> Result<Option<Position>, StoreError> {
        let Some(row) = self.row(keys::META)? else {
            return Ok(None);
        };
        let row = row
            .try_into()
            .map_err(|_| rows::broken("how far the projections are cannot be read"))?;
        Ok(Some(Position(u64::from_le_bytes(row))))
    }

    pub(crate) fn apply(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        let mut ahead = self.ahead.write();
        check_forward(ahead.position, position)?;
        ahead.add(position, changes);
        match ahead.is_full() {
            true => self.write_out(&mut ahead),
            false => Ok(()),
        }
    }

    /// Whether something has been in memory alone for as long as it may be.
    pub(crate) fn is_old(&self) -> bool {
        self.ahead.read().is_old()
    }

    /// Writes everything that is in memory alone.
    pub(crate) fn write(&self) -> Result<(), StoreError> {
        self.write_out(&mut self.ahead.write())
    }

    fn write_out(&self, ahead: &mut Ahead) -> Result<(), StoreError> {
        if ahead.is_written() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        let mut set = |key: Vec<u8>, row: &[u8]| {
            let sealed = rows::seal(&key, row);
            batch.insert(key, sealed);
        };
        set(keys::META.to_vec(), &ahead.position.0.to_le_bytes());
        let mut gone = Vec::new();
        for (key, value) in ahead.rows() {
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
        self.tree.apply_batch(batch).map_err(|error| unusable(&error))?;
        ahead.written();
        Ok(())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let ahead = self.ahead.read();
        if let Some(value) = ahead.get(key) {
            return Ok(value.cloned());
        }
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
        let ahead = self.ahead.read();
        let mut changed = ahead.range(prefix, after).peekable();
        if changed.peek().is_none() {
            return self.range_written(prefix, after, limit);
        }
        // A row that is gone takes the place of one that sled still has: as many more may be needed of sled as are changed
        // up to the last that is wanted, so it is read on until there are enough.
        let (mut found, mut from, mut more) = (Vec::new(), after.map(<[u8]>::to_vec), true);
        while found.len() < limit && more {
            let written = self.range_written(prefix, from.as_deref(), limit)?;
            more = written.len() == limit;
            from = written.last().map(|(key, _)| key.clone()).or(from);
            // Behind the last row of this piece other rows of sled may come before changed ones.
            let until = match more {
                true => from.as_deref(),
                false => None,
            };
            ahead::merge(written, &mut changed, until, limit, &mut found);
        }
        Ok(found)
    }

    fn range_written(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
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
        let mut ahead = self.ahead.write();
        self.write_out(&mut ahead)?;
        for row in self.tree.iter() {
            let (key, sealed) = row.map_err(|error| unusable(&error))?;
            rows::unseal(&key, &sealed)?;
            visit(&key, &sealed)?;
        }
        Ok(())
    }

    /// Puts rows as [`ProjectionTree::rows`] shows them, in one batch; the one that says how far they are must come last.
    pub(crate) fn put_rows(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        let mut ahead = self.ahead.write();
        let mut batch = sled::Batch::default();
        for (key, sealed) in rows {
            rows::unseal(&key, &sealed)?;
            batch.insert(key, sealed);
        }
        self.tree.apply_batch(batch).map_err(|error| unusable(&error))?;
        ahead.position = self.written()?.unwrap_or_default();
        Ok(())
    }

    /// Whether this is the row that says how far they are.
    pub(crate) fn is_position(key: &[u8]) -> bool {
        key == keys::META
    }

    /// The position goes first: rows without one are as good as gone.
    pub(crate) fn forget(&self) -> Result<(), StoreError> {
        let mut ahead = self.ahead.write();
        *ahead = Ahead::default();
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::projections::Map;

    /// What may become of the tree between two steps.
    #[derive(Debug, Clone)]
    enum Step {
        /// Few keys, so that rows change, go and come back; long values take several rows of sled.
        Apply(Vec<(u8, Option<u16>)>),
        Write,
        Reopen,
    }

    fn step() -> impl Strategy<Value = Step> {
        let value = prop_oneof![Just(None), (0_u16..9_000).prop_map(Some)];
        let changes = proptest::collection::vec((0_u8..12, value), 0..8);
        prop_oneof![4 => changes.prop_map(Step::Apply), 2 => Just(Step::Write), 1 => Just(Step::Reopen)]
    }

    fn key(n: u8) -> Vec<u8> {
        format!("{}{n}", ["a", "b"][usize::from(n % 2)]).into_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Wherever each row is, in memory or in sled, all of them are read as one space.
        #[test]
        fn rows_in_memory_and_in_sled_are_one_space(steps in proptest::collection::vec(step(), 1..20)) {
            let db = sled::Config::new().temporary(true).open().unwrap();
            let (mut tree, mut expected) = (ProjectionTree::open(&db).unwrap(), Map::default());
            for (position, step) in (1..).zip(steps) {
                match step {
                    Step::Apply(changes) => {
                        let value = |length: u16| vec![length.to_be_bytes()[1]; usize::from(length)];
                        let changes: Vec<ProjectionChange> =
                            changes.into_iter().map(|(n, length)| (key(n), length.map(value))).collect();
                        tree.apply(Position(position), changes.clone()).unwrap();
                        expected.apply(Position(position), changes).unwrap();
                    }
                    Step::Write => tree.write().unwrap(),
                    Step::Reopen => {
                        tree.write().unwrap();
                        tree = ProjectionTree::open(&db).unwrap();
                    }
                }
                prop_assert_eq!(tree.position(), expected.position);
                for n in 0..12 {
                    prop_assert_eq!(tree.get(&key(n)).unwrap(), expected.get(&key(n)), "{}", n);
                }
                for (prefix, after, limit) in
                    [("", None, 99), ("a", None, 2), ("a", Some("a2"), 3), ("b", Some("a9"), 1), ("", Some("b1"), 1)]
                {
                    let (prefix, after) = (prefix.as_bytes(), after.map(str::as_bytes));
                    prop_assert_eq!(
                        tree.range(prefix, after, limit).unwrap(),
                        expected.range(prefix, after, limit)
                    );
                }
            }
        }
    }

    #[test]
    fn what_was_not_written_is_gone_with_its_position() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let tree = ProjectionTree::open(&db).unwrap();
        let step = |position, value: &[u8]| {
            let changes = vec![(b"k".to_vec(), Some(value.to_vec()))];
            tree.apply(Position(position), changes).unwrap();
        };
        step(1, b"one");
        tree.write().unwrap();
        step(2, b"two");
        // As after a crash: what was in memory alone is lost.
        let after = ProjectionTree::open(&db).unwrap();
        assert_eq!(
            (after.position(), after.get(b"k").unwrap()),
            (Position(1), Some(b"one".to_vec()))
        );
        assert_eq!(tree.get(b"k").unwrap(), Some(b"two".to_vec()));
        tree.forget().unwrap();
        assert_eq!((tree.position(), tree.get(b"k").unwrap()), (Position(0), None));
    }
}
