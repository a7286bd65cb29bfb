//! A frame: what one `commit` call kept, whole or not at all.
//!
//! **Invariant: a page that was synced is never written again.** Frames start at multiples of [`BLOCK_BYTES`] and are
//! padded with zeros to the next, so a torn write can only hurt the frame being written, which nobody was told about.
//!
//! Each frame names the end of the frame before it (`durable`): everything up to there was durable when it was written.
//! So a valid frame proves that all before it was answered, and a hole before a valid frame is damage, never a torn tail.
//! The journal's id is secret to the store: no customer's bytes inside a torn frame can pass for a later frame.

use super::place::Damage;

/// Frames are aligned to this; it is a multiple of every sector and page size that disks write whole.
pub(crate) const BLOCK_BYTES: u64 = BLOCK_BUFFER_BYTES as u64;
/// The same, as the length of a buffer.
pub(crate) const BLOCK_BUFFER_BYTES: usize = 4096;
/// A frame's header.
pub(crate) const HEADER_BYTES: usize = 72;
const MAGIC: [u8; 4] = *b"FBXF";

/// How the records of a frame lie in it. All frames of a segment are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One behind the other as they are: a record's position is where it begins. Read, and written no more.
    Plain = 1,
    /// In blocks ([`super::payload`]): a record's position is where its frame begins, and its number there, counted from 1.
    Blocks = 2,
}

impl Layout {
    /// The layout with this number.
    pub(crate) fn numbered(number: u16) -> Result<Layout, Damage> {
        match number {
            1 => Ok(Layout::Plain),
            2 => Ok(Layout::Blocks),
            _ => Err(Damage::new(format!(
                "it was written by a newer Farebox, in format {number}; this one reads up to 2"
            ))),
        }
    }
}

/// Chain over frames: the hash of everything that a frame says, the hash of its predecessor among it.
pub(crate) type Link = [u8; 16];
/// Random, drawn when a journal is made.
pub(crate) type JournalId = [u8; 16];

/// What is at the front of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub layout: Layout,
    pub journal: JournalId,
    /// Where this frame starts, over all segments.
    pub position: u64,
    /// Where the frame before it ended: the highest position that was durable when this one was written.
    pub durable: u64,
    pub payload_bytes: u32,
    /// None in a closing frame, which only seals what is before it.
    pub records: u32,
    /// Link of the frame before.
    pub previous: Link,
    pub payload_crc: u32,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&(self.layout as u16).to_le_bytes());
        bytes[8..24].copy_from_slice(&self.journal);
        bytes[24..32].copy_from_slice(&self.position.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.records.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.previous);
        bytes[64..68].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[0..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header in a block, or what keeps it from being one. Any nonsense is an error, never a panic.
    pub(crate) fn decode(block: &[u8], journal: &JournalId, position: u64) -> Result<Header, Damage> {
        let Some(bytes) = block.first_chunk::<HEADER_BYTES>() else {
            return Err(Damage::new("the file ends inside a frame's header"));
        };
        if bytes[0..4] != MAGIC {
            return Err(Damage::new("no frame starts here"));
        }
        if crc32c::crc32c(&bytes[0..68]) != u32_at(bytes, 68) {
            return Err(Damage::new("the checksum of the frame's header does not match"));
        }
        let header = Header {
            layout: Layout::numbered(u16::from_le_bytes([bytes[4], bytes[5]]))?,
            journal: array_at(bytes, 8),
            position: u64_at(bytes, 24),
            durable: u64_at(bytes, 32),
            payload_bytes: u32_at(bytes, 40),
            records: u32_at(bytes, 44),
            previous: array_at(bytes, 48),
            payload_crc: u32_at(bytes, 64),
        };
        if header.journal != *journal {
            return Err(Damage::new("the frame belongs to another journal"));
        }
        if header.position != position {
            return Err(Damage::new(format!(
                "the frame says that its place is {}, not {position}",
                header.position
            )));
        }
        Ok(header)
    }

    /// Bytes from the start of the frame to where the next one may start: more than it has records, so that the positions of
    /// all of them lie within it.
    pub(crate) fn padded_bytes(&self) -> u64 {
        padded((HEADER_BYTES as u64 + u64::from(self.payload_bytes)).max(u64::from(self.records) + 1))
    }

    /// What the next frame is chained to. The payload's checksum stands for the payload against accidents, the hash
    /// against a payload made to fit.
    pub(crate) fn link(&self, payload: &[u8]) -> Link {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.encode());
        hasher.update(payload);
        array_at(hasher.finalize().as_bytes(), 0)
    }
}

/// The next multiple of [`BLOCK_BYTES`].
pub(crate) const fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// `N` bytes at a place that the caller knows to be inside.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            layout: Layout::Blocks,
            journal: [7; 16],
            position: 8192,
            durable: 4096,
            payload_bytes: 5000,
            records: 3,
            previous: [9; 16],
            payload_crc: 11,
        }
    }

    #[test]
    fn a_header_reads_back() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes, &[7; 16], 8192).unwrap(), header());
        assert_eq!(header().padded_bytes(), 8192);
    }

    #[test]
    fn a_frame_is_longer_than_it_has_records() {
        let many = Header {
            records: 8191,
            ..header()
        };
        assert_eq!(many.padded_bytes(), 8192);
        let more = Header {
            records: 8192,
            ..header()
        };
        assert_eq!(more.padded_bytes(), 12_288);
    }

    #[test]
    fn a_later_format_is_told() {
        let mut bytes = header().encode();
        bytes[4] = 3;
        let crc = crc32c::crc32c(&bytes[0..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
        let damage = Header::decode(&bytes, &[7; 16], 8192).unwrap_err().to_string();
        assert!(damage.contains("newer Farebox, in format 3"), "{damage}");
    }

    #[test]
    fn any_flipped_bit_is_found() {
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes, &[7; 16], 8192).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_elsewhere_is_none() {
        let bytes = header().encode();
        assert!(Header::decode(&bytes, &[7; 16], 4096).is_err());
        assert!(Header::decode(&bytes, &[8; 16], 8192).is_err());
        assert!(Header::decode(&bytes[..70], &[7; 16], 8192).is_err());
    }
}
