//! `farebox plan check`: the server's admission, before there is a server.

use std::path::{Path, PathBuf};

use clap::Args;
use farebox_record::plan::Description;
use farebox_runtime::{Refused, Revision};
use serde_json::{Value, json};

use super::admit;
use super::source::Source;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};

/// See [`super::PlanCommand::Check`].
#[derive(Debug, Args)]
pub struct Check {
    /// Folder of the plan, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Parameters to check with it [default: those that plan.toml names]
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
}

impl Check {
    /// Admits the plan as a server would, and gives it its parameters.
    pub fn run(&self) -> Result<Output, Failure> {
        let source = Source::find(&self.path)?;
        let component = source.component()?;
        let runtime = super::runtime()?;
        let plan = admit(&runtime, &component)?;
        let parameters = self.parameters.clone().or_else(|| source.parameters());
        let revision = match &parameters {
            None => None,
            Some(path) => {
                let text = super::read(path)?;
                Some(
                    runtime
                        .prepare(&plan, &text)
                        .map_err(|refused| of_refused(path, &refused))?,
                )
            }
        };
        let text = text(
            &component.path,
            component.bytes.len(),
            plan.description(),
            parameters.as_deref(),
        );
        let hash = plan.hash().to_string();
        Ok(Output::new(
            text,
            described(&hash, &component.path, plan.description(), revision.as_deref()),
        ))
    }
}

fn text(path: &Path, bytes: usize, description: &Description, parameters: Option<&Path>) -> String {
    let join = |names: Vec<String>| {
        if names.is_empty() {
            "-".to_string()
        } else {
            names.join(", ")
        }
    };
    let rows = [
        ("plan", format!("{} {}", description.name, description.version)),
        ("about", description.summary.clone()),
        (
            "component",
            format!("{} ({bytes} bytes, no imports)", path.display()),
        ),
        (
            "assets",
            join(description.assets.iter().map(|a| a.asset.to_string()).collect()),
        ),
        (
            "event types",
            join(description.event_types.iter().map(ToString::to_string).collect()),
        ),
        ("measures", join(description.measures.clone())),
        ("attributes", join(description.attributes.clone())),
        (
            "charges",
            join(description.charges.iter().map(|c| c.code.clone()).collect()),
        ),
        (
            "parameters",
            parameters.map_or("none given".to_string(), |path| format!("{} fit", path.display())),
        ),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_string(), value]);
    format!(
        "{}\n\nA server would take it.",
        table(&["", ""], &[], rows).trim_start()
    )
}

fn described(hash: &str, path: &Path, description: &Description, revision: Option<&Revision>) -> Value {
    json!({
        "admitted": true,
        "component": hash,
        "parameters": revision.map(|revision| revision.hash().parameters.to_string()),
        "path": path,
        "description": description,
    })
}

/// A refusal with everything that an author needs: all pointers, and what can be done.
pub(super) fn of_refused(path: &Path, refused: &Refused) -> Failure {
    let failure = match refused {
        Refused::Parameters { errors } => {
            let failure = Failure::new(
                Exit::Refused,
                refused.code(),
                format!("the plan refuses the parameters in {}", path.display()),
            );
            errors.iter().fold(failure, |failure, error| {
                let place = if error.pointer.is_empty() {
                    "(all)"
                } else {
                    &error.pointer
                };
                failure.detail(format!("{place}: {}", error.message))
            })
        }
        _ => Failure::new(
            Exit::Refused,
            refused.code(),
            format!("{} is refused", path.display()),
        )
        .detail(refused.to_string()),
    };
    failure.hint(refused.advice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use farebox_runtime::ParameterError;

    #[test]
    fn refused_parameters_are_listed_one_per_line() {
        let error = |pointer: &str, message: &str| ParameterError {
            pointer: pointer.into(),
            message: message.into(),
        };
        let refused = Refused::Parameters {
            errors: vec![
                error(
                    "/providers/openai/models/gpt-5/prices/input",
                    "expected a decimal in quotes, found 3",
                ),
                error("", "`asset` is missing"),
            ],
        };
        insta::assert_snapshot!(of_refused(Path::new("prices.json"), &refused).text());
    }

    #[test]
    fn what_is_no_component_is_told_what_makes_one() {
        insta::assert_snapshot!(of_refused(Path::new("plan.wasm"), &Refused::CoreModule).text());
    }
}
