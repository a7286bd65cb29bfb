//! A disk in memory that forgets, tears, reorders and fails.
//!
//! What a program reads back is the page cache; what is there after a power cut is another matter:
//!
//! - A page that was synced is there. Of one that was not, each sector is as it was at the last sync or as any write since
//!   left it, whatever the order of the writes.
//! - A name that was given or taken is so after the folder's sync; before it, the names are as after any first part of the
//!   changes since.
//! - A size is kept by [`DiskFile::sync_all`] alone.
//! - After a sync that failed, the pages count as clean, as on Linux: they are read back, a later sync leaves them alone,
//!   and the disk need not have them.
//! - Nothing that was synced is ever changed by anything but a write.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farebox_store::disk::{Disk, DiskFile};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use file::Contents;

/// What the disk does at one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power goes in the middle of it: it fails, and so does everything after it.
    PowerCut,
    /// It is refused: a sync with EIO, a write with "no space left" after any part of it, everything else with EIO.
    Refused,
    /// The next write takes only a part, and says so.
    ShortWrite,
}

/// How the program that used the disk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The program alone: the page cache lives on.
    Program,
    /// The program alone; pages that a failed sync left clean have been dropped from the cache.
    ProgramAndCache,
    /// The power: only what is on the disk is left.
    Power,
}

/// What happened to the disk, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskTally {
    /// Operations that change something.
    pub operations: u64,
    /// Syncs among them.
    pub syncs: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Power cuts that found something unsynced.
    pub torn: u64,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    files: Vec<Contents>,
    names: Names,
    durable_names: Names,
    unsynced_names: Vec<NameChange>,
    random: SmallRng,
    /// Operation at which a fault strikes, counted from the disk's first.
    armed: Option<(u64, Fault)>,
    is_off: bool,
    free_bytes: u64,
    /// Handles of a program that ended are good for nothing.
    program: u64,
    tally: DiskTally,
}

/// Path -> index into the files.
type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Clone)]
enum NameChange {
    Given(PathBuf, usize),
    Moved(PathBuf, PathBuf),
    Taken(PathBuf),
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<Mutex<State>>,
    file: usize,
    program: u64,
}

impl SimDisk {
    /// An empty disk. Everything that it does at random follows from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: Names::new(),
            durable_names: Names::new(),
            unsynced_names: Vec::new(),
            random: SmallRng::seed_from_u64(seed),
            armed: None,
            is_off: false,
            free_bytes: u64::MAX,
            program: 0,
            tally: DiskTally::default(),
        })))
    }

    /// Lets a fault strike at the operation that follows after `others` more. One at a time.
    pub fn arm(&self, fault: Fault, others: u64) {
        let mut state = lock(&self.0);
        state.armed = Some((state.tally.operations + others, fault));
    }

    /// Takes an armed fault away, if it has not struck yet.
    pub fn disarm(&self) {
        lock(&self.0).armed = None;
    }

    /// From now on so much is free, by what the disk says; nothing fails for want of it.
    pub fn set_free_bytes(&self, free_bytes: u64) {
        lock(&self.0).free_bytes = free_bytes;
    }

    /// Whether the power is gone, until [`SimDisk::end`].
    pub fn is_off(&self) -> bool {
        lock(&self.0).is_off
    }

    /// What happened so far.
    pub fn tally(&self) -> DiskTally {
        lock(&self.0).tally
    }

    /// The program that used the disk is gone; the next one finds what is left.
    pub fn end(&self, ending: Ending) {
        let mut state = lock(&self.0);
        state.program += 1;
        state.armed = None;
        state.is_off = false;
        match ending {
            Ending::Program => {}
            Ending::ProgramAndCache => state.files.iter_mut().for_each(Contents::forget_clean),
            Ending::Power => state.cut(),
        }
    }

    /// The files as a program would read them now.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = lock(&self.0);
        let names = state.names.iter();
        names
            .map(|(path, file)| (path.clone(), state.files[*file].read_all()))
            .collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused() -> io::Error {
    const EIO: i32 = 5;
    io::Error::from_raw_os_error(EIO)
}

fn full() -> io::Error {
    const ENOSPC: i32 = 28;
    io::Error::from_raw_os_error(ENOSPC)
}

impl State {
    /// Counts an operation that changes something. The fault that strikes at it, if one does.
    fn operation(&mut self) -> io::Result<Option<Fault>> {
        if self.is_off {
            return Err(refused());
        }
        let number = self.tally.operations;
        self.tally.operations += 1;
        match self.armed {
            Some((at, fault)) if number >= at => Ok(Some(fault)),
            _ => Ok(None),
        }
    }

    /// An operation that is done whole, not at all, or is the last one before the power goes.
    fn whole(&mut self, act: impl FnOnce(&mut State)) -> io::Result<()> {
        match self.operation()? {
            None | Some(Fault::ShortWrite) => {
                act(self);
                Ok(())
            }
            Some(Fault::Refused) => {
                self.struck();
                Err(refused())
            }
            Some(Fault::PowerCut) => {
                act(self);
                Err(self.power_gone())
            }
        }
    }

    fn struck(&mut self) {
        self.armed = None;
        self.tally.faults += 1;
    }

    fn power_gone(&mut self) -> io::Error {
        self.struck();
        self.is_off = true;
        refused()
    }

    fn change_name(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    /// What is left without power.
    fn cut(&mut self) {
        let kept = self.random.random_range(0..=self.unsynced_names.len());
        let unsynced = std::mem::take(&mut self.unsynced_names);
        self.tally.torn += u64::from(!unsynced.is_empty() || self.files.iter().any(Contents::is_unsynced));
        for change in &unsynced[..kept] {
            apply(&mut self.durable_names, change);
        }
        self.names.clone_from(&self.durable_names);
        for (index, file) in self.files.iter_mut().enumerate() {
            if self.names.values().any(|named| *named == index) {
                file.cut(&mut self.random);
            } else {
                *file = Contents::default();
            }
        }
    }
}

fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Given(path, file) => {
            names.insert(path.clone(), *file);
        }
        NameChange::Moved(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameChange::Taken(path) => {
            names.remove(path);
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = lock(&self.0);
        let file = state.files.len();
        state.whole(|state| {
            state.files.push(Contents::default());
            state.change_name(NameChange::Given(path.to_path_buf(), file));
        })?;
        Ok(self.handle(file, state.program))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = lock(&self.0);
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(file, state.program))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let change = NameChange::Moved(from.to_path_buf(), to.to_path_buf());
        lock(&self.0).whole(|state| state.change_name(change))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let change = NameChange::Taken(path.to_path_buf());
        lock(&self.0).whole(|state| state.change_name(change))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = lock(&self.0);
        let within = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(within.cloned().collect())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(lock(&self.0).free_bytes)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut state = lock(&self.0);
        match state.operation()? {
            None | Some(Fault::ShortWrite) => {
                state.durable_names = state.names.clone();
                state.unsynced_names.clear();
                Ok(())
            }
            Some(Fault::Refused) => {
                state.struck();
                Err(refused())
            }
            Some(Fault::PowerCut) => Err(state.power_gone()),
        }
    }
}

impl SimDisk {
    fn handle(&self, file: usize, program: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: Arc::clone(&self.0),
            file,
            program,
        })
    }
}

impl SimFile {
    /// The disk, if the program that opened this file is the one that runs.
    fn disk(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = lock(&self.disk);
        match state.program == self.program {
            true => Ok(state),
            false => Err(refused()),
        }
    }

    fn sync(&self, keep: fn(&mut Contents)) -> io::Result<()> {
        let mut state = self.disk()?;
        state.tally.syncs += 1;
        match state.operation()? {
            None | Some(Fault::ShortWrite) => {
                keep(&mut state.files[self.file]);
                Ok(())
            }
            Some(Fault::Refused) => {
                state.struck();
                let State { files, random, .. } = &mut *state;
                files[self.file].fail_sync(random);
                Err(refused())
            }
            Some(Fault::PowerCut) => Err(state.power_gone()),
        }
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk()?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        match state.operation()? {
            None => {
                state.files[self.file].write(bytes, offset);
                Ok(bytes.len())
            }
            Some(Fault::PowerCut) => {
                state.files[self.file].write(bytes, offset);
                Err(state.power_gone())
            }
            Some(fault) => {
                state.struck();
                let part = state.random.random_range(0..bytes.len());
                state.files[self.file].write(&bytes[..part], offset);
                match fault {
                    Fault::ShortWrite => Ok(part),
                    Fault::Refused | Fault::PowerCut => Err(full()),
                }
            }
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk()?;
        if state.is_off {
            return Err(refused());
        }
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(state.files[self.file].read(bytes, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Contents::sync_data)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Contents::sync_all)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk()?.files[self.file].size() as u64)
    }
}
