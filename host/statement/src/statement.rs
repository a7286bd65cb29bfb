//! A statement, and the check that it must pass.

use std::collections::BTreeSet;

use farebox_money::Asset;
use farebox_record::Record;
use farebox_record::time::Timestamp;

use crate::fold::Fold;
use crate::line::Line;
use crate::moved::{Balances, Moved};
use crate::reading::{Place, Side};

/// What happened in a wallet from one instant to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// How many records the range holds.
    pub records: u64,
    /// Per asset, in order of asset: those that the wallet had value or lines in.
    pub assets: Vec<AssetStatement>,
}

/// What happened in one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetStatement {
    /// Which one.
    pub asset: Asset,
    /// Before the range's first record.
    pub opening: Moved,
    /// What moved. With the opening they sum to the closing, in each of the four accounts.
    pub lines: Vec<Line>,
    /// After the range's last record.
    pub closing: Moved,
}

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The range has no length.
    #[error("the range ends before it begins")]
    Range,
    /// More lines than one statement shows.
    #[error(
        "the statement has more than {} lines (limit STATEMENT_LINES_MAX)",
        crate::limits::STATEMENT_LINES_MAX
    )]
    TooManyLines,
    /// An amount left the range of the ledger.
    #[error("an amount left the range of the ledger")]
    Overflow,
    /// The lines do not sum to the balance. A defect: no such statement is given out.
    #[error("the lines of {asset} do not sum to its balance: {detail}")]
    Imbalance {
        /// In which asset.
        asset: Asset,
        /// What was found.
        detail: String,
    },
}

/// The statement of a range, from the balances before the first of `records` and the records in order. Records before the
/// range lead to its opening; those behind it are not looked at.
pub fn statement<'r>(
    opening: &Balances,
    records: impl IntoIterator<Item = &'r Record>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Statement, StatementError> {
    let mut place = Place::new(from, to)?;
    let (mut before, mut within) = (Fold::default(), Fold::default());
    for record in records {
        match place.next(record) {
            Side::Before => {
                before.take(record)?;
                within.learn(record);
            }
            Side::Within => within.take(record)?,
            Side::After => break,
        }
    }
    let opening = sum(opening, &before.moved)?;
    let closing = sum(&opening, &within.moved)?;
    finish(&within, from, to, &opening, &closing)
}

/// Puts the statement together, and checks it.
pub(crate) fn finish(
    fold: &Fold,
    from: Timestamp,
    to: Timestamp,
    opening: &Balances,
    closing: &Balances,
) -> Result<Statement, StatementError> {
    let names: BTreeSet<&Asset> = opening
        .keys()
        .chain(closing.keys())
        .chain(fold.assets())
        .collect();
    let mut assets = Vec::with_capacity(names.len());
    for name in names {
        let of = |balances: &Balances| balances.get(name).copied().unwrap_or_default();
        let statement = AssetStatement {
            asset: name.clone(),
            opening: of(opening),
            lines: fold.lines_of(name),
            closing: of(closing),
        };
        statement.check()?;
        if !(statement.opening.is_zero() && statement.lines.is_empty() && statement.closing.is_zero()) {
            assets.push(statement);
        }
    }
    Ok(Statement {
        from,
        to,
        records: fold.records,
        assets,
    })
}

impl AssetStatement {
    /// Whether the lines lead from the opening to the closing, in each account.
    pub fn check(&self) -> Result<(), StatementError> {
        let mut sum = self.opening;
        for line in &self.lines {
            sum = sum.plus(line.moved)?;
        }
        if sum == self.closing {
            return Ok(());
        }
        Err(StatementError::Imbalance {
            asset: self.asset.clone(),
            detail: format!("{sum:?} is not {:?}", self.closing),
        })
    }
}

fn sum(balances: &Balances, moved: &Balances) -> Result<Balances, StatementError> {
    let mut sum = balances.clone();
    for (asset, moved) in moved {
        crate::moved::add(&mut sum, asset, *moved)?;
    }
    Ok(sum)
}
