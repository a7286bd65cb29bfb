//! A look at everything while nothing moves: every wallet with all of its history, every control plane, and all that is
//! made of them.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use farebox_engine::Engine;
use farebox_ledger::Wallet;
use farebox_record::ids::Hash;
use farebox_record::record::Record;
use farebox_record::time::Timestamp;
use farebox_store::JournalStore;
use rand::rngs::SmallRng;

use crate::feed::Readers;
use crate::history::{self, History};
use crate::house::House;
use crate::log::{Log, Owner};
use crate::machine::Machine;
use crate::proof::Proofs;
use crate::statements::Closed;
use crate::{agenda, audit, outcomes, rollup, spending, totals, usage};

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub struct Look {
    readers: Readers,
    closed: Closed,
    proofs: Proofs,
}

/// What there was to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookTally {
    /// Items of change feeds that were compared.
    pub news: u64,
    /// Rows of usage that were compared.
    pub rows: u64,
    /// Statements that were read.
    pub statements: u64,
    /// Answers of plans that were given again, as of now.
    pub proved: u64,
    /// Those of them that took over a state which an earlier version had kept.
    pub taken_over: u64,
    /// Outcomes that were charged or given back, as of now.
    pub outcomes: u64,
    /// Corrections that changed what other events cost, by the plan with a running total, as of now.
    pub repriced: u64,
    /// Renewals, timers and other changes that a plan had no answer to, and answered later, as of now.
    pub late: u64,
    /// Events of backfills that were posted, as of now.
    pub backfilled: u64,
    /// Advances of sandboxes' clocks, as of now.
    pub advances: u64,
    /// Thresholds of spending limits that were announced, as of now.
    pub thresholds: u64,
    /// Calls that a spending limit denied, as of now.
    pub denials: u64,
}

/// What a look found.
#[derive(Debug)]
pub struct Looked {
    /// Hashes of all histories.
    pub chains: Vec<[u8; 32]>,
    /// How much there was.
    pub tally: LookTally,
}

/// A wallet as it was just shown, and what an earlier read showed.
pub type Shown = (Owner, Arc<Wallet>, Option<(u64, Hash)>);

/// Where it is looked.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// What runs.
    pub engine: &'p Engine,
    /// On what.
    pub store: &'p JournalStore,
    /// What callers were told.
    pub log: &'p Log,
    /// The time.
    pub machine: Machine,
}

impl Look {
    /// A program has started, perhaps with a clock that was set back: what was over by the time before may not be over now.
    pub fn started(&mut self, engine: &Engine) {
        self.closed.reopen(engine);
    }

    /// Looks. Nothing is on its way, nothing is due, and everything is followed.
    ///
    /// # Errors
    /// What is not as it must be.
    pub fn at_all(
        &mut self,
        place: Place<'_>,
        houses: &[House],
        shown: &[Shown],
        random: &mut SmallRng,
    ) -> anyhow::Result<Looked> {
        let Place {
            engine,
            store,
            log,
            machine,
        } = place;
        let mut looked = Looked {
            chains: Vec::new(),
            tally: LookTally::default(),
        };
        let (followed, durable) = (engine.projected()?, engine.durable()?);
        ensure!(
            followed >= durable,
            "the feed and usage are at {followed:?}, and records reach to {durable:?}"
        );
        for house in houses.iter().filter(|house| house.is_there()) {
            let tenant = house.tenant();
            house.plane.check(engine)?;
            let control = history::control(store, tenant)?;
            let mut histories = Vec::new();
            for (owner, wallet, before) in shown.iter().filter(|(owner, ..)| owner.0 == *tenant) {
                let history = History::read(store, owner, Arc::clone(wallet))?;
                looked.chains.push(audit::history(store, log, &history, *before)?);
                if !House::may_pool(owner) && !House::is_followed(owner) && !House::is_summed(owner) {
                    audit::told(&history)?;
                }
                let tidied = house.tidied(engine, machine);
                if House::is_followed(owner) {
                    let charged = outcomes::check(&history);
                    looked.tally.outcomes += charged.with_context(|| format!("the outcomes of {owner:?}"))?;
                }
                if House::is_summed(owner) {
                    let repriced = totals::check(&history);
                    looked.tally.repriced += repriced.with_context(|| format!("the totals of {owner:?}"))?;
                }
                let is_late = |record: &&Record| record.command.retried().is_some();
                looked.tally.late += history.records.iter().filter(is_late).count() as u64;
                let (answers, taken_over) = self.proofs.check(engine, store, &history)?;
                looked.tally.proved += answers;
                looked.tally.taken_over += taken_over;
                self.wallet(engine, &history, tidied, &mut looked.tally, random)?;
                histories.push(history);
            }
            rollup::check(engine, tenant, &histories, random)?;
            let tidied = house.tidied(engine, machine);
            let readers = &mut self.readers;
            looked.tally.news += readers.check(engine, tenant, tidied, &histories, &control, random)?;
            looked.tally.backfilled += house.backfills.check(engine, tenant, &histories)?;
            match &house.sandbox {
                Some(sandbox) => {
                    let advances = sandbox.check(engine, &control, &histories);
                    looked.tally.advances += advances.with_context(|| tenant.to_string())?;
                }
                None => {
                    let checked = machine.check(engine, tenant, &control, &histories);
                    checked.with_context(|| tenant.to_string())?;
                }
            }
        }
        Ok(looked)
    }

    fn wallet(
        &mut self,
        engine: &Engine,
        history: &History,
        tidied: Timestamp,
        tally: &mut LookTally,
        random: &mut SmallRng,
    ) -> anyhow::Result<()> {
        let owner = &history.owner;
        // A wallet's time is never before what it has already.
        let now = engine.now(&owner.0).max(history.shown.header().at);
        agenda::check(history, now).with_context(|| format!("the agenda of {owner:?}"))?;
        let counts = spending::check(history, now);
        let counts = counts.with_context(|| format!("the spending limits of {owner:?}"))?;
        tally.thresholds += counts.thresholds;
        tally.denials += counts.denials;
        let rows = usage::check(engine, history, tidied, random);
        tally.rows += rows.with_context(|| format!("the usage of {owner:?}"))?;
        let statements = self.closed.check(engine, history, now, random);
        tally.statements += statements.with_context(|| format!("the statements of {owner:?}"))?;
        Ok(())
    }
}
