//! Nothing is too long to be read.

use super::{Finding, Tree};

/// Most lines of a Rust file.
pub const FILE_LINES_MAX: usize = 600;
/// Most characters of a line of Rust.
pub const LINE_CHARS_MAX: usize = 130;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with("rs") {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            let message = format!("{lines} lines; the limit is {FILE_LINES_MAX}: which idea can move out?");
            findings.push(Finding::at(&file.path, message));
        }
        for (index, line) in file.text.lines().enumerate() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                let message = format!("{chars} characters; the limit is {LINE_CHARS_MAX}");
                findings.push(Finding::line(file, index + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_lines_are_found() {
        let (long_file, long_line) = ("\n".repeat(601), "é".repeat(131));
        let just = format!("{}\n{}", "\n".repeat(598), "é".repeat(130));
        let tree = Tree::of(&[
            ("a.rs", &long_file),
            ("b.rs", &long_line),
            ("c.rs", &just),
            ("d.md", &long_line),
        ]);
        let places: Vec<String> = check(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["a.rs", "b.rs:1"]);
    }
}
