//! Building a plan in TypeScript, with the tools that its `package.json` names.
//!
//! The folder's own `npm run build` makes `build/plan.wasm`; what stands around it is done here: the contract is put where the
//! tools look for it (`build/wit/plan.wit`), dependencies are fetched where they are not there, and what came out is checked.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{BuildError, BuildOptions, Built, component, contract};

/// The file that makes a folder one of these.
pub(super) const MANIFEST: &str = "package.json";

const HINT: &str = "It comes with Node.js, version 20 or newer";

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
    let not_a_plan = |reason: String| BuildError::NotAPlan {
        dir: dir.to_path_buf(),
        reason,
    };
    let dir = &fs::canonicalize(dir).map_err(at(dir))?;
    let text = fs::read_to_string(dir.join(MANIFEST)).map_err(at(&dir.join(MANIFEST)))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| not_a_plan(format!("{MANIFEST}: {error}")))?;
    if manifest.scripts.build.is_none() {
        return Err(not_a_plan(format!(
            "{MANIFEST} has no script `build`, which makes build/plan.wasm"
        )));
    }
    let folder = dir.join("build");
    let wit = folder.join("wit");
    fs::create_dir_all(&wit).map_err(at(&wit))?;
    let _alone = alone(&folder)?;
    let path = wit.join("plan.wit");
    fs::write(&path, contract::WIT).map_err(at(&path))?;
    if !is_fetched(dir) {
        (options.progress)("fetching what package.json names");
        let install = match dir.join("package-lock.json").is_file() {
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
        npm(&manifest.name, dir, &arguments, options)?;
    }
    let path = folder.join("plan.wasm");
    let _ = fs::remove_file(&path); // an earlier one must not pass for what this build makes
    npm(&manifest.name, dir, &["run", "build"], options)?;
    let component = fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => BuildError::NotAComponent {
            name: manifest.name.clone(),
            reason: "`npm run build` left no build/plan.wasm".to_string(),
        },
        _ => at(&path)(source),
    })?;
    component::check(&manifest.name, &component)?;
    (options.progress)(&format!(
        "{}: {} bytes, no imports",
        path.display(),
        component.len()
    ));
    Ok(Built {
        name: manifest.name,
        path,
        module_bytes: component.len(),
        component,
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

/// Two builds of one folder would take each other's files away: the second waits.
fn alone(folder: &Path) -> Result<File, BuildError> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

fn npm(name: &str, dir: &Path, arguments: &[&str], options: &BuildOptions<'_>) -> Result<(), BuildError> {
    let program = std::env::var_os("NPM").unwrap_or_else(|| "npm".into());
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Start {
            program: PathBuf::from(&program).display().to_string(),
            source,
            hint: HINT,
        })?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for line in said.iter().flat_map(|text| text.lines()) {
        (options.progress)(line);
    }
    match output.status.success() {
        true => Ok(()),
        false => Err(BuildError::Compile {
            name: name.to_string(),
            tool: "npm",
            output: said.concat(),
        }),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> BuildError + use<> {
    let path = path.to_path_buf();
    move |source| BuildError::Io {
        path: path.clone(),
        source,
    }
}
