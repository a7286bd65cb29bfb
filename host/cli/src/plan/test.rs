//! `farebox plan test`: scenarios against the component alone, without a server.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use farebox_kit::scenario::{Coverage, Report, Scenario, Subject, Trigger, run};
use farebox_record::plan::Description;
use farebox_runtime::Runtime;
use serde_json::{Value, json};

use super::source::Source;
use super::watch::{Seen, wait};
use super::{admit, read, runtime};
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{Form, Output, count, finish, say, table};

/// See [`super::PlanCommand::Test`].
#[derive(Debug, Args)]
pub struct Test {
    /// Folder of the plan, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
    /// A scenario file; may be given several times [default: all in the folder that plan.toml names]
    #[arg(long = "scenario", value_name = "FILE")]
    scenarios: Vec<PathBuf>,
    /// Parameters, where a scenario names none [default: those that plan.toml names]
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// Show every step with the fuel and the time that it took, ledger and all
    #[arg(long)]
    steps: bool,
    /// Run them again whenever the plan, its parameters or a scenario is saved, until stopped
    #[arg(long)]
    watch: bool,
}

/// What became of one scenario file.
struct Tested {
    path: PathBuf,
    /// How it ran, or why it could not.
    report: Result<Report, String>,
}

impl Test {
    /// Runs every scenario; one that fails keeps no other from running.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self.watch {
            true => self.again_and_again(Form::of(global.json)),
            false => self.once(),
        }
    }

    /// Runs them whenever something is saved. What keeps them from running is told, and is something to save too.
    fn again_and_again(&self, form: Form) -> Result<Output, Failure> {
        loop {
            // A saved plan.toml may name others.
            let places = self.places()?;
            // What is saved while they run is seen behind them.
            let seen = Seen::of(&places);
            let _ = finish(form, self.once()); // the code of the last run is nobody's
            let changed = wait(&places, &seen);
            if form == Form::Text {
                say(&format!("\n== {}", changed.display()));
            }
        }
    }

    /// Everything that a run depends on.
    fn places(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut places = Source::find(&self.path)?.places();
        places.extend(self.parameters.clone());
        places.extend(self.scenarios.iter().cloned());
        Ok(places)
    }

    fn once(&self) -> Result<Output, Failure> {
        let source = Source::find(&self.path)?;
        let files = self.files(&source)?;
        let component = source.component()?;
        let runtime = runtime()?;
        let plan = admit(&runtime, &component)?;
        let parameters = self.parameters.clone().or_else(|| source.parameters());
        let tested: Vec<Tested> = files
            .into_iter()
            .map(|path| {
                let report = test(&runtime, &component.bytes, parameters.as_deref(), &path);
                Tested { path, report }
            })
            .collect();
        let not_asked = not_asked(&tested, plan.description());
        let output = Output::new(self.text(&tested, &not_asked), json(&tested, &not_asked));
        Ok(if tested.iter().all(Tested::holds) {
            output
        } else {
            output.failed()
        })
    }

    fn files(&self, source: &Source) -> Result<Vec<PathBuf>, Failure> {
        if !self.scenarios.is_empty() {
            return Ok(self.scenarios.clone());
        }
        let folder = source.scenarios().ok_or_else(|| {
            Failure::usage("there are no scenarios to run")
                .hint("name a folder with `scenarios` in plan.toml, or files with --scenario")
        })?;
        files_in(&folder)
    }

    fn text(&self, tested: &[Tested], not_asked: &[Trigger]) -> String {
        let mut text = String::new();
        for one in tested {
            let _ = writeln!(text, "{}", self.one(one)); // writing to a String cannot fail
        }
        let failed = tested.iter().filter(|one| !one.holds()).count();
        let verdict = match failed {
            0 if tested.len() == 1 => "1 scenario holds.".to_string(),
            0 => format!("{} scenarios hold.", tested.len()),
            _ => format!("{failed} of {} failed.", count(tested.len() as u64, "scenario")),
        };
        let not_asked: Vec<String> = not_asked.iter().map(Trigger::to_string).collect();
        let coverage = match not_asked.is_empty() {
            true => "The plan was asked everything that it can be asked.".to_string(),
            false => format!("Nobody asked the plan: {}.", not_asked.join(", ")),
        };
        format!("{text}\n{verdict}\n{coverage}")
    }

    fn one(&self, tested: &Tested) -> String {
        let path = tested.path.display();
        let report = match &tested.report {
            Err(why) => {
                return format!(
                    "FAIL  {path}\n        {}",
                    why.trim_end().replace('\n', "\n        ")
                );
            }
            Ok(report) => report,
        };
        let dearest = report.steps.iter().map(|step| step.fuel).max().unwrap_or(0);
        let (word, steps) = (
            if report.holds() { "ok  " } else { "FAIL" },
            count(report.steps.len() as u64, "step"),
        );
        let mut text = format!("{word}  {path}: {steps}, at most {dearest} fuel each");
        for step in &report.steps {
            for problem in &step.problems {
                let _ = write!(text, "\n        line {} ({}): {problem}", step.line, step.action);
            }
        }
        if self.steps {
            let rows = report.steps.iter().map(|step| {
                vec![
                    step.line.to_string(),
                    step.at.to_string(),
                    step.action.to_string(),
                    step.fuel.to_string(),
                    step.took.as_micros().to_string(),
                ]
            });
            let steps = table(&["line", "at", "step", "fuel", "micros"], &[0, 3, 4], rows);
            let _ = write!(text, "\n        {}", steps.replace('\n', "\n        "));
        }
        text
    }
}

/// The scenario files of a folder, by name; at least one.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listing = |error| Failure::io("cannot list", folder, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        // Nothing that fails is not the same as something that holds.
        true => Err(Failure::new(
            Exit::Refused,
            "no_scenarios",
            format!("no scenario in {}", folder.display()),
        )
        .hint("a scenario is a file such as first-call.toml; `farebox plan new` shows one")),
        false => Ok(files),
    }
}

impl Tested {
    fn holds(&self) -> bool {
        self.report.as_ref().is_ok_and(Report::holds)
    }
}

/// What no scenario asked the plan.
fn not_asked(tested: &[Tested], description: &Description) -> Vec<Trigger> {
    let mut coverage = Coverage::default();
    for report in tested.iter().filter_map(|one| one.report.as_ref().ok()) {
        coverage.extend(&report.coverage());
    }
    coverage.missing(description)
}

/// One scenario. What keeps it from running is told like an expectation that is not met: by its file.
fn test(
    runtime: &Runtime,
    component: &[u8],
    parameters: Option<&Path>,
    path: &Path,
) -> Result<Report, String> {
    let readable = |path: &Path| read(path).map_err(|failure| failure.message);
    let text = readable(path)?;
    let scenario = Scenario::parse(&text).map_err(|error| error.to_string())?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let parameters = match (&scenario.parameters, parameters) {
        (Some(own), _) => readable(&folder.join(own))?,
        (None, Some(given)) => readable(given)?,
        (None, None) => return Err("it needs parameters: name them in plan.toml or with --parameters".into()),
    };
    let subject = Subject {
        runtime,
        component,
        parameters: &parameters,
        folder,
    };
    run(&subject, &scenario, &text).map_err(|error| error.to_string())
}

fn json(tested: &[Tested], not_asked: &[Trigger]) -> Value {
    let scenarios: Vec<Value> = tested
        .iter()
        .map(|one| match &one.report {
            Err(why) => json!({ "file": one.path, "holds": false, "error": why }),
            Ok(report) => {
                let steps: Vec<Value> = report
                    .steps
                    .iter()
                    .map(|step| {
                        json!({
                            "line": step.line, "at": step.at.to_string(), "action": step.action, "fuel": step.fuel,
                            "micros": step.took.as_micros(), "problems": step.problems,
                        })
                    })
                    .collect();
                json!({ "file": one.path, "holds": report.holds(), "steps": steps })
            }
        })
        .collect();
    let not_asked: Vec<String> = not_asked.iter().map(Trigger::to_string).collect();
    json!({ "holds": tested.iter().all(Tested::holds), "scenarios": scenarios, "not_asked": not_asked })
}
