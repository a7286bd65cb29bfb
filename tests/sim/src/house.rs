//! The tenants of an episode: two that are live, and some sandboxes, the last of which is made in the middle of everything.

use anyhow::ensure;
use farebox_engine::{Advanced, ControlDone, ControlError, Engine};
use farebox_record::command::Command;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::record::Record;
use farebox_record::time::Timestamp;
use farebox_store::{JournalStore, Store as _, WalletKey};
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::backfills::Backfills;
use crate::control::Plane;
use crate::log::Owner;
use crate::machine::Machine;
use crate::sandbox::{Advance, Sandbox};

const LIVE: [&str; 2] = ["acme", "zeta"];
/// Names of sandboxes.
pub const SANDBOXES: [&str; 2] = ["lab", "toy"];
/// Of a live tenant. The first of each tenant is never on the plan that charges in two assets.
const CUSTOMERS: [&str; 5] = ["ada", "ben", "cleo", FOLLOWED, SUMMED];
/// Of a sandbox.
const TESTERS: [&str; 4] = ["ada", "cleo", FOLLOWED, SUMMED];
/// The one who pays for outcomes, and for nothing else.
const FOLLOWED: &str = "dora";
/// The one who pays by a running total, and for nothing else.
const SUMMED: &str = "emil";

/// A tenant.
#[derive(Debug)]
pub struct House {
    /// What it was told of its control plane.
    pub plane: Plane,
    /// What was posted of long ago.
    pub backfills: Backfills,
    /// None: it is live.
    pub sandbox: Option<Sandbox>,
    /// Whether its customers were made.
    pub has_people: bool,
    /// Whether somebody wants it to be there.
    is_wanted: bool,
}

/// What came of an advance, and what there was before.
#[derive(Debug)]
pub struct Came {
    advance: Advance,
    told: Result<Advanced, ControlError>,
    /// Versions of all wallets, where nothing but the advance was on its way.
    before: Option<Vec<(Owner, u64)>>,
}

impl House {
    /// Those of an episode: of five, two have no sandbox and one has two.
    ///
    /// # Errors
    /// None: the names here are names.
    pub fn street(random: &mut SmallRng) -> anyhow::Result<Vec<House>> {
        let mut houses = Vec::new();
        for name in LIVE {
            houses.push(House::new(name, None, true)?);
        }
        let sandboxes = [0, 0, 1, 1, 2][random.random_range(0..5)];
        for name in SANDBOXES.iter().take(sandboxes) {
            let sandbox = Sandbox::new(TenantId::new(name)?, random)?;
            houses.push(House::new(name, Some(sandbox), *name == SANDBOXES[0])?);
        }
        Ok(houses)
    }

    fn new(name: &str, sandbox: Option<Sandbox>, is_wanted: bool) -> anyhow::Result<House> {
        Ok(House {
            plane: Plane::new(TenantId::new(name)?),
            backfills: Backfills::default(),
            sandbox,
            has_people: false,
            is_wanted,
        })
    }

    /// Its name.
    pub fn tenant(&self) -> &TenantId {
        self.plane.tenant()
    }

    /// Whether it is known to be there: a tenant that was never made has no time of its own.
    pub fn is_there(&self) -> bool {
        self.sandbox.as_ref().is_none_or(|sandbox| sandbox.is_made)
    }

    /// The latest time by which what is no longer kept of it may have been removed.
    pub fn tidied(&self, engine: &Engine, machine: Machine) -> Timestamp {
        let now = engine.now(self.tenant());
        match self.sandbox {
            Some(_) => now,
            None => now.max(machine.latest),
        }
    }

    /// Whether it is there without customers.
    pub fn wants_people(&self) -> bool {
        self.is_there() && !self.has_people
    }

    /// Whether a customer may have the plan that charges in two assets.
    pub fn may_pool(owner: &Owner) -> bool {
        !House::is_followed(owner) && !House::is_summed(owner) && owner.1.as_str() != CUSTOMERS[0]
    }

    /// Whether a customer is on the plan that follows conversations, and on no other.
    pub fn is_followed(owner: &Owner) -> bool {
        owner.1.as_str() == FOLLOWED
    }

    /// Whether a customer is on the plan with a running total, and on no other.
    pub fn is_summed(owner: &Owner) -> bool {
        owner.1.as_str() == SUMMED
    }

    /// Its customers, once it is there.
    ///
    /// # Errors
    /// None: the names here are names.
    pub fn owners(&self) -> anyhow::Result<Vec<Owner>> {
        let customers = match (self.is_there(), &self.sandbox) {
            (false, _) => &[][..],
            (true, None) => &CUSTOMERS,
            (true, Some(_)) => &TESTERS,
        };
        let owner = |name: &&str| Ok((self.tenant().clone(), CustomerId::new(name)?));
        customers.iter().map(owner).collect()
    }

    /// All customers of all that are there.
    ///
    /// # Errors
    /// None: the names here are names.
    pub fn all_owners(houses: &[House]) -> anyhow::Result<Vec<Owner>> {
        let mut owners = Vec::new();
        for house in houses {
            owners.extend(house.owners()?);
        }
        Ok(owners)
    }

    /// Behind a start: what is wanted is made, or found.
    ///
    /// # Errors
    /// What the engine should not have refused.
    pub fn open(&mut self, engine: &Engine) -> anyhow::Result<()> {
        match self.is_wanted {
            true => self.build(engine),
            false => Ok(()),
        }
    }

    /// Makes the tenant, where it is a sandbox, and puts its first prices in force. May be repeated.
    ///
    /// # Errors
    /// What the engine should not have refused.
    pub fn build(&mut self, engine: &Engine) -> anyhow::Result<()> {
        self.is_wanted = true;
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.make(engine)?;
            if !sandbox.is_made {
                return Ok(());
            }
        }
        self.plane.set_up(engine)
    }

    /// Moves the clock of a sandbox.
    ///
    /// # Errors
    /// What the store says.
    pub fn advance(
        houses: &mut [House],
        house: usize,
        engine: &Engine,
        store: &JournalStore,
        quiet: bool,
        random: &mut SmallRng,
    ) -> anyhow::Result<Option<Came>> {
        let owners = House::all_owners(houses)?;
        let versions = || -> anyhow::Result<Vec<(Owner, u64)>> {
            let version = |owner: &Owner| Ok((owner.clone(), store.load(&key(owner))?.version));
            owners.iter().map(version).collect()
        };
        let before = match quiet && engine.is_running() {
            true => versions().ok(),
            false => None,
        };
        let Some(sandbox) = &mut houses[house].sandbox else {
            return Ok(None);
        };
        let now = engine.now(&sandbox.tenant);
        let Ok(advance) = sandbox.draw(store, now, quiet, random) else {
            return Ok(None); // the store has stopped
        };
        let told = advance.ask(engine, &sandbox.tenant);
        Ok(Some(Came {
            advance,
            told,
            before,
        }))
    }

    /// Judges what came of it: everything that was due is handled, and nobody else has felt anything. `struck`: the disk
    /// failed.
    ///
    /// # Errors
    /// What it breaks.
    pub fn judge_advance(
        houses: &mut [House],
        house: usize,
        came: Option<Came>,
        store: &JournalStore,
        struck: bool,
    ) -> anyhow::Result<()> {
        let Some(sandbox) = &mut houses[house].sandbox else {
            return Ok(());
        };
        let Some(Came {
            advance,
            told,
            before,
        }) = came
        else {
            ensure!(struck, "nothing can be read, and no disk failed");
            return Ok(());
        };
        let moved = told.as_ref().ok().cloned();
        let is_done = sandbox.judge(&advance, told, struck)?;
        let Some(moved) = moved.filter(|_| is_done && !struck) else {
            return Ok(());
        };
        let is_new = moved.done == ControlDone::Changed;
        if is_new {
            let due = store.due(sandbox.tenant.as_str(), moved.to.as_micros(), 1)?;
            ensure!(due.is_empty(), "{advance:?} was answered, and {due:?} is due");
        }
        let Some(before) = before else { return Ok(()) };
        let mut handled = 0;
        for (owner, version) in before {
            let more = usize::try_from(store.load(&key(&owner))?.version - version)?;
            ensure!(
                more == 0 || (is_new && owner.0 == sandbox.tenant),
                "{advance:?} of {} wrote to {owner:?}",
                sandbox.tenant
            );
            for stored in store.history(&key(&owner), None, more)? {
                let record = Record::decode(&stored.body)?;
                handled += u64::from(matches!(record.command, Command::Due(_)));
            }
        }
        ensure!(
            !is_new || handled == moved.handled,
            "{advance:?} handled {handled} items, and says {}",
            moved.handled
        );
        Ok(())
    }
}

fn key(owner: &Owner) -> WalletKey {
    WalletKey::new(owner.0.as_str(), owner.1.as_str())
}
