//! The commit path: decide, write one frame, sync it, and only then show it.

use std::sync::Arc;

use super::recent::Frame;
use super::{Chore, JournalStore};
use crate::admit;
use crate::contract::{Commit, Fate, IdHash, StoreError, StoredRecord, WalletKey};
use crate::fast::FastMap;
use crate::heads::{Head, HeadCache};
use crate::journal::append::{Appender, frame_bytes};
use crate::journal::envelope::{Content, Envelope};
use crate::limits::frame_bytes_max;
use crate::state::Change;

/// Everything that only whoever commits may touch.
#[derive(Debug)]
pub(crate) struct Committer {
    appender: Appender,
    heads: HeadCache,
    frame_bytes_max: usize,
    /// Ids of the frame being made, used over and over.
    ids: Vec<(IdHash, u64, i64)>,
}

/// The heads of the wallets that a call touches, as they will be when it is done.
type Staged = FastMap<WalletKey, Head>;

impl Committer {
    /// `segment_bytes` is the size of the smallest segment that a frame may go to.
    pub(crate) fn new(appender: Appender, heads_cached_max: usize, segment_bytes: u64) -> Committer {
        Committer {
            appender,
            heads: HeadCache::new(heads_cached_max),
            frame_bytes_max: frame_bytes_max(segment_bytes),
            ids: Vec::new(),
        }
    }

    /// Writes a frame without records. It proves that the frame before it was durable, so that its loss is noticed.
    pub(crate) fn seal(&mut self) -> Result<u64, String> {
        self.appender.begin(0)?;
        self.appender.finish()
    }
}

impl JournalStore {
    pub(super) fn commit_all(&self, commits: Vec<Commit>) -> Result<Vec<Fate>, StoreError> {
        commits.iter().try_for_each(admit::commit)?;
        self.latch.check()?;
        if self.pending.is_full() {
            self.work_by_hand(Chore::State)?;
        }
        self.pending.wait_for_room(&self.latch)?;
        let mut committer = self.committer.lock();
        // Again: it may have stopped while this waited for the lock.
        self.latch.check()?;
        let (fates, staged, bytes) = self.decide(&committer, &commits)?;
        if bytes > 0 {
            self.write(&mut committer, commits, &fates, staged, bytes)?;
        }
        Ok(fates)
    }

    /// Compares versions, each commit with what those before it leave behind, and adds up what is to be written.
    fn decide(
        &self,
        committer: &Committer,
        commits: &[Commit],
    ) -> Result<(Vec<Fate>, Staged, usize), StoreError> {
        let (mut staged, mut ahead) = (Staged::default(), FastMap::default());
        let (mut fates, mut bytes) = (Vec::with_capacity(commits.len()), 0);
        for commit in commits {
            let version = self.version(committer, &mut staged, &ahead, &commit.wallet)?;
            let current = match commit.control {
                None => true,
                Some(expected) => {
                    let control = WalletKey::control(commit.wallet.tenant());
                    self.version(committer, &mut staged, &ahead, &control)? == expected
                }
            };
            if !current || version != commit.expected {
                fates.push(Fate::Lost);
                continue;
            }
            ahead.insert(commit.wallet.clone(), version + commit.records.len() as u64);
            let sizes = commit.records.iter();
            bytes += sizes
                .map(|r| Envelope::bytes(&commit.wallet, r.ids.len(), r.body.len()))
                .sum::<usize>();
            fates.push(Fate::Committed);
        }
        let frame = frame_bytes(bytes);
        if frame > committer.frame_bytes_max {
            let max = committer.frame_bytes_max;
            return Err(admit::limit(
                "the bytes of one call's records",
                "FRAME_BYTES_MAX",
                frame,
                max,
            ));
        }
        Ok((fates, staged, bytes))
    }

    fn version(
        &self,
        committer: &Committer,
        staged: &mut Staged,
        ahead: &FastMap<WalletKey, u64>,
        wallet: &WalletKey,
    ) -> Result<u64, StoreError> {
        if let Some(version) = ahead.get(wallet) {
            return Ok(*version);
        }
        if let Some(head) = staged.get(wallet) {
            return Ok(head.version());
        }
        let head = match committer.heads.get(wallet) {
            Some(head) => head.clone(),
            None => self.head(wallet)?,
        };
        let version = head.version();
        staged.insert(wallet.clone(), head);
        Ok(version)
    }

    /// Keeps the commits that were not lost. Order matters from the sync on: ids and changes are to be found before
    /// anyone is answered, and not before they are durable.
    fn write(
        &self,
        committer: &mut Committer,
        commits: Vec<Commit>,
        fates: &[Fate],
        mut staged: Staged,
        bytes: usize,
    ) -> Result<(), StoreError> {
        let stop = |reason| self.latch.stop(reason);
        let Committer {
            appender, heads, ids, ..
        } = committer;
        ids.clear();
        let sealed = appender.begin(bytes).map_err(stop)?;
        let mut changes: FastMap<WalletKey, Change> =
            FastMap::with_capacity_and_hasher(commits.len(), Default::default());
        let (behind, begins) = (appender.end(), appender.begins());
        let mut records = Vec::with_capacity(commits.iter().map(|commit| commit.records.len()).sum());
        for (commit, fate) in commits.into_iter().zip(fates) {
            if *fate == Fate::Lost {
                continue;
            }
            let Some(head) = staged.get_mut(&commit.wallet) else {
                continue;
            };
            for record in commit.records {
                let content = Content {
                    at: record.at,
                    ids: &record.ids,
                    body: &record.body,
                };
                let position = appender
                    .push(&commit.wallet, head.next(), content)
                    .map_err(stop)?;
                head.push(position);
                ids.extend(record.ids.iter().map(|id| (*id, position, record.at)));
                records.push(StoredRecord {
                    wallet: commit.wallet.clone(),
                    sequence: head.version(),
                    body: record.body,
                    origin: record.origin,
                });
            }
            head.due = commit.due;
            let change = changes.entry(commit.wallet).or_default();
            change.head = head.clone();
            change.parts.extend(commit.parts);
        }
        let end = appender.finish().map_err(stop)?;
        if let Some(span) = sealed {
            // Only now: until a frame is durable in the next segment, a crash would go on writing in this one.
            self.ids.seal(span);
            self.packer.sealed(span.end);
        }
        self.ids.add(ids);
        for (wallet, head) in staged {
            heads.put(wallet, head);
        }
        // Before it is shown, so that whoever reads on at once finds it here.
        self.recent.add(Frame {
            behind,
            begins,
            ends: end,
            records: Arc::new(records),
        });
        self.pending.add(changes.into_iter(), end);
        Ok(())
    }
}
