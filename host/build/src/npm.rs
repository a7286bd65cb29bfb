//! Building a plan in TypeScript, with the tools that its `package.json` names.
//!
//! The folder's own `npm run build` makes `build/plan.wasm`; what stands around it is done here: the contract is put where the
//! tools look for it (`build/wit/plan.wit`), dependencies are fetched where they are not there, and what came out is checked.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::folder::{Folder, manifest, not_a_plan};
use crate::tool::Tool;
use crate::{BuildError, BuildOptions, Built};

/// The file that makes a folder one of these.
pub(super) const MANIFEST: &str = "package.json";

/// The part of `package.json` that is needed here.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    #[serde(default)]
    scripts: Scripts,
}

#[derive(Deserialize, Default)]
struct Scripts {
    build: Option<String>,
}

/// Builds the plan in `dir` and leaves it at `build/plan.wasm` in there.
pub(super) fn build(dir: &Path, options: &BuildOptions<'_>) -> Result<Built, BuildError> {
    let manifest: Manifest = manifest(dir, MANIFEST, |text| serde_json::from_str(text))?;
    if manifest.scripts.build.is_none() {
        return Err(not_a_plan(
            dir,
            format!("{MANIFEST} has no script `build`, which makes build/plan.wasm"),
        ));
    }
    let folder = Folder::open(dir, &manifest.name)?;
    let npm = Tool {
        program: "npm",
        chosen_by: "NPM",
        hint: "It comes with Node.js, version 20 or newer",
        plan: &manifest.name,
        dir: folder.dir(),
    };
    if !is_fetched(folder.dir()) {
        (options.progress)("fetching what package.json names");
        let install = match folder.dir().join("package-lock.json").is_file() {
            true => "ci",
            false => "install",
        };
        // What a package would run when it is installed is not needed to build, so nothing is run.
        // What builds stands among the tools for development, which some environments leave out.
        let arguments = [
            install,
            "--include=dev",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ];
        npm.run(&arguments, &[], options)?;
    }
    folder.built("npm run build", options, || {
        npm.run(&["run", "build"], &[], options)
    })
}

/// Whether all that the folder names is there: npm leaves a list of it when it is done, which is older than what names
/// something else since.
fn is_fetched(dir: &Path) -> bool {
    let saved = |path: &str| fs::metadata(dir.join(path)).and_then(|file| file.modified()).ok();
    let named = [MANIFEST, "package-lock.json"]
        .into_iter()
        .filter_map(saved)
        .max();
    saved("node_modules/.package-lock.json").is_some_and(|fetched| named <= Some(fetched))
}
