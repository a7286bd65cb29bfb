//! Finding the crate, the target and the compiler, and running them.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{BuildError, BuildOptions, MEMORY_BYTES, PROFILE, STACK_BYTES, TARGET};

/// [`PROFILE`] for workspaces that do not define one: what the root manifest of Farebox says, setting by setting.
const PROFILE_SETTINGS: [&str; 8] = [
    "inherits=\"release\"",
    "opt-level=3",
    "lto=\"fat\"",
    "codegen-units=1",
    "panic=\"abort\"",
    "strip=true",
    "debug=false",
    "overflow-checks=true", // a wrapped amount is worse than a trap
];

/// A library crate that may be a plan.
pub(super) struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest, absolute.
    manifest: PathBuf,
    /// The workspace that it belongs to.
    workspace_root: PathBuf,
    /// Where that workspace builds, or what `CARGO_TARGET_DIR` says.
    pub target_directory: PathBuf,
}

/// The part of `cargo metadata` that is needed here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<MetadataTarget>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    kind: Vec<String>,
}

impl Package {
    /// The crate whose manifest is in `dir`.
    pub(super) fn find(dir: &Path) -> Result<Package, BuildError> {
        let not_a_plan = |reason: String| BuildError::NotAPlan {
            dir: dir.to_path_buf(),
            reason,
        };
        let manifest = fs::canonicalize(dir.join("Cargo.toml"))
            .map_err(|_| not_a_plan("there is neither a Cargo.toml nor a package.json in it".to_string()))?;
        let mut command = cargo();
        command
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(&manifest);
        let output = command.output().map_err(cannot_start_cargo)?;
        if !output.status.success() {
            return Err(not_a_plan(
                String::from_utf8_lossy(&output.stderr).trim().to_string(),
            ));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| {
            not_a_plan(format!(
                "`cargo metadata` answers in a way not understood: {error}"
            ))
        })?;
        let package = metadata
            .packages
            .into_iter()
            .find(|package| fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == manifest))
            .ok_or_else(|| {
                not_a_plan("it is a workspace; name the folder of one of its crates".to_string())
            })?;
        let is_library = |target: &MetadataTarget| {
            target
                .kind
                .iter()
                .any(|kind| matches!(kind.as_str(), "lib" | "rlib" | "cdylib"))
        };
        if !package.targets.iter().any(is_library) {
            return Err(not_a_plan(format!("{} has no src/lib.rs", package.name)));
        }
        Ok(Package {
            name: package.name,
            manifest,
            workspace_root: metadata.workspace_root,
            target_directory: metadata.target_directory,
        })
    }

    /// Whether the author's workspace has settled how plans are optimised.
    fn defines_profile(&self) -> bool {
        fs::read_to_string(self.workspace_root.join("Cargo.toml"))
            .ok()
            .and_then(|text| text.parse::<toml::Table>().ok())
            .and_then(|manifest| Some(manifest.get("profile")?.get(PROFILE).is_some()))
            .unwrap_or(false)
    }
}

/// Adds the target where it is missing. Runs in the plan's folder, so that its `rust-toolchain.toml` counts.
pub(super) fn ensure_target(dir: &Path, options: &BuildOptions<'_>) -> Result<(), BuildError> {
    if has_target(dir)? {
        return Ok(());
    }
    (options.progress)(&format!(
        "adding the Rust target {TARGET} (`rustup target add {TARGET}`)"
    ));
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(dir)
        .output();
    let output = added.map_err(|error| BuildError::TargetMissing {
        reason: format!("the target is not installed, and rustup cannot be started ({error})"),
    })?;
    if output.status.success() && has_target(dir)? {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(BuildError::TargetMissing {
        reason: format!("rustup could not add it ({})", said.trim()),
    })
}

/// Whether the standard library is there for the target.
fn has_target(dir: &Path) -> Result<bool, BuildError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .output()
        .map_err(|source| BuildError::Start {
            program: rustc.to_string_lossy().into_owned(),
            source,
            hint: "Install Rust from https://rustup.rs",
        })?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(output.status.success() && folder.is_dir())
}

/// One line of `cargo rustc --message-format json`; other kinds of lines have neither field.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Compiles to a core module and says where it is.
pub(super) fn compile(package: &Package, options: &BuildOptions<'_>) -> Result<PathBuf, BuildError> {
    let mut command = cargo();
    // `rustc --crate-type` rather than `build`, so that a plan's manifest needs no `crate-type`.
    command
        .args([
            "rustc",
            "--lib",
            "--crate-type",
            "cdylib",
            "--target",
            TARGET,
            "--profile",
            PROFILE,
        ])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(&package.manifest)
        .arg("--target-dir")
        .arg(package.target_directory.join("plans-build"))
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(package).join("\u{1f}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !package.defines_profile() {
        for setting in PROFILE_SETTINGS {
            command.args(["--config", &format!("profile.{PROFILE}.{setting}")]);
        }
    }
    let mut child = command.spawn().map_err(cannot_start_cargo)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Both pipes are emptied at once: a full one would stop cargo.
    let messages = std::thread::spawn(move || {
        let mut text = String::new();
        stdout
            .map(|mut pipe| pipe.read_to_string(&mut text))
            .transpose()
            .map(|_| text)
    });
    let mut said = String::new();
    for line in stderr
        .into_iter()
        .flat_map(|pipe| BufReader::new(pipe).lines())
        .map_while(Result::ok)
    {
        (options.progress)(&line);
        said.push_str(&line);
        said.push('\n');
    }
    let failed = |output: String| BuildError::Compile {
        tool: "cargo",
        name: package.name.clone(),
        output,
    };
    let status = child
        .wait()
        .map_err(|error| failed(format!("{said}(cargo was lost: {error})")))?;
    let messages = messages.join().ok().and_then(Result::ok).unwrap_or_default();
    if !status.success() {
        return Err(failed(said));
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.manifest_path.as_deref() == Some(&package.manifest))
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .ok_or_else(|| failed(format!("{said}(cargo succeeded without naming a .wasm file)")))
}

/// What every plan is linked with. These replace the flags of the author's environment, because a plan is identified
/// by its bytes and they should depend on its source: for the same reason, no path of the machine stays in it.
fn rustflags(package: &Package) -> Vec<String> {
    let mut flags = vec![
        format!("-Clink-arg=-zstack-size={STACK_BYTES}"),
        format!("-Clink-arg=--initial-memory={MEMORY_BYTES}"),
        format!("-Clink-arg=--max-memory={MEMORY_BYTES}"),
        format!("--remap-path-prefix={}=plan", package.workspace_root.display()),
    ];
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    let explicit = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    explicit.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// The cargo that runs us, if one does, so that a nested build uses the same toolchain.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    // Set by the outer cargo for its own purposes; they would change what this one builds.
    let of_outer = [
        "CARGO_BUILD_TARGET",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
    ];
    for name in of_outer {
        command.env_remove(name);
    }
    command
}

fn cannot_start_cargo(source: std::io::Error) -> BuildError {
    BuildError::Start {
        program: "cargo".to_string(),
        source,
        hint: "Install Rust from https://rustup.rs",
    }
}
