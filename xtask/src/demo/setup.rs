//! Before the first request: the plan, its first price list, and customers with their budgets.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use super::pace::Pace;
use super::script::{Budget, Customer, Script};
use super::{PLAN, View};
use crate::client::{Client, Revision};

/// What the demo is made of, before a server is there.
#[derive(Debug)]
pub struct Stage {
    /// Who sends what.
    pub script: Arc<Script>,
    /// How fast.
    pub pace: Pace,
    /// The first price list, as text.
    pub parameters: String,
    /// The built plan.
    pub component: PathBuf,
    /// Who watches.
    pub(super) view: View,
}

/// A server that is ready for the first request.
#[derive(Debug)]
pub struct Scene {
    /// Talks to it.
    pub client: Client,
    /// Hash of the component.
    pub component: String,
    /// The first revision.
    pub first: Revision,
    /// Its price list, as text.
    pub first_parameters: String,
}

/// Pushes the plan and creates the customers.
pub async fn prepare(stage: &Stage, address: &str, key: &str) -> anyhow::Result<Scene> {
    let client = Client::new(address, key)?;
    let bytes = std::fs::read(&stage.component)
        .with_context(|| format!("cannot read {}", stage.component.display()))?;
    let component = client.push_component(PLAN, bytes).await?;
    let first = client.push_revision(PLAN, &component, &stage.parameters).await?;
    for customer in &stage.script.customers {
        create(&client, customer)
            .await
            .with_context(|| customer.id.clone())?;
    }
    Ok(Scene {
        client,
        component,
        first,
        first_parameters: stage.parameters.clone(),
    })
}

async fn create(client: &Client, customer: &Customer) -> anyhow::Result<()> {
    let id = &customer.id;
    let shortfall = match customer.budget {
        Budget::Prepaid { .. } => json!({}),
        Budget::Postpaid => json!({ "usd": "unlimited" }),
    };
    client
        .put_customer(id, &json!({ "name": id, "shortfall": shortfall }))
        .await?;
    client
        .subscribe(&json!({ "id": format!("{id}-{PLAN}"), "customer": id, "plan": PLAN }))
        .await?;
    let Budget::Prepaid { promotional, paid } = customer.budget else {
        return Ok(());
    };
    for (category, amount) in [("promotional", promotional), ("paid", paid)] {
        if !amount.is_zero() {
            let grant = json!({
                "id": format!("{id}-{category}"), "asset": "usd", "amount": amount.to_string(), "category": category,
            });
            client.grant(id, &grant).await?;
        }
    }
    Ok(())
}
