//! Values of the state's rows: sealed with a version and a checksum, so that what sled returns is what was stored.

use crate::contract::StoreError;
use crate::heads::Head;
use crate::journal::frame::{JournalId, array_at, u32_at, u64_at};
use crate::limits::STATE_ROW_BYTES_MAX;

/// Format of all rows. 2: what falls due is kept by tenant.
const FORMAT: u8 = 2;
const SEAL_BYTES: usize = 5;
/// Bytes of a part in its first row stand behind its whole length.
const PIECE_BYTES: usize = STATE_ROW_BYTES_MAX - SEAL_BYTES - 4;

/// What a state is and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub journal: JournalId,
    /// Everything in the journal before this position is in the state.
    pub applied: u64,
    /// The journal was durable at least up to here. Beyond `applied` only after a clean close.
    pub durable: u64,
}

/// A row with its seal. The key is part of what is sealed.
pub(crate) fn seal(key: &[u8], row: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_BYTES + row.len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(&checksum(key, row).to_le_bytes());
    sealed.extend_from_slice(row);
    sealed
}

/// The row inside a seal.
pub(crate) fn unseal<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let Some((seal, row)) = sealed.split_first_chunk::<SEAL_BYTES>() else {
        return Err(broken("a row is cut off"));
    };
    if seal[0] != FORMAT {
        return Err(broken("a row has another format"));
    }
    if u32_at(seal, 1) != checksum(key, row) {
        return Err(broken("the checksum of a row does not match"));
    }
    Ok(row)
}

fn checksum(key: &[u8], row: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), row)
}

pub(crate) fn broken(what: &str) -> StoreError {
    StoreError::State { what: what.into() }
}

pub(crate) fn encode_meta(meta: &Meta) -> Vec<u8> {
    let mut row = meta.journal.to_vec();
    row.extend_from_slice(&meta.applied.to_le_bytes());
    row.extend_from_slice(&meta.durable.to_le_bytes());
    row
}

pub(crate) fn decode_meta(row: &[u8]) -> Result<Meta, StoreError> {
    let row: &[u8; 32] = row
        .try_into()
        .map_err(|_| broken("what it says of itself cannot be read"))?;
    Ok(Meta {
        journal: array_at(row, 0),
        applied: u64_at(row, 16),
        durable: u64_at(row, 24),
    })
}

pub(crate) fn encode_head(head: &Head) -> Vec<u8> {
    let mut row = Vec::with_capacity(17 + head.stack().len() * 8);
    row.extend_from_slice(&head.version().to_le_bytes());
    row.push(u8::from(head.due.is_some()));
    row.extend_from_slice(&head.due.unwrap_or(0).to_le_bytes());
    for position in head.stack() {
        row.extend_from_slice(&position.to_le_bytes());
    }
    row
}

pub(crate) fn decode_head(row: &[u8]) -> Result<Head, StoreError> {
    let unreadable = || broken("a wallet's head cannot be read");
    let (fixed, stack) = row.split_first_chunk::<17>().ok_or_else(unreadable)?;
    let due = (fixed[8] == 1).then(|| u64_at(fixed, 9).cast_signed());
    let stack = stack
        .chunks_exact(8)
        .map(|position| u64_at(position, 0))
        .collect();
    Head::restore(u64_at(fixed, 0), stack, due).ok_or_else(unreadable)
}

/// The rows of a part: its length before the first piece, then the other pieces.
pub(crate) fn cut(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (first, rest) = value.split_at(value.len().min(PIECE_BYTES));
    // Parts are at most PART_BYTES_MAX long.
    let mut front = u32::try_from(value.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes()
        .to_vec();
    front.extend_from_slice(first);
    std::iter::once(front).chain(rest.chunks(PIECE_BYTES).map(<[u8]>::to_vec))
}

/// A part while its rows are read.
pub(crate) struct PartRows {
    bytes: usize,
    value: Vec<u8>,
}

impl PartRows {
    pub(crate) fn begin(first: &[u8]) -> Result<PartRows, StoreError> {
        let (bytes, piece) = first
            .split_first_chunk::<4>()
            .ok_or_else(|| broken("a part's first row is cut off"))?;
        Ok(PartRows {
            bytes: u32::from_le_bytes(*bytes) as usize,
            value: piece.to_vec(),
        })
    }

    pub(crate) fn rows(&self) -> u16 {
        u16::try_from(self.bytes.div_ceil(PIECE_BYTES).max(1)).unwrap_or(u16::MAX)
    }

    pub(crate) fn add(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        if self.is_whole() {
            return Err(broken("a part has a row too many"));
        }
        self.value.extend_from_slice(piece);
        Ok(())
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.value.len() >= self.bytes
    }

    pub(crate) fn take(&mut self) -> Result<Vec<u8>, StoreError> {
        if self.value.len() == self.bytes {
            Ok(std::mem::take(&mut self.value))
        } else {
            Err(broken("a part is not as long as it says"))
        }
    }

    pub(crate) fn finish(mut self) -> Result<Vec<u8>, StoreError> {
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_any_length_are_cut_and_joined() {
        for bytes in [
            0,
            1,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            5 * PIECE_BYTES,
            100_000,
        ] {
            let value: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let rows: Vec<_> = cut(&value).collect();
            assert!(
                rows.iter()
                    .all(|row| row.len() + SEAL_BYTES <= STATE_ROW_BYTES_MAX)
            );
            let mut joined = PartRows::begin(&rows[0]).unwrap();
            assert_eq!(joined.rows() as usize, rows.len());
            for row in &rows[1..] {
                assert!(!joined.is_whole());
                joined.add(row).unwrap();
            }
            assert_eq!(joined.finish().unwrap(), value);
        }
    }

    #[test]
    fn a_seal_holds_key_and_row() {
        let sealed = seal(b"key", b"row");
        assert_eq!(unseal(b"key", &sealed).unwrap(), b"row");
        assert!(unseal(b"kez", &sealed).is_err());
        assert!(unseal(b"key", &sealed[..6]).is_err());
        assert!(unseal(b"key", &[]).is_err());
    }

    #[test]
    fn heads_and_meta_read_back() {
        let mut head = Head::default();
        head.due = Some(-5);
        for position in 1..20 {
            head.push(position * 100);
        }
        assert_eq!(decode_head(&encode_head(&head)).unwrap(), head);
        let meta = Meta {
            journal: [3; 16],
            applied: 8,
            durable: 9,
        };
        assert_eq!(decode_meta(&encode_meta(&meta)).unwrap(), meta);
    }
}
