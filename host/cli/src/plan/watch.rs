//! Doing something again whenever files change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often files are looked at: editors save within less, and a look at a plan's folder costs well under a millisecond.
const EVERY: Duration = Duration::from_millis(300);

/// Times and lengths of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Seen {
    /// Looks at files and at all that is in folders, but what tools put there.
    pub fn of(places: &[PathBuf]) -> Seen {
        let mut seen = Seen::default();
        for place in places {
            seen.look(place);
        }
        seen
    }

    fn look(&mut self, path: &Path) {
        // What cannot be read is looked at as if it were not there; it is new when it can.
        let Ok(found) = fs::metadata(path) else { return };
        if found.is_file() {
            self.0
                .insert(path.to_path_buf(), (found.modified().ok(), found.len()));
            return;
        }
        let Ok(entries) = fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !(name.starts_with('.')
                || matches!(&*name, "target" | "node_modules" | "build" | "__pycache__"))
            {
                self.look(&entry.path());
            }
        }
    }

    /// A file that is new, gone, or another one than before.
    pub fn changed(&self, before: &Seen) -> Option<PathBuf> {
        let all = self.0.keys().chain(before.0.keys());
        let mut changed = all.filter(|path| self.0.get(*path) != before.0.get(*path));
        changed.next().cloned()
    }
}

/// Waits until something in these places is another than it was seen, and says what.
pub fn wait(places: &[PathBuf], seen: &Seen) -> PathBuf {
    loop {
        std::thread::sleep(EVERY);
        if let Some(path) = Seen::of(places).changed(seen) {
            return path;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_made_or_removed_is_seen_and_nothing_that_tools_make() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("scenarios")).unwrap();
        fs::create_dir_all(at("target")).unwrap();
        fs::write(at("scenarios/first.toml"), "a").unwrap();
        let places = [folder.path().to_path_buf()];
        let first = Seen::of(&places);
        assert_eq!(Seen::of(&places).changed(&first), None);
        fs::write(at("target/built"), "x").unwrap();
        fs::create_dir_all(at("build/wit")).unwrap();
        fs::write(at("build/plan.wasm"), "x").unwrap();
        fs::write(at(".swap"), "x").unwrap();
        assert_eq!(Seen::of(&places).changed(&first), None);
        fs::write(at("scenarios/first.toml"), "ab").unwrap();
        let second = Seen::of(&places);
        assert_eq!(second.changed(&first), Some(at("scenarios/first.toml")));
        fs::write(at("scenarios/second.toml"), "a").unwrap();
        assert_eq!(
            Seen::of(&places).changed(&second),
            Some(at("scenarios/second.toml"))
        );
        fs::remove_file(at("scenarios/second.toml")).unwrap();
        fs::remove_file(at("scenarios/first.toml")).unwrap();
        assert_eq!(wait(&places, &second), at("scenarios/first.toml"));
    }
}
