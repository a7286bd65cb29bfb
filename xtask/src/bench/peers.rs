//! What others do on the same disk in the same run: the same debit, durable before it is answered, as a script of Redis and as a
//! function of PostgreSQL, under the load generators that come with them. Each debit finds out whether its id was seen,
//! compares the balance, takes the amount, and keeps the id. None of them prices anything. Left out where not installed.

mod postgresql;
mod redis;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::report::Measured;
use crate::terminal::Part;

/// Clients of a load.
const CLIENTS: [u32; 2] = [1, 64];
/// Wallets that share it.
const WALLETS: u32 = 10_000;
/// Time that a peer may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Measures those that are installed, each in a folder of its own below `folder`.
pub fn run(folder: &Path, seconds: u64) -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::new();
    for (name, measure) in [
        (
            "Redis",
            redis::run as fn(&Path, u64) -> anyhow::Result<Option<Vec<Measured>>>,
        ),
        ("PostgreSQL", postgresql::run),
    ] {
        let part = Part::silent(name);
        match measure(folder, seconds) {
            Ok(Some(measured)) => all.extend(measured),
            Ok(None) => part.now("not installed: left out"),
            // What Farebox does is known without it.
            Err(error) => part.now(&format!("left out: {error:#}")),
        }
        part.done();
    }
    Ok(all)
}

/// A server of a peer. Killed when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended by itself
        let _ = self.0.wait();
    }
}

impl Peer {
    /// Waits until `asked` succeeds.
    fn ready(&mut self, mut asked: impl FnMut() -> Command) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if let Some(status) = self.0.try_wait()? {
                bail!("it ended by itself ({status})");
            }
            if asked().output()?.status.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("it did not answer within {} s", START_TIMEOUT.as_secs());
    }
}

/// A program by its name, in `PATH` or in one of these folders.
fn program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain(folders.iter().cloned());
    found.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A port that nobody has at the moment.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
