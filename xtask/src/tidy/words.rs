//! Words that do not belong into a repository that others read.

use super::{Finding, Tree};

/// A text that must not appear, and why. Put together from halves, so that this list does not find itself.
const FORBIDDEN: [(&str, &str); 12] = [
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("../sha", "red"), "a path out of the repository"),
    (
        concat!("TO", "DO"),
        "work that is left belongs into the plan of work, not into the source",
    ),
    (
        concat!("FIX", "ME"),
        "work that is left belongs into the plan of work, not into the source",
    ),
    (
        concat!("XX", "X"),
        "work that is left belongs into the plan of work, not into the source",
    ),
    (concat!("Co-Auth", "ored-By"), "who wrote it is in the history"),
    (
        concat!("Generated", " with"),
        "how it was written is nobody's concern",
    ),
    (concat!("<<<<", "<<< "), "a merge that is not finished"),
    (concat!(">>>>", ">>> "), "a merge that is not finished"),
];

/// What comes before the number of an issue.
const ISSUE: [&str; 6] = ["issue #", "issues/", "fixes #", "closes #", "PR #", "pull/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree
        .files()
        .iter()
        .filter(|file| !file.path.ends_with("Cargo.lock"))
    {
        for (index, line) in file.text.lines().enumerate() {
            for (word, reason) in FORBIDDEN {
                if line.contains(word) {
                    findings.push(Finding::line(file, index + 1, format!("{word:?}: {reason}")));
                }
            }
            if names_an_issue(line) {
                let message = "the number of an issue: say what it was about instead";
                findings.push(Finding::line(file, index + 1, message));
            }
        }
    }
    findings
}

fn names_an_issue(line: &str) -> bool {
    ISSUE.iter().any(|before| {
        line.match_indices(before)
            .any(|(at, _)| line[at + before.len()..].starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_issue_numbers_are_found() {
        let path = format!("see {}me/x", "/ho");
        let issue = format!("this is iss{} 12", "ue #").replace("# ", "#");
        let tree = Tree::of(&[
            ("a.md", &path),
            ("b.rs", &issue),
            ("c.rs", "r#\"an issue of colour #fff\"#"),
        ]);
        let places: Vec<String> = check(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["a.md:1", "b.rs:1"]);
    }
}
