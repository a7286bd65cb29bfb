//! What the demo ends with.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::proof::{Check, Prices};
use super::setup::Stage;
use super::tally::{Tally, milliseconds};
use crate::terminal::{grouped, seconds};

/// Numbers and proof.
#[derive(Debug)]
pub struct Summary {
    rows: Vec<(&'static str, String)>,
    json: Value,
    checks: Vec<Check>,
}

impl Summary {
    /// Of a replay that is over.
    pub fn new(stage: &Stage, tally: &mut Tally, prices: &Prices, checks: Vec<Check>) -> Summary {
        let lasted = tally.started.elapsed();
        let sending = stage.pace.wall().max(Duration::from_millis(1));
        let per_second = u128::from(tally.decisions()) * 1_000 / sending.as_millis();
        let second = tally.by_revision.get(&prices.second).copied().unwrap_or(0);
        let first = tally.allowed.saturating_sub(second);
        let busiest = tally.per_second().into_iter().max().unwrap_or(0);
        let times = |which: &hdrhistogram::Histogram<u64>| {
            let at = |quantile| milliseconds(which, quantile);
            format!("p50 {}, p99 {}, max {}", at(0.5), at(0.99), at(1.0))
        };
        let rows = vec![
            ("customers", grouped(stage.script.customers.len() as u64)),
            ("decisions", grouped(tally.decisions())),
            (
                "decisions a second",
                format!("{per_second} on average, {busiest} in the busiest second"),
            ),
            ("allowed", grouped(tally.allowed)),
            ("denied", grouped(tally.denied)),
            ("charged", grouped(tally.charged)),
            ("  after expiry", grouped(tally.late)),
            ("released", grouped(tally.released)),
            ("left to expire", grouped(tally.forgotten)),
            ("sent twice", grouped(tally.retried)),
            ("quoted by the first price list", grouped(first)),
            ("quoted by the second", grouped(second)),
            ("revenue", format!("{} usd", tally.revenue.normalize())),
            ("authorize", times(&tally.authorize_us)),
            ("settle", times(&tally.settle_us)),
            ("failed", grouped(tally.failed)),
            ("time", seconds(lasted)),
        ];
        let json = numbers(stage, tally, (first, second), &checks);
        Summary { rows, json, checks }
    }

    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        self.json.to_string()
    }

    /// Two tables, and where something does not hold, which.
    pub fn text(&self) -> String {
        let mut numbers = table();
        numbers.set_header(["replay", ""]);
        for (name, value) in &self.rows {
            numbers.add_row([
                Cell::new(name),
                Cell::new(value).set_alignment(CellAlignment::Right),
            ]);
        }
        let mut proof = table();
        proof.set_header(["proof", "cases", ""]);
        for check in &self.checks {
            let cases = Cell::new(grouped(check.cases)).set_alignment(CellAlignment::Right);
            proof.add_row([
                Cell::new(check.name),
                cases,
                Cell::new(if check.holds() { "holds" } else { "FAILS" }),
            ]);
        }
        let mut text = format!("{numbers}\n{proof}\n");
        for check in self.checks.iter().filter(|check| !check.holds()) {
            text.push_str(&format!("\n{}:\n", check.name));
            for difference in &check.differences {
                text.push_str(&format!("  {difference}\n"));
            }
        }
        text.push_str(match self.holds() {
            true => "\nEvery cent is accounted for.",
            false => "\nThe proof failed.",
        });
        text
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn numbers(stage: &Stage, tally: &Tally, (first, second): (u64, u64), checks: &[Check]) -> Value {
    let micros = |times: &hdrhistogram::Histogram<u64>| {
        json!({
            "p50": times.value_at_quantile(0.5), "p90": times.value_at_quantile(0.9),
            "p99": times.value_at_quantile(0.99), "max": times.max(), "count": times.len(),
        })
    };
    let amount = |amount: Decimal| amount.normalize().to_string();
    let proof: Vec<Value> = checks
        .iter()
        .map(|c| json!({"name": c.name, "cases": c.cases, "holds": c.holds(), "differences": c.differences}))
        .collect();
    json!({
        "holds": checks.iter().all(Check::holds),
        "requests": stage.script.turns.len(), "customers": stage.script.customers.len(),
        "replay_ms": u64::try_from(stage.pace.wall().as_millis()).unwrap_or(u64::MAX),
        "decisions": tally.decisions(), "allowed": tally.allowed, "denied": tally.denied,
        "charged": tally.charged, "late": tally.late, "released": tally.released, "expired": tally.forgotten,
        "retried": tally.retried, "failed": tally.failed,
        "quoted_by_first": first, "quoted_by_second": second,
        "revenue": {"asset": "usd", "amount": amount(tally.revenue)},
        "authorize_us": micros(&tally.authorize_us), "settle_us": micros(&tally.settle_us),
        "proof": proof,
    })
}
