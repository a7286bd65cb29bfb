//! The drill: a backup of a server under load, a crash, and a restore in another folder that knows everything that was
//! answered before the backup.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use farebox_spine::{Answer, Client, PRICES, Server, farebox};
use serde_json::{Value, json};

const CUSTOMERS: usize = 8;

/// An authorization that was answered: whose, its id, the answer.
type Answered = (String, String, Answer);

/// So small that some dozens of calls fill several segments.
fn start(data: &Path) -> Result<Server> {
    let mut command = Command::new(farebox()?);
    command.env("FAREBOX_SEGMENT_BYTES", "65536");
    Server::start_as(command, data)
}

/// Runs `farebox` with `--json`; the answer is what it printed, on standard output or standard error.
fn run(arguments: &[&str], folders: &[(&str, &Path)]) -> Result<(bool, Value)> {
    let mut command = Command::new(farebox()?);
    command.args(arguments).arg("--json");
    for (flag, folder) in folders {
        command.arg(flag).arg(folder);
    }
    let output = command.output()?;
    let text = match output.status.success() {
        true => &output.stdout,
        false => &output.stderr,
    };
    let printed = serde_json::from_slice(text).with_context(|| String::from_utf8_lossy(text).into_owned())?;
    Ok((output.status.success(), printed))
}

/// One call after the other, so that each is a frame of its own.
async fn load(client: &Client, prefix: &str, calls: usize) -> Result<Vec<Answered>> {
    let mut answered = Vec::new();
    for n in 0..calls {
        let (customer, id) = (format!("c{}", n % CUSTOMERS), format!("{prefix}-{n}"));
        let answer = client.authorize(&customer, &id, 1_000, 0).await?;
        ensure!(answer.status == 200, "{answer:?}");
        answered.push((customer, id, answer));
    }
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_the_backup_is_there_after_the_restore() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, to, restored) = (
        home.path().join("data"),
        home.path().join("backup"),
        home.path().join("restored"),
    );
    let server = start(&data)?;
    let client = Client::new(
        &server.url,
        &server.admin_key.clone().context("a key at the first start")?,
    );
    client.push_plan(PRICES).await?;
    for n in 0..CUSTOMERS {
        client.customer(&format!("c{n}"), "1000").await?;
    }
    let mut answered = load(&client, "first", 120).await?;
    // Others go on while the backup is made.
    let stop = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..4)
        .map(|task| {
            let (client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut n = 0;
                // The kill at the end fails the last call.
                while !stop.load(Ordering::Relaxed)
                    && load(&client, &format!("other-{task}-{n}"), 8).await.is_ok()
                {
                    n += 1;
                }
            })
        })
        .collect();
    let backup = || run(&["journal", "backup"], &[("--data", &data), ("--to", &to)]);
    let (done, first) = backup()?;
    ensure!(done, "{first}");
    assert!(first["segments_copied"].as_u64() > Some(3), "{first}");
    assert_eq!(first["segments_kept"], 0);
    // 120 calls, 8 customers with a grant and a subscription each, a key, a component and a revision at least.
    assert!(first["records_verified"].as_u64() > Some(140), "{first}");
    answered.extend(load(&client, "second", 60).await?);
    let (done, second) = backup()?;
    ensure!(done, "{second}");
    assert!(second["segments_kept"].as_u64() > Some(3), "{second}");
    assert_eq!(second["blobs_copied"], 0, "{second}");
    load(&client, "lost", 20).await?;
    server.kill()?;
    stop.store(true, Ordering::Relaxed);
    for other in others {
        other.await?;
    }

    let restore = |into: &Path| run(&["journal", "restore"], &[("--from", &to), ("--data", into)]);
    let (done, report) = restore(&restored)?;
    ensure!(done, "{report}");
    assert_eq!(report["end"], second["end"]);
    // The state once more, from a proven snapshot this time.
    let (taken, snapshot) = run(&["journal", "snapshot"], &[("--data", &restored)])?;
    ensure!(taken, "{snapshot}");
    assert_eq!(snapshot["wallets"], snapshot["wallets_proven"], "{snapshot}");
    let (rebuilt, report) = run(&["journal", "rebuild"], &[("--data", &restored)])?;
    ensure!(rebuilt, "{report}");
    let (sound, verdict) = run(&["ledger", "verify"], &[("--data", &restored)])?;
    ensure!(sound, "{verdict}");
    let server = start(&restored)?;
    let again = Client::new(&server.url, client.key());
    for (customer, id, first) in answered {
        let answer = again.authorize(&customer, &id, 1_000, 0).await?;
        ensure!(
            answer.body["replayed"] == json!(true),
            "{id} is not known: {answer:?}"
        );
        assert_eq!(answer.first(), first.first(), "{id}");
    }
    load(&again, "new", 8).await?;
    server.stop()?;

    // What is not a place for it, and what is not a backup any more, is refused by name.
    let (done, refused) = restore(&restored)?;
    assert_eq!(
        (done, &refused["error"]["code"]),
        (false, &json!("backup")),
        "{refused}"
    );
    let name = std::fs::read_dir(to.join("journal"))?
        .next()
        .context("a segment")??
        .path();
    let mut bytes = std::fs::read(&name)?;
    bytes[5_000] ^= 1;
    std::fs::write(&name, bytes)?;
    let elsewhere = home.path().join("elsewhere");
    let (done, refused) = restore(&elsewhere)?;
    assert_eq!(
        (done, &refused["error"]["code"]),
        (false, &json!("damaged")),
        "{refused}"
    );
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    ensure!(said.contains(&*name.to_string_lossy()), "{said}");
    ensure!(!elsewhere.exists(), "nothing that looks like a store");
    Ok(())
}
