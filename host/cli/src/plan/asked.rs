//! What plans are asked about without a server: a revision, and events.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use farebox_kit::events::{EventsError, Used, read_events, read_used};
use farebox_kit::probe::Probe;
use farebox_kit::scenario::Scenario;
use farebox_record::event::Event;
use farebox_record::time::Timestamp;
use farebox_runtime::{Revision, Runtime};

use super::check::of_refused;
use super::source::Source;
use super::{admit, read};
use crate::failure::{Exit, Failure};

/// Where events without a time stand.
const BEGINNING: &str = "2026-01-01T00:00:00Z";

/// A plan with its prices, and what it is asked about.
#[derive(Debug, Args)]
pub struct Asked {
    /// Folder of the plan, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Parameters [default: those that plan.toml names]
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// Events as the API takes them: one, an array, or one a line; - reads standard input [default: the usage in the plan's
    /// scenarios]
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Seats of the subscription
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seats: u32,
}

/// What there is to ask, and about what.
pub struct Ready {
    /// The plan with its parameters.
    pub revision: Arc<Revision>,
    /// Its parameters, as JSON.
    pub parameters: String,
    /// Where they stand.
    pub parameters_path: PathBuf,
    /// In order of time.
    pub events: Vec<Event>,
    /// When the customer begins: at the first of them that has a time.
    pub began: Timestamp,
    /// Seats of the customer's subscription.
    pub seats: u32,
}

impl Asked {
    /// Builds the plan where that is needed, and reads the events.
    pub fn ready(&self, runtime: &Runtime) -> Result<Ready, Failure> {
        let source = Source::find(&self.path)?;
        let mut events = match &self.events {
            Some(path) => given(path)?,
            None => of_scenarios(&source)?,
        };
        let component = source.component()?;
        let plan = admit(runtime, &component)?;
        let parameters = self.parameters.clone().or_else(|| source.parameters());
        let parameters = parameters.ok_or_else(|| {
            Failure::usage("the plan has no prices")
                .hint("name parameters in plan.toml, or with --parameters")
        })?;
        let text = read(&parameters)?;
        let revision = runtime
            .prepare(&plan, &text)
            .map_err(|refused| of_refused(&parameters, &refused))?;
        events.sort_by_key(|event| event.time);
        let began = events.iter().find_map(|event| event.time);
        Ok(Ready {
            revision,
            parameters: text,
            parameters_path: parameters,
            events,
            began: began.map_or_else(beginning, Ok)?,
            seats: self.seats,
        })
    }
}

impl Ready {
    /// A customer who just began.
    pub fn probe<'r>(&self, runtime: &'r Runtime) -> Result<Probe<'r>, Failure> {
        Probe::begin(runtime, Arc::clone(&self.revision), self.began, self.seats)
            .map_err(|error| Failure::new(Exit::Refused, "not_asked", error.to_string()))
    }
}

/// Where events stand that have no time.
pub(super) fn beginning() -> Result<Timestamp, Failure> {
    BEGINNING.parse().map_err(|_| Failure::usage("no time"))
}

fn given(path: &Path) -> Result<Vec<Event>, Failure> {
    read_events(&text_of(path)?).map_err(|error| invalid(path, &error))
}

/// Events with their customers; `-` stands for standard input.
pub(super) fn used(path: &Path) -> Result<Vec<Used>, Failure> {
    read_used(&text_of(path)?).map_err(|error| invalid(path, &error))
}

fn invalid(path: &Path, error: &EventsError) -> Failure {
    let message = format!("{}: {error}", path.display());
    Failure::new(Exit::Refused, "invalid_events", message)
}

fn text_of(path: &Path) -> Result<String, Failure> {
    Ok(match path == Path::new("-") {
        true => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::io("cannot read", path, &error))?;
            text
        }
        false => read(path)?,
    })
}

/// What the scenarios of a plan report as used.
pub(super) fn of_scenarios(source: &Source) -> Result<Vec<Event>, Failure> {
    let none = || {
        Failure::new(Exit::Refused, "no_events", "there are no events to ask about")
            .hint("give a file of events with --events, or a plan with scenarios that use something")
    };
    let folder = source.scenarios().ok_or_else(none)?;
    let mut events = Vec::new();
    for path in super::test::files_in(&folder)? {
        let scenario = Scenario::parse(&read(&path)?).map_err(|error| {
            let message = format!("{}: {error}", path.display());
            Failure::new(Exit::Refused, "invalid_scenario", message)
        })?;
        // Those that bring prices of their own show other prices than these.
        if scenario.parameters.is_none() {
            events.extend(scenario.usage());
        }
    }
    match events.is_empty() {
        true => Err(none()),
        false => Ok(events),
    }
}
