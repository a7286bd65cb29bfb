//! A plan's folder whose language has tools of its own: the contract is put where they look for it (`build/wit/plan.wit`), and
//! what they made is looked at (`build/plan.wasm`).

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::{BuildError, BuildOptions, Built, component, contract};

/// The folder, while nobody else builds in it.
pub(super) struct Folder<'a> {
    name: &'a str,
    dir: PathBuf,
    _alone: File,
}

impl<'a> Folder<'a> {
    /// Waits until nobody else builds in `dir`, and writes the contract. `name` is the plan's.
    pub fn open(dir: &Path, name: &'a str) -> Result<Folder<'a>, BuildError> {
        let dir = fs::canonicalize(dir).map_err(at(dir))?;
        let wit = dir.join("build/wit");
        fs::create_dir_all(&wit).map_err(at(&wit))?;
        // Two builds of one folder would take each other's files away: the second waits.
        let path = dir.join("build/.lock");
        let alone = File::create(&path).map_err(at(&path))?;
        alone.lock().map_err(at(&path))?;
        let path = wit.join("plan.wit");
        fs::write(&path, contract::WIT).map_err(at(&path))?;
        Ok(Folder {
            name,
            dir,
            _alone: alone,
        })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lets `make` make the component, which is what `made_by` says, and looks at it.
    pub fn built(
        &self,
        made_by: &str,
        options: &BuildOptions<'_>,
        make: impl FnOnce() -> Result<(), BuildError>,
    ) -> Result<Built, BuildError> {
        let path = self.dir.join("build/plan.wasm");
        let _ = fs::remove_file(&path); // an earlier one must not pass for what this build makes
        make()?;
        let component = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BuildError::NotAComponent {
                name: self.name.to_string(),
                reason: format!("`{made_by}` left no build/plan.wasm"),
            },
            _ => at(&path)(source),
        })?;
        component::check(self.name, &component)?;
        (options.progress)(&format!(
            "{}: {} bytes, no imports",
            path.display(),
            component.len()
        ));
        Ok(Built {
            name: self.name.to_string(),
            path,
            module_bytes: component.len(),
            component,
        })
    }
}

/// A manifest of the plan in `dir`, as `read` reads it.
pub(super) fn manifest<T, E: Display>(
    dir: &Path,
    name: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, BuildError> {
    let path = dir.join(name);
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    read(&text).map_err(|error| not_a_plan(dir, format!("{name}: {error}")))
}

/// What is missing in a folder for it to be a plan.
pub(super) fn not_a_plan(dir: &Path, reason: String) -> BuildError {
    BuildError::NotAPlan {
        dir: dir.to_path_buf(),
        reason,
    }
}

/// What went wrong with a file.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> BuildError + use<> {
    let path = path.to_path_buf();
    move |source| BuildError::Io {
        path: path.clone(),
        source,
    }
}
