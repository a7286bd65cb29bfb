//! Records of the journal, gathered by wallet, so that a wallet is read, folded and written once for all of them.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use crate::contract::{FoldedRecord, StoreError, Version, WalletKey};
use crate::fast::FastMap;
use crate::journal::envelope::Envelope;
use crate::journal::segments::Segments;
use crate::journal::walk::Frame;
use crate::limits::REPLAY_BATCH_BYTES;

/// As many records as are folded at once, in the order of the journal. Their bytes lie in one piece, and nothing is allocated
/// for a record.
#[derive(Default)]
pub(super) struct Gathered {
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
        self.bodies.len() + self.records.len() * size_of::<Gathering>() >= REPLAY_BATCH_BYTES
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

    #[test]
    fn records_come_by_wallet_each_in_order() {
        let mut gathered = Gathered::default();
        let (a, b) = (WalletKey::new("t", "a"), WalletKey::new("t", "b"));
        let order = [(&a, 1, b"one"), (&b, 5, b"six"), (&a, 2, b"two"), (&b, 6, b"ten")];
        for (position, (wallet, sequence, body)) in (100..).zip(order) {
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
        assert!(!gathered.is_full());
        let seen: Vec<_> = gathered
            .by_wallet()
            .iter()
            .map(|tailing| {
                let bodies: Vec<_> = tailing
                    .records()
                    .iter()
                    .map(|r| (r.sequence, r.body.to_vec()))
                    .collect();
                (
                    tailing.wallet.clone(),
                    tailing.places().collect::<Vec<_>>(),
                    bodies,
                )
            })
            .collect();
        let bodies = |of: [(u64, &[u8]); 2]| of.map(|(sequence, body)| (sequence, body.to_vec())).to_vec();
        assert_eq!(
            seen,
            [
                (a, vec![(1, 100), (2, 102)], bodies([(1, b"one"), (2, b"two")])),
                (b, vec![(5, 101), (6, 103)], bodies([(5, b"six"), (6, b"ten")])),
            ]
        );
    }
}
