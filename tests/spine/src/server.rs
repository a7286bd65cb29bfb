//! A `farebox serve` of its own, on a port of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Where the `farebox` binary is: `FAREBOX_BIN`, or built now.
pub fn farebox() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| match std::env::var_os("FAREBOX_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build().map_err(|error| format!("{error:#}")),
    });
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            // With the features that the tests were built with, or its dependencies are compiled a second time.
            "--workspace",
            "--bin",
            "farebox",
            "--message-format",
            "json",
            "--manifest-path",
        ])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the farebox binary does not build");
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if let Some(path) = message["executable"].as_str()
            && message["target"]["name"] == "farebox"
        {
            return Ok(PathBuf::from(path));
        }
    }
    bail!("cargo names no executable")
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// The admin key, where this was the first start on the folder.
    pub admin_key: Option<String>,
}

impl Server {
    /// Starts on a data folder, and waits until it listens.
    pub fn start(data: &Path) -> Result<Server> {
        Server::start_as(Command::new(farebox()?), data)
    }

    /// Starts under another program (`strace -o FILE farebox`): `command` is everything before `serve`.
    pub fn start_as(mut command: Command, data: &Path) -> Result<Server> {
        let mut child = command
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("FAREBOX_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting farebox serve")?;
        let stdout = child.stdout.take().context("its standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().context("farebox serve ended before it listened")??;
        // The rest is drained, so that the server never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let event: serde_json::Value = serde_json::from_str(&first).with_context(|| first.clone())?;
        ensure!(event["event"] == "listening", "unexpected first line: {first}");
        let address = event["address"].as_str().context("an address")?;
        let admin_key = event["admin_key"].as_str().map(str::to_string);
        Ok(Server {
            child,
            url: format!("http://{address}"),
            admin_key,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// `kill -9` of what runs under the program that was started (a tracer), which then ends by itself. Killing the
    /// tracer would leave the server running.
    pub fn kill_traced(mut self) -> Result<()> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        for child in children.split_whitespace() {
            let pid: libc::pid_t = child.parse()?;
            // SAFETY: a signal to a process that our own child has not waited for, so the id is still its.
            let refused = unsafe { libc::kill(pid, libc::SIGKILL) };
            ensure!(refused == 0, "SIGKILL was refused");
        }
        self.child.wait()?;
        Ok(())
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until it has ended by itself; with which exit code (none: by a signal).
    pub fn ended(mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("farebox serve did not end by itself within 60 s")
    }

    /// Asks it to end, and waits until it has, as it should.
    pub fn stop(self) -> Result<()> {
        let code = self.stopped()?;
        ensure!(code == Some(0), "farebox serve ended with {code:?}");
        Ok(())
    }

    /// Asks it to end, and waits until it has; with which exit code (none: by a signal).
    pub fn stopped(mut self) -> Result<Option<i32>> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: a signal to a child that has not been waited for, so the id is its own.
        let refused = unsafe { libc::kill(pid, libc::SIGTERM) };
        ensure!(refused == 0, "SIGTERM was refused");
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("farebox serve did not end within 60 s of SIGTERM")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
