//! Redis: one Lua script a debit, with `appendfsync always`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{CLIENTS, Measured, Peer, WALLETS, free_port, program};
use crate::workspace;

/// Ids are drawn from so many: nearly none comes twice.
const IDS: &str = "2000000000";
/// Debits of the first run, by which the second is made as long as it should be.
const FIRST: f64 = 3_000.0;

fn script() -> String {
    format!(
        "local wallet = 'wallet:' .. (tonumber(string.sub(KEYS[1], 4)) % {WALLETS}); \
         if not redis.call('SET', KEYS[1], 1, 'NX') then return 0 end; \
         local balance = tonumber(redis.call('GET', wallet) or '1000000000000'); \
         local amount = tonumber(ARGV[1]); \
         if balance < amount then return -1 end; \
         redis.call('SET', wallet, string.format('%.0f', balance - amount)); \
         return 1"
    )
}

/// None: it is not installed.
#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
pub(super) fn run(folder: &Path, seconds: u64) -> anyhow::Result<Option<Vec<Measured>>> {
    let (Some(server), Some(bench), Some(client)) = (
        program("redis-server", &[]),
        program("redis-benchmark", &[]),
        program("redis-cli", &[]),
    ) else {
        return Ok(None);
    };
    let data = folder.join("redis");
    std::fs::create_dir_all(&data)?;
    let port = free_port()?.to_string();
    let child = Command::new(server)
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start redis-server")?;
    let mut peer = Peer(child);
    peer.ready(|| {
        let mut ask = Command::new(&client);
        ask.args(["-p", &port, "ping"]);
        ask
    })?;
    let mut all = Vec::new();
    for clients in CLIENTS {
        let told = told(&bench, &port, clients, FIRST)?;
        let count = told.rate * f64::from(u32::try_from(seconds)?);
        let told = self::told(&bench, &port, clients, count.max(FIRST))?;
        all.push(Measured::new(
            format!("redis_{clients}_p50"),
            told.p50_ms * 1_000.0,
            "us",
        ));
        all.push(Measured::new(format!("redis_{clients}_rate"), told.rate, "1/s"));
    }
    Ok(Some(all))
}

struct Told {
    rate: f64,
    p50_ms: f64,
}

fn told(bench: &PathBuf, port: &str, clients: u32, count: f64) -> anyhow::Result<Told> {
    let mut command = Command::new(bench);
    command.args([
        "-p",
        port,
        "-c",
        &clients.to_string(),
        "-n",
        &format!("{count:.0}"),
    ]);
    command.args(["-r", IDS, "--csv", "EVAL", &script(), "1", "id:__rand_int__", "3"]);
    read(&workspace::output(&mut command)?)
}

/// The last line of its table.
fn read(csv: &str) -> anyhow::Result<Told> {
    let mut lines = csv.lines().filter(|line| line.starts_with('"'));
    let (head, row) = (lines.next(), lines.next_back());
    let (head, row) = head.zip(row).with_context(|| format!("no table: {csv}"))?;
    // What was measured is named by the script, with commas in it: numbers are counted from the end.
    let names: Vec<&str> = head.split(',').map(|name| name.trim_matches('"')).collect();
    let values: Vec<&str> = row.split("\",\"").map(|value| value.trim_matches('"')).collect();
    let value = |name: &str| {
        let from_end = names.len() - names.iter().position(|known| *known == name)?;
        values.get(values.len().checked_sub(from_end)?)?.parse().ok()
    };
    Ok(Told {
        rate: value("rps").with_context(|| format!("no rate: {csv}"))?,
        p50_ms: value("p50_latency_ms").with_context(|| format!("no time: {csv}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_table_is_read_from_the_end() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\"\n\
                   \"EVAL local a = f(1, 2) 1 id 3\",\"16300.25\",\"3.9\",\"0.5\",\"3.703\",\"6.1\"";
        let told = read(csv).unwrap();
        assert!((told.rate - 16_300.25).abs() < 0.01);
        assert!((told.p50_ms - 3.703).abs() < 0.0001);
        assert!(read("nothing").is_err());
    }
}
