//! Reading a whole journal to prove that it is what was written.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::envelope::Envelope;
use super::frame::BLOCK_BYTES;
use super::place::Damage;
use super::segments::Segments;
use super::walk::From;
use crate::contract::{StoreError, WalletKey};
use crate::heads::Head;
use crate::store::journal_alone;

/// What a sound journal holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// Files.
    pub segments: u64,
    /// Frames, closing ones included.
    pub frames: u64,
    /// Records of all wallets and control planes.
    pub records: u64,
    /// Wallets and control planes with at least one record.
    pub wallets: u64,
    /// Ids that records answer for.
    pub ids: u64,
    /// Ids that a second record of the same wallet answers for, too. More than none: the layer above let an id act twice.
    pub ids_repeated: u64,
    /// Bytes of frames, padding included.
    pub bytes: u64,
    /// Bytes left of a frame that nobody was answered for. The next open clears them.
    pub torn_tail_bytes: u64,
    /// Where the journal ends.
    pub end: u64,
}

/// Reads every frame of every segment: checksums, chain, each wallet's dense sequence and its links. Changes nothing.
///
/// Takes the folder's lock, so no server may run on it. Memory: about 100 bytes for each wallet and 50 for each id.
/// `progress` is told the bytes read, and how many there are.
///
/// # Errors
/// [`StoreError::Damaged`] for the first thing that is not what was written.
pub fn verify_journal(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<JournalReport, StoreError> {
    let (_lock, segments, _) = journal_alone(dir)?;
    let Some(segments) = segments else {
        return Ok(JournalReport::default());
    };
    let mut audit = Audit {
        segments: &segments,
        report: JournalReport::default(),
        heads: HashMap::new(),
        ids: HashSet::new(),
    };
    let total = segments.end();
    let from = From {
        position: 0,
        link: Some(segments.journal()),
        durable: 0,
        until: None,
    };
    let tail = segments.walk(from, &mut |frame| {
        frame.records(&segments, &mut |position, envelope| {
            audit.record(position, frame.base, envelope)
        })?;
        audit.report.frames += 1;
        audit.report.bytes += frame.header.padded_bytes();
        progress(frame.end(), total);
        Ok(())
    })?;
    progress(total, total);
    Ok(JournalReport {
        segments: segments.spans().len() as u64,
        wallets: audit.heads.len() as u64,
        torn_tail_bytes: tail.torn.len() as u64 * BLOCK_BYTES,
        end: tail.end,
        ..audit.report
    })
}

struct Audit<'a> {
    segments: &'a Segments,
    report: JournalReport,
    heads: HashMap<WalletKey, Head>,
    /// Hashes of wallet and id together.
    ids: HashSet<[u8; 16]>,
}

impl Audit<'_> {
    fn record(&mut self, position: u64, base: u64, envelope: &Envelope<'_>) -> Result<(), StoreError> {
        let damaged = |what: String| Err(Damage::new(what).at(&self.segments.path(base), position - base));
        let head = self.heads.entry(envelope.wallet_key()).or_default();
        let links = head.next();
        if envelope.sequence != links.sequence {
            return damaged(format!(
                "record {} of {:?} stands where record {} should be",
                envelope.sequence,
                envelope.wallet_key(),
                links.sequence
            ));
        }
        if (envelope.previous, envelope.skip) != (links.previous, links.skip) {
            return damaged(format!(
                "record {} of {:?} links to other places",
                envelope.sequence,
                envelope.wallet_key()
            ));
        }
        head.push(position);
        self.report.records += 1;
        for id in envelope.ids.iter() {
            self.report.ids += 1;
            let mut hasher = blake3::Hasher::new();
            for name in [envelope.tenant, envelope.wallet] {
                hasher.update(&(name.len() as u64).to_le_bytes());
                hasher.update(name.as_bytes());
            }
            hasher.update(&id.0);
            if !self
                .ids
                .insert(super::frame::array_at(hasher.finalize().as_bytes(), 0))
            {
                self.report.ids_repeated += 1;
            }
        }
        Ok(())
    }
}
