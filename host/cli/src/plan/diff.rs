//! `farebox plan diff`: who would pay more under other prices, who less, and by how much.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use farebox_kit::bills::{Bills, BillsError, Difference, Priced, bills, compare, generate};
use farebox_kit::events::Used;
use farebox_money::{Asset, Nanos};
use farebox_record::time::Timestamp;
use farebox_runtime::Runtime;
use minijinja::{Environment, Value as Template, context};
use serde_json::{Value, json};

use super::asked::{beginning, of_scenarios, used};
use super::check::of_refused;
use super::source::{Component, Source};
use super::{read, runtime};
use crate::failure::{Exit, Failure};
use crate::output::{Output, count, grouped, table};

/// Rows of the table, unless all are asked for.
const ROWS: usize = 20;
/// Bars of the page's chart.
const BARS: usize = 40;

/// See [`super::PlanCommand::Diff`].
#[derive(Debug, Args)]
pub struct Diff {
    /// Folder of the plan as it is, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Parameters as they are [default: those that plan.toml names]
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// The plan as it would be [default: the same]
    #[arg(long, value_name = "PLAN")]
    to: Option<PathBuf>,
    /// Parameters as they would be [default: those that the plan.toml of --to names]
    #[arg(long, value_name = "FILE")]
    to_parameters: Option<PathBuf>,
    /// Events of customers, as the API takes them: an array, or one a line; - reads standard input [default: the usage in the
    /// plan's scenarios]
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Make up a month of so many events from those
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    generate: Option<u32>,
    /// Customers of made-up events; they use a tenth to ten times as much as the examples
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    customers: u32,
    /// What made-up events follow from: the same number, the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seats of each subscription
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seats: u32,
    /// Show every customer, not the 20 that change most
    #[arg(long)]
    all: bool,
    /// Write a page with a chart, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// One side: a component with its parameters.
struct Side {
    component: Component,
    parameters: String,
    path: PathBuf,
}

impl Diff {
    /// Bills the same events under both.
    pub fn run(&self) -> Result<Output, Failure> {
        if self.to.is_none() && self.to_parameters.is_none() {
            return Err(Failure::usage("there is nothing to compare with")
                .hint("name other prices with --to-parameters, another plan with --to, or both"));
        }
        let source = Source::find(&self.path)?;
        let used = self.used(&source)?;
        let began = used.iter().find_map(|used| used.event.time);
        let began = began.map_or_else(beginning, Ok)?;
        let before = side(&source, self.parameters.as_deref())?;
        let other = match &self.to {
            Some(path) => Source::find(path)?,
            None => source,
        };
        let after = side(&other, self.to_parameters.as_deref())?;
        let runtime = runtime()?;
        let bill = |side: &Side| self.bill(&runtime, side, &used, began);
        let result = Compared {
            events: used.len(),
            customers: BTreeMap::from_iter(used.iter().map(|used| (&used.customer, ()))).len(),
            began,
            until: used
                .iter()
                .filter_map(|used| used.event.time)
                .max()
                .unwrap_or(began),
            names: [name(&before), name(&after)],
            bills: [bill(&before)?, bill(&after)?],
        };
        let differences = compare(&result.bills[0], &result.bills[1]);
        let mut text = result.text(&differences, self.all);
        if let Some(path) = &self.html {
            let page = result.page(&differences)?;
            fs::write(path, page).map_err(|error| Failure::io("cannot write", path, &error))?;
            text.push_str(&format!("\nWrote {}", path.display()));
        }
        Ok(Output::new(text, result.json(&differences)))
    }

    /// In order of time.
    fn used(&self, source: &Source) -> Result<Vec<Used>, Failure> {
        let mut all = match &self.events {
            Some(path) => used(path)?,
            None => of_scenarios(source)?
                .into_iter()
                .map(|event| Used {
                    customer: None,
                    event,
                })
                .collect(),
        };
        all.sort_by_key(|used| used.event.time);
        let Some(events) = self.generate else {
            return Ok(all);
        };
        let began = all.iter().find_map(|used| used.event.time);
        let began = began.map_or_else(beginning, Ok)?;
        let examples: Vec<_> = all.into_iter().map(|used| used.event).collect();
        let (events, customers) = (events as usize, self.customers as usize);
        Ok(generate(&examples, events, customers, self.seed, began))
    }

    fn bill(
        &self,
        runtime: &Runtime,
        side: &Side,
        used: &[Used],
        began: Timestamp,
    ) -> Result<Bills, Failure> {
        let plan = Priced {
            runtime,
            component: &side.component.bytes,
            parameters: &side.parameters,
        };
        bills(&plan, used, began, self.seats).map_err(|error| match error {
            BillsError::Plan(refused) => of_refused(&side.component.path, &refused),
            other => Failure::new(
                Exit::Refused,
                "not_billed",
                format!("{}: {other}", side.path.display()),
            ),
        })
    }
}

fn side(source: &Source, parameters: Option<&Path>) -> Result<Side, Failure> {
    let component = source.component()?;
    let path = parameters.map(Path::to_path_buf).or_else(|| source.parameters());
    let path = path.ok_or_else(|| {
        Failure::usage(format!("the plan {} has no prices", component.name))
            .hint("name parameters in plan.toml, with --parameters, or with --to-parameters")
    })?;
    Ok(Side {
        parameters: read(&path)?,
        component,
        path,
    })
}

fn name(side: &Side) -> String {
    format!("{} with {}", side.component.name, side.path.display())
}

/// Both sides, billed.
struct Compared {
    events: usize,
    customers: usize,
    began: Timestamp,
    until: Timestamp,
    names: [String; 2],
    bills: [Bills; 2],
}

/// How many pay more, less, and the same of one asset; and all that is paid.
#[derive(Default)]
struct Sum {
    more: u64,
    less: u64,
    same: u64,
    before: i128,
    after: i128,
}

/// By asset.
fn sums(differences: &[Difference]) -> BTreeMap<&Asset, Sum> {
    let mut sums: BTreeMap<&Asset, Sum> = BTreeMap::new();
    for one in differences {
        let sum = sums.entry(&one.asset).or_default();
        sum.before += one.before.get();
        sum.after += one.after.get();
        match one.change().get() {
            0 => sum.same += 1,
            change if change > 0 => sum.more += 1,
            _ => sum.less += 1,
        }
    }
    sums
}

fn signed(amount: Nanos) -> String {
    match amount.is_positive() {
        true => format!("+{amount}"),
        false => amount.to_string(),
    }
}

/// A change in percent, with one decimal.
fn percent(permille: Option<i128>) -> String {
    match permille {
        None => "new".into(),
        Some(permille) => {
            let sign = match permille {
                0 => "",
                more if more > 0 => "+",
                _ => "-",
            };
            let tenths = permille.unsigned_abs();
            format!("{sign}{}.{} %", tenths / 10, tenths % 10)
        }
    }
}

impl Compared {
    fn text(&self, differences: &[Difference], all: bool) -> String {
        let shown = if all { differences.len() } else { ROWS };
        let rows = differences.iter().take(shown).map(|one| {
            vec![
                one.customer.clone(),
                one.asset.to_string(),
                one.before.to_string(),
                one.after.to_string(),
                signed(one.change()),
                percent(one.permille()),
            ]
        });
        let heads = ["customer", "asset", "before", "after", "change", "percent"];
        let mut lines = vec![
            format!("before: {}", self.names[0]),
            format!("after:  {}", self.names[1]),
            format!(
                "{} events of {}, {} to {}; each month is billed whole",
                grouped(self.events as u64),
                count(self.customers as u64, "customer"),
                self.began,
                self.until
            ),
            String::new(),
            table(&heads, &[2, 3, 4, 5], rows),
        ];
        if differences.len() > shown {
            lines.push(format!("and {} more (--all)", differences.len() - shown));
        }
        lines.push(String::new());
        for (asset, sum) in sums(differences) {
            let total = Difference {
                customer: String::new(),
                asset: asset.clone(),
                before: Nanos::new(sum.before),
                after: Nanos::new(sum.after),
            };
            lines.push(format!(
                "{asset}: {} pay more, {} less, {} the same; {} in all, {} before ({}, {})",
                sum.more,
                sum.less,
                sum.same,
                total.after,
                total.before,
                signed(total.change()),
                percent(total.permille())
            ));
        }
        let [before, after] = &self.bills;
        if before.unpriced + after.unpriced > 0 {
            lines.push(format!(
                "Events without a price: {} before, {} after",
                before.unpriced, after.unpriced
            ));
        }
        for (side, bills) in [("before", before), ("after", after)] {
            if let Some(why) = &bills.refused_why {
                lines.push(format!(
                    "{} came to nothing {side}: {why}",
                    count(bills.refused, "event")
                ));
            }
        }
        lines.join("\n")
    }

    fn json(&self, differences: &[Difference]) -> Value {
        let customers: Vec<Value> = differences
            .iter()
            .map(|one| {
                json!({
                    "customer": one.customer, "asset": one.asset.as_str(), "before": one.before.to_string(),
                    "after": one.after.to_string(), "change": one.change().to_string(),
                })
            })
            .collect();
        let totals: Vec<Value> = sums(differences)
            .into_iter()
            .map(|(asset, sum)| {
                json!({
                    "asset": asset.as_str(), "before": Nanos::new(sum.before).to_string(),
                    "after": Nanos::new(sum.after).to_string(), "more": sum.more, "less": sum.less, "same": sum.same,
                })
            })
            .collect();
        json!({
            "before": self.names[0], "after": self.names[1], "events": self.events, "from": self.began.to_string(),
            "until": self.until.to_string(), "unpriced": { "before": self.bills[0].unpriced, "after": self.bills[1].unpriced },
            "refused": { "before": self.bills[0].refused, "after": self.bills[1].refused },
            "totals": totals, "customers": customers,
        })
    }

    /// The same as a page that stands alone.
    fn page(&self, differences: &[Difference]) -> Result<String, Failure> {
        let charts: Vec<Template> = sums(differences)
            .into_iter()
            .map(|(asset, sum)| chart(asset, &sum, differences))
            .collect();
        let rows: Vec<Template> = differences
            .iter()
            .map(|one| {
                context! {
                    customer => one.customer, asset => one.asset.as_str(), before => one.before.to_string(),
                    after => one.after.to_string(), change => signed(one.change()), percent => percent(one.permille()),
                }
            })
            .collect();
        let mut pages = Environment::new();
        let failed = |error: minijinja::Error| Failure::new(Exit::Internal, "page", error.to_string());
        pages
            .add_template("diff.html", include_str!("diff.html"))
            .map_err(failed)?;
        let page = pages.get_template("diff.html").map_err(failed)?;
        let [before, after] = &self.bills;
        page.render(context! {
            names => self.names, events => grouped(self.events as u64), customers => self.customers,
            from => self.began.to_string(), until => self.until.to_string(), charts, rows,
            unpriced => [before.unpriced, after.unpriced], refused => [before.refused, after.refused],
        })
        .map_err(failed)
    }
}

/// Bars of those that change most, to the right where they pay more. Widths are in thousandths of half of the chart.
fn chart(asset: &Asset, sum: &Sum, differences: &[Difference]) -> Template {
    let own = || {
        differences
            .iter()
            .filter(|one| one.asset == *asset && !one.change().is_zero())
    };
    let largest = own().map(|one| one.change().get().abs()).max().unwrap_or(1);
    let bars: Vec<Template> = own()
        .take(BARS)
        .map(|one| {
            let change = one.change().get();
            context! {
                customer => one.customer, change => signed(one.change()), percent => percent(one.permille()),
                more => change > 0, width => i64::try_from(change.abs() * 1_000 / largest).unwrap_or(1_000),
            }
        })
        .collect();
    let total = Difference {
        customer: String::new(),
        asset: asset.clone(),
        before: Nanos::new(sum.before),
        after: Nanos::new(sum.after),
    };
    context! {
        asset => asset.as_str(), bars, hidden => own().count().saturating_sub(BARS), more => sum.more, less => sum.less,
        same => sum.same, before => total.before.to_string(), after => total.after.to_string(),
        change => signed(total.change()), percent => percent(total.permille()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        diff: Diff,
    }

    /// A price list of one action.
    fn prices(folder: &Path, name: &str, fee: u32, pool: u32) -> String {
        let path = folder.join(name);
        let text = format!(
            r#"{{"fee": "{fee}", "pool": {{"credits": "{pool}"}}, "beyond": {{"price": "0.1"}},
                "rates": {{"actions": {{"image": {{"price": "4"}}}}}}}}"#
        );
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn events(folder: &Path) -> String {
        let path = folder.join("march.jsonl");
        let event = |customer: &str, count: u32| {
            format!(
                r#"{{"customer": "{customer}", "type": "action", "time": "2026-03-02T00:00:00Z",
                    "attributes": {{"action": "image"}}, "measures": {{"count": {count}}}}}"#
            )
        };
        fs::write(
            &path,
            [event("small-team-of-a-very-long-name", 1), event("large", 100)].join("\n"),
        )
        .unwrap();
        path.display().to_string()
    }

    fn diff(line: &[&str]) -> Result<Output, Failure> {
        Line::try_parse_from(["diff", "standard:hybrid"].iter().chain(line))
            .unwrap()
            .diff
            .run()
    }

    #[test]
    fn a_price_rise_is_told_by_customer_and_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let before = prices(folder.path(), "before.json", 20, 100);
        let after = prices(folder.path(), "after<b>.json", 30, 200);
        let events = events(folder.path());
        let page = folder.path().join("page.html");
        let page = page.display().to_string();
        let line = [
            "--parameters",
            &before,
            "--to-parameters",
            &after,
            "--events",
            &events,
            "--html",
            &page,
        ];
        let output = diff(&line).unwrap();
        // 100 images are 400 credits: 20 + 300 x 0.10, and 30 + 200 x 0.10.
        assert!(
            output
                .text
                .contains("usd: 1 pay more, 0 less, 1 the same; 80 in all, 70 before (+10, +14.2 %)"),
            "{}",
            output.text
        );
        assert_eq!(
            output.json["customers"][0]["customer"],
            "small-team-of-a-very-long-name"
        );
        assert_eq!(output.json["customers"][0]["change"], "10");
        assert_eq!(output.json["totals"][0]["before"], "70");
        let html = fs::read_to_string(&page).unwrap();
        assert!(
            html.contains("<rect class=\"bar-more\" x=\"500\" y=\"3\" width=\"280\""),
            "{html}"
        );
        assert!(
            html.contains(">small-team-of-a-very-long&hellip;</text>"),
            "{html}"
        );
        assert!(!html.contains("bar-less\" x"), "{html}");
        assert!(
            html.contains("after&lt;b&gt;.json") && !html.contains("<b>"),
            "{html}"
        );
    }

    #[test]
    fn one_plan_alone_is_no_comparison() {
        let refused = diff(&["--parameters", "x.json"]).unwrap_err();
        assert!(refused.text().contains("--to-parameters"), "{}", refused.text());
    }

    #[test]
    fn made_up_customers_are_many() {
        let folder = tempfile::tempdir().unwrap();
        let before = prices(folder.path(), "before.json", 20, 100);
        let after = prices(folder.path(), "after.json", 10, 0);
        let path = folder.path().join("one.json");
        fs::write(
            &path,
            r#"{"type": "action", "attributes": {"action": "image"}, "measures": {"count": 3}}"#,
        )
        .unwrap();
        let events = path.display().to_string();
        let line = [
            "--parameters",
            &before,
            "--to-parameters",
            &after,
            "--events",
            &events,
        ];
        let line = line.into_iter().chain(["--generate", "300", "--customers", "30"]);
        let output = diff(&line.collect::<Vec<_>>()).unwrap();
        assert!(output.text.contains("and 10 more (--all)"), "{}", output.text);
        assert_eq!(output.json["customers"].as_array().map(Vec::len), Some(30));
    }

    #[test]
    fn percents_are_exact_and_signed() {
        assert_eq!(percent(Some(142)), "+14.2 %");
        assert_eq!(percent(Some(-5)), "-0.5 %");
        assert_eq!(percent(Some(0)), "0.0 %");
        assert_eq!(percent(None), "new");
    }
}
