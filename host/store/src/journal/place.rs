//! What is wrong with bytes, and where: from a reason to an error that names file and offset.

use std::fmt;
use std::io;
use std::path::Path;

use crate::contract::StoreError;

/// Why bytes are not what was written.
#[derive(Debug, Clone)]
pub(crate) struct Damage(String);

impl Damage {
    pub(crate) fn new(what: impl Into<String>) -> Damage {
        Damage(what.into())
    }

    /// The error, with its place.
    pub(crate) fn at(self, file: &Path, offset: u64) -> StoreError {
        StoreError::Damaged {
            file: file.display().to_string(),
            offset,
            what: self.0,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The operating system refused: what was being done, with the path.
pub(crate) fn refused<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io {
        doing: format!("{doing} {}", path.display()),
        source,
    }
}
