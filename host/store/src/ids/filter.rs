//! Filters that say "not here" of most ids that are not, and never of one that is.
//!
//! A Bloom filter in blocks of one cache line: asking costs one miss, however large it is. The hashes that ids come as
//! are mixed once more, so that a caller's poor hash costs space and never an answer.

use crate::contract::IdHash;
use crate::limits::ID_FILTER_BITS_PER_KEY;

const BLOCK_BYTES: usize = 64;
const PROBES: u32 = 7;

/// The filter of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Vec<u8>);

impl Filter {
    /// An empty filter for so many ids.
    pub(crate) fn for_ids(ids: usize) -> Filter {
        let blocks = (ids * ID_FILTER_BITS_PER_KEY).div_ceil(BLOCK_BYTES * 8).max(1);
        Filter(vec![0; blocks * BLOCK_BYTES])
    }

    /// From the bytes of one. None: they are none.
    pub(crate) fn restore(bytes: Vec<u8>) -> Option<Filter> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK_BYTES)).then_some(Filter(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn add(&mut self, id: IdHash) {
        let (start, mut bits) = self.place(id);
        for _ in 0..PROBES {
            self.0[start + (bits >> 3 & 63) as usize] |= 1 << (bits & 7);
            bits >>= 9;
        }
    }

    pub(crate) fn may_hold(&self, id: IdHash) -> bool {
        let (start, mut bits) = self.place(id);
        (0..PROBES).all(|_| {
            let set = self.0[start + (bits >> 3 & 63) as usize] & 1 << (bits & 7) != 0;
            bits >>= 9;
            set
        })
    }

    /// Where the id's block starts, and nine bits for each probe in it.
    fn place(&self, id: IdHash) -> (usize, u64) {
        let whole = u128::from_le_bytes(id.0);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let (low, high) = (whole as u64, (whole >> 64) as u64);
        let (block, bits) = (
            mix(low ^ high.rotate_left(32)),
            mix(high.wrapping_add(low.rotate_left(17)) ^ 0x9e37_79b9),
        );
        let blocks = (self.0.len() / BLOCK_BYTES) as u128;
        #[expect(clippy::cast_possible_truncation, reason = "below the number of blocks")]
        let block = ((u128::from(block) * blocks) >> 64) as usize;
        (block * BLOCK_BYTES, bits)
    }
}

/// The finaliser of MurmurHash3: every input bit reaches every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids that differ in few bits: harder than real ones.
    fn id(n: u32) -> IdHash {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        IdHash(bytes)
    }

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let mut filter = Filter::for_ids(20_000);
        (0..20_000).for_each(|n| filter.add(id(n)));
        assert!((0..20_000).all(|n| filter.may_hold(id(n))));
        let wrong = (20_000..120_000).filter(|&n| filter.may_hold(id(n))).count();
        assert!(wrong < 1_500, "{wrong} of 100000 unknown ids look known");
    }
}
