//! A disk that remembers every write, sync and name, and from which the disk after a power cut is made.
//!
//! The model of a cut: what was synced is there. Of what was written since, any subset of the sectors is there, whatever
//! the order of the writes. A name that was given is there for sure once its folder was synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use farebox_store::disk::{Disk, DiskFile, OsDisk};
use rand::Rng;
use rand::rngs::SmallRng;

pub const SECTOR_BYTES: usize = 512;

/// What happened, in order. Files are numbered, because their names change.
#[derive(Debug, Clone)]
pub enum Event {
    Create {
        file: usize,
        path: PathBuf,
    },
    Write {
        file: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    Sync {
        file: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    SyncFolder,
    /// A call was answered.
    Answered,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<Event>,
    names: BTreeMap<PathBuf, usize>,
    files: usize,
    fail_next_sync: bool,
}

/// Writes through to the real disk and remembers.
#[derive(Debug, Clone, Default)]
pub struct RecordingDisk(Arc<Mutex<Log>>);

#[derive(Debug)]
struct RecordingFile {
    file: usize,
    inner: Arc<dyn DiskFile>,
    log: Arc<Mutex<Log>>,
}

impl RecordingDisk {
    pub fn answered(&self) {
        self.0.lock().unwrap().events.push(Event::Answered);
    }

    /// The next commit's sync fails, as if the process had been killed in it: what was written is there to be read, and
    /// may or may not outlive the power.
    pub fn fail_next_sync(&self) {
        self.0.lock().unwrap().fail_next_sync = true;
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().events.clone()
    }
}

impl Disk for RecordingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inner = OsDisk.create(path)?;
        let mut log = self.0.lock().unwrap();
        let file = log.files;
        log.files += 1;
        log.names.insert(path.to_path_buf(), file);
        log.events.push(Event::Create {
            file,
            path: path.to_path_buf(),
        });
        Ok(Arc::new(RecordingFile {
            file,
            inner,
            log: self.0.clone(),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inner = OsDisk.open(path)?;
        let file = self.0.lock().unwrap().names[path];
        Ok(Arc::new(RecordingFile {
            file,
            inner,
            log: self.0.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut log = self.0.lock().unwrap();
        OsDisk.rename(from, to)?;
        let file = log.names.remove(from).unwrap();
        log.names.insert(to.to_path_buf(), file);
        log.events.push(Event::Rename {
            from: from.to_path_buf(),
            to: to.to_path_buf(),
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut log = self.0.lock().unwrap();
        OsDisk.remove(path)?;
        log.names.remove(path);
        log.events.push(Event::Remove {
            path: path.to_path_buf(),
        });
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        OsDisk.list(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        OsDisk.sync_folder(folder)?;
        self.0.lock().unwrap().events.push(Event::SyncFolder);
        Ok(())
    }
}

impl DiskFile for RecordingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut log = self.log.lock().unwrap();
        let offset_in_file = usize::try_from(offset).unwrap();
        log.events.push(Event::Write {
            file: self.file,
            offset: offset_in_file,
            bytes: bytes.to_vec(),
        });
        self.inner.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if std::mem::take(&mut self.log.lock().unwrap().fail_next_sync) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()?;
        self.log
            .lock()
            .unwrap()
            .events
            .push(Event::Sync { file: self.file });
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
}

/// Which of the unsynced sectors survive.
#[derive(Debug, Clone, Copy)]
pub enum Survivors {
    /// All of them.
    All,
    /// Of the last write only this many, from its front.
    LastTornAt(usize),
    /// Each with this chance in 256, in files and folders alike.
    Chance(u8),
}

/// The disk's files after the power was cut behind `events`.
pub fn image(events: &[Event], survivors: Survivors, random: &mut SmallRng) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files: BTreeMap<usize, Contents> = BTreeMap::new();
    let mut names: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut synced_names = names.clone();
    for event in events {
        match event {
            Event::Create { file, path } => {
                files.insert(*file, Contents::default());
                names.insert(path.clone(), *file);
            }
            Event::Write { file, offset, bytes } => {
                files
                    .get_mut(file)
                    .unwrap()
                    .unsynced
                    .push((*offset, bytes.clone()));
            }
            Event::Sync { file } => files.get_mut(file).unwrap().sync(),
            Event::Rename { from, to } => {
                let file = names.remove(from).unwrap();
                names.insert(to.clone(), file);
            }
            Event::Remove { path } => {
                names.remove(path);
            }
            Event::SyncFolder => synced_names = names.clone(),
            Event::Answered => {}
        }
    }
    if let (Survivors::LastTornAt(sectors), Some(Event::Write { file, .. })) = (survivors, events.last()) {
        let (_, bytes) = files.get_mut(file).unwrap().unsynced.last_mut().unwrap();
        bytes.truncate(sectors * SECTOR_BYTES);
    }
    let names = match survivors {
        Survivors::Chance(chance) if random.random::<u8>() >= chance => synced_names,
        _ => names,
    };
    names
        .into_iter()
        .map(|(path, file)| (path, files[&file].after(survivors, random)))
        .collect()
}

#[derive(Debug, Default)]
struct Contents {
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Contents {
    fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            put(&mut self.synced, offset, &bytes);
        }
    }

    fn after(&self, survivors: Survivors, random: &mut SmallRng) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for (offset, write) in &self.unsynced {
            for (n, sector) in write.chunks(SECTOR_BYTES).enumerate() {
                let survives = match survivors {
                    Survivors::Chance(chance) => random.random::<u8>() < chance,
                    _ => true,
                };
                if survives {
                    put(&mut bytes, offset + n * SECTOR_BYTES, sector);
                }
            }
        }
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, write: &[u8]) {
    bytes.resize(bytes.len().max(offset + write.len()), 0);
    bytes[offset..offset + write.len()].copy_from_slice(write);
}
