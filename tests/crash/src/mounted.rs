//! A small disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// A tmpfs; dropped, it is unmounted, whatever still uses it.
#[derive(Debug)]
pub struct Mounted {
    place: PathBuf,
}

impl Mounted {
    /// Mounts one of this size (`24m`) on an empty folder. None: this machine does not let us.
    ///
    /// # Errors
    /// If there is no `mount` to be asked.
    pub fn tmpfs(place: &Path, size: &str) -> Result<Option<Mounted>> {
        let options = format!("size={size}");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "farebox-test"])
            .arg(place)
            .output()?;
        Ok(output.status.success().then(|| Mounted {
            place: place.to_path_buf(),
        }))
    }

    /// Makes it larger.
    ///
    /// # Errors
    /// What `mount` says.
    pub fn grow(&self, size: &str) -> Result<()> {
        let options = format!("remount,size={size}");
        let output = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.place)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a server that a failed test leaves behind may still use it.
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
    }
}
