//! How a snapshot is given what is made of the records, by the same code as in a server.

use farebox_store::{Follow, Position, ProjectionChange, Projections, StoreError, StoredRecord};

use super::known::Known;
use super::pass::Pass;
use super::rows;
use super::upkeep::{Round, Upkeep};
use crate::clock::SystemClock;

/// Makes the change feed and usage of records.
#[derive(Debug, Default)]
pub struct RecordFollow {
    clock: SystemClock,
}

impl Follow for RecordFollow {
    fn begin(&self, space: &dyn Projections) -> Result<Option<Vec<ProjectionChange>>, StoreError> {
        let known = space.projection(rows::FORMAT_KEY)?;
        let format = || vec![(rows::FORMAT_KEY.to_vec(), Some(rows::FORMAT.to_vec()))];
        Ok((known.as_deref() != Some(rows::FORMAT)).then(format))
    }

    fn follow(
        &self,
        space: &dyn Projections,
        records: &[(Position, StoredRecord)],
    ) -> Result<Vec<ProjectionChange>, StoreError> {
        let mut pass = Pass::new(space, &self.clock, Known::default());
        for (position, record) in records {
            pass.take(*position, record)?;
        }
        let (changes, _) = pass.finish()?;
        Ok(changes)
    }

    fn tidy(&self, space: &dyn Projections) -> Result<(), StoreError> {
        let (mut upkeep, position) = (Upkeep::default(), space.projected()?);
        while upkeep.step(space, &self.clock, position)? == Round::GoesOn {}
        Ok(())
    }
}
