//! The lints that keep panics and floats out are switched on, for every crate.

use anyhow::Context as _;

use super::{Finding, Tree};

/// What the root manifest must switch on; clippy does the rest (`--deny warnings`).
const CLIPPY: [&str; 9] = [
    "unwrap_used",
    "expect_used",
    "panic",
    "todo",
    "unimplemented",
    "dbg_macro",
    "float_arithmetic",
    "cast_possible_truncation",
    "allow_attributes_without_reason",
];

/// Plans for tests: workspaces of their own, for another target.
const EXCLUDED: [&str; 2] = ["tests/hostile/guests/", "host/server/tests/plans/"];

/// What every member of the workspace has in common.
pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let manifest = |text: &str| text.parse::<toml::Table>();
    let root = tree
        .file("Cargo.toml")
        .context("there is no Cargo.toml at the root")?;
    let table = manifest(&root.text).context("Cargo.toml")?;
    let lints = |tool: &str| table.get("workspace")?.get("lints")?.get(tool).cloned();
    for lint in CLIPPY {
        if lints("clippy")
            .and_then(|clippy| clippy.get(lint).cloned())
            .is_none()
        {
            findings.push(Finding::at(
                "Cargo.toml",
                format!("the lint clippy::{lint} is not switched on"),
            ));
        }
    }
    if lints("rust")
        .and_then(|rust| rust.get("missing_docs").cloned())
        .is_none()
    {
        findings.push(Finding::at(
            "Cargo.toml",
            "the lint missing_docs is not switched on",
        ));
    }
    for member in members(tree) {
        let table = manifest(&member.text).with_context(|| member.path.clone())?;
        let inherits = table.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(Finding::at(&member.path, "expected `[lints] workspace = true`"));
        }
    }
    Ok(findings)
}

/// The manifests of the crates of the workspace.
pub(super) fn members(tree: &Tree) -> impl Iterator<Item = &super::File> {
    let is_member =
        |path: &str| path.ends_with("/Cargo.toml") && !EXCLUDED.iter().any(|folder| path.starts_with(folder));
    tree.with("toml").filter(move |file| is_member(&file.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_opts_out_is_found() {
        let lints: String = CLIPPY.iter().map(|lint| format!("{lint} = \"warn\"\n")).collect();
        let root =
            format!("[workspace.lints.rust]\nmissing_docs = \"warn\"\n[workspace.lints.clippy]\n{lints}");
        let tree = Tree::of(&[
            ("Cargo.toml", &root),
            ("host/a/Cargo.toml", "[lints]\nworkspace = true"),
            ("host/b/Cargo.toml", "[package]\nname = \"b\""),
        ]);
        let places: Vec<String> = check(&tree).unwrap().into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["host/b/Cargo.toml"]);
    }

    #[test]
    fn a_lint_that_is_switched_off_is_found() {
        let tree = Tree::of(&[("Cargo.toml", "[workspace.lints.clippy]\nunwrap_used = \"warn\"")]);
        assert_eq!(check(&tree).unwrap().len(), CLIPPY.len() - 1 + 1);
    }
}
