//! `farebox keys`: who may talk to a server.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, table};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox keys create gateway --role authorize")]
pub enum KeysCommand {
    /// Make a key; it is shown once and never again
    #[command(after_help = "Examples:
  farebox keys create gateway --role authorize
  export FAREBOX_KEY=$(farebox keys create me --role admin --json | jq -r .key)")]
    Create(Create),
    /// List all keys; the keys themselves are not kept
    #[command(after_help = "Example:\n  farebox keys list")]
    List(Remote),
    /// Let a key in no longer
    #[command(after_help = "Example:\n  farebox keys revoke gateway")]
    Revoke(Revoke),
}

/// See [`KeysCommand::Create`].
#[derive(Debug, Args)]
pub struct Create {
    /// Its name, for people and for revoking it; taken for good
    name: String,
    /// What it may do
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    remote: Remote,
}

/// See [`KeysCommand::Revoke`].
#[derive(Debug, Args)]
pub struct Revoke {
    /// Its name
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything, tenants included
    Operator,
    /// Everything within its tenant
    Admin,
    /// Customers, grants, subscriptions, and reading
    Billing,
    /// Sending events
    Ingest,
    /// Authorize, settle, extend and release, and sending events
    Authorize,
    /// Reading
    Read,
}

impl KeysCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            KeysCommand::Create(create) => create.run(global),
            KeysCommand::List(remote) => {
                let client = Client::new(&global.remote(remote)?)?;
                let keys = client.all(&["keys"], "keys", &[])?;
                let columns = ["/id", "/role", "/created_at", "/revoked_at"];
                let rows = keys
                    .iter()
                    .map(|key| columns.iter().map(|column| field(key, column)).collect());
                let text = table(&["key", "role", "created", "revoked"], &[], rows);
                Ok(Output::new(text, json!({ "keys": keys })))
            }
            KeysCommand::Revoke(revoke) => {
                let client = Client::new(&global.remote(&revoke.remote)?)?;
                let revoked = client.delete(&["keys", &revoke.name])?;
                Ok(Output::new(
                    format!("{} is let in no longer", revoke.name),
                    revoked,
                ))
            }
        }
    }
}

impl Create {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let body: Value = json!({ "id": self.name, "role": self.role.as_str() });
        let created = client.post(&["keys"], &Body::Json(&body))?;
        let text = format!(
            "{}\n\nThis key may act as {} and is shown only now.",
            field(&created, "/key"),
            self.role.as_str()
        );
        Ok(Output::new(text, created))
    }
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::Admin => "admin",
            Role::Billing => "billing",
            Role::Ingest => "ingest",
            Role::Authorize => "authorize",
            Role::Read => "read",
        }
    }
}
