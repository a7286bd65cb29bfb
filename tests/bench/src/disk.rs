//! The disk without Farebox: what one durable write costs here and now, and how many bytes a second a journal could write.

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
/// As large as frames of a journal become under load.
const FRAME: usize = 1 << 20;
const FRAMES: u64 = 128;

/// Times of: overwrite 4 KiB, `fdatasync`; and the rate at which frames of 1 MiB are written so. The file is made in `folder`
/// and removed again.
pub fn run(folder: &Path, rounds: u32) -> anyhow::Result<Vec<Measured>> {
    let path = folder.join(format!("sync-{}", std::process::id()));
    let measured = measure(&path, rounds);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    measured
}

fn measure(path: &Path, rounds: u32) -> anyhow::Result<Vec<Measured>> {
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
        sync(&file)?;
        times.saturating_record(nanos_since(start));
    }
    let start = Instant::now();
    for round in 0..FRAMES {
        let data = vec![u8::try_from(round % 251).unwrap_or(0); FRAME];
        file.write_all_at(
            &data,
            round % (BLOCKS * BLOCK as u64 / FRAME as u64) * FRAME as u64,
        )?;
        sync(&file)?;
    }
    Ok(vec![
        Measured::micros("fdatasync_p50", times.value_at_quantile(0.5)),
        Measured::micros("fdatasync_p99", times.value_at_quantile(0.99)),
        Measured::kib_per_second("raw_append", FRAMES * FRAME as u64, start.elapsed()),
    ])
}

fn sync(file: &File) -> anyhow::Result<()> {
    // SAFETY: `fdatasync` takes a descriptor, which is open as long as `file` lives.
    if unsafe { libc::fdatasync(file.as_raw_fd()) } != 0 {
        bail!("fdatasync: {}", std::io::Error::last_os_error());
    }
    Ok(())
}
