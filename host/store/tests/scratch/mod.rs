//! Where the tests of this crate put their stores, and what they do with them.
#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

pub mod archive;
pub mod dump;
pub mod record;

use std::path::Path;

use farebox_store::{Options, Packing};
use tempfile::TempDir;

/// A folder in memory where there is one: these tests sync thousands of times, and no power is going to fail.
pub fn scratch_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    }
    .unwrap()
}

/// Segments as small as they can be for what the tests write, so that there are many.
pub fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        state_cache_bytes: 4 << 20,
        // Tests that want it say when: what is written is the same in every run then.
        packing: Packing::Off,
        ..Options::default()
    }
}

/// Copies a folder with all that is in it.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
