//! Makes the next segment before it is needed, on a thread of its own: filling 64 MiB takes far longer than a commit.
//! The same thread looks at how much room is left on the disk.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::segments::Segments;
use crate::contract::StoreError;
use crate::limits::DISK_LOOK_INTERVAL_MS;
use crate::room::DiskRoom;
use crate::threads;

/// Keeps one segment ahead of the one that is written.
#[derive(Debug)]
pub(crate) struct Preparer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// There never was a thread.
    by_hand: bool,
}

#[derive(Debug)]
struct Shared {
    segments: Arc<Segments>,
    segment_bytes: u64,
    room: Arc<DiskRoom>,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// Segments must reach beyond this position.
    wanted: u64,
    failed: Option<String>,
    stop: bool,
}

impl Preparer {
    pub(crate) fn start(
        segments: Arc<Segments>,
        segment_bytes: u64,
        room: Arc<DiskRoom>,
    ) -> Result<Preparer, StoreError> {
        let shared = Arc::new(Shared {
            segments,
            segment_bytes,
            room,
            work: Mutex::default(),
            changed: Condvar::new(),
        });
        let thread = threads::spawn("farebox-segments", {
            let shared = shared.clone();
            move || shared.run()
        })?;
        Ok(Preparer {
            shared,
            thread: Mutex::new(Some(thread)),
            by_hand: false,
        })
    }

    /// Without a thread: a segment is made when it is asked for with [`Preparer::make`], or at the latest when it is needed.
    pub(crate) fn by_hand(segments: Arc<Segments>, segment_bytes: u64, room: Arc<DiskRoom>) -> Preparer {
        let shared = Shared {
            segments,
            segment_bytes,
            room,
            work: Mutex::default(),
            changed: Condvar::new(),
        };
        Preparer {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
            by_hand: true,
        }
    }

    /// Makes the next segment here and now, if one is wanted. False: none is.
    pub(crate) fn make(&self) -> bool {
        let end = self.shared.segments.end();
        {
            let work = self.shared.work.lock();
            if work.wanted < end || work.stop || work.failed.is_some() {
                return false;
            }
        }
        self.shared.make(end);
        true
    }

    /// Asks for a segment that begins where this one ends; returns at once.
    pub(crate) fn ahead_of(&self, segment_end: u64) {
        let mut work = self.shared.work.lock();
        work.wanted = work.wanted.max(segment_end);
        self.shared.changed.notify_all();
    }

    /// Waits until the segment that begins at this position is there. Normally it has been for long.
    pub(crate) fn take(&self, base: u64) -> Result<(), String> {
        let begun = Instant::now();
        let mut work = self.shared.work.lock();
        work.wanted = work.wanted.max(base);
        self.shared.changed.notify_all();
        while self.shared.segments.span_of(base).is_none() {
            if let Some(reason) = &work.failed {
                return Err(reason.clone());
            }
            if work.stop {
                return Err("the store is closing".into());
            }
            if self.by_hand {
                let end = self.shared.segments.end();
                MutexGuard::unlocked(&mut work, || self.shared.make(end));
            } else {
                self.shared.changed.wait(&mut work);
            }
        }
        metrics::histogram!("farebox_store_segment_wait_seconds").record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Ends the thread, once the segment that it may be filling is done.
    pub(crate) fn stop(&self) {
        self.shared.work.lock().stop = true;
        self.shared.changed.notify_all();
        threads::join(self.thread.lock().take());
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let end = self.segments.end();
            {
                let mut work = self.work.lock();
                while work.wanted < end && !work.stop {
                    let patience = Duration::from_millis(DISK_LOOK_INTERVAL_MS);
                    if self.changed.wait_for(&mut work, patience).timed_out() {
                        MutexGuard::unlocked(&mut work, || self.look());
                    }
                }
                if work.stop || work.failed.is_some() {
                    return;
                }
            }
            self.make(end);
        }
    }

    /// What is looked at from time to time: room, and whether segments were moved to an archive.
    fn look(&self) {
        self.room.look();
        if let Err(error) = self.segments.look_elsewhere() {
            tracing::warn!(%error, "what was archived meanwhile is not known; it is looked for again when it is needed");
        }
    }

    fn make(&self, base: u64) {
        let made = self.segments.add(base, self.segment_bytes);
        self.room.look();
        // Under the lock, so that whoever waits has either seen the segment or hears of it.
        let mut work = self.work.lock();
        if let Err(error) = made {
            tracing::error!(%error, "the next journal segment could not be made");
            work.failed = Some(error.to_string());
        }
        self.changed.notify_all();
    }
}
