//! How programs end, in order or not, and how the next one starts on what is left: nothing that was answered is missing.

use std::collections::BTreeMap;

use anyhow::ensure;
use farebox_engine::Reply;
use farebox_record::ids::TenantId;
use farebox_record::time::Span;
use rand::Rng as _;

use super::Episode;
use crate::disk::{Ending, Fault};
use crate::log::Asked;
use crate::world::{Derived, Item};

/// Requests of one call when answers are repeated.
const REPEATED_PER_CALL: usize = 32;
/// Answers from before the last start that are repeated after a start, at random; all are at the end.
const OLDER_REPEATED: usize = 40;
/// How far the machine's clock is set back at most, at one start: seven hours.
const SET_BACK_SECONDS_MAX: u32 = 7 * 3_600;

impl Episode {
    /// Whether the disk failed under the program that runs.
    pub(super) fn was_struck(&self) -> bool {
        self.world.disk.tally().faults > self.faults_before
    }

    /// If the engine has stopped, a fault is the reason; then the next program finds what is left.
    pub(super) fn recover(&mut self) -> anyhow::Result<()> {
        let Some(why) = self.world.failure() else {
            return Ok(());
        };
        ensure!(
            self.was_struck(),
            "the engine stopped although nothing failed: {why}"
        );
        self.tally.stops += 1;
        let endings = [Ending::Program, Ending::ProgramAndCache, Ending::Power];
        let ending = match self.world.disk.is_off() {
            true => Ending::Power,
            false => endings[self.random.random_range(0..endings.len())],
        };
        self.restart(ending)
    }

    /// Stops in order, if nothing fails meanwhile.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        let stopped = self.world.stop();
        match stopped {
            Ok(came) => {
                self.tally.stopped += 1;
                self.judge(came)?;
                self.start()
            }
            Err(error) => {
                ensure!(self.was_struck(), "it does not stop in order: {error:#}");
                self.restart(Ending::Power)
            }
        }
    }

    pub(super) fn restart(&mut self, ending: Ending) -> anyhow::Result<()> {
        self.tally.crashes += 1;
        let came = self.world.crash(ending)?;
        self.judge(came)?;
        self.start()
    }

    /// Starts on what is left, sometimes through another fault, and checks that nothing answered is missing.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        loop {
            self.set_clock_back()?;
            for part in ["state", "ids"] {
                let derived = match self.random.random_range(0..6) {
                    0 => Derived::Gone,
                    1..=2 => Derived::Older,
                    _ => Derived::Kept,
                };
                self.world.derive(part, derived, &mut self.random)?;
            }
            if self.random.random_range(0..8) == 0 {
                self.world
                    .disk
                    .arm(Fault::PowerCut, self.random.random_range(0..12));
            }
            self.faults_before = self.world.disk.tally().faults;
            let started = self.world.start(&mut self.random);
            self.world.disk.disarm();
            let struck = self.was_struck();
            match started {
                Ok(()) if !struck => break,
                Err(error) if !struck => return Err(error.context("it does not start")),
                _ => {
                    self.tally.crashes += 1;
                    let came = self.world.crash(Ending::Power)?;
                    self.judge(came)?;
                }
            }
        }
        for house in &mut self.houses {
            house.open(self.world.engine()?)?;
        }
        self.look.started(self.world.engine()?);
        self.tally.starts += 1;
        let (older, newer) = (self.log.repeated, self.log.answers());
        self.repeat_between(older, newer)?;
        for _ in 0..OLDER_REPEATED.min(older) {
            let number = self.random.random_range(0..older);
            self.repeat_between(number, number + 1)?;
        }
        self.log.repeated = newer;
        // Whoever got no answer asks again; some only later.
        for (owner, command) in self.log.open() {
            if self.random.random_range(0..4) > 0 {
                self.ask(&owner, vec![command], Asked::Plainly)?;
            }
        }
        let came = self.world.settle(&mut self.random)?;
        self.judge(came)?;
        self.people()?;
        self.look_at_all()?;
        Ok(())
    }

    /// The machine comes back with an earlier time, now and then: by seconds or by hours.
    fn set_clock_back(&mut self) -> anyhow::Result<()> {
        if self.tally.starts == 0 || self.random.random_range(0..5) > 0 {
            return Ok(());
        }
        let most = [60, SET_BACK_SECONDS_MAX][self.random.random_range(0..2)];
        self.tally.set_back += 1;
        self.world
            .set_back(Span::seconds(self.random.random_range(1..most)))
    }

    /// Repeats the first `count` answered requests.
    pub(super) fn repeat(&mut self, count: usize) -> anyhow::Result<()> {
        for (owner, command) in self.log.open() {
            self.ask(&owner, vec![command], Asked::Plainly)?;
        }
        self.repeat_between(0, count)
    }

    fn repeat_between(&mut self, from: usize, to: usize) -> anyhow::Result<()> {
        let mut calls: BTreeMap<TenantId, Vec<Item>> = BTreeMap::new();
        for number in from..to {
            let Some((owner, entry)) = self.log.answer(number) else {
                break;
            };
            let tenant = owner.0.clone();
            if !self.log.may_ask(owner, &entry.command, self.world.latest()) {
                continue;
            }
            let items = calls.entry(tenant.clone()).or_default();
            items.push(Item {
                owner: owner.clone(),
                command: Some(entry.command.clone()),
                asked: Asked::Plainly,
            });
            if items.len() >= REPEATED_PER_CALL {
                let items = std::mem::take(items);
                self.world.call(&tenant, items)?;
            }
        }
        for (tenant, items) in calls.into_iter().filter(|(_, items)| !items.is_empty()) {
            self.world.call(&tenant, items)?;
        }
        let came = self.world.settle(&mut self.random)?;
        let settled = came
            .iter()
            .filter(|(_, reply)| !matches!(reply, Reply::Stopped))
            .count();
        ensure!(
            settled == came.len(),
            "{} of {} requests got no answer",
            came.len() - settled,
            came.len()
        );
        self.judge(came)
    }
}
