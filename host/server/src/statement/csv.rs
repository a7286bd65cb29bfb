//! A statement as a table: RFC 4180, one row for each line, with the opening before and the closing behind.

use csv::{Terminator, Writer, WriterBuilder};

use crate::wire::statement::{LineView, MovedView, StatementView};

/// The columns. They only ever grow at the end.
const COLUMNS: [&str; 23] = [
    "customer",
    "from",
    "to",
    "asset",
    "line",
    "description",
    "code",
    "grant",
    "category",
    "cause",
    "subscription",
    "period_start",
    "period_end",
    "period_index",
    "event",
    "source",
    "at",
    "quantity",
    "available",
    "held",
    "debt",
    "receivable",
    "amount",
];
/// How many of them come from the line.
const OF_LINE: usize = 13;

/// The table.
pub(crate) fn csv(statement: &StatementView) -> Result<Vec<u8>, csv::Error> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for asset in &statement.assets {
        let name = asset.asset.as_str();
        row(&mut writer, statement, name, "opening", blank(), &asset.opening)?;
        for line in &asset.lines {
            row(&mut writer, statement, name, line.kind, told(line), &line.moved)?;
        }
        row(&mut writer, statement, name, "closing", blank(), &asset.closing)?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(std::io::Error::other(error.to_string())))
}

fn row(
    writer: &mut Writer<Vec<u8>>,
    statement: &StatementView,
    asset: &str,
    line: &str,
    told: [String; OF_LINE],
    moved: &MovedView,
) -> Result<(), csv::Error> {
    let head = [
        text(&statement.customer),
        statement.from.0.to_string(),
        statement.to.0.to_string(),
        text(asset),
        line.to_string(),
    ];
    let amounts = moved.columns().map(|amount| amount.0.to_string());
    writer.write_record(head.into_iter().chain(told).chain(amounts))
}

fn told(line: &LineView) -> [String; OF_LINE] {
    let optional = |value: &Option<String>| value.as_deref().map(text).unwrap_or_default();
    let category = serde_json::to_value(line.category).unwrap_or_default();
    let period = line.period;
    [
        text(&line.description),
        optional(&line.code),
        optional(&line.grant),
        category.as_str().unwrap_or_default().to_string(),
        line.cause.unwrap_or_default().to_string(),
        optional(&line.subscription),
        period.map(|p| p.start.0.to_string()).unwrap_or_default(),
        period.map(|p| p.end.0.to_string()).unwrap_or_default(),
        period.map(|p| p.index.to_string()).unwrap_or_default(),
        optional(&line.event),
        optional(&line.source),
        line.at.map(|at| at.0.to_string()).unwrap_or_default(),
        line.quantity.map(|q| q.0.to_string()).unwrap_or_default(),
    ]
}

fn blank() -> [String; OF_LINE] {
    Default::default()
}

/// A text that others wrote. A spreadsheet takes what begins with one of these characters for a formula and runs it: an
/// apostrophe before it makes it a text.
fn text(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{text}"),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn no_text_is_a_formula() {
        for (said, kept) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(text(said), kept);
        }
    }
}
