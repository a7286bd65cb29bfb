//! `farebox plan standard`: the plans that this program carries.

use clap::Args;
use serde_json::json;

use super::source::named;
use crate::failure::Failure;
use crate::output::{Output, table};

/// See [`super::PlanCommand::Standard`].
#[derive(Debug, Args)]
pub struct Standard {
    /// One of them: what it reads, how it charges, and what its parameters mean
    name: Option<String>,
    /// Print its example parameters instead, to be edited
    #[arg(long, requires = "name", conflicts_with = "schema")]
    example: bool,
    /// Print the JSON Schema of its parameters instead
    #[arg(long, requires = "name")]
    schema: bool,
}

impl Standard {
    /// Lists them, or shows one.
    pub fn run(&self) -> Result<Output, Failure> {
        let Some(name) = &self.name else {
            return Ok(list());
        };
        let plan = named(name)?;
        let text = match (self.example, self.schema) {
            (true, _) => plan.example,
            (_, true) => plan.schema,
            _ => plan.readme,
        };
        let json = json!({
            "name": plan.name, "about": plan.about, "component": farebox_record::ids::Hash::of(plan.component).to_string(),
            "bytes": plan.component.len(), "readme": plan.readme, "example": plan.example, "schema": plan.schema,
        });
        Ok(Output::new(text.trim_end().to_string(), json))
    }
}

fn list() -> Output {
    let rows = farebox_standard::PLANS
        .iter()
        .map(|plan| vec![plan.name.to_string(), plan.about.to_string()]);
    let text = format!(
        "{}\n\nNext:\n  farebox plan standard credits                  # what it reads and how it charges\n  \
         farebox plan new my-plan --standard credits    # a folder with its price list and a scenario",
        table(&["plan", "what it sells"], &[], rows)
    );
    let plans: Vec<_> = farebox_standard::PLANS
        .iter()
        .map(|plan| json!({ "name": plan.name, "about": plan.about, "bytes": plan.component.len() }))
        .collect();
    Output::new(text, json!({ "plans": plans }))
}
