//! What can be read of a customer after a step: what the change feed tells, what usage comes to, what a statement says.

use std::collections::BTreeMap;

use farebox_engine::Engine;
use farebox_engine::projection::{Change, Every, FeedCursor, FeedError, FeedQuery, UsageQuery};
use farebox_engine::{BackfillPreview, EngineError};
use farebox_money::{Asset, Nanos};
use farebox_record::control::BackfillTally;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::outcome::Line as Charged;
use farebox_record::time::Timestamp;
use farebox_statement::{Balances, Line, Statement, StatementError, statement};

use super::expect::{ExpectedBackfill, ExpectedLine, ExpectedRow, ExpectedStatement, ExpectedUsage};
use super::sums::{Sums, add, amounts, equal, list, sums, told};

/// Groups of usage, and items of the feed, are read this many at a time.
const PAGE: usize = 1_000;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ShownError {
    /// The store.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The feed.
    #[error("{0}")]
    Feed(#[from] FeedError),
    /// There is no such statement.
    #[error("statement: {0}")]
    Statement(#[from] StatementError),
}

/// Whose it is.
#[derive(Clone, Copy)]
pub(super) struct Reader<'e> {
    pub engine: &'e Engine,
    pub tenant: &'e TenantId,
    pub customer: &'e CustomerId,
}

/// What a backfill did, or would do.
#[derive(Debug)]
pub(super) struct Backfilled {
    tally: BackfillTally,
    /// As the preview has it; none where it was posted.
    total: Option<Sums>,
    /// Of a preview: what is left out first, and why.
    left_out: Option<String>,
}

impl Backfilled {
    pub fn posted(tally: BackfillTally) -> Backfilled {
        Backfilled {
            tally,
            total: None,
            left_out: None,
        }
    }

    pub fn previewed(preview: &BackfillPreview) -> Backfilled {
        let charges = preview.charges.iter();
        let first = preview.problems.first();
        Backfilled {
            tally: preview.tally,
            total: Some(sums(
                charges.map(|Charged { asset, amount, .. }| (asset, *amount)),
            )),
            left_out: first.map(|problem| format!("{}: {}", problem.event.id, problem.message)),
        }
    }
}

impl Reader<'_> {
    /// Everything that was told behind a place, and the place behind it.
    pub fn changes(&self, mut after: Option<FeedCursor>) -> Result<(Vec<Change>, FeedCursor), ShownError> {
        let mut changes = Vec::new();
        loop {
            let query = FeedQuery {
                after,
                limit: PAGE,
                ..FeedQuery::default()
            };
            let page = self.engine.changes(self.tenant, &query)?;
            changes.extend(page.changes.into_iter().map(|(_, change)| change));
            if !page.more {
                return Ok((changes, page.next));
            }
            after = Some(page.next);
        }
    }

    /// What differs from the usage that is expected.
    pub fn usage(&self, expected: &ExpectedUsage) -> Result<Option<String>, ShownError> {
        let is_day = |time: Timestamp| Every::Day.floor(time) == time;
        let (from, to) = (expected.from.0, expected.to.0);
        if !is_day(from) || !is_day(to) || from >= to {
            return Ok(Some(format!("usage: from {from} to {to} are no whole days")));
        }
        let mut rows: BTreeMap<Option<String>, (i64, Sums)> = BTreeMap::new();
        let mut query = UsageQuery {
            from: expected.from.0,
            to: expected.to.0,
            every: Every::Day,
            by: expected.by.iter().cloned().collect(),
            limit: PAGE,
            after: None,
        };
        loop {
            let page = self.engine.usage(self.tenant, self.customer, &query)?;
            for group in page.groups {
                let row = rows.entry(group.values.into_iter().next().flatten()).or_default();
                row.0 += group.totals.events;
                let charges = group.totals.charges.iter();
                for ((_, asset), charged) in charges {
                    add(&mut row.1, asset, charged.amount);
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        rows.retain(|_, (events, sums)| *events != 0 || sums.iter().any(|(_, sum)| !sum.is_zero()));
        let fits = rows.len() == expected.rows.len()
            && rows
                .iter()
                .zip(&expected.rows)
                .all(|((value, (events, sums)), row)| {
                    row.is == *value
                        && row.events.is_none_or(|expected| expected == *events)
                        && equal(&row.total, sums)
                });
        let found = rows.iter().map(|(value, (events, sums))| {
            format!("{} {events} events {}", named(value.as_deref()), amounts(sums))
        });
        Ok((!fits).then(|| told("usage", expected.rows.iter().map(show_row), found)))
    }

    /// What differs from the statement that is expected.
    pub fn statement(&self, expected: &ExpectedStatement) -> Result<Vec<String>, ShownError> {
        let mut records = self
            .engine
            .history(self.tenant, self.customer, None, usize::MAX)?;
        records.reverse();
        let found = statement(&Balances::new(), &records, expected.from.0, expected.to.0)?;
        compare_statement(expected, &found)
    }
}

/// What differs from the changes that are expected.
pub(super) fn compare_changes(expected: &[String], found: &[Change]) -> Option<String> {
    let found: Vec<&str> = found.iter().map(|change| change.what.kind().as_str()).collect();
    (expected != found).then(|| told("changes", expected, found))
}

/// What differs from what a backfill is expected to do.
pub(super) fn compare_backfill(
    expected: Option<&ExpectedBackfill>,
    found: Option<&Backfilled>,
) -> Option<String> {
    let (expected, found) = match (expected, found) {
        (None, None) => return None,
        (Some(_), None) => return Some("backfill: this step is none".to_string()),
        (expected, Some(found)) => (expected, found),
    };
    // A step that says nothing of it must succeed: all of its events are charged.
    let all = ExpectedBackfill {
        charged: found.tally.charged + found.tally.unpriced + found.tally.refused,
        known: found.tally.known,
        reverted: found.tally.reverted,
        ..ExpectedBackfill::default()
    };
    let expected = expected.unwrap_or(&all);
    let tally = |charged, unpriced, known, refused, reverted| {
        format!(
            "{charged} charged, {unpriced} unpriced, {known} known, {refused} refused, {reverted} reverted"
        )
    };
    let (e, f) = (expected, &found.tally);
    let wanted = tally(e.charged, e.unpriced, e.known, e.refused, e.reverted);
    let came = tally(f.charged, f.unpriced, f.known, f.refused, f.reverted);
    if wanted != came {
        let why = found.left_out.as_ref().map(|why| format!(" ({why})"));
        let why = why.unwrap_or_default();
        return Some(format!("backfill: expected {wanted}, found {came}{why}"));
    }
    match (&expected.total, &found.total) {
        (None, _) => None,
        (Some(_), None) => {
            Some("backfill.total: a preview tells it; say `expect.total` of one that is posted".to_string())
        }
        (Some(total), Some(sums)) => (!equal(total, sums)).then(|| {
            format!(
                "backfill.total: expected {}, found {}",
                list(total),
                amounts(sums)
            )
        }),
    }
}

fn compare_statement(expected: &ExpectedStatement, found: &Statement) -> Result<Vec<String>, ShownError> {
    let mut problems = Vec::new();
    let (mut opening, mut closing, mut lines) = (Sums::new(), Sums::new(), Vec::new());
    for statement in &found.assets {
        opening.push((statement.asset.clone(), statement.opening.total()?));
        closing.push((statement.asset.clone(), statement.closing.total()?));
        for line in &statement.lines {
            lines.push((line, &statement.asset, line.moved.total()?));
        }
    }
    for (name, expected, found) in [
        ("opening", &expected.opening, &opening),
        ("closing", &expected.closing, &closing),
    ] {
        if !equal(expected, found) {
            let found = amounts(found);
            problems.push(format!(
                "statement.{name}: expected {}, found {found}",
                list(expected)
            ));
        }
    }
    let fits = lines.len() == expected.lines.len()
        && lines
            .iter()
            .zip(&expected.lines)
            .all(|((line, asset, amount), expected)| line_fits(expected, line, asset, *amount));
    if !fits {
        let wanted = expected.lines.iter().map(show_expected_line);
        let found = lines
            .iter()
            .map(|(line, asset, amount)| show_line(line, asset, *amount));
        problems.push(told("statement.lines", wanted, found));
    }
    Ok(problems)
}

fn line_fits(expected: &ExpectedLine, line: &Line, asset: &Asset, amount: Nanos) -> bool {
    expected.kind == line.kind.as_str()
        && expected.amount.asset == *asset
        && expected.amount.amount == amount
        && (expected.code.as_ref()).is_none_or(|code| line.code.as_ref() == Some(code))
        && (expected.label.as_ref()).is_none_or(|label| line.label.as_ref() == Some(label))
        && (expected.period).is_none_or(|start| line.period.map(|period| period.start) == Some(start.0))
}

fn show_line(line: &Line, asset: &Asset, amount: Nanos) -> String {
    let mut text = format!("{} {amount} {asset}", line.kind.as_str());
    for said in [&line.code, &line.label].into_iter().flatten() {
        text.push_str(&format!(" {said}"));
    }
    if let Some(period) = line.period {
        text.push_str(&format!(" of {}", period.start));
    }
    text
}

fn show_expected_line(line: &ExpectedLine) -> String {
    let mut text = format!("{} {}", line.kind, line.amount);
    for said in [&line.code, &line.label].into_iter().flatten() {
        text.push_str(&format!(" {said}"));
    }
    if let Some(start) = line.period {
        text.push_str(&format!(" of {}", start.0));
    }
    text
}

fn show_row(row: &ExpectedRow) -> String {
    let events = row.events.map(|events| format!(" {events} events"));
    format!(
        "{}{} {}",
        named(row.is.as_deref()),
        events.unwrap_or_default(),
        list(&row.total)
    )
}

fn named(value: Option<&str>) -> &str {
    value.unwrap_or("(none)")
}
