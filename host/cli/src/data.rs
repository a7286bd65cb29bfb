//! The data folder: made for its owner alone, recognised before anything is written into it, opened once.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use farebox_engine::LedgerFold;
use farebox_runtime::{Compiler, Config, Runtime, Tier};
use farebox_store::{JournalStore, Options};

use crate::failure::{Exit, Failure};

/// Within the data folder: compiled plans. May be removed at any time.
const CACHE: &str = "compiled-plans";

/// The hidden command that compiles a plan and does nothing else.
pub const COMPILE_COMMAND: &str = "compile-plan";

/// Makes the folder, readable by its owner alone, or checks that one that is there is ours.
pub fn make(dir: &Path) -> Result<(), Failure> {
    match fs::read_dir(dir) {
        Ok(entries) => {
            let foreign = entries.filter_map(Result::ok).next().is_some() && !is_ours(dir);
            if foreign {
                return Err(
                    not_ours(dir).hint("name an empty folder, or one that is not there yet, with --data")
                );
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            private_folder(dir).map_err(|error| Failure::io("cannot make the folder", dir, &error))?;
        }
        Err(error) => return Err(Failure::io("cannot use the folder", dir, &error)),
    }
    warn_if_open(dir);
    Ok(())
}

/// Makes a folder that is there readable by its owner alone.
pub fn private(dir: &Path) -> Result<(), Failure> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|error| Failure::io("cannot keep others out of", dir, &error))
}

/// Checks that a folder holds what a server left behind.
pub fn existing(dir: &Path) -> Result<(), Failure> {
    match fs::metadata(dir) {
        Err(error) => Err(Failure::io("cannot use the folder", dir, &error)
            .hint("name the server's data folder with --data")),
        Ok(_) if !is_ours(dir) => Err(not_ours(dir).hint("name the server's data folder with --data")),
        Ok(_) => Ok(()),
    }
}

/// Opens the store of a folder.
pub fn open(dir: &Path, options: Options) -> Result<JournalStore, Failure> {
    Ok(JournalStore::open(dir, options, Arc::new(LedgerFold))?)
}

/// The runtime of a folder: compiled plans are kept in it, and compiling happens in a child process with limits. `interpreted`:
/// whether further plans that carry the runtime of their language are taken in.
pub fn runtime(dir: &Path, interpreted: bool) -> Result<Runtime, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(
            Exit::Internal,
            "runtime",
            format!("this program cannot find itself: {error}"),
        )
    })?;
    let config = Config {
        cache_dir: Some(dir.join(CACHE)),
        limits: Tier::Native.limits(),
        interpreted: Some(Tier::Interpreted.limits()),
        takes_interpreted: interpreted,
        compiler: Compiler::Child {
            program,
            arguments: vec![COMPILE_COMMAND.into()],
        },
    };
    Runtime::new(config).map_err(|error| Failure::new(Exit::Internal, "runtime", error.to_string()))
}

fn is_ours(dir: &Path) -> bool {
    dir.join("journal").is_dir()
}

fn not_ours(dir: &Path) -> Failure {
    Failure::new(
        Exit::Io,
        "not_a_data_folder",
        format!("{} is not the data folder of a Farebox", dir.display()),
    )
    .detail("there is no `journal` in it")
}

fn private_folder(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    fs::DirBuilder::new().mode(0o700).create(dir)
}

fn warn_if_open(dir: &Path) {
    let open = fs::metadata(dir).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    if open {
        tracing::warn!(folder = %dir.display(), "others may read the data folder; `chmod 700` keeps it to its owner");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_things_in_it_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "x").unwrap();
        let failure = make(folder.path()).unwrap_err();
        assert_eq!((failure.exit, &*failure.code), (Exit::Io, "not_a_data_folder"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_folder_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/data");
        make(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(existing(&dir).unwrap_err().code, "not_a_data_folder");
    }
}
