//! Backfills: events from before the late window, which are kept, looked at, posted as a whole and taken back as a whole, also
//! through a disk that fails meanwhile. What was told is compared with the records that came of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use farebox_engine::{BackfillPreview, ControlError, Engine};
use farebox_record::command::Command;
use farebox_record::control::{BackfillStage, BackfillState};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, TenantId};
use farebox_record::outcome::{Answer, AssetBalance};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_store::{JournalStore, Store as _, WalletKey};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

use crate::history::History;

/// Backfills of a tenant in an episode.
const MADE_MAX: usize = 5;

/// The backfills of one tenant.
#[derive(Debug, Default)]
pub struct Backfills(Vec<Backfill>);

/// What is known of one.
#[derive(Debug)]
struct Backfill {
    id: CallId,
    events: Vec<(CustomerId, Event)>,
    /// As somebody was told last that it stands. None: nobody was told that it is there.
    told: Option<BackfillState>,
}

/// What is done about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// It is made, or made again.
    Make,
    /// Something else is made under its name.
    Contradict,
    Preview,
    /// It is looked at, and posted as it was then.
    PreviewAndCommit,
    Commit,
    Revert,
}

/// A tenant and what it runs on, while the disk holds.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// Whose backfills.
    pub tenant: &'p TenantId,
    /// Where they are asked for.
    pub engine: &'p Engine,
    /// Where their records are.
    pub store: &'p JournalStore,
    /// Nothing else is on its way.
    pub quiet: bool,
}

impl Backfills {
    /// Whether one more is made: the first as soon as it can be.
    pub fn wants_more(&self, random: &mut SmallRng) -> bool {
        self.0.is_empty() || (self.0.len() < MADE_MAX && random.random_range(0..4) == 0)
    }

    /// Makes one of these events; or, without events, does something about one that was made.
    ///
    /// # Errors
    /// What it breaks. That the disk failed is left to [`excused`].
    pub fn go_on(
        &mut self,
        place: Place<'_>,
        events: Vec<(CustomerId, Event)>,
        random: &mut SmallRng,
    ) -> anyhow::Result<Result<(), ControlError>> {
        let (number, what) = match events.is_empty() {
            true if self.0.is_empty() => return Ok(Ok(())),
            true => {
                let number = random.random_range(0..self.0.len());
                (number, self.0[number].draw(place.quiet, random))
            }
            false => {
                self.0.push(Backfill {
                    id: CallId::new(&format!("fill-{}", self.0.len() + 1))?,
                    events,
                    told: None,
                });
                (self.0.len() - 1, Move::Make)
            }
        };
        let backfill = &mut self.0[number];
        let named = format!("{}: {what:?} of {}", place.tenant, backfill.id);
        backfill.carry_out(place, what).context(named)
    }

    /// Compares what was told with the records of all customers.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, engine: &Engine, tenant: &TenantId, histories: &[History]) -> anyhow::Result<u64> {
        let mut posted = 0;
        for backfill in self.0.iter().filter(|backfill| backfill.told.is_some()) {
            let stands = engine.backfill(tenant, &backfill.id)?;
            let named = || format!("{tenant}: backfill {} is {stands:?}", backfill.id);
            posted += backfill.compare(&stands, histories).with_context(named)?;
        }
        Ok(posted)
    }
}

/// Whether nothing is wrong with an error: the store stopped, or has no room; or the disk failed; or what was posted cannot
/// be taken back as things are.
pub fn excused(error: &ControlError, struck: bool) -> bool {
    match error {
        ControlError::Stopped | ControlError::DiskNearlyFull(_) | ControlError::Backfill(_) => true,
        ControlError::Engine(_) => struck,
        _ => false,
    }
}

impl Backfill {
    fn draw(&self, quiet: bool, random: &mut SmallRng) -> Move {
        let Some(told) = &self.told else {
            return Move::Make;
        };
        let moves: &[Move] = match told.stage {
            BackfillStage::Draft if quiet => &[Move::PreviewAndCommit, Move::Commit, Move::Preview],
            BackfillStage::Draft => &[Move::Commit, Move::Preview, Move::Revert],
            BackfillStage::Committing => &[Move::Commit],
            BackfillStage::Committed => &[Move::Revert, Move::Commit],
            BackfillStage::Reverting => &[Move::Revert],
            BackfillStage::Reverted => &[Move::Revert, Move::Commit, Move::Preview],
        };
        match random.random_range(0..8) {
            0 => Move::Make,
            1 => Move::Contradict,
            _ => moves.choose(random).copied().unwrap_or(Move::Make),
        }
    }

    fn carry_out(&mut self, place: Place<'_>, what: Move) -> anyhow::Result<Result<(), ControlError>> {
        let Place { tenant, engine, .. } = place;
        match what {
            Move::Make => {
                let made = engine.make_backfill(tenant, &self.id, Some("lost".into()), &self.events);
                let state = match made {
                    Ok((state, _)) => state,
                    Err(error) => return Ok(Err(error)),
                };
                ensure!(state.count == self.events.len() as u64, "it is {state:?}");
                self.told(state)?;
            }
            Move::Contradict => {
                match engine.make_backfill(tenant, &self.id, Some("other".into()), &self.events) {
                    Err(ControlError::Conflict { .. }) => {}
                    Err(error) => return Ok(Err(error)),
                    Ok(made) => bail!("another one under its name was taken: {made:?}"),
                }
            }
            Move::Preview => {
                let preview = self.preview(place)?;
                return Ok(preview.map(drop));
            }
            Move::PreviewAndCommit => {
                let preview = match self.preview(place)? {
                    Ok(preview) => preview,
                    Err(error) => return Ok(Err(error)),
                };
                let done = engine.commit_backfill(tenant, &self.id);
                let state = match self.moved(place, done, BackfillStage::Committed)? {
                    Ok(Some(state)) => state,
                    other => return Ok(other.map(drop)),
                };
                self.as_previewed(place, &preview, &state)?;
            }
            Move::Commit => {
                let done = engine.commit_backfill(tenant, &self.id);
                return Ok(self.moved(place, done, BackfillStage::Committed)?.map(drop));
            }
            Move::Revert => {
                let done = engine.revert_backfill(tenant, &self.id);
                return Ok(self.moved(place, done, BackfillStage::Reverted)?.map(drop));
            }
        }
        Ok(Ok(()))
    }

    /// Looks at what it would do, which leaves no trace.
    fn preview(&self, place: Place<'_>) -> anyhow::Result<Result<BackfillPreview, ControlError>> {
        let version = |(customer, _): &(CustomerId, Event)| {
            let loaded = place.store.load(&key(place.tenant, customer))?;
            Ok(loaded.version)
        };
        let versions = || -> anyhow::Result<Vec<u64>> { self.events.iter().map(version).collect() };
        let before = versions();
        let preview = match place.engine.preview_backfill(place.tenant, &self.id) {
            Ok(preview) => preview,
            Err(error) => return Ok(Err(error)),
        };
        if let (true, Ok(before), Ok(after)) = (place.quiet, before, versions()) {
            ensure!(before == after, "a look left a trace");
        }
        let tally = preview.tally;
        let all = tally.charged + tally.unpriced + tally.known + tally.refused;
        ensure!(all == self.events.len() as u64, "it looked at {all}: {preview:?}");
        let customers: u64 = preview.customers.iter().map(|customer| customer.charged).sum();
        ensure!(customers == tally.charged, "{preview:?} has {customers} charged");
        Ok(Ok(preview))
    }

    /// It was asked to go on to a stage. Where it is refused it stands where that makes no sense.
    fn moved(
        &mut self,
        place: Place<'_>,
        done: Result<BackfillState, ControlError>,
        to: BackfillStage,
    ) -> anyhow::Result<Result<Option<BackfillState>, ControlError>> {
        let stands = place.engine.backfill(place.tenant, &self.id);
        match done {
            Ok(state) => {
                ensure!(state.stage == to, "it came to {state:?}");
                self.told(state.clone())?;
                Ok(Ok(Some(state)))
            }
            Err(ControlError::BackfillStage { stage, .. }) => {
                let is_wrong = match to {
                    BackfillStage::Committed => stage >= BackfillStage::Reverting,
                    _ => stage <= BackfillStage::Committing,
                };
                ensure!(is_wrong, "it was refused, because it is {stage:?}");
                Ok(Ok(None))
            }
            Err(error) => {
                // Somebody who asks learns how far it came.
                if let Ok(stands) = stands {
                    self.told(stands)?;
                }
                Ok(Err(error))
            }
        }
    }

    /// Stages only go on, and what came of its events is said once.
    fn told(&mut self, now: BackfillState) -> anyhow::Result<()> {
        if let Some(before) = &self.told {
            let is_same = before.stage < now.stage || *before == now;
            ensure!(is_same, "it was {before:?}, and is {now:?}");
        }
        self.told = Some(now);
        Ok(())
    }

    /// What was looked at is what came of it.
    fn as_previewed(
        &self,
        place: Place<'_>,
        preview: &BackfillPreview,
        state: &BackfillState,
    ) -> anyhow::Result<()> {
        ensure!(
            state.tally == preview.tally,
            "it came to {state:?}, and looked like {preview:?}"
        );
        for told in preview.customers.iter().filter(|told| told.charged > 0) {
            let balances = self.newest_balances(place, &told.customer)?;
            ensure!(
                balances.as_ref() == Some(&told.balances),
                "{} has {balances:?}, and was to have {:?}",
                told.customer,
                told.balances
            );
        }
        Ok(())
    }

    /// What the customer was left with by the last event of it that was charged.
    fn newest_balances(
        &self,
        place: Place<'_>,
        customer: &CustomerId,
    ) -> anyhow::Result<Option<Vec<AssetBalance>>> {
        let most = 4 * self.events.len() + 64;
        for stored in place.store.history(&key(place.tenant, customer), None, most)? {
            let record = Record::decode(&stored.body)?;
            if let (Command::Backfill(posted), Answer::Charged { balances, .. }) =
                (&record.command, &record.outcome.answer)
                && posted.backfill == self.id
            {
                return Ok(Some(balances.clone()));
            }
        }
        Ok(None)
    }

    /// Its records are what it says that came of it; each event was posted once, and after all of them came back, none stands.
    fn compare(&self, stands: &BackfillState, histories: &[History]) -> anyhow::Result<u64> {
        let mut posted: BTreeMap<(&CustomerId, EventRef), bool> = BTreeMap::new();
        let mut voided: BTreeSet<(&CustomerId, EventRef)> = BTreeSet::new();
        for history in histories {
            let customer = &history.owner.1;
            for record in &history.records {
                match (&record.command, &record.outcome.answer) {
                    (Command::Backfill(part), answer) if part.backfill == self.id => {
                        let name = (customer, part.event.reference());
                        let charged = matches!(answer, Answer::Charged { .. });
                        let before = posted.insert(name, charged);
                        ensure!(before.is_none(), "{:?} was posted twice", part.event);
                        let asked = self.events.iter();
                        let mut asked = asked.map(|(customer, event)| (customer, event));
                        ensure!(
                            asked.any(|asked| asked == (customer, &part.event)),
                            "{:?} was posted, and nobody asked for it",
                            part.event
                        );
                    }
                    (Command::Void(void), Answer::Corrected(_) | Answer::Refolded(_)) => {
                        voided.insert((customer, void.event.clone()));
                    }
                    _ => {}
                }
            }
        }
        let all = posted.len() as u64;
        let charged = posted.values().filter(|charged| **charged).count() as u64;
        let tally = stands.tally;
        match stands.stage {
            BackfillStage::Draft => ensure!(all == 0, "{all} are posted"),
            BackfillStage::Committing => {}
            BackfillStage::Committed | BackfillStage::Reverting | BackfillStage::Reverted => ensure!(
                (charged, all - charged) == (tally.charged, tally.unpriced),
                "{charged} of {all} are charged"
            ),
        }
        if stands.stage == BackfillStage::Reverted {
            let stray = posted.keys().find(|name| !voided.contains(*name));
            ensure!(
                stray.is_none() && tally.reverted == all,
                "{stray:?} of {all} still stands"
            );
        }
        Ok(all)
    }
}

fn key(tenant: &TenantId, customer: &CustomerId) -> WalletKey {
    WalletKey::new(tenant.as_str(), customer.as_str())
}
