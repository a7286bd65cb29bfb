//! The seam between the journal and the operating system: the few calls that durability hangs on.
//!
//! It exists so that tests can record every write and sync, cut the power between any two of them, and fail any one.
//! The real implementation is [`OsDisk`]; it calls libc directly, so that what a tracer or an injected fault sees is what
//! is written here. One virtual call beside a disk sync costs nothing that can be measured.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files and folders as the journal uses them.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// A new, empty file; one that is there already is emptied.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// A file that is there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// A file that is there and will not be written: of an archive, which need not be writable.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }
    /// Gives a file another name in the same folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The files of a folder, in no particular order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Bytes that may still be written where the folder is, by whoever is not the superuser.
    #[allow(clippy::useless_conversion, reason = "narrower than 64 bits on other systems")]
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let name = CString::new(folder.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut space = MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: the name ends in a zero byte, and the answer has room for what is written there.
        if unsafe { libc::statvfs(name.as_ptr(), space.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it was filled in.
        let space = unsafe { space.assume_init() };
        Ok(u64::from(space.f_bavail).saturating_mul(space.f_frsize))
    }
}

/// One open file. Nothing here retries: a write that was short or a sync that failed is the caller's to judge.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Writes at a place, once; the answer is how many bytes went in.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Reads at a place, once; the answer is how many bytes came, 0 at the end of the file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes the contents durable. The size must not have changed since the last [`DiskFile::sync_all`].
    fn sync_data(&self) -> io::Result<()>;
    /// Makes the contents and the size durable.
    fn sync_all(&self) -> io::Result<()>;
    /// The file's size.
    fn size(&self) -> io::Result<u64>;
}

/// Writes everything or fails: a short write means a full or failing disk, and is not tried again.
pub(crate) fn write_whole(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let written = file.write_at(bytes, offset)?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::WriteZero,
            format!("only {written} of {} bytes were written at {offset}", bytes.len()),
        ))
    }
}

/// Reads until the buffer is full or the file ends; the answer is how much of it is filled.
pub(crate) fn read_up_to(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a file that nobody writes to.
pub(crate) fn read_whole(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; size];
    match read_up_to(file, &mut bytes, 0)? == size {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

#[derive(Debug)]
struct OsFile(File);

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile(
            OpenOptions::new().read(true).write(true).open(path)?,
        )))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| entry.map(|e| e.path()))
            .collect()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for OsFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the pointer and length are those of a live slice, and the descriptor is open as long as `self` is.
        let written = unsafe { libc::pwrite(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), offset) };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    #[cfg(target_os = "linux")]
    fn sync_data(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as `self` is.
        if unsafe { libc::fdatasync(self.0.as_raw_fd()) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Elsewhere the standard library knows the right call (on macOS a plain fsync leaves data in the drive's cache).
    #[cfg(not(target_os = "linux"))]
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
