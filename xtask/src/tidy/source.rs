//! The files of the repository.

use std::path::Path;

use anyhow::Context as _;

use super::Finding;

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Folders that hold no source.
const SKIPPED: [&str; 5] = ["target", ".git", "farebox-data", "node_modules", "__pycache__"];
/// What the examples in other languages are built to, beside their sources as their tools have it.
const BUILT: [&str; 2] = [
    "guest-sdk/typescript/example/build",
    "guest-sdk/python/example/build",
];

/// A text file.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// Whether it has that extension.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }
}

/// All text files, and complaints about the others.
#[derive(Debug, Default)]
pub struct Tree {
    files: Vec<File>,
    folders: Vec<String>,
    unwanted: Vec<Finding>,
}

impl Tree {
    /// Reads everything below `root` but what is built there.
    pub fn read(root: &Path) -> anyhow::Result<Tree> {
        let mut tree = Tree::default();
        tree.folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// A tree of files that exist nowhere.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| File {
            path: (*path).to_string(),
            text: (*text).to_string(),
        });
        Tree {
            files: files.collect(),
            ..Tree::default()
        }
    }

    /// In order of path.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Those with an extension.
    pub fn with(&self, extension: &'static str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.is(extension))
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or a folder is there.
    pub fn has(&self, path: &str) -> bool {
        self.file(path).is_some() || self.folders.iter().any(|folder| folder == path)
    }

    /// Files that are too large, or no text.
    pub fn unwanted(&self) -> &[Finding] {
        &self.unwanted
    }

    fn folder(&mut self, root: &Path, below: &str) -> anyhow::Result<()> {
        let folder = root.join(below);
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if below.is_empty() {
                name.clone()
            } else {
                format!("{below}/{name}")
            };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !SKIPPED.contains(&name.as_str()) && !BUILT.contains(&path.as_str()) {
                    self.folders.push(path.clone());
                    self.folder(root, &path)?;
                }
            } else if kind.is_file() {
                self.take(&entry.path(), path)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, place: &Path, path: String) -> anyhow::Result<()> {
        // A file may vanish between the listing and here: an editor's, or a build's.
        let Ok(about) = std::fs::metadata(place) else {
            return Ok(());
        };
        if about.len() > FILE_BYTES_MAX {
            let message = format!("{} bytes; the limit is 1 MiB", about.len());
            self.unwanted.push(Finding::at(path, message));
            return Ok(());
        }
        let bytes = std::fs::read(place).with_context(|| format!("cannot read {path}"))?;
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => self.files.push(File { path, text }),
            _ => self.unwanted.push(Finding::at(
                path,
                "not a text; what is built or binary does not belong here",
            )),
        }
        Ok(())
    }
}
