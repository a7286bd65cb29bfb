//! The newest end of each wallet's history: its version, and the positions from which every older record is reached.

use crate::contract::{Version, WalletKey};
use crate::fast::FastMap;
use crate::journal::envelope::Links;

/// Where a wallet's history ends.
///
/// Record `n` leads back to `n - 1` and skips to `n & (n - 1)`. To write record `n + 1` its two targets must be known;
/// both are among `n`, `n & (n - 1)`, and so on down (n with its lowest set bits cleared one after another), so a stack
/// of at most 64 positions, one for each set bit of the version, is enough for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    version: Version,
    /// One position for each set bit of the version, the record with the fewest bits first.
    stack: Vec<u64>,
    /// When something next falls due (microseconds since the epoch).
    pub due: Option<i64>,
}

impl Head {
    /// From what was kept of it. None: the two do not fit each other.
    pub(crate) fn restore(version: Version, stack: Vec<u64>, due: Option<i64>) -> Option<Head> {
        (stack.len() == version.count_ones() as usize).then_some(Head { version, stack, due })
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn stack(&self) -> &[u64] {
        &self.stack
    }

    /// What the record after this one links to.
    pub(crate) fn next(&self) -> Links {
        let keep = self.stack.len() - self.version.trailing_ones() as usize;
        Links {
            sequence: self.version + 1,
            previous: self.stack.last().copied().unwrap_or(0),
            skip: self.stack[..keep].last().copied().unwrap_or(0),
        }
    }

    /// The wallet has one record more, at this position.
    pub(crate) fn push(&mut self, position: u64) {
        self.stack
            .truncate(self.stack.len() - self.version.trailing_ones() as usize);
        self.stack.push(position);
        self.version += 1;
    }

    /// The record nearest after `sequence` (or it) whose position is known: its sequence and position.
    pub(crate) fn nearest(&self, sequence: Version) -> Option<(Version, u64)> {
        let (mut at, mut found) = (self.version, None);
        for &position in self.stack.iter().rev() {
            if at < sequence {
                break;
            }
            found = Some((at, position));
            at &= at - 1;
        }
        found
    }
}

/// Heads in memory, at most about `max`: of two generations the older goes when the younger is full, so a wallet stays as
/// long as it is asked for. A head that went is read again from what is pending or from the state.
#[derive(Debug)]
pub(crate) struct HeadCache {
    young: FastMap<WalletKey, Head>,
    old: FastMap<WalletKey, Head>,
    generation_max: usize,
}

impl HeadCache {
    pub(crate) fn new(max: usize) -> HeadCache {
        HeadCache {
            young: FastMap::default(),
            old: FastMap::default(),
            generation_max: (max / 2).max(1),
        }
    }

    pub(crate) fn get(&self, wallet: &WalletKey) -> Option<&Head> {
        self.young.get(wallet).or_else(|| self.old.get(wallet))
    }

    pub(crate) fn put(&mut self, wallet: WalletKey, head: Head) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(wallet, head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_stack_follow_the_bits() {
        let mut head = Head::default();
        for sequence in 1_u64..5000 {
            let links = head.next();
            assert_eq!(links.sequence, sequence);
            // Positions are ten times the sequence here.
            assert_eq!(links.previous, (sequence - 1) * 10);
            assert_eq!(links.skip, (sequence & (sequence - 1)) * 10);
            head.push(sequence * 10);
            assert_eq!(head.stack().len(), sequence.count_ones() as usize);
            assert_eq!(head.nearest(sequence), Some((sequence, sequence * 10)));
            let (found, position) = head.nearest(1).unwrap();
            assert_eq!((found, position), (1 << sequence.ilog2(), 10 << sequence.ilog2()));
        }
        assert_eq!(head.nearest(5000), None);
    }

    #[test]
    fn a_wallet_in_use_stays_cached() {
        let mut cache = HeadCache::new(8);
        let busy = WalletKey::new("t", "busy");
        for other in 0..100 {
            cache.put(busy.clone(), Head::default());
            cache.put(WalletKey::new("t", &other.to_string()), Head::default());
            assert!(cache.get(&busy).is_some());
        }
        assert!(cache.get(&WalletKey::new("t", "1")).is_none());
        assert!(cache.young.len() + cache.old.len() <= 9);
    }
}
