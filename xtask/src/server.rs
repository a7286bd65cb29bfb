//! A Farebox of our own: started on an empty folder, stopped like a service manager would.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Time to the first line.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Time to a clean end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A running `farebox serve`. Killed when dropped, so that no failure leaves one behind.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
    key: String,
    log: PathBuf,
    started_in: Duration,
}

impl Server {
    /// Starts the program on a new data folder, on a free port. Its log goes to `log`.
    pub fn start(farebox: &Path, data: &Path, log: &Path) -> anyhow::Result<Server> {
        let (mut server, first) = Server::spawn(farebox, data, log)?;
        let key = first.get("admin_key").and_then(Value::as_str);
        let key = key.with_context(|| format!("no `admin_key` in {first}; is the folder new?"))?;
        server.key = key.to_string();
        Ok(server)
    }

    /// Starts it on a folder that it had before, with the key that it printed then.
    pub fn again(farebox: &Path, data: &Path, log: &Path, key: String) -> anyhow::Result<Server> {
        let (mut server, _) = Server::spawn(farebox, data, log)?;
        server.key = key;
        Ok(server)
    }

    /// The program, and the first line that it said: it answers from then on.
    fn spawn(farebox: &Path, data: &Path, log: &Path) -> anyhow::Result<(Server, Value)> {
        let started = Instant::now();
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(farebox)
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("FAREBOX_LOG", "warn")
            .current_dir(log.parent().unwrap_or(data)) // a farebox.toml of the caller's folder is not for us
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(file))
            .spawn()
            .with_context(|| format!("cannot start {}", farebox.display()))?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut server = Server {
            child,
            address: String::new(),
            key: String::new(),
            log: log.to_path_buf(),
            started_in: Duration::ZERO,
        };
        let first = first_line(stdout).with_context(|| server.last_words("said nothing"))?;
        server.started_in = started.elapsed();
        let url = first.get("url").and_then(Value::as_str);
        server.address = url.with_context(|| format!("no `url` in {first}"))?.to_string();
        Ok((server, first))
    }

    /// Time from its start until it answered.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Ends it as a power cut would, as far as the process goes.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot wait for the server")?;
        Ok(())
    }

    /// `http://127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The key that it printed.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its memory, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<u64> {
        Ok(self.told_by_system("status", "VmRSS:")? >> 10)
    }

    /// Time of processors that all its threads took so far, as fine as the system counts it (a hundredth of a second).
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // SAFETY: `sysconf` reads a constant of the system.
        let each_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) })?.max(1);
        let ticks = ticks_of(&text).with_context(|| format!("no times in {path}: {text}"))?;
        Ok(Duration::from_micros(ticks * 1_000_000 / each_second))
    }

    /// A number that the system tells of the process, by the name that stands before it.
    fn told_by_system(&self, file: &str, name: &str) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/{file}", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        let number = number.with_context(|| format!("no `{name}` in {path}"))?;
        number
            .parse()
            .with_context(|| format!("not a number in {path}: {number}"))
    }

    /// Whether it still runs. An error says how it ended.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{}", self.last_words(&format!("ended by itself ({status})"))),
        }
    }

    /// Asks it to stop, and waits until it has. An error means that it did not end well.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let pid = libc::pid_t::try_from(self.child.id()).context("a process id that is none")?;
        // SAFETY: `kill` takes two numbers. The child was not waited for yet, so its id is still its own.
        if unsafe { libc::kill(pid, libc::SIGTERM) } != 0 {
            bail!("cannot signal the server: {}", std::io::Error::last_os_error());
        }
        while started.elapsed() < STOP_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("{}", self.last_words(&format!("did not stop well ({status})")));
                }
                return Ok(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{}", self.last_words("did not stop within a minute"));
    }

    fn last_words(&self, what: &str) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n");
        format!("the server {what}; the end of its log:\n{last}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill(); // it may have ended this moment, which is just as well
            let _ = self.child.wait();
        }
    }
}

/// The first line as JSON. A thread goes on reading, so that the server never waits for us.
fn first_line(stdout: std::process::ChildStdout) -> anyhow::Result<Value> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(line); // nobody listens after the first one
        }
    });
    let line = receive.recv_timeout(START_TIMEOUT).context("no first line")?;
    serde_json::from_str(&line).with_context(|| format!("the first line is no JSON: {line}"))
}

/// Ticks that a process had in its own code and in the system (`proc_pid_stat(5)`). Its name comes before them, in
/// parentheses, and may hold anything.
fn ticks_of(statistics: &str) -> Option<u64> {
    const USER: usize = 11;
    let (_, behind_name) = statistics.rsplit_once(')')?;
    let mut numbers = behind_name.split_whitespace().skip(USER);
    let user: u64 = numbers.next()?.parse().ok()?;
    let system: u64 = numbers.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let text = "4711 (a) b (c) S 1 4711 4711 0 -1 4194304 900 0 3 0 250 75 9 9 20 0 12 0 100 1 2";
        assert_eq!(ticks_of(text), Some(325));
        assert_eq!(ticks_of("4711 (a) S 1 2"), None);
        assert_eq!(ticks_of(""), None);
    }
}
