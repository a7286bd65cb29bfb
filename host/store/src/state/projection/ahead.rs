//! Rows that are not in sled yet.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::limits::{PROJECTION_AHEAD_BYTES_MAX, STATE_PASS_INTERVAL_MS};
use crate::projections::{Position, ProjectionChange, ProjectionRow};

/// What a row takes here besides its key and value, about.
const ROW_BYTES: usize = 64;

/// A value, or none for a row that is gone.
type Value = Option<Vec<u8>>;

/// See the module. What is not here is as sled has it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Up to where records are in the rows, here and in sled together.
    pub position: Position,
    rows: BTreeMap<Vec<u8>, Value>,
    bytes: usize,
    /// Since when something is here that sled has not got: the position, if nothing else.
    since: Option<Instant>,
}

impl Ahead {
    /// Takes a step in. Of two changes of one key the later one holds.
    pub fn add(&mut self, position: Position, changes: Vec<ProjectionChange>) {
        for (key, value) in changes {
            let name = ROW_BYTES + key.len();
            self.bytes += name + bytes_of(&value);
            if let Some(before) = self.rows.insert(key, value) {
                self.bytes -= name + bytes_of(&before);
            }
        }
        self.position = position;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether there is as much here as may be.
    pub fn is_full(&self) -> bool {
        self.bytes >= PROJECTION_AHEAD_BYTES_MAX
    }

    /// Whether something has been here for as long as it may be.
    pub fn is_old(&self) -> bool {
        let interval = Duration::from_millis(STATE_PASS_INTERVAL_MS);
        self.since.is_some_and(|since| since.elapsed() >= interval)
    }

    /// Whether sled has everything.
    pub fn is_written(&self) -> bool {
        self.since.is_none()
    }

    /// Sled has everything now.
    pub fn written(&mut self) {
        self.rows.clear();
        (self.bytes, self.since) = (0, None);
    }

    pub fn rows(&self) -> impl Iterator<Item = (&Vec<u8>, &Value)> {
        self.rows.iter()
    }

    /// The value of a row that is here: `Some(None)` where it is gone.
    pub fn get(&self, key: &[u8]) -> Option<Option<&Vec<u8>>> {
        self.rows.get(key).map(Option::as_ref)
    }

    /// The rows here whose key begins with `prefix` and comes after `after`, in order.
    pub fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Value)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rows = self.rows.range::<[u8], _>((from, Bound::Unbounded));
        rows.take_while(|(key, _)| key.starts_with(prefix))
    }
}

fn bytes_of(value: &Value) -> usize {
    value.as_ref().map_or(0, Vec::len)
}

/// Lays changed rows over those that sled has, both in order, up to and including the key `until` (none: to the end), and
/// until `limit` rows are found.
pub(super) fn merge<'a>(
    written: Vec<ProjectionRow>,
    changed: &mut Peekable<impl Iterator<Item = (&'a Vec<u8>, &'a Value)>>,
    until: Option<&[u8]>,
    limit: usize,
    found: &mut Vec<ProjectionRow>,
) {
    let mut written = written.into_iter().peekable();
    while found.len() < limit {
        let next = match (written.peek(), changed.peek()) {
            (Some((here, _)), Some((key, _))) if *here < **key => written.next(),
            (here, Some((key, _))) if until.is_none_or(|until| key.as_slice() <= until) => {
                if here.is_some_and(|(here, _)| here == *key) {
                    written.next();
                }
                let changed = changed.next();
                changed.and_then(|(key, value)| Some((key.clone(), value.clone()?)))
            }
            (Some(_), _) => written.next(),
            (None, _) => return,
        };
        found.extend(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, value: &str) -> ProjectionRow {
        (key.into(), value.into())
    }

    #[test]
    fn rows_count_once_for_the_memory_that_they_take() {
        let mut ahead = Ahead::default();
        assert!(ahead.is_written());
        ahead.add(Position(1), vec![(b"k".to_vec(), Some(vec![0; 100]))]);
        ahead.add(Position(2), vec![(b"k".to_vec(), Some(vec![0; 7]))]);
        assert_eq!(ahead.bytes, ROW_BYTES + 1 + 7);
        ahead.add(Position(3), vec![(b"k".to_vec(), None)]);
        assert_eq!((ahead.bytes, ahead.position), (ROW_BYTES + 1, Position(3)));
        assert_eq!(ahead.get(b"k"), Some(None));
        assert!(!ahead.is_written() && !ahead.is_full() && !ahead.is_old());
        ahead.written();
        assert!(ahead.is_written());
        assert_eq!(
            (ahead.bytes, ahead.get(b"k"), ahead.position),
            (0, None, Position(3))
        );
    }

    #[test]
    fn a_position_alone_is_not_written_yet_either() {
        let mut ahead = Ahead::default();
        ahead.add(Position(9), Vec::new());
        assert!(!ahead.is_written());
    }

    #[test]
    fn changed_rows_lie_over_written_ones() {
        let mut ahead = Ahead::default();
        let set = |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(Vec::from));
        let changes = vec![
            set("a", Some("new")),
            set("c", None),
            set("d", Some("changed")),
            set("f", Some("behind")),
        ];
        ahead.add(Position(1), changes);
        let written = || vec![row("b", "1"), row("c", "2"), row("d", "3"), row("e", "4")];
        let merged = |until: Option<&[u8]>, limit| {
            let mut found = Vec::new();
            merge(
                written(),
                &mut ahead.range(b"", None).peekable(),
                until,
                limit,
                &mut found,
            );
            found
        };
        let mut expected = vec![row("a", "new"), row("b", "1"), row("d", "changed"), row("e", "4")];
        assert_eq!(merged(Some(b"e"), 9), expected);
        expected.push(row("f", "behind"));
        assert_eq!(merged(None, 9), expected);
        assert_eq!(merged(None, 2), expected[..2]);
    }
}
