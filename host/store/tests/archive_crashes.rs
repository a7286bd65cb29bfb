//! Archiving that is killed or cut off anywhere, or done beside a busy store: a segment leaves the journal whole or not at
//! all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::disk::{Disk, DiskFile, OsDisk};
use farebox_store::{JournalStore, Store, WalletKey, archive, archive_on, verify_journal};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use scratch::archive::{Home, open, plan, present, segments, take};
use scratch::record::{RecordingDisk, Survivors, image};
use scratch::{copy_dir, options, scratch_dir};

/// Fails every write, sync, name and removal from one on, as if the process had been killed there.
#[derive(Debug, Clone)]
struct KilledAt(Arc<std::sync::atomic::AtomicI64>);

#[derive(Debug)]
struct KilledFile(Arc<dyn DiskFile>, KilledAt);

impl KilledAt {
    fn step(&self) -> std::io::Result<()> {
        match self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            true => Ok(()),
            false => Err(std::io::Error::other("killed")),
        }
    }
}

impl Disk for KilledAt {
    fn create(&self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        self.step()?;
        Ok(Arc::new(KilledFile(OsDisk.create(path)?, self.clone())))
    }
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(KilledFile(OsDisk.open(path)?, self.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.step()?;
        OsDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.step()?;
        OsDisk.remove(path)
    }
    fn list(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        OsDisk.list(folder)
    }
    fn sync_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.step()?;
        OsDisk.sync_folder(folder)
    }
}

impl DiskFile for KilledFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        self.1.step()?;
        self.0.write_at(bytes, offset)
    }
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(bytes, offset)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.1.step()?;
        self.0.sync_data()
    }
    fn sync_all(&self) -> std::io::Result<()> {
        self.1.step()?;
        self.0.sync_all()
    }
    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn killed_at_any_step_it_is_whole_and_goes_on() {
    let home = Home::filled_with(4, 40);
    let (pristine, mut steps) = (home.dir(), 0);
    loop {
        let at = scratch_dir();
        let (dir, to) = (at.path().join("store"), at.path().join("archive"));
        copy_dir(&pristine, &dir);
        let disk = KilledAt(Arc::new(steps.into()));
        let done = archive_on(Arc::new(disk), &plan(&dir, &to), &mut |_, _| {});
        let why = format!("killed at step {steps}: {:?}", done.as_ref().err());
        home.assert_whole(&open(&dir, Some(&to)).unwrap(), &why);
        let here = open(&dir, None).unwrap();
        assert_eq!(present(&here), present(&home.work.model), "{why}");
        drop(here);
        let finished = archive(&plan(&dir, &to), &mut |_, _| {}).unwrap();
        home.assert_whole(&open(&dir, Some(&to)).unwrap(), &why);
        let verified = verify_journal(&dir, Some(&to), i64::MAX, &mut |_, _| {}).unwrap();
        assert_eq!(verified.ids, home.work.ids, "{why}");
        let left = segments(&dir);
        assert_eq!(left[0], format!("{:020}.journal", finished.until), "{why}");
        // Every file of the archive is of some use.
        assert_eq!(
            segments(&to).len() as u64,
            finished.segments_before + finished.segments_archived,
            "{why}"
        );
        if done.is_ok() {
            assert_eq!(finished.segments_archived, 0);
            break;
        }
        steps += 1;
    }
    // Copy, sync, name, folder, manifest (4 more) for each; the list; a removal for each.
    assert!(steps > 20, "{steps}");
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing() {
    let mut home = Home::new(5);
    let (dir, to) = (home.dir(), home.to());
    let disk = RecordingDisk::default();
    let store = JournalStore::open_on(Arc::new(disk.clone()), &dir, options(), Arc::new(BodyFold)).unwrap();
    home.fill(&store, 30);
    assert!(store.pack_now().unwrap() > 1);
    store.close().unwrap();
    drop(store);
    take(&dir);
    let begun = disk.events().len();
    archive_on(Arc::new(disk.clone()), &plan(&dir, &to), &mut |_, _| {}).unwrap();
    let events = disk.events();
    let mut random = SmallRng::seed_from_u64(5);
    for cut in begun..=events.len() {
        for survivors in [Survivors::All, Survivors::Chance(0), Survivors::Chance(128)] {
            let at = scratch_dir();
            // What no recorded disk wrote: made before, or durable before it is named.
            for part in ["state", "ids", "snapshots", "archived"] {
                copy_dir(&dir.join(part), &at.path().join("store").join(part));
            }
            let _ = fs::remove_file(at.path().join("store/archived/list"));
            for (path, bytes) in image(&events[..cut], survivors, &mut random) {
                let path = at.path().join(path.strip_prefix(home.home.path()).unwrap());
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            let (dir, to) = (at.path().join("store"), at.path().join("archive"));
            let why = format!("cut behind event {cut}, {survivors:?}");
            match open(&dir, Some(&to)) {
                Ok(store) => home.assert_whole(&store, &why),
                Err(error) => panic!("{why}: {error}"),
            }
            archive(&plan(&dir, &to), &mut |_, _| {}).unwrap_or_else(|error| panic!("{why}: {error}"));
            home.assert_whole(&open(&dir, Some(&to)).unwrap(), &why);
        }
    }
}

#[test]
fn beside_a_busy_store_nobody_notices() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    let home = Home::new(10);
    let (dir, to) = (home.dir(), home.to());
    let store = home.open(Some(&to)).unwrap();
    let wallet = WalletKey::new("acme", "w");
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 0..3_000 {
                let draft = Draft::new(&wallet, version).record(&[id(version)], &[3; 500]);
                store.commit(vec![draft.commit()]).unwrap();
                answered.store(version + 1, Ordering::SeqCst);
            }
            stop.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                store.pack_now().unwrap();
                let count = answered.load(Ordering::SeqCst);
                for n in (0..count).step_by(97) {
                    assert_eq!(store.find(&wallet, id(n)).unwrap().len(), 1, "{n}");
                }
            }
        });
        while answered.load(Ordering::SeqCst) < 100 {
            std::thread::yield_now();
        }
        while !stop.load(Ordering::SeqCst) {
            let before = answered.load(Ordering::SeqCst);
            let taken = take(&dir);
            archive(&plan(&dir, &to), &mut |_, _| {}).unwrap();
            assert!(taken.records <= 3_000 && before > 0);
        }
    });
    let history = store.history(&wallet, None, 10_000).unwrap();
    assert_eq!(history.len(), 3_000);
    store.pack_now().unwrap();
    take(&dir);
    let report = home.archive().unwrap();
    assert!(
        report.segments_before > 0,
        "some went while it was busy: {report:?}"
    );
    // A second look lets go of files that were removed.
    drop(store);
    let store = home.open(Some(&to)).unwrap();
    assert_eq!(store.history(&wallet, None, 10_000).unwrap(), history);
}
