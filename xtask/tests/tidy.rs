//! The style guide is an ordinary test: the part of it that needs no compiler.

#[test]
fn the_repository_is_tidy() {
    let findings = xtask::tidy::cheap(&xtask::workspace::root()).unwrap();
    let lines: Vec<String> = findings
        .iter()
        .map(|f| format!("{}: {}", f.place, f.message))
        .collect();
    assert!(
        lines.is_empty(),
        "{} to put right:\n{}",
        lines.len(),
        lines.join("\n")
    );
}
