//! `farebox events void` and `amend`: an event is taken back, or replaced.

use clap::Args;
use farebox_money::Nanos;
use farebox_record::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::wallet::correct::{before, corrected};

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
        let body = self.body();
        let done = client.call(&Call {
            query: &from(self.source.as_ref()),
            body: Body::Json(&body),
            ..Call::put(&["customers", &self.customer, "events", &self.event])
        })?;
        let text = format!("{} is replaced\n\n{}", self.event, corrected(&done));
        Ok(Output::new(text, done))
    }

    fn body(&self) -> Value {
        let measures = self
            .measures
            .iter()
            .map(|(name, n)| (name.clone(), json!(n.to_string())));
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)));
        let mut body = json!({
            "type": self.event_type, "measures": measures.collect::<Map<_, _>>(),
            "attributes": attributes.collect::<Map<_, _>>(),
        });
        if let Some(time) = self.time {
            body["time"] = json!(time.to_string());
        }
        body
    }
}

/// The query that names an event's source.
pub(super) fn from(source: Option<&String>) -> Vec<(&'static str, String)> {
    source
        .iter()
        .map(|source| ("source", (*source).clone()))
        .collect()
}

fn measure(text: &str) -> Result<(String, Nanos), String> {
    let expected = "expected NAME=NUMBER such as input_tokens=1200";
    let (name, number) = text.split_once('=').ok_or(expected)?;
    Ok((name.to_string(), number.parse().map_err(|_| expected)?))
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE such as model=gpt-5")?;
    Ok((name.to_string(), value.to_string()))
}
