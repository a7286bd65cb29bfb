//! Counts from the beginning, without any of the ledger's code: what a record's entries earned is what its event used.

use std::collections::BTreeMap;

use farebox_record::Record;
use farebox_record::command::Command;
use farebox_record::event::{Attributes, Event};
use farebox_record::ids::LimitName;
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::EventRef;
use farebox_record::state::HoldState;
use farebox_record::time::Timestamp;

use crate::world::tally::{Tally, is_within};

/// What was counted.
pub struct Counted {
    /// Used and held, of every limit that is there.
    pub limits: BTreeMap<LimitName, (i128, i128)>,
    /// Everything that should have been announced, in order.
    pub announced: Vec<String>,
}

/// What a call earned so far, with which attributes it was authorized, and which it has by now.
struct Call {
    /// When it was authorized, or reported.
    opened: i64,
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
                opened: at,
                earned: 0,
                attributes: event.attributes.clone(),
                last: event.attributes.clone(),
            });
            call.earned += earned;
            for (name, tally) in &mut tallies {
                // A limit that is younger than the call counts what it takes from then on, and nothing of it below that.
                let counted = tally.calls.get(&event.reference()).copied().unwrap_or(0);
                let scope = &tally.terms.scope;
                let counts = match (is_within(scope, &call.last), is_within(scope, &attributes)) {
                    (true, true) => (counted + earned).max(0),
                    (false, true) => call.earned,
                    (_, false) => 0,
                };
                tally.calls.insert(event.reference(), counts);
                // What is taken back of a call from an earlier window frees nothing.
                if counts > counted || tally.reaches(call.opened, at) {
                    tally.add(at, counts - counted);
                }
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
            .filter(|h| is_within(&tally.terms.scope, &h.event.attributes));
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
            attributes.extend(&settle.attributes);
            Some((event, attributes, revenue))
        }
        _ => None,
    }
}
