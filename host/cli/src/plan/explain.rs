//! `farebox plan explain`: why events cost what they cost.

use clap::Args;
use farebox_kit::probe::{Probe, why};
use farebox_record::event::Event;
use farebox_record::plan::{Charge, Collect, Price, Step};
use farebox_runtime::{Explanation, Purpose, Verdict};
use serde_json::{Value, json};

use super::asked::Asked;
use super::runtime;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};

/// See [`super::PlanCommand::Explain`].
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    asked: Asked,
    /// What an event costs at most, where its measures are maximums: what a hold sets aside
    #[arg(long)]
    worst_case: bool,
}

/// One event, and what the plan said.
struct Explained<'e> {
    event: &'e Event,
    verdict: Verdict,
    fuel: u64,
    steps: Vec<Step>,
}

impl Explain {
    /// Asks about every event, in order of time.
    pub fn run(&self) -> Result<Output, Failure> {
        let runtime = runtime()?;
        let ready = self.asked.ready(&runtime)?;
        let mut probe = ready.probe(&runtime)?;
        let mut explained = Vec::with_capacity(ready.events.len());
        for event in &ready.events {
            let one = self.one(&mut probe, event);
            explained.push(one.map_err(|error| Failure::new(Exit::Refused, "not_asked", error.to_string()))?);
        }
        let text: Vec<String> = explained.iter().map(Explained::text).collect();
        let events: Vec<Value> = explained.iter().map(Explained::json).collect();
        Ok(Output::new(text.join("\n\n"), json!({ "events": events })))
    }

    fn one<'e>(
        &self,
        probe: &mut Probe<'_>,
        event: &'e Event,
    ) -> Result<Explained<'e>, farebox_kit::probe::ProbeError> {
        let purpose = match self.worst_case {
            true => Purpose::WorstCase,
            false => Purpose::Usage,
        };
        let steps = match probe.explain(event, purpose)? {
            Explanation::Steps(steps) => steps,
            // The verdict says so too.
            Explanation::Rejected(_) | Explanation::Failed(_) => Vec::new(),
        };
        let asked = match self.worst_case {
            true => probe.quote(event)?,
            false => probe.price(event)?,
        };
        Ok(Explained {
            event,
            verdict: asked.verdict,
            fuel: asked.fuel,
            steps,
        })
    }
}

impl Explained<'_> {
    fn charges(&self) -> &[Charge] {
        match &self.verdict {
            Verdict::Priced(priced) => &priced.charges,
            Verdict::Rejected(_) | Verdict::Failed(_) => &[],
        }
    }

    fn text(&self) -> String {
        let Event { id, event_type, .. } = self.event;
        let at = self.event.time.map_or(String::new(), |time| format!(", {time}"));
        let head = format!("{id}: {event_type}{at}");
        if let Some(why) = why(&self.verdict) {
            return format!("{head}\n  no price: {why}");
        }
        let mut rows = Vec::new();
        for step in self.steps.iter().filter(|step| step.charge.is_none()) {
            rows.push(self.row(String::new(), step));
        }
        // Steps count the links of a chain as charges of their own.
        let mut index = 0;
        for charge in self.charges() {
            for (link, price) in std::iter::once(&charge.price)
                .chain(&charge.otherwise)
                .enumerate()
            {
                let name = match link {
                    0 => format!("{} {}", charge.code, priced(price)),
                    _ => format!("  or, all of it, {}", priced(price)),
                };
                rows.push(vec![name, String::new(), String::new(), String::new()]);
                for step in self.steps.iter().filter(|step| step.charge == Some(index)) {
                    rows.push(self.row(String::new(), step));
                }
                index += 1;
            }
        }
        let steps = match rows.is_empty() {
            true => "nothing is charged".to_string(),
            false => table(&["charge", "step", "value", "why"], &[], rows),
        };
        format!("{head}, {} fuel\n{steps}", self.fuel)
    }

    fn row(&self, charge: String, step: &Step) -> Vec<String> {
        vec![charge, step.what.clone(), step.value.clone(), step.why.clone()]
    }

    fn json(&self) -> Value {
        let charges = self.charges().iter().map(|charge| {
            let otherwise: Vec<Value> = charge.otherwise.iter().map(price).collect();
            json!({
                "code": charge.code, "price": price(&charge.price), "quantity": charge.quantity.to_string(),
                "otherwise": otherwise,
            })
        });
        let steps = self.steps.iter().map(
            |step| json!({ "charge": step.charge, "what": step.what, "value": step.value, "why": step.why }),
        );
        json!({
            "id": self.event.id.as_str(), "type": self.event.event_type.as_str(),
            "time": self.event.time.map(|time| time.to_string()), "no_price": why(&self.verdict),
            "charges": charges.collect::<Vec<_>>(), "steps": steps.collect::<Vec<_>>(), "fuel": self.fuel,
        })
    }
}

fn priced(price: &Price) -> String {
    let how = match price.collect {
        Collect::Balance => "",
        Collect::Invoice => " on the statement",
    };
    format!("{} {}{how}", price.amount, price.asset)
}

fn price(price: &Price) -> Value {
    json!({
        "asset": price.asset.as_str(), "amount": price.amount.to_string(),
        "invoice": price.collect == Collect::Invoice,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        explain: Explain,
    }

    fn explained(events: &str, more: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.json");
        std::fs::write(&file, events).unwrap();
        let prices = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../example-plans/anthropic-api/parameters/list-prices.json"
        );
        let line = [
            "explain",
            "standard:per-token",
            "--parameters",
            prices,
            "--events",
        ];
        let line = line.into_iter().chain(file.to_str()).chain(more.iter().copied());
        Line::try_parse_from(line).unwrap().explain.run().unwrap()
    }

    /// 1,200 x 3 + 4,000 x 3.75 + 20,000 x 0.30 + 800 x 15, per million: 0.0366.
    #[test]
    fn every_charge_has_its_steps() {
        let call = r#"{"type": "llm.call", "attributes": {"model": "claude-sonnet-4-6"}, "measures":
            {"input_tokens": 1200, "cache_write_5m_tokens": 4000, "cache_read_tokens": 20000, "output_tokens": 800}}"#;
        let output = explained(call, &[]);
        let event = &output.json["events"][0];
        let charges = event["charges"].as_array().unwrap();
        let amounts: Vec<&str> = charges
            .iter()
            .map(|charge| charge["price"]["amount"].as_str().unwrap())
            .collect();
        assert_eq!(amounts, ["0.0036", "0.006", "0.015", "0.012"]);
        for index in 0..charges.len() {
            let steps = event["steps"].as_array().unwrap().iter();
            let mut of_it = steps.filter(|step| step["charge"] == index);
            assert!(of_it.any(|step| step["what"] == "rate"), "{event}");
        }
        assert!(event["fuel"].as_u64().unwrap() > 1_000);
        assert!(output.text.contains("output-tokens 0.012 usd"), "{}", output.text);
    }

    #[test]
    fn what_has_no_price_says_why() {
        let calls = r#"{"id": "known", "type": "llm.call", "measures": {"output_tokens": 1},
            "attributes": {"model": "claude-sonnet-4-6"}}
            {"id": "unknown", "type": "llm.call", "measures": {"output_tokens": 1}, "attributes": {"model": "nobody's"}}"#;
        let output = explained(calls, &[]);
        assert_eq!(output.json["events"][0]["no_price"], Value::Null);
        let why = output.json["events"][1]["no_price"].as_str().unwrap();
        assert!(why.contains("nobody's"), "{why}");
        assert!(
            output.text.contains("unknown: llm.call\n  no price: "),
            "{}",
            output.text
        );
    }

    /// A million tokens of input may all be written to the cache for an hour: at 6 usd, and not at 3.
    #[test]
    fn a_worst_case_is_dearer() {
        let call = r#"{"type": "llm.call", "attributes": {"model": "claude-sonnet-4-6"}, "measures":
            {"input_tokens": 1000000, "output_tokens": 0}}"#;
        let total = |more: &[&str]| {
            let output = explained(call, more);
            let charges = output.json["events"][0]["charges"].as_array().unwrap().clone();
            let amounts = charges
                .iter()
                .map(|c| c["price"]["amount"].as_str().unwrap().to_string());
            amounts.filter(|amount| amount != "0").collect::<Vec<_>>()
        };
        assert_eq!(total(&[]), ["3"]);
        assert_eq!(total(&["--worst-case"]), ["6"]);
    }
}
