//! `farebox tenants`: organisations on a server, and the clocks of its sandboxes.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use farebox_record::time::{CalendarSpan, Timestamp};
use serde_json::{Map, Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, table};
use crate::wallet::made_up_id;

/// How long an advance is waited for: one of many wallets takes longer than one request may.
const ADVANCE_PATIENCE: Duration = Duration::from_secs(600);
/// Time between two questions whether it has arrived.
const ADVANCE_POLL: Duration = Duration::from_secs(1);

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  farebox tenants create year --kind sandbox --clock 2027-01-01T00:00:00Z
  farebox tenants advance year 1month

Making and listing tenants needs an operator's key; the first key that `farebox serve` prints is one.")]
pub enum TenantsCommand {
    /// Make a tenant; its first key is shown once and never again
    ///
    /// A live tenant's time is the machine's. A sandbox's time stands still until `farebox tenants advance` moves it, so
    /// that a year of billing is a test of seconds; everything else works in it as in a live tenant. The same command
    /// again changes nothing.
    #[command(after_help = "Examples:
  farebox tenants create acme --kind live
  farebox tenants create year --kind sandbox --clock 2027-01-01T00:00:00Z
  export FAREBOX_KEY=$(farebox tenants create test --kind sandbox --json | jq -r .first_key.key)")]
    Create(Create),
    /// List all tenants
    #[command(after_help = "Example:\n  farebox tenants list")]
    List(Remote),
    /// Show a tenant, and where its clock stands
    #[command(after_help = "Example:\n  farebox tenants show year")]
    Show(Show),
    /// Advance a sandbox's clock, and handle everything that falls due by that
    ///
    /// Answers when all of it is durable. The clock only moves forward, by at most 400 days a call. The id makes it safe to
    /// repeat: the same id never advances twice. Where none is given one is made up and shown if no answer comes.
    #[command(after_help = "Examples:
  farebox tenants advance year 1month
  farebox tenants advance year '12 months'
  farebox tenants advance year PT36H --id step-7
  farebox tenants advance year --to 2027-12-31T23:59:59Z")]
    Advance(Advance),
}

/// See [`TenantsCommand::Create`].
#[derive(Debug, Args)]
pub struct Create {
    /// Its id; taken for good
    tenant: String,
    /// What kind of tenant it is, for good
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where a sandbox's time begins [default: now]
    #[arg(long, value_name = "TIME")]
    clock: Option<Timestamp>,
    #[command(flatten)]
    remote: Remote,
}

/// What kind of tenant it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Its time is the machine's
    Live,
    /// Its time stands still until it is advanced
    Sandbox,
}

/// See [`TenantsCommand::Show`].
#[derive(Debug, Args)]
pub struct Show {
    /// Its id
    tenant: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`TenantsCommand::Advance`].
#[derive(Debug, Args)]
pub struct Advance {
    /// The sandbox's id
    tenant: String,
    /// By how much: 1month, 36h, '2 days 12 hours', P1M
    #[arg(value_name = "DURATION", value_parser = duration, required_unless_present = "to", conflicts_with = "to")]
    by: Option<String>,
    /// To this instant
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// The advance's id; a retry under the same id advances nothing twice
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl TenantsCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            TenantsCommand::Create(create) => create.run(global),
            TenantsCommand::List(remote) => {
                let client = Client::new(&global.remote(remote)?)?;
                let tenants = client.all(&["tenants"], "tenants", &[])?;
                Ok(Output::new(listed(&tenants), json!({ "tenants": tenants })))
            }
            TenantsCommand::Show(show) => {
                let client = Client::new(&global.remote(&show.remote)?)?;
                let tenant = client.get(&["tenants", &show.tenant], &[])?;
                Ok(Output::new(listed(std::slice::from_ref(&tenant)), tenant))
            }
            TenantsCommand::Advance(advance) => advance.run(global),
        }
    }
}

impl Create {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        if let (Kind::Live, Some(_)) = (self.kind, self.clock) {
            return Err(Failure::usage("a live tenant's time is the machine's")
                .hint("leave --clock away, or make a sandbox with --kind sandbox"));
        }
        let client = Client::new(&global.remote(&self.remote)?)?;
        let mut body = Map::new();
        body.insert("id".into(), json!(self.tenant));
        body.insert("kind".into(), json!(self.kind.as_str()));
        if let Some(clock) = self.clock {
            body.insert("clock".into(), json!(clock.to_string()));
        }
        let made = client.post(&["tenants"], &Body::Json(&body.into()))?;
        Ok(Output::new(created(&self.tenant, &made), made))
    }
}

impl Advance {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let body = match (&self.by, self.to) {
            (Some(by), _) => json!({ "advance": by }),
            (None, Some(to)) => json!({ "to": to.to_string() }),
            (None, None) => {
                return Err(Failure::usage(
                    "by how much? Say a duration such as 1month, or --to TIME",
                ));
            }
        };
        let begun = Instant::now();
        let advanced = loop {
            match client.post_once(&["tenants", &self.tenant, "clock"], &id, &body) {
                // It goes on without us; the same request tells when it has arrived.
                Err(failure) if is_on_its_way(&failure) && begun.elapsed() < ADVANCE_PATIENCE => {
                    std::thread::sleep(ADVANCE_POLL);
                }
                other => break other,
            }
        };
        let advanced = advanced.map_err(|failure| {
            failure.detail(format!(
                "advance {id}; repeating with --id {id} advances nothing twice"
            ))
        })?;
        Ok(Output::new(moved(&advanced), advanced))
    }
}

/// Whether the server works on it, or on another advance of the same clock.
fn is_on_its_way(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "timeout" | "advancing" | "busy")
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Live => "live",
            Kind::Sandbox => "sandbox",
        }
    }
}

fn created(tenant: &str, made: &Value) -> String {
    match made.pointer("/first_key/key").and_then(Value::as_str) {
        Some(key) => format!("{key}\n\nThis key may act as admin of tenant {tenant} and is shown only now."),
        None => format!(
            "Tenant {tenant} was made before, and its first key was shown then. An operator makes another with POST \
             /v1/tenants/{tenant}/keys."
        ),
    }
}

fn moved(advanced: &Value) -> String {
    let before = match advanced.get("replayed") {
        Some(Value::Bool(true)) => " (was done already)",
        _ => "",
    };
    format!(
        "{} stands at {}; {} items fell due since {} and are handled{before}",
        field(advanced, "/tenant"),
        field(advanced, "/now"),
        field(advanced, "/handled"),
        field(advanced, "/from"),
    )
}

fn listed(tenants: &[Value]) -> String {
    let columns = ["/id", "/kind", "/now", "/created_at"];
    let rows = tenants
        .iter()
        .map(|tenant| columns.iter().map(|column| field(tenant, column)).collect());
    table(&["tenant", "kind", "now", "created"], &[], rows)
}

/// Checked here, so that a mistake is told before anything is sent.
fn duration(text: &str) -> Result<String, String> {
    text.parse::<CalendarSpan>()
        .map(|_| text.to_string())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advance_says_where_the_clock_stands() {
        let advanced = json!({"tenant": "year", "from": "2027-01-01T00:00:00Z", "now": "2027-02-01T00:00:00Z",
            "handled": 3, "replayed": true});
        assert_eq!(
            moved(&advanced),
            "year stands at 2027-02-01T00:00:00Z; 3 items fell due since 2027-01-01T00:00:00Z and are handled (was done \
             already)"
        );
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for text in [
            "1month",
            "1mo",
            "12 months",
            "36h",
            "2 days 12 hours",
            "P1M",
            "PT36H",
        ] {
            assert_eq!(duration(text).as_deref(), Ok(text));
        }
        for text in ["", "month", "1", "-1 day", "tomorrow"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
