//! The disk without Farebox: what one durable write costs here and now.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::measured::{Measured, nanos_since, times};

const BLOCK: usize = 4096;
/// The file, in blocks: written with zeros before, so that no sync has to allocate.
const BLOCKS: u64 = 1024;

/// Median of: overwrite 4 KiB, `fdatasync`. The file is made in `folder` and removed again.
pub fn sync_p50(folder: &Path, rounds: u32) -> anyhow::Result<Measured> {
    let path = folder.join(format!("sync-{}", std::process::id()));
    let measured = measure(&path, rounds);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(Measured::micros("fdatasync_p50", measured?))
}

fn measure(path: &Path, rounds: u32) -> anyhow::Result<u64> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let zeros = [0u8; BLOCK];
    for block in 0..BLOCKS {
        file.write_all_at(&zeros, block * BLOCK as u64)?;
    }
    file.sync_all()?;
    let mut times = times()?;
    for round in 0..rounds {
        let data = [u8::try_from(round % 251).unwrap_or(0); BLOCK];
        let start = Instant::now();
        file.write_all_at(&data, u64::from(round) % BLOCKS * BLOCK as u64)?;
        // SAFETY: `fdatasync` takes a descriptor, which is open as long as `file` lives.
        if unsafe { libc::fdatasync(file.as_raw_fd()) } != 0 {
            bail!("fdatasync: {}", std::io::Error::last_os_error());
        }
        times.saturating_record(nanos_since(start));
    }
    Ok(times.value_at_quantile(0.5))
}
