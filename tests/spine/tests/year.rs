//! A year in a second: the guide's own commands, and a clock that survives `kill -9`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use farebox_spine::{Client, PRICES, Server, farebox};
use serde_json::{Value, json};

const CUSTOMERS: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of a section of the guide, in order.
fn commands(section: &str) -> Result<Vec<String>> {
    let guide = std::fs::read_to_string(root().join("docs/guide.md"))?;
    let (_, text) = guide
        .split_once(&format!("\n## {section}\n"))
        .context("the section")?;
    let text = text.split("\n## ").next().unwrap_or_default();
    let mut commands: Vec<String> = Vec::new();
    let mut is_shown = false;
    for line in text.lines() {
        match (line, is_shown) {
            ("```console", false) => is_shown = true,
            ("```", true) => is_shown = false,
            (line, true) => match line.strip_prefix("$ ") {
                Some(command) => commands.push(command.to_string()),
                None => {
                    let last = commands.last_mut().context("a line before any command")?;
                    *last = format!("{last}\n{line}");
                }
            },
            (_, false) => {}
        }
    }
    Ok(commands)
}

#[test]
fn the_guides_year_takes_the_guides_commands() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path())?;
    let mut key = server.admin_key.clone().context("a key")?;
    let mut said = Vec::new();
    for command in commands("A year in a second")? {
        if command.starts_with("export FAREBOX_KEY=") {
            let printed: &String = said.last().context("a command before it")?;
            key = printed
                .lines()
                .next()
                .context("a key as its first line")?
                .to_string();
            continue;
        }
        let binary = farebox()?.to_str().context("a path")?;
        let output = Command::new("sh")
            .args(["-ec", &command.replace("target/release/farebox", binary)])
            .current_dir(root())
            .env("FAREBOX_SERVER", &server.url)
            .env("FAREBOX_KEY", &key)
            .output()?;
        let talk = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command}: {}\n{talk}", output.status);
        said.push(String::from_utf8(output.stdout)?);
    }
    let [.., advanced, wallet, subscription] = &said[..] else {
        anyhow::bail!("too few commands: {said:?}")
    };
    assert_eq!(
        advanced.trim(),
        "year stands at 2028-01-01T00:00:00Z; 13 items fell due since 2027-01-01T00:00:00Z and are handled"
    );
    // The 20 that were bought; the 5 given were not used by July.
    let usd: Vec<&str> = wallet
        .lines()
        .nth(1)
        .context("a balance")?
        .split_whitespace()
        .collect();
    assert_eq!(usd, ["usd", "20", "0", "0", "0"]);
    assert!(!wallet.contains("welcome"), "{wallet}");
    let subscription: Value = serde_json::from_str(subscription)?;
    assert_eq!(subscription["period"]["index"], 12);
    assert_eq!(subscription["period"]["start"], "2028-01-01T00:00:00Z");
    assert_eq!(subscription["started_at"], "2027-01-01T00:00:00Z");
    server.stop()
}

/// The key of the sandbox's admin.
struct Keys {
    sandbox: String,
}

impl Keys {
    fn client(&self, server: &Server) -> Client {
        Client::new(&server.url, &self.sandbox)
    }
}

async fn furnish(server: &Server) -> Result<Keys> {
    let operator = Client::new(&server.url, server.admin_key.as_deref().context("a key")?);
    let new = json!({"id": "year", "kind": "sandbox", "clock": "2027-01-01T00:00:00Z"});
    let made = operator.post("/v1/tenants", &new).await?.ok()?;
    let keys = Keys {
        sandbox: made["first_key"]["key"].as_str().context("a key")?.to_string(),
    };
    let admin = keys.client(server);
    admin.push_plan(PRICES).await?;
    for n in 0..CUSTOMERS {
        admin.customer(&format!("c{n}"), "1").await?;
    }
    Ok(keys)
}

async fn advance(client: &Client, key: &str, by: &str) -> Result<Value> {
    let body = json!({ "advance": by });
    client.post_once("/v1/tenants/year/clock", key, &body).await?.ok()
}

async fn now(client: &Client) -> Result<String> {
    let clock = client.get("/v1/tenants/year/clock").await?.ok()?;
    Ok(clock["now"].as_str().context("a time")?.to_string())
}

/// Every customer is in this period, and was renewed as often, no more.
async fn check_periods(client: &Client, index: u64) -> Result<()> {
    for n in 0..CUSTOMERS {
        let path = format!("/v1/subscriptions/c{n}-tokens?customer=c{n}");
        let subscription = client.get(&path).await?.ok()?;
        assert_eq!(subscription["period"]["index"], index, "c{n}");
        let wallet = client.get(&format!("/v1/customers/c{n}/balance")).await?.ok()?;
        // Created, granted, subscribed, and one record for each renewal.
        assert_eq!(wallet["sequence"], 3 + index, "c{n}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn time_stands_where_it_was_acknowledged_after_a_kill() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path())?;
    let keys = furnish(&server).await?;
    let first = advance(&keys.client(&server), "january", "P1M").await?;
    assert_eq!(first["now"], "2027-02-01T00:00:00Z");
    assert_eq!(first["handled"], CUSTOMERS);
    server.kill()?;

    let server = Server::start(data.path())?;
    let client = keys.client(&server);
    assert_eq!(now(&client).await?, "2027-02-01T00:00:00Z");
    check_periods(&client, 1).await?;
    let mut again = advance(&client, "january", "P1M").await?;
    assert_eq!(again["replayed"], true);
    again.as_object_mut().context("an object")?.remove("replayed");
    assert_eq!(again, first);
    assert_eq!(now(&client).await?, "2027-02-01T00:00:00Z");
    assert_eq!(advance(&client, "february", "P1M").await?["handled"], CUSTOMERS);
    check_periods(&client, 2).await?;

    // Killed in the middle of the other ten months: whatever was done is done once, and the retry finishes it.
    let cut = tokio::spawn({
        let client = client.clone();
        async move { advance(&client, "rest", "P10M").await }
    });
    while now(&client).await? == "2027-03-01T00:00:00Z" {
        tokio::task::yield_now().await;
    }
    server.kill()?;
    let _ = cut.await?; // answered or not: the retry tells
    let server = Server::start(data.path())?;
    let client = keys.client(&server);
    assert_eq!(now(&client).await?, "2028-01-01T00:00:00Z");
    let rest = advance(&client, "rest", "P10M").await?;
    assert_eq!(
        (&rest["from"], &rest["now"]),
        (&json!("2027-03-01T00:00:00Z"), &json!("2028-01-01T00:00:00Z"))
    );
    check_periods(&client, 12).await?;
    server.stop()?;

    let proof = Command::new(farebox()?)
        .args(["ledger", "verify", "--json", "--data"])
        .arg(data.path())
        .output()?;
    let proof: Value = serde_json::from_slice(&proof.stdout)?;
    assert_eq!(proof["sound"], true, "{proof}");
    Ok(())
}
