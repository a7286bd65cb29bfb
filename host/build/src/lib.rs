//! From a plan's source to the component that a host runs: one call, the same for `farebox plan build` and for tests.
//!
//! Authors write a library crate and nothing else: no build script, no `crate-type`, no linker flags, no second tool
//! to install. What a component must be (its memory, its stack, its lack of imports) is decided here, so that it
//! cannot be decided differently by each plan.

mod cargo;
mod component;
pub mod contract;
mod folder;
mod npm;
mod python;
mod tool;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The Rust target that plans are compiled for: no operating system, hence nothing to import from one.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The cargo profile that plans are compiled with.
pub const PROFILE: &str = "plan";

/// Bytes of linear memory that a plan has, from its first instruction to its last: 4 pages.
///
/// Initial is maximum, so that a fresh instance per batch never asks the operating system for memory (8 us instead
/// of 26), and one size for all plans, so that they can share the same pooled slots without `mprotect`.
pub const MEMORY_BYTES: u32 = 4 * 65_536;

/// Bytes of that memory which are stack. Plans do not recurse; what they hold is in the arena of the SDK.
pub const STACK_BYTES: u32 = 16_384;

/// How to build.
pub struct BuildOptions<'a> {
    /// Hears what is going on, one line at a time: cargo's own lines and what this module does between them.
    pub progress: &'a dyn Fn(&str),
}

impl Default for BuildOptions<'_> {
    /// In silence.
    fn default() -> Self {
        BuildOptions { progress: &|_| {} }
    }
}

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The name of the package: `per-token`.
    pub name: String,
    /// Where it was written: `<target>/plans/<name>.wasm`.
    pub path: PathBuf,
    /// The component, without imports.
    pub component: Vec<u8>,
    /// How many of its bytes are the core module that the compiler made; the rest is its interface.
    pub module_bytes: usize,
}

/// Why a plan was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder holds no crate that could be a plan.
    #[error("{} is not a plan: {reason}", dir.display())]
    NotAPlan {
        /// The folder that was named.
        dir: PathBuf,
        /// What is missing in it.
        reason: String,
    },
    /// A program that building needs cannot be started.
    #[error("cannot start {program}: {source}. {hint}")]
    Start {
        /// The program.
        program: String,
        /// What the operating system says.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The compiler cannot make WebAssembly, and cannot be taught to.
    #[error(
        "Rust cannot compile for {TARGET} here: {reason}. Install that target with `rustup target add {TARGET}`; \
         a Rust that came with the operating system has a package for it (Debian: libstd-rust-dev-wasm32)"
    )]
    TargetMissing {
        /// What was tried.
        reason: String,
    },
    /// The source does not compile, or its dependencies cannot be had.
    #[error("{name} does not compile; {tool} says:\n\n{output}")]
    Compile {
        /// The package.
        name: String,
        /// What builds plans of its language.
        tool: &'static str,
        /// Everything that it said, unabridged.
        output: String,
    },
    /// It compiles, and is not a plan.
    #[error("{name} compiles, but not to a plan: {reason}")]
    NotAComponent {
        /// The package.
        name: String,
        /// Which part of the contract is missing.
        reason: String,
    },
    /// It compiles to a component that asks for something from outside.
    #[error(
        "{name} imports {}: a plan computes from its arguments alone, without clock, network or randomness. \
         in Rust, `cargo tree --target {TARGET}` shows which dependency brings them in",
        imports.join(", ")
    )]
    Imports {
        /// The package.
        name: String,
        /// The interfaces and functions that it asks for.
        imports: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl BuildError {
    /// Stable name of the case, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            BuildError::NotAPlan { .. } => "not_a_plan",
            BuildError::Start { .. } => "cannot_start",
            BuildError::TargetMissing { .. } => "target_missing",
            BuildError::Compile { .. } => "does_not_compile",
            BuildError::NotAComponent { .. } => "not_a_component",
            BuildError::Imports { .. } => "imports",
            BuildError::Io { .. } => "io",
        }
    }
}

/// Compiles the plan in `dir`: a crate (`Cargo.toml`), a package in TypeScript (`package.json`) or one in Python
/// (`pyproject.toml`); the last two are built by the tools that they name, and left at `build/plan.wasm`.
///
/// A crate becomes `<target>/plans/<name>.wasm`.
/// `<target>` is the target folder of the plan's workspace, or what `CARGO_TARGET_DIR` says. Compiling happens in
/// `<target>/plans-build`: cargo locks the folder that it builds in, and a `cargo test` that builds a plan must not
/// wait for the lock of the cargo that runs it. The component appears under its name at once or not at all, so
/// concurrent builds of one plan are safe.
pub fn build_plan(dir: &Path, options: &BuildOptions<'_>) -> Result<Built, BuildError> {
    let has = |manifest: &str| dir.join(manifest).is_file();
    if has(npm::MANIFEST) && !has("Cargo.toml") {
        return npm::build(dir, options);
    }
    if has(python::MANIFEST) && !has("Cargo.toml") {
        return python::build(dir, options);
    }
    let package = cargo::Package::find(dir)?;
    cargo::ensure_target(dir, options)?;
    let module_path = cargo::compile(&package, options)?;
    let module = fs::read(&module_path).map_err(|source| BuildError::Io {
        path: module_path,
        source,
    })?;
    let component = component::encode(&package.name, &module)?;
    let path = package
        .target_directory
        .join("plans")
        .join(format!("{}.wasm", package.name));
    write_whole(&path, &component)?;
    (options.progress)(&format!(
        "{}: {} bytes, no imports",
        path.display(),
        component.len()
    ));
    Ok(Built {
        name: package.name,
        path,
        component,
        module_bytes: module.len(),
    })
}

/// Writes beside the place and renames, so that a reader never sees half a component.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| BuildError::Io { path, source }
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let unique = WRITES.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_extension(format!("{}-{unique}.part", std::process::id()));
    fs::write(&beside, bytes).map_err(at(&beside))?;
    fs::rename(&beside, path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_crate_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = build_plan(folder.path(), &BuildOptions::default()).unwrap_err();
        assert_eq!(error.code(), "not_a_plan");
        assert!(
            error.to_string().contains(&*folder.path().to_string_lossy()),
            "{error}"
        );
    }

    #[test]
    fn compiler_output_is_shown_whole() {
        let folder = tempfile::tempdir().unwrap();
        crate_with(folder.path(), "pub fn price() -> u32 { \"free\" }");
        let error = build_plan(folder.path(), &BuildOptions::default()).unwrap_err();
        assert_eq!(error.code(), "does_not_compile");
        assert!(
            error.to_string().contains("expected `u32`, found `&str`"),
            "{error}"
        );
    }

    #[test]
    fn a_library_that_exports_no_plan_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        crate_with(folder.path(), "pub fn price() -> u32 { 1 }");
        let error = build_plan(folder.path(), &BuildOptions::default()).unwrap_err();
        assert_eq!(error.code(), "not_a_component");
        assert!(error.to_string().contains("farebox_plan::export!"), "{error}");
    }

    #[test]
    fn a_folder_in_another_language_says_what_it_lacks() {
        for (manifest, text, says) in [
            ("package.json", "{\"name\": \"sample\"}", "has no script `build`"),
            ("package.json", "{\"name\": ", "package.json: EOF while parsing"),
            (
                "pyproject.toml",
                "[project]\nname = \"sample\"\n",
                "pyproject.toml has no table [tool.farebox]",
            ),
            (
                "pyproject.toml",
                "[project]\nname = \"sample\"\n[tool.farebox]\nmodule = \"plan\"\npath = \"src\"\n",
                "unknown field `path`, expected `module` or `paths`",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(manifest), text).unwrap();
            let error = build_plan(folder.path(), &BuildOptions::default()).unwrap_err();
            assert_eq!(error.code(), "not_a_plan");
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plans/a.wasm");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    /// A crate outside any workspace, without dependencies.
    fn crate_with(folder: &Path, source: &str) {
        fs::create_dir(folder.join("src")).unwrap();
        let manifest = "[package]\nname = \"sample\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("src/lib.rs"), source).unwrap();
    }
}
