//! Room on the disk: said by name before there is none.
//!
//! A write that fails for want of room stops the store for good, as any failed write does. So long before that, while
//! there still is room for everything that was taken in, [`crate::Store::room`] says that nothing new should be begun. The
//! disk is looked at when a segment was made and from time to time, never on the path of an answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::contract::{Room, StoreError};
use crate::disk::Disk;
use crate::limits::DISK_FREE_BYTES_BACK;

/// What is known of the disk's room.
#[derive(Debug)]
pub(crate) struct DiskRoom {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    bytes_min: u64,
    free: AtomicU64,
    nearly_full: AtomicBool,
}

impl DiskRoom {
    /// Looks at once.
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: PathBuf, bytes_min: u64) -> DiskRoom {
        let room = DiskRoom {
            disk,
            folder,
            bytes_min,
            free: AtomicU64::new(u64::MAX),
            nearly_full: AtomicBool::new(false),
        };
        room.look();
        room
    }

    /// Asks the operating system. A disk that does not say how much is free is taken to have enough.
    #[expect(clippy::cast_precision_loss, reason = "a gauge; far below 2^52")]
    pub(crate) fn look(&self) {
        let free = match self.disk.free_bytes(&self.folder) {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(%error, folder = %self.folder.display(), "the disk does not say how much is free");
                u64::MAX
            }
        };
        self.free.store(free, Ordering::Relaxed);
        let was = self.nearly_full.load(Ordering::Relaxed);
        // Back only with some to spare, so that it does not change with every file that comes and goes.
        let limit = self
            .bytes_min
            .saturating_add(if was { DISK_FREE_BYTES_BACK } else { 0 });
        let is = free < limit;
        self.nearly_full.store(is, Ordering::Relaxed);
        let folder = self.folder.display();
        match (was, is) {
            (false, true) => {
                let limit = self.bytes_min;
                tracing::error!(%folder, free, limit, "the disk is nearly full: writes are refused until there is room");
            }
            (true, false) => tracing::info!(%folder, free, "there is room on the disk again"),
            _ => {}
        }
        if free < u64::MAX {
            metrics::gauge!("farebox_store_disk_free_bytes").set(free as f64);
        }
        metrics::gauge!("farebox_store_disk_nearly_full").set(f64::from(u8::from(is)));
    }

    pub(crate) fn room(&self) -> Room {
        if self.nearly_full.load(Ordering::Relaxed) {
            Room::NearlyFull {
                free_bytes: self.free.load(Ordering::Relaxed),
                free_bytes_min: self.bytes_min,
            }
        } else {
            Room::Enough
        }
    }

    /// For what the store itself refuses.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.room() {
            Room::Enough => Ok(()),
            Room::NearlyFull {
                free_bytes,
                free_bytes_min,
            } => Err(StoreError::DiskNearlyFull {
                path: self.folder.display().to_string(),
                free_bytes,
                free_bytes_min,
            }),
        }
    }
}
