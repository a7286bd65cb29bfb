//! `farebox limits`: how much a customer, or a part of one, may spend.

use clap::{Args, Subcommand, ValueEnum};
use farebox_money::{Asset, Nanos};
use serde_json::{Map, Value, json};

use crate::cli::{Global, Remote};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output::{Output, field, list, table};

/// What can be done with spending limits.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  farebox limits put acme search-monthly usd 100 --scope team=search")]
pub enum LimitsCommand {
    /// Make a spending limit, or change one
    ///
    /// Sets all of it. Counting starts when the limit is put; another asset, scope or window starts it anew. What open
    /// holds have set aside counts. A call must fit all limits that it counts towards, or it is denied.
    #[command(after_help = "Examples:
  farebox limits put acme all usd 500                                  the whole customer, per month
  farebox limits put acme search usd 100 --scope team=search --window week
  farebox limits put acme bot-7 usd 5 --scope team=search --scope agent=bot-7 --window 24h/1h
  farebox limits put acme watch usd 50 --threshold 80% --threshold 45 --on-exceed notify")]
    Put(Put),
    /// List a customer's spending limits, and how much of each is taken
    #[command(after_help = "Examples:
  farebox limits list acme
  farebox limits list acme --json | jq -r '.limits[] | [.name, .available] | @tsv'")]
    List(Of),
    /// Show one spending limit
    #[command(after_help = "Example:\n  farebox limits show acme search")]
    Show(One),
    /// Take a spending limit away, and what was counted with it
    #[command(after_help = "Example:\n  farebox limits delete acme search")]
    Delete(One),
}

/// See [`LimitsCommand::Put`].
#[derive(Debug, Args)]
pub struct Put {
    /// The customer's id
    customer: String,
    /// The limit's name
    name: String,
    /// In which asset: usd, credits
    asset: Asset,
    /// How much may be used and held in a window, as a decimal number: 100, 0.50
    amount: Nanos,
    /// Count only events with this attribute; several make a path, from the top down
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    scope: Vec<(String, String)>,
    /// hour, day, week, month, year (UTC), or a rolling length with its step: 24h/1h
    #[arg(long, default_value = "month", value_parser = window)]
    window: Value,
    /// Announce when usage reaches this: 80% or an amount; several times [default: 50% 80% 100%]
    #[arg(long = "threshold", value_name = "PERCENT%|AMOUNT", value_parser = threshold)]
    thresholds: Vec<Value>,
    /// What happens to a call that does not fit
    #[arg(long, value_enum, default_value = "deny")]
    on_exceed: OnExceed,
    #[command(flatten)]
    remote: Remote,
}

/// See [`LimitsCommand::List`].
#[derive(Debug, Args)]
pub struct Of {
    /// The customer's id
    customer: String,
    #[command(flatten)]
    remote: Remote,
}

/// See [`LimitsCommand::Show`].
#[derive(Debug, Args)]
pub struct One {
    /// The customer's id
    customer: String,
    /// The limit's name
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// What happens to a call that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnExceed {
    /// It is denied
    Deny,
    /// It goes ahead; only thresholds are announced
    Notify,
}

impl LimitsCommand {
    /// Carries it out.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        match self {
            LimitsCommand::Put(put) => put.run(global),
            LimitsCommand::List(of) => {
                let client = Client::new(&global.remote(&of.remote)?)?;
                let limits = client.get(&["customers", &of.customer, "limits"], &[])?;
                Ok(Output::new(listed(list(&limits, "/limits")), limits))
            }
            LimitsCommand::Show(one) => {
                let client = Client::new(&global.remote(&one.remote)?)?;
                let limit = client.get(&["customers", &one.customer, "limits", &one.name], &[])?;
                Ok(Output::new(listed(std::slice::from_ref(&limit)), limit))
            }
            LimitsCommand::Delete(one) => {
                let client = Client::new(&global.remote(&one.remote)?)?;
                let limit = client.delete(&["customers", &one.customer, "limits", &one.name])?;
                Ok(Output::new(
                    format!("{} limits nothing any more", one.name),
                    limit,
                ))
            }
        }
    }
}

impl Put {
    fn run(&self, global: &Global) -> Result<Output, Failure> {
        let client = Client::new(&global.remote(&self.remote)?)?;
        let path = ["customers", &self.customer, "limits", &self.name];
        let limit = client.put(&path, &Body::Json(&self.body()))?;
        Ok(Output::new(listed(std::slice::from_ref(&limit)), limit))
    }

    fn body(&self) -> Value {
        let on_exceed = match self.on_exceed {
            OnExceed::Deny => "deny",
            OnExceed::Notify => "notify",
        };
        let mut body = json!({
            "asset": self.asset.as_str(), "amount": self.amount.to_string(), "scope": path_of(&self.scope),
            "window": self.window, "on_exceed": on_exceed,
        });
        if !self.thresholds.is_empty() {
            body["thresholds"] = json!(self.thresholds);
        }
        body
    }
}

fn path_of(scope: &[(String, String)]) -> Map<String, Value> {
    let pairs = scope.iter().map(|(name, value)| (name.clone(), json!(value)));
    pairs.collect()
}

fn listed(limits: &[Value]) -> String {
    if limits.is_empty() {
        return "There are no limits; `farebox limits put` makes one.".to_string();
    }
    let columns = [
        "/name",
        "/level",
        "/asset",
        "/used",
        "/held",
        "/available",
        "/amount",
    ];
    let rows = limits.iter().map(|limit| {
        let mut row: Vec<String> = columns.iter().map(|column| field(limit, column)).collect();
        row.push(shown(limit.get("window").unwrap_or(&Value::Null)));
        row.push(field(limit, "/on_exceed"));
        row.push(field(limit, "/resets_at"));
        row
    });
    let heads = [
        "limit",
        "level",
        "asset",
        "used",
        "held",
        "left",
        "of",
        "window",
        "on exceed",
        "resets",
    ];
    table(&heads, &[3, 4, 5, 6], rows)
}

fn shown(window: &Value) -> String {
    match window.get("rolling") {
        None => field(window, "/calendar"),
        Some(rolling) => format!(
            "{}s/{}s",
            field(rolling, "/seconds"),
            field(rolling, "/step_seconds")
        ),
    }
}

/// `team=search`.
fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE such as team=search")?;
    Ok((name.to_string(), value.to_string()))
}

/// `month`, or `24h/1h`, as the server takes it.
fn window(text: &str) -> Result<Value, String> {
    if ["hour", "day", "week", "month", "year"].contains(&text) {
        return Ok(json!({ "calendar": text }));
    }
    let expected = "expected hour, day, week, month, year, or a length with its step such as 24h/1h";
    let (length, step) = text.split_once('/').ok_or(expected)?;
    let (seconds, step_seconds) = (duration(length)?, duration(step)?);
    Ok(json!({ "rolling": { "seconds": seconds, "step_seconds": step_seconds } }))
}

/// `90s`, `15m`, `24h`, `7d`, in seconds.
fn duration(text: &str) -> Result<u32, String> {
    let expected = || format!("{text:?} is not a length of time such as 90s, 15m, 24h or 7d");
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u32 = text.trim_end_matches(unit).parse().map_err(|_| expected())?;
    number.checked_mul(seconds).ok_or_else(expected)
}

/// `80%` or `45`, as the server takes it.
fn threshold(text: &str) -> Result<Value, String> {
    let expected = "expected percent such as 80%, or an amount such as 45";
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: u16 = percent.parse().map_err(|_| expected)?;
            Ok(json!({ "percent": percent }))
        }
        None => {
            let amount: Nanos = text.parse().map_err(|_| expected)?;
            Ok(json!({ "amount": amount.to_string() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_thresholds_are_read_as_people_write_them() {
        let rolling =
            |seconds: u32, step: u32| json!({"rolling": {"seconds": seconds, "step_seconds": step}});
        for (text, expected) in [
            ("week", json!({"calendar": "week"})),
            ("24h/1h", rolling(86_400, 3_600)),
            ("90s/30s", rolling(90, 30)),
            ("7d/12h", rolling(604_800, 43_200)),
            ("60m/1m", rolling(3_600, 60)),
        ] {
            assert_eq!(window(text), Ok(expected), "{text}");
        }
        for bad in ["fortnight", "24h", "24/1", "h/s", "99999999d/1d", ""] {
            assert!(window(bad).is_err(), "{bad}");
        }
        assert_eq!(threshold("80%"), Ok(json!({"percent": 80})));
        assert_eq!(threshold("0.50"), Ok(json!({"amount": "0.5"})));
        for bad in ["%", "half", "-1%", "80.5%"] {
            assert!(threshold(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_shown_one_per_line() {
        let limits = json!([
            {"name": "all", "level": "customer", "asset": "usd", "used": "12.5", "held": "0.25", "available": "87.25",
                "amount": "100", "window": {"calendar": "month"}, "on_exceed": "deny",
                "resets_at": "2026-12-01T00:00:00Z"},
            {"name": "bot", "level": "team=search/agent=bot-7", "asset": "usd", "used": "0", "held": "0",
                "available": "5", "amount": "5", "on_exceed": "notify",
                "window": {"rolling": {"seconds": 86400, "step_seconds": 3600}}},
        ]);
        insta::assert_snapshot!(listed(list(&json!({ "limits": limits }), "/limits")));
    }
}
