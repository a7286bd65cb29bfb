//! `farebox statement`: what happened to a customer in a month, a range or a period, with lines that sum to the balance.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field, list, table};

/// See [`crate::cli::Command::Statement`].
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  farebox statement acme                           the present month
  farebox statement acme --month 2026-11 --format html --out acme.html
  farebox statement acme --subscription acme-tokens --period 3
  farebox statement acme --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --format csv")]
pub struct Statement {
    /// The customer's id
    customer: String,
    /// A calendar month, such as 2026-11 [default: the present one]
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to", "subscription", "period"])]
    month: Option<String>,
    /// From when on, such as 2026-11-23T09:00:00Z; instead of a month
    #[arg(long, value_name = "TIME", conflicts_with_all = ["subscription", "period"])]
    from: Option<String>,
    /// Until when, exclusive [default: now]
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// A period of this subscription; instead of a month
    #[arg(long, value_name = "SUBSCRIPTION")]
    subscription: Option<String>,
    /// Which period, counted from 0 [default: the present one]
    #[arg(long, value_name = "NUMBER", requires = "subscription")]
    period: Option<u32>,
    /// In which form; `html` is a page that prints
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,
    /// Write it to this file; without --format, its ending says in which form
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Forms of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal
    Text,
    /// One document, for programs
    Json,
    /// One row for each line
    Csv,
    /// A page that prints
    Html,
}

impl Statement {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let format = self.format_or(global)?;
        let client = Client::new(&global.remote(&self.remote)?)?;
        let period = self.period.map(|period| period.to_string());
        let given = [
            ("month", &self.month),
            ("from", &self.from),
            ("to", &self.to),
            ("subscription", &self.subscription),
            ("period", &period),
        ];
        let mut query: Vec<(&str, String)> = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect();
        let path = ["customers", &self.customer, "statement"];
        let (text, json) = match format {
            Format::Text => {
                let statement = client.get(&path, &query)?;
                (listed(&statement), statement)
            }
            Format::Json => {
                let statement = client.get(&path, &query)?;
                (statement.to_string(), statement)
            }
            Format::Csv | Format::Html => {
                let name = if format == Format::Csv { "csv" } else { "html" };
                query.push(("format", name.to_string()));
                (client.text(&path, &query)?, Value::Null)
            }
        };
        let Some(out) = &self.out else {
            return Ok(Output::new(text, json));
        };
        let ended = if text.ends_with('\n') {
            text
        } else {
            format!("{text}\n")
        };
        fs::write(out, &ended).map_err(|error| Failure::io("write", out, &error))?;
        let written = json!({"written": out.display().to_string(), "bytes": ended.len()});
        Ok(Output::new(format!("Written to {}.", out.display()), written))
    }

    /// `--json` asks for JSON where it is printed; into a file goes what `--format` says, or what its name ends in.
    fn format_or(&self, global: &Global) -> Result<Format, Failure> {
        let ending = self.out.as_ref().and_then(|out| out.extension()?.to_str());
        match (self.format, ending) {
            (Format::Text, Some("json")) => Ok(Format::Json),
            (Format::Text, Some("csv")) => Ok(Format::Csv),
            (Format::Text, Some("html" | "htm")) => Ok(Format::Html),
            (Format::Text, None) if global.json => Ok(Format::Json),
            (Format::Csv | Format::Html, _) if global.json && self.out.is_none() => {
                let hint = "leave one of them away, or write the statement to a file with --out";
                Err(Failure::usage("--json and --format say different things").hint(hint))
            }
            (format, _) => Ok(format),
        }
    }
}

/// A table for each asset.
fn listed(statement: &Value) -> String {
    let assets = list(statement, "/assets");
    let head = format!(
        "{} from {} to {} ({})",
        field(statement, "/customer"),
        field(statement, "/from"),
        field(statement, "/to"),
        field(statement, "/status"),
    );
    let mut parts = vec![head];
    if assets.is_empty() {
        parts.push("Nothing was there, and nothing happened.".to_string());
    }
    parts.extend(assets.iter().map(asset_table));
    parts.push(format!(
        "Made from record {}, chain {}.",
        field(statement, "/as_of/sequence"),
        field(statement, "/as_of/chain"),
    ));
    parts.join("\n\n")
}

fn asset_table(asset: &Value) -> String {
    let amounts = |at: &Value| -> Vec<String> {
        let columns = ["/available", "/held", "/debt", "/receivable", "/amount"];
        columns.map(|column| field(at, column)).to_vec()
    };
    let end = |name: &str, at: &str| {
        let blank = [name, "", "", ""].map(str::to_string).to_vec();
        [blank, amounts(asset.pointer(at).unwrap_or(&Value::Null))].concat()
    };
    let blank = |text: String| if text == "-" { String::new() } else { text };
    let lines = list(asset, "/lines").iter().map(|line| {
        let period = match line.pointer("/period/start") {
            Some(_) => format!(
                "{} {}",
                field(line, "/subscription"),
                field(line, "/period/index")
            ),
            None => String::new(),
        };
        let told = vec![
            field(line, "/kind"),
            field(line, "/description"),
            period,
            blank(field(line, "/quantity")),
        ];
        [told, amounts(line)].concat()
    });
    let name = field(asset, "/asset");
    let rows = std::iter::once(end("opening", "/opening"))
        .chain(lines)
        .chain([end("closing", "/closing")]);
    table(
        &[
            &name,
            "what",
            "period",
            "quantity",
            "available",
            "held",
            "debt",
            "receivable",
            "amount",
        ],
        &[3, 4, 5, 6, 7, 8],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_a_table_for_each_asset() {
        let amounts = |available: &str, held: &str, amount: &str| json!({"available": available, "held": held, "debt": "0", "receivable": "0", "amount": amount});
        let line = |mut told: Value, moved: Value| {
            told.as_object_mut()
                .unwrap()
                .extend(moved.as_object().unwrap().clone());
            told
        };
        let statement = json!({
            "customer": "acme", "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "status": "closed",
            "as_of": {"sequence": 9, "chain": "ab12"},
            "assets": [{"asset": "usd", "opening": amounts("0", "0", "0"), "closing": amounts("4", "3", "7"), "lines": [
                line(json!({"kind": "grant", "description": "topup (bought)", "subscription": "s"}), amounts("10", "0", "10")),
                line(json!({"kind": "usage", "description": "input", "subscription": "s", "quantity": "3000",
                    "period": {"index": 2, "start": "2026-11-01T00:00:00Z"}}), amounts("-3", "0", "-3")),
                line(json!({"kind": "holds", "description": "Set aside by open holds"}), amounts("-3", "3", "0")),
            ]}],
        });
        insta::assert_snapshot!(listed(&statement));
        assert!(listed(&json!({"assets": []})).contains("Nothing was there"));
    }
}
