//! The product's own checks, on a folder that no server holds.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use farebox_spine::farebox;

/// `farebox journal verify`, then `farebox ledger verify`. An error shows what they said.
pub fn verify(data: &Path) -> Result<()> {
    for what in ["journal", "ledger"] {
        let output = Command::new(farebox()?)
            .args([what, "verify", "--json", "--data"])
            .arg(data)
            .output()?;
        ensure!(
            output.status.success(),
            "farebox {what} verify: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
