//! A statement for people and for tables: what its lines say, as CSV, and as a page that prints.

mod csv;
mod day;
mod labels;
mod page;

use farebox_record::plan::Category;
use farebox_statement::{Cause, Line, LineKind};

pub(crate) use csv::csv;
pub(crate) use labels::Labels;
pub(crate) use page::page;

/// What a line is about, in a few words.
pub(crate) fn describe(line: &Line, labels: &Labels) -> String {
    let code = labels.charge(line);
    let said = |what: &str| match &line.label {
        Some(label) => format!("{what}: {label}"),
        None => what.to_string(),
    };
    match line.kind {
        LineKind::Grant => grant(line),
        LineKind::Usage | LineKind::Fee => code.to_string(),
        LineKind::Late => format!("{code}, reported late"),
        LineKind::Void => said(&format!("{code}, taken back")),
        LineKind::Amendment if line.quantity.is_some_and(|q| q.is_negative()) => format!("{code}, as it was"),
        LineKind::Amendment => format!("{code}, as amended"),
        LineKind::Repriced => format!("{code}, priced anew behind it"),
        LineKind::Refund => said(&match &line.code {
            Some(_) => format!("{code}, refunded"),
            None => "Unused value paid back".to_string(),
        }),
        LineKind::Payment => said("Payment"),
        LineKind::Adjustment => said("Adjustment"),
        LineKind::DebtPaid => "Debt paid with bought value".to_string(),
        LineKind::Expiry => match &line.grant {
            Some(_) => format!("{}, expired", grant(line)),
            None => said("Came back expired"),
        },
        LineKind::Holds => "Set aside by open holds".to_string(),
    }
}

fn grant(line: &Line) -> String {
    let name = match (&line.label, &line.grant) {
        (Some(label), _) => label.clone(),
        (None, Some(grant)) => grant.to_string(),
        (None, None) => "Grant".to_string(),
    };
    let kind = match line.category {
        Some(Category::Paid) => "bought",
        Some(Category::Promotional) => "promotional",
        Some(Category::Included) => "included",
        None => return name,
    };
    match line.cause {
        Some(Cause::Renewal) => format!("{name} ({kind}, from the renewal)"),
        Some(Cause::Correction) => format!("{name} ({kind}, from a correction)"),
        _ => format!("{name} ({kind})"),
    }
}
