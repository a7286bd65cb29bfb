//! What follows the records: the order in which a store committed them, and room for what is made of them.
//!
//! A *projection* reads all durable records in commit order ([`crate::Store::tail`]) and keeps what it makes of them in a
//! space of its own beside the state ([`Projections`]), in one step with the position up to which it has read. So however a
//! process ends, what is kept was made of every record up to a position and of none behind it, and each record once.
//!
//! It is derived data: it may be forgotten at any time, and is made again from the first record on.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::contract::{StoreError, StoredRecord};

/// A place in the order in which a store committed its records: of one record, or between two.
///
/// Opaque; later is greater, and a store never gives one out twice. The default is before the first record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Durable records in commit order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The records of all wallets, control planes too, each with its place.
    pub records: Vec<(Position, StoredRecord)>,
    /// Every durable record behind the place that was asked for, up to and including this one, is among them: what to ask
    /// for next. Where it is what was asked for, that is all for now; it may also be later though there are no records.
    pub reached: Position,
}

/// A change of a projection: a key, and its new value or none to remove it.
pub type ProjectionChange = (Vec<u8>, Option<Vec<u8>>);

/// A key of a projection, and its value.
pub type ProjectionRow = (Vec<u8>, Vec<u8>);

/// A key-value space for what is made of records. Keys are compared byte by byte.
pub trait Projections: Send + Sync {
    /// Applies `changes`, and says that everything up to `position` is in them: all of it or nothing. Of two changes of one
    /// key the later one holds. Not durable when it returns; after a crash the space is as some earlier call left it.
    ///
    /// # Errors
    /// [`StoreError::Limit`] for a key or a value that is too long; [`StoreError::State`] for a position before the present.
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError>;

    /// Up to where records are in the space.
    fn projected(&self) -> Result<Position, StoreError>;

    /// The value of a key.
    fn projection(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` keys that begin with `prefix` and come after `after`, in order, with their values.
    fn projections(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError>;

    /// Empties the space: it is made again from the first record on.
    fn forget_projections(&self) -> Result<(), StoreError>;
}

/// What is made of records, for whoever has the records and the space but does not understand them: as [`crate::Fold`] is for
/// the state.
pub trait Follow: Send + Sync {
    /// What an empty space begins with. None: this one can be gone on with; else it is to be emptied.
    fn begin(&self, space: &dyn Projections) -> Result<Option<Vec<ProjectionChange>>, StoreError>;

    /// What these records change, which follow in commit order on what the space has.
    fn follow(
        &self,
        space: &dyn Projections,
        records: &[(Position, StoredRecord)],
    ) -> Result<Vec<ProjectionChange>, StoreError>;

    /// Removes what is no longer kept.
    fn tidy(&self, space: &dyn Projections) -> Result<(), StoreError>;
}

/// The space as a map: all that a store in memory needs.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) position: Position,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Map {
    pub(crate) fn apply(
        &mut self,
        position: Position,
        changes: Vec<ProjectionChange>,
    ) -> Result<(), StoreError> {
        check_forward(self.position, position)?;
        self.position = position;
        for (key, value) in changes {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(key).cloned()
    }

    pub(crate) fn range(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<ProjectionRow> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rows = self.rows.range::<[u8], _>((from, Bound::Unbounded));
        rows.take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// A projection reads on and never back: what it made of a record twice would count twice.
pub(crate) fn check_forward(present: Position, next: Position) -> Result<(), StoreError> {
    if next >= present {
        return Ok(());
    }
    Err(StoreError::State {
        what: format!("what follows the records is at {present:?} and was told to be at {next:?}"),
    })
}
