//! Builds the standard plans, so that the program carries them: whoever runs it needs no compiler and no file.

use std::path::{Path, PathBuf};
use std::{env, fs};

use farebox_build::{BuildOptions, build_plan};

/// In the order in which they are listed.
const PLANS: [&str; 5] = [
    "per-token",
    "credits",
    "hybrid",
    "seats-plus-credits",
    "per-outcome",
];
/// What they are made from, besides their own folders.
///
/// All of it is there: what is missing counts as changed with every build, and everything behind it is linked again.
const SOURCES: [&str; 4] = ["guest-sdk/rust", "host/money", "wit", "Cargo.lock"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for source in SOURCES {
        assert!(root.join(source).exists(), "{source} is gone: see SOURCES");
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    for plan in PLANS {
        let folder = root.join("example-plans").join(plan);
        println!("cargo::rerun-if-changed={}", folder.display());
        let built = build_plan(&folder, &BuildOptions::default())?;
        fs::write(out.join(format!("{plan}.wasm")), built.component)?;
    }
    Ok(())
}
