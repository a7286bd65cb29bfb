//! `farebox plan new`: a plan that builds and passes its scenario, to change from there.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use farebox_standard::StandardPlan;
use serde_json::json;

use super::beginning::{Language, Model, files, is_of_sdk};
use super::source::named;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Where the SDK is when no folder is named.
const SDK: &str = "git = \"https://github.com/farebox/farebox\"";

/// The files of a folder for a standard plan, but for its parameters.
const STANDARD_FILES: [(&str, &str); 2] = [
    ("plan.toml", include_str!("template/standard-plan.toml.in")),
    (
        "scenarios/start.toml",
        include_str!("template/standard-start.toml.in"),
    ),
];

/// See [`super::PlanCommand::New`].
#[derive(Debug, Args)]
pub struct New {
    /// Folder to make; its name is the plan's
    folder: PathBuf,
    /// Use this standard plan, with its example parameters to be edited
    #[arg(long, value_name = "NAME", conflicts_with = "sdk")]
    standard: Option<String>,
    /// In which language the plan is written
    #[arg(
        long,
        value_name = "LANGUAGE",
        default_value = "rust",
        conflicts_with = "standard"
    )]
    language: Language,
    /// By which model it sells
    #[arg(
        long,
        value_name = "MODEL",
        default_value = "per-token",
        conflicts_with = "standard"
    )]
    model: Model,
    /// Folder of the SDK for Rust (guest-sdk/rust of Farebox) [default: fetched from its repository]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

impl New {
    /// Makes the folder, which must not be there yet.
    pub fn run(&self) -> Result<Output, Failure> {
        let name = name_of(&self.folder)?;
        let standard = self.standard.as_deref().map(named).transpose()?;
        let sdk = match &self.sdk {
            None => SDK.to_string(),
            Some(path) => {
                let path = path
                    .canonicalize()
                    .map_err(|error| Failure::io("cannot use the SDK in", path, &error))?;
                format!("path = {}", json!(path.display().to_string()))
            }
        };
        if self.folder.exists() {
            return Err(Failure::new(
                Exit::Refused,
                "exists",
                format!("{} is there already", self.folder.display()),
            )
            .hint("name a folder that is not there yet"));
        }
        if let Some(standard) = standard {
            return self.standard(&name, standard);
        }
        let files = files(self.language, self.model);
        for (file, template) in &files {
            // Braces in the SDK mean something else.
            match is_of_sdk(file) {
                true => self.write(file, template)?,
                false => self.write(file, &template.replace("{name}", &name).replace("{sdk}", &sdk))?,
            }
        }
        let folder = self.folder.display();
        let text = format!(
            "{folder} holds a plan with its price list and a scenario.\n\nNext:\n  \
             farebox plan test {folder}      # builds it and runs its scenarios\n  \
             farebox plan push {folder} --activate"
        );
        let files: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
        Ok(Output::new(
            text,
            json!({ "name": name, "folder": self.folder, "files": files }),
        ))
    }

    /// A folder with nothing but parameters and a scenario.
    fn standard(&self, name: &str, plan: &StandardPlan) -> Result<Output, Failure> {
        for (file, template) in STANDARD_FILES {
            let text = template.replace("{name}", name).replace("{standard}", plan.name);
            self.write(file, &text)?;
        }
        self.write("parameters/prices.json", plan.example)?;
        self.write("parameters.schema.json", plan.schema)?;
        let (folder, standard) = (self.folder.display(), plan.name);
        let read = format!("farebox plan standard {standard}");
        let test = format!("farebox plan test {folder}");
        let width = read.len().max(test.len());
        let text = format!(
            "{folder} holds the price list of a {standard} plan and a scenario.\n\nNext:\n  \
             {read:width$}      # what it reads and how it charges\n  \
             {test:width$}      # runs its scenarios\n  \
             farebox plan push {folder} --activate"
        );
        let files = [
            "plan.toml",
            "parameters/prices.json",
            "parameters.schema.json",
            "scenarios/start.toml",
        ];
        Ok(Output::new(
            text,
            json!({ "name": name, "folder": self.folder, "standard": standard, "files": files }),
        ))
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(file);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(|error| Failure::io("cannot make", folder, &error))?;
        fs::write(&path, text).map_err(|error| Failure::io("cannot write", &path, &error))
    }
}

/// The folder's own name, which must be one that a crate can have.
fn name_of(folder: &Path) -> Result<String, Failure> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let letters = name
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if letters
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
    {
        return Ok(name.to_string());
    }
    Err(Failure::usage(format!("{name:?} cannot be the name of a plan"))
        .hint("a name has small letters, digits and hyphens, and begins with a letter: my-plan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_there_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let new = New {
            folder: folder.path().join("my-plan"),
            standard: None,
            language: Language::Rust,
            model: Model::PerToken,
            sdk: None,
        };
        new.run().unwrap();
        let manifest = fs::read_to_string(new.folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("name = \"my-plan\"") && manifest.contains("github.com"),
            "{manifest}"
        );
        assert_eq!(new.run().unwrap_err().code, "exists");
    }

    #[test]
    fn a_plan_in_another_language_has_its_sdk_beside_it() {
        for (language, sources, place, manifest) in [
            (Language::Typescript, "typescript/src", "sdk/src", "package.json"),
            (
                Language::Python,
                "python/farebox_plan",
                "sdk/farebox_plan",
                "pyproject.toml",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let new = New {
                folder: folder.path().join("my-plan"),
                standard: None,
                language,
                model: Model::PerToken,
                sdk: None,
            };
            new.run().unwrap();
            let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk");
            for source in fs::read_dir(sdk.join(sources)).unwrap() {
                let source = source.unwrap();
                if source.path().is_dir() {
                    continue; // what Python compiled beside its sources
                }
                let written = new.folder.join(place).join(source.file_name());
                assert_eq!(
                    fs::read(source.path()).unwrap(),
                    fs::read(&written).unwrap(),
                    "{}",
                    written.display()
                );
            }
            let manifest = fs::read_to_string(new.folder.join(manifest)).unwrap();
            let named = manifest.replace("\"name\": ", "name = ");
            assert!(named.contains("name = \"my-plan\""), "{manifest}");
        }
    }

    #[test]
    fn a_folder_for_each_standard_plan_is_ready_to_be_tested() {
        for plan in farebox_standard::PLANS {
            let home = tempfile::tempdir().unwrap();
            let new = New {
                folder: home.path().join("ours"),
                standard: Some(plan.name.to_string()),
                language: Language::Rust,
                model: Model::PerToken,
                sdk: None,
            };
            new.run().unwrap();
            let source = crate::plan::source::Source::find(&new.folder).unwrap();
            assert_eq!(source.component().unwrap().name, "ours");
            let parameters = fs::read_to_string(source.parameters().unwrap()).unwrap();
            assert_eq!(parameters, plan.example);
        }
    }

    #[test]
    fn names_that_no_crate_can_have_are_refused() {
        for bad in ["My-Plan", "1plan", "a b", "..", "x/"] {
            let named = name_of(Path::new(bad));
            assert!(named.is_err() || bad == "x/", "{bad}");
        }
    }
}
