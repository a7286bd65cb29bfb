//! A sealed segment in blocks of LZ4, read as if it were still the file that it was made of.
//!
//! ```text
//! header block | block | block | ... | index: for each block its length and checksum
//! ```
//! A block holds [`PACK_BLOCK_BYTES`] of the segment, so reading one record decompresses one block (two where it lies
//! across their border). [`PackedFile`] is a [`DiskFile`]: whoever reads segments, the walk, a look-up, a copy, reads
//! both forms by the same code, and damage is named by the place in the file that is really there.
//!
//! **Rejected**: zstd (on a journal of real usage 8.4 times smaller against 5.9, and three times slower to write; but a C
//! library in every cold build, for what a slower disk holds anyway); one stream for the whole segment (reading a record
//! would read all before it); a dictionary (it would have to outlive every segment that needs it).

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::frame::{BLOCK_BUFFER_BYTES, BLOCK_BYTES, JournalId, array_at, u32_at, u64_at};
use super::place::{Damage, refused};
use crate::contract::StoreError;
use crate::disk::{DiskFile, read_up_to, write_whole};
use crate::limits::{PACK_BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

const MAGIC: [u8; 8] = *b"FBXPAK\0\x01";
/// Bytes of the header that say something.
const HEADER_BYTES: usize = 68;
/// Length and checksum of a block.
const ENTRY_BYTES: usize = 8;
/// Fewer bytes than this are not gathered before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// What a packed file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedHeader {
    pub journal: JournalId,
    /// Where the segment begins, over all segments.
    pub base: u64,
    /// How long the segment is when it is not packed.
    pub bytes: u64,
    index_at: u64,
    index_crc: u32,
}

/// One block in the file.
#[derive(Debug, Clone, Copy)]
struct Block {
    at: u64,
    /// 0: nothing but zeros. As long as the block itself: not compressed.
    length: u32,
    crc: u32,
}

/// A packed segment, open for reading.
#[derive(Debug)]
pub(crate) struct PackedFile {
    file: Arc<dyn DiskFile>,
    bytes: u64,
    blocks: Vec<Block>,
    /// The block that was read last: a record takes two reads, and a walk many.
    last: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

/// A block that is not what was written. Travels inside an [`io::Error`], as that is what a [`DiskFile`] answers.
#[derive(Debug)]
struct BrokenBlock {
    offset: u64,
    what: String,
}

impl fmt::Display for BrokenBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for BrokenBlock {}

/// The error of a read from a segment's file, in either form: a broken block is damage, with its place.
pub(crate) fn unread(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |error| match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<BrokenBlock>())
    {
        Some(broken) => Damage::new(broken.what.clone()).at(path, broken.offset),
        None => refused("reading", path)(error),
    }
}

/// Writes a segment's packed form. `pause` is called after each block; an error of it ends the work.
pub(crate) fn write(
    into: &dyn DiskFile,
    journal: JournalId,
    base: u64,
    bytes: u64,
    source: &dyn DiskFile,
    pause: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let (mut index, mut out) = (Vec::new(), Vec::with_capacity(WRITE_BYTES + PACK_BLOCK_BYTES));
    let (mut read_at, mut write_at) = (0, BLOCK_BYTES);
    let mut block = vec![0; PACK_BLOCK_BYTES];
    while read_at < bytes {
        let wanted =
            usize::try_from(bytes - read_at).map_or(PACK_BLOCK_BYTES, |left| left.min(PACK_BLOCK_BYTES));
        if read_up_to(source, &mut block[..wanted], read_at)? != wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let stored = compress(&block[..wanted]);
        let length = u32::try_from(stored.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        index.extend_from_slice(&length.to_le_bytes());
        index.extend_from_slice(&crc32c::crc32c(&stored).to_le_bytes());
        out.extend_from_slice(&stored);
        if out.len() >= WRITE_BYTES {
            write_whole(into, &out, write_at)?;
            write_at += out.len() as u64;
            out.clear();
        }
        read_at += wanted as u64;
        pause()?;
    }
    let header = PackedHeader {
        journal,
        base,
        bytes,
        index_at: write_at + out.len() as u64,
        index_crc: crc32c::crc32c(&index),
    };
    out.extend_from_slice(&index);
    write_whole(into, &out, write_at)?;
    write_whole(into, &header.encode(), 0)
}

/// What is stored for a block: nothing for zeros, the block itself where it does not get smaller.
fn compress(block: &[u8]) -> Vec<u8> {
    if block.iter().all(|&byte| byte == 0) {
        return Vec::new();
    }
    let packed = lz4_flex::block::compress(block);
    if packed.len() < block.len() {
        packed
    } else {
        block.to_vec()
    }
}

impl PackedHeader {
    fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BUFFER_BYTES];
        block[0..8].copy_from_slice(&MAGIC);
        block[8..24].copy_from_slice(&self.journal);
        block[24..32].copy_from_slice(&self.base.to_le_bytes());
        block[32..40].copy_from_slice(&self.bytes.to_le_bytes());
        block[40..48].copy_from_slice(&(PACK_BLOCK_BYTES as u64).to_le_bytes());
        block[48..56].copy_from_slice(&self.index_at.to_le_bytes());
        block[56..60].copy_from_slice(&self.index_crc.to_le_bytes());
        let crc = crc32c::crc32c(&block[..HEADER_BYTES - 4]);
        block[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        block
    }

    fn decode(block: &[u8]) -> Result<PackedHeader, Damage> {
        let Some(block) = block.first_chunk::<HEADER_BYTES>() else {
            return Err(Damage::new("the packed segment's header is cut off"));
        };
        if block[..8] != MAGIC
            || crc32c::crc32c(&block[..HEADER_BYTES - 4]) != u32_at(block, HEADER_BYTES - 4)
        {
            return Err(Damage::new("this is no packed segment's header"));
        }
        let header = PackedHeader {
            journal: array_at(block, 8),
            base: u64_at(block, 24),
            bytes: u64_at(block, 32),
            index_at: u64_at(block, 48),
            index_crc: u32_at(block, 56),
        };
        if u64_at(block, 40) != PACK_BLOCK_BYTES as u64 {
            let what = format!("the packed segment has blocks of {} bytes", u64_at(block, 40));
            return Err(Damage::new(what));
        }
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&header.bytes)
            || !header.bytes.is_multiple_of(BLOCK_BYTES)
        {
            let what = format!("the packed segment says that it has {} bytes", header.bytes);
            return Err(Damage::new(what));
        }
        Ok(header)
    }

    fn blocks(&self) -> u64 {
        self.bytes.div_ceil(PACK_BLOCK_BYTES as u64)
    }
}

impl PackedFile {
    /// Reads header and index. What is wrong with them is damage of the file at `path`.
    pub(crate) fn open(
        file: Arc<dyn DiskFile>,
        path: &Path,
    ) -> Result<(PackedHeader, PackedFile), StoreError> {
        let mut block = vec![0; BLOCK_BUFFER_BYTES];
        let read = read_up_to(&*file, &mut block, 0).map_err(refused("reading", path))?;
        let header = PackedHeader::decode(&block[..read]).map_err(|damage| damage.at(path, 0))?;
        let size = file.size().map_err(refused("reading the size of", path))?;
        let stated = header.index_at + header.blocks() * ENTRY_BYTES as u64;
        if size != stated {
            let what = format!("the packed segment was {stated} bytes long and is now {size}");
            return Err(Damage::new(what).at(path, size.min(stated)));
        }
        let mut index = vec![0; usize::try_from(header.blocks()).unwrap_or(usize::MAX) * ENTRY_BYTES];
        let read = read_up_to(&*file, &mut index, header.index_at).map_err(refused("reading", path))?;
        if read != index.len() || crc32c::crc32c(&index) != header.index_crc {
            let what = "the checksum of the packed segment's index does not match";
            return Err(Damage::new(what).at(path, header.index_at));
        }
        let mut at = BLOCK_BYTES;
        let mut blocks = Vec::with_capacity(index.len() / ENTRY_BYTES);
        for entry in index.chunks_exact(ENTRY_BYTES) {
            let (length, crc) = (u32_at(entry, 0), u32_at(entry, 4));
            if length as usize > PACK_BLOCK_BYTES {
                return Err(Damage::new("a packed block is larger than what it holds").at(path, at));
            }
            blocks.push(Block { at, length, crc });
            at += u64::from(length);
        }
        let (bytes, last) = (header.bytes, Mutex::new(None));
        let packed = PackedFile {
            file,
            bytes,
            blocks,
            last,
        };
        Ok((header, packed))
    }

    /// The bytes of a block as they were before.
    fn block(&self, number: usize) -> io::Result<Arc<Vec<u8>>> {
        if let Some((held, bytes)) = &*self.last.lock()
            && *held == number
        {
            return Ok(bytes.clone());
        }
        let block = self.blocks[number];
        let start = (number * PACK_BLOCK_BYTES) as u64;
        let whole =
            usize::try_from(self.bytes - start).map_or(PACK_BLOCK_BYTES, |left| left.min(PACK_BLOCK_BYTES));
        let bytes = Arc::new(self.unpack(block, whole)?);
        *self.last.lock() = Some((number, bytes.clone()));
        Ok(bytes)
    }

    fn unpack(&self, block: Block, whole: usize) -> io::Result<Vec<u8>> {
        let broken = |what: String| {
            let offset = block.at;
            io::Error::new(io::ErrorKind::InvalidData, BrokenBlock { offset, what })
        };
        if block.length == 0 {
            return Ok(vec![0; whole]);
        }
        let mut stored = vec![0; block.length as usize];
        let read = read_up_to(&*self.file, &mut stored, block.at)?;
        if read != stored.len() || crc32c::crc32c(&stored) != block.crc {
            return Err(broken("the checksum of a packed block does not match".into()));
        }
        if stored.len() == whole {
            return Ok(stored);
        }
        let mut bytes = vec![0; whole];
        match lz4_flex::block::decompress_into(&stored, &mut bytes) {
            Ok(length) if length == whole => Ok(bytes),
            Ok(length) => Err(broken(format!(
                "a packed block holds {length} bytes, not {whole}"
            ))),
            Err(error) => Err(broken(format!("a packed block cannot be unpacked: {error}"))),
        }
    }
}

impl DiskFile for PackedFile {
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::ReadOnlyFilesystem,
            "a packed segment is never written",
        ))
    }

    /// At most up to the end of the block in which `offset` lies.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.bytes || bytes.is_empty() {
            return Ok(0);
        }
        let within = |n: u64| usize::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let block = self.block(within(offset / PACK_BLOCK_BYTES as u64)?)?;
        let start = within(offset % PACK_BLOCK_BYTES as u64)?;
        let length = bytes.len().min(block.len() - start);
        bytes[..length].copy_from_slice(&block[start..start + length]);
        Ok(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Of the segment, not of the file.
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, OsDisk};

    const BYTES: usize = 3 * PACK_BLOCK_BYTES + 8192;

    /// Text, noise, zeros, and a last block that is shorter.
    fn segment() -> Vec<u8> {
        let mut bytes = vec![0; BYTES];
        for (n, byte) in bytes[..PACK_BLOCK_BYTES].iter_mut().enumerate() {
            *byte = b"tokens and money "[n % 17];
        }
        let mut noise = 1_u32;
        for byte in &mut bytes[PACK_BLOCK_BYTES..2 * PACK_BLOCK_BYTES] {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = noise.to_be_bytes()[0];
        }
        bytes[BYTES - 5] = 7;
        bytes
    }

    fn packed(folder: &Path) -> std::path::PathBuf {
        let (from, to) = (folder.join("from"), folder.join("to"));
        std::fs::write(&from, segment()).unwrap();
        let into = OsDisk.create(&to).unwrap();
        let mut blocks = 0;
        write(
            &*into,
            [7; 16],
            4096,
            BYTES as u64,
            &*OsDisk.open(&from).unwrap(),
            &mut || {
                blocks += 1;
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(blocks, 4);
        to
    }

    #[test]
    fn every_byte_reads_back_from_any_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = packed(folder.path());
        let (header, file) = PackedFile::open(OsDisk.open(&path).unwrap(), &path).unwrap();
        assert_eq!(
            (header.journal, header.base, header.bytes),
            ([7; 16], 4096, BYTES as u64)
        );
        // Text shrinks to little, noise stays as it is, zeros take nothing.
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(
            (PACK_BLOCK_BYTES as u64..PACK_BLOCK_BYTES as u64 + 8192).contains(&size),
            "{size}"
        );
        let whole = segment();
        for (at, wanted) in [
            (0, BYTES),
            (PACK_BLOCK_BYTES - 3, 6),
            (BYTES - 6, 100),
            (70_000, 4096),
            (BYTES, 1),
        ] {
            let mut bytes = vec![9; wanted];
            let read = read_up_to(&file, &mut bytes, at as u64).unwrap();
            assert_eq!(bytes[..read], whole[at..(at + wanted).min(BYTES)], "{at}");
        }
    }

    #[test]
    fn any_damage_is_named_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = packed(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(131).chain(whole.len() - 40..whole.len()) {
            if (HEADER_BYTES..4096).contains(&at) {
                continue; // padding of the header
            }
            let mut bytes = whole.clone();
            bytes[at] ^= 16;
            std::fs::write(&path, &bytes).unwrap();
            let read = PackedFile::open(OsDisk.open(&path).unwrap(), &path)
                .and_then(|(_, file)| read_up_to(&file, &mut vec![0; BYTES], 0).map_err(unread(&path)));
            match read {
                Err(StoreError::Damaged { file, offset, .. }) => {
                    assert_eq!(Path::new(&file), path);
                    assert!(offset <= at as u64, "{at}: {offset}");
                }
                other => panic!("{at}: {other:?}"),
            }
        }
        for keep in [0, 67, 4096, whole.len() - 1] {
            std::fs::write(&path, &whole[..keep]).unwrap();
            assert!(
                PackedFile::open(OsDisk.open(&path).unwrap(), &path).is_err(),
                "cut at {keep}"
            );
        }
    }
}
