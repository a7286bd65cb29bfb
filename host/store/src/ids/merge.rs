//! Merging runs: several sorted files read as one, without holding any of them in memory.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::run::{Entry, Run};

/// Sorted runs as one. There are few, so the least is kept in a set of one entry for each.
pub(super) struct Merge<'a> {
    sources: Vec<Box<dyn Iterator<Item = io::Result<Entry>> + 'a>>,
    heads: BTreeSet<(Entry, usize)>,
    failed: Option<io::Error>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(runs: &'a [Arc<Run>]) -> Merge<'a> {
        let sources = runs.iter().map(|run| Box::new(run.iter()) as Box<_>).collect();
        let mut merge = Merge {
            sources,
            heads: BTreeSet::new(),
            failed: None,
        };
        (0..runs.len()).for_each(|source| merge.pull(source));
        merge
    }

    fn pull(&mut self, source: usize) {
        match self.sources[source].next() {
            Some(Ok(entry)) => {
                self.heads.insert((entry, source));
            }
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
    }
}

impl Iterator for Merge<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let (entry, source) = self.heads.pop_first()?;
        self.pull(source);
        Some(Ok(entry))
    }
}
