//! Money is never a float: the crates that handle it do not even name the types.

use super::{Finding, Tree};

/// Where money is decided, written or summed.
const MONEY: [&str; 4] = [
    "host/money/src/",
    "host/record/src/",
    "host/ledger/src/",
    "host/engine/src/",
];

/// How many lines above a float its exception may stand.
const REASON_LINES: usize = 4;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_money = |path: &str| MONEY.iter().any(|folder| path.starts_with(folder));
    for file in tree.with("rs").filter(|file| is_money(&file.path)) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.trim_start().starts_with("//") || !names_a_float(line) {
                continue;
            }
            let above = &lines[index.saturating_sub(REASON_LINES)..=index];
            let excused =
                |line: &&str| line.contains("clippy::cast_precision_loss") || line.contains("metrics::");
            if !above.iter().any(excused) {
                let message = "a float where money is handled: use `Nanos`. For a metric, say so with \
                               `#[expect(clippy::cast_precision_loss, reason = ...)]`";
                findings.push(Finding::line(file, index + 1, message));
            }
        }
    }
    findings
}

fn names_a_float(line: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word == "f32" || word == "f64" || word.ends_with("_f64") || word.ends_with("_f32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_found_where_money_is_and_nowhere_else() {
        let excused =
            "#[expect(clippy::cast_precision_loss, reason = \"a metric\")]\nfn count(n: u64) -> f64 {";
        let tree = Tree::of(&[
            ("host/ledger/src/a.rs", "let x: f64 = 1.0;"),
            (
                "host/ledger/src/b.rs",
                "// f64 would be wrong here\nlet f640 = 1;",
            ),
            ("host/engine/src/c.rs", excused),
            ("host/money/src/d.rs", "Decimal::from_f64(x)"),
            ("host/cli/src/e.rs", "let x: f64 = 1.0;"),
        ]);
        let places: Vec<String> = check(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["host/ledger/src/a.rs:1", "host/money/src/d.rs:1"]);
    }
}
