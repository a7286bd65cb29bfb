//! One customer on one plan, and the time: what the steps of a scenario act on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use farebox_engine::projection::{Change, FeedCursor};
use farebox_engine::{Ask, Config, Engine, ManualClock, NewRevision, Rejected, Reply, Request, Work};
use farebox_ledger::Wallet;
use farebox_record::ids::{CustomerId, Hash, PlanName, RevisionHash, TenantId};
use farebox_record::record::Record;
use farebox_record::time::Timestamp;
use farebox_store::MemoryStore;

use crate::build::{BuildOptions, build_plan};

use super::action::{self, ChangePlan};
use super::command::{self, Said, Unsupported};
use super::coverage::Coverage;
use super::expect::Expect;
use super::format::{Action, Scenario, Step};
use super::observe::{Observed, compare};
use super::run::{RunError, StepReport, Subject};
use super::shown::{Backfilled, Reader, compare_backfill, compare_changes};

/// One customer on one plan, and the time.
pub(super) struct Stage {
    pub engine: Engine,
    clock: Arc<ManualClock>,
    tenant: TenantId,
    customer: CustomerId,
    plan: PlanName,
    component: Hash,
    revisions: Vec<RevisionHash>,
    /// Sequence of the newest record that was looked at.
    seen: u64,
    steps: usize,
    /// What the steps so far said.
    said: Said,
    /// Up to where the change feed was read.
    told: Option<FeedCursor>,
}

impl Stage {
    pub fn open(subject: &Subject<'_>, scenario: &Scenario) -> Result<Stage, RunError> {
        let start = scenario
            .steps
            .first()
            .and_then(|step| step.get_ref().at)
            .map_or(Timestamp::EPOCH, |at| at.0);
        let clock = Arc::new(ManualClock::at(start));
        let config = Config {
            lanes: 1,
            on_failure: Box::new(|_| {}),
            ..Config::default()
        };
        let store = Arc::new(MemoryStore::new());
        let engine = Engine::by_hand(config, store, subject.runtime.clone(), Arc::clone(&clock) as _)?;
        #[expect(
            clippy::expect_used,
            reason = "constants, and a name that was checked when it was read"
        )]
        let (tenant, customer, plan) = (
            TenantId::new("default").expect("a name"),
            CustomerId::new("customer").expect("a name"),
            PlanName::new(scenario.name.as_deref().unwrap_or("plan")).expect("a name"),
        );
        let component = engine.push_component(&tenant, &plan, subject.component)?.hash;
        let mut stage = Stage {
            engine,
            clock,
            tenant,
            customer,
            plan,
            component,
            revisions: Vec::new(),
            seen: 0,
            steps: 0,
            said: Said::default(),
            told: None,
        };
        stage.activate_own(subject.parameters)?;
        Ok(stage)
    }

    /// Puts the plan under test in force with these parameters.
    fn activate_own(&mut self, parameters: &str) -> Result<(), RunError> {
        let (plan, component) = (self.plan.clone(), self.component);
        self.activate(&plan, component, parameters)
    }

    fn activate(&mut self, plan: &PlanName, component: Hash, parameters: &str) -> Result<(), RunError> {
        let put = self.engine.activate(
            &self.tenant,
            plan,
            &NewRevision::at_once(component, parameters),
            None,
        )?;
        self.revisions.push(put.activation.revision);
        Ok(())
    }

    /// Puts the plan in force that a step changes to, under a name of its own.
    fn other_plan(
        &mut self,
        subject: &Subject<'_>,
        change: &ChangePlan,
        line: usize,
    ) -> Result<PlanName, RunError> {
        let unsupported = |why: String| RunError::Unsupported {
            line,
            why: Unsupported(why),
        };
        let parameters = match (&change.parameters, &change.plan) {
            (Some(parameters), _) => subject.folder.join(parameters),
            (None, Some(folder)) => {
                let folder = subject.folder.join(folder);
                let described: toml::Table = toml::from_str(&read(&folder.join("plan.toml"), line)?)
                    .map_err(|error| unsupported(format!("{}/plan.toml: {error}", folder.display())))?;
                let named = described.get("parameters").and_then(toml::Value::as_str);
                folder.join(named.ok_or_else(|| {
                    unsupported(format!("{}/plan.toml names no `parameters`", folder.display()))
                })?)
            }
            (None, None) if change.cadence.is_some() => return self.serving(line),
            (None, None) => {
                let why =
                    "`change_plan` names what changes: `plan`, `parameters`, `cadence`, or several of them";
                return Err(unsupported(why.to_string()));
            }
        };
        let made_up = format!("plan-{}", self.steps);
        let name = PlanName::new(change.name.as_deref().unwrap_or(&made_up))
            .map_err(|error| unsupported(error.to_string()))?;
        let component = match &change.plan {
            None => self
                .engine
                .push_component(&self.tenant, &name, subject.component)?,
            Some(folder) => {
                let built = build_plan(&subject.folder.join(folder), &BuildOptions::default())
                    .map_err(|error| RunError::Build { line, error })?;
                self.engine
                    .push_component(&self.tenant, &name, &built.component)?
            }
        };
        self.activate(&name, component.hash, &read(&parameters, line)?)?;
        Ok(name)
    }

    /// The plan that serves the subscription.
    fn serving(&self, line: usize) -> Result<PlanName, RunError> {
        let id = self
            .said
            .subscription()
            .map_err(|why| RunError::Unsupported { line, why })?;
        let wallet = self.wallet()?;
        Ok(wallet
            .subscription(&id)
            .map_or_else(|| self.plan.clone(), |subscription| subscription.plan.clone()))
    }

    fn wallet(&self) -> Result<Arc<Wallet>, RunError> {
        match self.ask(Ask::Read)? {
            Reply::Wallet(wallet) => Ok(wallet),
            _ => Err(RunError::Rejected(Rejected::Stopped)),
        }
    }

    pub fn create_customer(&mut self, scenario: &Scenario) -> Result<(), RunError> {
        let command = command::put_customer(&scenario.shortfall).map_err(|why| RunError::Unsupported {
            line: 1,
            why: Unsupported(why),
        })?;
        self.ask(Ask::Command(Box::new(command)))?;
        self.seen = 1;
        self.settle();
        self.read_feed(1).map(drop)
    }

    /// What the change feed tells behind what was read of it. `line` is that of the step.
    fn read_feed(&mut self, line: usize) -> Result<Vec<Change>, RunError> {
        let read = self.reader().changes(self.told);
        let (changes, told) = read.map_err(|error| RunError::Shown { line, error })?;
        self.told = Some(told);
        Ok(changes)
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            engine: &self.engine,
            tenant: &self.tenant,
            customer: &self.customer,
        }
    }

    /// What differs from that which is expected to be readable after a step.
    fn compare_shown(
        &mut self,
        expect: &Expect,
        backfilled: Option<&Backfilled>,
        line: usize,
    ) -> Result<Vec<String>, RunError> {
        let changes = self.read_feed(line)?;
        let reader = self.reader();
        let wrong = |error| RunError::Shown { line, error };
        let mut problems = Vec::new();
        problems.extend(compare_backfill(expect.backfill.as_ref(), backfilled));
        if let Some(expected) = &expect.changes {
            problems.extend(compare_changes(expected, &changes));
        }
        if let Some(expected) = &expect.usage {
            problems.extend(reader.usage(expected).map_err(wrong)?);
        }
        if let Some(expected) = &expect.statement {
            problems.extend(reader.statement(expected).map_err(wrong)?);
        }
        Ok(problems)
    }

    /// Posts usage from long ago, or looks at what that would do.
    fn backfill(&mut self, said: &action::Backfill, line: usize) -> Result<Backfilled, RunError> {
        let id = command::backfill_id(&said.id).map_err(|why| RunError::Unsupported { line, why })?;
        let events = said.events.iter().map(|event| {
            let event = command::backfilled(event).map_err(|why| RunError::Unsupported { line, why })?;
            Ok((self.customer.clone(), event))
        });
        let events: Vec<_> = events.collect::<Result<_, RunError>>()?;
        let refused = |error| RunError::Backfill { line, error };
        for (_, event) in &events {
            self.said.note_event(event);
        }
        self.engine
            .make_backfill(&self.tenant, &id, None, &events)
            .map_err(refused)?;
        if said.preview {
            let preview = self.engine.preview_backfill(&self.tenant, &id).map_err(refused)?;
            return Ok(Backfilled::previewed(&preview));
        }
        let state = self.engine.commit_backfill(&self.tenant, &id).map_err(refused)?;
        Ok(Backfilled::posted(state.tally))
    }

    fn revert(&self, said: &action::Revert, line: usize) -> Result<Backfilled, RunError> {
        let id = command::backfill_id(&said.backfill).map_err(|why| RunError::Unsupported { line, why })?;
        let state = self.engine.revert_backfill(&self.tenant, &id);
        let state = state.map_err(|error| RunError::Backfill { line, error })?;
        Ok(Backfilled::posted(state.tally))
    }

    fn ask(&self, ask: Ask) -> Result<Reply, RunError> {
        let request = Request {
            customer: self.customer.clone(),
            ask,
        };
        let mut replies = self.engine.call_patiently(&self.tenant, &[request])?;
        Ok(replies.pop().unwrap_or(Reply::Stopped))
    }

    /// Does everything that waits, until nothing does: also what nobody is told of, such as a price for what had none.
    fn settle(&self) {
        while let Some(work) = self.engine.waiting().first() {
            self.engine.step(*work);
        }
    }

    pub fn step(&mut self, subject: &Subject<'_>, step: &Step, line: usize) -> Result<StepReport, RunError> {
        self.steps += 1;
        if let Some(at) = step.at {
            self.clock.advance_to(at.0);
        }
        let (before, begun) = (self.fuel(), Instant::now());
        let unsupported = |why: &str| RunError::Unsupported {
            line,
            why: Unsupported(why.to_string()),
        };
        let action = step.action().map_err(unsupported)?;
        let mut backfilled = None;
        let reply = match action {
            Action::Advance | Action::Reopen => None,
            Action::Backfill(said) => {
                backfilled = Some(self.backfill(said, line)?);
                None
            }
            Action::Revert(said) => {
                backfilled = Some(self.revert(said, line)?);
                None
            }
            Action::Revise(revise) => {
                let parameters = read(&subject.folder.join(&revise.parameters), line)?;
                self.activate_own(&parameters)?;
                None
            }
            other => {
                let plan = match other {
                    Action::ChangePlan(change) => self.other_plan(subject, change, line)?,
                    _ => self.plan.clone(),
                };
                let command = command::of(other, self.steps, &plan, &self.said)
                    .map_err(|why| RunError::Unsupported { line, why })?;
                self.said.note(&command);
                Some(self.ask(Ask::Command(Box::new(command)))?)
            }
        };
        self.settle();
        self.engine.step(Work::Quarantine);
        let wallet = self.wallet()?;
        let took = begun.elapsed();
        let records = self.new_records()?;
        let subscription = self.said.subscription().ok();
        let subscription = subscription.and_then(|id| wallet.subscription(&id));
        let observed = Observed::of(reply.as_ref(), &records, &wallet, subscription);
        let mut problems = compare(&step.expect, &observed);
        problems.extend(self.compare_shown(&step.expect, backfilled.as_ref(), line)?);
        if matches!(action, Action::Reopen) {
            problems.extend(self.replay(&wallet)?);
        }
        Ok(StepReport {
            line,
            action: command::name(action),
            at: self.engine.now(&self.tenant),
            fuel: used(&before, &self.fuel()),
            took,
            coverage: Coverage::of(&records),
            problems,
        })
    }

    /// What opening a store again does: folds the wallet's whole history. Nothing may be different.
    fn replay(&self, wallet: &Wallet) -> Result<Option<String>, RunError> {
        let mut records = self
            .engine
            .history(&self.tenant, &self.customer, None, usize::MAX)?;
        records.reverse();
        let mut folded = Wallet::default();
        for record in &records {
            if let Err(violation) = folded.replay(record, &record.encode()) {
                return Ok(Some(format!("reopen: {violation}")));
            }
        }
        let differs = !folded.same_state(wallet);
        Ok(differs.then(|| "reopen: the wallet is not the fold of its history".to_string()))
    }

    /// Records that were made since the last step, oldest first: what was due on the way, and the step's own.
    fn new_records(&mut self) -> Result<Vec<Record>, RunError> {
        let newest = self.engine.history(&self.tenant, &self.customer, None, 1)?;
        let count = newest.first().map_or(0, |record| record.sequence - self.seen);
        let mut records = self.engine.history(
            &self.tenant,
            &self.customer,
            None,
            usize::try_from(count).unwrap_or(usize::MAX),
        )?;
        records.reverse();
        self.seen += count;
        Ok(records)
    }

    /// What each revision has used since it was prepared.
    fn fuel(&self) -> BTreeMap<RevisionHash, u64> {
        let controls = self.engine.controls();
        let fuel = |revision: &RevisionHash| controls.revision(revision).map_or(0, |r| r.health().fuel);
        let revisions = self.revisions.iter();
        revisions.map(|revision| (*revision, fuel(revision))).collect()
    }
}

/// What was used between two readings. A revision that came back was prepared anew and counts from nothing.
fn used(before: &BTreeMap<RevisionHash, u64>, after: &BTreeMap<RevisionHash, u64>) -> u64 {
    let counted = after.iter().map(|(revision, fuel)| {
        let before = before.get(revision).copied().unwrap_or(0);
        fuel.checked_sub(before).unwrap_or(*fuel)
    });
    counted.sum()
}

/// A file that a scenario names.
fn read(path: &Path, line: usize) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|error| RunError::File {
        line,
        path: path.display().to_string(),
        error,
    })
}
