//! The file format. TOML; unknown fields are errors, so that a misspelt expectation cannot pass unseen.
//!
//! ```toml
//! about = "A long conversation, most of it cached."
//!
//! [[step]]
//! at = 2026-03-01
//! subscribe = {}
//!
//! [[step]]
//! at = 2026-03-01T09:00:00Z
//! top_up = { amount = "10 usd" }
//! expect.balance = ["10 usd"]
//!
//! [[step]]
//! why = "700 x 1.25 + 300 x 0.125 + 500 x 10, per million"
//! use.type = "llm.call"
//! use.attributes = { model = "gpt-5" }
//! use.measures = { input_tokens = 700, cache_read_tokens = 300, output_tokens = 500 }
//! expect.total = ["0.0059125 usd"]
//! expect.balance = ["9.9940875 usd"]
//! ```
//!
//! One step is one thing that happens, at one instant; a step without `at` happens at the instant of the one before.
//! Whatever falls due on the way to a step (renewals, timers, expiries) happens first, and what it gives and charges
//! counts as part of that step, dated with the instant at which it fell due:
//!
//! ```toml
//! [[step]]
//! at = 2026-04-10
//! why = "Two renewals were missed, and are caught up one by one"
//! advance = {}
//! expect.charges = [
//!     { code = "fee", amount = "20 usd", invoice = true, at = 2026-03-01 },
//!     { code = "fee", amount = "20 usd", invoice = true, at = 2026-04-01 },
//! ]
//! expect.period = { start = 2026-04-01, end = 2026-05-01 }
//! ```
//!
//! Changes of the subscription (`change_seats`, `change_plan`, `pause`, `resume`, `cancel`, `unschedule`) are about the one
//! that the newest `subscribe` started; so are `period`, `seats` and `status` in `expect`. Corrections name an event by its id:
//!
//! ```toml
//! [[step]]
//! amend = { event = "call-1", attributes = { model = "gpt-5" }, measures = { output_tokens = 100 } }
//! expect.reversed = ["0.005 usd"]
//! expect.total = ["0.001 usd"]
//! ```
//!
//! What a step does not mention in `expect` is not checked, but what it mentions must be
//! complete: `charges` are all charges, `balance` is per asset named.

use std::collections::BTreeMap;
use std::fmt;

use farebox_record::event::Event;
use farebox_record::ids::PlanName;
use farebox_record::time::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::action::{
    Adjust, Amend, Authorize, Backfill, Cancel, ChangePlan, ChangeSeats, Extend, Limit, Nothing, Pause, Pay,
    Refund, Release, RemoveLimit, Revert, Revise, Settle, Subscribe, TopUp, Use, Void,
};
use super::command::used;
use super::expect::Expect;
use super::value::{At, Count};

/// A scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence or two.
    #[serde(default)]
    pub about: Option<String>,
    /// Under which name the plan is in force; `plan` unless said.
    #[serde(default)]
    pub name: Option<String>,
    /// Parameters to use instead of those of `plan.toml`; a path beside the scenario file.
    #[serde(default)]
    pub parameters: Option<String>,
    /// What happens per asset when the wallet cannot cover a charge: `deny` unless said.
    #[serde(default)]
    pub shortfall: BTreeMap<String, ShortfallPolicy>,
    /// What happens, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Spanned<Step>>,
}

/// What a wallet may owe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortfallPolicy {
    /// `"deny"`: nothing is authorized beyond what is there.
    Deny,
    /// `{ floor = 20 }`: debt up to this much is authorized.
    Floor(Count),
    /// `"unlimited"`: post-paid.
    Unlimited,
}

/// One thing that happens. Exactly one of the fields from `subscribe` on is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// When; none: at the instant of the step before.
    pub at: Option<At>,
    /// How a person computes what is expected.
    pub why: Option<String>,
    /// The customer begins with the plan.
    pub subscribe: Option<Subscribe>,
    /// Value comes into the wallet.
    pub top_up: Option<TopUp>,
    /// Something was used.
    #[serde(rename = "use")]
    pub use_: Option<Use>,
    /// Something is about to be used: hold its worst case, or refuse.
    pub authorize: Option<Authorize>,
    /// A held call says what it used so far.
    pub settle: Option<Settle>,
    /// A held call gets more time, or more room.
    pub extend: Option<Extend>,
    /// A held call used nothing more.
    pub release: Option<Release>,
    /// More or fewer seats.
    pub change_seats: Option<ChangeSeats>,
    /// Another plan, or other parameters, for this customer.
    pub change_plan: Option<ChangePlan>,
    /// A new revision of the plan for everybody.
    pub revise: Option<Revise>,
    /// Nothing is used until it is resumed.
    pub pause: Option<Pause>,
    /// It goes on.
    pub resume: Option<Nothing>,
    /// The subscription ends.
    pub cancel: Option<Cancel>,
    /// What was to change at the end of the period stays as it is.
    pub unschedule: Option<Nothing>,
    /// Nothing but time passes: up to `at`.
    pub advance: Option<Nothing>,
    /// The store is closed and opened again: nothing may change.
    pub reopen: Option<Nothing>,
    /// An event is taken back.
    pub void: Option<Void>,
    /// An event is corrected: said anew, all of it.
    pub amend: Option<Amend>,
    /// What an event took is given back, or unused bought value.
    pub refund: Option<Refund>,
    /// Value is taken away by hand, or what is owed is written off.
    pub adjust: Option<Adjust>,
    /// The customer pays what it owes for fees.
    pub pay: Option<Pay>,
    /// A spending limit is set, all of it.
    pub limit: Option<Limit>,
    /// A spending limit is no more.
    pub remove_limit: Option<RemoveLimit>,
    /// Usage from before the late window is posted, or looked at.
    pub backfill: Option<Backfill>,
    /// A backfill is taken back as a whole.
    pub revert: Option<Revert>,
    /// What must come of it.
    pub expect: Expect,
}

/// The one thing that a step does.
#[derive(Debug, Clone, Copy)]
pub enum Action<'s> {
    /// See [`Step::subscribe`].
    Subscribe(&'s Subscribe),
    /// See [`Step::top_up`].
    TopUp(&'s TopUp),
    /// See [`Step::use_`].
    Use(&'s Use),
    /// See [`Step::authorize`].
    Authorize(&'s Authorize),
    /// See [`Step::settle`].
    Settle(&'s Settle),
    /// See [`Step::extend`].
    Extend(&'s Extend),
    /// See [`Step::release`].
    Release(&'s Release),
    /// See [`Step::change_seats`].
    ChangeSeats(&'s ChangeSeats),
    /// See [`Step::change_plan`].
    ChangePlan(&'s ChangePlan),
    /// See [`Step::revise`].
    Revise(&'s Revise),
    /// See [`Step::pause`].
    Pause(&'s Pause),
    /// See [`Step::resume`].
    Resume,
    /// See [`Step::cancel`].
    Cancel(&'s Cancel),
    /// See [`Step::unschedule`].
    Unschedule,
    /// See [`Step::advance`].
    Advance,
    /// See [`Step::reopen`].
    Reopen,
    /// See [`Step::void`].
    Void(&'s Void),
    /// See [`Step::amend`].
    Amend(&'s Amend),
    /// See [`Step::refund`].
    Refund(&'s Refund),
    /// See [`Step::adjust`].
    Adjust(&'s Adjust),
    /// See [`Step::pay`].
    Pay(&'s Pay),
    /// See [`Step::limit`].
    Limit(&'s Limit),
    /// See [`Step::remove_limit`].
    RemoveLimit(&'s RemoveLimit),
    /// See [`Step::backfill`].
    Backfill(&'s Backfill),
    /// See [`Step::revert`].
    Revert(&'s Revert),
}

/// What is wrong with a scenario file, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScenarioError(String);

fn check_name(name: Option<&str>) -> Result<(), String> {
    match name.map(PlanName::new) {
        Some(Err(error)) => Err(format!("name: {error}")),
        _ => Ok(()),
    }
}

impl Scenario {
    /// Reads a scenario and checks that every step does one thing and that time does not run backwards.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| ScenarioError(error.to_string()))?;
        check_name(scenario.name.as_deref()).map_err(ScenarioError)?;
        let mut now: Option<Timestamp> = None;
        for step in &scenario.steps {
            let wrong = |message: &dyn fmt::Display| {
                let line = text
                    .get(..step.span().start)
                    .map_or(0, |before| before.matches('\n').count())
                    + 1;
                ScenarioError(format!("line {line}: {message}"))
            };
            step.get_ref().action().map_err(|error| wrong(&error))?;
            if let Some(change) = &step.get_ref().change_plan {
                check_name(change.name.as_deref()).map_err(|error| wrong(&error))?;
            }
            let at = step.get_ref().at.map(|at| at.0);
            match (now, at) {
                (None, None) => return Err(wrong(&"the first step needs a date: at = 2026-03-01")),
                (Some(before), Some(at)) if at < before => {
                    return Err(wrong(&"this step is dated before the one above it"));
                }
                _ => now = at.or(now),
            }
        }
        Ok(scenario)
    }
}

impl Scenario {
    /// The usage that its steps report, each at the time of its step.
    pub fn usage(&self) -> Vec<Event> {
        let (mut now, mut events) = (None, Vec::new());
        for (index, step) in self.steps.iter().enumerate() {
            let step = step.get_ref();
            now = step.at.map(|at| at.0).or(now);
            // What cannot be said as an event is told when the scenario runs.
            let posted = step.backfill.iter().filter(|backfill| !backfill.preview);
            let backfilled = posted.flat_map(|backfill| &backfill.events);
            for said in step.use_.iter().chain(backfilled) {
                if let Ok(mut event) = used(said, index + 1) {
                    event.time = event.time.or(now);
                    events.push(event);
                }
            }
        }
        events
    }
}

impl Step {
    /// The one thing that the step does; the error says what it must be.
    pub fn action(&self) -> Result<Action<'_>, &'static str> {
        let actions = [
            self.subscribe.as_ref().map(Action::Subscribe),
            self.top_up.as_ref().map(Action::TopUp),
            self.use_.as_ref().map(Action::Use),
            self.authorize.as_ref().map(Action::Authorize),
            self.settle.as_ref().map(Action::Settle),
            self.extend.as_ref().map(Action::Extend),
            self.release.as_ref().map(Action::Release),
            self.change_seats.as_ref().map(Action::ChangeSeats),
            self.change_plan.as_ref().map(Action::ChangePlan),
            self.revise.as_ref().map(Action::Revise),
            self.pause.as_ref().map(Action::Pause),
            self.resume.as_ref().map(|_| Action::Resume),
            self.cancel.as_ref().map(Action::Cancel),
            self.unschedule.as_ref().map(|_| Action::Unschedule),
            self.advance.as_ref().map(|_| Action::Advance),
            self.reopen.as_ref().map(|_| Action::Reopen),
            self.void.as_ref().map(Action::Void),
            self.amend.as_ref().map(Action::Amend),
            self.refund.as_ref().map(Action::Refund),
            self.adjust.as_ref().map(Action::Adjust),
            self.pay.as_ref().map(Action::Pay),
            self.limit.as_ref().map(Action::Limit),
            self.remove_limit.as_ref().map(Action::RemoveLimit),
            self.backfill.as_ref().map(Action::Backfill),
            self.revert.as_ref().map(Action::Revert),
        ];
        let mut there = actions.into_iter().flatten();
        match (there.next(), there.next()) {
            (Some(action), None) => Ok(action),
            (None, _) => Err("this step does nothing; say `advance = {}` for letting time pass"),
            (Some(_), Some(_)) => Err("this step does two things; give each a [[step]] of its own"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(text: &str, message: &str) {
        let error = Scenario::parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn the_examples_of_the_documentation_are_read() {
        let docs = include_str!("format.rs")
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .collect::<Vec<_>>()
            .join("\n");
        let examples: Vec<&str> = docs.split("```toml\n").skip(1).collect();
        let example = |index: usize| {
            let text = examples[index].split("```").next().unwrap();
            // What goes on from the first example has its date from there.
            Scenario::parse(&text.replacen("[[step]]\n amend", "[[step]]\n at = 2026-03-02\n amend", 1))
                .unwrap()
        };
        assert_eq!(examples.len(), 3);
        let dated = example(1).steps[0].get_ref().expect.clone();
        assert_eq!(
            dated.charges.unwrap()[1].at.unwrap().0.to_string(),
            "2026-04-01T00:00:00Z"
        );
        assert_eq!(example(2).steps.len(), 1);
        let scenario = example(0);
        assert_eq!(scenario.steps.len(), 3);
        let step = scenario.steps[2].get_ref();
        assert!(matches!(step.action(), Ok(Action::Use(event)) if event.measures.len() == 3));
        assert_eq!(
            step.expect.total.as_ref().unwrap()[0].to_string(),
            "0.0059125 usd"
        );
        assert_eq!(
            scenario.steps[0].get_ref().at.unwrap().0.to_string(),
            "2026-03-01T00:00:00Z"
        );
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        refuse("[[step]]\nat = 2026-03-01\n", "line 1: this step does nothing");
        refuse("[[step]]\nadvance = {}\n", "line 1: the first step needs a date");
        refuse(
            "[[step]]\nat = 2026-03-02\nadvance = {}\n[[step]]\nat = 2026-03-01\nadvance = {}",
            "line 4: this step is dated",
        );
        refuse("[[step]]\nat = 2026-03-01\npause = {}\nresume = {}", "two things");
        refuse(
            "[[step]]\nat = 2026-03-01\nunschedule = {}\nresume = {}",
            "two things",
        );
        refuse(
            "[[step]]\nat = 2026-03-01\nadvance = {}\nexpect.period = { start = 2026-03-01 }",
            "missing field `end`",
        );
        refuse(
            "[[step]]\nat = 2026-03-01\nadvance = {}\nexpect.status = \"resting\"",
            "unknown variant `resting`, expected one of `active`, `paused`, `cancelled`",
        );
        refuse(
            "[[step]]\nat = 2026-03-01\nadvance = {}\nexpect.totl = []",
            "unknown field `totl`",
        );
        refuse(
            "[[step]]\nat = 2026-03-01T00:00:00\nadvance = {}",
            "with its offset",
        );
        refuse(
            "[[step]]\nat = 2026-03-01\ntop_up = { amount = \"10\" }",
            "an amount and its asset",
        );
        refuse(
            "[[step]]\nat = 2026-03-01\nuse = { type = \"x\", measures = { n = 0.5 } }",
            "in quotes",
        );
        refuse(
            "[[step]]\nat = 2026-03-01\nadvance = {}\nexpect.total = [\"0.12345678901 usd\"]",
            "nine decimals",
        );
        let limit = |said: &str| {
            format!("[[step]]\nat = 2026-03-01\nlimit = {{ name = \"all\", amount = \"10 usd\", {said} }}")
        };
        refuse(&limit("window = \"fortnight\""), "unknown variant `fortnight`");
        refuse(
            &limit("thresholds = [\"half\"]"),
            "a percent such as 80, or an amount such as",
        );
        refuse(&limit("scopes = []"), "unknown field `scopes`");
        refuse(
            "[[step]]\nat = 2026-03-01\nadvance = {}\nexpect.statement = { from = 2026-03-01, to = 2026-04-01 }",
            "missing field `opening`",
        );
    }
}
