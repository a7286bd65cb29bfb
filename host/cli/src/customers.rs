//! `farebox customers`: who pays.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, table};

/// What can be done with customers.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox customers put acme --name \"Acme Corp\" --shortfall usd=-25")]
pub enum CustomersCommand {
    /// List all customers
    #[command(after_help = "Examples:
  farebox customers list
  farebox customers list --json | jq -r '.customers[].id'")]
    List(Remote),
    /// Show one customer
    #[command(after_help = "Example:\n  farebox customers show acme")]
    Show(Show),
    /// Create a customer, or change what is said of one
    ///
    /// Sets all of it: what is left away is taken away.
    #[command(after_help = "Examples:
  farebox customers put acme --name \"Acme Corp\"
  farebox customers put acme --shortfall usd=-25       may owe up to 25
  farebox customers put acme --shortfall usd=unlimited post-paid")]
    Put(Put),
}

/// See [`CustomersCommand::Show`].
#[derive(Debug, Args)]
pub struct Show {
    /// The customer's id
    customer: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`CustomersCommand::Put`].
#[derive(Debug, Args)]
pub struct Put {
    /// The customer's id
    customer: String,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// What happens when the wallet cannot cover a charge: deny, unlimited, or how far below zero it may go
    #[arg(long, value_name = "ASSET=POLICY", value_parser = shortfall)]
    shortfall: Vec<(String, Value)>,
    #[command(flatten)]
    remote: Remote,
}

impl CustomersCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            CustomersCommand::List(remote) => {
                let client = Client::new(&global.remote(remote)?)?;
                let customers = client.all(&["customers"], "customers", &[])?;
                Ok(Output::new(listed(&customers), json!({ "customers": customers })))
            }
            CustomersCommand::Show(show) => {
                let client = Client::new(&global.remote(&show.remote)?)?;
                let customer = client.get(&["customers", &show.customer], &[])?;
                Ok(Output::new(listed(std::slice::from_ref(&customer)), customer))
            }
            CustomersCommand::Put(put) => put.run(global),
        }
    }
}

impl Put {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let mut body = Map::new();
        body.extend(
            self.name
                .clone()
                .map(|name| ("name".to_string(), Value::from(name))),
        );
        let policies: Map<String, Value> = self.shortfall.iter().cloned().collect();
        body.insert("shortfall".into(), policies.into());
        let customer = client.put(&["customers", &self.customer], &Body::Json(&body.into()))?;
        Ok(Output::new(listed(std::slice::from_ref(&customer)), customer))
    }
}

fn listed(customers: &[Value]) -> String {
    if customers.is_empty() {
        return "There are no customers yet; `farebox customers put acme` makes one.".to_string();
    }
    let rows = customers.iter().map(|customer| {
        let policies = customer.get("shortfall").and_then(Value::as_object);
        let policies = policies
            .into_iter()
            .flatten()
            .map(|(asset, policy)| format!("{asset}={}", shown(policy)));
        let policies = policies.collect::<Vec<_>>().join(" ");
        let policies = if policies.is_empty() {
            "-".to_string()
        } else {
            policies
        };
        vec![
            field(customer, "/id"),
            field(customer, "/name"),
            policies,
            field(customer, "/created_at"),
        ]
    });
    table(&["customer", "name", "shortfall", "created"], &[], rows)
}

fn shown(policy: &Value) -> String {
    match policy.get("floor").and_then(Value::as_str) {
        Some(floor) => floor.to_string(),
        None => field(policy, ""),
    }
}

/// `usd=deny`, `usd=unlimited` or `usd=-25`, as the server takes it.
fn shortfall(text: &str) -> Result<(String, Value), String> {
    let (asset, policy) = text
        .split_once('=')
        .ok_or("expected ASSET=POLICY such as usd=-25")?;
    let asset: farebox_money::Asset = asset
        .parse()
        .map_err(|e: farebox_money::AssetError| e.to_string())?;
    let policy = match policy {
        "deny" | "unlimited" => json!(policy),
        floor => {
            let amount: farebox_money::Nanos = floor
                .parse()
                .map_err(|_| "expected deny, unlimited, or a number such as -25")?;
            if amount.is_positive() {
                return Err(format!(
                    "a floor is zero or negative: -{floor} lets the wallet owe {floor}"
                ));
            }
            json!({ "floor": amount.to_string() })
        }
    };
    Ok((asset.to_string(), policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_people_write_them() {
        for (text, policy) in [
            ("usd=deny", json!("deny")),
            ("usd=unlimited", json!("unlimited")),
            ("usd=-25", json!({"floor": "-25"})),
            ("usd=0", json!({"floor": "0"})),
        ] {
            assert_eq!(shortfall(text), Ok(("usd".to_string(), policy)), "{text}");
        }
        for bad in ["usd", "USD=deny", "usd=25", "usd=lots"] {
            assert!(shortfall(bad).is_err(), "{bad}");
        }
    }
}
