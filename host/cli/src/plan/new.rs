//! `farebox plan new`: a plan that builds and passes its scenario, to change from there.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Where the SDK is when no folder is named.
const SDK: &str = "git = \"https://github.com/farebox/farebox\"";

/// The files of a new plan: where, and what is in them.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    (
        "parameters.schema.json",
        include_str!("template/parameters.schema.json.in"),
    ),
    ("plan.toml", include_str!("template/plan.toml.in")),
    ("parameters/prices.json", include_str!("template/prices.json.in")),
    (
        "scenarios/first-call.toml",
        include_str!("template/first-call.toml.in"),
    ),
];

/// See [`super::PlanCommand::New`].
#[derive(Debug, Args)]
pub struct New {
    /// Folder to make; its name is the plan's
    folder: PathBuf,
    /// Folder of the SDK (guest-sdk/rust of Farebox) [default: fetched from its repository]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

impl New {
    /// Makes the folder, which must not be there yet.
    pub fn run(&self) -> Result<Output, Failure> {
        let name = name_of(&self.folder)?;
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
        for (file, template) in FILES {
            let path = self.folder.join(file);
            let folder = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(folder).map_err(|error| Failure::io("cannot make", folder, &error))?;
            let text = template.replace("{name}", &name).replace("{sdk}", &sdk);
            fs::write(&path, text).map_err(|error| Failure::io("cannot write", &path, &error))?;
        }
        let folder = self.folder.display();
        let text = format!(
            "{folder} holds a plan with its price list and a scenario.\n\nNext:\n  \
             farebox plan test {folder}      # builds it and runs its scenarios\n  \
             farebox plan push {folder} --activate"
        );
        let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
        Ok(Output::new(
            text,
            json!({ "name": name, "folder": self.folder, "files": files }),
        ))
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
    fn names_that_no_crate_can_have_are_refused() {
        for bad in ["My-Plan", "1plan", "a b", "..", "x/"] {
            let named = name_of(Path::new(bad));
            assert!(named.is_err() || bad == "x/", "{bad}");
        }
    }
}
