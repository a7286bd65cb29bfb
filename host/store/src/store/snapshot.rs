//! Snapshots: the state at a position of the journal in one file, so that making the state anew takes the snapshot and the
//! journal behind it instead of all of the journal.
//!
//! ```text
//! dir/snapshots/<applied>.snapshot   first line | rows: key length, row length, key, row | BLAKE3 of everything before it
//! ```
//! The rows are those of sled, each with its own seal; those of what is made of the records have [`PROJECTED`] before their
//! key. A snapshot follows from the journal, as the state does: one that is not what was written is not used. How one is
//! made is in [`take`].

pub(super) mod take;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::contract::{StoreError, WalletKey};
use crate::heads::Head;
use crate::journal::place::refused;
use crate::journal::segments::Segments;
use crate::limits::{PROJECTION_KEY_BYTES_MAX, STATE_ROW_BYTES_MAX};
use crate::state::{Meta, ProjectionTree, State};

const FIRST_LINE: &[u8; 19] = b"farebox-snapshot 2\n";
/// Without what is made of the records.
const FIRST_LINE_1: &[u8; 19] = b"farebox-snapshot 1\n";
/// First byte of the keys of what is made of the records. No key of the state begins with it.
const PROJECTED: u8 = b'~';
const HASH_BYTES: usize = blake3::OUT_LEN;
/// Keys are names and a part's key, escaped.
const KEY_BYTES_MAX: usize = 4 << 10;
const _: () = assert!(2 * PROJECTION_KEY_BYTES_MAX + 8 < KEY_BYTES_MAX);

/// Fills an empty state from the newest snapshot that is sound and of this journal. The answer is whether there was one;
/// without, the state is as empty as before.
pub(crate) fn fill(folder: &Path, segments: &Segments, state: &State) -> Result<bool, StoreError> {
    match newest(folder, segments)? {
        Some((path, _)) => fill_from(&path, state).map(|()| true),
        None => Ok(false),
    }
}

/// The newest snapshot that is sound and of this journal, read from front to back, with what it says of itself.
pub(crate) fn newest(folder: &Path, segments: &Segments) -> Result<Option<(PathBuf, Meta)>, StoreError> {
    let mut paths = list(folder)?;
    paths.sort_unstable();
    for path in paths.into_iter().rev() {
        let mut meta = None;
        let whole = read(&path, &mut |key, row| {
            meta = meta.or(State::meta_of(&key, &row)?);
            Ok(())
        })?;
        let ours = |meta: &Meta| meta.journal == segments.journal() && meta.applied <= segments.end();
        match whole.and(meta).filter(ours) {
            Some(meta) => return Ok(Some((path, meta))),
            None => {
                tracing::warn!(path = %path.display(), "the snapshot is damaged or of another journal; it is not used");
            }
        }
    }
    Ok(None)
}

/// Where every wallet stood at the newest snapshot, and the snapshot's position.
pub(crate) fn heads(
    folder: &Path,
    segments: &Segments,
) -> Result<(u64, HashMap<WalletKey, Head>), StoreError> {
    let archived = segments.archived_until();
    let Some((path, meta)) = newest(folder, segments)?.filter(|(_, meta)| meta.applied >= archived) else {
        return Err(StoreError::State {
            what: format!(
                "the journal before {archived} is in an archive that was not named, and no sound snapshot stands for it"
            ),
        });
    };
    let mut heads = HashMap::new();
    read(&path, &mut |key, row| {
        heads.extend(State::head_of(&key, &row)?);
        Ok(())
    })?;
    Ok((meta.applied, heads))
}

/// Fills an empty state from a snapshot that is sound.
pub(super) fn fill_from(path: &Path, state: &State) -> Result<(), StoreError> {
    let mut filling = Filling::default();
    let (mut meta, mut position) = (None, None);
    read(path, &mut |key, row| {
        if let Some(key) = key.strip_prefix(&[PROJECTED]) {
            match ProjectionTree::is_position(key) {
                true => position = Some((key.to_vec(), row)),
                false => filling.projected.push((key.to_vec(), row)),
            }
        } else if State::meta_of(&key, &row)?.is_some() {
            meta = Some((key, row));
        } else {
            filling.bytes += key.len() + row.len();
            filling.rows.push((key, row));
        }
        match filling.bytes >= FILLED_AT_ONCE_BYTES || filling.projected.len() >= PROJECTED_AT_ONCE {
            true => filling.put(state),
            false => Ok(()),
        }
    })?;
    filling.put(state)?;
    // Last what each says of itself: without it, whoever opens it clears it.
    state.projection().put_rows(position.into_iter().collect())?;
    state.put_rows(meta.into_iter().collect())?;
    state.sync()
}

/// Bytes of rows of the state that are put at once.
const FILLED_AT_ONCE_BYTES: usize = 8 << 20;
/// Rows of what is made of the records that are put at once.
const PROJECTED_AT_ONCE: usize = 4_096;

/// Rows on their way into a state.
#[derive(Default)]
struct Filling {
    rows: Vec<Row>,
    projected: Vec<Row>,
    bytes: usize,
}

impl Filling {
    fn put(&mut self, state: &State) -> Result<(), StoreError> {
        self.bytes = 0;
        state.put_rows(std::mem::take(&mut self.rows))?;
        state.projection().put_rows(std::mem::take(&mut self.projected))
    }
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
    let mut put_row = |front: &[u8], key: &[u8], row: &[u8]| {
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        put(&length(front.len() + key.len()))?;
        put(&length(row.len()))?;
        put(front)?;
        put(key)?;
        put(row)?;
        rows += 1;
        Ok(())
    };
    state.rows(&mut |key, row| put_row(&[], key, row))?;
    state
        .projection()
        .rows(&mut |key, row| put_row(&[PROJECTED], key, row))?;
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
    let first = from.take(FIRST_LINE.len()).map_err(unread)?;
    if first != FIRST_LINE && first != FIRST_LINE_1 {
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
