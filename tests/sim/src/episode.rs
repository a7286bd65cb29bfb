//! One life of a store: from an empty disk, through calls, faults, crashes and starts, to a last look at everything.

mod ends;

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, bail};
use farebox_engine::Reply;
use farebox_record::command::{AuthorizeMode, Command};
use farebox_record::event::Event;
use farebox_record::ids::{EventType, GrantId, Hash, SubscriptionId};
use farebox_record::plan::EventRef;
use farebox_record::time::{Span, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::backfills::{self, excused};
use crate::disk::{Ending, Fault};
use crate::house::House;
use crate::log::{Asked, Log, Owner};
use crate::look::{Look, Looked, Place, Shown};
use crate::machine::Machine;
use crate::operations::{OPERATIONS, OUTCOME_OPERATIONS, Operation, Scene, TOTAL_OPERATIONS, altered};
use crate::report::Tally;
use crate::world::{DiskIs, Item, Pace, World};

/// Operations of an episode. Beyond, checking all of history after each start would take longer than making it.
pub const EPISODE_OPERATIONS: u64 = 400;

/// Operations between two looks at every wallet.
const LOOK_EVERY: u64 = 32;
/// Disk operations within which an armed fault strikes.
const FAULT_WITHIN: u64 = 12;
/// Calls under way before work is done until none is.
const CALLS_MAX: usize = 24;
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

/// What is done to a wallet.
fn operations_of(owner: &Owner) -> &'static [Operation] {
    if House::is_followed(owner) {
        OUTCOME_OPERATIONS
    } else if House::is_summed(owner) {
        TOTAL_OPERATIONS
    } else {
        OPERATIONS
    }
}

/// What an operation on a wallet may look at.
fn scene<'s>(
    random: &'s mut SmallRng,
    now: Timestamp,
    next: &'s mut u64,
    known: &'s Known,
    owner: &Owner,
) -> Scene<'s> {
    Scene {
        random,
        now,
        next,
        held: &known.held,
        events: &known.events,
        grants: &known.grants,
        subscriptions: &known.subscriptions,
        may_pool: House::may_pool(owner),
    }
}

/// See the module.
pub struct Episode {
    random: SmallRng,
    world: World,
    log: Log,
    houses: Vec<House>,
    /// What earlier looks remember.
    look: Look,
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
        let built =
            World::new(random.random(), lanes).and_then(|world| Ok((world, House::street(&mut random)?)));
        let (world, houses) = match built {
            Ok(built) => built,
            Err(error) => return (Tally::default(), Err((0, error))),
        };
        let mut episode = Episode {
            random,
            world,
            log: Log::default(),
            houses,
            look: Look::default(),
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
        for number in 0..operations {
            *done = number + 1;
            self.step().with_context(|| format!("operation {}", number + 1))?;
            if number % LOOK_EVERY == LOOK_EVERY - 1 {
                self.look()?;
            }
        }
        self.restart(Ending::Power)?;
        self.repeat(self.log.answers())?;
        self.log.check_made().map_err(anyhow::Error::msg)?;
        self.last_look()
    }

    /// Customers of tenants that are there and have none, each with something in the wallet and a plan, so that what follows
    /// has something to work on.
    fn people(&mut self) -> anyhow::Result<()> {
        for house in 0..self.houses.len() {
            if !self.houses[house].wants_people() {
                continue;
            }
            for owner in self.houses[house].owners()? {
                for name in ["put customer", "grant", "grant", "subscribe", "subscribe"] {
                    let mut operations = operations_of(&owner).iter();
                    let operation = operations.find(|operation| operation.name == name);
                    self.operate_on(&owner, operation.context(name)?)?;
                }
            }
            self.houses[house].has_people = true;
        }
        let came = self.world.settle(&mut self.random)?;
        self.judge(came)
    }

    /// One operation, and some of the work that it makes.
    fn step(&mut self) -> anyhow::Result<()> {
        self.tally.operations += 1;
        match self.random.random_range(0..100) {
            0..=24 if self.slow > 0 => self.retry()?,
            0..=58 => self.operate()?,
            59..=61 => self.backfill()?,
            62 => self.slow = self.random.random_range(2..SLOW_MAX),
            63 if self.full == 0 => {
                self.full = self.random.random_range(2..FULL_MAX);
                self.world.fill(DiskIs::NearlyFull)?;
            }
            63..=71 => self.retry()?,
            72..=74 => self.contradict()?,
            75..=78 => self.read()?,
            79..=85 => self.pass_time(),
            86..=88 => self.change_plane()?,
            89..=91 => self.advance()?,
            92..=95 => self.arm(),
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
        let owners = House::all_owners(&self.houses)?;
        let owner = owners.choose(&mut self.random);
        owner.cloned().context("a world without customers")
    }

    fn operate(&mut self) -> anyhow::Result<()> {
        let owner = self.owner()?;
        let operations = operations_of(&owner);
        let weights: u32 = operations.iter().map(|operation| operation.weight).sum();
        let mut pick = self.random.random_range(0..weights);
        let operation = operations.iter().find(|operation| {
            let is_it = pick < operation.weight;
            pick = pick.saturating_sub(operation.weight);
            is_it
        });
        self.operate_on(&owner, operation.context("a draw beyond the weights")?)
    }

    fn operate_on(&mut self, owner: &Owner, operation: &Operation) -> anyhow::Result<()> {
        let known = self.known.entry(owner.clone()).or_default();
        let now = self.world.engine()?.now(&owner.0);
        let mut scene = scene(&mut self.random, now, &mut self.next, known, owner);
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
        let (now, latest) = (self.world.now(), self.world.latest());
        commands.retain(|command| self.log.may_ask(owner, command, latest));
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
        self.world.pass(span);
    }

    fn change_plane(&mut self) -> anyhow::Result<()> {
        let house = self.random.random_range(0..self.houses.len());
        let engine = self.world.engine()?;
        match self.houses[house].is_there() {
            true => self.houses[house].plane.change(engine, &mut self.random),
            // The tenant is made at last, with all that happens meanwhile.
            false => {
                self.houses[house].build(engine)?;
                self.recover()?;
                self.people()
            }
        }
    }

    /// The clock of a sandbox moves; sometimes the disk fails under it.
    fn advance(&mut self) -> anyhow::Result<()> {
        let boxes = 0..self.houses.len();
        let boxes: Vec<usize> = boxes
            .filter(|house| self.houses[*house].is_there() && self.houses[*house].sandbox.is_some())
            .collect();
        let Some(house) = boxes.choose(&mut self.random).copied() else {
            return self.operate();
        };
        if self.random.random_range(0..2) == 0 {
            let came = self.world.settle(&mut self.random)?;
            self.judge(came)?;
            self.recover()?;
        }
        if self.random.random_range(0..3) == 0 {
            self.arm();
        }
        let quiet = self.world.calls() == 0 && self.world.engine()?.waiting().is_empty();
        let faults = self.world.disk.tally().faults;
        let done = House::advance(
            &mut self.houses,
            house,
            self.world.engine()?,
            self.world.store()?,
            quiet,
            &mut self.random,
        );
        let came = self.world.replies();
        self.judge(came)?;
        let struck = self.world.disk.tally().faults > faults || self.was_struck();
        House::judge_advance(&mut self.houses, house, done?, self.world.store()?, struck)
    }

    /// Something is done about a backfill; sometimes the disk fails under it.
    fn backfill(&mut self) -> anyhow::Result<()> {
        let house = self.random.random_range(0..self.houses.len());
        let mut owners = self.houses[house].owners()?;
        // The others have no price for what is made here.
        owners.retain(|owner| !House::is_followed(owner) && !House::is_summed(owner));
        if owners.is_empty() {
            return self.operate();
        }
        if self.random.random_range(0..3) > 0 {
            let came = self.world.settle(&mut self.random)?;
            self.judge(came)?;
            self.recover()?;
        }
        if self.random.random_range(0..4) == 0 {
            self.arm();
        }
        let mut events = Vec::new();
        if self.houses[house].backfills.wants_more(&mut self.random) {
            for _ in 0..self.random.random_range(1..8) {
                let owner = owners.choose(&mut self.random).context("nobody")?;
                let known = self.known.entry(owner.clone()).or_default();
                let again = known.events.choose(&mut self.random).cloned();
                let event = match again.filter(|_| self.random.random_range(0..10) == 0) {
                    Some(again) => again,
                    None => {
                        let now = self.world.engine()?.now(&owner.0);
                        scene(&mut self.random, now, &mut self.next, known, owner).old_event()
                    }
                };
                // May be corrected by hand, too.
                keep(&mut known.events, event.clone());
                events.push((owner.1.clone(), event));
            }
        }
        let quiet = self.world.calls() == 0 && self.world.engine()?.waiting().is_empty();
        let faults = self.world.disk.tally().faults;
        let House { plane, backfills, .. } = &mut self.houses[house];
        let place = backfills::Place {
            tenant: plane.tenant(),
            engine: self.world.engine()?,
            store: self.world.store()?,
            quiet,
        };
        let done = backfills.go_on(place, events, &mut self.random)?;
        let came = self.world.replies();
        self.judge(came)?;
        let struck = self.world.disk.tally().faults > faults || self.was_struck();
        match done {
            Err(error) if !excused(&error, struck) => Err(error.into()),
            _ => Ok(()),
        }
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

    fn judge(&mut self, came: Vec<(Item, Reply)>) -> anyhow::Result<()> {
        for (item, reply) in came {
            match (&item.command, &reply) {
                (Some(command), _) => {
                    let judged = self.log.judge(&item.owner, command, item.asked, &reply);
                    judged.map_err(|what| anyhow::anyhow!("{what}"))?;
                }
                (None, Reply::Wallet(wallet)) => {
                    self.tally.reads += 1;
                    crate::audit::wallet(&item.owner, wallet)?;
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
        // First everything that is due is handled, and what follows from that: a renewal may give a price to what waits, behind
        // the read that noticed it. Then nothing moves any more.
        let owners = House::all_owners(&self.houses)?;
        for owner in &owners {
            self.show(owner)?;
            let came = self.world.settle(&mut self.random)?;
            self.judge(came)?;
        }
        let mut shown: Vec<Shown> = Vec::new();
        for owner in owners {
            let before = self.shown.get(&owner).copied();
            self.show(&owner)?;
            let came = self.world.settle(&mut self.random)?;
            let wallet = came.iter().find_map(|(item, reply)| match reply {
                Reply::Wallet(wallet) if item.owner == owner => Some(wallet.clone()),
                _ => None,
            });
            self.judge(came)?;
            let wallet = wallet.with_context(|| format!("{owner:?} was not shown"))?;
            shown.push((owner, wallet, before));
        }
        let place = Place {
            engine: self.world.engine()?,
            store: self.world.store()?,
            log: &self.log,
            machine: Machine {
                now: self.world.now(),
                latest: self.world.latest(),
            },
        };
        let looked = self.look.at_all(place, &self.houses, &shown, &mut self.random);
        let Looked { chains, tally } = looked?;
        self.tally.add_looked(&tally);
        Ok(chains)
    }

    fn last_look(&mut self) -> anyhow::Result<[u8; 32]> {
        let chains = self.look_at_all()?;
        let mut digest = blake3::Hasher::new();
        for house in &self.houses {
            let now: Timestamp = self.world.engine()?.now(house.tenant());
            digest.update(&now.as_micros().to_le_bytes());
        }
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
