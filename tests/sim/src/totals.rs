//! What the plan with a running total must charge, worked out by hand: events of a period stand in the order in which they
//! arrived, and each costs what the total behind it costs more than the total before it. So whatever was late, taken back or
//! amended, a period costs what its total costs.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use farebox_money::Nanos;
use farebox_record::command::Command;
use farebox_record::event::Event;
use farebox_record::outcome::Answer;
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::time::{Span, Timestamp};

use crate::history::{History, revenue, standings};

/// A period, as [`crate::operations`] subscribes to it.
pub const PERIOD_DAYS: u16 = 10;
/// Units of a period at the high price.
const HIGH_UNITS: i128 = 100;
/// Nanos for each of them: ten cents.
const HIGH: i128 = 100_000_000;
/// Nanos for each beyond: five cents.
const LOW: i128 = 50_000_000;

/// Events of a period in order of arrival, each with its units.
type Period = Vec<(EventRef, i128)>;

#[derive(Debug, Default)]
struct Totals {
    /// Since when there are periods.
    start: Option<Timestamp>,
    periods: BTreeMap<i64, Period>,
    /// Corrections that changed what others cost.
    repriced: u64,
}

/// Works all of a history out, and compares each record with it. Tells how many corrections changed what other events cost.
///
/// # Errors
/// The first record that charges something else, or for another event.
pub fn check(history: &History) -> anyhow::Result<u64> {
    let mut totals = Totals::default();
    for record in &history.records {
        let named = || format!("record {}: {:?}", record.sequence, record.command);
        totals.enter(record).with_context(named)?;
    }
    Ok(totals.repriced)
}

impl Totals {
    fn enter(&mut self, record: &Record) -> anyhow::Result<()> {
        let before = self.costs();
        match (&record.command, &record.outcome.answer) {
            (Command::Subscribe(_), Answer::Subscribed { .. }) => {
                ensure!(self.start.is_none(), "two have its events");
                self.start = Some(record.at);
            }
            (Command::Usage(event), Answer::Charged { .. }) => self.arrive(event, record.seen.time)?,
            (Command::RateUnpriced(rate), Answer::Charged { .. }) => {
                self.arrive(&rate.event, record.seen.time)?;
            }
            (Command::Void(void), Answer::Corrected(_) | Answer::Refolded(_)) => {
                for period in self.periods.values_mut() {
                    period.retain(|(event, _)| *event != void.event);
                }
            }
            (Command::Amend(amend), Answer::Corrected(_) | Answer::Refolded(_)) => {
                let name = amend.event.reference();
                let mut events = self.periods.values_mut().flatten();
                match events.find(|(event, _)| *event == name) {
                    Some((_, units)) => *units = units_of(&amend.event)?,
                    // It had waited for a price until now.
                    None => self.arrive(&amend.event, record.seen.time)?,
                }
            }
            _ => {}
        }
        let now = self.costs();
        let moved = now.values().sum::<i128>() - before.values().sum::<i128>();
        let posted: i128 = record.outcome.effects.iter().map(revenue).sum();
        ensure!(posted == moved, "it posts {posted} nanos, and should {moved}");
        for (event, standing) in standings(record) {
            let stands: i128 = standing.slices.iter().map(|slice| slice.amount.get()).sum();
            let expected = now.get(event).copied().unwrap_or(0);
            ensure!(
                stands == expected,
                "{event:?} stands with {stands} nanos, and should with {expected}"
            );
        }
        let corrected = match &record.command {
            Command::Void(void) => void.event.clone(),
            Command::Amend(amend) => amend.event.reference(),
            _ => return Ok(()),
        };
        let others = now
            .iter()
            .filter(|(event, cost)| **event != corrected && before.get(event) != Some(cost));
        let others: Vec<&EventRef> = others.map(|(event, _)| event).collect();
        let told = match &record.outcome.answer {
            Answer::Refolded(told) => &told.repriced[..],
            _ => &[],
        };
        let mut told: Vec<&EventRef> = told.iter().map(|repriced| &repriced.event).collect();
        told.sort();
        ensure!(
            told == others,
            "{told:?} cost something else, and should {others:?}"
        );
        self.repriced += u64::from(!others.is_empty());
        Ok(())
    }

    fn arrive(&mut self, event: &Event, time: Timestamp) -> anyhow::Result<()> {
        let start = self.start.context("nobody can price it")?;
        let length = Span::days(PERIOD_DAYS.into()).as_micros();
        // What is from before the first period counts with it.
        let index = (time.as_micros() - start.as_micros()).div_euclid(length).max(0);
        let period = self.periods.entry(index).or_default();
        period.push((event.reference(), units_of(event)?));
        Ok(())
    }

    /// What each event costs.
    fn costs(&self) -> BTreeMap<EventRef, i128> {
        let mut costs = BTreeMap::new();
        for period in self.periods.values() {
            let mut total = 0;
            for (event, units) in period {
                costs.insert(event.clone(), price(total + units) - price(total));
                total += units;
            }
        }
        costs
    }
}

/// What so many units of a period cost.
fn price(units: i128) -> i128 {
    units.min(HIGH_UNITS) * HIGH + (units - HIGH_UNITS).max(0) * LOW
}

fn units_of(event: &Event) -> anyhow::Result<i128> {
    let units = event.measures.get("units").context("it counts nothing")?;
    Ok(units.get() / Nanos::units(1).get())
}
