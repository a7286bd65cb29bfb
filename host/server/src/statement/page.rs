//! A statement as a page that prints: self-contained, without scripts and without anything from elsewhere.

use std::sync::OnceLock;

use farebox_money::Nanos;
use minijinja::{Environment, Error};
use serde::Serialize;

use crate::statement::day::day;
use crate::wire::statement::{AssetView, LineView, MovedView, StatementView};

/// Named `.html`, so that everything in it is escaped.
const NAME: &str = "statement.html";
const TEMPLATE: &str = include_str!("statement.html");

/// Accounts, as the head of their column; the sum comes last.
const HEADS: [&str; 5] = ["Available", "Held", "Debt", "Fees owed", "Amount"];
/// Where the sum is among them.
const SUM: usize = 4;
/// Decimals that every amount has, so that cents stand below cents.
const DECIMALS_MIN: usize = 2;

/// Kinds of lines that stand together, and the heading over them.
const SECTIONS: [(&str, &[&str]); 8] = [
    ("Value in", &["grant"]),
    ("Usage", &["usage"]),
    ("Late usage of earlier periods", &["late_usage"]),
    ("Fees", &["fee"]),
    ("Corrections", &["void", "amendment", "repriced", "refund"]),
    (
        "Payments and adjustments",
        &["payment", "adjustment", "debt_paid"],
    ),
    ("Expired", &["expiry"]),
    ("Holds", &["holds"]),
];

#[derive(Serialize)]
struct Page<'s> {
    title: String,
    name: &'s str,
    customer: &'s str,
    from: String,
    to: String,
    subscription: Option<&'s str>,
    period: Option<u32>,
    open: bool,
    made: String,
    sequence: u64,
    chain: &'s str,
    assets: Vec<Table<'s>>,
}

#[derive(Serialize)]
struct Table<'s> {
    asset: &'s str,
    heads: Vec<&'static str>,
    opening: Vec<String>,
    sections: Vec<Section<'s>>,
    closing: Vec<String>,
    /// Cells of a row.
    width: usize,
}

#[derive(Serialize)]
struct Section<'s> {
    heading: &'static str,
    rows: Vec<Row<'s>>,
}

#[derive(Serialize)]
struct Row<'s> {
    description: &'s str,
    note: String,
    quantity: String,
    amounts: Vec<String>,
}

/// The page.
pub(crate) fn page(statement: &StatementView) -> Result<String, Error> {
    static ENVIRONMENT: OnceLock<Result<Environment<'static>, String>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        match environment.add_template(NAME, TEMPLATE) {
            Ok(()) => Ok(environment),
            Err(error) => Err(error.to_string()),
        }
    });
    let environment = environment
        .as_ref()
        .map_err(|error| Error::new(minijinja::ErrorKind::TemplateNotFound, error.clone()))?;
    environment.get_template(NAME)?.render(shown(statement))
}

fn shown(statement: &StatementView) -> Page<'_> {
    let name = statement.name.as_deref().unwrap_or(&statement.customer);
    let (from, to) = (day(statement.from.0), day(statement.to.0));
    Page {
        title: format!("{name}: {from} to {to}"),
        name,
        customer: &statement.customer,
        from,
        to,
        subscription: statement.subscription.as_deref(),
        period: statement.period,
        open: statement.status == "open",
        made: day(statement.as_of.time.0),
        sequence: statement.as_of.sequence,
        chain: &statement.as_of.chain,
        assets: statement.assets.iter().map(table).collect(),
    }
}

fn table(asset: &AssetView) -> Table<'_> {
    let moved = || {
        let lines = asset.lines.iter().map(|line| &line.moved);
        lines.chain([&asset.opening, &asset.closing])
    };
    // Accounts in which nothing was and nothing moved are left away; where only free value moved, it is the amount.
    let used: Vec<usize> = (0..SUM)
        .filter(|column| moved().any(|moved| !moved.columns()[*column].0.is_zero()))
        .collect();
    let columns = match used[..] {
        [] | [0] => vec![SUM],
        _ => used.into_iter().chain([SUM]).collect(),
    };
    let decimals = moved()
        .flat_map(MovedView::columns)
        .map(|amount| decimals_of(&amount.0.to_string()))
        .fold(DECIMALS_MIN, usize::max);
    let amounts = |moved: &MovedView| -> Vec<String> {
        let all = moved.columns();
        columns
            .iter()
            .map(|column| padded(all[*column].0, decimals))
            .collect()
    };
    // Of a line, an account in which nothing moved stays blank: what moved is seen at once.
    let moves = |moved: &MovedView| -> Vec<String> {
        let all = moved.columns();
        let blank = |column: &usize| *column != SUM && all[*column].0.is_zero();
        let said = columns.iter().zip(amounts(moved));
        said.map(|(column, amount)| if blank(column) { String::new() } else { amount })
            .collect()
    };
    let rows = |kinds: &[&str]| -> Vec<Row<'_>> {
        let lines = asset.lines.iter().filter(|line| kinds.contains(&line.kind));
        lines
            .map(|line| Row {
                description: &line.description,
                note: note(line),
                quantity: line
                    .quantity
                    .map(|q| grouped(&q.0.to_string()))
                    .unwrap_or_default(),
                amounts: moves(&line.moved),
            })
            .collect()
    };
    let sections = SECTIONS.iter().map(|(heading, kinds)| Section {
        heading,
        rows: rows(kinds),
    });
    Table {
        asset: asset.asset.as_str(),
        heads: columns.iter().map(|column| HEADS[*column]).collect(),
        opening: amounts(&asset.opening),
        sections: sections.filter(|section| !section.rows.is_empty()).collect(),
        closing: amounts(&asset.closing),
        width: columns.len() + 2,
    }
}

/// What else there is to say of a line, in small letters.
fn note(line: &LineView) -> String {
    let mut notes = Vec::new();
    if let Some(event) = &line.event {
        notes.push(format!("event {event}"));
    }
    if let Some(period) = &line.period {
        notes.push(format!("{} to {}", day(period.start.0), day(period.end.0)));
    }
    if let Some(subscription) = &line.subscription {
        notes.push(subscription.clone());
    }
    if let Some(at) = &line.at {
        notes.push(day(at.0));
    }
    notes.join(" \u{b7} ")
}

fn decimals_of(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// With so many decimals at least.
fn padded(amount: Nanos, decimals: usize) -> String {
    let mut text = amount.to_string();
    let missing = decimals.saturating_sub(decimals_of(&text));
    if missing > 0 && !text.contains('.') {
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', missing));
    grouped(&text)
}

/// `-1234567.5` as `−1,234,567.5`, with the sign that is as wide as a digit.
fn grouped(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", text),
    };
    let (whole, decimals) = digits
        .split_once('.')
        .map_or((digits, None), |(w, d)| (w, Some(d)));
    let mut said = sign.to_string();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    if let Some(decimals) = decimals {
        said.push('.');
        said.push_str(decimals);
    }
    said
}

#[cfg(test)]
mod tests {
    use farebox_statement::LineKind;

    use super::*;

    /// The kind behind this one; a kind that is missing here does not compile.
    fn next(kind: LineKind) -> Option<LineKind> {
        Some(match kind {
            LineKind::Grant => LineKind::Usage,
            LineKind::Usage => LineKind::Late,
            LineKind::Late => LineKind::Fee,
            LineKind::Fee => LineKind::Void,
            LineKind::Void => LineKind::Amendment,
            LineKind::Amendment => LineKind::Repriced,
            LineKind::Repriced => LineKind::Refund,
            LineKind::Refund => LineKind::Payment,
            LineKind::Payment => LineKind::Adjustment,
            LineKind::Adjustment => LineKind::DebtPaid,
            LineKind::DebtPaid => LineKind::Expiry,
            LineKind::Expiry => LineKind::Holds,
            LineKind::Holds => return None,
        })
    }

    /// Else the page would not lead from its opening to its closing.
    #[test]
    fn every_line_has_its_section() {
        let kinds = std::iter::successors(Some(LineKind::Grant), |kind| next(*kind));
        let mut kinds: Vec<&str> = kinds.map(LineKind::as_str).collect();
        let mut shown: Vec<&str> = SECTIONS
            .iter()
            .flat_map(|(_, kinds)| kinds.iter().copied())
            .collect();
        kinds.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, kinds);
    }

    #[test]
    fn amounts_stand_below_each_other() {
        for (amount, decimals, said) in [
            ("0", 2, "0.00"),
            ("-1234567.5", 2, "\u{2212}1,234,567.50"),
            ("999", 4, "999.0000"),
            ("1000.123456789", 2, "1,000.123456789"),
        ] {
            assert_eq!(padded(amount.parse().unwrap(), decimals), said);
        }
    }
}
