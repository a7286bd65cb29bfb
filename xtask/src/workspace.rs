//! Where the repository is, and programs that run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::terminal::Part;

/// What plans compile to.
pub const PLAN_TARGET: &str = "wasm32-unknown-unknown";

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a program to its end; its output is shown on stderr, since stdout is ours. An error names the command.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    let stdout = std::io::stderr();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(
            std::os::fd::AsFd::as_fd(&stdout).try_clone_to_owned()?,
        ))
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a program to its end and gives its stdout; an error carries its stderr.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if !output.status.success() {
        bail!(
            "`{shown}` failed ({}):\n{}\n{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    Ok(text(&output.stdout))
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Teaches the compiler to make plans, where it cannot yet. Says so when it has to.
pub fn ensure_plan_target() -> anyhow::Result<()> {
    let sysroot = output(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(root()),
    )?;
    let libraries = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(PLAN_TARGET)
        .join("lib");
    if libraries.is_dir() {
        return Ok(());
    }
    eprintln!("    the target {PLAN_TARGET} is missing: adding it with rustup");
    run(Command::new("rustup")
        .args(["target", "add", PLAN_TARGET])
        .current_dir(root()))
    .with_context(|| {
        format!("plans are compiled for {PLAN_TARGET}; install that target, then run this again")
    })
}

/// What cargo is asked for. Each is one call: packages that are built together share their dependencies' features, so
/// that nothing large is compiled twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Every test of the workspace, and the programs that they start; not optimised.
    Tests,
    /// The `farebox` program, optimised.
    Farebox,
    /// The same with the load generator, both as they are shipped.
    Bench,
    /// The simulator; not optimised, with every check.
    Sim,
}

impl Build {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Build::Tests => &["test", "--workspace", "--no-run"],
            Build::Farebox => &["build", "--release", "--package", "farebox-cli"],
            Build::Bench => &[
                "build",
                "--profile",
                "dist",
                "--package",
                "farebox-cli",
                "--package",
                "farebox-bench",
            ],
            Build::Sim => &["build", "--package", "farebox-sim"],
        }
    }

    /// The folder of the target folder that the programs are in.
    fn folder(self) -> &'static str {
        match self {
            Build::Tests | Build::Sim => "debug",
            Build::Farebox => "release",
            Build::Bench => "dist",
        }
    }

    /// Where a program is once it was built.
    pub fn program(self, name: &str) -> anyhow::Result<PathBuf> {
        let path = target_dir().join(self.folder()).join(name);
        if !path.is_file() {
            bail!("cargo built {name}, but {} is not there", path.display());
        }
        Ok(path)
    }
}

/// Builds, and gives the path of the `farebox` program. Cargo's own progress is shown.
pub fn build(what: Build) -> anyhow::Result<PathBuf> {
    build_program(what, "farebox")
}

/// Builds, and gives the path of one of its programs. Cargo's own progress is shown.
pub fn build_program(what: Build, name: &str) -> anyhow::Result<PathBuf> {
    let part = Part::announced(match what {
        Build::Tests => "building farebox and the tests",
        Build::Farebox => "building farebox",
        Build::Bench => "building farebox and the load generator",
        Build::Sim => "building the simulator",
    });
    run(cargo().args(what.arguments()))?;
    part.done();
    what.program(name)
}

/// Builds a plan of `example-plans/` with `farebox plan build` and gives the path of the component.
pub fn build_plan(farebox: &Path, name: &str) -> anyhow::Result<PathBuf> {
    build_plan_in(farebox, &root().join("example-plans").join(name))
}

/// The same of a plan in any folder.
pub fn build_plan_in(farebox: &Path, source: &Path) -> anyhow::Result<PathBuf> {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let part = Part::announced(&format!("building the plan {name}"));
    run(Command::new(farebox)
        .args(["plan", "build"])
        .arg(source)
        .current_dir(root()))?;
    part.done();
    let path = target_dir().join("plans").join(format!("{name}.wasm"));
    if !path.is_file() {
        bail!(
            "`farebox plan build` ended well, but {} is not there",
            path.display()
        );
    }
    Ok(path)
}

/// The names of the example plans: every folder there with a manifest.
pub fn plans() -> anyhow::Result<Vec<String>> {
    let folders = plan_folders()?.into_iter();
    let crates = folders.filter(|folder| folder.join("Cargo.toml").is_file());
    let names = crates.filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
    Ok(names.collect())
}

/// Folders of all example plans, in order of name: those with code of their own, and products that are priced with a standard
/// plan.
pub fn plan_folders() -> anyhow::Result<Vec<PathBuf>> {
    let folder = root().join("example-plans");
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.join("plan.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}
