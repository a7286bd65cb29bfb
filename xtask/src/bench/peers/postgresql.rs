//! PostgreSQL: one function a debit, single and in batches, with its own defaults for durability (`fsync`,
//! `synchronous_commit`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{CLIENTS, Measured, Peer, WALLETS, free_port, program};
use crate::workspace;

/// Who it runs as where we are the superuser, which it refuses.
const ACCOUNT: &str = "postgres";
/// Clients, and debits of a transaction, of the batches.
const BATCH: (u32, u32) = (4, 500);

/// Tables and function. The balance is big enough for any run.
fn tables() -> String {
    format!(
        "CREATE TABLE wallets (id int PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50);
         CREATE TABLE entries (id bigint PRIMARY KEY, wallet int NOT NULL, amount bigint NOT NULL);
         INSERT INTO wallets SELECT n, 1000000000000000 FROM generate_series(1, {WALLETS}) n;
         CREATE FUNCTION debit(_id bigint, _wallet int, _amount bigint) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO entries VALUES (_id, _wallet, _amount) ON CONFLICT DO NOTHING;
             IF NOT FOUND THEN RETURN 0; END IF;
             UPDATE wallets SET balance = balance - _amount WHERE id = _wallet AND balance >= _amount;
             IF NOT FOUND THEN RAISE EXCEPTION 'insufficient funds'; END IF;
             RETURN 1;
         END $$;
         VACUUM ANALYZE;"
    )
}

fn single() -> String {
    format!(
        "\\set wallet random(1, {WALLETS})\n\\set id random(1, 9000000000000000)\nSELECT debit(:id, :wallet, 3);\n"
    )
}

/// Wallets in order, so that no two transactions wait for each other in a circle.
fn batch() -> String {
    let mut script = String::new();
    let _ = write!(
        script,
        "\\set id random(1, 9000000000000)\n\
         SELECT count(debit(:id::bigint * 1000 + n, 1 + (n * {}) % {WALLETS}, 3)) FROM generate_series(1, {}) n;\n",
        WALLETS / BATCH.1,
        BATCH.1
    );
    script
}

/// None: it is not installed.
pub(super) fn run(folder: &Path, seconds: u64) -> anyhow::Result<Option<Vec<Measured>>> {
    let folders = versions();
    let (Some(initdb), Some(postgres), Some(pgbench), Some(psql)) = (
        program("initdb", &folders),
        program("postgres", &folders),
        program("pgbench", &folders),
        program("psql", &folders),
    ) else {
        return Ok(None);
    };
    // Not below a folder that is ours alone: it runs as somebody else where we are the superuser.
    let data = tempfile::Builder::new()
        .prefix("postgresql-")
        .tempdir_in(workspace::target_dir())?;
    let _ = folder;
    give_away(data.path())?;
    let port = free_port()?.to_string();
    let cluster = data.path().join("cluster");
    let made = workspace::output(
        as_account(&initdb)
            .args(["--auth", "trust", "--username", ACCOUNT, "-D"])
            .arg(&cluster),
    );
    made.context("initdb")?;
    let child = as_account(&postgres)
        .arg("-D")
        .arg(&cluster)
        .args([
            "-p",
            &port,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "shared_buffers=256MB",
            "-c",
            "max_connections=200",
            "-k",
        ])
        .arg(data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start postgres")?;
    let mut peer = Peer(child);
    let connected = |program: &Path| {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", ACCOUNT]);
        command
    };
    peer.ready(|| {
        let mut ask = connected(&psql);
        ask.args(["-c", "SELECT 1"]);
        ask
    })?;
    workspace::output(connected(&psql).args([
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        &tables().replace("VACUUM ANALYZE;", ""),
    ]))?;
    workspace::output(connected(&psql).args(["-c", "VACUUM ANALYZE"]))?;
    let load = |script: &str, clients: u32| -> anyhow::Result<Told> {
        let path = folder.join("debit.sql");
        std::fs::write(&path, script)?;
        let mut command = connected(&pgbench);
        command.args([
            "-n",
            "-M",
            "prepared",
            "-c",
            &clients.to_string(),
            "-T",
            &seconds.to_string(),
            "-f",
        ]);
        command.arg(&path).arg("postgres");
        read(&workspace::output(&mut command)?)
    };
    let mut all = Vec::new();
    for clients in CLIENTS {
        let told = load(&single(), clients)?;
        all.push(Measured::new(
            format!("postgresql_{clients}_mean"),
            told.mean_us,
            "us",
        ));
        all.push(Measured::new(
            format!("postgresql_{clients}_rate"),
            told.rate,
            "1/s",
        ));
    }
    let (clients, debits) = BATCH;
    let told = load(&batch(), clients)?;
    let name = format!("postgresql_batch_{clients}x{debits}");
    all.push(Measured::new(name, per_debit(told.rate, debits), "1/s"));
    Ok(Some(all))
}

#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
fn per_debit(transactions: f64, debits: u32) -> f64 {
    transactions * f64::from(debits)
}

/// Where Debian puts its programs, newest first.
fn versions() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

fn is_superuser() -> bool {
    // SAFETY: `geteuid` takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The folder is its account's, where we are the superuser.
fn give_away(folder: &Path) -> anyhow::Result<()> {
    if !is_superuser() {
        return Ok(());
    }
    workspace::output(Command::new("chown").arg(ACCOUNT).arg(folder)).map(drop)
}

/// A program of it, under an account that it accepts. Killing the child kills it: `setpriv` becomes the program.
fn as_account(program: &Path) -> Command {
    if !is_superuser() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"])
        .arg(program);
    command
}

struct Told {
    rate: f64,
    mean_us: f64,
}

fn read(text: &str) -> anyhow::Result<Told> {
    let number = |front: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(front))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let mean = number("latency average = ").with_context(|| format!("no time: {text}"))?;
    Ok(Told {
        rate: number("tps = ").with_context(|| format!("no rate: {text}"))?,
        mean_us: micros(mean),
    })
}

#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
fn micros(millis: f64) -> f64 {
    millis * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let told = read(
            "number of clients: 64\nlatency average = 13.604 ms\ntps = 4704.5 (without initial connection time)",
        );
        let told = told.unwrap();
        assert!((told.rate - 4_704.5).abs() < 0.01);
        assert!((told.mean_us - 13_604.0).abs() < 0.01);
        assert!(read("nothing").is_err());
    }
}
