//! One life of a store: from an empty disk, through calls, faults, crashes and starts, to a last look at everything.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, bail, ensure};
use farebox_engine::Reply;
use farebox_record::command::{AuthorizeMode, Command};
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, EventType, GrantId, Hash, SubscriptionId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::time::{Span, Timestamp};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::audit;
use crate::control::Plane;
use crate::disk::{Ending, Fault};
use crate::log::{Asked, Log, Owner};
use crate::operations::{OPERATIONS, Operation, Scene, altered};
use crate::report::Tally;
use crate::world::{Derived, DiskIs, Item, Pace, World};

/// Operations of an episode. Beyond, checking all of history after each start would take longer than making it.
pub const EPISODE_OPERATIONS: u64 = 400;

const TENANTS: [&str; 2] = ["acme", "zeta"];
/// Of each tenant. The first of each is never on the plan that charges in two assets.
const CUSTOMERS: [&str; 3] = ["ada", "ben", "cleo"];
/// Operations between two looks at every wallet.
const LOOK_EVERY: u64 = 32;
/// Disk operations within which an armed fault strikes.
const FAULT_WITHIN: u64 = 12;
/// Calls under way before work is done until none is.
const CALLS_MAX: usize = 24;
/// Requests of one call when answers are repeated.
const REPEATED_PER_CALL: usize = 32;
/// Answers from before the last start that are repeated after a start, at random; all are at the end.
const OLDER_REPEATED: usize = 40;
/// Operations for which a slow disk keeps everything waiting.
const SLOW_MAX: u64 = 12;
/// Operations for which a nearly full disk takes nothing new.
const FULL_MAX: u64 = 6;
/// Requests that a caller may repeat before they are answered.
const NEWEST_MAX: usize = 6;
/// Of each kind of thing that is remembered of a customer.
const KNOWN_MAX: usize = 12;

/// What a customer's callers remember, oldest first, whatever became of it.
#[derive(Default)]
struct Known {
    held: Vec<(EventRef, EventType)>,
    events: Vec<Event>,
    grants: Vec<GrantId>,
    subscriptions: Vec<SubscriptionId>,
}

impl Known {
    fn note(&mut self, command: &Command) {
        match command {
            Command::Authorize(authorize) => {
                let event = &authorize.event;
                if authorize.mode == AuthorizeMode::Hold {
                    keep(&mut self.held, (event.reference(), event.event_type.clone()));
                }
                keep(&mut self.events, event.clone());
            }
            Command::Usage(event) => keep(&mut self.events, event.clone()),
            Command::Grant(grant) => keep(&mut self.grants, grant.id.clone()),
            Command::Subscribe(subscribe) => keep(&mut self.subscriptions, subscribe.id.clone()),
            _ => {}
        }
    }
}

fn keep<T>(kept: &mut Vec<T>, new: T) {
    if kept.len() == KNOWN_MAX {
        kept.remove(0);
    }
    kept.push(new);
}

/// See the module.
pub struct Episode {
    random: SmallRng,
    world: World,
    log: Log,
    planes: Vec<Plane>,
    known: BTreeMap<Owner, Known>,
    /// The newest of each wallet that a read showed: its sequence and the hash of its newest record.
    shown: BTreeMap<Owner, (u64, Hash)>,
    /// The newest requests, answered or not.
    newest: VecDeque<(Owner, Command)>,
    next: u64,
    /// Faults that had struck when the program that runs now was started.
    faults_before: u64,
    /// Operations for which the disk is still slow.
    slow: u64,
    /// Operations for which the disk is still nearly full.
    full: u64,
    /// What happened, for the report.
    pub tally: Tally,
}

impl Episode {
    /// Runs so many operations, and the last look behind them. Gives the hash of all histories and answers.
    ///
    /// # Errors
    /// What must not be, with the number of operations behind which it was found.
    pub fn run(seed: u64, operations: u64) -> (Tally, Result<[u8; 32], (u64, anyhow::Error)>) {
        let mut random = SmallRng::seed_from_u64(seed);
        let lanes = random.random_range(1..=3);
        let world = match World::new(random.random(), lanes) {
            Ok(world) => world,
            Err(error) => return (Tally::default(), Err((0, error))),
        };
        #[expect(clippy::expect_used, reason = "constants of this file")]
        let planes = TENANTS.map(|name| Plane::new(TenantId::new(name).expect("a name")));
        let mut episode = Episode {
            random,
            world,
            log: Log::default(),
            planes: planes.into(),
            known: BTreeMap::new(),
            shown: BTreeMap::new(),
            newest: VecDeque::new(),
            next: 0,
            faults_before: 0,
            slow: 0,
            full: 0,
            tally: Tally::default(),
        };
        let mut done = 0;
        let ended = episode.live(operations, &mut done);
        let mut tally = episode.tally;
        tally.add_disk(episode.world.disk.tally());
        tally.add_log(&episode.log);
        (tally, ended.map_err(|error| (done, error)))
    }

    fn live(&mut self, operations: u64, done: &mut u64) -> anyhow::Result<[u8; 32]> {
        self.start()?;
        self.people()?;
        for number in 0..operations {
            *done = number + 1;
            self.step().with_context(|| format!("operation {}", number + 1))?;
            if number % LOOK_EVERY == LOOK_EVERY - 1 {
                self.look()?;
            }
        }
        self.restart(Ending::Power)?;
        self.repeat(self.log.answers())?;
        self.last_look()
    }

    /// Customers, each with something in the wallet and a plan, so that what follows has something to work on.
    fn people(&mut self) -> anyhow::Result<()> {
        for tenant in TENANTS {
            for customer in CUSTOMERS {
                let owner = (TenantId::new(tenant)?, CustomerId::new(customer)?);
                for name in ["put customer", "grant", "grant", "subscribe", "subscribe"] {
                    let operation = OPERATIONS.iter().find(|operation| operation.name == name);
                    self.operate_on(&owner, operation.context(name)?)?;
                }
            }
        }
        let came = self.world.settle(&mut self.random)?;
        self.judge(came)
    }

    /// One operation, and some of the work that it makes.
    fn step(&mut self) -> anyhow::Result<()> {
        self.tally.operations += 1;
        match self.random.random_range(0..100) {
            0..=24 if self.slow > 0 => self.retry()?,
            0..=61 => self.operate()?,
            62 => self.slow = self.random.random_range(2..SLOW_MAX),
            63 if self.full == 0 => {
                self.full = self.random.random_range(2..FULL_MAX);
                self.world.fill(DiskIs::NearlyFull)?;
            }
            63..=71 => self.retry()?,
            72..=74 => self.contradict()?,
            75..=78 => self.read()?,
            79..=86 => self.pass_time(),
            87..=89 => self.change_plane()?,
            90..=95 => self.arm(),
            96 => self.stop()?,
            97 => self.restart(Ending::Program)?,
            _ => self.restart(Ending::Power)?,
        }
        let pieces = self.random.random_range(0..8);
        for _ in 0..pieces {
            let pace = if self.slow > 0 { Pace::Slow } else { Pace::Usual };
            self.world.work(pace, &mut self.random)?;
        }
        if self.slow == 1 && self.random.random_range(0..3) == 0 {
            self.restart(Ending::Power)?;
        }
        self.slow = self.slow.saturating_sub(1);
        if self.full == 1 {
            self.world.fill(DiskIs::Empty)?;
        }
        self.full = self.full.saturating_sub(1);
        let came = match self.world.calls() > CALLS_MAX {
            true => self.world.settle(&mut self.random)?,
            false => self.world.replies(),
        };
        self.judge(came)?;
        self.recover()
    }

    fn owner(&mut self) -> anyhow::Result<Owner> {
        let tenant = TENANTS[self.random.random_range(0..TENANTS.len())];
        let customer = CUSTOMERS[self.random.random_range(0..CUSTOMERS.len())];
        Ok((TenantId::new(tenant)?, CustomerId::new(customer)?))
    }

    fn operate(&mut self) -> anyhow::Result<()> {
        let owner = self.owner()?;
        let weights: u32 = OPERATIONS.iter().map(|operation| operation.weight).sum();
        let mut pick = self.random.random_range(0..weights);
        let operation = OPERATIONS.iter().find(|operation| {
            let is_it = pick < operation.weight;
            pick = pick.saturating_sub(operation.weight);
            is_it
        });
        self.operate_on(&owner, operation.context("a draw beyond the weights")?)
    }

    fn operate_on(&mut self, owner: &Owner, operation: &Operation) -> anyhow::Result<()> {
        let known = self.known.entry(owner.clone()).or_default();
        let mut scene = Scene {
            random: &mut self.random,
            now: self.world.engine()?.now(&owner.0),
            next: &mut self.next,
            held: &known.held,
            events: &known.events,
            grants: &known.grants,
            subscriptions: &known.subscriptions,
            may_pool: owner.1.as_str() != CUSTOMERS[0],
        };
        let commands = (operation.make)(&mut scene);
        *self.tally.by_name.entry(operation.name).or_default() += commands.len() as u64;
        commands.iter().for_each(|command| known.note(command));
        let newest = commands.iter().map(|command| (owner.clone(), command.clone()));
        self.newest.extend(newest);
        let older = self.newest.len().saturating_sub(NEWEST_MAX);
        self.newest.drain(..older);
        self.ask(owner, commands, Asked::Plainly)
    }

    fn ask(&mut self, owner: &Owner, mut commands: Vec<Command>, asked: Asked) -> anyhow::Result<()> {
        let now = self.world.engine()?.now(&owner.0);
        commands.retain(|command| self.log.may_ask(owner, command, now));
        if commands.is_empty() {
            return Ok(());
        }
        if asked == Asked::Plainly {
            commands
                .iter()
                .for_each(|command| self.log.asked(owner, command, now));
        }
        let item = |command| Item {
            owner: owner.clone(),
            command: Some(command),
            asked,
        };
        self.world
            .call(&owner.0, commands.into_iter().map(item).collect())
    }

    fn answered(&mut self) -> Option<(Owner, Command)> {
        if self.log.answers() == 0 {
            return None;
        }
        let number = self.random.random_range(0..self.log.answers());
        let (owner, entry) = self.log.answer(number)?;
        Some((owner.clone(), entry.command.clone()))
    }

    /// An earlier request again, while others are under way; sometimes while it is under way itself.
    fn retry(&mut self) -> anyhow::Result<()> {
        let newest = self.random.random_range(0..2 * NEWEST_MAX);
        let again = match self.newest.get(newest) {
            Some(again) => Some(again.clone()),
            None => self.answered(),
        };
        match again {
            Some((owner, command)) => self.ask(&owner, vec![command], Asked::Plainly),
            None => Ok(()),
        }
    }

    /// Another request under the id of an earlier one.
    fn contradict(&mut self) -> anyhow::Result<()> {
        let Some((owner, command)) = self.answered() else {
            return Ok(());
        };
        match altered(&command) {
            Some(other) => self.ask(&owner, vec![other], Asked::Altered),
            None => Ok(()),
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let owner = self.owner()?;
        self.show(&owner)
    }

    fn show(&mut self, owner: &Owner) -> anyhow::Result<()> {
        let item = Item {
            owner: owner.clone(),
            command: None,
            asked: Asked::Plainly,
        };
        self.world.call(&owner.0, vec![item])
    }

    fn pass_time(&mut self) {
        // Not while anything is on its way: what is asked under an id must be carried out before the id is forgotten.
        let most = if self.world.calls() > 0 { 8 } else { 10 };
        let span = match self.random.random_range(0..most) {
            0..=4 => Span::seconds(self.random.random_range(0..3)),
            5..=7 => Span::seconds(self.random.random_range(3..6_000)),
            8 => Span::seconds(self.random.random_range(6_000..200_000)),
            _ => Span::days(self.random.random_range(1..40)),
        };
        self.world.clock.advance(span);
    }

    fn change_plane(&mut self) -> anyhow::Result<()> {
        let plane = self.random.random_range(0..self.planes.len());
        self.planes[plane].change(self.world.engine()?, &mut self.random)
    }

    fn arm(&mut self) {
        let fault = [
            Fault::PowerCut,
            Fault::PowerCut,
            Fault::Refused,
            Fault::Refused,
            Fault::ShortWrite,
        ][self.random.random_range(0..5)];
        self.world
            .disk
            .arm(fault, self.random.random_range(0..FAULT_WITHIN));
    }

    /// Whether the disk failed under the program that runs.
    fn was_struck(&self) -> bool {
        self.world.disk.tally().faults > self.faults_before
    }

    /// If the engine has stopped, a fault is the reason; then the next program finds what is left.
    fn recover(&mut self) -> anyhow::Result<()> {
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
    fn stop(&mut self) -> anyhow::Result<()> {
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

    fn restart(&mut self, ending: Ending) -> anyhow::Result<()> {
        self.tally.crashes += 1;
        let came = self.world.crash(ending)?;
        self.judge(came)?;
        self.start()
    }

    /// Starts on what is left, sometimes through another fault, and checks that nothing answered is missing.
    fn start(&mut self) -> anyhow::Result<()> {
        loop {
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
        for plane in &mut self.planes {
            plane.set_up(self.world.engine()?)?;
        }
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
        self.look_at_all()?;
        Ok(())
    }

    /// Repeats the first `count` answered requests.
    fn repeat(&mut self, count: usize) -> anyhow::Result<()> {
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
            if !self
                .log
                .may_ask(owner, &entry.command, self.world.engine()?.now(&tenant))
            {
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

    fn judge(&mut self, came: Vec<(Item, Reply)>) -> anyhow::Result<()> {
        for (item, reply) in came {
            match (&item.command, &reply) {
                (Some(command), _) => {
                    let judged = self.log.judge(&item.owner, command, item.asked, &reply);
                    judged.map_err(|what| anyhow::anyhow!("{what}"))?;
                }
                (None, Reply::Wallet(wallet)) => {
                    self.tally.reads += 1;
                    audit::wallet(&item.owner, wallet)?;
                    let header = wallet.header();
                    self.shown.insert(item.owner, (header.sequence, header.chain));
                }
                (None, Reply::Stopped) => {}
                (None, other) => bail!("{:?} asked for its wallet and got {other:?}", item.owner),
            }
        }
        Ok(())
    }

    /// Lets everything come to rest, and looks at every wallet with its history.
    fn look(&mut self) -> anyhow::Result<()> {
        let came = self.world.settle(&mut self.random)?;
        self.judge(came)?;
        self.recover()?;
        self.world.disk.disarm();
        if self.was_struck() {
            return Ok(()); // it will stop when it needs what failed
        }
        self.look_at_all().map(drop)
    }

    fn look_at_all(&mut self) -> anyhow::Result<Vec<[u8; 32]>> {
        if self.world.failure().is_some() {
            return Ok(Vec::new());
        }
        self.tally.looks += 1;
        for plane in &self.planes {
            plane.check(self.world.engine()?)?;
        }
        let mut chains = Vec::new();
        for tenant in TENANTS {
            for customer in CUSTOMERS {
                let owner = (TenantId::new(tenant)?, CustomerId::new(customer)?);
                let before = self.shown.get(&owner).copied();
                self.show(&owner)?;
                let came = self.world.settle(&mut self.random)?;
                let shown = came.iter().find_map(|(item, reply)| match reply {
                    Reply::Wallet(wallet) if item.owner == owner => Some(wallet.clone()),
                    _ => None,
                });
                self.judge(came)?;
                let shown = shown.with_context(|| format!("{owner:?} was not shown"))?;
                let store = self.world.store()?;
                chains.push(audit::history(store, &self.log, &owner, &shown, before)?);
                if customer == CUSTOMERS[0] {
                    audit::told(store, &owner)?;
                }
            }
        }
        Ok(chains)
    }

    fn last_look(&mut self) -> anyhow::Result<[u8; 32]> {
        let chains = self.look_at_all()?;
        let now: Timestamp = self.world.engine()?.now(&TenantId::new(TENANTS[0])?);
        let mut digest = blake3::Hasher::new();
        digest.update(&now.as_micros().to_le_bytes());
        digest.update(&self.world.disk.tally().operations.to_le_bytes());
        for chain in &chains {
            digest.update(chain);
        }
        for number in 0..self.log.answers() {
            if let Some((owner, entry)) = self.log.answer(number) {
                digest.update(format!("{owner:?} {entry:?}").as_bytes());
            }
        }
        let came = self.world.stop()?;
        self.judge(came)?;
        Ok(*digest.finalize().as_bytes())
    }
}
