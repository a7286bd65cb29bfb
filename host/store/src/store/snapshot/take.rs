//! Making a snapshot from the journal's files alone, while a server writes to them or not.
//!
//! Where the snapshot before this one ended, the journal goes on: its records are folded into a state of their own, beside
//! everything that a server has open, up to the end that a later frame proves durable. So a snapshot is consistent at one
//! position by the way it is made; no commit waits for it, nothing is asked of the server, and no sync of its files is
//! needed; a server that does not start can have one too. Memory is bounded: caches, a batch of records, one wallet.
//!
//! **Invariant: a snapshot gets its name only when every frame that it was made of was sound and chained, it reads back as
//! it was written, and the wallets that were asked for, folded once more, each along its own links from where the snapshot
//! before left it (or from its first record on), are what it holds.** That one was proven in the same way, so all of it is.
//!
//! **Rejected**: asking the running server (it would have to hold back passes over its state, or copy it while it changes;
//! and whoever cannot start needs a snapshot most); copying sled's files (they change while they are read).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{fill_from, list, newest, read, write};
use crate::admit;
use crate::contract::{Fold, FoldedRecord, Image, ON_DEMAND, PartKey, StoreError, StoredRecord, WalletKey};
use crate::disk::{Disk, OsDisk};
use crate::heads::Head;
use crate::journal::frame::Link;
use crate::journal::place::{Damage, refused};
use crate::journal::segments::Segments;
use crate::journal::tail::Start;
use crate::journal::walk::Frame;
use crate::limits::{REPLAY_BATCH_BYTES, SNAPSHOT_CACHE_BYTES};
use crate::projections::{Follow, Position, ProjectionChange, ProjectionRow, Projections};
use crate::room::DiskRoom;
use crate::state::{Meta, State};
use crate::store::gather::Gathered;
use crate::store::open::Lock;
use crate::store::read::history;
use crate::store::replay::Replay;
use crate::store::tail::{between, place_of, record};

/// Records of a wallet that are folded at a time.
const PROOF_RECORDS: u64 = 4_096;
/// Bytes of records of which the rows beside the state are made at once.
const FOLLOWED_AT_ONCE_BYTES: usize = 8 << 20;
/// Within the folder of snapshots, while one is made.
const MAKING: &str = "making";

/// How much of a snapshot is folded once more before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Every wallet and control plane.
    All,
    /// One in so many, evenly over their names; the first among them.
    OneIn(u64),
}

/// Where a snapshot begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With the newest one that is sound; with the first record where there is none.
    Newest,
    /// With the first record, whatever there is. What is archived must be at hand.
    FirstRecord,
}

/// What a snapshot is made with.
pub struct SnapshotPlan<'a> {
    /// The data folder.
    pub dir: &'a Path,
    /// Where archived segments are read. Needed only to begin with the first record.
    pub archive_dir: Option<&'a Path>,
    /// Folds the records.
    pub fold: &'a dyn Fold,
    /// Makes of the records what stands beside the state. None: it is left away, and made again from the first record on.
    pub follow: Option<&'a dyn Follow>,
    /// Where it begins.
    pub beginning: Beginning,
    /// How much is folded once more.
    pub proof: Proof,
    /// Bytes that must stay free on the disk.
    pub disk_free_bytes_min: u64,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The file.
    pub path: PathBuf,
    /// Everything in the journal before this position is in it.
    pub applied: u64,
    /// It was made from a snapshot of this position; 0: from the first record on.
    pub from: u64,
    /// Records that were folded.
    pub records: u64,
    /// Rows of the state, and of what is made of the records.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Wallets and control planes in it.
    pub wallets: u64,
    /// Those that were folded once more.
    pub wallets_proven: u64,
}

/// Makes a snapshot of the journal in the plan's folder, proves it, and removes those before it. A server may run, and goes
/// on. `progress` is told what is being done, how much of it is done, and how much there is.
///
/// # Errors
/// [`StoreError::Damaged`] where the journal is not what was written; [`StoreError::State`] for records that do not fold, or
/// fold to two things; [`StoreError::DiskNearlyFull`] before the disk is; [`StoreError::Locked`] while another snapshot is
/// made. No snapshot is kept then, and those from before stay.
pub fn snapshot(
    plan: &SnapshotPlan<'_>,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<SnapshotReport, StoreError> {
    let folder = plan.dir.join("snapshots");
    let _lock = lock(&folder)?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let segments = Segments::list_beside(&disk, &plan.dir.join("journal"), plan.archive_dir)?;
    let segments = segments.ok_or_else(|| unusable("there is no journal to make a snapshot of"))?;
    let end = segments.proven_end()?;
    let base = match plan.beginning {
        Beginning::Newest => newest(&folder, &segments)?.filter(|(_, meta)| meta.applied <= end),
        Beginning::FirstRecord => None,
    };
    let making = folder.join(MAKING);
    let _ = fs::remove_dir_all(&making); // of one that was interrupted
    fs::create_dir_all(&making).map_err(refused("making", &making))?;
    let room = DiskRoom::new(disk, folder.clone(), plan.disk_free_bytes_min);
    room.check()?;
    let mut taking = Taking {
        plan,
        room: &room,
        segments: &segments,
        state: State::open(&making.join("state"), SNAPSHOT_CACHE_BYTES)?,
        records: 0,
    };
    let result = taking.make(&folder, base.as_ref(), end, progress);
    drop(taking);
    let removed = fs::remove_dir_all(&making).map_err(refused("removing", &making));
    let report = result?;
    removed?;
    Ok(report)
}

/// Makes snapshots of one folder, and what relies on them, one after the other.
pub(crate) fn lock(folder: &Path) -> Result<Lock, StoreError> {
    fs::create_dir_all(folder).map_err(refused("making", folder))?;
    Lock::of(folder)
}

/// A snapshot in the making.
struct Taking<'a> {
    plan: &'a SnapshotPlan<'a>,
    room: &'a DiskRoom,
    segments: &'a Segments,
    state: State,
    records: u64,
}

impl Taking<'_> {
    fn make(
        &mut self,
        folder: &Path,
        base: Option<&(PathBuf, Meta)>,
        end: u64,
        progress: &mut dyn FnMut(&'static str, u64, u64),
    ) -> Result<SnapshotReport, StoreError> {
        let mut meta = Meta {
            journal: self.segments.journal(),
            applied: 0,
            durable: 0,
        };
        if let Some((path, found)) = base {
            fill_from(path, &self.state)?;
            meta = *found;
        }
        let from = meta.applied;
        self.fold(meta, end, progress)?;
        // As the state of a store that has this much: what a clean close knew beyond it is not known here.
        let meta = Meta {
            applied: end,
            durable: end,
            ..meta
        };
        self.state.apply(&crate::state::Changes::new(), &meta)?;
        let unfinished = folder.join("unfinished.tmp");
        let rows = write(&self.state, &unfinished)?;
        let before = match base {
            Some((path, _)) => {
                let before = State::open(&folder.join(MAKING).join("before"), SNAPSHOT_CACHE_BYTES)?;
                fill_from(path, &before)?;
                Some(before)
            }
            None => None,
        };
        let (wallets, wallets_proven) = self.prove(before.as_ref(), progress)?;
        if read(&unfinished, &mut |_, _| Ok(()))? != Some(rows) {
            return Err(unusable("the snapshot does not read back as it was written"));
        }
        let path = folder.join(format!("{end:020}.snapshot"));
        fs::rename(&unfinished, &path).map_err(refused("naming", &path))?;
        sync(folder)?;
        for old in list(folder)?.into_iter().filter(|old| *old != path) {
            fs::remove_file(&old).map_err(refused("removing", &old))?;
        }
        let bytes = fs::metadata(&path)
            .map_err(refused("reading the size of", &path))?
            .len();
        tracing::info!(applied = end, rows, "a snapshot is taken and proven");
        Ok(SnapshotReport {
            path,
            applied: end,
            from,
            records: self.records,
            rows,
            bytes,
            wallets,
            wallets_proven,
        })
    }

    /// Folds the frames up to `end` into the state, and what is made of their records into what stands beside it.
    fn fold(
        &mut self,
        meta: Meta,
        end: u64,
        progress: &mut dyn FnMut(&'static str, u64, u64),
    ) -> Result<(), StoreError> {
        let space = Space(&self.state);
        let mut following = Following::begin(self.plan.follow, &space, self.segments)?;
        let begin = following
            .as_ref()
            .map_or(meta.applied, |f| f.at.min(meta.applied));
        let mut replay = Replay::from(&self.state, self.plan.fold, meta);
        let mut gathered = Gathered::new(REPLAY_BATCH_BYTES);
        let (mut link, mut records): (Option<Link>, u64) = (None, 0);
        self.segments.frames(Start::Behind(begin), end, &mut |frame| {
            if link.is_some_and(|link| link != frame.header.previous) {
                let what = "the frame is not chained to the one before it";
                let path = self.segments.path(frame.base);
                return Err(Damage::new(what).at(&path, frame.header.position - frame.base));
            }
            link = Some(frame.link());
            if frame.header.position >= meta.applied {
                gathered.frame(frame, self.segments)?;
                records += u64::from(frame.header.records);
            }
            if let Some(following) = &mut following {
                following.frame(frame, &space, self.segments)?;
            }
            if gathered.is_full() {
                self.room.look();
                self.room.check()?;
                replay.apply(&mut gathered, frame.end())?;
                progress("folding", frame.end(), end);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if end > meta.applied {
            replay.apply(&mut gathered, end)?;
        }
        if let Some(following) = following {
            following.finish(&space, end)?;
        }
        progress("folding", end, end);
        self.records = records;
        Ok(())
    }

    /// Folds wallets once more. The answer is how many there are, and how many were folded.
    fn prove(
        &self,
        before: Option<&State>,
        progress: &mut dyn FnMut(&'static str, u64, u64),
    ) -> Result<(u64, u64), StoreError> {
        let mut total = 0;
        self.state.heads(&mut |_| {
            total += 1;
            true
        })?;
        let (mut wallets, mut proven, mut failed) = (0, 0, None);
        self.state.heads(&mut |wallet| {
            let wanted = match self.plan.proof {
                Proof::All => true,
                Proof::OneIn(n) => wallets % n.max(1) == 0,
            };
            if wanted {
                match self.prove_wallet(before, &wallet) {
                    Ok(()) => proven += 1,
                    Err(error) => failed = Some(error),
                }
            }
            wallets += 1;
            progress("proving", wallets, total);
            failed.is_none()
        })?;
        match failed {
            None => Ok((wallets, proven)),
            Some(error) => Err(error),
        }
    }

    fn prove_wallet(&self, before: Option<&State>, wallet: &WalletKey) -> Result<(), StoreError> {
        let head = self.state.head(wallet)?.unwrap_or_default();
        let differs = |what: &str| {
            Err(unusable(&format!(
                "{wallet:?}: {what} is not what its records give"
            )))
        };
        let begun = match before {
            Some(before) => before.head(wallet)?.unwrap_or_default(),
            None => Head::default(),
        };
        let mut all = match before {
            Some(before) => parts(before, wallet)?,
            None => BTreeMap::new(),
        };
        let (mut version, mut due) = (begun.version(), begun.due);
        while version < head.version() {
            let until = head.version().min(version + PROOF_RECORDS);
            let count = usize::try_from(until - version).unwrap_or(0);
            let mut records = history(self.segments, &head, wallet, Some(until + 1), count)?;
            records.reverse();
            if records.len() != count || records.first().map(|record| record.sequence) != Some(version + 1) {
                return differs("the version");
            }
            due = refold(self.plan.fold, wallet, version, &mut all, &records)?;
            version = until;
        }
        if due != head.due {
            return differs("what falls due");
        }
        if parts(&self.state, wallet)? != all {
            return differs("a part");
        }
        Ok(())
    }
}

/// Parts of a wallet, all of them.
type Parts = BTreeMap<PartKey, Vec<u8>>;

fn parts(state: &State, wallet: &WalletKey) -> Result<Parts, StoreError> {
    let mut parts = Parts::new();
    state.parts(wallet, &[], None, &mut |key, value| {
        parts.insert(key, value);
        true
    })?;
    Ok(parts)
}

/// Folds records into a wallet's parts. The answer is what falls due then.
fn refold(
    fold: &dyn Fold,
    wallet: &WalletKey,
    version: u64,
    all: &mut Parts,
    records: &[StoredRecord],
) -> Result<Option<i64>, StoreError> {
    let loaded = all
        .iter()
        .filter(|(key, _)| key.first().is_none_or(|&byte| byte < ON_DEMAND));
    let image = Image {
        version,
        parts: loaded.map(|(key, value)| (key.clone(), value.clone())).collect(),
    };
    let records: Vec<_> = records.iter().map(FoldedRecord::from).collect();
    let folded = fold
        .fold(wallet, &image, &records)
        .map_err(|reason| unusable(&format!("{wallet:?}: {reason}")))?;
    for (key, value) in folded.parts {
        match value {
            Some(value) => all.insert(key, value),
            None => all.remove(&key),
        };
    }
    Ok(folded.due)
}

/// What stands beside the state, while a snapshot is made.
struct Space<'a>(&'a State);

impl Projections for Space<'_> {
    fn project(&self, position: Position, changes: Vec<ProjectionChange>) -> Result<(), StoreError> {
        admit::projection(&changes)?;
        self.0.projection().apply(position, changes)
    }

    fn projected(&self) -> Result<Position, StoreError> {
        Ok(self.0.projection().position())
    }

    fn projection(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.projection().get(key)
    }

    fn projections(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ProjectionRow>, StoreError> {
        self.0.projection().range(prefix, after, limit)
    }

    fn forget_projections(&self) -> Result<(), StoreError> {
        self.0.projection().forget()
    }
}

/// Makes of the records what stands beside the state.
struct Following<'a> {
    follow: &'a dyn Follow,
    /// Records of frames from here on are not in it yet.
    at: u64,
    records: Vec<(Position, StoredRecord)>,
    bytes: usize,
}

impl<'a> Following<'a> {
    /// None: it is left away, because nobody asked for it, or because records that it lacks are not at hand.
    fn begin(
        follow: Option<&'a dyn Follow>,
        space: &Space<'_>,
        segments: &Segments,
    ) -> Result<Option<Following<'a>>, StoreError> {
        let Some(follow) = follow else {
            return Ok(None);
        };
        if let Some(first) = follow.begin(space)? {
            space.forget_projections()?;
            space.project(Position::default(), first)?;
        }
        let at = place_of(space.projected()?);
        if at < segments.archived_until() && !segments.is_whole() {
            tracing::warn!(
                "what is made of the records is left away: some of them are in an archive that was not named"
            );
            space.forget_projections()?;
            return Ok(None);
        }
        Ok(Some(Following {
            follow,
            at,
            records: Vec::new(),
            bytes: 0,
        }))
    }

    fn frame(&mut self, frame: &Frame<'_>, space: &Space<'_>, segments: &Segments) -> Result<(), StoreError> {
        if frame.header.position < self.at {
            return Ok(());
        }
        let mut number = 0;
        frame.records(segments, &mut |_, envelope| {
            number += 1;
            self.bytes += envelope.body.len() + 128;
            let position = record(frame.header.position, number);
            self.records.push((position, envelope.to_record()));
            Ok(())
        })?;
        match self.bytes >= FOLLOWED_AT_ONCE_BYTES {
            true => self.put(space, frame.end()),
            false => Ok(()),
        }
    }

    fn put(&mut self, space: &Space<'_>, end: u64) -> Result<(), StoreError> {
        let changes = self.follow.follow(space, &self.records)?;
        self.records.clear();
        self.bytes = 0;
        space.project(between(end), changes)
    }

    fn finish(mut self, space: &Space<'_>, end: u64) -> Result<(), StoreError> {
        if end >= self.at {
            self.put(space, end)?;
        }
        self.follow.tidy(space)
    }
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(refused("syncing", folder))
}

fn unusable(what: &str) -> StoreError {
    StoreError::State { what: what.into() }
}
