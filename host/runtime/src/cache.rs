//! Compiled plans on disk, so that a restart does not compile again.
//!
//! Compiled code is machine code: whoever can put a file here runs it in this process. So each file carries a BLAKE3
//! MAC over its name and content, keyed by a random key that only this directory's owner can read. What does not
//! verify (damaged, copied from elsewhere, of another engine) is not read any further: the plan is compiled again.

use std::fs::{self, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use farebox_record::ids::Hash;
use wasmtime::Engine;

use crate::error::RuntimeError;

/// Name of the file with the key.
const KEY_FILE: &str = "key";

/// Bytes of the MAC before the code.
const MAC_BYTES: usize = 32;

/// Larger than the code of any component of the tier; what is larger is not read.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A directory of compiled plans.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    /// Of all that decides whether compiled code fits the engine: its version, its settings, the processor.
    engine: Hash,
    /// Makes names of files in the making unique within the process.
    next_temporary: AtomicU64,
}

impl Cache {
    /// Opens or makes the directory and its key.
    pub(crate) fn open(dir: &Path, engine: &Engine) -> Result<Cache, RuntimeError> {
        let opened = || -> io::Result<Cache> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            Ok(Cache {
                dir: dir.to_path_buf(),
                key: key(dir)?,
                engine: fingerprint(engine),
                next_temporary: AtomicU64::new(0),
            })
        };
        opened().map_err(|e| RuntimeError::Cache {
            dir: dir.to_path_buf(),
            reason: e.to_string(),
        })
    }

    /// Code that this cache wrote for `component` and this engine, or none.
    pub(crate) fn load(&self, component: Hash) -> Option<Vec<u8>> {
        let name = self.name(component);
        let mut file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.dir.join(&name))
        {
            Ok(file) => file.take(FILE_BYTES_MAX),
            Err(_) => return None,
        };
        let mut mac = [0; MAC_BYTES];
        let mut code = Vec::new();
        if file
            .read_exact(&mut mac)
            .and_then(|()| file.read_to_end(&mut code))
            .is_err()
        {
            return None;
        }
        // `blake3::Hash` compares in constant time.
        if self.mac(&name, &code) != blake3::Hash::from_bytes(mac) {
            tracing::warn!(file = %name, "a compiled plan does not carry this cache's seal; compiling again");
            return None;
        }
        Some(code)
    }

    /// Keeps `code` for `component`. A cache that cannot be written costs time, nothing else.
    pub(crate) fn store(&self, component: Hash, code: &[u8]) {
        let name = self.name(component);
        let nth = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("{name}.{}.{nth}.new", std::process::id()));
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(self.mac(&name, code).as_bytes())?;
            file.write_all(code)?;
            // Not synced: a file that is torn by a power cut does not verify.
            fs::rename(&temporary, self.dir.join(&name))
        };
        if let Err(error) = written() {
            tracing::warn!(%error, file = %name, "a compiled plan was not kept; it will be compiled again");
            let _ = fs::remove_file(&temporary);
        }
    }

    fn name(&self, component: Hash) -> String {
        format!("{component}-{}.cwasm", &self.engine.to_string()[..16])
    }

    /// The name is under the seal too, so that a file cannot be passed off as another plan's.
    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.engine.0);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(code);
        hasher.finalize()
    }
}

/// The key of the directory, made when there is none.
fn key(dir: &Path) -> io::Result<[u8; 32]> {
    let path = dir.join(KEY_FILE);
    match read_key(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| io::Error::other(e.to_string()))?;
    // Written aside and linked into place, so that of two processes that start at once both get the same whole key.
    let aside = dir.join(format!(
        "{KEY_FILE}.{:?}.{}.new",
        std::thread::current().id(),
        std::process::id()
    ));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(&key).and_then(|()| file.sync_all())?;
    let linked = fs::hard_link(&aside, &path);
    fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_key(&path),
    }
}

fn read_key(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?
        .read_exact(&mut key)?;
    Ok(key)
}

/// BLAKE3 of what the engine says decides compatibility.
fn fingerprint(engine: &Engine) -> Hash {
    struct Blake3(blake3::Hasher);
    impl Hasher for Blake3 {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        /// Not used: the whole digest is taken instead.
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Blake3(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Hash(*hasher.0.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spoil: impl Fn(&Cache, &Path), expected: Option<&[u8]>) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cache = Cache::open(dir.path(), &engine).unwrap();
        let plan = Hash::of(b"plan");
        cache.store(plan, b"code");
        spoil(&cache, &dir.path().join(cache.name(plan)));
        assert_eq!(
            Cache::open(dir.path(), &engine).unwrap().load(plan).as_deref(),
            expected
        );
    }

    #[test]
    fn what_was_stored_is_loaded() {
        check(|_, _| {}, Some(b"code"));
    }

    #[test]
    fn what_was_changed_is_not() {
        let edit = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        };
        check(|_, path| edit(path, &|b| b[MAC_BYTES] ^= 1), None);
        check(|_, path| edit(path, &|b| b[0] ^= 1), None);
        check(|_, path| edit(path, &|b| b.truncate(20)), None);
        check(|_, path| edit(path, &|b| b.push(0)), None);
    }

    #[test]
    fn a_file_is_good_for_its_own_plan_and_key_only() {
        let other = Hash::of(b"other");
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), &Engine::default()).unwrap();
        cache.store(Hash::of(b"plan"), b"code");
        fs::copy(
            dir.path().join(cache.name(Hash::of(b"plan"))),
            dir.path().join(cache.name(other)),
        )
        .unwrap();
        assert_eq!(cache.load(other), None);
        check(
            |cache, _| fs::write(cache.dir.join(KEY_FILE), [7; 32]).unwrap(),
            None,
        );
    }

    #[test]
    fn the_key_is_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Cache::open(dir.path(), &Engine::default()).unwrap();
        let mode = fs::metadata(dir.path().join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
