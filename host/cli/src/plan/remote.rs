//! Plans on a server: sending components, putting revisions in force, looking at timelines.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use farebox_record::time::Timestamp;
use serde_json::{Map, Value, json};

use super::read;
use super::source::Source;
use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::{Exit, Failure};
use crate::output::{Output, field, list, table};
use crate::wallet::made_up_id;

/// See [`super::PlanCommand::Push`].
#[derive(Debug, Args)]
pub struct Push {
    /// Folder of the plan, which is built, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The plan's name on the server [default: that of plan.toml, or of the crate, or of the file]
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Put it in force with these parameters [default without a file: those of plan.toml]
    #[arg(long, value_name = "PARAMETERS", num_args = 0..=1)]
    activate: Option<Option<PathBuf>>,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::PlanCommand::Activate`].
#[derive(Debug, Args)]
pub struct Activate {
    /// The plan's name
    plan: String,
    /// File with the parameters, as JSON
    #[arg(long, value_name = "FILE")]
    parameters: PathBuf,
    /// Hash of the component [default: the one that was pushed last]
    #[arg(long, value_name = "HASH")]
    component: Option<String>,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    remote: Remote,
}

/// How a revision comes into force.
#[derive(Debug, Clone, Args)]
pub struct Force {
    /// From which event time on [default: now]
    #[arg(long, value_name = "TIME")]
    effective_at: Option<Timestamp>,
    /// Which revision settles holds that were quoted before
    #[arg(long, value_enum, default_value = "quoted")]
    open_holds: OpenHolds,
    /// The activation's key; a retry under the same one brings nothing back that was replaced meanwhile
    #[arg(long)]
    id: Option<String>,
}

/// Which revision settles holds that were quoted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OpenHolds {
    /// The one that quoted them
    Quoted,
    /// The new one
    New,
}

/// See [`super::PlanCommand::Rollback`].
#[derive(Debug, Args)]
pub struct Rollback {
    /// The plan's name
    plan: String,
    /// The rollback's key; a retry under the same one goes back no further
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::PlanCommand::List`].
#[derive(Debug, Args)]
pub struct List {
    /// The plan's name; its revisions are listed
    plan: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Push {
    /// Builds, sends, and activates where that was asked for.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let source = Source::find(&self.path)?;
        // Everything on this machine is looked at first, so that nothing is sent that cannot be activated.
        let parameters = match &self.activate {
            None => None,
            Some(Some(file)) => Some(parameters(file)?),
            Some(None) => {
                let named = source.parameters().ok_or_else(|| {
                    Failure::usage("--activate needs parameters, and no plan.toml names any")
                        .hint("name a file: --activate prices.json")
                })?;
                Some(parameters(&named)?)
            }
        };
        let component = source.component()?;
        let plan = self.plan.clone().unwrap_or(component.name);
        let body = Body::Bytes("application/wasm", component.bytes);
        let pushed = client.post(&["plans", &plan, "components"], &body)?;
        let hash = field(&pushed, "/component");
        let mut text = format!("{plan}: component {} is known", short(&hash));
        let mut json = json!({ "plan": plan, "pushed": pushed });
        match parameters {
            None => {
                text.push_str(&format!(
                    "\nNext: `farebox plan activate {plan} --parameters FILE` puts it in force."
                ));
            }
            Some(parameters) => {
                let activated = self.force.activate(&client, &plan, &hash, parameters)?;
                text = format!("{text}\n{}", in_force(&plan, &activated));
                json["activated"] = activated;
            }
        }
        Ok(Output::new(text, json))
    }
}

impl Activate {
    /// Puts parameters in force.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let parameters = parameters(&self.parameters)?;
        let component = match &self.component {
            Some(hash) => hash.clone(),
            None => {
                let plan = client.get(&["plans", &self.plan], &[])?;
                match list(&plan, "/components").last() {
                    Some(newest) => field(newest, "/component"),
                    None => {
                        return Err(Failure::usage(format!("{} has no component yet", self.plan))
                            .hint("`farebox plan push` sends one"));
                    }
                }
            }
        };
        let activated = self.force.activate(&client, &self.plan, &component, parameters)?;
        Ok(Output::new(in_force(&self.plan, &activated), activated))
    }
}

impl Force {
    fn activate(
        &self,
        client: &Client,
        plan: &str,
        component: &str,
        parameters: Value,
    ) -> Result<Value, Failure> {
        let mut body = Map::new();
        body.insert("component".into(), json!(component));
        body.insert("parameters".into(), parameters);
        body.extend(
            self.effective_at
                .map(|at| ("effective_at".to_string(), json!(at.to_string()))),
        );
        let open_holds = match self.open_holds {
            OpenHolds::Quoted => "quoted",
            OpenHolds::New => "new",
        };
        body.insert("open_holds".into(), json!(open_holds));
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let again = format!("farebox plan activate {plan} --id {id} --component {component}");
        let learn = format!("`{again}`, with the same of all else, changes nothing twice");
        once(client, &["plans", plan, "revisions"], &id, &body.into(), &learn)
    }
}

impl Rollback {
    /// Puts the previous revision back in force. Where its key is its own, it says which one it leaves, so that of two people
    /// who mean the same only one goes back.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let (id, body, learn) = match &self.id {
            Some(id) => {
                let learn = format!("repeating with --id {id} goes back no further");
                (id.clone(), json!({}), learn)
            }
            None => {
                let plan = client.get(&["plans", &self.plan], &[])?;
                let learn = format!("`farebox plan list {}` shows what is in force", self.plan);
                (
                    made_up_id(),
                    json!({ "from": plan["in_force"]["revision"] }),
                    learn,
                )
            }
        };
        let activated = once(&client, &["plans", &self.plan, "rollback"], &id, &body, &learn)?;
        Ok(Output::new(in_force(&self.plan, &activated), activated))
    }
}

impl List {
    /// Lists plans, or revisions of one.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        match &self.plan {
            Some(plan) => {
                let plan = client.get(&["plans", plan], &[])?;
                Ok(Output::new(timeline(&plan), plan))
            }
            None => {
                let plans = client.all(&["plans"], "plans", &[])?;
                Ok(Output::new(plans_listed(&plans), json!({ "plans": plans })))
            }
        }
    }
}

/// Changes a timeline, once under this key. `learn` says how to learn whether it did, where that is not known.
fn once(client: &Client, path: &[&str], id: &str, body: &Value, learn: &str) -> Result<Value, Failure> {
    client
        .post_once(path, id, body)
        .map_err(|failure| match failure.exit {
            Exit::Unavailable => failure.detail(format!("change {id}: {learn}")),
            _ => failure,
        })
}

/// Parameters as JSON, so that a slip in the file is found here, with its line.
fn parameters(path: &Path) -> Result<Value, Failure> {
    serde_json::from_str(&read(path)?)
        .map_err(|error| Failure::usage(format!("{} is not JSON", path.display())).detail(error.to_string()))
}

fn in_force(plan: &str, activated: &Value) -> String {
    let (component, parameters) = (
        field(activated, "/revision/component"),
        field(activated, "/revision/parameters"),
    );
    let at = field(activated, "/effective_at");
    if activated["replayed"] == Value::Bool(true) {
        // Something newer may be in force by now.
        return format!(
            "{plan}: an earlier call under this id put {}-{} in force from {at}; nothing changed now\n\
             Next: `farebox plan list {plan}` shows what is in force.",
            short(&component),
            short(&parameters)
        );
    }
    format!(
        "{plan}: {}-{} is in force from {at}",
        short(&component),
        short(&parameters)
    )
}

fn timeline(plan: &Value) -> String {
    let revisions = list(plan, "/timeline");
    if revisions.is_empty() {
        return "No revision was put in force yet; `farebox plan activate` does that.".to_string();
    }
    let rows = revisions.iter().map(|revision| {
        vec![
            short(&field(revision, "/revision/component")).to_string(),
            short(&field(revision, "/revision/parameters")).to_string(),
            field(revision, "/effective_at"),
            field(revision, "/activated_at"),
            field(revision, "/open_holds"),
        ]
    });
    table(
        &["component", "parameters", "effective", "activated", "open holds"],
        &[],
        rows,
    )
}

fn plans_listed(plans: &[Value]) -> String {
    if plans.is_empty() {
        return "There are no plans yet; `farebox plan push` sends one.".to_string();
    }
    let rows = plans.iter().map(|plan| {
        vec![
            field(plan, "/plan"),
            list(plan, "/components").len().to_string(),
            list(plan, "/timeline").len().to_string(),
            short(&field(plan, "/in_force/revision/component")).to_string(),
            short(&field(plan, "/in_force/revision/parameters")).to_string(),
            field(plan, "/in_force/effective_at"),
        ]
    });
    table(
        &[
            "plan",
            "components",
            "revisions",
            "in force",
            "parameters",
            "effective",
        ],
        &[1, 2],
        rows,
    )
}

/// Enough of a hash to recognise it.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
