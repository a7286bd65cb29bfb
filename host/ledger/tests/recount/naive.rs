//! Counts from the beginning, without any of the ledger's code: what a record's entries earned is what its event used.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use farebox_record::Record;
use farebox_record::command::Command;
use farebox_record::event::Event;
use farebox_record::ids::LimitName;
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::EventRef;
use farebox_record::spending::{CalendarUnit, LimitTerms, Threshold, Window};
use farebox_record::state::HoldState;
use farebox_record::time::Timestamp;

type Attributes = BTreeMap<String, String>;

/// What was counted.
pub struct Counted {
    /// Used and held, of every limit that is there.
    pub limits: BTreeMap<LimitName, (i128, i128)>,
    /// Everything that should have been announced, in order.
    pub announced: Vec<String>,
}

/// One limit, counted naively.
struct Tally {
    terms: LimitTerms,
    /// What is in the present window, oldest first, with its time.
    parts: VecDeque<(i64, i128)>,
    /// What each call counts for.
    calls: BTreeMap<EventRef, i128>,
    announced: BTreeSet<String>,
    /// The window of the calendar that was counted last.
    window: Option<i64>,
}

/// What a call earned so far, with which attributes it was authorized, and which it has by now.
struct Call {
    earned: i128,
    attributes: Attributes,
    last: Attributes,
}

pub fn recount(records: &[Record], now: Timestamp) -> Counted {
    let mut tallies: BTreeMap<LimitName, Tally> = BTreeMap::new();
    let mut calls: BTreeMap<EventRef, Call> = BTreeMap::new();
    let mut holds: BTreeMap<EventRef, HoldState> = BTreeMap::new();
    let mut announced = Vec::new();
    for record in records {
        let at = record.at.as_micros() / 1_000_000;
        for effect in &record.outcome.effects {
            match effect {
                Effect::HoldPut(event, hold) => drop(holds.insert(event.clone(), (**hold).clone())),
                Effect::HoldEnded(event, _) => drop(holds.remove(event)),
                _ => {}
            }
        }
        if let Some((event, attributes, earned)) = earned(record, &calls) {
            let call = calls.entry(event.reference()).or_insert(Call {
                earned: 0,
                attributes: event.attributes.clone(),
                last: event.attributes.clone(),
            });
            call.earned += earned;
            for (name, tally) in &mut tallies {
                // A limit that is younger than the call counts what it takes from then on, and nothing of it below that.
                let counted = tally.calls.get(&event.reference()).copied().unwrap_or(0);
                let scope = &tally.terms.scope;
                let counts = match (scope.holds(&call.last), scope.holds(&attributes)) {
                    (true, true) => (counted + earned).max(0),
                    (false, true) => call.earned,
                    (_, false) => 0,
                };
                tally.calls.insert(event.reference(), counts);
                tally.add(at, counts - counted);
                tally.announce(name, &mut announced);
            }
            call.last = attributes;
        }
        match &record.command {
            Command::PutLimit(put) => {
                let fresh = Tally::new(&put.terms);
                let tally = tallies.entry(put.name.clone()).or_insert(fresh);
                tally.change(&put.terms, at);
                tally.announce(&put.name, &mut announced);
            }
            Command::DeleteLimit(delete) => drop(tallies.remove(&delete.name)),
            _ => {}
        }
    }
    let now = now.as_micros() / 1_000_000;
    let limits = tallies.into_iter().map(|(name, mut tally)| {
        tally.move_on(now);
        let matching = holds
            .values()
            .filter(|h| tally.terms.scope.holds(&h.event.attributes));
        let held = matching.map(|h| {
            let pins: i128 = h.pins.iter().map(|pin| pin.amount.get()).sum();
            pins + h.overdraft.iter().map(|(_, amount)| amount.get()).sum::<i128>()
        });
        let held = held.sum();
        (name, (tally.used(), held))
    });
    Counted {
        limits: limits.collect(),
        announced,
    }
}

/// The event that a record charges for, its attributes as they turned out, and what was earned.
fn earned(record: &Record, calls: &BTreeMap<EventRef, Call>) -> Option<(Event, Attributes, i128)> {
    let revenue = record.outcome.effects.iter().filter_map(|effect| match effect {
        Effect::Entry(entry) if entry.account == Account::Revenue => Some(entry.amount.get()),
        _ => None,
    });
    let revenue = revenue.sum();
    match &record.command {
        Command::Usage(event) => Some((event.clone(), event.attributes.clone(), revenue)),
        Command::Authorize(authorize) => Some((
            authorize.event.clone(),
            authorize.event.attributes.clone(),
            revenue,
        )),
        Command::Settle(settle) => {
            let mut event = crate::world::make::event("any");
            (event.id, event.source) = (settle.hold.id.clone(), settle.hold.source.clone());
            let mut attributes = calls.get(&settle.hold)?.attributes.clone();
            attributes.extend(settle.attributes.clone());
            Some((event, attributes, revenue))
        }
        _ => None,
    }
}

impl Tally {
    fn new(terms: &LimitTerms) -> Tally {
        Tally {
            terms: terms.clone(),
            parts: VecDeque::new(),
            calls: BTreeMap::new(),
            announced: BTreeSet::new(),
            window: None,
        }
    }

    fn change(&mut self, terms: &LimitTerms, at: i64) {
        let same = (&self.terms.asset, &self.terms.scope, self.terms.window);
        if same != (&terms.asset, &terms.scope, terms.window) {
            *self = Tally::new(terms);
            return;
        }
        self.move_on(at);
        self.terms = terms.clone();
        self.forget_unreached();
    }

    fn used(&self) -> i128 {
        self.parts.iter().map(|(_, amount)| amount).sum()
    }

    fn add(&mut self, at: i64, change: i128) {
        if change == 0 {
            return;
        }
        self.move_on(at);
        if change > 0 {
            self.parts.push_back((at, change));
            return;
        }
        let mut back = -change;
        while let Some((_, amount)) = self.parts.front_mut() {
            let taken = back.min(*amount);
            *amount -= taken;
            back -= taken;
            if *amount > 0 {
                break;
            }
            self.parts.pop_front();
        }
        self.arm();
    }

    /// Forgets what is outside of the window that holds `at`, in seconds.
    fn move_on(&mut self, at: i64) {
        match self.terms.window {
            Window::Calendar(unit) => {
                let window = Some(calendar(unit, at));
                if self.window != window {
                    self.window = window;
                    self.parts.clear();
                    self.announced.clear();
                }
            }
            Window::Rolling { step, steps } => {
                let step = step.as_micros() / 1_000_000;
                let inside = |then: i64| then / step + i64::from(steps) >= at / step;
                self.parts.retain(|(then, _)| inside(*then));
                self.arm();
            }
        }
    }

    /// A rolling window announces again what usage fell below.
    fn arm(&mut self) {
        if matches!(self.terms.window, Window::Rolling { .. }) {
            self.forget_unreached();
        }
    }

    /// Forgets the announcements of thresholds that are not there any more, or are not reached.
    fn forget_unreached(&mut self) {
        let levels = self.levels();
        let reached: BTreeSet<&String> = levels.iter().filter(|l| l.2).map(|(text, ..)| text).collect();
        self.announced.retain(|text| reached.contains(text));
    }

    /// Thresholds, each with its level in hundredths of a nano, and whether it is reached.
    fn levels(&self) -> Vec<(String, i128, bool)> {
        let used = self.used();
        let level = |threshold: &Threshold| match threshold {
            Threshold::Percent(percent) => (
                format!("{percent}%"),
                self.terms.amount.get() * i128::from(*percent),
            ),
            Threshold::Amount(amount) => (amount.to_string(), amount.get() * 100),
        };
        let levels = self.terms.thresholds.iter().map(level);
        levels
            .map(|(text, level)| (text, level, used > 0 && used * 100 >= level))
            .collect()
    }

    fn announce(&mut self, name: &LimitName, announced: &mut Vec<String>) {
        let mut levels = self.levels();
        levels.sort_by_key(|(_, level, _)| *level);
        for (text, _, reached) in levels {
            if reached && self.announced.insert(text.clone()) {
                let used = farebox_money::Nanos::new(self.used());
                announced.push(format!("{name} {text} at {used}"));
            }
        }
    }
}

/// A number for the window of the calendar that holds `at`: days are enough, because the tests stay within 2026.
fn calendar(unit: CalendarUnit, at: i64) -> i64 {
    let day = at / 86_400;
    match unit {
        CalendarUnit::Hour => at / 3_600,
        CalendarUnit::Day => day,
        CalendarUnit::Month => {
            // From 1 March 2026 on.
            let mut left = day - 1_772_323_200 / 86_400;
            let mut month = 0;
            for days in [31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                if left < days {
                    break;
                }
                left -= days;
                month += 1;
            }
            month
        }
        CalendarUnit::Week | CalendarUnit::Year => unreachable!("not in these tests"),
    }
}
