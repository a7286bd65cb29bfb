//! `farebox plan conform`: whether a plan keeps what the host relies on.

use std::fmt::Write as _;

use clap::Args;
use farebox_kit::conformance::{Checked, ConformanceError, Most, Options, Report, Rule, Subject, examine};
use farebox_kit::events::to_json;
use serde_json::{Value, json};

use super::asked::Asked;
use super::check::of_refused;
use super::runtime;
use crate::failure::{Exit, Failure};
use crate::output::{Output, count, grouped};

/// See [`super::PlanCommand::Conform`].
#[derive(Debug, Args)]
pub struct Conform {
    #[command(flatten)]
    asked: Asked,
    /// Events to make up from those
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    cases: u32,
    /// What the events follow from: the same number, the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Conform {
    /// Tries every rule. A broken one is told with the event that broke it.
    pub fn run(&self) -> Result<Output, Failure> {
        let runtime = runtime()?;
        let ready = self.asked.ready(&runtime)?;
        let subject = Subject {
            runtime: &runtime,
            plan: ready.revision.plan(),
            parameters: &ready.parameters,
            examples: &ready.events,
            began: ready.began,
            seats: ready.seats,
        };
        let options = Options {
            seed: self.seed,
            events: self.cases as usize,
        };
        let report = examine(&subject, options).map_err(|error| match error {
            ConformanceError::Refused(refused) => of_refused(&ready.parameters_path, &refused),
            ConformanceError::Probe(error) => Failure::new(Exit::Refused, "not_asked", error.to_string()),
        })?;
        let output = Output::new(text(&report), to_value(&report));
        Ok(match report.holds() {
            true => output,
            false => output.failed(),
        })
    }
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{} events, made up from seed {}; {} of them have a price\n\n",
        grouped(report.events),
        report.seed,
        grouped(report.priced)
    );
    for check in &report.checks {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line(check));
        for problem in &check.problems {
            let _ = writeln!(text, "        {}", problem.what);
            if let Some(event) = &problem.event {
                let _ = writeln!(text, "        with {}", to_json(event));
            }
        }
    }
    let _ = writeln!(text, "\nFuel of one event: at most {}", most(&report.fuel));
    if let Some(event) = &report.fuel.event {
        let _ = writeln!(text, "        with {}", to_json(event));
    }
    let _ = writeln!(text, "State: at most {} bytes", most(&report.state));
    let broken = report.checks.iter().filter(|check| check.broken > 0).count();
    let verdict = match (broken, report.priced) {
        (0, 0) => {
            "Nothing has a price, so nothing is shown: give events that it prices, with --events.".to_string()
        }
        (0, _) if report.checks.iter().any(is_left_out) => {
            "The plan keeps every rule that was tried; more --cases try the others.".to_string()
        }
        (0, _) => "The plan keeps every rule.".to_string(),
        (broken, _) => format!("The plan breaks {}.", count(broken as u64, "rule")),
    };
    text + "\n" + &verdict
}

/// Whether a rule was not tried that holds for any plan.
fn is_left_out(check: &Checked) -> bool {
    check.tried == 0
        && !matches!(
            check.rule,
            Rule::Independent | Rule::NothingBelowZero | Rule::WithinQuote
        )
}

fn line(check: &Checked) -> String {
    let word = match (check.tried, check.broken) {
        (0, _) => "--  ",
        (_, 0) => "ok  ",
        _ => "FAIL",
    };
    let tried = match (check.tried, check.broken) {
        (0, _) => "not tried".to_string(),
        (tried, 0) => format!("{} times", grouped(tried)),
        (tried, broken) => format!("{} of {} times", grouped(broken), grouped(tried)),
    };
    format!("{word}  {}: {tried}", check.rule)
}

fn most(most: &Most) -> String {
    format!("{} of {}", grouped(most.most), grouped(most.max))
}

fn to_value(report: &Report) -> Value {
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|check| {
            let problems: Vec<Value> = check
                .problems
                .iter()
                .map(|problem| json!({ "what": problem.what, "event": problem.event.as_ref().map(to_json) }))
                .collect();
            json!({
                "rule": check.rule.code(), "tried": check.tried, "broken": check.broken, "problems": problems,
            })
        })
        .collect();
    let most = |most: &Most| json!({ "most": most.most, "limit": most.max, "event": most.event.as_ref().map(to_json) });
    json!({
        "holds": report.holds(), "seed": report.seed, "events": report.events, "priced": report.priced,
        "checks": checks, "fuel": most(&report.fuel), "state_bytes": most(&report.state),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        conform: Conform,
    }

    /// `farebox plan conform` for list prices of tokens, with one example of this model.
    fn conform(model: &str, cases: &str) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.jsonl");
        let event = format!(
            r#"{{"type": "llm.call", "attributes": {{"model": "{model}"}}, "measures": {{"output_tokens": 5}}}}"#
        );
        std::fs::write(&file, event).unwrap();
        let prices = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../example-plans/openai-api/parameters/list-prices.json"
        );
        let line = ["conform", "standard:per-token", "--parameters", prices];
        let line = line.into_iter().chain(["--cases", cases, "--events"]);
        let line = line.chain(file.to_str());
        Line::try_parse_from(line).unwrap().conform.run().unwrap()
    }

    #[test]
    fn a_standard_plan_keeps_every_rule() {
        let output = conform("gpt-5", "200");
        assert!(
            output.text.ends_with("The plan keeps every rule."),
            "{}",
            output.text
        );
        assert_eq!(output.json["holds"], true);
        assert_eq!(output.json["events"], 200);
        assert_eq!(output.json["checks"].as_array().map(Vec::len), Some(10));
        assert!(
            output.json["fuel"]["event"]["type"].is_string(),
            "{}",
            output.json
        );
    }

    #[test]
    fn what_has_no_price_shows_nothing() {
        let output = conform("nobody-has-heard-of-it", "20");
        assert!(output.text.contains("Nothing has a price"), "{}", output.text);
        let few = conform("gpt-5", "5");
        assert!(few.text.contains("every rule that was tried"), "{}", few.text);
        assert_eq!(output.json["holds"], false);
    }

    #[test]
    fn a_broken_rule_is_told_with_its_event() {
        let check = Checked {
            rule: Rule::WithinQuote,
            tried: 1_200,
            broken: 2,
            problems: Vec::new(),
        };
        assert_eq!(
            line(&check),
            "FAIL  no usage within its maximums costs more than its quote: 2 of 1,200 times"
        );
    }
}
