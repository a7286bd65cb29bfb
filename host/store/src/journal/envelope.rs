//! A record inside a frame: its wallet, sequence, ids and body, and where its wallet's earlier records are.
//!
//! A record's *position* is the offset of its frame over all segments and its number in the frame; it never changes. (In
//! [`super::frame::Layout::Plain`] it is the offset of its envelope.) `previous` leads to the record before it, `skip` from
//! record `n` to record `n & (n - 1)`, so that any record of a wallet is reached in about log2(n)^2 / 2 steps from its
//! newest, without an index. Each envelope has a checksum of its own (with its position in it), so that reading one record
//! proves it without reading the whole frame.

use super::frame::{array_at, u32_at, u64_at};
use super::place::Damage;
use crate::contract::{IdHash, Origin, StoredRecord, Version, WalletKey};
use crate::limits::{IDS_PER_RECORD_MAX, NAME_BYTES_MAX, RECORD_BYTES_MAX};

/// Bytes before names, ids and body.
pub(crate) const FIXED_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 8 + 1 + 1 + 1;
/// The largest envelope.
pub(crate) const ENVELOPE_BYTES_MAX: usize =
    FIXED_BYTES + 2 * NAME_BYTES_MAX + IDS_PER_RECORD_MAX * 16 + RECORD_BYTES_MAX;

/// A record as it lies in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub tenant: &'a str,
    pub wallet: &'a str,
    pub sequence: Version,
    /// Position of the wallet's previous record; 0 for its first.
    pub previous: u64,
    /// Position of record `sequence & (sequence - 1)`; 0 if that is none.
    pub skip: u64,
    /// The record's time (microseconds since the epoch).
    pub at: i64,
    pub ids: Ids<'a>,
    pub body: &'a [u8],
}

/// The ids of a record, undecoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids<'a>(&'a [u8]);

impl Ids<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = IdHash> {
        self.0.chunks_exact(16).map(|id| IdHash(array_at(id, 0)))
    }
}

impl Envelope<'_> {
    /// Bytes that a record takes, its names and counts within the limits.
    pub(crate) fn bytes(wallet: &WalletKey, ids: usize, body: usize) -> usize {
        FIXED_BYTES + wallet.tenant().len() + wallet.wallet().len() + ids * 16 + body
    }

    pub(crate) fn wallet_key(&self) -> WalletKey {
        WalletKey::new(self.tenant, self.wallet)
    }

    pub(crate) fn is_of(&self, wallet: &WalletKey) -> bool {
        self.tenant == wallet.tenant() && self.wallet == wallet.wallet()
    }

    pub(crate) fn to_record(&self) -> StoredRecord {
        StoredRecord {
            wallet: self.wallet_key(),
            sequence: self.sequence,
            body: self.body.to_vec(),
            origin: Origin::default(),
        }
    }
}

/// Where a record stands in its wallet's history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links {
    pub sequence: Version,
    pub previous: u64,
    pub skip: u64,
}

/// What a record brings along besides its links.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    pub at: i64,
    pub ids: &'a [IdHash],
    pub body: &'a [u8],
}

/// Appends an envelope that will lie at `position`. Everything is within the limits (checked at the door).
#[expect(
    clippy::cast_possible_truncation,
    reason = "admission holds names, ids and bodies below 255, 255 and 2^32 bytes"
)]
pub(crate) fn encode(
    out: &mut Vec<u8>,
    position: u64,
    wallet: &WalletKey,
    links: Links,
    content: Content<'_>,
) {
    let Content { at, ids, body } = content;
    let start = out.len();
    let bytes = Envelope::bytes(wallet, ids.len(), body.len());
    out.reserve(bytes);
    out.extend_from_slice(&(bytes as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&links.sequence.to_le_bytes());
    out.extend_from_slice(&links.previous.to_le_bytes());
    out.extend_from_slice(&links.skip.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.push(wallet.tenant().len() as u8);
    out.push(wallet.wallet().len() as u8);
    out.push(ids.len() as u8);
    out.extend_from_slice(wallet.tenant().as_bytes());
    out.extend_from_slice(wallet.wallet().as_bytes());
    for id in ids {
        out.extend_from_slice(&id.0);
    }
    out.extend_from_slice(body);
    let crc = checksum(position, &out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// How long the envelope that starts with these bytes says it is.
pub(crate) fn stated_bytes(front: &[u8]) -> Result<usize, Damage> {
    if front.len() < FIXED_BYTES {
        return Err(Damage::new("the file ends inside a record"));
    }
    let bytes = u32_at(front, 0) as usize;
    if (FIXED_BYTES..=ENVELOPE_BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(Damage::new(format!("a record says that it has {bytes} bytes")))
    }
}

/// The envelope at the front of `bytes`, which lies at `position`. Any nonsense is an error, never a panic.
pub(crate) fn decode(bytes: &[u8], position: u64) -> Result<(Envelope<'_>, usize), Damage> {
    let total = stated_bytes(bytes)?;
    let Some(bytes) = bytes.get(..total) else {
        return Err(Damage::new("a record reaches beyond its frame"));
    };
    if checksum(position, bytes) != u32_at(bytes, 4) {
        return Err(Damage::new("the checksum of a record does not match"));
    }
    let (tenant, wallet, ids) = (bytes[40] as usize, bytes[41] as usize, bytes[42] as usize * 16);
    if FIXED_BYTES + tenant + wallet + ids > total {
        return Err(Damage::new("a record's names and ids reach beyond it"));
    }
    let (tenant, rest) = bytes[FIXED_BYTES..].split_at(tenant);
    let (wallet, rest) = rest.split_at(wallet);
    let (ids, body) = rest.split_at(ids);
    let name =
        |bytes| std::str::from_utf8(bytes).map_err(|_| Damage::new("a record's wallet has no readable name"));
    let envelope = Envelope {
        tenant: name(tenant)?,
        wallet: name(wallet)?,
        sequence: u64_at(bytes, 8),
        previous: u64_at(bytes, 16),
        skip: u64_at(bytes, 24),
        at: u64_at(bytes, 32).cast_signed(),
        ids: Ids(ids),
        body,
    };
    Ok((envelope, total))
}

/// Over the position and everything but the checksum itself.
fn checksum(position: u64, bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), &bytes[..4]);
    crc32c::crc32c_append(crc, &bytes[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_back_and_every_flip_is_found() {
        let wallet = WalletKey::new("acme", "w1");
        let mut bytes = Vec::new();
        let links = Links {
            sequence: 6,
            previous: 900,
            skip: 800,
        };
        encode(
            &mut bytes,
            4168,
            &wallet,
            links,
            Content {
                at: -7,
                ids: &[IdHash([1; 16]), IdHash([2; 16])],
                body: b"body",
            },
        );
        let (envelope, length) = decode(&bytes, 4168).unwrap();
        assert_eq!(length, bytes.len());
        assert!(envelope.is_of(&wallet));
        assert_eq!(
            (envelope.sequence, envelope.previous, envelope.skip),
            (6, 900, 800)
        );
        assert_eq!(
            envelope.ids.iter().collect::<Vec<_>>(),
            [IdHash([1; 16]), IdHash([2; 16])]
        );
        assert_eq!((envelope.at, envelope.body), (-7, &b"body"[..]));
        assert!(
            decode(&bytes, 4169).is_err(),
            "elsewhere it is another record's place"
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped, 4168).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], 4168).is_err());
        }
    }
}
