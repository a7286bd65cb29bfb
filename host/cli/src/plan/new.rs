//! `farebox plan new`: a plan that builds and passes its scenario, to change from there.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use farebox_standard::StandardPlan;
use serde_json::json;

use super::source::named;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Where the SDK is when no folder is named.
const SDK: &str = "git = \"https://github.com/farebox/farebox\"";

/// A file of the SDK for TypeScript.
macro_rules! sdk {
    ($path:literal) => {
        include_str!(concat!("../../../../guest-sdk/typescript/", $path))
    };
}

/// Where each file goes, and what is in it.
type Files = [(&'static str, &'static str)];

/// The files of a new plan in Rust that sells by one model.
macro_rules! rust_files {
    ($model:literal, $prices:literal, $scenario:literal, $name:literal) => {
        &[
            ("Cargo.toml", include_str!("template/rust/Cargo.toml.in")),
            (
                "src/lib.rs",
                include_str!(concat!("template/rust/", $model, "/lib.rs.in")),
            ),
            (
                "parameters.schema.json",
                include_str!(concat!("template/rust/", $model, "/parameters.schema.json.in")),
            ),
            ("plan.toml", include_str!("template/plan.toml.in")),
            (
                "parameters/prices.json",
                include_str!(concat!("template/", $prices)),
            ),
            (
                concat!("scenarios/", $name),
                include_str!(concat!("template/", $scenario)),
            ),
        ]
    };
}

/// By which model a plan sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// A price per million tokens
    PerToken,
    /// Packs of prepaid credits that expire; actions cost credits
    Credits,
    /// A fee with included credits, of which some roll over; dollars beyond them
    Hybrid,
    /// A price for what came of a conversation, given back where somebody objects
    PerOutcome,
    /// A fee for each seat, with credits that all seats share
    SeatsPlusCredits,
}

impl Model {
    fn rust(self) -> &'static Files {
        match self {
            Model::PerToken => {
                rust_files!(
                    "per-token",
                    "prices.json.in",
                    "scenario.toml.in",
                    "first-call.toml"
                )
            }
            Model::Credits => rust_files!(
                "credits",
                "rust/credits/prices.json.in",
                "rust/credits/scenario.toml.in",
                "first-pack.toml"
            ),
            Model::Hybrid => rust_files!(
                "hybrid",
                "rust/hybrid/prices.json.in",
                "rust/hybrid/scenario.toml.in",
                "first-months.toml"
            ),
            Model::PerOutcome => rust_files!(
                "per-outcome",
                "rust/per-outcome/prices.json.in",
                "rust/per-outcome/scenario.toml.in",
                "first-outcome.toml"
            ),
            Model::SeatsPlusCredits => rust_files!(
                "seats-plus-credits",
                "rust/seats-plus-credits/prices.json.in",
                "rust/seats-plus-credits/scenario.toml.in",
                "third-seat.toml"
            ),
        }
    }
}

/// The files of a new plan in TypeScript. The SDK comes with the program, so it is written beside the plan.
const TYPESCRIPT_FILES: [(&str, &str); 15] = [
    (
        "package.json",
        include_str!("template/typescript/package.json.in"),
    ),
    ("tsconfig.json", sdk!("example/tsconfig.json")),
    ("src/plan.ts", include_str!("template/typescript/plan.ts.in")),
    (".gitignore", include_str!("template/typescript/gitignore.in")),
    ("plan.toml", include_str!("template/plan.toml.in")),
    ("parameters/prices.json", include_str!("template/prices.json.in")),
    (
        "scenarios/first-call.toml",
        include_str!("template/scenario.toml.in"),
    ),
    ("sdk/package.json", sdk!("package.json")),
    ("sdk/src/bytes.ts", sdk!("src/bytes.ts")),
    ("sdk/src/contract.ts", sdk!("src/contract.ts")),
    ("sdk/src/index.ts", sdk!("src/index.ts")),
    ("sdk/src/json.ts", sdk!("src/json.ts")),
    ("sdk/src/nanos.ts", sdk!("src/nanos.ts")),
    ("sdk/src/parameters.ts", sdk!("src/parameters.ts")),
    ("sdk/src/plan.ts", sdk!("src/plan.ts")),
];

/// A file of the SDK for Python.
macro_rules! python_sdk {
    ($path:literal) => {
        include_str!(concat!("../../../../guest-sdk/python/", $path))
    };
}

/// The files of a new plan in Python, with its SDK beside it.
const PYTHON_FILES: [(&str, &str); 14] = [
    (
        "pyproject.toml",
        include_str!("template/python/pyproject.toml.in"),
    ),
    ("requirements.txt", python_sdk!("example/requirements.txt")),
    ("src/plan.py", include_str!("template/python/plan.py.in")),
    (".gitignore", include_str!("template/python/gitignore.in")),
    ("plan.toml", include_str!("template/plan.toml.in")),
    ("parameters/prices.json", include_str!("template/prices.json.in")),
    (
        "scenarios/first-call.toml",
        include_str!("template/scenario.toml.in"),
    ),
    (
        "sdk/farebox_plan/__init__.py",
        python_sdk!("farebox_plan/__init__.py"),
    ),
    (
        "sdk/farebox_plan/encoding.py",
        python_sdk!("farebox_plan/encoding.py"),
    ),
    ("sdk/farebox_plan/nanos.py", python_sdk!("farebox_plan/nanos.py")),
    (
        "sdk/farebox_plan/parameters.py",
        python_sdk!("farebox_plan/parameters.py"),
    ),
    ("sdk/farebox_plan/plan.py", python_sdk!("farebox_plan/plan.py")),
    (
        "sdk/farebox_plan/reading.py",
        python_sdk!("farebox_plan/reading.py"),
    ),
    (
        "sdk/farebox_plan/session.py",
        python_sdk!("farebox_plan/session.py"),
    ),
];

/// In which language a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// With `cargo`; the fastest, and what the standard plans are written in
    Rust,
    /// With `npm`; carries its language's runtime, some hundred times slower
    Typescript,
    /// With `pip`; the same, and larger and slower still
    Python,
}

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
    /// By which model it sells; in TypeScript and Python per token
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
        let files: &Files = match (self.language, self.model) {
            (Language::Rust, model) => model.rust(),
            (Language::Typescript, Model::PerToken) => &TYPESCRIPT_FILES,
            (Language::Python, Model::PerToken) => &PYTHON_FILES,
            (Language::Typescript | Language::Python, _) => {
                return Err(Failure::usage(
                    "plans of this model begin in Rust; in TypeScript and Python there is a beginning per token",
                )
                .hint("leave `--language` or `--model` away"));
            }
        };
        for (file, template) in files {
            // The SDK is written as it is: braces in it mean something else.
            match file.starts_with("sdk/") {
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
