//! `docs/limits.md` names every limit there is, and none that is not.

use std::collections::BTreeSet;

use super::{Finding, Tree};

/// The page that names them.
const PAGE: &str = "docs/limits.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let named: Vec<(usize, &str)> = (page.text.lines().enumerate())
        .filter_map(|(index, line)| Some((index + 1, row(line)?)))
        .collect();
    let names: BTreeSet<&str> = named.iter().map(|(_, name)| *name).collect();
    let mut there_are = BTreeSet::new();
    for file in tree.with("rs").filter(|f| f.path.ends_with("/src/limits.rs")) {
        for (index, line) in file.text.lines().enumerate() {
            let Some(name) = defined(line) else { continue };
            there_are.insert(name);
            if !names.contains(name) {
                findings.push(Finding::line(
                    file,
                    index + 1,
                    format!("{PAGE} does not name {name}"),
                ));
            }
        }
    }
    for (line, name) in named {
        if !there_are.contains(name) {
            findings.push(Finding::line(
                page,
                line,
                format!("{name} is not defined in a limits.rs"),
            ));
        }
    }
    findings
}

/// The name in the first cell of a row of a table.
fn row(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("| `")?.split_once("` |")?;
    Some(name)
}

/// The name of a limit that a line of a `limits.rs` defines: a constant, or the field of a set of limits.
fn defined(line: &str) -> Option<&str> {
    let said = line.trim_start().strip_prefix("pub ")?;
    let (name, _) = said.strip_prefix("const ").unwrap_or(said).split_once(": ")?;
    name.chars()
        .all(|c| c == '_' || c.is_ascii_alphanumeric())
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_not_named_and_names_without_a_limit_are_found() {
        let page = "| limit | value |\n|---|---|\n| `A_MAX` | 1 |\n| `GONE_MAX` | 2 |\n| `fuel_max` | 3 |\nThe `OTHER` one.";
        let source = "/// Says why.\npub const A_MAX: usize = 1;\npub const B_MAX: usize = 2;\npub struct Limits {\n    \
                      pub fuel_max: u64,\n    pub stack_max: u64,\n}\npub const fn f(a: u8) -> u8 { a }";
        let tree = Tree::of(&[
            ("docs/limits.md", page),
            ("host/x/src/limits.rs", source),
            ("host/x/src/other.rs", "pub const C_MAX: usize = 1;"),
        ]);
        let places: Vec<String> = check(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(
            places,
            [
                "host/x/src/limits.rs:3",
                "host/x/src/limits.rs:6",
                "docs/limits.md:4"
            ]
        );
    }
}
