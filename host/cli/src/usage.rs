//! `farebox usage`: what a customer used, by attribute and time.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{Global, Remote};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, field, list, table};

/// See [`crate::cli::Command::Usage`].
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  farebox usage acme                               the last day, by the hour
  farebox usage acme --by feature,model --every day
  farebox usage acme --every minute --from 2026-11-23T09:00:00Z --to 2026-11-23T10:00:00Z --json")]
pub struct Usage {
    /// The customer's id
    customer: String,
    /// Names of up to 4 attributes to tell apart, with commas between
    #[arg(long, value_name = "ATTRIBUTES")]
    by: Option<String>,
    /// Summed over which times: minute, hour or day
    #[arg(long, value_name = "TIME", default_value = "hour")]
    every: String,
    /// From when on, such as 2026-11-23T09:00:00Z [default: an hour, a day or thirty days before]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Usage {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let mut query = vec![("every", self.every.clone()), ("limit", "200".to_string())];
        query.extend(self.by.clone().map(|by| ("by", by)));
        query.extend(self.from.clone().map(|from| ("from", from)));
        query.extend(self.to.clone().map(|to| ("to", to)));
        let path = ["customers", &self.customer, "usage"];
        let rows = client.all(&path, "rows", &query)?;
        let by: Vec<&str> = self
            .by
            .as_deref()
            .map_or_else(Vec::new, |by| by.split(',').map(str::trim).collect());
        Ok(Output::new(listed(&by, &rows), json!({ "rows": rows })))
    }
}

/// One line for each charge of each row; a row without one has one line too.
fn listed(by: &[&str], rows: &[Value]) -> String {
    if rows.is_empty() {
        return "Nothing was used in this time.".to_string();
    }
    let mut heads = vec!["time"];
    heads.extend(by);
    heads.extend(["events", "measures", "charge", "quantity", "amount", "asset"]);
    let numbers = by.len() + 1;
    let lines = rows.iter().flat_map(|row| {
        let charges = list(row, "/charges");
        let none = Value::Null;
        let shown: Vec<&Value> = if charges.is_empty() {
            vec![&none]
        } else {
            charges.iter().collect()
        };
        let lines: Vec<Vec<String>> = (shown.into_iter().enumerate())
            .map(|(at, charge)| line(by, row, charge, at == 0))
            .collect();
        lines
    });
    table(&heads, &[numbers, numbers + 3, numbers + 4], lines)
}

fn line(by: &[&str], row: &Value, charge: &Value, first: bool) -> Vec<String> {
    let once = |text: String| if first { text } else { String::new() };
    let mut cells = vec![once(field(row, "/time"))];
    for name in by {
        let value = match row.get("other") == Some(&Value::Bool(true)) {
            true => "(other)".to_string(),
            false => row
                .get("attributes")
                .map_or_else(String::new, |all| field(all, &format!("/{name}"))),
        };
        cells.push(once(value));
    }
    cells.push(once(field(row, "/events")));
    let measures = row
        .get("measures")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let measures: Vec<String> = measures
        .map(|(name, sum)| format!("{name}={}", sum.as_str().unwrap_or_default()))
        .collect();
    cells.push(once(measures.join(" ")));
    for name in ["/code", "/quantity", "/amount", "/asset"] {
        cells.push(field(charge, name));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_lines() {
        let rows = [
            json!({"time": "2026-11-23T09:00:00Z", "attributes": {"feature": "chat"}, "events": 2,
                "measures": {"input_tokens": "3000", "output_tokens": "100"}, "charges": [
                    {"code": "input", "asset": "usd", "amount": "0.003", "quantity": "3000"},
                    {"code": "output", "asset": "usd", "amount": "0.0002", "quantity": "100"}]}),
            json!({"time": "2026-11-23T09:00:00Z", "attributes": {"feature": null}, "events": 1,
                "measures": {}, "charges": []}),
            json!({"time": "2026-11-23T09:00:00Z", "attributes": {}, "other": true, "events": 31,
                "measures": {"input_tokens": "31"}, "charges": []}),
        ];
        insta::assert_snapshot!(listed(&["feature"], &rows));
    }
}
