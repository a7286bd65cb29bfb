//! Reading a whole journal to prove that it is what was written.

use std::collections::HashMap;
use std::path::Path;

use super::envelope::Envelope;
use super::frame::BLOCK_BYTES;
use super::place::Damage;
use super::segments::Segments;
use super::walk::From;
use crate::contract::{Keep, StoreError, WalletKey};
use crate::heads::Head;
use crate::store::{heads, journal_alone};

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
    /// Ids that a second record of the same wallet answers for, too, while they were still to be known. More than none: the
    /// layer above let an id act twice.
    pub ids_repeated: u64,
    /// Bytes of frames, padding included.
    pub bytes: u64,
    /// Bytes left of a frame that nobody was answered for. The next open clears them.
    pub torn_tail_bytes: u64,
    /// Where the journal ends.
    pub end: u64,
    /// Segments of it that are in an archive.
    pub segments_archived: u64,
    /// Frames were read from this position on: 0, or where the archive ends that was not at hand.
    pub from: u64,
    /// Wallets' sequences and links were followed from this position on: 0, or that of the snapshot that stands for what
    /// was not at hand.
    pub wallets_from: u64,
}

/// Reads every frame of every segment: checksums, chain, each wallet's dense sequence and its links. Changes nothing.
///
/// Where segments are archived, `archive` is where they are; their files are compared with the hashes that the data folder
/// keeps of them, too. Without it, frames are read from there on where the archive ends, and wallets are followed from the
/// newest snapshot on.
///
/// Takes the folder's lock, so no server may run on it. Memory: about 100 bytes for each wallet and 60 for each id. An id that
/// is kept for the window only ([`Keep::Window`]) may come again `window_micros` later. `progress` is told the bytes read, and
/// how many there are.
///
/// # Errors
/// [`StoreError::Damaged`] for the first thing that is not what was written; [`StoreError::State`] where neither an archive
/// nor a sound snapshot stands for what is archived.
pub fn verify_journal(
    dir: &Path,
    archive: Option<&Path>,
    window_micros: i64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<JournalReport, StoreError> {
    let (_lock, segments, snapshots) = journal_alone(dir, archive)?;
    let Some(segments) = segments else {
        return Ok(JournalReport::default());
    };
    let mut from = From {
        position: 0,
        link: Some(segments.journal()),
        durable: 0,
        until: None,
    };
    let mut audit = Audit {
        segments: &segments,
        report: JournalReport::default(),
        heads: HashMap::new(),
        ids: HashMap::new(),
        window_micros,
    };
    let known = segments.elsewhere().known();
    match (&known, archive) {
        (None, _) => {}
        (Some(known), Some(archive)) => {
            known
                .segments
                .iter()
                .try_for_each(|entry| entry.file.check(archive))?;
        }
        (Some(known), None) => {
            (from.position, from.link) = (known.frames_end(), Some(known.link));
            audit.report.from = known.end();
            (audit.report.wallets_from, audit.heads) = heads(&snapshots, &segments)?;
        }
    }
    let total = segments.end();
    let tail = segments.walk(from, &mut |frame| {
        frame.records(
            &segments,
            &mut |position, envelope| match position < audit.report.wallets_from {
                true => {
                    audit.report.records += 1;
                    Ok(())
                }
                false => audit.record(position, frame.base, envelope),
            },
        )?;
        audit.report.frames += 1;
        audit.report.bytes += frame.header.padded_bytes();
        progress(frame.end(), total);
        Ok(())
    })?;
    progress(total, total);
    Ok(JournalReport {
        segments: segments.spans().len() as u64,
        segments_archived: known.map_or(0, |known| known.segments.len() as u64),
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
    /// Hashes of wallet and id together, each with the time of the newest record that answers for it.
    ids: HashMap<[u8; 16], i64>,
    window_micros: i64,
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
            let named = super::frame::array_at(hasher.finalize().as_bytes(), 0);
            let known = |earlier: i64| match id.keep() {
                Keep::ForGood => true,
                Keep::Window => envelope.at.saturating_sub(earlier) < self.window_micros,
            };
            if self.ids.insert(named, envelope.at).is_some_and(known) {
                self.report.ids_repeated += 1;
            }
        }
        Ok(())
    }
}
