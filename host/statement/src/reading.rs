//! Which records a range holds, when a history is read forward, and when it is read backward from its end.

use std::collections::BTreeSet;

use farebox_record::Record;
use farebox_record::ids::GrantId;
use farebox_record::time::Timestamp;

use crate::fold::Fold;
use crate::moved::{Balances, Moved, add};
use crate::statement::{Statement, StatementError, finish};

/// On which side of a range a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    Within,
    After,
}

/// Goes through a history in order: a boundary lies before the first record that is not before it.
#[derive(Debug)]
pub(crate) struct Place {
    from: Timestamp,
    to: Timestamp,
    reached: Side,
}

impl Place {
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Place, StatementError> {
        match from < to {
            true => Ok(Place {
                from,
                to,
                reached: Side::Before,
            }),
            false => Err(StatementError::Range),
        }
    }

    pub fn next(&mut self, record: &Record) -> Side {
        let instant = record.instant();
        if instant >= self.to {
            self.reached = Side::After;
        } else if instant >= self.from && self.reached == Side::Before {
            self.reached = Side::Within;
        }
        self.reached
    }
}

/// A statement in the making, from the records of a wallet in reverse order, newest first: what it had behind the first that
/// is read, less what was posted since.
///
/// Keeps no records but those that are handled behind a boundary and fell due before it, until it is known whether they
/// come before it.
#[derive(Debug)]
pub struct Reading {
    from: Timestamp,
    to: Timestamp,
    /// Behind the first record that is taken in.
    behind: Balances,
    /// What was posted behind the range.
    after: Balances,
    /// Records that come after the end if an earlier one does; newest first.
    at_end: Vec<Record>,
    /// Records that come after the beginning if an earlier one does; newest first.
    at_beginning: Vec<Record>,
    within: Fold,
}

/// Whether a reading needs more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// The one before.
    More,
    /// All that it needs was read.
    Enough,
}

/// How far back a history was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To its first record, before which there was nothing.
    Beginning,
    /// To a record before the range.
    Range,
}

impl Reading {
    /// Begins with the balances behind the first record that is taken in: the wallet's newest, or an earlier one whose instant
    /// is not before the end of the range. What came later is of no concern then.
    pub fn new(from: Timestamp, to: Timestamp, behind: Balances) -> Result<Reading, StatementError> {
        Place::new(from, to)?;
        Ok(Reading {
            from,
            to,
            behind,
            after: Balances::new(),
            at_end: Vec::new(),
            at_beginning: Vec::new(),
            within: Fold::default(),
        })
    }

    /// Takes the record before in.
    pub fn take(&mut self, record: Record) -> Result<Wants, StatementError> {
        if record.at < self.from {
            return Ok(Wants::Enough);
        }
        if record.instant() >= self.to {
            // What was handled behind it comes after the end too.
            for late in std::mem::take(&mut self.at_end) {
                self.comes_after(&late)?;
            }
            self.comes_after(&record)?;
        } else if record.at >= self.to {
            self.at_end.push(record);
        } else {
            self.settle_end()?;
            self.at_beginning(record)?;
        }
        Ok(Wants::More)
    }

    /// Grants that lines name, and of which no record told more than the name: the records that opened them are older.
    pub fn unknown_grants(&mut self) -> Result<BTreeSet<GrantId>, StatementError> {
        self.settle_end()?;
        Ok(self.within.unknown_grants())
    }

    /// Learns of grants from the record that opened them.
    pub fn learn(&mut self, record: &Record) {
        self.within.learn(record);
    }

    /// The statement.
    pub fn finish(mut self, reach: Reach) -> Result<Statement, StatementError> {
        self.settle_end()?;
        let closing = less(&self.behind, &self.after)?;
        let opening = less(&closing, &self.within.moved)?;
        // Before its first record a wallet is empty: the history explains all that there is.
        let before = match (reach, self.at_beginning.is_empty()) {
            (Reach::Beginning, true) => opening.iter().find(|(_, balance)| !balance.is_zero()),
            _ => None,
        };
        if let Some((asset, balance)) = before {
            return Err(StatementError::Imbalance {
                asset: asset.clone(),
                detail: format!("{balance:?} was there before the first record"),
            });
        }
        finish(&self.within, self.from, self.to, &opening, &closing)
    }

    fn comes_after(&mut self, record: &Record) -> Result<(), StatementError> {
        for effect in &record.outcome.effects {
            if let farebox_record::outcome::Effect::Entry(entry) = effect
                && let Some(moved) = Moved::by(entry)
            {
                add(&mut self.after, &entry.asset, moved)?;
            }
        }
        Ok(())
    }

    /// No earlier record comes after the end: neither do those that were handled behind it.
    fn settle_end(&mut self) -> Result<(), StatementError> {
        for late in std::mem::take(&mut self.at_end) {
            self.at_beginning(late)?;
        }
        Ok(())
    }

    fn at_beginning(&mut self, record: Record) -> Result<(), StatementError> {
        if record.instant() < self.from {
            self.at_beginning.push(record);
            return Ok(());
        }
        for late in std::mem::take(&mut self.at_beginning) {
            self.within.take(&late)?;
        }
        self.within.take(&record)
    }
}

fn less(balances: &Balances, moved: &Balances) -> Result<Balances, StatementError> {
    let mut left = balances.clone();
    for (asset, moved) in moved {
        let balance = left.entry(asset.clone()).or_default();
        *balance = balance.minus(*moved)?;
    }
    Ok(left)
}
