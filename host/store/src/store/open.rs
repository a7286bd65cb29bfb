//! Opening: lock, read the journal's end, clear what was torn, bring the state up to it, start the threads.
//!
//! Everything that can refuse comes before anything that changes.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::by_hand::{Behind, ByHand};
use super::commit::Committer;
use super::recent::Recent;
use super::replay::Replay;
use super::snapshot;
use super::{JournalStore, Options, Threads};
use crate::blobs::Blobs;
use crate::contract::{Fold, StoreError};
use crate::disk::Disk;
use crate::ids::IdIndex;
use crate::journal::append::Appender;
use crate::journal::pack::Packer;
use crate::journal::place::{Damage, refused};
use crate::journal::prepare::Preparer;
use crate::journal::segments::{Access, Segments, Span};
use crate::journal::walk::{From, Tail};
use crate::latch::Latch;
use crate::limits::LOCK_WAIT_MS;
use crate::materialise::Materialiser;
use crate::pending::Pending;
use crate::room::DiskRoom;
use crate::state::{Meta, State};
use crate::threads;

/// The folders of a store.
#[derive(Debug)]
pub(crate) struct Folders {
    dir: PathBuf,
    pub journal: PathBuf,
    pub state: PathBuf,
    ids: PathBuf,
    blobs: PathBuf,
    pub snapshots: PathBuf,
}

impl Folders {
    /// Names the folders, and makes those that are missing (sled makes the state's).
    pub(crate) fn make(dir: &Path) -> Result<Folders, StoreError> {
        let folders = Folders {
            dir: dir.to_path_buf(),
            journal: dir.join("journal"),
            state: dir.join("state"),
            ids: dir.join("ids"),
            blobs: dir.join("blobs"),
            snapshots: dir.join("snapshots"),
        };
        let missing: Vec<&PathBuf> = [&folders.journal, &folders.ids, &folders.blobs]
            .into_iter()
            .filter(|path| !path.exists())
            .collect();
        for path in &missing {
            fs::create_dir_all(path).map_err(refused("making", path))?;
        }
        if !missing.is_empty() {
            for path in dir
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .into_iter()
                .chain([dir])
            {
                File::open(path)
                    .and_then(|folder| folder.sync_all())
                    .map_err(refused("syncing", path))?;
            }
        }
        Ok(folders)
    }
}

/// Held while the store is open; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    pub(crate) fn take(folders: &Folders) -> Result<Lock, StoreError> {
        Lock::of(&folders.dir)
    }

    /// Of any folder that one process at a time may work in. It is waited for a moment: a process that is being started has all
    /// that is open in its parent, until it becomes its own program.
    pub(crate) fn of(folder: &Path) -> Result<Lock, StoreError> {
        let until = Instant::now() + Duration::from_millis(LOCK_WAIT_MS);
        let path = folder.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(refused("opening", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Locked {
                        path: folder.display().to_string(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(refused("locking", &path)(error)),
            }
        }
    }
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    folders: &Folders,
    lock: Lock,
    options: &Options,
    behind: Behind,
    fold: &dyn Fold,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<JournalStore, StoreError> {
    let archive = options.archive_dir.as_deref();
    let listed = Segments::list(disk.clone(), &folders.journal, archive, Access::Alone)?;
    let state = State::open(&folders.state, options.state_cache_bytes)?;
    let known = state.meta()?;
    let segments = match listed {
        Some(segments) => segments,
        None if known.is_some_and(|meta| meta.applied > 0) => {
            return Err(
                Damage::new("the state knows of a journal, but there is none").at(&folders.journal, 0)
            );
        }
        None => Segments::create(disk.clone(), &folders.journal, archive, options.segment_bytes)?,
    };
    let segments = Arc::new(segments);
    let meta = match known {
        Some(meta) if meta.journal != segments.journal() => {
            return Err(StoreError::State {
                what: "it belongs to another journal".into(),
            });
        }
        Some(meta) => meta,
        None => first_meta(&state, &segments, &folders.snapshots)?,
    };
    if meta.applied < segments.archived_until() && !segments.is_whole() {
        return Err(behind_the_archive(&meta, &segments));
    }
    let ids = Arc::new(IdIndex::open(
        &folders.ids,
        &segments,
        options.id_filter_bytes_max,
    )?);
    let tail = find_end(&segments, &ids, &meta)?;
    segments.clear(&tail, meta.durable.max(meta.applied))?;
    segments.renew_ahead(tail.end)?;
    let replaying = Replay::from(&state, fold, meta);
    let meta = replaying.run(&segments, &tail, options.replay_batch_bytes, progress)?;
    if state.projection().position() > super::tail::between(tail.end) {
        tracing::warn!("what is made of the records is ahead of the journal; it is made again");
        state.projection().forget()?;
    }
    let blobs = Blobs::open(Arc::clone(&disk), &folders.blobs)?;
    let bytes_min = options.disk_free_bytes_min.max(2 * options.segment_bytes);
    let room = Arc::new(DiskRoom::new(disk, folders.dir.clone(), bytes_min));
    start(
        segments, state, ids, meta, &tail, blobs, room, lock, options, behind,
    )
}

/// What a state begins from that says nothing of itself: a snapshot, or nothing at all.
fn first_meta(state: &State, segments: &Segments, snapshots: &Path) -> Result<Meta, StoreError> {
    // What an interrupted filling left behind.
    state.clear()?;
    let filled = match snapshot::fill(snapshots, segments, state)? {
        true => state.meta()?,
        false => None,
    };
    Ok(filled.unwrap_or(Meta {
        journal: segments.journal(),
        applied: 0,
        durable: 0,
    }))
}

/// The error for a state that would have to be brought up to the journal from records that are not at hand.
fn behind_the_archive(meta: &Meta, segments: &Segments) -> StoreError {
    let until = segments.archived_until();
    StoreError::State {
        what: match meta.applied {
            0 => format!(
                "there is none, and no sound snapshot to make it from: the journal before {until} is in an archive, \
                 and archive_dir does not name it"
            ),
            applied => format!(
                "it goes up to {applied}, and the journal before {until} is in an archive that archive_dir does not \
                 name; a sound snapshot reaches further"
            ),
        },
    }
}

/// Reads the frames that matter: those that the state lacks, and those whose ids no run has.
fn find_end(segments: &Arc<Segments>, ids: &IdIndex, meta: &Meta) -> Result<Tail, StoreError> {
    let last_applied = meta.applied.max(1) - 1;
    let Some(span) = segments.span_of(last_applied.min(ids.gap())) else {
        let missing = segments.end();
        let what = format!("this segment is missing: the state goes up to {}", meta.applied);
        return Err(Damage::new(what).at(&segments.path(missing), 0));
    };
    // A journal's first frame is chained to its id; of one further on, what it is chained to is not known.
    let link = (span.base == 0).then(|| segments.journal());
    let durable = meta.durable.max(meta.applied);
    let from = From {
        position: span.base,
        link,
        durable,
        until: None,
    };
    let mut current: Option<Span> = None;
    segments.walk(from, &mut |frame| {
        if let Some(before) = current
            && before.base != frame.base
        {
            ids.seal(before);
            // At once, so that a journal without any runs does not have to fit in memory. Merging them waits for nobody.
            ids.write_sealed()?;
        }
        current = segments.span_of(frame.base);
        ids.replay(frame, segments)
    })
}

#[expect(clippy::too_many_arguments, reason = "what a store is made of")]
fn start(
    segments: Arc<Segments>,
    state: State,
    ids: Arc<IdIndex>,
    meta: Meta,
    tail: &Tail,
    blobs: Blobs,
    room: Arc<DiskRoom>,
    lock: Lock,
    options: &Options,
    behind: Behind,
) -> Result<JournalStore, StoreError> {
    let state = Arc::new(state);
    let latch = Arc::new(Latch::default());
    let pending = Arc::new(Pending::new(tail.end, options.pending_bytes_max));
    let preparer = Arc::new(match behind {
        Behind::Threads => Preparer::start(segments.clone(), options.segment_bytes, room.clone())?,
        Behind::Hand => Preparer::by_hand(segments.clone(), options.segment_bytes, room.clone()),
    });
    // A segment made ahead under other options may be smaller than those to come.
    let ahead = segments
        .spans()
        .into_iter()
        .filter(|span| span.end > tail.end)
        .map(|span| span.end - span.base);
    let smallest = ahead.fold(options.segment_bytes, u64::min);
    let written = segments.span_of(tail.end.max(1) - 1).map_or(0, |span| span.base);
    let packer = match behind {
        Behind::Threads => Packer::start(segments.clone(), options.packing, written)?,
        Behind::Hand => Packer::by_hand(segments.clone(), options.packing, written),
    };
    let appender = Appender::resume(segments.clone(), preparer.clone(), tail)?;
    let materialiser = Materialiser {
        state: state.clone(),
        pending: pending.clone(),
        latch: latch.clone(),
        meta,
    };
    let (by_hand, threaded) = match behind {
        Behind::Threads => (None, Some(materialiser)),
        Behind::Hand => (Some(ByHand::new(materialiser)), None),
    };
    let store = JournalStore {
        by_hand,
        committer: Mutex::new(Committer::new(appender, options.heads_cached_max, smallest)),
        threads: Mutex::new(Threads::default()),
        segments,
        state,
        ids,
        recent: Recent::default(),
        pending,
        latch,
        preparer,
        packer,
        room,
        blobs,
        _lock: lock,
    };
    let Some(materialiser) = threaded else {
        return Ok(store);
    };
    let materialiser = threads::spawn("farebox-state", move || materialiser.run())?;
    store.threads.lock().materialiser = Some(materialiser);
    let (ids, segments, latch) = (store.ids.clone(), store.segments.clone(), store.latch.clone());
    let builder = threads::spawn("farebox-ids", move || ids.run(&segments, &latch))?;
    store.threads.lock().ids = Some(builder);
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_of_soon_is_waited_for_and_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::of(folder.path()).unwrap();
        assert!(matches!(Lock::of(folder.path()), Err(StoreError::Locked { .. })));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(LOCK_WAIT_MS / 10));
                drop(held);
            });
            Lock::of(folder.path()).unwrap();
        });
    }
}
