//! Measurements beside what they are measured against.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Deserialize;
use serde_json::{Value, json};

/// At one connection, an authorize takes at most this many syncs ...
const SYNCS_MAX: f64 = 1.5;
/// ... and this much more, in microseconds.
const BESIDE_SYNC_US: f64 = 150.0;
/// At many connections, of what the server answers when it does nothing.
const SHARE_OF_EMPTY_MIN: f64 = 0.6;
/// There, the slowest of a hundred takes at most this many times as long as the median.
const P99_MAX: f64 = 4.0;
/// Events a second that are priced and debited, on two cores.
const EVENTS_MIN: f64 = 400_000.0;
/// Of that rate, where all events are of one customer.
const HOT_MIN: f64 = 0.5;
/// Of that rate, where they are of a million.
const WALLETS_MIN: f64 = 0.8;
/// Times the rate of Redis and of PostgreSQL, which price nothing.
const REDIS_MIN: f64 = 2.0;
const POSTGRESQL_MIN: f64 = 6.0;
/// Memory of the server behind all loads.
const MEMORY_MIB_MAX: f64 = 2_048.0;
/// Time to the first answer after a kill.
const OPEN_SECONDS_MAX: f64 = 5.0;
/// Bytes that are written for each byte of an event, in the journal and the state together.
const WRITTEN_MAX: f64 = 3.0;
/// Events a second of which the state is made anew.
const REBUILD_MIN: f64 = 1_000_000.0;
/// An evaluation among 256, and how many times as long as natively.
const EVALUATION_NS_MAX: f64 = 300.0;
const NATIVELY_MAX: f64 = 3.0;
/// An evaluation alone, in a fresh instance.
const FRESH_NS_MAX: f64 = 8_000.0;

/// A number that was measured.
#[derive(Debug, Clone, Deserialize)]
pub struct Measured {
    /// `authorize_16_p50`.
    pub name: String,
    /// How much.
    pub value: f64,
    /// `us`, `ns`, `1/s`.
    pub unit: String,
    /// The least and the most of several runs, of which `value` is the median.
    #[serde(skip)]
    pub spread: Option<(f64, f64)>,
}

impl Measured {
    /// A number with its name.
    pub fn new(name: impl Into<String>, value: f64, unit: &str) -> Measured {
        Measured {
            name: name.into(),
            value,
            unit: unit.to_string(),
            spread: None,
        }
    }

    /// Whether it counts what happened, so that several runs add up.
    pub fn is_sum(&self) -> bool {
        self.name.ends_with("_sent")
    }
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
        // Measured before and after the loads.
        let disk = ["fdatasync_p50", "raw_append"].map(|name| middle(measured, name));
        let told = measured.iter().filter(|m| !m.is_sum() || m.name == IDS);
        let rows = told.map(|m| {
            let reference = reference(&m.name).and_then(|name| {
                let of_disk = disk.iter().flatten().find(|m| m.name == name);
                of_disk
                    .or_else(|| measured.iter().find(|m| m.name == name))
                    .cloned()
            });
            Row {
                target: target(&m.name, reference.as_ref()),
                measured: m.clone(),
                reference,
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
        table.set_header([
            "measured",
            "median",
            "unit",
            "least to most",
            "beside",
            "ratio",
            "target",
            "",
        ]);
        for row in &self.rows {
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&row.measured.name),
                right(number(row.measured.value)),
                Cell::new(&row.measured.unit),
                right(row.measured.spread.map_or(String::new(), |(low, high)| {
                    format!("{} to {}", number(low), number(high))
                })),
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
             fdatasync: 4 KiB over zeros on the disk of the data folder, before and after the loads. raw_append: 1 MiB each.\n\
             _throughput: bytes of events a second, beside a raw append. soak: at four fifths of soak_most, times\n\
             from when a call was planned.\n\
             _written: bytes that the disk wrote for an event of _bytes, journal, state and all that is made of them.\n\
             _processor: time of processors that the server took for an event. _stolen: of the machine's, what others had.\n\
             _records_a_sync: calls that shared a sync. redis, postgresql: the same debit without a price.\n\
             plan_: from events with names to prices with names. plan_native_columns: the plan's own part of it."
        )
    }
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "name": self.measured.name,
            "value": self.measured.value,
            "unit": self.measured.unit,
            "low": self.measured.spread.map(|(low, _)| low),
            "high": self.measured.spread.map(|(_, high)| high),
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
    if matches!(name, REDIS | POSTGRESQL) {
        return Some("authorize_256_rate".to_string());
    }
    if name.starts_with("postgresql_batch_") {
        return Some(EVENTS.to_string());
    }
    if name.ends_with("_records_a_sync") {
        return None;
    }
    if let Some(rest) = name.strip_prefix("authorize_") {
        return Some(match rest {
            "1_p50" => "fdatasync_p50".to_string(),
            "256_p99" => "authorize_256_p50".to_string(),
            rest => format!("empty_post_{rest}"),
        });
    }
    if name.ends_with("_throughput") {
        return Some("raw_append".to_string());
    }
    if let Some(load) = name.strip_suffix("_written") {
        return Some(format!("{load}_bytes"));
    }
    if matches!(
        name,
        HOT | WALLETS | GRADUATED | DEALS | JSON | CLOUDEVENTS | AGAIN
    ) {
        return Some(EVENTS.to_string());
    }
    if let Some(part) = name.strip_prefix("soak_") {
        return part.parse::<u32>().is_ok().then(|| SOAK.to_string());
    }
    if name == ROWS {
        return Some("choice_columns_crossing".to_string());
    }
    if let Some(choice) = name.strip_prefix("choice_") {
        let part = ["instance", "prepare"]
            .into_iter()
            .find(|part| choice.ends_with(part))?;
        return (!choice.starts_with("shipped")).then(|| format!("choice_shipped_{part}"));
    }
    name.strip_prefix("plan_sandboxed_")
        .map(|size| format!("plan_native_{size}"))
}

/// The load of events that targets are about, and the same for one customer.
pub const EVENTS: &str = "events_4x2000";
const HOT: &str = "events_hot_4x2000";
/// The same for many customers, for plans with a memory, and for many plans.
const WALLETS: &str = "events_wallets_4x2000";
const GRADUATED: &str = "events_graduated_4x2000";
const DEALS: &str = "events_deals_4x2000";
/// The same in other forms.
const JSON: &str = "events_json_4x2000";
const CLOUDEVENTS: &str = "events_cloudevents_4x2000";
/// The same behind a soak.
pub const AGAIN: &str = "events_again_4x2000";
/// What a server can do for a tenth of a soak, before it.
pub const MOST: &str = "soak_most";
/// The rate of a soak, and its parts are `soak_01` and so on.
pub const SOAK: &str = "soak_rate";
/// What it costs that an event crosses into a plan's memory as a row of its own.
const ROWS: &str = "choice_rows_crossing";
/// Ids that were known before the loads.
const IDS: &str = "ids_sent";
const REDIS: &str = "redis_64_rate";
const POSTGRESQL: &str = "postgresql_64_rate";

/// By name and by what it is beside, what was promised.
#[expect(clippy::float_arithmetic, reason = "a limit for a measurement, no money")]
fn target(name: &str, beside: Option<&Measured>) -> Option<Target> {
    let beside = beside.map(|beside| beside.value);
    Some(match name {
        "authorize_1_p50" => Target::AtMost(beside? * SYNCS_MAX + BESIDE_SYNC_US),
        "authorize_256_rate" => Target::AtLeast(beside? * SHARE_OF_EMPTY_MIN),
        "authorize_256_p99" => Target::AtMost(beside? * P99_MAX),
        EVENTS => Target::AtLeast(EVENTS_MIN),
        HOT => Target::AtLeast(beside? * HOT_MIN),
        WALLETS => Target::AtLeast(beside? * WALLETS_MIN),
        REDIS => Target::AtMost(beside? / REDIS_MIN),
        POSTGRESQL => Target::AtMost(beside? / POSTGRESQL_MIN),
        "rebuild" => Target::AtLeast(REBUILD_MIN),
        "open_after_kill" => Target::AtMost(OPEN_SECONDS_MAX),
        "resident_memory" => Target::AtMost(MEMORY_MIB_MAX),
        "plan_sandboxed_1" => Target::AtMost(FRESH_NS_MAX),
        "plan_sandboxed_256" => Target::AtMost(EVALUATION_NS_MAX.min(beside? * NATIVELY_MAX)),
        name if name.ends_with("_written") => Target::AtMost(beside? * WRITTEN_MAX),
        _ => return None,
    })
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
        Measured::new(name, value, unit)
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
            measured("events_16x500", 300_000.0, "1/s"),
            measured("events_4x2000", 410_000.0, "1/s"),
            measured("events_4x2000_sent", 2_000_000.0, ""),
            measured("events_4x2000_bytes", 350.0, ""),
            measured("events_4x2000_written", 1_051.0, "bytes"),
            measured("raw_append", 1_000_000.0, "KiB/s"),
            measured("events_4x2000_throughput", 140_000.0, "KiB/s"),
            measured("soak_rate", 320_000.0, "1/s"),
            measured("soak_10", 288_000.0, "1/s"),
            measured("soak_10_p50", 288.0, "us"),
            measured("raw_append", 400_000.0, "KiB/s"),
            measured("events_hot_4x2000", 205_000.0, "1/s"),
            measured("empty_post_256_rate", 90_000.0, "1/s"),
            measured("authorize_256_rate", 53_999.0, "1/s"),
            measured("plan_native_256", 90.0, "ns"),
            measured("plan_sandboxed_256", 271.0, "ns"),
            measured("fdatasync_p50", 140.0, "us"),
            measured("redis_64_rate", 27_000.0, "1/s"),
            measured("postgresql_64_rate", 8_999.0, "1/s"),
            measured("events_wallets_4x2000", 327_000.0, "1/s"),
            measured("open_after_kill", 5.1, "s"),
            measured("authorize_256_records_a_sync", 31.0, ""),
        ]);
        let authorize = line(&report, "authorize_1_p50");
        assert_eq!(authorize["target"], "<= 330.0"); // 1.5 * 120 + 150
        assert_eq!(authorize["holds"], true);
        assert_eq!(authorize["reference"]["value"], 120.0);
        assert_eq!(authorize["ratio"], 2.75);
        assert_eq!(line(&report, "authorize_16_p50")["ratio"], 2.0);
        assert_eq!(line(&report, "events_16x500")["holds"], Value::Null);
        assert_eq!(line(&report, "events_4x2000")["holds"], true);
        assert_eq!(line(&report, "events_4x2000_written")["target"], "<= 1050");
        assert_eq!(line(&report, "events_4x2000_written")["holds"], false);
        assert_eq!(line(&report, "events_4x2000_throughput")["ratio"], 0.2); // of 700,000 in the middle
        assert_eq!(line(&report, "soak_10")["ratio"], 0.9);
        assert_eq!(line(&report, "soak_10_p50")["ratio"], Value::Null);
        assert_eq!(line(&report, "events_hot_4x2000")["holds"], true); // half of 410,000
        assert_eq!(line(&report, "authorize_256_rate")["holds"], false); // 60 % are 54,000
        assert_eq!(line(&report, "redis_64_rate")["holds"], false); // 53,999 is less than twice as much
        assert_eq!(line(&report, "postgresql_64_rate")["holds"], true); // and just more than six times
        assert_eq!(line(&report, "events_wallets_4x2000")["holds"], false); // four fifths are 328,000
        assert_eq!(line(&report, "open_after_kill")["holds"], false);
        assert_eq!(
            line(&report, "authorize_256_records_a_sync")["ratio"],
            Value::Null
        );
        assert_eq!(line(&report, "plan_sandboxed_256")["target"], "<= 270.0"); // three times 90
        assert!(
            !report
                .lines()
                .iter()
                .any(|line| line["name"] == "events_4x2000_sent")
        );
    }

    #[test]
    fn a_missed_target_is_told_too() {
        let report = Report::new(&[measured("events_4x2000", 399_999.0, "1/s")]);
        assert_eq!(report.lines()[0]["holds"], false);
        assert!(report.text().contains("missed"));
    }
}
