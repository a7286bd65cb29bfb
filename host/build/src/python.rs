//! Building a plan in Python, with the tools that its `requirements.txt` names.
//!
//! `pyproject.toml` says which module exports the plan, and where modules are looked for. The tools (`componentize-py`) are
//! fetched by pip into `build/tools`, beside the machine's own packages and not among them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::folder::{Folder, at, manifest, not_a_plan};
use crate::tool::Tool;
use crate::{BuildError, BuildOptions, Built};

/// The file that makes a folder one of these.
pub(super) const MANIFEST: &str = "pyproject.toml";

/// What building needs, with versions.
const REQUIREMENTS: &str = "requirements.txt";

/// The part of `pyproject.toml` that is needed here.
#[derive(Deserialize)]
struct Manifest {
    project: Project,
    #[serde(default)]
    tool: Tools,
}

#[derive(Deserialize)]
struct Project {
    name: String,
}

#[derive(Deserialize, Default)]
struct Tools {
    farebox: Option<Settings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The module that has the class `Pricing`.
    module: String,
    /// Folders of modules.
    paths: Vec<String>,
}

/// Builds the plan in `dir` and leaves it at `build/plan.wasm` in there.
pub(super) fn build(dir: &Path, options: &BuildOptions<'_>) -> Result<Built, BuildError> {
    let manifest: Manifest = manifest(dir, MANIFEST, |text| toml::from_str(text))?;
    let Some(settings) = &manifest.tool.farebox else {
        let wanted = "it names the `module` of the plan and the `paths` of its modules";
        return Err(not_a_plan(
            dir,
            format!("{MANIFEST} has no table [tool.farebox]: {wanted}"),
        ));
    };
    let path = dir.join(REQUIREMENTS);
    let wanted = fs::read_to_string(&path).map_err(at(&path))?;
    let folder = Folder::open(dir, &manifest.project.name)?;
    let python = Tool {
        program: "python3",
        chosen_by: "PYTHON",
        hint: "Python 3.10 or newer with pip builds such plans",
        plan: &manifest.project.name,
        dir: folder.dir(),
    };
    let tools = folder.dir().join("build/tools");
    let fetched = tools.join(REQUIREMENTS);
    if fs::read_to_string(&fetched).ok().as_deref() != Some(&*wanted) {
        (options.progress)("fetching what requirements.txt names");
        let _ = fs::remove_dir_all(&tools);
        let quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
        // Isolated, so that no module of the plan stands before those of pip.
        let what = [
            "-I",
            "-m",
            "pip",
            "install",
            "--target",
            "build/tools",
            "-r",
            REQUIREMENTS,
        ];
        python.run(&[&what[..], &quiet].concat(), &[], options)?;
        fs::write(&fetched, &wanted).map_err(at(&fetched))?;
    }
    let mut arguments = vec![
        "build/tools/bin/componentize-py",
        "--quiet",
        "-d",
        "build/wit",
        "-w",
        "plan",
    ];
    // Without WASI a plan has no clock, no files and no randomness but what was there when it was built.
    arguments.extend([
        "componentize",
        "--stub-wasi",
        &settings.module,
        "-o",
        "build/plan.wasm",
    ]);
    arguments.extend(settings.paths.iter().flat_map(|path| ["-p", path]));
    let modules: Vec<PathBuf> = (settings.paths.iter().map(|path| folder.dir().join(path))).collect();
    folder.built("componentize-py", options, || {
        // CPython knows a module that it compiled before by the second and the length of its source: a price that is changed
        // twice within a second would be the old one. And what it leaves beside the sources is not the author's.
        modules.iter().for_each(|folder| forget_compiled(folder));
        // Where in the tool a mistake of the plan shows says nothing to its author.
        let environment = [("PYTHONPATH", &*tools), ("RUST_BACKTRACE", Path::new("0"))];
        let ran = python.run(&arguments, &environment, options);
        modules.iter().for_each(|folder| forget_compiled(folder));
        ran
    })
}

/// Removes what CPython compiled of the modules in a folder. What cannot be removed cannot be written either.
fn forget_compiled(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match (is_folder, entry.file_name().to_str()) {
            (true, Some("__pycache__")) => drop(fs::remove_dir_all(entry.path())),
            (true, Some("build")) => {}
            (true, Some(name)) if !name.starts_with('.') => forget_compiled(&entry.path()),
            _ => {}
        }
    }
}
