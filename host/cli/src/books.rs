//! `farebox books`: what moved in each account, all customers of a tenant together.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field, list, table};

/// See [`crate::cli::Command::Books`].
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  farebox books                                    the present month
  farebox books --month 2026-11 --csv november.csv
  farebox books --from 2026-11-01 --to 2026-11-08")]
pub struct Books {
    /// A calendar month, such as 2026-11 [default: the present one]
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    /// The first day, such as 2026-11-01; instead of a month
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The day behind the last one [default: tomorrow]
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<String>,
    /// Write a table of it to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Books {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let given = [("month", &self.month), ("from", &self.from), ("to", &self.to)];
        let mut query: Vec<(&str, String)> = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect();
        let Some(out) = &self.csv else {
            let books = client.get(&["books"], &query)?;
            return Ok(Output::new(listed(&books), books));
        };
        query.push(("format", "csv".to_string()));
        let text = client.text(&["books"], &query)?;
        fs::write(out, &text).map_err(|error| Failure::io("write", out, &error))?;
        let written = json!({"written": out.display().to_string(), "bytes": text.len()});
        Ok(Output::new(format!("Written to {}.", out.display()), written))
    }
}

/// A table for each asset.
fn listed(books: &Value) -> String {
    let assets = list(books, "/assets");
    let mut parts = vec![format!(
        "All customers from {} to {}",
        field(books, "/from"),
        field(books, "/to")
    )];
    if assets.is_empty() {
        parts.push("Nothing was ever posted before the end of this time.".to_string());
    }
    for asset in assets {
        let rows = list(asset, "/accounts").iter().map(|account| {
            let cells = ["/account", "/opening", "/moved", "/closing"];
            cells.map(|cell| field(account, cell)).to_vec()
        });
        let name = field(asset, "/asset");
        parts.push(table(&[&name, "opening", "moved", "closing"], &[1, 2, 3], rows));
    }
    parts.push(format!("Complete up to {}.", field(books, "/as_of/time")));
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, [opening, moved, closing]: [&str; 3]) -> Value {
        json!({"account": name, "opening": opening, "moved": moved, "closing": closing})
    }

    #[test]
    fn books_are_a_table_for_each_asset() {
        let books = json!({
            "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "as_of": {"time": "2026-11-23T09:30:00Z"},
            "assets": [{"asset": "usd", "accounts": [
                account("available", ["10", "4.5", "14.5"]),
                account("purchases", ["-12", "-5", "-17"]),
                account("revenue", ["2", "0.5", "2.5"]),
            ]}],
        });
        insta::assert_snapshot!(listed(&books));
        assert!(listed(&json!({"assets": []})).contains("Nothing was ever posted"));
    }
}
