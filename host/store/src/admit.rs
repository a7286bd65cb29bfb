//! The door: what exceeds a limit is refused by its name before anything is done.

use crate::contract::{Commit, StoreError};
use crate::limits::{
    BLOB_BYTES_MAX, BLOB_NAME_BYTES_MAX, IDS_PER_RECORD_MAX, NAME_BYTES_MAX, NAME_BYTES_MIN, PART_BYTES_MAX,
    PART_KEY_BYTES_MAX, PROJECTION_BYTES_MAX, PROJECTION_KEY_BYTES_MAX, RECORD_BYTES_MAX,
    RECORDS_PER_COMMIT_MIN,
};
use crate::projections::ProjectionChange;

pub(crate) fn limit(what: &'static str, limit: &'static str, actual: usize, max: usize) -> StoreError {
    StoreError::Limit {
        what,
        limit,
        actual,
        max,
    }
}

fn at_most(what: &'static str, name: &'static str, actual: usize, max: usize) -> Result<(), StoreError> {
    if actual <= max {
        Ok(())
    } else {
        Err(limit(what, name, actual, max))
    }
}

fn at_least(what: &'static str, name: &'static str, actual: usize, min: usize) -> Result<(), StoreError> {
    if actual >= min {
        Ok(())
    } else {
        Err(limit(what, name, actual, min))
    }
}

/// Every limit of a commit but the size of the frame that it goes into.
pub(crate) fn commit(commit: &Commit) -> Result<(), StoreError> {
    commit_of(commit, RECORD_BYTES_MAX)
}

/// The same, of records of at most so many bytes.
pub(crate) fn commit_of(commit: &Commit, record_bytes_max: usize) -> Result<(), StoreError> {
    for (what, name) in [
        ("the bytes of a tenant's name", commit.wallet.tenant()),
        ("the bytes of a wallet's name", commit.wallet.wallet()),
    ] {
        at_least(what, "NAME_BYTES_MIN", name.len(), NAME_BYTES_MIN)?;
        at_most(what, "NAME_BYTES_MAX", name.len(), NAME_BYTES_MAX)?;
    }
    at_least(
        "the records of a commit",
        "RECORDS_PER_COMMIT_MIN",
        commit.records.len(),
        RECORDS_PER_COMMIT_MIN,
    )?;
    for record in &commit.records {
        at_most(
            "the bytes of a record",
            "RECORD_BYTES_MAX",
            record.body.len(),
            record_bytes_max,
        )?;
        at_most(
            "the ids of a record",
            "IDS_PER_RECORD_MAX",
            record.ids.len(),
            IDS_PER_RECORD_MAX,
        )?;
    }
    for (key, value) in &commit.parts {
        at_most(
            "the bytes of a part's key",
            "PART_KEY_BYTES_MAX",
            key.len(),
            PART_KEY_BYTES_MAX,
        )?;
        let bytes = value.as_ref().map_or(0, Vec::len);
        at_most("the bytes of a part", "PART_BYTES_MAX", bytes, PART_BYTES_MAX)?;
    }
    Ok(())
}

pub(crate) fn projection(changes: &[ProjectionChange]) -> Result<(), StoreError> {
    for (key, value) in changes {
        at_most(
            "the bytes of a projection's key",
            "PROJECTION_KEY_BYTES_MAX",
            key.len(),
            PROJECTION_KEY_BYTES_MAX,
        )?;
        at_most(
            "the bytes of a projection",
            "PROJECTION_BYTES_MAX",
            value.as_ref().map_or(0, Vec::len),
            PROJECTION_BYTES_MAX,
        )?;
    }
    Ok(())
}

pub(crate) fn blob(name: &str, bytes: usize) -> Result<(), StoreError> {
    at_least(
        "the bytes of a blob's name",
        "NAME_BYTES_MIN",
        name.len(),
        NAME_BYTES_MIN,
    )?;
    at_most(
        "the bytes of a blob's name",
        "BLOB_NAME_BYTES_MAX",
        name.len(),
        BLOB_NAME_BYTES_MAX,
    )?;
    at_most("the bytes of a blob", "BLOB_BYTES_MAX", bytes, BLOB_BYTES_MAX)
}
