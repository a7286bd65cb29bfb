//! The materialised state in sled: what follows from the journal, and can always be made from it again.
//!
//! sled is good at atomic batches and bad at durability: in 0.34 `flush` is no fsync, and nothing of what it acknowledged
//! need survive a power cut. So nothing is ever answered on its word. Each pass is one atomic batch that carries the
//! journal position it reaches (`applied`), so that whatever older state comes back is consistent and says where to go on.
//!
//! Rejected: several trees under one multi-tree transaction. It buffers every write twice, reads each old value, and takes
//! the same global lock; one tree with keys that begin differently gets the same atomicity from a plain batch.

mod keys;
mod projection;
mod rows;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::contract::{PartKey, StoreError, WalletKey};
use crate::heads::Head;
use crate::journal::place::refused;
use crate::limits::{PART_BYTES_MAX, STATE_LOCK_WAIT_MS, STATE_ROW_BYTES_MAX};

pub(crate) use projection::ProjectionTree;
pub(crate) use rows::Meta;

/// Changes of wallets, absolute: applying them twice is applying them once.
pub(crate) type Changes = BTreeMap<WalletKey, Change>;

/// Whether a visitor goes on.
pub(crate) type Done = Result<(), StoreError>;

/// What became of one wallet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub head: Head,
    /// Parts set, and parts removed.
    pub parts: BTreeMap<PartKey, Option<Vec<u8>>>,
}

/// The state of all wallets up to a position of the journal.
#[derive(Debug)]
pub(crate) struct State {
    db: sled::Db,
    folder: PathBuf,
    /// sled's own file, opened by us, because sled does not sync it.
    file: File,
    projection: ProjectionTree,
}

impl State {
    /// Opens the state, or makes an empty one where there is none.
    pub(crate) fn open(folder: &Path, cache_bytes: u64) -> Result<State, StoreError> {
        let fresh = !folder.exists();
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(None);
        let db = open_sled(&config)?;
        let path = folder.join("db");
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(refused("opening", &path))?;
        let state = State {
            projection: ProjectionTree::open(&db)?,
            db,
            folder: folder.to_path_buf(),
            file,
        };
        if fresh {
            state.sync_names()?;
        }
        Ok(state)
    }

    /// sled syncs neither its files nor their names when it makes them.
    fn sync_names(&self) -> Result<(), StoreError> {
        self.sync()?;
        for path in [&self.folder.join("conf"), &self.folder] {
            if path.exists() {
                File::open(path)
                    .and_then(|file| file.sync_all())
                    .map_err(refused("syncing", path))?;
            }
        }
        match self.folder.parent() {
            Some(parent) => File::open(parent)
                .and_then(|file| file.sync_all())
                .map_err(refused("syncing", parent)),
            None => Ok(()),
        }
    }

    /// What is made of the records.
    pub(crate) fn projection(&self) -> &ProjectionTree {
        &self.projection
    }

    /// What this state is and how far it has come; none in an empty one.
    pub(crate) fn meta(&self) -> Result<Option<Meta>, StoreError> {
        self.row(keys::META)?
            .map(|row| rows::decode_meta(&row))
            .transpose()
    }

    pub(crate) fn head(&self, wallet: &WalletKey) -> Result<Option<Head>, StoreError> {
        self.row(&keys::head(wallet))?
            .map(|row| rows::decode_head(&row))
            .transpose()
    }

    pub(crate) fn part(&self, wallet: &WalletKey, part: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(first) = self.row(&keys::part_row(wallet, part, 0))? else {
            return Ok(None);
        };
        let mut value = rows::PartRows::begin(&first)?;
        for row in 1..value.rows() {
            let key = keys::part_row(wallet, part, row);
            let bytes = self
                .row(&key)?
                .ok_or_else(|| rows::broken("a part lacks a row"))?;
            value.add(&bytes)?;
        }
        Ok(Some(value.finish()?))
    }

    /// Parts whose key begins with `prefix`, comes after `after` and is below `end`, in order, for as long as `visit`
    /// answers true.
    pub(crate) fn parts(
        &self,
        wallet: &WalletKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(PartKey, Vec<u8>) -> bool,
    ) -> Result<(), StoreError> {
        let all = keys::part_rows(wallet, &[]);
        let front = keys::part_rows(wallet, prefix);
        let from = after.map_or_else(
            || front.clone(),
            |after| keys::after_part(wallet, after).max(front.clone()),
        );
        let mut open: Option<(PartKey, rows::PartRows)> = None;
        for row in self.db.range(from..) {
            let (key, sealed) = row.map_err(|error| unusable(&error))?;
            if !key.starts_with(&front) {
                break;
            }
            let bytes = rows::unseal(&key, &sealed)?;
            let (part, row) =
                keys::part_of(&key, &all).ok_or_else(|| rows::broken("a part has no readable key"))?;
            let (part, mut value) = match (open.take(), row) {
                (None, 0) => (part, rows::PartRows::begin(bytes)?),
                (Some((begun, mut value)), _) if begun == part => {
                    value.add(bytes)?;
                    (part, value)
                }
                _ => return Err(rows::broken("a part lacks a row")),
            };
            if value.is_whole() {
                if !visit(part, value.take()?) {
                    return Ok(());
                }
            } else {
                open = Some((part, value));
            }
        }
        if open.is_some() {
            Err(rows::broken("a part lacks its last row"))
        } else {
            Ok(())
        }
    }

    /// What falls due for a tenant at or before `until`, earliest first, for as long as `visit` answers true.
    pub(crate) fn due(
        &self,
        tenant: &str,
        until: i64,
        visit: &mut dyn FnMut(i64, WalletKey) -> bool,
    ) -> Result<(), StoreError> {
        for row in self.db.scan_prefix(keys::dues_of(tenant)) {
            let (key, _) = row.map_err(|error| unusable(&error))?;
            let (instant, wallet) =
                keys::due_of(&key).ok_or_else(|| rows::broken("a due instant has no readable key"))?;
            if instant > until || !visit(instant, wallet) {
                break;
            }
        }
        Ok(())
    }

    /// Wallets of a tenant whose name comes after `after`, control plane included, in order, for as long as `visit` says.
    pub(crate) fn wallets(
        &self,
        tenant: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(WalletKey) -> bool,
    ) -> Result<(), StoreError> {
        for row in self
            .db
            .range(keys::heads_from(tenant, after)..keys::heads_after_tenant(Some(tenant)))
        {
            let (key, _) = row.map_err(|error| unusable(&error))?;
            let wallet =
                keys::wallet_of_head(&key).ok_or_else(|| rows::broken("a wallet has no readable key"))?;
            if after.is_none_or(|after| wallet.wallet() > after) && !visit(wallet) {
                break;
            }
        }
        Ok(())
    }

    /// Every wallet and control plane, in order, for as long as `visit` answers true.
    pub(crate) fn heads(&self, visit: &mut dyn FnMut(WalletKey) -> bool) -> Result<(), StoreError> {
        for row in self
            .db
            .range::<&[u8], _>(keys::heads_after_tenant(None).as_slice()..keys::HEADS_END)
        {
            let (key, _) = row.map_err(|error| unusable(&error))?;
            let wallet =
                keys::wallet_of_head(&key).ok_or_else(|| rows::broken("a wallet has no readable key"))?;
            if !visit(wallet) {
                break;
            }
        }
        Ok(())
    }

    /// Every row as it is, its seal checked.
    pub(crate) fn rows(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> Done) -> Result<(), StoreError> {
        for row in self.db.iter() {
            let (key, sealed) = row.map_err(|error| unusable(&error))?;
            rows::unseal(&key, &sealed)?;
            visit(&key, &sealed)?;
        }
        Ok(())
    }

    /// Puts rows as [`State::rows`] shows them, in one batch.
    pub(crate) fn put_rows(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, sealed) in rows {
            rows::unseal(&key, &sealed)?;
            batch.insert(key, sealed);
        }
        self.db.apply_batch(batch).map_err(|error| unusable(&error))
    }

    /// What a row says of the whole state, if it is the one that does.
    pub(crate) fn meta_of(key: &[u8], sealed: &[u8]) -> Result<Option<Meta>, StoreError> {
        if key != keys::META {
            return Ok(None);
        }
        rows::decode_meta(rows::unseal(key, sealed)?).map(Some)
    }

    /// The wallet and its head that a row holds, if it is one of those.
    pub(crate) fn head_of(key: &[u8], sealed: &[u8]) -> Result<Option<(WalletKey, Head)>, StoreError> {
        let Some(wallet) = keys::wallet_of_head(key) else {
            return Ok(None);
        };
        let head = rows::decode_head(rows::unseal(key, sealed)?)?;
        Ok(Some((wallet, head)))
    }

    /// Removes every row of a state that does not say what it is.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        self.db.clear().map_err(|error| unusable(&error))
    }

    /// The first tenant after this one.
    pub(crate) fn tenant_after(&self, after: Option<&str>) -> Result<Option<String>, StoreError> {
        let from = keys::heads_after_tenant(after);
        let Some(row) = self.db.range::<&[u8], _>(from.as_slice()..keys::HEADS_END).next() else {
            return Ok(None);
        };
        let (key, _) = row.map_err(|error| unusable(&error))?;
        let wallet =
            keys::wallet_of_head(&key).ok_or_else(|| rows::broken("a wallet has no readable key"))?;
        Ok(Some(wallet.tenant().to_string()))
    }

    /// Applies changes together with how far they reach, as one: after a crash both are there or neither is.
    pub(crate) fn apply(&self, changes: &Changes, meta: &Meta) -> Result<(), StoreError> {
        let mut batch = Rows::default();
        batch.set(keys::META.to_vec(), &rows::encode_meta(meta));
        for (wallet, change) in changes {
            let was_due = self.head(wallet)?.and_then(|head| head.due);
            if was_due != change.head.due {
                if let Some(instant) = was_due {
                    batch.0.remove(keys::due(instant, wallet));
                }
                if let Some(instant) = change.head.due {
                    batch.set(keys::due(instant, wallet), &[]);
                }
            }
            batch.set(keys::head(wallet), &rows::encode_head(&change.head));
            for (part, value) in &change.parts {
                let before = match self.row(&keys::part_row(wallet, part, 0))? {
                    Some(first) => rows::PartRows::begin(&first)?.rows(),
                    None => 0,
                };
                let now = value
                    .as_ref()
                    .map_or(0, |value| batch.set_part(wallet, part, value));
                for row in now..before {
                    batch.0.remove(keys::part_row(wallet, part, row));
                }
            }
        }
        self.db.apply_batch(batch.0).map_err(|error| unusable(&error))
    }

    /// Makes what was applied durable, and what is made of the records: sled hands its buffers to the kernel, the kernel
    /// hands them to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.projection.write()?;
        self.db.flush().map_err(|error| unusable(&error))?;
        let path = self.folder.join("db");
        self.file.sync_all().map_err(refused("syncing", &path))
    }

    /// Moves a state that is not to be used aside; it stays until a new one is whole.
    pub(crate) fn move_aside(folder: &Path) -> Result<(), StoreError> {
        if !folder.exists() {
            return Ok(());
        }
        let aside = (1..)
            .map(|n: u32| folder.with_extension(format!("broken-{n}")))
            .find(|path| !path.exists())
            .ok_or_else(|| StoreError::State {
                what: "there are too many broken states beside it".into(),
            })?;
        fs::rename(folder, &aside).map_err(refused("moving aside", folder))
    }

    /// Removes the states that were moved aside.
    pub(crate) fn remove_aside(folder: &Path) -> Result<(), StoreError> {
        for n in 1_u32.. {
            let aside = folder.with_extension(format!("broken-{n}"));
            if !aside.exists() {
                break;
            }
            fs::remove_dir_all(&aside).map_err(refused("removing", &aside))?;
        }
        Ok(())
    }

    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.db.get(key).map_err(|error| unusable(&error))? {
            Some(sealed) => Ok(Some(rows::unseal(key, &sealed)?.to_vec())),
            None => Ok(None),
        }
    }
}

/// sled panics on some kinds of damage; nothing else is running yet, so a panic here is an error like any other.
///
/// Its own threads may keep a database that was dropped locked for a moment. The store's lock is held, so whoever has it
/// is a leftover of this process and will let go.
fn open_sled(config: &sled::Config) -> Result<sled::Db, StoreError> {
    let until = Instant::now() + Duration::from_millis(STATE_LOCK_WAIT_MS);
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) if error.to_string().contains("acquire lock") && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(Err(error)) => return Err(unusable(&error)),
            Err(_) => {
                return Err(StoreError::State {
                    what: "sled panicked while opening it".into(),
                });
            }
        }
    }
}

/// A batch under construction.
#[derive(Default)]
struct Rows(sled::Batch);

impl Rows {
    fn set(&mut self, key: Vec<u8>, row: &[u8]) {
        let sealed = rows::seal(&key, row);
        self.0.insert(key, sealed);
    }

    /// Cuts a part into rows; the answer is how many.
    fn set_part(&mut self, wallet: &WalletKey, part: &[u8], value: &[u8]) -> u16 {
        const { assert!(PART_BYTES_MAX / STATE_ROW_BYTES_MAX < u16::MAX as usize) };
        let mut row = 0;
        for piece in rows::cut(value) {
            self.set(keys::part_row(wallet, part, row), &piece);
            row += 1;
        }
        row
    }
}

/// A disk without room says nothing about the state: making it anew would not help.
fn unusable(error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error)
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            StoreError::Io {
                doing: "writing the state".into(),
                source: error
                    .raw_os_error()
                    .map_or_else(|| error.kind().into(), Error::from_raw_os_error),
            }
        }
        error => StoreError::State {
            what: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_no_reason_to_make_the_state_anew() {
        let full = sled::Error::Io(Error::from_raw_os_error(28));
        let told = unusable(&full).to_string();
        assert!(
            told.contains("writing the state") && told.contains("os error 28"),
            "{told}"
        );
        assert!(!told.contains("rebuild"), "{told}");
        let broken = sled::Error::Io(Error::from_raw_os_error(5));
        assert!(matches!(unusable(&broken), StoreError::State { .. }));
    }
}
