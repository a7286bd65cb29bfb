//! Damage: durable bytes that are not what was written are refused by file and offset, and nothing is changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farebox_store::conformance::BodyFold;
use farebox_store::{JournalStore, Store, StoreError, verify_journal};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use scratch::dump::Workload;
use scratch::{options, scratch_dir};

const BLOCK_BYTES: usize = 4096;

/// A frame, found by its looks.
#[derive(Debug, Clone)]
struct FrameAt {
    path: PathBuf,
    offset: usize,
    /// Header and records, without padding.
    bytes: usize,
    records: u32,
}

fn journal_files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn frames(dir: &Path) -> Vec<FrameAt> {
    let mut frames = Vec::new();
    for (path, bytes) in journal_files(dir) {
        for offset in (0..bytes.len()).step_by(BLOCK_BYTES) {
            if bytes[offset..].starts_with(b"FBXF") {
                let number =
                    |at: usize| u32::from_le_bytes(bytes[offset + at..offset + at + 4].try_into().unwrap());
                let length = 72 + usize::try_from(number(40)).unwrap();
                frames.push(FrameAt {
                    path: path.clone(),
                    offset,
                    bytes: length,
                    records: number(44),
                });
            }
        }
    }
    frames
}

/// A store of several segments, closed.
fn closed_store(seed: u64) -> tempfile::TempDir {
    let dir = scratch_dir();
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let (mut work, mut random) = (Workload::default(), SmallRng::seed_from_u64(seed));
    for _ in 0..60 {
        store.commit(work.call(&mut random)).unwrap();
    }
    store.close().unwrap();
    drop(store);
    assert!(journal_files(dir.path()).len() > 3, "several segments");
    dir
}

fn forget_state(dir: &Path) {
    for part in ["state", "ids"] {
        let _ = fs::remove_dir_all(dir.join(part));
    }
}

fn open(dir: &Path) -> Result<(), StoreError> {
    JournalStore::open(dir, options(), Arc::new(BodyFold)).map(drop)
}

/// The error must name this place, in whichever way the journal is read, and must have changed nothing.
fn assert_refused(
    dir: &Path,
    outcome: Result<(), StoreError>,
    path: &Path,
    offsets: std::ops::RangeInclusive<usize>,
    why: &str,
) {
    match outcome {
        Err(StoreError::Damaged { file, offset, what }) => {
            assert_eq!(Path::new(&file), path, "{why}: {what} at {offset}");
            let offset = usize::try_from(offset).unwrap();
            assert!(
                offsets.contains(&offset),
                "{why}: {what} at {offset}, not in {offsets:?}"
            );
        }
        other => panic!("{why}: {other:?} in {}", dir.display()),
    }
}

fn verify(dir: &Path) -> Result<(), StoreError> {
    verify_journal(dir, None, i64::MAX, &mut |_, _| {}).map(drop)
}

#[test]
fn a_flipped_bit_in_any_frame_that_another_follows() {
    let dir = closed_store(1);
    let (frames, mut random) = (frames(dir.path()), SmallRng::seed_from_u64(7));
    let (closing, frames) = frames.split_last().unwrap();
    assert_eq!(
        closing.records, 0,
        "a clean close ends with a frame without records"
    );
    forget_state(dir.path());
    for frame in frames {
        for flip in [
            0,
            5,
            30,
            45,
            60,
            70,
            frame.bytes - 1,
            random.random_range(0..frame.bytes),
        ] {
            let mut bytes = fs::read(&frame.path).unwrap();
            let whole = bytes.clone();
            // Two bytes of the header are of no use yet, but they too are checked.
            bytes[frame.offset + flip] ^= 1 << random.random_range(0..8);
            fs::write(&frame.path, &bytes).unwrap();
            let before = journal_files(dir.path());
            let (place, why) = (frame.offset..=frame.offset, format!("byte {flip} of {frame:?}"));
            assert_refused(dir.path(), open(dir.path()), &frame.path, place.clone(), &why);
            assert_refused(dir.path(), verify(dir.path()), &frame.path, place, &why);
            assert!(before == journal_files(dir.path()), "nothing may be changed");
            fs::write(&frame.path, whole).unwrap();
        }
    }
    verify(dir.path()).unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn the_last_durable_frame_after_a_clean_close() {
    let dir = closed_store(2);
    let frames = frames(dir.path());
    for frame in frames.iter().rev().take(2) {
        let whole = fs::read(&frame.path).unwrap();
        let mut bytes = whole.clone();
        bytes[frame.offset + frame.bytes - 1] ^= 1;
        fs::write(&frame.path, &bytes).unwrap();
        assert_refused(
            dir.path(),
            open(dir.path()),
            &frame.path,
            frame.offset..=frame.offset,
            "flipped",
        );
        bytes[frame.offset..][..frame.bytes].fill(0);
        fs::write(&frame.path, &bytes).unwrap();
        assert_refused(
            dir.path(),
            open(dir.path()),
            &frame.path,
            frame.offset..=frame.offset,
            "zeroed",
        );
        fs::write(&frame.path, whole).unwrap();
    }
    // The closing frame alone can go without a loss; with the state gone too, nobody knows of it.
    let closing = frames.last().unwrap();
    let mut bytes = fs::read(&closing.path).unwrap();
    bytes[closing.offset] ^= 1;
    fs::write(&closing.path, &bytes).unwrap();
    forget_state(dir.path());
    open(dir.path()).unwrap();
}

/// Not an accident: somebody made all checksums right. The chain still tells, at the frame that follows.
#[test]
fn an_edited_record_with_the_right_checksums() {
    let dir = closed_store(8);
    forget_state(dir.path());
    let frames = frames(dir.path());
    let mut tried = 0;
    for pair in frames.windows(2).filter(|pair| pair[0].records > 0) {
        let (frame, next) = (&pair[0], &pair[1]);
        let whole = fs::read(&frame.path).unwrap();
        let mut bytes = whole.clone();
        let entry = &bytes[frame.offset + 80..][..8];
        if entry[..4] != entry[4..] {
            continue; // its records are compressed
        }
        tried += 1;
        // Behind the header, and the table of its one block, which stands there as it is: the first record of the frame.
        let (position, first) = (
            u64::from_le_bytes(bytes[frame.offset + 24..][..8].try_into().unwrap()) + 1,
            72 + 20,
        );
        let edited = &mut bytes[frame.offset..][..frame.bytes];
        let stated = u32::from_le_bytes(edited[first..first + 4].try_into().unwrap());
        let record = &mut edited[first..first + usize::try_from(stated).unwrap()];
        *record.last_mut().unwrap() ^= 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), &record[..4]);
        let crc = crc32c::crc32c_append(crc, &record[8..]);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32c::crc32c(&edited[72..]);
        edited[64..68].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32c::crc32c(&edited[..68]);
        edited[68..72].copy_from_slice(&crc.to_le_bytes());
        fs::write(&frame.path, &bytes).unwrap();
        let place = next.offset..=next.offset;
        assert_refused(
            dir.path(),
            verify(dir.path()),
            &next.path,
            place.clone(),
            "edited",
        );
        assert_refused(dir.path(), open(dir.path()), &next.path, place, "edited");
        fs::write(&frame.path, whole).unwrap();
    }
    assert!(tried > 2, "{tried}");
    verify(dir.path()).unwrap();
}

#[test]
fn whole_frames_zeroed() {
    let dir = closed_store(3);
    let frames = frames(dir.path());
    forget_state(dir.path());
    for pair in frames.windows(2) {
        let frame = &pair[0];
        let whole = fs::read(&frame.path).unwrap();
        let mut bytes = whole.clone();
        bytes[frame.offset..][..frame.bytes].fill(0);
        fs::write(&frame.path, &bytes).unwrap();
        let place = frame.offset..=frame.offset;
        assert_refused(dir.path(), open(dir.path()), &frame.path, place.clone(), "zeroed");
        assert_refused(dir.path(), verify(dir.path()), &frame.path, place, "zeroed");
        fs::write(&frame.path, whole).unwrap();
    }
}

#[test]
fn segments_cut_lost_and_swapped() {
    for forget in [false, true] {
        let dir = closed_store(4);
        if forget {
            forget_state(dir.path());
        }
        let whole = journal_files(dir.path());
        let last = frames(dir.path()).last().unwrap().path.clone();
        let restore = || {
            whole
                .iter()
                .for_each(|(path, bytes)| fs::write(path, bytes).unwrap())
        };
        let paths: Vec<&PathBuf> = whole.keys().take_while(|path| **path <= last).collect();
        for path in &paths {
            for keep in [0, 30, 4096, 5000, whole[*path].len() - 1] {
                fs::write(path, &whole[*path][..keep]).unwrap();
                assert_refused(dir.path(), open(dir.path()), path, 0..=keep, "cut");
                assert_refused(dir.path(), verify(dir.path()), path, 0..=keep, "cut");
            }
            restore();
        }
        for path in &paths[..paths.len() - 1] {
            fs::remove_file(path).unwrap();
            assert_refused(dir.path(), open(dir.path()), path, 0..=0, "lost");
            assert_refused(dir.path(), verify(dir.path()), path, 0..=0, "lost");
            restore();
        }
        for pair in paths.windows(2) {
            fs::write(pair[0], &whole[pair[1]]).unwrap();
            fs::write(pair[1], &whole[pair[0]]).unwrap();
            assert_refused(dir.path(), open(dir.path()), pair[0], 0..=0, "swapped");
            restore();
        }
        open(dir.path()).unwrap();
    }
}

#[test]
fn the_last_segments_lost_with_a_state_that_knows_of_them() {
    let dir = closed_store(5);
    let last = frames(dir.path()).last().unwrap().path.clone();
    for path in journal_files(dir.path()).keys().rev() {
        fs::remove_file(path).unwrap();
        if *path > last {
            continue;
        }
        assert!(
            matches!(open(dir.path()), Err(StoreError::Damaged { .. })),
            "without {}",
            path.display()
        );
    }
}

#[test]
fn a_segment_of_another_journal() {
    let (dir, other) = (closed_store(6), closed_store(6));
    let name = frames(dir.path())[0].path.file_name().unwrap().to_owned();
    let second = journal_files(dir.path())
        .keys()
        .nth(1)
        .unwrap()
        .file_name()
        .unwrap()
        .to_owned();
    assert!(name < second);
    let (ours, theirs) = (
        dir.path().join("journal").join(&second),
        other.path().join("journal").join(&second),
    );
    fs::copy(theirs, &ours).unwrap();
    assert_refused(dir.path(), open(dir.path()), &ours, 0..=8, "another's");
}

#[test]
fn a_record_damaged_under_an_open_store_is_refused_when_it_is_read() {
    let dir = closed_store(7);
    let frame = frames(dir.path())[2].clone();
    // The state is whole, so opening does not read so far back.
    let mut bytes = fs::read(&frame.path).unwrap();
    bytes[frame.offset + 72 + 60] ^= 1;
    fs::write(&frame.path, &bytes).unwrap();
    let store = JournalStore::open(dir.path(), options(), Arc::new(BodyFold)).unwrap();
    let mut refused = 0;
    for tenant in store.tenants(None, 10).unwrap() {
        for wallet in store.wallets(&tenant, None, 100).unwrap() {
            match store.history(&wallet, None, usize::MAX) {
                Ok(_) => {}
                Err(StoreError::Damaged { file, .. }) => {
                    assert_eq!(Path::new(&file), frame.path);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(refused <= 1, "one record belongs to one wallet");
    assert!(matches!(
        verify_after(store, dir.path()),
        Err(StoreError::Damaged { .. })
    ));
}

fn verify_after(store: JournalStore, dir: &Path) -> Result<(), StoreError> {
    assert!(
        matches!(verify(dir), Err(StoreError::Locked { .. })),
        "not while the store is open"
    );
    drop(store);
    verify(dir)
}
