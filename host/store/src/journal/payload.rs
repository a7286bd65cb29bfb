//! The records of a frame, in blocks of LZ4.
//!
//! ```text
//! number of blocks, checksum | for each block: bytes here, bytes of its envelopes, records | block | block | ...
//! ```
//! A block holds whole envelopes, [`PACK_BLOCK_BYTES`] of them or a little more, so that reading one record reads and unpacks
//! one block. The records of one commit say much the same (names, revisions, attributes), so a frame of many has about a
//! sixth of their bytes; a block that does not get smaller stands as it is, and so do few records, which take a page anyway.
//!
//! **Rejected**: compressing each record alone (what they say alike is between them); a dictionary (it would have to outlive
//! every journal that needs it).

use std::fmt;

use super::envelope::ENVELOPE_BYTES_MAX;
use super::frame::{BLOCK_BUFFER_BYTES, HEADER_BYTES, u32_at};
use super::place::Damage;
use crate::limits::PACK_BLOCK_BYTES;

/// Number of blocks and checksum of the table.
const FRONT_BYTES: usize = 8;
const ENTRY_BYTES: usize = 12;
/// Envelopes of fewer bytes fit into the page that their frame takes anyway.
const WORTH_BYTES: usize = BLOCK_BUFFER_BYTES - HEADER_BYTES - FRONT_BYTES - ENTRY_BYTES;
/// The most that a block holds.
const BLOCK_BYTES_MAX: usize = PACK_BLOCK_BYTES + ENVELOPE_BYTES_MAX;

/// The most bytes that a payload takes for envelopes of so many.
pub(crate) const fn bytes_max(envelopes: usize) -> usize {
    envelopes + FRONT_BYTES + (envelopes / PACK_BLOCK_BYTES + 1) * ENTRY_BYTES
}

/// A payload under construction, used over and over.
pub(crate) struct Payload {
    /// Envelopes that are in no block yet.
    pub open: Vec<u8>,
    records: u32,
    table: Vec<u8>,
    blocks: Vec<u8>,
    matches: lz4_flex::block::CompressTable,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.open.len() + self.blocks.len();
        f.debug_struct("Payload")
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

impl Payload {
    pub(crate) fn new() -> Payload {
        Payload {
            open: Vec::new(),
            records: 0,
            table: Vec::new(),
            blocks: Vec::new(),
            matches: lz4_flex::block::CompressTable::large(),
        }
    }

    pub(crate) fn clear(&mut self) {
        (self.records, _) = (0, self.open.clear());
        self.table.clear();
        self.blocks.clear();
    }

    /// An envelope was added to `open`.
    pub(crate) fn added(&mut self) -> Result<(), String> {
        self.records += 1;
        match self.open.len() >= PACK_BLOCK_BYTES {
            true => self.close(),
            false => Ok(()),
        }
    }

    /// Puts the whole payload behind what is in `out`.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        if self.records > 0 {
            self.close()?;
        }
        if self.table.is_empty() {
            return Ok(());
        }
        let count = within(self.table.len() / ENTRY_BYTES)?.to_le_bytes();
        out.extend_from_slice(&count);
        out.extend_from_slice(&checksum(count, &self.table).to_le_bytes());
        out.extend_from_slice(&self.table);
        out.extend_from_slice(&self.blocks);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let start = self.blocks.len();
        if self.open.len() > WORTH_BYTES {
            let room = lz4_flex::block::get_maximum_output_size(self.open.len());
            self.blocks.resize(start + room, 0);
            let into = &mut self.blocks[start..];
            let bytes = lz4_flex::block::compress_into_with_table(&self.open, into, &mut self.matches)
                .map_err(|error| format!("compressing records: {error}"))?;
            self.blocks.truncate(start + bytes.min(self.open.len()));
        }
        // As long as the envelopes themselves means that these are what stands there.
        if self.blocks.len() == start || self.blocks.len() - start == self.open.len() {
            self.blocks.truncate(start);
            self.blocks.extend_from_slice(&self.open);
        }
        for number in [
            within(self.blocks.len() - start)?,
            within(self.open.len())?,
            self.records,
        ] {
            self.table.extend_from_slice(&number.to_le_bytes());
        }
        (self.records, _) = (0, self.open.clear());
        Ok(())
    }
}

fn within(bytes: usize) -> Result<u32, String> {
    u32::try_from(bytes).map_err(|_| "a frame of more than 4 GiB".to_string())
}

fn checksum(count: [u8; 4], table: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&count), table)
}

/// Where a block lies within its payload, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub start: usize,
    pub bytes: usize,
    envelopes: usize,
    /// How many records are in the blocks before it.
    pub before: u64,
    pub records: u64,
}

/// Bytes of the table of a payload that begins like this. The table of an empty one has none.
pub(crate) fn table_bytes(front: &[u8]) -> Result<usize, Damage> {
    if front.is_empty() {
        return Ok(0);
    }
    if front.len() < FRONT_BYTES {
        return Err(Damage::new("the table of a frame's blocks is cut off"));
    }
    (u32_at(front, 0) as usize)
        .checked_mul(ENTRY_BYTES)
        .and_then(|bytes| bytes.checked_add(FRONT_BYTES))
        .ok_or_else(|| Damage::new("a frame says that it has too many blocks"))
}

/// The blocks of a payload, of which at least the table is given. Any nonsense is an error, never a panic.
pub(crate) fn blocks(payload: &[u8]) -> Result<Vec<Block>, Damage> {
    let bytes = table_bytes(payload)?;
    let Some(table) = payload.get(FRONT_BYTES.min(bytes)..bytes) else {
        return Err(Damage::new("the table of a frame's blocks is cut off"));
    };
    if bytes > 0 && checksum([payload[0], payload[1], payload[2], payload[3]], table) != u32_at(payload, 4) {
        return Err(Damage::new(
            "the checksum of the table of a frame's blocks does not match",
        ));
    }
    let (mut start, mut before) = (bytes, 0);
    let mut blocks = Vec::with_capacity(table.len() / ENTRY_BYTES);
    for entry in table.chunks_exact(ENTRY_BYTES) {
        let block = Block {
            start,
            bytes: u32_at(entry, 0) as usize,
            envelopes: u32_at(entry, 4) as usize,
            before,
            records: u64::from(u32_at(entry, 8)),
        };
        if block.envelopes > BLOCK_BYTES_MAX || block.bytes > block.envelopes {
            return Err(Damage::new("a block of a frame is larger than what it holds"));
        }
        (start, before) = (start + block.bytes, before + block.records);
        blocks.push(block);
    }
    Ok(blocks)
}

/// The envelopes of a block, of which these are the bytes, one behind the other.
pub(crate) fn unpack(block: Block, stored: &[u8], envelopes: &mut Vec<u8>) -> Result<(), Damage> {
    envelopes.clear();
    if stored.len() != block.bytes {
        return Err(Damage::new("a block of a frame is cut off"));
    }
    if block.bytes == block.envelopes {
        envelopes.extend_from_slice(stored);
        return Ok(());
    }
    envelopes.resize(block.envelopes, 0);
    match lz4_flex::block::decompress_into(stored, envelopes) {
        Ok(bytes) if bytes == block.envelopes => Ok(()),
        Ok(bytes) => Err(Damage::new(format!(
            "a block of a frame holds {bytes} bytes, not {}",
            block.envelopes
        ))),
        Err(error) => Err(Damage::new(format!(
            "a block of a frame cannot be unpacked: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Envelopes are anything here, each as long as it is given.
    fn payload(envelopes: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = Payload::new();
        let mut made = Vec::new();
        for _ in 0..2 {
            payload.clear();
            made.clear();
            for envelope in envelopes {
                payload.open.extend_from_slice(envelope);
                payload.added().unwrap();
            }
            payload.finish(&mut made).unwrap();
        }
        let sum: usize = envelopes.iter().map(Vec::len).sum();
        assert!(made.len() <= bytes_max(sum));
        made
    }

    fn unpacked(payload: &[u8]) -> Result<(Vec<u8>, Vec<u64>), Damage> {
        let (mut all, mut records, mut envelopes) = (Vec::new(), Vec::new(), Vec::new());
        for block in blocks(payload)? {
            let stored = payload
                .get(block.start..block.start + block.bytes)
                .unwrap_or_default();
            unpack(block, stored, &mut envelopes)?;
            all.extend_from_slice(&envelopes);
            assert_eq!(block.before, records.iter().sum::<u64>());
            records.push(block.records);
        }
        Ok((all, records))
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn nothing_takes_nothing() {
        assert!(payload(&[]).is_empty());
        assert_eq!(unpacked(&[]).unwrap(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn few_records_stand_as_they_are() {
        let made = payload(&[b"tokens tokens tokens tokens tokens".repeat(10)]);
        assert_eq!(made.len(), FRONT_BYTES + ENTRY_BYTES + 340);
        assert!(made.ends_with(b"tokens"));
    }

    #[test]
    fn many_alike_take_little_and_end_a_block_with_a_whole_record() {
        let records = vec![b"tokens and money ".repeat(59); 200]; // 1,003 bytes each: 66 fill a block
        let made = payload(&records);
        assert!(made.len() < 4096, "{}", made.len());
        assert_eq!(unpacked(&made).unwrap(), (records.concat(), vec![66, 66, 66, 2]));
    }

    #[test]
    fn what_does_not_get_smaller_stands_as_it_is() {
        let records = [noise(100_000), vec![7; 100_000], noise(5)];
        let made = payload(&records);
        let stored: Vec<usize> = blocks(&made).unwrap().iter().map(|block| block.bytes).collect();
        assert_eq!((stored[0], stored[2]), (100_000, 5));
        assert!(stored[1] < 1_000);
        assert_eq!(unpacked(&made).unwrap(), (records.concat(), vec![1, 1, 1]));
    }

    #[test]
    fn any_flip_in_the_table_and_any_cut_is_found() {
        let made = payload(&vec![b"tokens and money ".repeat(59); 200]);
        let table = table_bytes(&made).unwrap();
        for bit in 0..table * 8 {
            let mut flipped = made.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(blocks(&flipped).is_err(), "bit {bit}");
        }
        for cut in 1..made.len() {
            assert!(unpacked(&made[..cut]).is_err(), "{cut}");
        }
    }
}
