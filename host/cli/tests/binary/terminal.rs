//! A server with a terminal beside it that knows its address and a key.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ended, Server, run};

/// 1 usd per million tokens in, 10 per million out: easy to work out by hand.
const PRICES: &str =
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "1", "output": "10"}}}}}}"#;

pub struct Terminal {
    folder: TempDir,
    server: Server,
    key: String,
}

impl Terminal {
    /// In the tenant of a fresh server.
    pub fn open() -> Terminal {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let key = server.key().unwrap();
        Terminal { folder, server, key }
    }

    /// In the sandbox `lab` of a fresh server, whose clock begins there.
    pub fn in_sandbox(clock: &str) -> Terminal {
        let mut terminal = Terminal::open();
        let made = terminal.json(&format!("tenants create lab --kind sandbox --clock {clock}"));
        terminal.key = made["first_key"]["key"].as_str().unwrap().to_string();
        terminal
    }

    /// Runs a command to its end. No argument has a blank in it.
    pub fn run(&self, command: &str) -> Ended {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        let url = self.server.url();
        arguments.extend(["--server", &url, "--key", &self.key]);
        run(self.folder.path(), &arguments)
    }

    /// What a command that succeeds prints for programs.
    pub fn json(&self, command: &str) -> Value {
        let ended = self.run(&format!("{command} --json"));
        assert_eq!(ended.code(), 0, "{command}: {}{}", ended.stdout(), ended.stderr());
        ended.json()
    }

    /// What a command that succeeds prints for people.
    pub fn text(&self, command: &str) -> String {
        let ended = self.run(command);
        assert_eq!(ended.code(), 0, "{command}: {}{}", ended.stdout(), ended.stderr());
        ended.stdout()
    }

    /// What a command that needs no server prints.
    pub fn offline(&self, command: &str) -> String {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let ended = run(self.folder.path(), &arguments);
        assert_eq!(ended.code(), 0, "{command}: {}", ended.stderr());
        ended.stdout()
    }

    /// The exit code of a command that fails, and the code of its error.
    pub fn refused(&self, command: &str) -> (i32, String) {
        let ended = self.run(&format!("{command} --json"));
        assert_ne!(ended.code(), 0, "{command}: {}", ended.stdout());
        let code = ended.error()["code"].as_str().unwrap().to_string();
        (ended.code(), code)
    }

    /// Puts a file where commands run.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Puts `per-token` in force.
    pub fn sell_tokens(&self) {
        self.write("prices.json", PRICES);
        self.json("plan push standard:per-token --activate prices.json");
    }

    /// A customer who bought `usd` and is on `per-token`.
    pub fn customer(&self, name: &str, usd: &str) {
        self.json(&format!("customers put {name}"));
        self.json(&format!("wallet grant {name} usd {usd} --id topup"));
        self.json(&format!("subscriptions start {name} tokens per-token"));
    }

    /// Reports tokens that a customer used: in, out.
    pub fn used(&self, customer: &str, id: &str, (input, output): (u32, u32)) {
        let event = serde_json::json!({"id": id, "customer": customer, "type": "llm.call",
            "measures": {"input_tokens": input, "output_tokens": output}, "attributes": {"model": "one"}});
        self.write("event.ndjson", &event.to_string());
        assert_eq!(self.json("events send event.ndjson")["accepted"], 1);
    }

    /// What a customer has of an asset: available, held, debt, receivable.
    pub fn balance(&self, customer: &str, asset: &str) -> [String; 4] {
        let wallet = self.json(&format!("wallet show {customer}"));
        let all = wallet["balance"].as_array().unwrap();
        let one = all.iter().find(|balance| balance["asset"] == asset);
        let one = one.unwrap_or_else(|| panic!("no {asset}: {wallet}"));
        ["available", "held", "debt", "receivable"].map(|part| one[part].as_str().unwrap().to_string())
    }

    /// Stops the server, and proves all that was done from its history.
    pub fn close(self) {
        assert_eq!(self.server.stop(), 0);
        let proof = run(
            self.folder.path(),
            &["ledger", "verify", "--json", "--data", "data"],
        );
        assert_eq!(proof.json()["sound"], true, "{}", proof.stdout());
    }
}

/// What a refusal by the server looks like.
pub fn told(code: &str) -> (i32, String) {
    (1, code.to_string())
}

/// What a command line that is wrong looks like.
pub fn misused() -> (i32, String) {
    (2, "usage".to_string())
}
