//! What a disk was made to write, by its own count.
//!
//! Linux counts for each process what it made dirty, but a page of a large folio counts as the whole folio there: a write of
//! 4 KiB into a file that was filled before counts up to 1 MiB (6.18, ext4). So the device is asked, which counts what
//! others write, too: nothing else should run meanwhile.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Bytes of a sector, as the kernel counts them whatever the device has.
const SECTOR_BYTES: u64 = 512;
/// Place of the sectors written among the numbers of a device.
const WRITTEN: usize = 6;

/// The device that a folder lies on.
#[derive(Debug)]
pub struct Device {
    statistics: PathBuf,
}

impl Device {
    /// None: the system does not count for it (a network, memory, or layers of folders).
    pub fn of(folder: &Path) -> anyhow::Result<Option<Device>> {
        let device = std::fs::metadata(folder)?.dev();
        let (major, minor) = (libc::major(device), libc::minor(device));
        let statistics = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        Ok(statistics.exists().then_some(Device { statistics }))
    }

    /// Bytes that it wrote so far, once everything is with it.
    pub fn written(&self) -> anyhow::Result<u64> {
        // SAFETY: `sync` takes nothing and cannot fail.
        unsafe { libc::sync() };
        let path = &self.statistics;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let sectors = text.split_whitespace().nth(WRITTEN);
        let sectors = sectors.with_context(|| format!("no sectors in {}: {text}", path.display()))?;
        Ok(sectors.parse::<u64>()? * SECTOR_BYTES)
    }
}
