//! A frame of a journal, read a second time: what a write to a segment says once its blocks are unpacked.

use anyhow::{Context as _, Result, ensure};

/// Header of a frame, and what stands before the table of its blocks: their number and a checksum.
const HEADER_BYTES: usize = 72;
const FRONT_BYTES: usize = 8;
/// A block in the table: bytes here, bytes unpacked, records.
const ENTRY_BYTES: usize = 12;

/// The records of a frame as they are in memory, one behind the other. Empty for what is no frame.
pub fn records(write: &[u8]) -> Result<Vec<u8>> {
    if !write.starts_with(b"FBXF") || number(write, 40)? == 0 {
        return Ok(Vec::new());
    }
    let blocks = number(write, HEADER_BYTES)?;
    let table = HEADER_BYTES + FRONT_BYTES;
    let (mut at, mut records) = (table + blocks * ENTRY_BYTES, Vec::new());
    for block in 0..blocks {
        let entry = table + block * ENTRY_BYTES;
        let (stored, unpacked) = (number(write, entry)?, number(write, entry + 4)?);
        let bytes = write.get(at..at + stored).context("a block that is cut off")?;
        at += stored;
        match stored == unpacked {
            true => records.extend_from_slice(bytes),
            false => records.extend(lz4_flex::block::decompress(bytes, unpacked)?),
        }
    }
    ensure!(
        at - HEADER_BYTES == number(write, 40)?,
        "a frame of another length"
    );
    Ok(records)
}

fn number(bytes: &[u8], at: usize) -> Result<usize> {
    let bytes = bytes.get(at..at + 4).context("a frame that is cut off")?;
    Ok(usize::try_from(u32::from_le_bytes(bytes.try_into()?))?)
}
