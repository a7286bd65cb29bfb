//! The wallets of the newest snapshot, for whoever folds histories and finds that their beginnings are archived.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::JournalStore;
use super::snapshot::{fill_from, newest};
use crate::contract::{PartKey, StoreError, Version, WalletKey};
use crate::journal::place::refused;
use crate::limits::SNAPSHOT_CACHE_BYTES;
use crate::state::State;

/// Within the folder of snapshots, while it is used.
const READING: &str = "reading";

/// See the module. Takes as much room on the disk as a state; gives it back when it is dropped.
#[derive(Debug)]
pub struct Base {
    state: State,
    folder: PathBuf,
    position: u64,
}

/// A wallet in a [`Base`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseWallet {
    /// How many records led to it; 0: it was not there yet.
    pub version: Version,
    /// All its parts.
    pub parts: BTreeMap<PartKey, Vec<u8>>,
}

impl JournalStore {
    /// What stands for records that are archived and not at hand. None: all records are at hand.
    ///
    /// # Errors
    /// [`StoreError::State`] where no sound snapshot stands for them.
    pub fn base(&self) -> Result<Option<Base>, StoreError> {
        if self.segments.is_whole() {
            return Ok(None);
        }
        let snapshots = self.segments.elsewhere().dir().join("snapshots");
        let archived = self.segments.archived_until();
        let found = newest(&snapshots, &self.segments)?;
        let Some((path, meta)) = found.filter(|(_, meta)| meta.applied >= archived) else {
            return Err(StoreError::State {
                what: format!(
                    "the journal before {archived} is in an archive that archive_dir does not name, and no sound \
                     snapshot stands for it"
                ),
            });
        };
        let folder = snapshots.join(READING);
        let _ = fs::remove_dir_all(&folder); // of a time that was interrupted
        fs::create_dir_all(&folder).map_err(refused("making", &folder))?;
        let state = State::open(&folder.join("state"), SNAPSHOT_CACHE_BYTES)?;
        fill_from(&path, &state)?;
        Ok(Some(Base {
            state,
            folder,
            position: meta.applied,
        }))
    }
}

impl Base {
    /// Everything in the journal before this position is in it.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// A wallet as it was then.
    ///
    /// # Errors
    /// [`StoreError::State`] where it cannot be read.
    pub fn wallet(&self, wallet: &WalletKey) -> Result<BaseWallet, StoreError> {
        let version = self.state.head(wallet)?.unwrap_or_default().version();
        let mut parts = BTreeMap::new();
        self.state.parts(wallet, &[], None, &mut |key, value| {
            parts.insert(key, value);
            true
        })?;
        Ok(BaseWallet { version, parts })
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // What is left is removed the next time.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
