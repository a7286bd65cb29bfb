//! Sandboxes: tenants whose clock moves when it is told to, by steps of every kind, also through a crash in the middle of an
//! advance. What was told is told again; what the control plane says is worked out by hand.

mod clock;

use anyhow::{Context as _, bail, ensure};
use farebox_engine::{Advanced, ControlDone, ControlError, Engine};
use farebox_record::command::Command;
use farebox_record::control::{ClockStep, ControlRecord, NewTenant};
use farebox_record::ids::{CallId, Hash, TenantId};
use farebox_record::time::{CalendarSpan, Span, Timestamp};
use farebox_store::{JournalStore, Store as _};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

use crate::calendar::months_later;
use crate::history::History;
use clock::Clock;

/// Where sandboxes begin; none: at the machine's time.
const BIRTHS: [Option<&str>; 4] = [
    None,
    Some("2026-01-01T00:00:00Z"),
    Some("2024-01-31T23:59:59.5Z"),
    Some("2030-12-31T12:00:00Z"),
];
/// More than one advance may move a clock.
const TOO_FAR: Span = Span::days(401);

/// How far a clock is asked to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Seconds(u32),
    Months(u32),
    To(Timestamp),
}

/// An advance that was asked for.
#[derive(Debug, Clone)]
struct Asked {
    id: CallId,
    step: Step,
    /// None: nobody was told yet.
    told: Option<Advanced>,
}

/// What one sandbox was asked for and said.
#[derive(Debug)]
pub struct Sandbox {
    /// Which tenant.
    pub tenant: TenantId,
    birth: NewTenant,
    /// Whether somebody was told that it is there.
    pub is_made: bool,
    asked: Vec<Asked>,
    numbered: u64,
}

/// What is next asked of a clock.
#[derive(Debug, Clone)]
pub struct Advance {
    id: Option<CallId>,
    step: Step,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It moves, or has moved under this id.
    Done,
    /// Another step was asked for under its id.
    Conflict,
    /// Clocks do not move there.
    Refused,
}

impl Sandbox {
    /// One that is yet to be made.
    ///
    /// # Errors
    /// None: its first instants are times.
    pub fn new(tenant: TenantId, random: &mut SmallRng) -> anyhow::Result<Sandbox> {
        let clock = BIRTHS[random.random_range(0..BIRTHS.len())];
        let clock = clock.map(str::parse).transpose()?;
        Ok(Sandbox {
            tenant,
            birth: NewTenant::Sandbox { clock },
            is_made: false,
            asked: Vec::new(),
            numbered: 0,
        })
    }

    /// Makes the tenant, or is told that it is there.
    ///
    /// # Errors
    /// What the engine should not have refused.
    pub fn make(&mut self, engine: &Engine) -> anyhow::Result<()> {
        let key = CallId::new("first")?;
        let secret = Hash::of(self.tenant.as_str().as_bytes());
        let made = match engine.create_tenant(&self.tenant, self.birth, key, secret) {
            Ok(made) => made,
            Err(ControlError::Stopped | ControlError::Engine(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        ensure!(
            !self.is_made || made.done == ControlDone::Unchanged,
            "{} was made twice",
            self.tenant
        );
        if let NewTenant::Sandbox { clock: Some(clock) } = self.birth {
            ensure!(
                made.state.created == clock,
                "{} begins at {}, not at {clock}",
                self.tenant,
                made.state.created
            );
        }
        self.is_made = true;
        Ok(())
    }

    /// Draws what is asked next. `quiet`: nothing is on its way, so that any time may pass.
    ///
    /// # Errors
    /// What the store says.
    pub fn draw(
        &mut self,
        store: &JournalStore,
        now: Timestamp,
        quiet: bool,
        random: &mut SmallRng,
    ) -> anyhow::Result<Advance> {
        let again = match random.random_range(0..10) {
            0..=3 => self.asked.iter().rfind(|asked| asked.told.is_none()),
            4 => self.asked.choose(random),
            _ => None,
        };
        if let Some(again) = again {
            let is_small = matches!(again.step, Step::Seconds(..=6_000));
            // Where nobody was told, it may be carried out now.
            if again.told.is_some() || quiet || is_small {
                let conflicts = again.told.is_some() && random.random_range(0..4) == 0;
                return Ok(Advance {
                    id: Some(again.id.clone()),
                    step: if conflicts {
                        Step::Seconds(77_777)
                    } else {
                        again.step
                    },
                    expected: if conflicts {
                        Expected::Conflict
                    } else {
                        Expected::Done
                    },
                });
            }
        }
        let due = store.due(self.tenant.as_str(), i64::MAX, 1)?;
        let due = due
            .first()
            .map(|(at, _)| Timestamp::from_micros(*at))
            .filter(|at| *at > now && *at < now.saturating_add(Span::days(100)));
        let (step, expected) = match random.random_range(0..if quiet { 24 } else { 7 }) {
            0 => (Step::Seconds(0), Expected::Done),
            1..=4 => (Step::Seconds(random.random_range(1..6_000)), Expected::Done),
            5 => (Step::To(now.saturating_sub(Span::seconds(1))), Expected::Refused),
            6 => (Step::To(now.saturating_add(TOO_FAR)), Expected::Refused),
            7..=10 => {
                let days = random.random_range(1..20) * 86_400;
                (Step::Seconds(days + random.random_range(0..2)), Expected::Done)
            }
            11..=12 => (Step::Months(1), Expected::Done),
            13 => (Step::Months(random.random_range(2..7)), Expected::Done),
            kind => match due {
                // Just when something falls due, and just before.
                Some(due) if kind % 3 == 0 => {
                    let before = Timestamp::from_micros(due.as_micros() - 1);
                    (Step::To(before), Expected::Done)
                }
                Some(due) => (Step::To(due), Expected::Done),
                None => (Step::Seconds(3_600), Expected::Done),
            },
        };
        self.numbered += 1;
        let id = CallId::new(&format!("advance-{}", self.numbered))?;
        let id = (expected == Expected::Done && random.random_range(0..6) > 0).then_some(id);
        if let Some(id) = &id {
            self.asked.push(Asked {
                id: id.clone(),
                step,
                told: None,
            });
        }
        Ok(Advance { id, step, expected })
    }

    /// Judges what came of an advance. True: the clock stands where it was asked to, and all that was due is handled.
    ///
    /// # Errors
    /// What it breaks.
    pub fn judge(
        &mut self,
        advance: &Advance,
        came: Result<Advanced, ControlError>,
        struck: bool,
    ) -> anyhow::Result<bool> {
        let wrong = |came: &dyn std::fmt::Debug| format!("{}: {advance:?} came to {came:?}", self.tenant);
        let told = match (came, advance.expected) {
            (Err(ControlError::Stopped | ControlError::DiskNearlyFull(_)), _) => return Ok(false),
            (Err(ControlError::Engine(_)), _) if struck => return Ok(false),
            (Err(ControlError::Conflict { .. }), Expected::Conflict)
            | (Err(ControlError::Clock { .. }), Expected::Refused) => return Ok(false),
            // It was not carried out when it was asked for first, and meanwhile the clock is further.
            (Err(ControlError::Clock { .. }), Expected::Done)
                if matches!(advance.step, Step::To(_)) && self.told(advance).is_none() =>
            {
                return Ok(false);
            }
            (Ok(told), Expected::Done) => told,
            (came, _) => bail!("{}", wrong(&came)),
        };
        let to = advance.step.after(told.from);
        // Without an id nothing is remembered of a clock that stands there already.
        ensure!(Some(told.to) == to, "{}", wrong(&told));
        let asked = self
            .asked
            .iter_mut()
            .find(|asked| Some(&asked.id) == advance.id.as_ref());
        if let Some(asked) = asked {
            let again = Advanced {
                done: ControlDone::Unchanged,
                ..told
            };
            if let Some(before) = &asked.told {
                ensure!(
                    told == again && *before == again,
                    "{}: {advance:?} came to {before:?}, and then to {told:?}",
                    self.tenant
                );
            }
            asked.told = Some(again);
        }
        Ok(true)
    }

    fn told(&self, advance: &Advance) -> Option<&Advanced> {
        let asked = self
            .asked
            .iter()
            .find(|asked| Some(&asked.id) == advance.id.as_ref());
        asked?.told.as_ref()
    }

    /// Works out by hand where the clock stood when, and checks that the wallets went by it. Tells how many advances there
    /// were.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(
        &self,
        engine: &Engine,
        control: &[ControlRecord],
        histories: &[History],
    ) -> anyhow::Result<u64> {
        let clock = Clock::of(control, self)?;
        let now = engine.now(&self.tenant);
        ensure!(
            clock.stands == now,
            "the clock stands at {now}, and was moved to {}",
            clock.stands
        );
        for asked in &self.asked {
            let moved = clock.moves.get(&asked.id);
            let Some(told) = &asked.told else { continue };
            let moved = moved.with_context(|| format!("{asked:?} left no trace"))?;
            ensure!(
                (moved.from, moved.to, moved.handled) == (told.from, told.to, Some(told.handled)),
                "{asked:?} is {moved:?}"
            );
        }
        for history in histories {
            for record in &history.records {
                let stood = clock.stood.range(..=record.seen.control).next_back();
                let stood = stood.map(|(_, at)| *at);
                ensure!(
                    Some(record.at) == stood,
                    "{:?}: record {} is from {}, and was decided when the clock stood at {stood:?}",
                    history.owner,
                    record.sequence,
                    record.at
                );
            }
        }
        for moved in clock.moves.values() {
            let due = |history: &History| {
                let records = history.records.iter();
                let at = records.filter(|record| record.at == moved.to);
                at.filter(|record| matches!(record.command, Command::Due(_)))
                    .count() as u64
            };
            let handled: u64 = histories.iter().map(due).sum();
            ensure!(
                moved.handled.unwrap_or(0) <= handled,
                "{moved:?} counts more than the {handled} that were handled then"
            );
        }
        Ok(clock.advances)
    }
}

impl Advance {
    /// Asks for it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn ask(&self, engine: &Engine, tenant: &TenantId) -> Result<Advanced, ControlError> {
        engine.advance_clock(tenant, self.id.clone(), self.step.told())
    }
}

impl Step {
    fn told(self) -> ClockStep {
        match self {
            Step::Seconds(seconds) => ClockStep::By(CalendarSpan::seconds(u64::from(seconds))),
            #[expect(clippy::expect_used, reason = "a number of months is a length of time")]
            Step::Months(months) => ClockStep::By(format!("P{months}M").parse().expect("a span")),
            Step::To(instant) => ClockStep::To(instant),
        }
    }

    fn after(self, from: Timestamp) -> Option<Timestamp> {
        Some(match self {
            Step::Seconds(seconds) => from.saturating_add(Span::seconds(seconds)),
            Step::Months(months) => Timestamp::from_micros(months_later(from.as_micros(), i64::from(months))),
            Step::To(instant) => instant,
        })
    }
}
