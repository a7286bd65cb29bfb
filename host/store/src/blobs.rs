//! Blobs: large immutable bytes (compiled-from components) under a name made of their hash, one file each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::admit;
use crate::contract::StoreError;
use crate::journal::place::refused;

/// A folder of blobs.
#[derive(Debug)]
pub(crate) struct Blobs {
    folder: PathBuf,
    /// Tells apart what is written at the same time.
    unfinished: AtomicU64,
}

impl Blobs {
    /// Opens the folder and removes what a crash left unfinished.
    pub(crate) fn open(folder: &Path) -> Result<Blobs, StoreError> {
        for file in fs::read_dir(folder).map_err(refused("listing", folder))? {
            let path = file.map_err(refused("listing", folder))?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path).map_err(refused("removing", &path))?;
            }
        }
        Ok(Blobs {
            folder: folder.to_path_buf(),
            unfinished: AtomicU64::new(0),
        })
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        admit::blob(name, bytes.len())?;
        let path = self.path(name);
        if !path.exists() {
            let unfinished = self
                .folder
                .join(format!("{}.tmp", self.unfinished.fetch_add(1, Ordering::Relaxed)));
            write_synced(&unfinished, bytes).map_err(refused("writing", &unfinished))?;
            fs::rename(&unfinished, &path).map_err(refused("naming", &path))?;
        }
        // Also for one that is there: whoever wrote it may have died before its name was durable.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(refused("syncing", &self.folder))
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused("reading", &path)(error)),
        }
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

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
