//! Plans as `farebox plan new` begins them, built once.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_runtime::{Config, Limits, Runtime};

use crate::Plan;

/// A plan, and the folder that it was built in.
pub struct Begun {
    pub language: &'static str,
    pub plan: Plan,
    pub prices: String,
    component: Vec<u8>,
    folder: PathBuf,
    _home: tempfile::TempDir,
}

/// One for all tests.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let config = Config {
            interpreted: Some(Limits::interpreted()),
            takes_interpreted: true,
            ..Config::default()
        };
        Runtime::new(config).unwrap()
    })
}

pub fn begun(language: &'static str, model: &str) -> Begun {
    let home = tempfile::tempdir().unwrap();
    // The subjects of a plan are told apart by its name.
    let name = format!("our-{model}");
    let mut new = Command::new(env!("CARGO_BIN_EXE_farebox"));
    new.current_dir(home.path()).args([
        "plan",
        "new",
        &name,
        "--language",
        language,
        "--model",
        model,
        "--json",
    ]);
    if language == "rust" {
        new.args([
            "--sdk",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk/rust"),
        ]);
    }
    let said = new.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let folder = home.path().join(&name);
    let component = built(language, &folder);
    Begun {
        language,
        plan: runtime().admit(&component).unwrap(),
        prices: fs::read_to_string(folder.join("parameters/prices.json")).unwrap(),
        component,
        folder,
        _home: home,
    }
}

fn built(language: &str, folder: &Path) -> Vec<u8> {
    // The first one fetches its tools as anybody's does; the others have them from it.
    static FETCHED: Mutex<Vec<(String, PathBuf)>> = Mutex::new(Vec::new());
    let tools = match language {
        "rust" => {
            // The versions that are at hand.
            let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
            fs::copy(lock, folder.join("Cargo.lock")).unwrap();
            return build_in_rust(folder);
        }
        "typescript" => "node_modules",
        _ => "build/tools",
    };
    let mut fetched = FETCHED.lock().unwrap();
    if let Some((_, from)) = fetched.iter().find(|(of, _)| of == language) {
        let to = folder.join(tools);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        symlink(from, to).unwrap();
        if language == "typescript" {
            // Nothing was named since they were fetched.
            let manifest = File::options()
                .append(true)
                .open(folder.join("package.json"))
                .unwrap();
            manifest.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        drop(fetched);
        return build(folder);
    }
    let component = build(folder);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("beginnings")
        .join(language);
    if kept.exists() {
        fs::remove_dir_all(&kept).unwrap();
    }
    fs::create_dir_all(kept.join(tools).parent().unwrap()).unwrap();
    move_folder(&folder.join(tools), &kept.join(tools));
    if language == "typescript" {
        // What its tools call `farebox-plan` is the folder beside them.
        move_folder(&folder.join("sdk"), &kept.join("sdk"));
    }
    fetched.push((language.to_string(), kept.join(tools)));
    component
}

/// Between file systems, too.
fn move_folder(from: &Path, to: &Path) {
    let moved = Command::new("mv").args([from, to]).status().unwrap();
    assert!(moved.success(), "{} to {}", from.display(), to.display());
}

/// Beside the other plans' builds, so that dependencies are compiled once.
fn build_in_rust(folder: &Path) -> Vec<u8> {
    let farebox = Path::new(env!("CARGO_BIN_EXE_farebox"));
    let target = farebox.ancestors().nth(2).unwrap();
    let said = Command::new(farebox)
        .args(["plan", "build"])
        .arg(folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let name = folder.file_name().unwrap().to_str().unwrap();
    fs::read(target.join(format!("plans/{name}.wasm"))).unwrap()
}

fn build(folder: &Path) -> Vec<u8> {
    build_plan(folder, &BuildOptions::default())
        .unwrap_or_else(|error| panic!("{error}"))
        .component
}

impl Begun {
    pub fn scenario_holds(&self) {
        let folder = self.folder.join("scenarios");
        let mut files = 0;
        for file in fs::read_dir(&folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let subject = Subject {
                runtime: runtime(),
                component: &self.component,
                parameters: &self.prices,
                folder: &folder,
            };
            let report = run(&subject, &Scenario::parse(&text).unwrap(), &text).unwrap();
            for step in report.steps {
                let place = format!("{} {}: {}", self.language, step.line, step.action);
                assert_eq!(step.problems, Vec::<String>::new(), "{place}");
            }
            files += 1;
        }
        assert_eq!(files, 1);
    }
}
