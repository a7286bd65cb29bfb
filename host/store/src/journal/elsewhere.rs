//! Reading segments that are in an archive, and noticing that some were moved there.
//!
//! A store knows from its own list ([`super::archived`]) what is in the archive; the archive itself need not be at hand. Where
//! it is not, a read that needs it ends with [`StoreError::Archived`]: never with less than there is, and never with damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

use super::archived::{Archived, FOLDER, LIST, MANIFEST};
use super::frame::JournalId;
use super::packed::PackedFile;
use super::place::{Damage, refused};
use crate::contract::StoreError;
use crate::disk::{Disk, DiskFile};

/// See the module.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// The data folder.
    dir: PathBuf,
    /// The archive, where it was named.
    archive: Option<PathBuf>,
    known: RwLock<Option<Arc<Archived>>>,
    /// The list as it was when it was read last.
    seen: Mutex<Option<(SystemTime, u64)>>,
}

impl Elsewhere {
    /// Reads the list of the store whose journal is in this folder.
    pub(crate) fn of(journal: &Path, archive: Option<&Path>) -> Result<Elsewhere, StoreError> {
        let elsewhere = Elsewhere {
            dir: journal.parent().unwrap_or(Path::new("")).to_path_buf(),
            archive: archive.map(Path::to_path_buf),
            known: RwLock::default(),
            seen: Mutex::default(),
        };
        elsewhere.look()?;
        if let (Some(known), Some(archive)) = (elsewhere.known(), archive) {
            match Archived::read(archive, MANIFEST)? {
                Some(there) if there.journal != known.journal => return Err(foreign(archive)),
                Some(_) => {}
                None => tracing::warn!(
                    archive = %archive.display(),
                    "there is no archive in archive_dir now; what is archived cannot be read until there is"
                ),
            }
        }
        Ok(elsewhere)
    }

    /// Nothing is elsewhere.
    pub(crate) fn nothing(journal: &Path) -> Elsewhere {
        Elsewhere {
            dir: journal.parent().unwrap_or(Path::new("")).to_path_buf(),
            archive: None,
            known: RwLock::default(),
            seen: Mutex::default(),
        }
    }

    /// What is archived. None: nothing.
    pub(crate) fn known(&self) -> Option<Arc<Archived>> {
        self.known.read().clone()
    }

    /// The data folder, in which the list is, and the ids of what it names.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The archive, where it was named.
    pub(crate) fn archive(&self) -> Option<&Path> {
        self.archive.as_deref()
    }

    /// Looks whether something was archived since the last look. The answer is the list, if it is another one.
    pub(crate) fn look(&self) -> Result<Option<Arc<Archived>>, StoreError> {
        let folder = self.dir.join(FOLDER);
        let path = folder.join(LIST);
        let now = match fs::metadata(&path) {
            Ok(found) => Some((
                found.modified().map_err(refused("looking at", &path))?,
                found.len(),
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(refused("looking at", &path)(error)),
        };
        let mut seen = self.seen.lock();
        if *seen == now {
            return Ok(None);
        }
        let list = Archived::read(&folder, LIST)?.map(Arc::new);
        *seen = now;
        self.known.write().clone_from(&list);
        Ok(list)
    }

    /// The file of an archived segment, as it should be.
    pub(crate) fn path(&self, base: u64) -> Option<PathBuf> {
        let known = self.known()?;
        let name = &known.segment(base)?.file.name;
        Some(self.archive.as_ref()?.join(name))
    }

    /// Opens an archived segment.
    pub(crate) fn open(
        &self,
        disk: &dyn Disk,
        journal: JournalId,
        base: u64,
    ) -> Result<Arc<dyn DiskFile>, StoreError> {
        let known = self.known();
        let Some(entry) = known.as_ref().and_then(|known| known.segment(base)) else {
            return Err(Damage::new("this segment is missing").at(&self.dir.join(FOLDER).join(LIST), base));
        };
        let Some(archive) = &self.archive else {
            return Err(self.not_at_hand(&entry.file.name));
        };
        let path = archive.join(&entry.file.name);
        let file = match disk.open_to_read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.not_at_hand(&format!("{} is not there", path.display())));
            }
            opened => opened.map_err(refused("opening", &path))?,
        };
        let size = file.size().map_err(refused("reading the size of", &path))?;
        if size != entry.file.bytes {
            let what = format!(
                "the archived segment was {} bytes long and is now {size}",
                entry.file.bytes
            );
            return Err(Damage::new(what).at(&path, size.min(entry.file.bytes)));
        }
        let (header, packed) = PackedFile::open(file, &path)?;
        if header.journal != journal {
            return Err(foreign(archive));
        }
        if (header.base, header.bytes) != (entry.base, entry.end - entry.base) {
            return Err(Damage::new("the file holds another segment than its name says").at(&path, 24));
        }
        Ok(Arc::new(packed))
    }

    /// The error for whoever needs what is archived.
    fn not_at_hand(&self, what: &str) -> StoreError {
        let newest = self
            .known()
            .and_then(|known| known.newest.values().max().copied());
        StoreError::Archived {
            what: what.to_string(),
            newest: newest.unwrap_or(i64::MAX),
        }
    }

    /// The same error for whoever asked about one tenant.
    pub(crate) fn of_tenant(&self, error: StoreError, tenant: &str) -> StoreError {
        match error {
            StoreError::Archived { what, newest } => {
                let known = self.known();
                let of_tenant = known.and_then(|known| known.newest.get(tenant).copied());
                StoreError::Archived {
                    what,
                    newest: of_tenant.unwrap_or(newest),
                }
            }
            other => other,
        }
    }
}

fn foreign(archive: &Path) -> StoreError {
    StoreError::Backup {
        path: archive.display().to_string(),
        what: "it is the archive of another journal".into(),
    }
}
