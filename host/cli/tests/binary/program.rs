//! Running the program and stopping it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program in a folder of its own, with nothing of this process's configuration.
pub fn farebox(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farebox"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FAREBOX_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    Ended(farebox(folder).args(arguments).output().unwrap())
}

/// How the program ended.
pub struct Ended(Output);

impl Ended {
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// What it printed, which must be one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|_| panic!("{}{}", self.stdout(), self.stderr()))
    }

    /// The error that it printed as JSON.
    pub fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.stderr()).unwrap_or_else(|_| panic!("{}", self.stderr()))["error"]
            .clone()
    }
}

/// A running server; dropped, it is killed.
pub struct Server {
    child: Child,
    /// The line that it printed when it listened.
    pub first_line: Value,
}

impl Server {
    /// Starts one on the folder `data` within `folder`, on a free port.
    pub fn start(folder: &Path) -> Server {
        Server::start_with(folder, &[])
    }

    /// The same, with more flags.
    pub fn start_with(folder: &Path, flags: &[&str]) -> Server {
        Server::spawned(farebox(folder), flags)
    }

    /// The same, by a command that runs the program.
    pub fn spawned(mut command: Command, flags: &[&str]) -> Server {
        let mut child = command
            .args([
                "serve",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--data",
                "data",
                "--log",
                "warn",
            ])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let first_line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        Server { child, first_line }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self) -> String {
        self.first_line["url"].as_str().unwrap().to_string()
    }

    pub fn key(&self) -> Option<String> {
        self.first_line["admin_key"].as_str().map(str::to_string)
    }

    /// Tells it to stop, and gives its exit code.
    pub fn stop(mut self) -> i32 {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have stopped already
        let _ = self.child.wait();
    }
}
