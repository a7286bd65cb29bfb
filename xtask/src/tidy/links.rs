//! Relative links in Markdown lead somewhere.

use super::{File, Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with("md") {
        for (line, link) in links(file) {
            if let Some(path) = resolved(&file.path, &link)
                && !tree.has(&path)
            {
                findings.push(Finding::line(
                    file,
                    line,
                    format!("the link {link} leads to {path}, which is not there"),
                ));
            }
        }
    }
    findings
}

/// Targets of `[text](target)` and `[text]: target` outside code blocks, with their lines.
fn links(file: &File) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            links.push((index + 1, rest[..end].to_string()));
            rest = &rest[end..];
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            links.push((index + 1, target.trim().to_string()));
        }
    }
    links
}

/// The path from the root that a link means; none for links out of the repository and within the page.
fn resolved(from: &str, link: &str) -> Option<String> {
    let target = link.split_whitespace().next()?.split('#').next()?;
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found() {
        let page = "[a](b.md) [c](../README.md#top) [d](https://x.org/x.md)\n```\n[e](gone.md)\n```\n[f](gone.md)\n\
                    [g]: gone/too.md\n[h](#here)";
        let tree = Tree::of(&[
            ("docs/a.md", page),
            ("docs/b.md", ""),
            ("README.md", "[docs](docs/b.md)"),
        ]);
        let places: Vec<String> = check(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["docs/a.md:5", "docs/a.md:6"]);
    }
}
