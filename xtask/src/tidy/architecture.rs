//! ARCHITECTURE.md knows every crate, and why each dependency is there.

use anyhow::Context as _;

use super::{Finding, Tree, lints};

const PAGE: &str = "ARCHITECTURE.md";

/// Fewest words that make a reason: "logs" is one.
const REASON_WORDS_MIN: usize = 1;

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let Some(page) = tree.file(PAGE) else {
        return Ok(vec![Finding::at(PAGE, "is not there")]);
    };
    let mut findings = Vec::new();
    for member in lints::members(tree) {
        let folder = member.path.trim_end_matches("/Cargo.toml");
        let table: toml::Table = member.text.parse().with_context(|| member.path.clone())?;
        let name = table
            .get("package")
            .and_then(|p| p.get("name"))
            .and_then(toml::Value::as_str);
        let named =
            |text: &str| page.text.contains(&format!("`{text}`")) || page.text.contains(&format!("{text}/"));
        let bare = folder.rsplit('/').next().unwrap_or(folder);
        if !(named(folder) || name.is_some_and(named) || named(bare)) {
            findings.push(Finding::at(PAGE, format!("says nothing of the crate `{folder}`")));
        }
    }
    for dependency in dependencies(tree)? {
        let reasoned = page.text.lines().any(|line| is_reason(line, &dependency));
        if !reasoned {
            findings.push(Finding::at(
                PAGE,
                format!("gives no reason for the dependency `{dependency}`"),
            ));
        }
    }
    Ok(findings)
}

/// What the workspace depends on, but its own crates.
fn dependencies(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let root = tree
        .file("Cargo.toml")
        .context("there is no Cargo.toml at the root")?;
    let table: toml::Table = root.text.parse().context("Cargo.toml")?;
    let all = table
        .get("workspace")
        .and_then(|w| w.get("dependencies"))
        .and_then(toml::Value::as_table);
    let foreign = |value: &toml::Value| value.get("path").is_none();
    Ok(all
        .into_iter()
        .flatten()
        .filter(|(_, value)| foreign(value))
        .map(|(name, _)| name.clone())
        .collect())
}

/// A line that names the dependency and says more than that.
fn is_reason(line: &str, dependency: &str) -> bool {
    let named = format!("`{dependency}`");
    let words = line
        .split(|c: char| c.is_whitespace() || c == '|')
        .filter(|word| word.chars().any(char::is_alphabetic) && !word.starts_with('`'));
    line.contains(&named) && words.count() >= REASON_WORDS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_does_not_know_is_found() {
        let root = "[workspace.dependencies]\nserde = \"1\"\nsled = \"0.34\"\nown = { path = \"own\" }\nlibc = \"1\"";
        let page = "`host/a` is the core.\n| `serde` | records and the API are made of it |\n| `libc` | |";
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", page),
            ("Cargo.toml", root),
            ("host/a/Cargo.toml", "[package]\nname = \"farebox-a\""),
            ("host/b/Cargo.toml", "[package]\nname = \"farebox-b\""),
        ]);
        let messages: Vec<String> = check(&tree).unwrap().into_iter().map(|f| f.message).collect();
        assert_eq!(
            messages,
            [
                "says nothing of the crate `host/b`",
                "gives no reason for the dependency `libc`",
                "gives no reason for the dependency `sled`",
            ]
        );
    }
}
