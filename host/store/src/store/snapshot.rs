//! Snapshots: the state at a position of the journal in one file, proven before it counts, so that making the state anew
//! takes the snapshot and the journal behind it instead of all of the journal.
//!
//! ```text
//! dir/snapshots/<applied>.snapshot   first line | rows: key length, row length, key, row | BLAKE3 of everything before it
//! ```
//! The rows are those of sled, each with its own seal. A snapshot follows from the journal, as the state does: one that is
//! not what was written is not used, and all of the journal is folded.
//!
//! **Invariant: a snapshot gets its name only when the wallets that were asked for have been folded again from their first
//! record on, and what came of it is what the snapshot holds.**

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Chore, JournalStore};
use crate::contract::{Fold, Image, ON_DEMAND, PartKey, StoreError, WalletKey};
use crate::journal::place::refused;
use crate::journal::segments::Segments;
use crate::limits::{REPLAY_BATCH_BYTES, STATE_PASS_INTERVAL_MS, STATE_ROW_BYTES_MAX};
use crate::state::{Meta, State};

const FIRST_LINE: &[u8; 19] = b"farebox-snapshot 1\n";
const HASH_BYTES: usize = blake3::OUT_LEN;
/// Keys are names and a part's key, escaped.
const KEY_BYTES_MAX: usize = 4 << 10;
/// Records of a wallet that are folded at a time.
const PROOF_RECORDS: u64 = 4_096;

/// How much of a snapshot is proven before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Every wallet and control plane.
    All,
    /// One in so many, evenly over their names; the first among them.
    OneIn(u64),
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The file.
    pub path: PathBuf,
    /// Everything in the journal before this position is in it.
    pub applied: u64,
    /// Rows of the state.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Wallets and control planes in it.
    pub wallets: u64,
    /// Those that were folded again from their first record on.
    pub wallets_proven: u64,
}

impl JournalStore {
    /// Writes a snapshot of the state as it is now, proves it, and removes those before it. Meanwhile nothing may be
    /// committed: it is for a store that only this call uses. `progress` is told the wallets that were looked at.
    ///
    /// # Errors
    /// [`StoreError::State`] for a wallet whose state is not what its records give: no snapshot is kept then, and
    /// `farebox journal rebuild` makes the state anew. [`StoreError::Stopped`] where something was committed meanwhile.
    pub fn snapshot(
        &self,
        fold: &dyn Fold,
        proof: Proof,
        progress: &mut dyn FnMut(u64),
    ) -> Result<SnapshotReport, StoreError> {
        self.drain()?;
        let state = &*self.state;
        let meta = state.meta()?.ok_or_else(|| unusable("it is empty"))?;
        let folder = self.snapshots.clone();
        fs::create_dir_all(&folder).map_err(refused("making", &folder))?;
        let path = folder.join(format!("{:020}.snapshot", meta.applied));
        let unfinished = folder.join("unfinished.tmp");
        let rows = write(state, &unfinished)?;
        let (wallets, wallets_proven) = self.prove(fold, proof, progress)?;
        let read = read(&unfinished, &mut |_, _| Ok(()))?;
        if read != Some(rows) {
            return Err(unusable("the snapshot does not read back as it was written"));
        }
        if state.meta()? != Some(meta) {
            return Err(StoreError::Stopped {
                reason: "something was committed while a snapshot was taken".into(),
            });
        }
        fs::rename(&unfinished, &path).map_err(refused("naming", &path))?;
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(refused("syncing", &folder))?;
        for old in list(&folder)? {
            if old != path {
                fs::remove_file(&old).map_err(refused("removing", &old))?;
            }
        }
        let bytes = fs::metadata(&path)
            .map_err(refused("reading the size of", &path))?
            .len();
        tracing::info!(applied = meta.applied, rows, "a snapshot is taken and proven");
        Ok(SnapshotReport {
            path,
            applied: meta.applied,
            rows,
            bytes,
            wallets,
            wallets_proven,
        })
    }

    /// Folds wallets again from nothing. The answer is how many there are, and how many were folded.
    fn prove(
        &self,
        fold: &dyn Fold,
        proof: Proof,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(u64, u64), StoreError> {
        let (mut wallets, mut proven, mut failed) = (0, 0, None);
        self.state.heads(&mut |wallet| {
            let wanted = match proof {
                Proof::All => true,
                Proof::OneIn(n) => wallets % n.max(1) == 0,
            };
            if wanted {
                match self.prove_wallet(fold, &wallet) {
                    Ok(()) => proven += 1,
                    Err(error) => failed = Some(error),
                }
            }
            wallets += 1;
            progress(wallets);
            failed.is_none()
        })?;
        match failed {
            None => Ok((wallets, proven)),
            Some(error) => Err(error),
        }
    }

    fn prove_wallet(&self, fold: &dyn Fold, wallet: &WalletKey) -> Result<(), StoreError> {
        let head = self.state.head(wallet)?.unwrap_or_default();
        let differs = |what: &str| {
            Err(unusable(&format!(
                "{wallet:?}: {what} is not what its records give"
            )))
        };
        let (mut all, mut due) = (BTreeMap::<PartKey, Vec<u8>>::new(), None);
        let mut version = 0;
        while version < head.version() {
            let until = head.version().min(version + PROOF_RECORDS);
            let mut records = self.records_before(
                wallet,
                Some(until + 1),
                usize::try_from(until - version).unwrap_or(0),
            )?;
            records.reverse();
            if records.first().map(|record| record.sequence) != Some(version + 1) {
                return differs("the version");
            }
            let loaded = all
                .iter()
                .filter(|(key, _)| key.first().is_none_or(|&byte| byte < ON_DEMAND));
            let image = Image {
                version,
                parts: loaded.map(|(key, value)| (key.clone(), value.clone())).collect(),
            };
            let folded = fold
                .fold(wallet, &image, &records)
                .map_err(|reason| unusable(&format!("{wallet:?}: {reason}")))?;
            for (key, value) in folded.parts {
                match value {
                    Some(value) => all.insert(key, value),
                    None => all.remove(&key),
                };
            }
            due = folded.due;
            version = until;
        }
        let mut kept = BTreeMap::new();
        self.state.parts(wallet, &[], None, &mut |key, value| {
            kept.insert(key, value);
            true
        })?;
        if due != head.due {
            return differs("what falls due");
        }
        if kept != all {
            return differs("a part");
        }
        Ok(())
    }

    /// Waits until the state has everything that was committed.
    fn drain(&self) -> Result<(), StoreError> {
        while !self.pending.is_empty() {
            self.latch.check()?;
            // Where no thread does it, it is done here.
            if !self.work_by_hand(Chore::State)? {
                std::thread::sleep(Duration::from_millis(STATE_PASS_INTERVAL_MS));
            }
        }
        self.state.sync()
    }
}

/// Fills an empty state from the newest snapshot that is sound and of this journal. The answer is whether there was one;
/// without, the state is as empty as before.
pub(crate) fn fill(folder: &Path, segments: &Segments, state: &State) -> Result<bool, StoreError> {
    let mut paths = list(folder)?;
    paths.sort_unstable();
    for path in paths.into_iter().rev() {
        // Read twice: nothing of a snapshot that is not whole, or not ours, may get into the state.
        let mut meta = None;
        let whole = read(&path, &mut |key, row| {
            if let Some(found) = State::meta_of(&key, &row)? {
                meta = Some((found, (key, row)));
            }
            Ok(())
        })?;
        let ours = |(meta, row): (Meta, Row)| {
            (meta.journal == segments.journal() && meta.applied <= segments.end()).then_some(row)
        };
        let Some(last) = whole.and(meta).and_then(ours) else {
            tracing::warn!(path = %path.display(), "the snapshot is damaged or of another journal; it is not used");
            continue;
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        read(&path, &mut |key, row| {
            if State::meta_of(&key, &row)?.is_some() {
                return Ok(());
            }
            bytes += key.len() + row.len();
            batch.push((key, row));
            if bytes >= REPLAY_BATCH_BYTES {
                state.put_rows(std::mem::take(&mut batch))?;
                bytes = 0;
            }
            Ok(())
        })?;
        // Last what the state says of itself: without it, whoever opens the state clears it.
        state.put_rows(batch)?;
        state.put_rows(vec![last])?;
        state.sync()?;
        return Ok(true);
    }
    Ok(false)
}

/// The snapshots of a folder, in no order.
fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(refused("listing", folder)(error)),
        Ok(files) => {
            let paths: io::Result<Vec<PathBuf>> = files.map(|file| file.map(|file| file.path())).collect();
            let mut paths = paths.map_err(refused("listing", folder))?;
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "snapshot"));
            Ok(paths)
        }
    }
}

/// Writes all rows, durably. The answer is how many.
fn write(state: &State, path: &Path) -> Result<u64, StoreError> {
    let file = File::create(path).map_err(refused("creating", path))?;
    let (mut out, mut hasher, mut rows) = (BufWriter::with_capacity(1 << 20, file), blake3::Hasher::new(), 0);
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes).map_err(refused("writing", path))
    };
    put(FIRST_LINE)?;
    state.rows(&mut |key, row| {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        put(&length(key))?;
        put(&length(row))?;
        put(key)?;
        put(row)?;
        rows += 1;
        Ok(())
    })?;
    let hash = hasher.finalize();
    out.write_all(hash.as_bytes()).map_err(refused("writing", path))?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all())
        .map_err(refused("syncing", path))?;
    Ok(rows)
}

/// A key of the state with its row.
type Row = (Vec<u8>, Vec<u8>);

/// Shows every row. The answer is how many; none: the file is not what was written.
fn read(
    path: &Path,
    visit: &mut dyn FnMut(Vec<u8>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<Option<u64>, StoreError> {
    let file = File::open(path).map_err(refused("opening", path))?;
    let size = file
        .metadata()
        .map_err(refused("reading the size of", path))?
        .len();
    let Some(mut left) = size.checked_sub((FIRST_LINE.len() + HASH_BYTES) as u64) else {
        return Ok(None);
    };
    let mut from = Hashed {
        from: BufReader::with_capacity(1 << 20, file),
        hasher: blake3::Hasher::new(),
    };
    let unread = |error| refused("reading", path)(error);
    if from.take(FIRST_LINE.len()).map_err(unread)? != FIRST_LINE {
        return Ok(None);
    }
    let mut rows = 0;
    while left > 0 {
        let Some((key, row)) = from.row(&mut left).map_err(unread)? else {
            return Ok(None);
        };
        visit(key, row)?;
        rows += 1;
    }
    let hash = from.hasher.finalize();
    let stated = from.take(HASH_BYTES).map_err(unread)?;
    Ok((stated == hash.as_bytes()).then_some(rows))
}

/// Reads and hashes.
struct Hashed {
    from: BufReader<File>,
    hasher: blake3::Hasher,
}

impl Hashed {
    fn take(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut taken = vec![0; bytes];
        self.from.read_exact(&mut taken)?;
        self.hasher.update(&taken);
        Ok(taken)
    }

    /// None: there is no room for what its lengths say.
    fn row(&mut self, left: &mut u64) -> io::Result<Option<Row>> {
        if *left < 8 {
            return Ok(None);
        }
        let lengths = self.take(8)?;
        let length = |at: usize| crate::journal::frame::u32_at(&lengths, at) as usize;
        let (key, row) = (length(0), length(4));
        let bytes = 8 + (key + row) as u64;
        if key > KEY_BYTES_MAX || row > STATE_ROW_BYTES_MAX + KEY_BYTES_MAX || bytes > *left {
            return Ok(None);
        }
        *left -= bytes;
        Ok(Some((self.take(key)?, self.take(row)?)))
    }
}

fn unusable(what: &str) -> StoreError {
    StoreError::State { what: what.into() }
}
