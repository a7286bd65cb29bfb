//! The Rust guest, built when a test first asks for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, bail};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// Components built by this process, by features.
static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// The guest as a component, with the cargo features given.
///
/// # Errors
/// When cargo or rustup fails; the message holds what they said.
pub fn hostile(features: &str) -> anyhow::Result<Vec<u8>> {
    let mut built = BUILT
        .lock()
        .map_err(|_| anyhow::anyhow!("another test failed while it built the guest"))?;
    if let Some(component) = built.get(features) {
        return Ok(component.clone());
    }
    let component = encode(&module(features)?)?;
    built.insert(features.to_string(), component.clone());
    Ok(component)
}

/// Wraps a core module that carries its interface.
///
/// # Errors
/// When it is no module, or does not fit its interface.
pub fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .module(module)?
        .validate(true)
        .encode()
}

/// The guest as a core module.
///
/// # Errors
/// As [`hostile`].
pub fn module(features: &str) -> anyhow::Result<Vec<u8>> {
    ensure_target()?;
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    let target = target_dir().join(if features.is_empty() { "plain" } else { features });
    // The linker flags stand in guests/.cargo/config.toml, which RUSTFLAGS would silently replace.
    run(Command::new("cargo")
        .current_dir(&guests)
        .args([
            "build",
            "--release",
            "--quiet",
            "--target",
            TARGET,
            "--features",
            features,
            "--target-dir",
        ])
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET"))?;
    let path = target.join(TARGET).join("release/hostile_guest.wasm");
    std::fs::read(&path).with_context(|| format!("cargo did not leave {}", path.display()))
}

/// Beside the host's own build, so that cargo does not wait for the cargo that runs the tests.
pub(crate) fn target_dir() -> PathBuf {
    let host = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    host.unwrap_or(root).join("hostile-guests")
}

/// Adds the target when rustup says that it is missing. Without rustup, cargo says what is wrong.
fn ensure_target() -> anyhow::Result<()> {
    let Ok(listed) = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output()
    else {
        return Ok(());
    };
    if String::from_utf8_lossy(&listed.stdout)
        .lines()
        .any(|line| line == TARGET)
    {
        return Ok(());
    }
    println!("adding the Rust target {TARGET} with rustup");
    run(Command::new("rustup").args(["target", "add", TARGET]))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} does not start"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
