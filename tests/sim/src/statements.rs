//! Statements of ranges drawn at random, read as a server reads them: from the newest record back. Each must open and close
//! where the entries say, its lines must lead from one to the other, and the next must open where it closed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use farebox_engine::Engine;
use farebox_money::Asset;
use farebox_record::command::{Command, Identity};
use farebox_record::outcome::{Account, Effect};
use farebox_record::record::Record;
use farebox_record::time::{Span, Timestamp};
use farebox_statement::{
    AssetStatement, Balances, LineKind, Moved, Reach, Reading, Statement, Wants, balances, statement,
};
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::history::History;
use crate::log::Owner;

/// Statements of ranges that are over, of all wallets, which are read again later.
const KEPT_MAX: usize = 24;
/// The first and the last instant that a range here has.
const EDGES: [Timestamp; 2] = [
    Timestamp::from_micros(-DECADE),
    Timestamp::from_micros(30 * DECADE),
];
const DECADE: i64 = Span::days(3_652).as_micros();

/// Free, held, debt, receivable.
type Four = [i128; 4];
type Sums = BTreeMap<Asset, Four>;

/// Statements that must never change.
#[derive(Debug, Default)]
pub struct Closed(Vec<(Owner, Statement)>);

impl Closed {
    /// Forgets those whose range is not over, where the machine's clock was set back.
    pub fn reopen(&mut self, engine: &Engine) {
        self.0.retain(|(owner, told)| told.to <= engine.now(&owner.0));
    }

    /// Reads consecutive statements that together are all of a wallet's life, and some again that were read before. Tells
    /// how many were read.
    ///
    /// # Errors
    /// What does not add up, or has changed.
    pub fn check(
        &mut self,
        engine: &Engine,
        history: &History,
        now: Timestamp,
        random: &mut SmallRng,
    ) -> anyhow::Result<u64> {
        let cuts = cuts(history, random);
        let mut chain = Sums::new();
        for range in cuts.windows(2) {
            let named = || format!("from {} to {}", range[0], range[1]);
            let told = read(engine, history, range[0], range[1], random).with_context(named)?;
            chain = follows(history, &told, &chain).with_context(named)?;
            if told.to <= now && random.random_range(0..4) == 0 {
                if self.0.len() == KEPT_MAX {
                    self.0.remove(0);
                }
                self.0.push((history.owner.clone(), told));
            }
        }
        let shown = four_of(&balances(history.shown.customer_accounts()));
        ensure!(
            same(&chain, &shown),
            "the last statement closes at {chain:?}, and the wallet has {shown:?}"
        );
        let mut read_again = 0;
        for (_, before) in self.0.iter().filter(|(owner, _)| *owner == history.owner) {
            read_again += 1;
            let again = read(engine, history, before.from, before.to, random)?;
            ensure!(
                *before == again,
                "the statement from {} to {} was {before:?} and is {again:?}",
                before.from,
                before.to
            );
        }
        Ok(cuts.len() as u64 - 1 + read_again)
    }
}

/// All of time, cut at random: often just where something was written.
fn cuts(history: &History, random: &mut SmallRng) -> Vec<Timestamp> {
    let mut cuts: BTreeSet<Timestamp> = EDGES.into();
    for _ in 0..random.random_range(1..4) {
        if history.records.is_empty() {
            break;
        }
        let record = &history.records[random.random_range(0..history.records.len())];
        let at = match random.random_range(0..2) {
            0 => instant_of(record),
            _ => record.at,
        };
        let beside = random.random_range(-1..=1);
        cuts.insert(Timestamp::from_micros(at.as_micros() + beside));
    }
    cuts.into_iter().collect()
}

/// A statement as a server reads it.
fn read(
    engine: &Engine,
    history: &History,
    from: Timestamp,
    to: Timestamp,
    random: &mut SmallRng,
) -> anyhow::Result<Statement> {
    let mut reading = Reading::new(from, to, balances(history.shown.customer_accounts()))?;
    let mut reach = Reach::Beginning;
    for record in history.records.iter().rev() {
        if reading.take(record.clone())? == Wants::Enough {
            reach = Reach::Range;
            break;
        }
    }
    for grant in reading.unknown_grants()? {
        let (tenant, customer) = &history.owner;
        if let Some(record) = engine.find(tenant, customer, &Identity::Grant(grant))? {
            reading.learn(&record);
        }
    }
    let told = reading.finish(reach)?;
    // The other way to read it, from the first record on, says the same.
    if random.random_range(0..4) == 0 {
        let forward = statement(&Balances::new(), &history.records, from, to)?;
        ensure!(
            forward == told,
            "forward it is {forward:?}, and backward {told:?}"
        );
    }
    Ok(told)
}

/// Checks a statement against the entries. `opening` is where the one before closed; gives where this one does.
fn follows(history: &History, told: &Statement, opening: &Sums) -> anyhow::Result<Sums> {
    let (mut closing, mut contra, mut count) = (opening.clone(), Contra::new(), 0);
    for record in within(&history.records, told.from, told.to) {
        count += 1;
        for effect in &record.outcome.effects {
            let Effect::Entry(entry) = effect else { continue };
            let column = match &entry.account {
                Account::Available(_) => 0,
                Account::Held(_) => 1,
                Account::Debt => 2,
                Account::Receivable => 3,
                account => {
                    let key = (entry.asset.clone(), side(account, entry.charge.is_some()));
                    *contra.entry(key).or_default() -= entry.amount.get();
                    continue;
                }
            };
            closing.entry(entry.asset.clone()).or_default()[column] += entry.amount.get();
        }
    }
    ensure!(
        told.records == count,
        "it has {} records of {count}",
        told.records
    );
    let of = |each: fn(&AssetStatement) -> Moved| -> Sums {
        let assets = told.assets.iter();
        assets
            .map(|asset| (asset.asset.clone(), four(&each(asset))))
            .collect()
    };
    let (opens, closes) = (of(|asset| asset.opening), of(|asset| asset.closing));
    ensure!(
        same(&opens, opening) && same(&closes, &closing),
        "it opens at {opens:?} and closes at {closes:?}; the entries lead from {opening:?} to {closing:?}"
    );
    for asset in &told.assets {
        let mut sum = four(&asset.opening);
        let mut sides = Contra::new();
        for line in &asset.lines {
            let moved = four(&line.moved);
            sum.iter_mut().zip(moved).for_each(|(sum, moved)| *sum += moved);
            let key = (asset.asset.clone(), side_of(line.kind, line.event.is_some()));
            *sides.entry(key).or_default() += moved.iter().sum::<i128>();
        }
        ensure!(
            sum == four(&asset.closing),
            "its lines of {} lead to {sum:?}",
            asset.asset
        );
        for side in Side::ALL {
            let key = (asset.asset.clone(), side);
            let (lines, entries) = (sides.get(&key), contra.get(&key));
            ensure!(
                lines.copied().unwrap_or(0) == entries.copied().unwrap_or(0),
                "its lines of {} that are {side:?} sum to {lines:?}, and the entries to {entries:?}",
                asset.asset
            );
        }
    }
    Ok(closing)
}

/// Why something moved: which accounts stand against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// It was charged, or given back.
    Charges,
    /// It expired.
    Expiry,
    /// It came in from outside, or left.
    Value,
    /// It was put right.
    Adjustments,
    /// It moved from one of the customer's accounts to another.
    Within,
}

impl Side {
    const ALL: [Side; 5] = [
        Side::Charges,
        Side::Expiry,
        Side::Value,
        Side::Adjustments,
        Side::Within,
    ];
}

type Contra = BTreeMap<(Asset, Side), i128>;

/// `of_charge`: the entry is about something that was charged.
fn side(account: &Account, of_charge: bool) -> Side {
    match account {
        // What was written off and is not owed after all: nothing comes back of it.
        Account::Adjustments if of_charge => Side::Charges,
        Account::Revenue => Side::Charges,
        Account::Breakage => Side::Expiry,
        Account::Adjustments => Side::Adjustments,
        Account::Purchases | Account::Promotional | Account::Included => Side::Value,
        Account::Available(_) | Account::Held(_) | Account::Debt | Account::Receivable => Side::Within,
    }
}

fn side_of(kind: LineKind, of_event: bool) -> Side {
    match kind {
        LineKind::Refund if !of_event => Side::Value,
        LineKind::Usage
        | LineKind::Late
        | LineKind::Fee
        | LineKind::Void
        | LineKind::Amendment
        | LineKind::Repriced
        | LineKind::Refund => Side::Charges,
        LineKind::Grant | LineKind::Payment => Side::Value,
        LineKind::Adjustment => Side::Adjustments,
        LineKind::Expiry => Side::Expiry,
        LineKind::DebtPaid | LineKind::Holds => Side::Within,
    }
}

/// What fell due happened when it did, however late it was handled.
fn instant_of(record: &Record) -> Timestamp {
    match &record.command {
        Command::Due(due) => due.instant,
        _ => record.at,
    }
}

/// A boundary lies before the first record that is not before it.
fn within(records: &[Record], from: Timestamp, to: Timestamp) -> &[Record] {
    let first = |boundary: Timestamp| {
        let mut instants = records.iter().map(instant_of);
        instants
            .position(|instant| instant >= boundary)
            .unwrap_or(records.len())
    };
    &records[first(from)..first(to)]
}

fn four(moved: &Moved) -> Four {
    [moved.available, moved.held, moved.debt, moved.receivable].map(farebox_money::Nanos::get)
}

fn four_of(balances: &Balances) -> Sums {
    let each = balances.iter();
    each.map(|(asset, moved)| (asset.clone(), four(moved))).collect()
}

/// An asset that nothing is of may be left out.
fn same(a: &Sums, b: &Sums) -> bool {
    let something = |sums: &Sums| -> Sums {
        let some = sums.iter().filter(|(_, four)| **four != [0; 4]);
        some.map(|(asset, four)| (asset.clone(), *four)).collect()
    };
    something(a) == something(b)
}
