//! Measurements beside what they are measured against.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Deserialize;
use serde_json::{Value, json};

/// At one connection, an authorize takes at most this many syncs ...
const SYNCS_MAX: f64 = 1.5;
/// ... and this much more, in microseconds.
const BESIDE_SYNC_US: f64 = 150.0;
/// Events a second that are priced and debited, on two cores.
const EVENTS_MIN: f64 = 400_000.0;

/// A number that was measured.
#[derive(Debug, Clone, Deserialize)]
pub struct Measured {
    /// `authorize_16_p50`.
    pub name: String,
    /// How much.
    pub value: f64,
    /// `us`, `ns`, `1/s`.
    pub unit: String,
}

/// Rows in the order in which they were measured.
#[derive(Debug)]
pub struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    measured: Measured,
    /// Measured in the same run: what it is beside.
    reference: Option<Measured>,
    target: Option<Target>,
}

/// What was promised.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    /// Puts references and targets beside the numbers.
    pub fn new(measured: &[Measured]) -> Report {
        let sync = middle(measured, "fdatasync_p50");
        let best = measured
            .iter()
            .filter(|m| m.name.starts_with("events_"))
            .map(|m| m.value)
            .fold(0.0, f64::max);
        let rows = measured.iter().map(|m| {
            let reference = reference(&m.name).and_then(|name| match name.as_str() {
                "fdatasync_p50" => sync.clone(),
                name => measured.iter().find(|m| m.name == name).cloned(),
            });
            let is_best = m.name.starts_with("events_") && m.value.total_cmp(&best).is_eq();
            let target = match m.name.as_str() {
                "authorize_1_p50" => sync.as_ref().map(|sync| Target::AtMost(allowed(sync.value))),
                _ if is_best => Some(Target::AtLeast(EVENTS_MIN)),
                _ => None,
            };
            Row {
                measured: m.clone(),
                reference,
                target,
            }
        });
        Report { rows: rows.collect() }
    }

    /// One JSON object a row.
    pub fn lines(&self) -> Vec<Value> {
        self.rows.iter().map(Row::json).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["measured", "value", "unit", "beside", "ratio", "target", ""]);
        for row in &self.rows {
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&row.measured.name),
                right(number(row.measured.value)),
                Cell::new(&row.measured.unit),
                Cell::new(row.reference.as_ref().map_or("", |r| r.name.as_str())),
                right(row.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}"))),
                right(row.target.map_or(String::new(), Target::text)),
                Cell::new(match row.holds() {
                    None => "",
                    Some(true) => "holds",
                    Some(false) => "missed",
                }),
            ]);
        }
        format!(
            "{table}\nempty_post: POST /v1/authorize without a body, refused once the key was checked.\n\
             fdatasync: 4 KiB over zeros on the disk of the data folder, before and after the loads."
        )
    }
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "name": self.measured.name,
            "value": self.measured.value,
            "unit": self.measured.unit,
            "reference": self.reference.as_ref().map(|r| json!({"name": r.name, "value": r.value})),
            "ratio": self.ratio(),
            "target": self.target.map(Target::text),
            "holds": self.holds(),
        })
    }

    #[expect(clippy::float_arithmetic, reason = "a ratio of measurements, no money")]
    fn ratio(&self) -> Option<f64> {
        let reference = self.reference.as_ref().filter(|r| r.value > 0.0)?;
        Some(self.measured.value / reference.value)
    }

    fn holds(&self) -> Option<bool> {
        Some(match self.target? {
            Target::AtMost(most) => self.measured.value <= most,
            Target::AtLeast(least) => self.measured.value >= least,
        })
    }
}

impl Target {
    fn text(self) -> String {
        match self {
            Target::AtMost(most) => format!("<= {}", number(most)),
            Target::AtLeast(least) => format!(">= {}", number(least)),
        }
    }
}

/// By name, what a measurement is shown beside.
fn reference(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("authorize_") {
        return Some(match rest {
            "1_p50" => "fdatasync_p50".to_string(),
            rest => format!("empty_post_{rest}"),
        });
    }
    name.strip_prefix("plan_sandboxed_")
        .map(|size| format!("plan_native_{size}"))
}

#[expect(clippy::float_arithmetic, reason = "a limit for a measurement, no money")]
fn allowed(sync_us: f64) -> f64 {
    sync_us * SYNCS_MAX + BESIDE_SYNC_US
}

/// The mean of all measurements of one name: a shared disk has good and bad minutes.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a mean of measurements, no money"
)]
fn middle(measured: &[Measured], name: &str) -> Option<Measured> {
    let same: Vec<&Measured> = measured.iter().filter(|m| m.name == name).collect();
    let first = same.first()?;
    let sum: f64 = same.iter().map(|m| m.value).sum();
    Some(Measured {
        value: sum / same.len() as f64,
        ..(*first).clone()
    })
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str, value: f64, unit: &str) -> Measured {
        Measured {
            name: name.into(),
            value,
            unit: unit.into(),
        }
    }

    fn line(report: &Report, name: &str) -> Value {
        report
            .lines()
            .into_iter()
            .find(|line| line["name"] == name)
            .unwrap()
    }

    #[test]
    fn targets_are_told_honestly() {
        let report = Report::new(&[
            measured("fdatasync_p50", 100.0, "us"),
            measured("authorize_1_p50", 330.0, "us"),
            measured("authorize_16_p50", 400.0, "us"),
            measured("empty_post_16_p50", 200.0, "us"),
            measured("events_2x1000", 300_000.0, "1/s"),
            measured("events_4x10000", 410_000.0, "1/s"),
            measured("fdatasync_p50", 140.0, "us"),
        ]);
        let authorize = line(&report, "authorize_1_p50");
        assert_eq!(authorize["target"], "<= 330.0"); // 1.5 * 120 + 150
        assert_eq!(authorize["holds"], true);
        assert_eq!(authorize["reference"]["value"], 120.0);
        assert_eq!(authorize["ratio"], 2.75);
        assert_eq!(line(&report, "authorize_16_p50")["ratio"], 2.0);
        assert_eq!(line(&report, "events_2x1000")["holds"], Value::Null);
        assert_eq!(line(&report, "events_4x10000")["holds"], true);
    }

    #[test]
    fn a_missed_target_is_told_too() {
        let report = Report::new(&[measured("events_4x10000", 399_999.0, "1/s")]);
        assert_eq!(report.lines()[0]["holds"], false);
        assert!(report.text().contains("missed"));
    }
}
