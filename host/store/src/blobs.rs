//! Blobs: large immutable bytes (compiled-from components) under a name made of their hash, one file each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::admit;
use crate::contract::StoreError;
use crate::disk::{Disk, read_whole, write_whole};
use crate::journal::place::refused;

/// A folder of blobs.
#[derive(Debug)]
pub(crate) struct Blobs {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Tells apart what is written at the same time.
    unfinished: AtomicU64,
    /// A sync failed: what is there need not be on the disk, and no later sync says that it is.
    failed: AtomicBool,
}

impl Blobs {
    /// Opens the folder, which is there, and removes what a crash left unfinished.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Blobs, StoreError> {
        for path in disk.list(folder).map_err(refused("listing", folder))? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                disk.remove(&path).map_err(refused("removing", &path))?;
            }
        }
        Ok(Blobs {
            disk,
            folder: folder.to_path_buf(),
            unfinished: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        })
    }

    /// Durable when it is done. An error means that it may be there or not; nobody was told its name.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        admit::blob(name, bytes.len())?;
        let path = self.path(name);
        if self.failed.load(Ordering::Acquire) {
            let why = io::Error::other(
                "a sync failed before; nothing is written there until the server is started again",
            );
            return Err(refused("writing", &path)(why));
        }
        let is_there = match self.disk.open_to_read(&path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(refused("opening", &path)(error)),
        };
        if !is_there {
            let unfinished = self
                .folder
                .join(format!("{}.tmp", self.unfinished.fetch_add(1, Ordering::Relaxed)));
            self.write_synced(&unfinished, bytes)
                .map_err(refused("writing", &unfinished))?;
            self.disk
                .rename(&unfinished, &path)
                .map_err(refused("naming", &path))?;
        }
        // Also for one that is there: whoever wrote it may have died before its name was durable.
        let synced = self.disk.sync_folder(&self.folder);
        self.failed.fetch_or(synced.is_err(), Ordering::AcqRel);
        synced.map_err(refused("syncing", &self.folder))
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        let read = self.disk.open_to_read(&path).and_then(|file| read_whole(&*file));
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused("reading", &path)(error)),
        }
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.create(path)?;
        write_whole(&*file, bytes, 0)?;
        file.sync_all()
    }

    /// A name may hold any bytes; a file's may not. Whatever is not plain is written in hexadecimal, so that no name
    /// leaves the folder and no two meet.
    fn path(&self, name: &str) -> PathBuf {
        let mut file = String::with_capacity(name.len() + 5);
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' {
                file.push(char::from(byte));
            } else {
                file.push_str(&format!("_{byte:02x}"));
            }
        }
        self.folder.join(file + ".blob")
    }
}
