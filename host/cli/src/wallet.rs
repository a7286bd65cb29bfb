//! `farebox wallet`: what a customer has, giving more, and putting it right.

pub(crate) mod correct;
mod entries;

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use farebox_money::{Asset, Nanos};
use farebox_record::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::measured::{attribute, attributes};
use crate::output::{Output, count, field, list, table};
use correct::{Adjust, Pay, Refund};
use entries::Entries;

/// What can be done with a wallet.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox wallet show acme")]
pub enum WalletCommand {
    /// Show what a customer has: per asset, and grant by grant
    #[command(after_help = "Examples:
  farebox wallet show acme
  farebox wallet show acme --json | jq '.balance'")]
    Show(Show),
    /// List what was posted, newest first
    ///
    /// Every line names its charge and its event. The lines of one record sum to zero per asset: what leaves a grant arrives
    /// at its counterpart, such as revenue.
    #[command(after_help = "Examples:
  farebox wallet entries acme
  farebox wallet entries acme --limit 500
  farebox wallet entries acme --all --json | jq '.entries[] | select(.account == \"revenue\")'")]
    Entries(Entries),
    /// Put value into a customer's wallet
    ///
    /// The grant's id makes it safe to repeat: the same id never gives twice. Where none is given one is made up and
    /// shown; repeat with that one if no answer came.
    #[command(after_help = "Examples:
  farebox wallet grant acme usd 20 --id invoice-1042
  farebox wallet grant acme credits 500 --category promotional --expires-at 2027-01-01T00:00:00Z
  farebox wallet grant acme usd 5 --category promotional --attribute model=gpt-5")]
    Grant(Grant),
    /// Take value away by hand, or write off what is owed
    ///
    /// Never more than is free, or than is owed. Value is put in with `farebox wallet grant`.
    #[command(after_help = "Examples:
  farebox wallet adjust acme usd 5 --target balance --reason \"granted twice\"
  farebox wallet adjust acme usd 0.40 --target debt --reason goodwill --id fix-7")]
    Adjust(Adjust),
    /// Note that a customer paid fees that stood on its statement
    ///
    /// Pays the receivable, and no more than that; put the rest in with `farebox wallet grant`.
    #[command(
        after_help = "Example:\n  farebox wallet pay acme usd 49 --label \"Invoice 2026-11\" --id payment-12"
    )]
    Pay(Pay),
    /// Give back what an event took, or unused value of a bought grant
    ///
    /// What an event took comes back to what it made the customer owe, then to the grants that it came from. Unused value
    /// of a bought grant leaves the wallet: pay it to the customer.
    #[command(after_help = "Examples:
  farebox wallet refund acme --event call-1 --reason \"answer cut short\"
  farebox wallet refund acme --event call-1 --amount 0.5 --asset usd --reason goodwill
  farebox wallet refund acme --grant topup-1 --reason \"customer left\"")]
    Refund(Refund),
}

/// See [`WalletCommand::Show`].
#[derive(Debug, Args)]
pub struct Show {
    /// The customer's id
    customer: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`WalletCommand::Grant`].
#[derive(Debug, Args)]
pub struct Grant {
    /// The customer's id
    customer: String,
    /// In which asset: usd, credits
    asset: Asset,
    /// How much, as a decimal number: 20, 0.50
    amount: Nanos,
    /// The grant's id; a retry under the same id gives nothing twice
    #[arg(long)]
    id: Option<String>,
    /// Where the value comes from; only paid value pays debt
    #[arg(long, value_enum, default_value = "paid")]
    category: Category,
    /// Low burns first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// From when it is good [default: at once]
    #[arg(long, value_name = "TIME")]
    effective_at: Option<Timestamp>,
    /// Until when it is good [default: for good]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    /// What a person reads
    #[arg(long)]
    label: Option<String>,
    /// Pay only for charges with this code; may be given several times
    #[arg(long = "code", value_name = "CODE")]
    codes: Vec<String>,
    /// Pay only for events with this attribute; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// Give each value of this attribute a portion of its own, of --each-amount: user
    #[arg(long, value_name = "ATTRIBUTE", requires = "each_amount")]
    each: Option<String>,
    /// How much each value gets at most
    #[arg(long, value_name = "AMOUNT", requires = "each")]
    each_amount: Option<Nanos>,
    #[command(flatten)]
    remote: Remote,
}

/// What kind of value is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Category {
    /// Bought
    Paid,
    /// Given away
    Promotional,
    /// Part of a subscription
    Included,
}

impl WalletCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            WalletCommand::Show(show) => {
                let client = Client::new(&global.remote(&show.remote)?)?;
                let wallet = client.get(&["customers", &show.customer, "balance"], &[])?;
                Ok(Output::new(shown(&wallet), wallet))
            }
            WalletCommand::Entries(entries) => entries.run(global),
            WalletCommand::Grant(grant) => grant.run(global),
            WalletCommand::Adjust(adjust) => adjust.run(global),
            WalletCommand::Pay(pay) => pay.run(global),
            WalletCommand::Refund(refund) => refund.run(global),
        }
    }
}

impl Grant {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let id = self.id.clone().unwrap_or_else(made_up_id);
        let body = self.body(&id)?;
        let granted = client
            .post(&["customers", &self.customer, "grants"], &Body::Json(&body))
            .map_err(|failure| {
                failure.detail(format!(
                    "grant {id}; repeating with --id {id} gives nothing twice"
                ))
            })?;
        let before = if granted.get("replayed") == Some(&Value::Bool(true)) {
            " (was there already)"
        } else {
            ""
        };
        let text = format!(
            "{} {} to {} under {id}{before}\n\n{}",
            self.amount,
            self.asset,
            self.customer,
            balances(list(&granted, "/balance"))
        );
        Ok(Output::new(text, granted))
    }

    fn body(&self, id: &str) -> Result<Value, Failure> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Value| {
            body.insert(name.to_string(), value);
        };
        set("id", json!(id));
        set("asset", json!(self.asset.as_str()));
        set("amount", json!(self.amount.to_string()));
        set("category", json!(self.category.as_str()));
        set("priority", json!(self.priority));
        if let Some(at) = self.effective_at {
            set("effective_at", json!(at.to_string()));
        }
        if let Some(at) = self.expires_at {
            set("expires_at", json!(at.to_string()));
        }
        if let Some(label) = &self.label {
            set("label", json!(label));
        }
        if !self.codes.is_empty() || !self.attributes.is_empty() {
            set(
                "applies_to",
                json!({ "codes": self.codes, "attributes": attributes(&self.attributes)? }),
            );
        }
        if let (Some(attribute), Some(amount)) = (&self.each, self.each_amount) {
            set(
                "each",
                json!({ "attribute": attribute, "amount": amount.to_string() }),
            );
        }
        Ok(body.into())
    }
}

impl Category {
    fn as_str(self) -> &'static str {
        match self {
            Category::Paid => "paid",
            Category::Promotional => "promotional",
            Category::Included => "included",
        }
    }
}

fn shown(wallet: &Value) -> String {
    let mut text = balances(list(wallet, "/balance"));
    let grants = list(wallet, "/grants");
    if !grants.is_empty() {
        let columns = [
            "/id",
            "/asset",
            "/available",
            "/held",
            "/amount",
            "/category",
            "/state",
            "/expires_at",
            "/label",
        ];
        let rows = grants
            .iter()
            .map(|grant| columns.iter().map(|column| field(grant, column)).collect());
        let heads = [
            "grant",
            "asset",
            "available",
            "held",
            "of",
            "category",
            "state",
            "expires",
            "label",
        ];
        text = format!("{text}\n\n{}", table(&heads, &[2, 3, 4], rows));
    }
    let number = |path| wallet.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let holds = count(number("/open_holds"), "open hold");
    let unpriced = count(number("/unpriced_events"), "event");
    format!("{text}\n\n{holds}, {unpriced} without a price")
}

/// A balance per line.
pub(crate) fn balances(balances: &[Value]) -> String {
    if balances.is_empty() {
        return "The wallet is empty.".to_string();
    }
    let columns = ["/asset", "/available", "/held", "/debt", "/receivable"];
    let rows = balances
        .iter()
        .map(|balance| columns.iter().map(|column| field(balance, column)).collect());
    table(
        &["asset", "available", "held", "debt", "receivable"],
        &[1, 2, 3, 4],
        rows,
    )
}

/// Unique enough: two grants by hand are more than a microsecond apart, and the process tells apart what is not.
pub fn made_up_id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    format!("cli-{now}-{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_is_shown_per_asset_and_grant_by_grant() {
        let wallet = json!({
            "customer": "acme", "open_holds": 1, "unpriced_events": 0, "sequence": 9,
            "balance": [{"asset": "usd", "available": "12.5", "held": "0.0366", "debt": "0", "receivable": "0"}],
            "grants": [{"id": "topup-1", "asset": "usd", "amount": "20", "available": "12.5", "held": "0.0366",
                "category": "paid", "priority": 0, "effective_at": "2026-11-23T09:30:00Z", "state": "active"}],
        });
        insta::assert_snapshot!(shown(&wallet));
    }
}
