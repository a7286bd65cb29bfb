//! Records of the journal, gathered by wallet, so that a wallet is read, folded and written once for all of them.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use crate::contract::{FoldedRecord, StoreError, Version, WalletKey};
use crate::fast::FastMap;
use crate::journal::envelope::Envelope;
use crate::journal::segments::Segments;
use crate::journal::walk::Frame;

/// What a wallet takes besides its records, about: its names, and where it is found by them.
const WALLET_BYTES: usize = 200;

/// As many records as are folded at once, in the order of the journal. Their bytes lie in one piece, and nothing is allocated
/// for a record.
pub(super) struct Gathered {
    bytes_max: usize,
    /// Where a wallet stands in `wallets`.
    numbers: FastMap<Named, usize>,
    wallets: Vec<WalletKey>,
    records: Vec<Gathering>,
    bodies: Vec<u8>,
}

/// A record that was gathered.
#[derive(Clone)]
struct Gathering {
    wallet: usize,
    sequence: Version,
    position: u64,
    body: Range<usize>,
}

/// A wallet's records that its state lacks.
pub(super) struct Tailing<'a> {
    pub wallet: &'a WalletKey,
    records: &'a [Gathering],
    bodies: &'a [u8],
}

impl Gathered {
    /// Nothing yet, of at most about so many bytes.
    pub fn new(bytes_max: usize) -> Gathered {
        Gathered {
            bytes_max,
            numbers: FastMap::default(),
            wallets: Vec::new(),
            records: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Adds the records of a frame.
    pub fn frame(&mut self, frame: &Frame<'_>, segments: &Segments) -> Result<(), StoreError> {
        frame.records(segments, &mut |position, envelope| {
            self.add(envelope, position);
            Ok(())
        })
    }

    fn add(&mut self, envelope: &Envelope<'_>, position: u64) {
        let names: &dyn Names = &(envelope.tenant, envelope.wallet);
        let wallet = match self.numbers.get(names) {
            Some(&number) => number,
            None => {
                let wallet = envelope.wallet_key();
                self.numbers.insert(Named(wallet.clone()), self.wallets.len());
                self.wallets.push(wallet);
                self.wallets.len() - 1
            }
        };
        let begin = self.bodies.len();
        self.bodies.extend_from_slice(envelope.body);
        self.records.push(Gathering {
            wallet,
            sequence: envelope.sequence,
            position,
            body: begin..self.bodies.len(),
        });
    }

    /// Forgets the records, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.wallets.clear();
        self.records.clear();
        self.bodies.clear();
    }

    /// Whether it is time to fold them.
    pub fn is_full(&self) -> bool {
        let records = self.records.len() * size_of::<Gathering>();
        self.bodies.len() + records + self.wallets.len() * WALLET_BYTES >= self.bytes_max
    }

    /// Brings the records of each wallet together.
    pub fn by_wallet(&mut self) -> Vec<Tailing<'_>> {
        self.records.sort_by_key(|record| record.wallet); // stable: a wallet's stay in order
        let wallets = self.records.chunk_by(|a, b| a.wallet == b.wallet);
        let tailing = wallets.map(|records| Tailing {
            wallet: &self.wallets[records[0].wallet],
            records,
            bodies: &self.bodies,
        });
        tailing.collect()
    }
}

impl<'a> Tailing<'a> {
    /// Sequences and positions, oldest first.
    pub fn places(&self) -> impl Iterator<Item = (Version, u64)> {
        self.records
            .iter()
            .map(|record| (record.sequence, record.position))
    }

    /// The records, oldest first.
    pub fn records(&self) -> Vec<FoldedRecord<'a>> {
        let records = self.records.iter().map(|record| FoldedRecord {
            sequence: record.sequence,
            body: &self.bodies[record.body.clone()],
        });
        records.collect()
    }
}

/// A wallet that is found by its names, wherever they are: a record's wallet is looked up without making its key.
#[derive(PartialEq, Eq)]
struct Named(WalletKey);

/// A wallet's names.
trait Names {
    fn names(&self) -> (&str, &str);
}

impl Names for Named {
    fn names(&self) -> (&str, &str) {
        (self.0.tenant(), self.0.wallet())
    }
}

impl Names for (&str, &str) {
    fn names(&self) -> (&str, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Names + 'a> for Named {
    fn borrow(&self) -> &(dyn Names + 'a) {
        self
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl Hash for dyn Names + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl PartialEq for dyn Names + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for dyn Names + '_ {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::envelope::{Content, Links, decode, encode};

    fn add(gathered: &mut Gathered, wallet: &WalletKey, (sequence, position): (u64, u64), body: &[u8]) {
        let links = Links {
            sequence,
            previous: 0,
            skip: 0,
        };
        let content = Content {
            at: 0,
            ids: &[],
            body,
        };
        let mut bytes = Vec::new();
        encode(&mut bytes, position, wallet, links, content);
        let (envelope, _) = decode(&bytes, position).unwrap();
        gathered.add(&envelope, position);
    }

    type Seen = (WalletKey, Vec<(u64, u64)>, Vec<Vec<u8>>);

    fn seen(gathered: &mut Gathered) -> Vec<Seen> {
        let wallets = gathered.by_wallet();
        let seen = wallets.iter().map(|tailing| {
            let bodies = tailing
                .records()
                .iter()
                .map(|record| record.body.to_vec())
                .collect();
            (tailing.wallet.clone(), tailing.places().collect(), bodies)
        });
        seen.collect()
    }

    #[test]
    fn records_come_by_wallet_each_in_order_also_in_memory_that_was_used_before() {
        let mut gathered = Gathered::new(usize::MAX);
        let [a, b, c] = ["a", "b", "c"].map(|name| WalletKey::new("t", name));
        add(&mut gathered, &c, (9, 99), b"old");
        add(&mut gathered, &b, (4, 99), b"older");
        gathered.clear();
        assert!(seen(&mut gathered).is_empty());
        let order = [(&a, 1, "one"), (&b, 5, "six"), (&a, 2, "two"), (&b, 6, "ten")];
        for (position, (wallet, sequence, body)) in (100..).zip(order) {
            add(&mut gathered, wallet, (sequence, position), body.as_bytes());
        }
        let bodies = |bodies: [&str; 2]| bodies.map(|body| body.as_bytes().to_vec()).to_vec();
        let expected = [
            (a, vec![(1, 100), (2, 102)], bodies(["one", "two"])),
            (b, vec![(5, 101), (6, 103)], bodies(["six", "ten"])),
        ];
        assert_eq!(seen(&mut gathered), expected);
    }

    #[test]
    fn it_is_full_by_bodies_by_records_and_by_wallets() {
        let full = |wallets: u64, records: u64, body: usize| {
            let mut gathered = Gathered::new(100_000);
            for wallet in 0..wallets {
                let key = WalletKey::new("t", &format!("w{wallet}"));
                for sequence in 1..=records {
                    add(&mut gathered, &key, (sequence, sequence), &vec![1; body]);
                }
            }
            gathered.is_full()
        };
        assert!(full(1, 1, 100_000) && !full(1, 1, 90_000));
        assert!(full(1, 10_000, 0) && !full(1, 100, 0));
        assert!(full(1_000, 1, 0) && !full(100, 1, 0));
    }
}
