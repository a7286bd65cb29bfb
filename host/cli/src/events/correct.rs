//! `farebox events void` and `amend`: an event is taken back, or replaced.

use clap::Args;
use farebox_money::Nanos;
use farebox_record::time::Timestamp;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Call, Client};
use crate::failure::Failure;
use crate::measured::{attribute, attributes, measure, measures};
use crate::output::Output;
use crate::wallet::correct::{before, corrected};
use crate::wallet::made_up_id;

/// See [`super::EventsCommand::Void`].
#[derive(Debug, Args)]
pub struct Void {
    /// The customer's id
    customer: String,
    /// The event's id
    event: String,
    /// Where the event came from [default: api]
    #[arg(long)]
    source: Option<String>,
    /// Why, for the people who read the statement
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// See [`super::EventsCommand::Amend`].
#[derive(Debug, Args)]
pub struct Amend {
    /// The customer's id
    customer: String,
    /// The event's id
    event: String,
    /// Where the event came from [default: api]
    #[arg(long)]
    source: Option<String>,
    /// What kind of usage it is
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,
    /// When it happened [default: when it counted before]
    #[arg(long)]
    time: Option<Timestamp>,
    /// A number of the event; may be given several times
    #[arg(long = "measure", value_name = "NAME=NUMBER", value_parser = measure)]
    measures: Vec<(String, Nanos)>,
    /// A text of the event; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// The amendment's id; a retry under the same one changes nothing twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Void {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let body = match &self.reason {
            Some(reason) => json!({ "reason": reason }),
            None => json!({}),
        };
        let done = client.call(&Call {
            query: &from(self.source.as_ref()),
            body: Body::Json(&body),
            ..Call::post(&["customers", &self.customer, "events", &self.event, "void"])
        })?;
        let text = format!(
            "{} is taken back{}\n\n{}",
            self.event,
            before(&done),
            corrected(&done)
        );
        Ok(Output::new(text, done))
    }
}

impl Amend {
    pub(super) fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let body = self.body()?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let amended = client.call(&Call {
            query: &from(self.source.as_ref()),
            key: Some(&id),
            body: Body::Json(&body),
            ..Call::put(&["customers", &self.customer, "events", &self.event])
        });
        let done = amended.map_err(|failure| {
            failure.detail(format!(
                "amendment {id}; repeating with --id {id} changes nothing twice"
            ))
        })?;
        let text = format!(
            "{} is replaced{}\n\n{}",
            self.event,
            before(&done),
            corrected(&done)
        );
        Ok(Output::new(text, done))
    }

    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({
            "type": self.event_type, "measures": measures(&self.measures)?,
            "attributes": attributes(&self.attributes)?,
        });
        if let Some(time) = self.time {
            body["time"] = json!(time.to_string());
        }
        Ok(body)
    }
}

/// The query that names an event's source.
pub(super) fn from(source: Option<&String>) -> Vec<(&'static str, String)> {
    source
        .iter()
        .map(|source| ("source", (*source).clone()))
        .collect()
}
