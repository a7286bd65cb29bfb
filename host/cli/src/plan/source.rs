//! What a plan command works on: a folder with a plan in it, a component that was built before, or a standard plan.

use std::fs;
use std::path::{Path, PathBuf};

use farebox_kit::build::{BuildError, BuildOptions, Built, build_plan};
use farebox_standard::StandardPlan;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::progress;

/// `plan.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The plan's name on a server.
    pub name: Option<String>,
    /// A folder that is built, or a component; beside the file. Or a plan that this program carries: `standard:credits`.
    pub component: Option<PathBuf>,
    /// Parameters; beside the file.
    pub parameters: Option<PathBuf>,
    /// Folder with scenarios; beside the file.
    pub scenarios: Option<PathBuf>,
}

/// A plan on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where `plan.toml` is, or the component.
    folder: PathBuf,
    file: PlanFile,
    /// Built already.
    component: Option<PathBuf>,
    /// Carried by this program.
    standard: Option<&'static StandardPlan>,
}

/// What the name of a standard plan stands behind, where a folder could stand.
const STANDARD: &str = "standard:";

/// A component, with where it is and what it is called.
#[derive(Debug, Clone)]
pub struct Component {
    /// The plan's name on a server.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Source {
    /// Looks at a path: a folder, a `.wasm` file, or `standard:` and a name.
    pub fn find(path: &Path) -> Result<Source, Failure> {
        if let Some(standard) = standard(path)? {
            return Ok(Source {
                folder: PathBuf::from("."),
                file: PlanFile::default(),
                component: None,
                standard: Some(standard),
            });
        }
        let found = fs::metadata(path).map_err(|error| not_found(path, &error))?;
        if found.is_file() {
            let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
            return Ok(Source {
                folder,
                file: PlanFile::default(),
                component: Some(path.to_path_buf()),
                standard: None,
            });
        }
        let manifest = path.join("plan.toml");
        let file = match fs::read_to_string(&manifest) {
            Ok(text) => parse(&manifest, &text)?,
            // A crate without one is a plan too; it only has nothing to say beyond its code.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => PlanFile::default(),
            Err(error) => return Err(Failure::io("cannot read", &manifest, &error)),
        };
        let standard = match &file.component {
            Some(component) => standard(component)?,
            None => None,
        };
        let beside = file.component.as_ref().map(|component| path.join(component));
        let component = beside.filter(|component| component.extension().is_some_and(|e| e == "wasm"));
        Ok(Source {
            folder: path.to_path_buf(),
            file,
            component,
            standard,
        })
    }

    /// The component, built where it is not one already.
    pub fn component(&self) -> Result<Component, Failure> {
        if let Some(standard) = self.standard {
            let name = self.file.name.clone();
            return Ok(Component {
                name: name.unwrap_or_else(|| standard.name.to_string()),
                path: PathBuf::from(format!("{STANDARD}{}", standard.name)),
                bytes: standard.component.to_vec(),
            });
        }
        let (name, path, bytes) = match &self.component {
            Some(path) => {
                let bytes = fs::read(path).map_err(|error| Failure::io("cannot read", path, &error))?;
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plan");
                (stem.to_string(), path.clone(), bytes)
            }
            None => {
                let built = self.build()?;
                (built.name, built.path, built.component)
            }
        };
        Ok(Component {
            name: self.file.name.clone().unwrap_or(name),
            path,
            bytes,
        })
    }

    /// Compiles it; what cargo says is shown while it lasts, and kept only if it fails.
    pub fn build(&self) -> Result<Built, Failure> {
        let folder = self
            .folder
            .join(self.file.component.as_deref().unwrap_or(Path::new(".")));
        let bar = progress::spinner("building");
        let told = |line: &str| bar.set_message(line.trim().to_string());
        let built = build_plan(&folder, &BuildOptions { progress: &told });
        bar.finish_and_clear();
        built.map_err(|error| of_build(&error))
    }

    /// Files and folders that it is made of.
    pub fn places(&self) -> Vec<PathBuf> {
        let code = match (&self.component, &self.standard) {
            (Some(component), _) => Some(component.clone()),
            (None, Some(_)) => None,
            // A product may be made of another folder's code.
            (None, None) => Some(
                self.folder
                    .join(self.file.component.as_deref().unwrap_or(Path::new("."))),
            ),
        };
        // Scenarios name files beside them; a component by itself has none.
        let manifest = self.folder.join("plan.toml");
        let beside = if manifest.is_file() {
            self.folder.clone()
        } else {
            manifest
        };
        let all = [Some(beside), code, self.parameters(), self.scenarios()];
        all.into_iter().flatten().collect()
    }

    /// The parameters that `plan.toml` names.
    pub fn parameters(&self) -> Option<PathBuf> {
        self.file.parameters.as_ref().map(|path| self.folder.join(path))
    }

    /// The folder with scenarios that `plan.toml` names.
    pub fn scenarios(&self) -> Option<PathBuf> {
        self.file.scenarios.as_ref().map(|path| self.folder.join(path))
    }
}

/// The standard plan that stands in the place of a path; none where it is a path.
fn standard(path: &Path) -> Result<Option<&'static StandardPlan>, Failure> {
    let Some(name) = path.to_str().and_then(|path| path.strip_prefix(STANDARD)) else {
        return Ok(None);
    };
    named(name).map(Some)
}

/// The standard plan with that name.
pub fn named(name: &str) -> Result<&'static StandardPlan, Failure> {
    farebox_standard::find(name).ok_or_else(|| {
        let names: Vec<&str> = farebox_standard::PLANS.iter().map(|plan| plan.name).collect();
        Failure::usage(format!("there is no standard plan {name:?}")).hint(format!(
            "one of {}; `farebox plan standard` says what each is for",
            names.join(", ")
        ))
    })
}

/// A path where nothing is. Who names a standard plan as one names a plan on a server is told how it is written here.
fn not_found(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::io("cannot use", path, error);
    match path.to_str().and_then(farebox_standard::find) {
        Some(plan) => failure.hint(format!(
            "the standard plan of this name is {STANDARD}{}",
            plan.name
        )),
        None => failure,
    }
}

fn parse(path: &Path, text: &str) -> Result<PlanFile, Failure> {
    toml::from_str(text).map_err(|error| {
        Failure::usage(format!("{} cannot be used", path.display())).detail(error.to_string())
    })
}

fn of_build(error: &BuildError) -> Failure {
    let exit = match error {
        BuildError::Io { .. } | BuildError::Start { .. } => Exit::Io,
        _ => Exit::Refused,
    };
    match error {
        BuildError::Compile { name, output, .. } => {
            Failure::new(exit, error.code(), format!("{name} does not compile")).detail(output)
        }
        other => Failure::new(exit, error.code(), other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_line_of_plan_toml_is_named() {
        let error = parse(Path::new("plan.toml"), "name = \"a\"\nparameter = \"x.json\"").unwrap_err();
        assert!(
            error.text().contains("unknown field `parameter`"),
            "{}",
            error.text()
        );
    }

    #[test]
    fn a_standard_plan_needs_no_file_and_no_compiler() {
        let component = Source::find(Path::new("standard:credits"))
            .unwrap()
            .component()
            .unwrap();
        assert_eq!(component.name, "credits");
        assert!(component.bytes.starts_with(b"\0asm"));
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("plan.toml"),
            "name = \"ours\"\ncomponent = \"standard:hybrid\"\nparameters = \"prices.json\"",
        )
        .unwrap();
        let source = Source::find(folder.path()).unwrap();
        assert_eq!(source.component().unwrap().name, "ours");
        assert_eq!(source.parameters(), Some(folder.path().join("prices.json")));
        let named = Source::find(Path::new("per-outcome")).unwrap_err().text();
        assert!(named.contains("this name is standard:per-outcome"), "{named}");
        let unknown = Source::find(Path::new("standard:free")).unwrap_err();
        assert!(
            unknown
                .text()
                .contains("per-token, credits, hybrid, seats-plus-credits, per-outcome"),
            "{}",
            unknown.text()
        );
    }

    #[test]
    fn a_component_stands_for_its_plan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my-plan.wasm");
        fs::write(&path, b"bytes").unwrap();
        let component = Source::find(&path).unwrap().component().unwrap();
        assert_eq!((&*component.name, &*component.bytes), ("my-plan", &b"bytes"[..]));
        fs::write(
            folder.path().join("plan.toml"),
            "name = \"other\"\ncomponent = \"my-plan.wasm\"",
        )
        .unwrap();
        let component = Source::find(folder.path()).unwrap().component().unwrap();
        assert_eq!((&*component.name, component.path), ("other", path));
    }
}
