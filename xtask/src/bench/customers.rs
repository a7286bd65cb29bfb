//! Whose events a run sends, and what prices them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::server::Server;
use crate::workspace;

/// Customers that are created at once.
const CREATED_AT_ONCE: u32 = 32;
/// Enough for any run.
const BALANCE: &str = "1000000000";

/// Customers `<prefix>-000000` and so on, on plans of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Customers {
    /// What their names begin with.
    pub prefix: &'static str,
    /// How many.
    pub count: u32,
    /// What prices their events.
    pub priced: Priced,
}

/// What prices events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priced {
    /// List prices for tokens: each event by itself.
    PerToken,
    /// Graduated prices over a running total of the period, credits first: the plan has a state, and reads it for each event.
    Graduated,
    /// Credits, and money for what they do not cover, in [`DEALS`] plans with parameters of their own: each customer has one
    /// of them.
    Deals,
}

/// Plans with parameters of their own.
pub const DEALS: u32 = 50;

impl Priced {
    /// Every kind.
    pub const ALL: [Priced; 3] = [Priced::PerToken, Priced::Graduated, Priced::Deals];

    /// The model of events that it prices.
    pub fn model(self) -> &'static str {
        match self {
            Priced::PerToken => "gpt-5",
            Priced::Graduated => "",
            Priced::Deals => "small",
        }
    }

    /// What its events say, as the load generator names it.
    pub fn shape(self) -> &'static str {
        match self {
            Priced::PerToken | Priced::Deals => "llm",
            Priced::Graduated => "units",
        }
    }

    /// The plan of a customer.
    fn plan(self, customer: u32) -> String {
        match self {
            Priced::PerToken => "per-token".to_string(),
            Priced::Graduated => "graduated".to_string(),
            Priced::Deals => format!("deal-{:02}", customer % DEALS),
        }
    }

    /// Folder of its code, and its parameters.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Priced::PerToken => (
                "example-plans/per-token",
                "example-plans/per-token/parameters/list-prices.json",
            ),
            Priced::Graduated => (
                "host/kit/tests/plans/commitment",
                "host/kit/tests/plans/commitment/parameters/no-minimum.json",
            ),
            Priced::Deals => (
                "example-plans/hybrid",
                "example-plans/hybrid/parameters/example.json",
            ),
        }
    }

    /// The component, and the parameters of each of its plans by name.
    pub fn revisions(self, farebox: &Path) -> anyhow::Result<Revisions> {
        let (code, parameters) = self.source();
        let component = workspace::build_plan_in(farebox, &workspace::root().join(code))?;
        let text = std::fs::read_to_string(workspace::root().join(parameters))
            .with_context(|| format!("cannot read {parameters}"))?;
        let plans = match self {
            Priced::PerToken | Priced::Graduated => vec![(self.plan(0), text)],
            Priced::Deals => (0..DEALS)
                .map(|deal| Ok((self.plan(deal), deal_of(&text, deal)?)))
                .collect::<anyhow::Result<_>>()?,
        };
        Ok(Revisions { component, plans })
    }
}

/// A component, and parameters for it by the name of the plan.
#[derive(Debug)]
pub struct Revisions {
    /// The built file.
    pub component: PathBuf,
    /// Each plan with its parameters, as text.
    pub plans: Vec<(String, String)>,
}

/// Parameters of one deal: a pool that is soon used up, and a price of its own beyond it.
fn deal_of(text: &str, deal: u32) -> anyhow::Result<String> {
    let mut parameters: Value = serde_json::from_str(text)?;
    parameters["pool"]["credits"] = json!("1");
    parameters["beyond"]["price"] = json!((5 + deal).to_string());
    parameters["fee"] = json!((10 + deal).to_string());
    Ok(parameters.to_string())
}

/// The plans in force, and customers who can pay for more than any run asks.
pub async fn prepare(
    server: &Server,
    priced: &[(Priced, Revisions)],
    all: &[Customers],
) -> anyhow::Result<()> {
    let client = Client::new(server.address(), server.key())?;
    for (_, revisions) in priced {
        let bytes = std::fs::read(&revisions.component)?;
        for (plan, parameters) in &revisions.plans {
            let component = client.push_component(plan, bytes.clone()).await?;
            client.push_revision(plan, &component, parameters).await?;
        }
    }
    let mut tasks = JoinSet::new();
    for first in 0..CREATED_AT_ONCE {
        let (client, all) = (client.clone(), all.to_vec());
        tasks.spawn(async move {
            for customers in all {
                for index in (first..customers.count).step_by(CREATED_AT_ONCE as usize) {
                    let plan = customers.priced.plan(index);
                    customer(&client, &format!("{}-{index:06}", customers.prefix), &plan).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

async fn customer(client: &Client, id: &str, plan: &str) -> anyhow::Result<()> {
    client.put_customer(id, &json!({ "name": id })).await?;
    client
        .subscribe(&json!({ "id": format!("{id}-{plan}"), "customer": id, "plan": plan }))
        .await?;
    let grant = json!({ "id": format!("{id}-paid"), "asset": "usd", "amount": BALANCE, "category": "paid" });
    client.grant(id, &grant).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deal_has_parameters_of_its_own() {
        let text = r#"{"fee":"20","pool":{"credits":"2000"},"beyond":{"price":"10","per":"thousand"}}"#;
        let deals: std::collections::BTreeSet<String> =
            (0..DEALS).map(|deal| deal_of(text, deal).unwrap()).collect();
        assert_eq!(deals.len(), 50);
        let first: Value = serde_json::from_str(&deal_of(text, 0).unwrap()).unwrap();
        assert_eq!(first["beyond"], json!({"price": "5", "per": "thousand"}));
        assert_eq!(Priced::Deals.plan(57), "deal-07");
    }
}
